"""Region by click: the object under a few clicks, without any checkpoint.

Clicks spread over the picture by geodesic distance, which grows with every luma and texture edge that is crossed. Of
the outlines at equal distance the one that lies best on edges is taken; appearance models of inside and outside
(GrabCut, at small size) then move it to where they part, and the film's own luma sharpens it at full size. What the
clicks do not depend on is worked out once per picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from core.contract.fingerprint import fingerprint
from core.contract.plugins import Plugins
from core.errors import InputError
from core.film.colour import Array, luma_of, srgb_to_lab

Click = tuple[float, float, bool]
Box = tuple[float, float, float, float]
Inside = NDArray[np.bool_]

LONG_SIDE = 224
CLICK_RADIUS_PX = 2
# Length of a step across an edge of 1 L*, against 1 for a step across none.
_EDGE_LENGTH = 1.5
_LEVELS = 24
_SHARES = (0.002, 0.6)


@runtime_checkable
class Segmenter(Protocol):
    """Turns clicks into a mask."""

    def segment(self, picture: Array, points: Sequence[Click], box: Box | None = None) -> Inside:
        """The object that is meant.

        Args:
            picture: [(H, W, 3) float32 [0, 1] R'G'B'] or [(H, W) float32 L* [0, 100]]
            points: (x, y, whether inside), pixel centres at .5  [px]
            box: (left, top, right, bottom) around the object    [px]

        Returns:
            [(H, W) bool]

        Raises:
            InputError: neither a click inside nor a box is given, or a click lies outside the picture.
        """
        ...


@dataclass(frozen=True, eq=False)
class _Prepared:
    """What depends on the picture alone, at small size."""

    key: str
    luma: Array
    features: NDArray[np.uint8]
    edges: Array
    graph: csr_matrix


class GeodesicSegmenter:
    """The classical segmenter. Keeps what it worked out of the last picture."""

    name = "geodesic"

    def __init__(self) -> None:
        self._last: _Prepared | None = None

    def segment(self, picture: Array, points: Sequence[Click], box: Box | None = None) -> Inside:
        """See `Segmenter.segment`.

        Cost: about 60 ms a click at 640x480 on two cores, and as much again for the first on a picture.

        Source: Bai & Sapiro 2009 (geodesic matting); Rother et al. 2004 (GrabCut); He et al. 2013 (guided filter).
        """
        check_clicks(picture, points, box)
        prepared = self._prepared(picture)
        h, w = prepared.luma.shape
        scale = (w / picture.shape[1], h / picture.shape[0])
        inside = [(x * scale[0], y * scale[1]) for x, y, positive in points if positive]
        outside = [(x * scale[0], y * scale[1]) for x, y, positive in points if not positive]
        room = _room((h, w), box, scale)
        if not inside:
            rows, columns = np.nonzero(room)
            inside = [(float(columns.mean()) + 0.5, float(rows.mean()) + 0.5)]
        first = _outlined(prepared, inside, outside, room)
        refined = _parted(prepared, first, inside, outside, room)
        return _sharpened(refined, picture)

    def _prepared(self, picture: Array) -> _Prepared:
        key = fingerprint(picture)
        if self._last is None or self._last.key != key:
            self._last = _prepare(picture, key)
        return self._last


def check_clicks(picture: Array, points: Sequence[Click], box: Box | None) -> None:
    """Refuse clicks that mean nothing.

    Raises:
        InputError: neither a click inside nor a box is given, or one lies outside the picture.
    """
    h, w = picture.shape[:2]
    if box is None and not any(positive for _, _, positive in points):
        raise InputError("segment: click once inside the object, or draw a box around it")
    for x, y, _ in points:
        if not (0 <= x <= w and 0 <= y <= h):
            raise InputError(f"segment: the click ({x:g}, {y:g}) is outside the picture, which is {w}x{h}")
    if box is not None:
        left, top, right, bottom = box
        if not (left < right and top < bottom and right > 0 and bottom > 0 and left < w and top < h):
            raise InputError(f"segment: the box {box} does not lie in the picture, which is {w}x{h}")


def _prepare(picture: Array, key: str) -> _Prepared:
    lab = _small_lab(picture)
    luma = np.asarray(cv2.bilateralFilter(np.ascontiguousarray(lab[..., 0]), 7, 8.0, 3.0), np.float32)
    mean = cv2.blur(lab[..., 0], (5, 5))
    texture = np.sqrt(np.maximum(cv2.blur(lab[..., 0] ** 2, (5, 5)) - mean**2, 0))
    tint = lab[..., 1:] * np.float32(1.5)
    planes = np.dstack([luma, 2 * cv2.blur(texture, (5, 5)), cv2.blur(tint, (3, 3))]).astype(np.float32)
    coloured = float(np.abs(lab[..., 1:]).mean()) > 1.0
    broad = np.asarray(cv2.GaussianBlur(luma, (0, 0), 3), np.float32)
    shown = [planes[..., 0], planes[..., 2] + 50, planes[..., 3] + 50] if coloured else [luma, planes[..., 1], broad]
    features = np.clip(np.dstack(shown) * 2.55, 0, 255).astype(np.uint8)
    edges = np.hypot(cv2.Sobel(luma, -1, 1, 0, scale=0.125), cv2.Sobel(luma, -1, 0, 1, scale=0.125))
    return _Prepared(key, luma, features, np.asarray(edges, np.float32), _graph(planes))


def _small_lab(picture: Array) -> Array:
    h, w = picture.shape[:2]
    scale = min(1.0, LONG_SIDE / max(h, w))
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)
    if small.ndim == 2:
        return np.dstack([small, np.zeros((*small.shape, 2), np.float32)])
    return srgb_to_lab(small)


def _graph(planes: Array) -> csr_matrix:
    """Pixels as nodes, steps to the eight neighbours as edges whose length grows with what is crossed."""
    h, w = planes.shape[:2]
    number = np.arange(h * w, dtype=np.int32).reshape(h, w)
    rows, columns, lengths = [], [], []
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = (slice(0, h - dy), slice(max(0, -dx), w - max(0, dx)))
        there = (slice(dy, h), slice(max(0, dx), w - max(0, -dx)))
        crossed = np.sqrt(np.sum((planes[here] - planes[there]) ** 2, axis=-1))
        length = np.float32(np.hypot(dy, dx)) * np.float32(0.15) + np.float32(_EDGE_LENGTH) * crossed
        rows.append(number[here].ravel())
        columns.append(number[there].ravel())
        lengths.append(length.ravel())
    return csr_matrix((np.concatenate(lengths), (np.concatenate(rows), np.concatenate(columns))), shape=(h * w, h * w))


def _room(size: tuple[int, int], box: Box | None, scale: tuple[float, float]) -> Inside:
    """Where the object may lie at all."""
    room = np.ones(size, bool)
    if box is not None:
        h, w = size
        left, right = int(box[0] * scale[0]), int(np.ceil(box[2] * scale[0]))
        top, bottom = int(box[1] * scale[1]), int(np.ceil(box[3] * scale[1]))
        room[:] = False
        room[max(0, top) : min(h, max(bottom, top + 1)), max(0, left) : min(w, max(right, left + 1))] = True
    return room


def _discs(size: tuple[int, int], points: Sequence[tuple[float, float]]) -> Inside:
    """Small discs at the clicks."""
    disc = np.zeros(size, np.uint8)
    for x, y in points:
        at = (min(int(x), size[1] - 1), min(int(y), size[0] - 1))
        cv2.circle(disc, at, CLICK_RADIUS_PX, 1, -1)
    return disc.astype(bool)


def _distance(prepared: _Prepared, seeds: Inside) -> Array:
    found = dijkstra(prepared.graph, directed=False, indices=np.flatnonzero(seeds), min_only=True)
    return np.asarray(found, np.float32).reshape(prepared.luma.shape)


def _outlined(
    prepared: _Prepared,
    inside: Sequence[tuple[float, float]],
    outside: Sequence[tuple[float, float]],
    room: Inside,
) -> Inside:
    """The outline of equal geodesic distance that lies best on edges."""
    size = prepared.luma.shape[0], prepared.luma.shape[1]
    near = _distance(prepared, _discs(size, inside))
    allowed = room.copy()
    if outside:
        allowed &= near < _distance(prepared, _discs(size, outside))
    allowed |= _discs(size, inside)
    reach = np.sort(near[allowed])
    low, high = (reach[min(reach.size - 1, int(share * room.size))] for share in _SHARES)
    best, most = allowed & (near <= high), -1.0
    for level in np.linspace(low, high, _LEVELS):
        cut = (allowed & (near <= level)).astype(np.uint8)
        rim = cut - cv2.erode(cut, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
        if not rim.any():
            continue
        # The mean edge along the outline; longer outlines at the same mean are the likelier object.
        strength = float(prepared.edges[rim > 0].mean()) * float(rim.sum()) ** 0.25
        if strength > most:
            best, most = np.asarray(cut > 0), strength
    return np.asarray(best, bool)


def _parted(
    prepared: _Prepared,
    first: Inside,
    inside: Sequence[tuple[float, float]],
    outside: Sequence[tuple[float, float]],
    room: Inside,
) -> Inside:
    """Move the outline to where the appearance of inside and outside parts; keep the parts that were clicked."""
    size = first.shape[0], first.shape[1]
    clicked = _discs(size, inside)
    labels = np.where(first, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    reach = max(3, round(0.06 * max(size))) | 1
    labels[cv2.dilate(first.astype(np.uint8), np.ones((reach, reach), np.uint8)) == 0] = cv2.GC_BGD
    labels[~room] = cv2.GC_BGD
    labels[_discs(size, outside)] = cv2.GC_BGD
    labels[clicked] = cv2.GC_FGD
    if (labels == cv2.GC_BGD).any():
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.setRNGSeed(0)  # GrabCut draws its first clusters by chance; a click must always give the same mask
        cv2.grabCut(prepared.features, labels, None, *models, 2, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    found = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    _, parts = cv2.connectedComponents(found.astype(np.uint8), connectivity=4)
    kept = np.asarray(np.isin(parts, np.unique(parts[clicked & found])) & found, bool)
    return _without_holes(kept, _discs(size, outside))


def _without_holes(mask: Inside, keep_out: Inside) -> Inside:
    """Holes are filled unless a click lies in them."""
    padded = np.pad(mask.astype(np.uint8), 1)
    _, parts = cv2.connectedComponents(1 - padded, connectivity=4)
    background = parts[0, 0]
    parts = parts[1:-1, 1:-1]
    spared = set(np.unique(parts[keep_out & ~mask]).tolist()) | {int(background)}
    return np.asarray(mask | ~np.isin(parts, list(spared)) & ~mask)


def _sharpened(mask: Inside, picture: Array) -> Inside:
    """A small mask at full size, its border on the picture's own."""
    h, w = picture.shape[:2]
    soft = np.asarray(cv2.resize(mask.astype(np.float32), (w, h), interpolation=cv2.INTER_LINEAR), np.float32)
    if (h, w) == mask.shape:
        return mask
    luma = picture if picture.ndim == 2 else luma_of(picture)
    radius = max(2, round(1.5 * w / mask.shape[1]))
    return np.asarray(_guided(luma / np.float32(100), soft, radius, 1e-4) > 0.5)


def _guided(guide: Array, plane: Array, radius: int, epsilon: float) -> Array:
    size = (2 * radius + 1, 2 * radius + 1)

    def mean(a: Array) -> Array:
        return np.asarray(cv2.blur(a, size), np.float32)

    mean_g, mean_p = mean(guide), mean(plane)
    slope = (mean(guide * plane) - mean_g * mean_p) / (mean(guide * guide) - mean_g**2 + np.float32(epsilon))
    return mean(slope) * guide + mean(mean_p - slope * mean_g)


def register(plugins: Plugins) -> None:
    """Add the segmenter that always works."""
    plugins.segmenters.add(GeodesicSegmenter.name, lambda device: GeodesicSegmenter())
