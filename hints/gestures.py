"""What a person draws to mark an object, as the clicks and the box that every segmenter takes.

A lasso says that the object lies within a loop, a brush that what it passes over belongs to the object or does not. The
segmenter finds the border; what was drawn stands, to the pixel, whatever the segmenter answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from core.errors import InputError
from core.film.colour import Array
from hints.segment import Box, Click, Inside, Segmenter

Path = tuple[tuple[float, float], ...]
# A stroke is told to the segmenter by clicks this far apart at most, in widths, and so many of them at most: a network
# takes its time for each.
APART, MOST = 1.0, 12
# Clicks outside around a lasso, and how far beyond it, as a share of the picture's long side: a loop drawn upon the
# object's border would else say that the border itself is outside, and a click has some width.
AROUND, BEYOND = 8, 0.02
# Where nobody said what lies within a lasso belongs to the object, its middles do that are this deep at least, as a
# share of the deepest. The best of eight settings on eight frames of clips with true masks.
DEEP = 0.3


@dataclass(frozen=True)
class Stroke:
    """One stroke of the brush.

    Attributes:
        path: its points, pixel centres at .5  [px]
        width: [px]
        inside: whether it adds to the object, or takes away.
    """

    path: Path
    width: float
    inside: bool

    def __post_init__(self) -> None:
        if not self.path:
            raise InputError("brush: the stroke has no point")
        if not (np.isfinite(self.width) and self.width > 0):
            raise InputError(f"brush: its width {self.width} is not a positive number of pixels")


def marked(
    segmenter: Segmenter,
    picture: Array,
    points: Sequence[Click],
    box: Box | None = None,
    lasso: Path | None = None,
    strokes: Sequence[Stroke] = (),
) -> Inside:
    """The object that is meant by all that was drawn.

    Args:
        segmenter: finds its border.
        picture: [(H, W, 3) float32 [0, 1] R'G'B'] or [(H, W) float32 L* [0, 100]]
        points: (x, y, whether inside)     [px]
        box: (left, top, right, bottom)    [px]
        lasso: a loop around the object    [px]
        strokes: of the brush, in order; where two cross, the later one counts.

    Returns:
        [(H, W) bool]

    Raises:
        InputError: nothing says where the object is, or something lies outside the picture.
    """
    h, w = picture.shape[:2]
    clicks = list(points)
    if lasso is not None:
        loop = _filled((h, w), lasso)
        box, beyond = _around(loop)
        # Without a border of its own a box would let the segmenter take its corners for the object's surroundings.
        clicks += [(x, y, False) for x, y in beyond]
        if not any(inside for *_, inside in points) and not any(stroke.inside for stroke in strokes):
            clicks += [(x, y, True) for x, y in _middles(loop)]
    for stroke in strokes:
        _check((h, w), stroke.path, "brush")
        count = 1 + int(_length(stroke.path) / (APART * stroke.width))
        clicks += [(x, y, stroke.inside) for x, y in _spread(stroke.path, min(count, MOST))]
    found = np.array(segmenter.segment(picture, clicks, box), bool)
    if lasso is not None:
        found &= loop
    for stroke in strokes:
        found[_painted((h, w), stroke)] = stroke.inside
    return found


def _check(size: tuple[int, int], path: Path, what: str) -> None:
    h, w = size
    for x, y in path:
        if not (0 <= x <= w and 0 <= y <= h):
            raise InputError(f"{what}: ({x:g}, {y:g}) is outside the picture, which is {w}x{h}")


def _filled(size: tuple[int, int], lasso: Path) -> Inside:
    _check(size, lasso, "lasso")
    inside = np.zeros(size, np.uint8)
    if len(lasso) >= 3:
        cv2.fillPoly(inside, [np.floor(np.array(lasso)).astype(np.int32)], 1)
    if np.count_nonzero(inside) < 4 or len(lasso) < 3:
        raise InputError("lasso: the loop holds nothing; draw it around the object")
    return inside > 0


def _around(loop: Inside) -> tuple[Box, list[tuple[float, float]]]:
    """The box some way beyond a filled loop, and places evenly around it; none where the picture ends before."""
    far = max(2.0, BEYOND * max(loop.shape))
    away = cv2.distanceTransform((~loop).astype(np.uint8), cv2.DIST_L2, 5)
    wide = away < far
    contours, _ = cv2.findContours(wide.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    ring = contours[0][:, 0]
    ring = ring[away[ring[:, 1], ring[:, 0]] > far - 2]
    chosen = ring[((np.arange(AROUND) + 0.5) / AROUND * len(ring)).astype(np.intp)] if len(ring) else ring
    return _bounds(wide), [(float(x) + 0.5, float(y) + 0.5) for x, y in chosen]


def _middles(loop: Inside) -> list[tuple[float, float]]:
    """The deepest places of a filled loop, each outside the disc that touches the loop about the ones before."""
    depth = cv2.distanceTransform(np.pad(loop.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1].copy()
    enough = DEEP * depth.max()
    places: list[tuple[float, float]] = []
    while len(places) < MOST and depth.max() >= enough:
        y, x = (int(i) for i in np.unravel_index(int(depth.argmax()), depth.shape))
        places.append((x + 0.5, y + 0.5))
        cv2.circle(depth, (x, y), max(2, int(depth[y, x])), 0.0, -1)
    return places


def _bounds(inside: Inside) -> Box:
    ys, xs = np.nonzero(inside)
    return float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1)


def _painted(size: tuple[int, int], stroke: Stroke) -> Inside:
    cover = np.zeros(size, np.uint8)
    path = np.floor(np.array(stroke.path)).astype(np.int32)
    cv2.polylines(cover, [path], False, 1, max(1, round(stroke.width)))
    cv2.circle(cover, (int(path[0, 0]), int(path[0, 1])), max(0, round(stroke.width / 2)), 1, -1)
    return cover > 0


def _length(path: Path) -> float:
    return float(np.sum(np.linalg.norm(np.diff(np.array(path), axis=0), axis=1)))


def _spread(path: Path, count: int) -> list[tuple[float, float]]:
    """So many places evenly along a path."""
    points = np.array(path, float)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = (np.arange(count) + 0.5) / count * along[-1]
    xs, ys = (np.interp(at, along, points[:, i]) if len(points) > 1 else np.repeat(points[0, i], count) for i in (0, 1))
    return [(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]
