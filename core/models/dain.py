"""DAIN as an interpolator: the authors' own checkpoint, run without their CUDA kernels.

Pictures are padded as the published program pads them. Large ones are cut into tiles that overlap, because a
pixel takes four kilobytes on its way; the tiles' borders are not trusted, and one tile fades into the next.

Source: Bao et al. 2019, Depth-Aware Video Frame Interpolation; its program `demo_MiddleBury.py` (MIT).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from core.contract.plugins import Plugins
from core.models.checkpoint import check_for, read_network
from core.models.dain_net import DainNet, Made, Seen
from core.models.interpolator import NetworkInterpolator
from core.models.recent import Recent
from core.models.shelf import card_of
from core.models.tensors import to_planes, to_rgb
from core.models.ways import held

Array = NDArray[np.float32]

BLOCK = 128  # to whose multiple the published program pads
BORDER = 32  # what it adds on each side where there is nothing to pad  [px]
# Greatest side of what is seen at once; the next one where memory ends. Below, tiles would be mostly overlap.  [px]
TILES = (768, 512, 384)
OVERLAP = 160  # of neighbouring tiles; motion longer than this is lost at their borders  [px]
UNTRUSTED = 32  # outermost part of a tile that is not shown where there is a neighbour  [px]


class Network(Protocol):
    """What is asked of `DainNet`."""

    def look(self, first: Tensor, second: Tensor, /) -> Seen:
        """As `DainNet.look`."""
        ...

    def make(self, seen: Seen, t: float, /) -> Made:
        """As `DainNet.make`."""
        ...


class Dain(NetworkInterpolator[Network]):
    """DAIN with its weights. Fulfils the interpolator protocol. Where memory ends, its tiles become smaller.

    What it sees in two pictures is kept for other times between the same two: a quarter of its work.

    Source: Bao et al. 2019.
    """

    name = "dain"
    version = 1
    halves = card_of(name).halves

    @staticmethod
    def read(path: Path, device: torch.device) -> Network:
        """As `NetworkInterpolator.read`."""
        return read_network(DainNet, path).to(device)

    def ways(self, h: int, w: int) -> Sequence[float]:
        """Greatest sides of a tile that cut the picture each in their own way  [px]."""
        return (TILES[0], *(side for side in TILES[1:] if side < max(h, w)))

    def said(self, way: float) -> str:
        """As `NetworkInterpolator.said`."""
        return f"in parts of {way} px"

    def made(self, rgb_a: Array, rgb_b: Array, t: float, way: float) -> Array:
        """As `NetworkInterpolator.made`."""
        h, w = rgb_a.shape[:2]
        rows, columns = _tiles(h, int(way)), _tiles(w, int(way))
        found = self.found(rgb_a, rgb_b)
        if len(rows) == len(columns) == 1:
            return self._whole(rgb_a, rgb_b, t, found, ())
        total, mass = np.zeros_like(rgb_a), np.zeros((h, w, 1), np.float32)
        for row, column in product(rows, columns):
            weight = (_trust(row, h)[:, None] * _trust(column, w))[..., None]
            place = (row.start, row.stop, column.start, column.stop)
            total[row, column] += weight * self._whole(rgb_a[row, column], rgb_b[row, column], t, found, place)
            mass[row, column] += weight
        return np.asarray(total / mass, np.float32)

    def _whole(self, rgb_a: Array, rgb_b: Array, t: float, found: Recent, place: tuple[int, ...]) -> Array:
        """A picture, or a part of one, that is seen at once."""
        h, w = rgb_a.shape[:2]
        (top, bottom), (left, right) = _padding(h), _padding(w)
        network = self._network()
        first, second = (
            F.pad(to_planes(rgb, self._device), (left, right, top, bottom), mode="replicate") for rgb in (rgb_a, rgb_b)
        )
        seen = found.get(place, partial(network.look, first, second))
        made = network.make(seen, t).picture[..., top : top + h, left : left + w]
        return to_rgb(held(made, self.way, self.name))


def register(plugins: Plugins) -> None:
    """Offer DAIN as an interpolator; it asks for its checkpoint when it is made."""
    plugins.interpolators.add(Dain.name, lambda device: Dain.load(device=device))
    plugins.checks.add(Dain.name, check_for(DainNet))


def _padding(length: int) -> tuple[int, int]:
    """What the published program adds before and after a side of this length  [px]."""
    lacking = -length % BLOCK
    if not lacking:
        return BORDER, BORDER
    return lacking // 2, lacking - lacking // 2


def _tiles(length: int, side: int) -> list[slice]:
    """Where the tiles along a side of this length lie: all of one length, evenly apart."""
    if length <= side:
        return [slice(0, length)]
    count = math.ceil((length - OVERLAP) / (side - OVERLAP))
    starts = (round(k * (length - side) / (count - 1)) for k in range(count))
    return [slice(start, start + side) for start in starts]


def _trust(tile: slice, length: int) -> Array:
    """How far a tile counts at each of its places along one side of the picture  [(side,) float32 [0, 1]]."""
    place = np.arange(tile.start, tile.stop, dtype=np.float32) + np.float32(0.5)
    before = place - tile.start if tile.start > 0 else np.full_like(place, np.inf)
    after = tile.stop - place if tile.stop < length else np.full_like(place, np.inf)
    fade = (np.minimum(before, after) - UNTRUSTED) / (OVERLAP - 2 * UNTRUSTED)
    return np.clip(fade, 0.0, 1.0).astype(np.float32)
