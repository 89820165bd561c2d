"""Chroma brought from working size to full size, guided by the film's own luma.

Chroma is explained by luma in small windows as ``ab = slope * L + offset``; the two coefficients, not the chroma, are
brought up to full size, and the full-size luma makes chroma's borders as sharp as its own. Where luma explains little
of chroma's change, the slope a small window fits is chance, and would print luma's texture into the colour: it counts
by how much it explains. The result is kept within what the working-size chroma says nearby, so that no halo of a
foreign colour arises; where it says nothing at all, nothing arises.

Source: He & Sun 2015, "Fast guided filter"; He, Sun & Tang 2013, "Guided image filtering".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import gcd
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import ShapeError

Plane = NDArray[np.float32]

RADIUS = 1  # windows of 3x3 at working size: chroma is re-sharpened, not blurred
EPSILON = 4.0  # L*^2: where luma varies by less than 2 L*, its noise must not colour chroma
DOUBT = 2  # power of the explained share of variance that a slope is scaled by: flat between 2 and 4
TILE = (192, 640)  # rows and columns of the frame worked on at a time: what is in hand stays near the processor


def upsample_chroma(luma_small: Plane, ab_small: Plane, luma_full: Plane) -> Plane:
    """Bring chroma to the size of the frame.

    Args:
        luma_small: luma at working size  [(h, w) float32 [0, 100] L*]
        ab_small: chroma at working size  [(h, w, 2) float32 CIE Lab, a* b*]
        luma_full: luma of the frame      [(H, W) float32 [0, 100] L*]

    Returns:
        Chroma of the frame  [(H, W, 2) float32 CIE Lab, a* b*]

    Raises:
        ShapeError: the planes of working size differ, or are no planes.

    Source: He & Sun 2015.
    """
    _check(luma_small, ab_small, luma_full)
    if luma_small.shape == luma_full.shape:
        return np.ascontiguousarray(ab_small, np.float32)
    out = np.empty((*luma_full.shape, 2), np.float32)
    for tile in _tiles(luma_small.shape, luma_full.shape):
        planes = [ab_small[(*tile.small, channel)] for channel in (0, 1)]
        out[tile.full] = cv2.merge(_brought_up(luma_small[tile.small], planes, luma_full[tile.full], tile))
    return out


def lay_over(luma_small: Plane, ab_small: Plane, weight_small: Plane, luma_full: Plane, ab_full: Plane) -> Plane:
    """Lay chroma over the frame's own, by weight.

    Args:
        luma_small: luma at working size    [(h, w) float32 [0, 100] L*]
        ab_small: chroma that is laid over  [(h, w, 2) float32 CIE Lab, a* b*]
        weight_small: how much of it shows  [(h, w) float32 [0, 1]]
        luma_full: luma of the frame        [(H, W) float32 [0, 100] L*]
        ab_full: chroma of the frame        [(H, W, 2) float32 CIE Lab, a* b*]

    Returns:
        Chroma of the frame: the one laid over where the weight is 1 all about, ``ab_full`` bit for bit where it is 0
        all about  [(H, W, 2) float32 CIE Lab, a* b*]

    Raises:
        ShapeError: planes of one size differ, or are no planes.

    Source: He & Sun 2015.
    """
    _check(luma_small, ab_small, luma_full)
    if weight_small.shape != luma_small.shape or ab_full.shape != (*luma_full.shape, 2):
        raise ShapeError(
            f"weight {weight_small.shape} must be of the size {luma_small.shape}, and the frame's chroma "
            f"{ab_full.shape} of the size of its luma {luma_full.shape}"
        )
    out = np.array(ab_full, np.float32)
    if not weight_small.any():
        return out
    small, full = _around(weight_small, luma_full.shape)
    luma_small, ab_small, weight_small = luma_small[small], ab_small[small], weight_small[small]
    luma_full, under = luma_full[full], out[full]
    for tile in _tiles(luma_small.shape, luma_full.shape):
        weight, ab = weight_small[tile.small], ab_small[tile.small]
        if not weight.any():
            continue
        luma, planes = luma_small[tile.small], [ab[..., 0], ab[..., 1]]
        if weight.min() >= 1:
            under[tile.full] = cv2.merge(_brought_up(luma, planes, luma_full[tile.full], tile))
            continue
        # The share goes up beside what it is a share of: the same luma draws the border of both.
        told = [weight, *(weight * plane for plane in planes)]
        share, *over = _brought_up(luma, told, luma_full[tile.full], tile)
        rest = np.float32(1) - share
        under[tile.full] = cv2.add(cv2.merge(over), cv2.multiply(under[tile.full], cv2.merge([rest, rest])))
    return out


class _Tile(NamedTuple):
    """A part of the frame, and what of the working size it is made from.

    Attributes:
        full: rows and columns of the frame
        small: rows and columns of working size, with a margin
        size: columns and rows that these fill in the frame
        cut: rows and columns of those that are the part
    """

    full: tuple[slice, slice]
    small: tuple[slice, slice]
    size: tuple[int, int]
    cut: tuple[slice, slice]


def _tiles(small: tuple[int, ...], full: tuple[int, ...]) -> Iterator[_Tile]:
    """Parts of a frame whose borders are also borders of working size's pixels: both grids lie as in the whole."""
    rows, columns = (_spans(*axis) for axis in zip(small, full, TILE, strict=True))
    for (down, tall, height, cut_y), (along, wide, width, cut_x) in product(rows, columns):
        yield _Tile((down, along), (tall, wide), (width, height), (cut_y, cut_x))


def _spans(small: int, full: int, length: int) -> list[tuple[slice, slice, int, slice]]:
    """The same along one axis."""
    step = small // gcd(small, full)  # pixels from one border that both grids have to the next
    margin = -(-2 * RADIUS // step) * step  # a window, and the neighbour that is interpolated with
    count = max(length * small // full, 1) // step * step
    if small == full or count < 4 * margin:
        count = small
    found = []
    for start in range(0, small, count):
        stop = min(start + count, small)
        first, last = max(0, start - margin), min(small, stop + margin)
        top, bottom, above, below = (at * full // small for at in (start, stop, first, last))
        found.append((slice(top, bottom), slice(first, last), below - above, slice(top - above, bottom - above)))
    return found


def _check(luma_small: Plane, ab_small: Plane, luma_full: Plane) -> None:
    if luma_small.ndim != 2 or ab_small.shape != (*luma_small.shape, 2) or luma_full.ndim != 2:
        raise ShapeError(
            f"luma {luma_small.shape} and chroma {ab_small.shape} must agree in height and width, and the frame's luma "
            f"{luma_full.shape} must be a plane"
        )


def _around(weight: Plane, full: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Rows and columns in which a weight may show, at working size and in the frame, up to borders of both."""
    boxes = []
    for axis, (small, count) in enumerate(zip(weight.shape, full, strict=True)):
        at = np.flatnonzero(weight.any(axis=1 - axis))
        step = small // gcd(small, count)
        # Two pixels beyond it, its coefficients and bounds are 0.
        start = max(0, int(at[0]) - 2 * RADIUS) // step * step
        stop = min(small, -(-(int(at[-1]) + 1 + 2 * RADIUS) // step) * step)
        boxes.append((slice(start, stop), slice(start * count // small, stop * count // small)))
    (tall, down), (wide, along) = boxes
    return (tall, wide), (down, along)


def _brought_up(luma_small: Plane, planes: Sequence[Plane], luma: Plane, tile: _Tile) -> list[Plane]:
    """Bring planes of one tile up along its luma."""
    if luma_small.shape == luma.shape:
        return [np.ascontiguousarray(plane) for plane in planes]
    size = (2 * RADIUS + 1, 2 * RADIUS + 1)

    def mean(plane: Plane) -> Plane:
        return np.asarray(cv2.blur(plane, size, borderType=cv2.BORDER_REFLECT_101), np.float32)

    def fine(plane: NDArray[Any]) -> Plane:
        return np.asarray(cv2.resize(plane, tile.size, interpolation=cv2.INTER_LINEAR)[tile.cut], np.float32)

    mean_l = mean(luma_small)
    variance = np.maximum(mean(luma_small * luma_small) - mean_l * mean_l, 0) + np.float32(EPSILON)
    kernel = np.ones((3, 3), np.uint8)
    out = []
    for plane in map(np.ascontiguousarray, planes):  # plane by plane: NumPy is slow along an axis of two
        mean_p = mean(plane)
        covariance = mean(luma_small * plane) - mean_l * mean_p
        fitted = covariance / variance
        varied = np.maximum(mean(plane * plane) - mean_p * mean_p, np.float32(1e-6))
        explained = np.minimum(covariance * fitted / varied, 1)
        slope = fitted * explained**DOUBT
        # What the fit leaves over stays in the offset, so that the luma at working size gives the plane itself.
        offset = plane - slope * luma_small
        made = cv2.add(cv2.multiply(fine(slope), luma), fine(offset))
        made = cv2.min(cv2.max(made, fine(cv2.erode(plane, kernel))), fine(cv2.dilate(plane, kernel)))
        out.append(np.asarray(made, np.float32))
    return out
