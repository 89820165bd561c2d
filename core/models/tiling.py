"""A large picture through a network in parts that overlap, so that memory does not grow with the picture."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

# What torch says of memory where it raises no error of its own kind for it: the CPU, Apple's MPS, NVIDIA's libraries.
_WORDS = (
    "can't allocate memory", "not enough memory", "out of memory", "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
)  # fmt: skip


@dataclass(frozen=True)
class Tiling:
    """How a picture is cut.

    Attributes:
        side: of a part, without its overlap  [px]
        overlap: what a part is shown of its neighbours, on every side  [px]
        multiple: of which all cuts are, because the network halves its picture  [px]
        exact: whether the overlap covers all that the network can see, so that parts and whole give the same
    """

    side: int
    overlap: int
    multiple: int = 1
    exact: bool = False

    def halved(self) -> Tiling | None:
        """Half as large a part, or None where the overlap would outweigh it."""
        side = self.side // 2 // self.multiple * self.multiple
        return replace(self, side=side) if side >= max(self.overlap, self.multiple) else None

    def as_good_as(self, other: Tiling, h: int, w: int) -> bool:
        """Whether a picture of (h, w) comes out the same in these parts as in others of the same network."""
        return self.exact or all(list(_cuts(n, self)) == list(_cuts(n, other)) for n in (h, w))


def tiled(work: Callable[[Tensor], Tensor], picture: Tensor, tiling: Tiling, scale: int) -> Tensor:
    """Put a picture through a network part by part.

    Args:
        work: from (1, …, h, w) on any device to (1, C, scale h, scale w)
        picture: [(1, …, H, W)]; H and W are multiples of ``tiling.multiple``
        tiling: how it is cut; a picture not larger than one part with its overlap is not
        scale: by how much ``work`` enlarges

    Returns:
        [(1, C, scale H, scale W)] on the device of ``picture``
    """
    h, w = picture.shape[-2:]
    whole: Tensor | None = None
    for (top, bottom), (left, right) in itertools.product(_cuts(h, tiling), _cuts(w, tiling)):
        y, x = max(0, top - tiling.overlap), max(0, left - tiling.overlap)
        part = work(picture[..., y : bottom + tiling.overlap, x : right + tiling.overlap])
        part = part[
            ..., (top - y) * scale : (bottom - y) * scale, (left - x) * scale : (right - x) * scale
        ]  # fmt: skip
        if whole is None:
            whole = torch.empty((*part.shape[:-2], h * scale, w * scale), dtype=part.dtype, device=picture.device)
        whole[..., top * scale : bottom * scale, left * scale : right * scale] = part
    assert whole is not None
    return whole


def _cuts(length: int, tiling: Tiling) -> Iterator[tuple[int, int]]:
    """First and last (exclusive) of each part along one axis, nearly equal in length."""
    parts = 1 if length <= tiling.side + 2 * tiling.overlap else math.ceil(length / tiling.side)
    step = math.ceil(length / parts / tiling.multiple) * tiling.multiple
    for start in range(0, length, step):
        yield start, min(start + step, length)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch means that there is no memory left for what was asked."""
    return isinstance(error, torch.OutOfMemoryError) or any(word in str(error).lower() for word in _WORDS)
