"""Points and strokes followed as what they are: places on a surface, not planes that are resampled.

A point, and each sample of a stroke, has one position. On every frame three answers compete for it: where the frame
before had it, where the walk finds its place of the keyframe, and where the camera alone would take it. On an even
surface, where a vector means nothing, the camera's answer is taken as long as the keyframe's surroundings are seen
there. What none of them finds is hidden; it is found again when one is sure, however long that takes. So a point keeps
its size, does not wander over a wall, and comes back when the hand before it has gone.

Source: Kalal et al. 2010, "Forward-backward error" (answers that must lead back); Shi & Tomasi 1994, "Good features to
track" (surroundings compared with those of the first frame).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.camera import camera_motion
from core.film.colour import Array
from hints.footprint import Line, drawn
from hints.propagate import GOOD_STEP, Place, Step, evenness

VERSION = 1

# Surroundings that are compared, and how they count  [px at the walk's size].
_REACH, _SPREAD = 4, 2.0
# Their mean luma difference that leaves a belief of 1/e, and by how much changing light may differ  [L*].
_AGREEMENT, _LIGHT = 6.0, 3.0
# Where luma varies less than this, a vector lands on the same surface wherever it points  [L*].
_EVEN = 2.5
# An answer must lead back to within this  [px at the walk's size].
_BACK = 1.0
# Belief from which what was seen before is seen still, and from which what was hidden is found again.
SEEN, FOUND = 0.35, 0.7
# The camera's answer is taken on an even surface where it is believed nearly as well as the others.
_NEARLY = 0.9
# What is known only from the frame before is believed so much less than what the keyframe confirms.
_UNCONFIRMED = 0.7
_MOST_SAMPLES = 300  # of one stroke


@dataclass(frozen=True, eq=False)
class _Samples:
    """Positions of all points and strokes that go along one walk.

    Attributes:
        at: x and y  [(P, 2) float32 px at the walk's size, centres at whole numbers]
        worn: how well the steps so far held  [(P,) float32 [0, 1]]
        seen: which are on the frame          [(P,) bool]
        trust: how far each is known          [(P,) float32 [0, 1]]
    """

    at: Array
    worn: Array
    seen: NDArray[np.bool_]
    trust: Array


class Dots:
    """Follows points and strokes of one keyframe to one side. Fulfils `hints.follow.Follower`.

    Args:
        lines: of each track, at working size.
        luma: the keyframe's, at the walk's size  [(h, w) float32 [0, 100] L*]
        size: (H, W) at which they are drawn.
    """

    def __init__(self, lines: Sequence[Line], luma: Array, size: tuple[int, int]) -> None:
        self._lines = [_sampled(line) for line in lines]
        self._size = size
        self._scale = np.array([luma.shape[1] / size[1], luma.shape[0] / size[0]], np.float32)
        path = np.concatenate([line.path for line in self._lines])
        self._key = np.asarray(path * self._scale - np.float32(0.5), np.float32)
        self._shown = _patches(luma, self._key)
        deviation = np.sqrt(np.maximum(_mean(self._shown**2) - _mean(self._shown) ** 2, 0))
        self._even = deviation < _EVEN
        ones = np.ones(len(path), np.float32)
        self._samples = _Samples(self._key.copy(), ones, _inside(self._key, luma.shape), ones)

    def advance(self, step: Step, luma: Array, look: Array | None) -> list[tuple[Array, Array]]:
        """See `hints.follow.Follower`."""
        self._samples = self._followed(step)
        told, start = [], 0
        for line in self._lines:
            part = slice(start, start + len(line.path))
            told.append(self._drawn(line, part))
            start = part.stop
        return told

    def _followed(self, step: Step) -> _Samples:
        was = self._samples
        chained, leads_back = _led(step.before, was.at)
        worn = was.worn * np.minimum(_sampled_plane(step.before.trust, chained) / np.float32(GOOD_STEP), 1)
        worn = np.where(was.seen & leads_back, worn, np.float32(0))
        direct, leads_back = _led(step.best, self._key)
        sure = np.where(leads_back, _sampled_plane(step.best.trust, direct), np.float32(0))
        still = _by_camera(step, self._key)

        of_chained = np.minimum(self._belief(step, chained), worn)
        of_direct = np.minimum(self._belief(step, direct), sure)
        of_still = self._belief(step, still)
        best = np.maximum(of_chained, of_direct)
        by_camera = (self._even & (of_still >= _NEARLY * best)) | (of_still > np.maximum(best, FOUND))
        at = np.where((of_direct >= of_chained)[:, None], direct, chained)
        at = np.where(by_camera[:, None], still, at)
        known = np.where(by_camera, of_still, best)
        # What the keyframe's surroundings do not confirm, for it turned or the light did, goes on by its steps.
        lost = known < SEEN
        at = np.where((lost & (worn >= SEEN))[:, None], chained, at)
        trust = np.maximum(known, np.float32(_UNCONFIRMED) * worn)
        seen = np.where(was.seen, np.maximum(known, worn) >= SEEN, known >= FOUND) & _inside(at, step.luma.shape)
        worn = np.where(seen, np.maximum(worn, known), np.float32(0))
        return _Samples(np.asarray(at, np.float32), worn, seen, np.where(seen, trust, np.float32(0)))

    def _belief(self, step: Step, at: Array) -> Array:
        """How well the keyframe's surroundings are seen about other places  [(P,) float32 [0, 1]]."""
        apart = _patches(step.luma, at) - self._shown
        apart -= np.clip(_mean(apart), -_LIGHT, _LIGHT)[:, None]
        error = _mean(np.minimum(np.abs(apart), np.float32(20)))
        belief = np.exp(-((error / np.float32(_AGREEMENT)) ** 2)) * _inside(at, step.luma.shape)
        return np.asarray(belief, np.float32)

    def _drawn(self, line: Line, part: slice) -> tuple[Array, Array]:
        """Cover and trust of one track's samples at working size."""
        samples = self._samples
        seen, trust = samples.seen[part], samples.trust[part]
        path = (samples.at[part] + np.float32(0.5)) / self._scale
        cover, trusted = np.zeros(self._size, np.float32), np.zeros(self._size, np.float32)
        apart = 2 * np.hypot(*np.diff(line.path, axis=0).T) + 2
        start = 0
        for i in range(len(path)):
            goes_on = i + 1 < len(path) and seen[i] and seen[i + 1]
            if goes_on and np.hypot(*(path[i + 1] - path[i])) <= apart[i]:
                continue
            if seen[start]:
                some = slice(start, i + 1)
                mine = drawn(Line(path[some], line.radius), self._size)
                trusted = np.where(mine > cover, np.float32(trust[some].mean()), trusted)
                cover = np.maximum(cover, mine)
            start = i + 1
        return cover[None], trusted


def _sampled(line: Line) -> Line:
    """A line by samples about as far apart as it is thick, so that each part of it may go its own way."""
    if len(line.path) == 1:
        return line
    lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line.path, axis=0).T))])
    count = int(np.clip(np.ceil(lengths[-1] / max(line.radius, 2.0)), 1, _MOST_SAMPLES)) + 1
    along = np.linspace(0, lengths[-1], count)
    path = np.stack([np.interp(along, lengths, line.path[:, i]) for i in (0, 1)], axis=1)
    return Line(np.asarray(path, np.float32), line.radius)


def _led(place: Place, to: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Where a frame shows what lies at places of another one, and whether it leads back there.

    Args:
        place: where each pixel of the frame is found on the other.
        to: x and y on that other one  [(P, 2) float32 px]

    Returns:
        x and y on the frame  [(P, 2) float32 px], and whether that was found  [(P,) bool]
    """
    h, w = place.x.shape
    at = _shown_where(place, to)
    for _ in range(3):
        back = np.stack([_sampled_plane(place.x, at), _sampled_plane(place.y, at)], axis=1)
        at = at - (back - to)
        at = np.clip(at, -1, np.array([w, h], np.float32))
    back = np.stack([_sampled_plane(place.x, at), _sampled_plane(place.y, at)], axis=1)
    return at, np.asarray(np.hypot(*(back - to).T) < _BACK)


def _shown_where(place: Place, to: Array) -> Array:
    """The pixel that leads nearest to each of some places, the most believed of those that lead next to it."""
    h, w = place.x.shape
    x, y = np.rint(place.x).astype(np.intp).ravel(), np.rint(place.y).astype(np.intp).ravel()
    lands = np.flatnonzero((x >= 0) & (x < w) & (y >= 0) & (y < h))
    # Of all that land on one pixel the most believed comes last, and stays.
    lands = lands[np.argsort(np.rint(place.trust.ravel()[lands] * 255).astype(np.uint8), kind="stable")]
    from_where = np.full((h + 2) * (w + 2), -1, np.intp)
    from_where[(y[lands] + 1) * (w + 2) + x[lands] + 1] = lands
    column = np.clip(np.rint(to[:, 0]).astype(np.intp), 0, w - 1)
    row = np.clip(np.rint(to[:, 1]).astype(np.intp), 0, h - 1)
    beside = [from_where[(row + dy) * (w + 2) + column + dx] for dy in (0, 1, 2) for dx in (0, 1, 2)]
    near = np.stack(beside)
    belief = np.where(near >= 0, place.trust.ravel()[near], np.float32(-1))
    best = np.take_along_axis(near, belief.argmax(axis=0)[None], axis=0)[0]
    found = np.stack([best % w, best // w], axis=1).astype(np.float32)
    # What lands a pixel off began as much off.
    back = np.stack([place.x.ravel()[best], place.y.ravel()[best]], axis=1)
    return np.asarray(np.where((best >= 0)[:, None], found - (back - to), to), np.float32)


def _by_camera(step: Step, to: Array) -> Array:
    """Where the camera alone would have taken places of the keyframe  [(P, 2) float32 px]."""
    # On an even surface a vector agrees with the luma wherever it points.
    flow = camera_motion(step.best.flow, step.best.trust * (1 - evenness(step.luma)))
    at = to
    for _ in range(4):
        moved = np.stack([_sampled_plane(np.ascontiguousarray(flow[..., i]), at) for i in (0, 1)], axis=1)
        at = to - moved
    return np.asarray(at, np.float32)


def _sampled_plane(plane: Array, at: Array) -> Array:
    """A plane at places between its pixels; beyond its edge, as at the edge  [(P,) float32]."""
    x, y = (np.ascontiguousarray(at[:, i : i + 1]) for i in (0, 1))
    return np.asarray(cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0], np.float32)


def _patches(luma: Array, at: Array) -> Array:
    """Surroundings of places  [(P, N) float32 L*]."""
    y, x = np.mgrid[-_REACH : _REACH + 1, -_REACH : _REACH + 1].astype(np.float32)
    along, down = at[:, :1] + x.ravel(), at[:, 1:] + y.ravel()
    return np.asarray(cv2.remap(luma, along, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _mean(patches: Array) -> Array:
    """Over surroundings, the middle counting most  [(P,) float32]."""
    side = cv2.getGaussianKernel(2 * _REACH + 1, _SPREAD)
    return np.asarray(patches @ (side @ side.T).ravel().astype(np.float32), np.float32)


def _inside(at: Array, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    h, w = shape
    x, y = at.T
    return np.asarray((x >= -0.5) & (x <= w - 0.5) & (y >= -0.5) & (y <= h - 0.5))
