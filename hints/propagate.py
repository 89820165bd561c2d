"""Carry what is said on a keyframe through its shot, in one direction, along the film's motion.

`walk` follows the motion away from a keyframe and tells, frame by frame, where each pixel is found on the keyframe:
several answers compete, namely the composed chain of steps, a direct flow from the keyframe, and no motion at all;
each is believed as far as the keyframe's luma, seen through it, agrees with the frame's. `Carrier` applies a walk
to planes (masks, chroma). It takes them from the keyframe itself wherever that is trusted, so that nothing is blurred
or drifts by being resampled a hundred times; elsewhere it goes on with what it had one frame before, and where even
that step fails (what was hidden comes into view) it fills along the surfaces that the luma shows. Because what is
filled is carried on, it does not flicker.

Both stream: memory does not grow with the shot's length. Most walks go at half the working size (`hints.prepared`),
where they cost a quarter; what they find is brought to the size of the planes that are carried (`Step.enlarged`), so
that these stay as sharp as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from core.film.colour import Array
from core.flow import FindsQuickly, FlowEstimator, FlowPair, working_size
from core.solver import smooth

VERSION = 6

WALKING_LONG_SIDE = 320

# Mean luma difference over a window that leaves a trust of 1/e [L*], and the window's spread [px at 640 wide].
AGREEMENT_LUMA = 6.0
WINDOW_PX = 11
# Where luma varies less than this over the window, a vector that fails its checks lands on the same surface [L*].
FLAT_LUMA = 2.5
# Motion below this is taken for none where staying put explains the luma as well [px].
STILL_PX = 1.5
# A step that passes its checks this well is a good step: grain alone must not wear trust down over a shot.
GOOD_STEP = 0.85
# Share of a well-carried state against a perfectly agreeing keyframe (0.5² : 1²).
STATE = 0.5
# Below this hold, values are drawn towards the fill; the fill's reach and its borders.
FILL_BELOW = 0.9
FILL_SIGMA_LUMA = 1.5
FILL_SMOOTHNESS = 200.0
# Filling happens at this fraction of the working size: both better and faster than at full size.
FILL_SHRINK = 2
# What was filled is believed no more than this, and no less than the other: a guess along a surface beats none.
FILLED_TRUST = 0.35
LEAST_TRUST = 0.12
_ALL = (slice(None), slice(None))
_MARGIN = 10  # pixels of a small frame about what is worked out of it: wider than what is kept about a mask


class Motion(Protocol):
    """Luma and flow of one sequence, at working size."""

    def luma(self, n: int) -> Array:
        """L* of frame ``n``  [(h, w) float32 [0, 100]]."""
        ...

    def luma_key(self, n: int) -> str:
        """Content key of that luma."""
        ...

    def pair(self, n: int) -> FlowPair:
        """Flow between frames ``n`` and ``n + 1`` of one shot."""
        ...


@dataclass(frozen=True)
class Part:
    """The same part of a frame at two sizes.

    Attributes:
        here: rows and columns of the small frame.
        there: rows and columns of the large one.
    """

    here: tuple[slice, slice]
    there: tuple[slice, slice]

    @property
    def size(self) -> tuple[int, int]:
        """(w, h) in the large frame."""
        rows, columns = self.there
        return columns.stop - columns.start, rows.stop - rows.start

    @staticmethod
    def about(meant: NDArray[np.bool_], shape: tuple[int, int]) -> Part | None:
        """What lies about some pixels of a small frame, with a margin for whoever looks beside them.

        Args:
            meant: pixels of the small frame  [(h, w) bool]
            shape: (H, W) of the large one.

        Returns:
            None: no pixel is meant.
        """
        here = box_about(meant, _MARGIN)
        times = shape[0] // meant.shape[0]
        if here is None:
            return None
        if shape != (times * meant.shape[0], times * meant.shape[1]):  # no part begins on a pixel of both
            return Part((slice(0, meant.shape[0]), slice(0, meant.shape[1])), (slice(0, shape[0]), slice(0, shape[1])))
        rows, columns = (slice(side.start * times, side.stop * times) for side in here)
        return Part(here, (rows, columns))


@dataclass(frozen=True, eq=False)
class Place:
    """Where each pixel of a frame is found on another, and how far that is believed.

    Attributes:
        x, y: pixel coordinates there  [(h, w) float32 px, centres at whole numbers as OpenCV has it]
        trust: [(h, w) float32 [0, 1]]
    """

    x: Array
    y: Array
    trust: Array

    def of(self, plane: Array) -> Array:
        """A plane of that frame as this frame sees it  [(h, w) or (h, w, c) float32]."""
        return np.asarray(
            cv2.remap(plane, self.x, self.y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32
        )

    @property
    def flow(self) -> Array:
        """From here to there  [(h, w, 2) float32 px]."""
        home = _home(*self.x.shape)
        return np.dstack([self.x - home.x, self.y - home.y])

    def enlarged(self, size: tuple[int, int], part: Part | None = None) -> Place:
        """The same at another size (w, h) of both frames; or only a part of this frame, then of that part's size."""
        h, w = self.x.shape
        here, there = (_ALL, _ALL) if part is None else (part.here, part.there)
        # Where a pixel's middle lies in a frame of another size; the shift by half pixels is that of `cv2.resize`.
        along, down = np.float32(size[0] / w), np.float32(size[1] / h)
        home, larger = _home(h, w), _home(size[1], size[0])
        shape = size if part is None else part.size
        dx, dy = (resized(to[here] - at[here], shape) for to, at in ((self.x, home.x), (self.y, home.y)))
        return Place(larger.x[there] + along * dx, larger.y[there] + down * dy, resized(self.trust[here], shape))


@dataclass(frozen=True, eq=False)
class Step:
    """One frame of a walk.

    Attributes:
        n: the frame.
        luma: its L*                                                  [(h, w) float32]
        before: where its pixels were one frame nearer to the keyframe
        sources: where they may be on the keyframe, each with its share (the shares sum to 1)
        best: where they most likely are on the keyframe
        anew: share of the keyframe's own values against the state carried so far  [(h, w) float32 [0, 1]]
        hold: how far either is believed                              [(h, w) float32 [0, 1]]
        trust: how far the result is known from the keyframe          [(h, w) float32 [0, 1]]
    """

    n: int
    luma: Array
    before: Place
    sources: tuple[Place, ...]
    best: Place
    anew: Array
    hold: Array
    trust: Array

    def enlarged(self, luma: Array) -> Step:
        """The same step of a larger frame, whose luma this is  [(H, W) float32 L*]."""
        h, w = luma.shape
        if (h, w) == self.luma.shape:
            return self
        return Step(
            self.n,
            luma,
            self.before.enlarged((w, h)),
            tuple(place.enlarged((w, h)) for place in self.sources),
            self.best.enlarged((w, h)),
            *(resized(plane, (w, h)) for plane in (self.anew, self.hold, self.trust)),
        )


def box_about(meant: NDArray[np.bool_], margin: int) -> tuple[slice, slice] | None:
    """Rows and columns of all that is meant, and of as many pixels to each side of it; None: nothing is."""
    rows, columns = np.flatnonzero(meant.any(axis=1)), np.flatnonzero(meant.any(axis=0))
    if rows.size == 0:
        return None
    h, w = meant.shape
    return (
        slice(max(0, int(rows[0]) - margin), min(h, int(rows[-1]) + 1 + margin)),
        slice(max(0, int(columns[0]) - margin), min(w, int(columns[-1]) + 1 + margin)),
    )


def size_within(plane: Array, longest: int) -> tuple[int, int]:
    """(w, h) of a frame of this plane's shape with a long side of ``longest`` at most, never enlarged."""
    h, w = working_size(plane.shape[0], plane.shape[1], longest)
    return w, h


def walking_size(plane: Array) -> tuple[int, int]:
    """(w, h) at which walks go through frames of this plane's size."""
    return size_within(plane, WALKING_LONG_SIDE)


def resized(plane: Array, size: tuple[int, int]) -> Array:
    """A plane at another size (w, h): brought down by area, or up linearly  [(h, w) float32]."""
    if plane.shape == (size[1], size[0]):
        return plane
    way = cv2.INTER_AREA if plane.shape[1] > size[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(plane, np.float32), size, interpolation=way), np.float32)


def walk(
    motion: Motion,
    keyframe: int,
    frames: Sequence[int],
    estimator: FlowEstimator | None = None,
    *,
    quick: bool = False,
) -> Iterator[Step]:
    """Follow the motion from a keyframe through frames that lie one after another to one side of it.

    Args:
        motion: luma and flow of the sequence.
        keyframe: where the walk begins.
        frames: ``keyframe + 1, keyframe + 2, …`` or ``keyframe - 1, keyframe - 2, …``.
        estimator: finds the direct flow from the keyframe; None: none competes.
        quick: have it rougher where the estimator can: enough for outlines, which look for themselves.

    Yields:
        One step per frame, in the order of ``frames``.

    Cost: about 10 ms a frame at 320x240 on two cores, and the estimator's.
    """
    luma_key = motion.luma(keyframe)
    h, w = luma_key.shape
    home = _home(h, w)
    chain, trust = home, np.ones((h, w), np.float32)
    previous = keyframe
    for n in frames:
        luma = motion.luma(n)
        flat = evenness(luma)
        before = _excused(_place_before(motion, n, previous, home), flat, luma, motion.luma(previous))
        worn = before.of(trust) * np.minimum(before.trust / np.float32(GOOD_STEP), 1)
        here = Place(before.of(chain.x), before.of(chain.y), worn)
        places = [here]
        if estimator is not None:
            places.append(_excused(_direct(estimator, luma_key, luma, home, quick), flat, luma, luma_key))
        places.append(_still(places, home))
        beliefs = [p.trust * _agreement(luma, p.of(luma_key)) for p in places]
        chosen = _shares(places, beliefs)
        known = np.asarray(reduce(np.maximum, beliefs), np.float32)
        chain = _best(places, beliefs)
        share = known**2 / np.maximum(known**2 + (STATE * before.trust) ** 2, np.float32(1e-9))
        anew = np.asarray(share, np.float32)
        hold = np.asarray(np.maximum(known, np.float32(0.8) * before.trust), np.float32)
        trust = np.maximum(worn, known)
        yield Step(n, luma, before, chosen, chain, anew, hold, _trusted(known, worn, hold))
        previous = n


class Carrier:
    """Planes of one keyframe, carried along one walk.

    Args:
        planes: what is carried  [(K, h, w) float32]
    """

    def __init__(self, planes: Array) -> None:
        self.planes = np.ascontiguousarray(planes, np.float32)
        self.state = self.planes

    def advance(self, step: Step) -> Array:
        """The planes at the next frame of the walk  [(K, h, w) float32]."""
        carried = _planes(step.before, self.state)
        anew = np.zeros_like(carried)
        for place in step.sources:
            anew += place.trust * _planes(place, self.planes)
        values = carried + step.anew * (anew - carried)
        lacking = 1 - np.clip(step.hold / np.float32(FILL_BELOW), 0, 1)
        if lacking.any():
            values += lacking * (_filled(step.luma, values, step.hold) - values)
        self.state = values
        return values


def crisp(cover: Array) -> Array:
    """Steepen a carried mask's border to about the softness of its keyframe's  [(h, w) float32 [0, 1]]."""
    return np.asarray(np.clip((cover - np.float32(0.5)) * np.float32(2) + np.float32(0.5), 0, 1), np.float32)


@lru_cache(maxsize=8)
def _home(h: int, w: int) -> Place:
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    return Place(x, y, np.ones((h, w), np.float32))


def _place_before(motion: Motion, n: int, previous: int, home: Place) -> Place:
    if n == previous + 1:
        pair = motion.pair(previous)
        flow, trust = pair.backward, pair.backward_trust
    else:
        pair = motion.pair(n)
        flow, trust = pair.forward, pair.forward_trust
    return Place(home.x + flow[..., 0], home.y + flow[..., 1], trust)


def _direct(estimator: FlowEstimator, luma_key: Array, luma: Array, home: Place, quick: bool) -> Place:
    find = estimator.quick_pair if quick and isinstance(estimator, FindsQuickly) else estimator.pair
    pair = find(luma_key, luma)
    return Place(home.x + pair.backward[..., 0], home.y + pair.backward[..., 1], pair.backward_trust)


def _still(places: Sequence[Place], home: Place) -> Place:
    """No motion at all, believed where another answer is nearly that: static film is known as static."""
    trust = np.zeros_like(home.trust)
    for place in places:
        distance = np.hypot(place.x - home.x, place.y - home.y)
        near = np.exp(-((distance / np.float32(STILL_PX)) ** 2))
        np.maximum(trust, near, out=trust)
    return Place(home.x, home.y, trust)


def _agreement(luma: Array, seen: Array) -> Array:
    """How well a frame is explained by the keyframe seen through a place  [(h, w) float32 [0, 1]]."""
    h, w = luma.shape
    difference = luma - seen
    # What is smooth over an eighth of the frame is flicker or changing light, not another surface.
    eighth = (w // 8 * 2 + 1, h // 8 * 2 + 1)
    difference -= cv2.boxFilter(difference, -1, eighth, borderType=cv2.BORDER_REFLECT_101)
    error = np.minimum(np.abs(difference), np.float32(20))
    window = _window(luma)
    error = np.asarray(cv2.GaussianBlur(error, (window, window), 0), np.float32)
    return np.asarray(np.exp(-((error / np.float32(AGREEMENT_LUMA)) ** 2)), np.float32)


def evenness(luma: Array) -> Array:
    """Where a frame shows one even surface, so that a vector need not be right to be harmless  [(h, w) [0, 1]]."""
    window = _window(luma)
    soft = np.asarray(cv2.GaussianBlur(luma, (0, 0), 1.0), np.float32)  # grain is no border
    mean = np.asarray(cv2.blur(soft, (window, window)), np.float32)
    variance = np.maximum(np.asarray(cv2.blur(soft * soft, (window, window)), np.float32) - mean * mean, 0)
    return np.asarray(np.exp(-variance / np.float32(FLAT_LUMA**2)), np.float32)


def _excused(place: Place, flat: Array, luma: Array, there: Array) -> Place:
    """A failed check counts less on an even surface; what leaves the picture, or that surface, has no excuse."""
    h, w = flat.shape
    inside = (place.x >= 0) & (place.x <= w - 1) & (place.y >= 0) & (place.y <= h - 1)
    same = _agreement(luma, place.of(there))
    trust = np.maximum(place.trust, np.float32(0.9) * flat * same * inside)
    return Place(place.x, place.y, np.asarray(trust, np.float32))


def _window(luma: Array) -> int:
    return int(max(3, round(WINDOW_PX * max(luma.shape) / 640) // 2 * 2 + 1))


def _shares(places: Sequence[Place], beliefs: Sequence[Array]) -> tuple[Place, ...]:
    """The places with shares in the result for trust: the believed ones take nearly all."""
    powers = [np.square(np.square(b)) for b in beliefs]
    # Where nothing is believed, the chain is all there is.
    powers[0] = np.where(reduce(np.add, powers) > 1e-12, powers[0], np.float32(1))
    total = reduce(np.add, powers)
    return tuple(Place(p.x, p.y, np.asarray(q / total, np.float32)) for p, q in zip(places, powers, strict=True))


def _best(places: Sequence[Place], beliefs: Sequence[Array]) -> Place:
    """The most believed place of each pixel; ties go to the first."""
    x, y, most = places[0].x, places[0].y, beliefs[0]
    for place, belief in zip(places[1:], beliefs[1:], strict=True):
        better = belief > most
        x, y, most = np.where(better, place.x, x), np.where(better, place.y, y), np.maximum(most, belief)
    return Place(x, y, most)


def _trusted(known: Array, worn: Array, hold: Array) -> Array:
    """Trust of the result: as known from the keyframe, or carried step by step, or merely filled."""
    filled = np.maximum(np.float32(FILLED_TRUST) * hold, np.float32(LEAST_TRUST))
    trust = np.maximum(np.maximum(known, worn * np.float32(0.7)), filled)
    return np.asarray(trust, np.float32)


def _planes(place: Place, planes: Array) -> Array:
    """Planes seen through a place, each by itself: what is carried beside it must not change a bit of it."""
    return np.stack([place.of(plane) for plane in planes])


def _filled(luma: Array, values: Array, hold: Array) -> Array:
    """Values drawn along the surfaces of the luma from where they hold to where they do not  [(K, h, w)]."""
    h, w = luma.shape
    size = max(1, w // FILL_SHRINK), max(1, h // FILL_SHRINK)

    def small(plane: Array) -> Array:
        return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)

    weight = np.maximum(hold, np.float32(1e-3)) ** 2
    planes = [small(plane * weight) for plane in values]
    solved = smooth(
        small(luma),
        np.stack([*planes, small(weight)]),
        sigma_luma=FILL_SIGMA_LUMA,
        smoothness=FILL_SMOOTHNESS,
    )
    ratio = solved[:-1] / np.maximum(solved[-1], np.float32(1e-20))
    back = [cv2.resize(np.ascontiguousarray(p), (w, h), interpolation=cv2.INTER_LINEAR) for p in ratio]
    return np.asarray(np.stack(back), np.float32)
