"""Where a hint lies on its keyframe, as soft coverage at working size.

Source coordinates have pixel centres at .5, so a scale is a plain factor. Edges are anti-aliased, and nothing
vanishes: what is smaller than a working pixel still covers one.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.film.colour import Array
from hints.hint import RADIUS, WIDTH, Hint

# A dot of this radius covers at least one pixel's centre wherever it falls (half the pixel's diagonal).
_LEAST_RADIUS = 0.75


@dataclass(frozen=True, eq=False)
class Line:
    """A point or a stroke.

    Attributes:
        path: x and y of its corners; of a point, the only one  [(K, 2) float32 px, centres at .5]
        radius: half its thickness                              [px]
    """

    path: Array
    radius: float


def footprint(hint: Hint, source_size: tuple[int, int], size: tuple[int, int]) -> Array:
    """Coverage of a hint on its keyframe.

    Args:
        hint: any kind; a reference covers what its still gives.
        source_size: (H, W) of the source picture that the hint's coordinates are of.
        size: (h, w) of the result.

    Returns:
        [(h, w) float32 [0, 1]]; its largest value is 1 wherever any of the hint lies in the picture
    """
    if hint.image is not None:
        return hint.image.chroma(size)[2]
    if hint.mask is not None:
        return mask_coverage(hint.mask.inside, size)
    line = line_of(hint, source_size, size)
    return np.zeros(size, np.float32) if line is None else drawn(line, size)


def line_of(hint: Hint, source_size: tuple[int, int], size: tuple[int, int]) -> Line | None:
    """Where a point or a stroke lies on its keyframe, at a size; None of a hint of another shape.

    Args:
        hint: any kind.
        source_size: (H, W) of the source picture that the hint's coordinates are of.
        size: (h, w) of the frame it is wanted on.
    """
    if hint.mask is not None or hint.image is not None:
        return None
    scale = np.array([size[1] / source_size[1], size[0] / source_size[0]], np.float32)
    mean = float(scale.mean())
    if hint.path is not None:
        return Line(np.asarray(hint.path, np.float32) * scale, (hint.width or WIDTH) / 2 * mean)
    if hint.xy is not None:
        return Line(np.asarray([hint.xy], np.float32) * scale, (hint.radius or RADIUS) * mean)
    return None


def mask_coverage(inside: NDArray[np.bool_], size: tuple[int, int]) -> Array:
    """Share of each working pixel that a mask covers.

    Args:
        inside: [(H, W) bool]
        size: (h, w) of the result

    Returns:
        [(h, w) float32 [0, 1]]; a mask too small to fill a pixel is raised so that its largest value is 1
    """
    whole = inside.astype(np.float32)
    if whole.shape == size:
        return whole
    smaller = size[0] * size[1] < whole.size
    way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    cover = np.asarray(cv2.resize(whole, (size[1], size[0]), interpolation=way), np.float32)
    peak = float(cover.max())
    return cover / np.float32(peak) if 0 < peak < 1 else cover


def drawn(line: Line, size: tuple[int, int]) -> Array:
    """All pixels within the radius of a line, their edge half a pixel soft to each side  [(h, w) float32 [0, 1]]."""
    radius = max(line.radius, _LEAST_RADIUS)
    cover = np.zeros(size, np.float32)
    x, y = (_about(line.path[:, i], radius + 1.0, size[1 - i]) for i in (0, 1))
    if x.size and y.size:
        distance = np.full((y.size, x.size), np.inf, np.float32)
        for a, b in zip(line.path, line.path[1:] if len(line.path) > 1 else line.path, strict=False):
            _lower(distance, x, y, a, b, radius + 1.0)
        patch = np.clip(radius + 0.5 - distance, 0.0, 1.0)
        peak = patch.max()
        cover[y[0] : y[-1] + 1, x[0] : x[-1] + 1] = patch / peak if peak > 0 else patch
    return cover


def _about(along: Array, reach: float, size: int) -> NDArray[np.intp]:
    """Pixels of one axis that lie within reach of a path's corners; none where it lies outside."""
    return np.arange(max(0, int(along.min() - reach)), min(size, int(max(along.max() + reach, -1.0)) + 1))


def _lower(distance: Array, x: NDArray[np.intp], y: NDArray[np.intp], a: Array, b: Array, reach: float) -> None:
    """Lower the distances near one segment, in place; what is further than ``reach`` is left alone."""
    right = slice(*np.searchsorted(x, (int(min(a[0], b[0]) - reach), int(max(a[0], b[0]) + reach) + 1)))
    down = slice(*np.searchsorted(y, (int(min(a[1], b[1]) - reach), int(max(a[1], b[1]) + reach) + 1)))
    patch = distance[down, right]
    to_x = (x[right].astype(np.float32) + np.float32(0.5) - a[0])[None, :]
    to_y = (y[down].astype(np.float32) + np.float32(0.5) - a[1])[:, None]
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = dx * dx + dy * dy
    along = np.clip((to_x * dx + to_y * dy) / length, 0, 1) if length > 0 else np.zeros_like(to_x + to_y)
    np.minimum(patch, np.hypot(to_x - along * dx, to_y - along * dy).astype(np.float32), out=patch)
