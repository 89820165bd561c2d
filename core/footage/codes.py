"""R'G'B' to the planes an encoder takes, by our own exact arithmetic (the inverse of `core.footage.planes`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from core.film.clip import ColourTags
from core.film.tags import yuv_from_rgb

Array = NDArray[np.float32]
Plane = NDArray[Any]


def yuv_planes(rgb: Array, tags: ColourTags, depth: int, *, across: int, down: int) -> tuple[Plane, Plane, Plane]:
    """R'G'B' to Y, Cb and Cr codes; grey pixels give the neutral chroma code exactly.

    Args:
        rgb: picture  [(H, W, 3) float32 [0, 1] R'G'B']
        tags: matrix and range to code with.
        depth: bits per sample, 8 to 16.
        across: luma columns per chroma column, 1 or 2 (chroma on the left one); W is a multiple of it.
        down: luma rows per chroma row, 1 or 2 (chroma midway); H is a multiple of it.

    Returns:
        Planes [(H, W), (H / down, W / across) twice; uint8 or uint16].

    Source: ITU-T H.273; chroma placed as H.264 annex E type 0.
    """
    matrix, offset = yuv_from_rgb(tags, depth)
    codes = cv2.transform(rgb, np.column_stack([matrix, offset]).astype(np.float32))
    y, u, v = cv2.split(codes)
    top = (1 << depth) - 1
    return (
        _to_codes(y, top),
        _to_codes(_shrink(u, across, down), top),
        _to_codes(_shrink(v, across, down), top),
    )


def _to_codes(plane: Any, top: int) -> Plane:
    np.rint(plane, out=plane)
    np.clip(plane, 0, top, out=plane)
    return np.asarray(plane, np.uint8 if top == 255 else np.uint16)


def _shrink(plane: Any, across: int, down: int) -> Any:
    if down == 2:
        plane = cv2.addWeighted(plane[0::2], 0.5, plane[1::2], 0.5, 0)
    if across == 2:
        wide = cv2.copyMakeBorder(plane, 0, 0, 1, 0, cv2.BORDER_REPLICATE)
        sides = cv2.addWeighted(wide[:, 0:-1:2].copy(), 0.25, wide[:, 2::2].copy(), 0.25, 0)
        plane = cv2.addWeighted(plane[:, 0::2].copy(), 0.5, sides, 1.0, 0)
    return plane


def fill(frame: av.VideoFrame, planes: Sequence[Plane]) -> None:
    """Write planes of samples into a frame made for an encoder, leaving its padding alone."""
    for plane, samples in zip(frame.planes, planes, strict=True):
        rows = np.frombuffer(memoryview(plane), np.uint8)[: plane.line_size * samples.shape[0]]
        data = np.ascontiguousarray(samples).reshape(samples.shape[0], -1).view(np.uint8)
        rows.reshape(samples.shape[0], plane.line_size)[:, : data.shape[1]] = data
