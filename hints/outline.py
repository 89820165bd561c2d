"""A region's outline, followed by what the region looks like.

Motion alone loses what moves fast, turns or is crossed: errors add up, and the mask melts. Here a mask is told from its
surroundings by appearance as well. On the keyframe a small classifier learns which places are the region's, from luma,
texture and what a network sees in the frame; on every frame it speaks beside the motion, most where the motion is least
believed, and it learns on as light and pose change, never forgetting the keyframe. What motion carried well is left as
it is, to the pixel.

The classifier is a ridge regression over a fixed random hidden layer: its statistics are sums over samples, so that it
is solved, not trained, and learning on is adding.

Source: Huang, Zhu & Siew 2006, "Extreme learning machine"; Bai et al. 2009, "Video SnapCut" (appearance beside motion,
each by how well it tells the object); Barnich & Van Droogenbroeck 2011 (learning on from one's own answers).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from core.camera import camera_motion
from core.film.colour import Array
from core.guided import upsample_chroma
from hints.evidence import ASIDE_PX, Backdrop, bent, by_motion, by_surface
from hints.propagate import WALKING_LONG_SIDE, Part, Step, resized, size_within, walking_size

VERSION = 9
Inside = NDArray[np.bool_]

ASKED_LONG_SIDE = 240  # of the grid of places that are asked what they look like [px]
HIDDEN = 160  # width of the classifier's hidden layer
RIDGE = 1e-2  # of the mean square of its features
KEPT = 0.8  # share of what was learned on the way that the next frame leaves
LOUD = 4.0  # odds (natural log) that one frame's appearance may speak with
SAMPLES = (1500, 1500, 600)  # inside, near the region, anywhere outside: on the keyframe
MORE_SAMPLES = (250, 250, 100)  # and on each frame after it
NEAR_PX, REACH_PX = 61, 31  # windows about the region: of what it is told from, and of where it may be next [px at 320]
SURE = 0.7  # probability from which an answer is learned from
# How loud motion step by step, appearance and motion from the keyframe speak; appearance yields to believed motion.
BY_STEP, BY_LOOKS, BY_KEYFRAME, YIELDS = 1.0, 0.5, 0.75, 0.9
# How loud motion beside the camera's, and what was seen behind, speak beside looks.
BY_MOTION, BY_BACKDROP = 4.0, 1.0
# Mean trust of the motion over the region, and around a pixel, between which the mask that motion carried is kept.
CARRIED_WELL, CARRIED_HERE = (0.6, 0.9), (0.5, 0.9)
# Odds between which appearance takes away belief in a motion it speaks against: on even ground any motion seems right.
AGAINST = (1.5, 3.0)
# A region of which less than this share of its keyframe's area is left is looked for in the whole frame. What looks
# like it must do so beyond doubt (odds), and be of its size within a factor.
LOST, BEYOND_DOUBT, OF_ITS_SIZE = 0.05, 3.0, 4.0
# A region leaves when less than this share of its keyframe's area still goes back to it, and of that this share at the
# least lies so near to the picture's edge [px at 320]; it has left when of what is followed no more than the last does.
LEAVING, AT_EDGE, EDGE_PX, GONE = 0.6, 0.6, 24, 0.15
LEAST = 0.01  # cover below which nothing is there
SETTLES = 1 / 96  # by how much a frame raises tenure: slowly, for what leaks in stays
KNOWN = 0.95  # trust in what appearance is sure of


class Outline:
    """One region's mask, followed away from its keyframe to one side.

    Args:
        cover: the mask on the keyframe  [(H, W) float32 [0, 1]]
        luma: the keyframe's, at the size of outlines  [(h, w) float32 [0, 100] L*]
        look: the keyframe's, as of `look_of`
    """

    def __init__(self, cover: Array, luma: Array, look: Array) -> None:
        self._size = walking_size(cover)
        self._draw = np.random.default_rng(0)
        self._painted, self._keyframe = cover, resized(cover, self._size)
        self._cover = self._tenure = self._keyframe
        inside = self._cover > 0.5
        self._area = int(inside.sum())
        self._leaving = self._gone = False
        self._grid = asked_size(cover)
        self._classifier = Classifier(*self._samples(look, SAMPLES, 0.5))
        self._backdrop = Backdrop(luma, self._cover)

    def advance(self, step: Step, luma: Array, carried: Array, look: Array) -> tuple[Array, Array, Array]:
        """Follow the region to the walk's next frame.

        Args:
            step: of the walk, at the size of outlines.
            luma: the frame's, at the size of the mask            [(H, W) float32 [0, 100] L*]
            carried: the mask as motion from the keyframe has it  [(h, w) float32 [0, 1]]
            look: the frame's, as of `look_of`

        Returns:
            Cover, trust, and tenure: how far a place goes back, along the motion, to what the keyframe shows of the
            region, and was not won on the way  [(H, W) float32 [0, 1] each]
        """
        before, mask, trust = step.before.of(self._cover), np.clip(carried, 0, 1), step.trust
        if (before > 0.5).sum() < LOST * self._area:
            self._gone = self._gone or self._leaving
            self._cover = found = self._sought(look)
            self._tenure = np.float32(SETTLES) * found
            self._leaving, self._gone = False, self._gone and not found.any()
            self._backdrop.forget()
            return self._enlarged(step, luma, found, np.zeros_like(found))
        possible = self._around(np.maximum(before, mask) > 0.3, REACH_PX)
        odds = self._by_looks(look, possible)
        told = self._told(step, before)
        side = np.where(mask > 0.5, np.float32(-1), np.float32(1))
        # Looks must not speak for it: motion alone errs on water and smoke.
        doubted = np.minimum(side * odds + 1, side * (odds + told))
        against = _between(doubted, AGAINST) * possible
        trust = trust * (1 - cv2.GaussianBlur(against, (0, 0), 2.0))
        # What has just come into view is not the region's unless it looks so, twice as clearly as elsewhere.
        new = 1 - step.before.trust
        by_step = np.float32(BY_STEP) * _odds(before) * (1 - 0.7 * new) - new
        heard = by_step + np.float32(BY_LOOKS) * ((1 + new) * odds + told)
        heard = heard * (1 - np.float32(YIELDS) * trust) + np.float32(BY_KEYFRAME) * trust * _odds(mask)
        heard += by_surface(step.luma, _chance(heard) * possible)
        found = _chance(heard) * possible
        kept = self._kept(mask, trust) * (1 - against)
        self._cover = found + kept * (mask - found)
        self._tenure = self._cover * np.minimum(step.before.of(self._tenure) + np.float32(SETTLES), 1)
        if self._has_left():
            self._gone, nothing = True, np.zeros_like(found)
            self._cover = self._tenure = nothing
            self._classifier.forget()  # it learned on from what was taken for the region
            self._backdrop.forget()
            return self._enlarged(step, luma, nothing, nothing)
        self._classifier.learn(*self._samples(look, MORE_SAMPLES, SURE))
        self._backdrop.learn(step.luma, self._cover)
        return self._enlarged(step, luma, found, kept)

    def _has_left(self) -> bool:
        """Whether what goes back to the keyframe has gone over the picture's edge; what is still followed is not it."""
        edge = max(1, round(EDGE_PX * max(self._size) / WALKING_LONG_SIDE))
        own, inner = (float(part.sum()) for part in (self._tenure, self._tenure[edge:-edge, edge:-edge]))
        self._leaving = own < LEAVING * self._area and (self._leaving or inner < (1 - AT_EDGE) * own)
        return self._leaving and own < GONE * float(self._cover.sum())

    def _told(self, step: Step, before: Array) -> Array:
        """Odds by how places move, and by whether they show what stood behind  [(h, w) float32]."""
        flow = step.before.flow
        beside = step.before.trust * ~self._around(before > 0.3, ASIDE_PX)
        camera = camera_motion(flow, beside)
        moves = by_motion(flow, camera, step.before.trust, before, self._around(before > 0.5, NEAR_PX))
        behind = self._backdrop.odds(step.luma, bent(camera, flow, beside), beside, before)
        return np.asarray(np.float32(BY_MOTION) * moves + np.float32(BY_BACKDROP) * behind, np.float32)

    def _sought(self, look: Array) -> Array:
        """The region where it may have come into view again, or nothing  [(h, w) float32 [0, 1]]."""
        width, height = self._size
        odds = cv2.GaussianBlur(self._by_looks(look, np.ones((height, width), np.bool_)), (0, 0), 1.5)
        count, labels, facts, _ = cv2.connectedComponentsWithStats((odds > 0).astype(np.uint8), connectivity=8)
        best, much = np.zeros((height, width), np.float32), BEYOND_DOUBT
        for label in range(1, count):
            here = labels == label
            if self._gone and not _at_edge(here):
                continue  # what has left comes back where it can
            like = float(np.percentile(odds[here], 75))
            if like > much and 1 / OF_ITS_SIZE < facts[label, cv2.CC_STAT_AREA] / self._area < OF_ITS_SIZE:
                best, much = here.astype(np.float32), like
        return np.asarray(cv2.GaussianBlur(best, (0, 0), 1.0), np.float32)

    def _kept(self, mask: Array, trust: Array) -> Array:
        """How far the mask that motion carried stands as it is  [(h, w) float32 [0, 1]]."""
        inside = mask > 0.5
        well = _between(trust[inside].mean(keepdims=True), CARRIED_WELL) if inside.any() else np.zeros(1, np.float32)
        here = _between(np.asarray(cv2.GaussianBlur(trust, (0, 0), 8.0), np.float32), CARRIED_HERE)
        return np.asarray(np.maximum(here, well), np.float32)

    def _by_looks(self, look: Array, possible: Inside) -> Array:
        """Odds by looks where the region is possible at all  [(h, w) float32, within ±`LOUD`]."""
        asked = resized(possible.astype(np.float32), self._grid) > 0
        odds = np.full(asked.shape, -LOUD, np.float32)
        odds[asked] = np.clip(self._classifier.odds(look[asked.ravel()]), -LOUD, LOUD)
        return resized(odds, self._size)

    def _samples(self, look: Array, counts: tuple[int, int, int], sure: float) -> tuple[Array, Inside]:
        """Looks of places that surely are the region's or are not, and which of them are."""
        cover = resized(self._cover, self._grid)
        inside = cover > 0.5
        chosen = self._choose(inside, np.abs(cover - np.float32(0.5)) >= sure - 0.5, counts)
        return look[chosen], inside.ravel()[chosen]

    def _enlarged(self, step: Step, luma: Array, found: Array, kept: Array) -> tuple[Array, Array, Array]:
        """Cover, trust and tenure at the mask's size, the border along the luma's; away from the mask all are 0."""
        cover, trust, tenure = np.zeros((3, *luma.shape), np.float32)
        carried = kept * step.best.of(self._keyframe)
        part = Part.about(np.maximum(found, carried) > LEAST, luma.shape)
        if part is None:
            return cover, trust, tenure
        here, there = part.here, part.there
        sure = cv2.GaussianBlur(np.abs(2 * found - 1), (0, 0), 2.0) * (found > 0.5)
        small = np.dstack([found[here], sure[here]]).astype(np.float32)
        up = upsample_chroma(np.ascontiguousarray(step.luma[here]), small, luma[there])
        shown = up[..., 0]
        if carried.any():  # of what motion carried, every pixel of the mask as it was painted
            painted = step.best.enlarged((luma.shape[1], luma.shape[0]), part).of(self._painted)
            shown = shown + resized(kept[here], part.size) * (np.clip(painted, 0, 1) - shown)
        cover[there] = np.clip(shown, 0, 1)
        trust[there] = np.maximum(resized(step.trust[here], part.size), np.float32(KNOWN) * np.clip(up[..., 1], 0, 1))
        tenure[there] = resized(self._tenure[here], part.size)
        return cover, trust, tenure

    def _choose(self, inside: Inside, sure: Inside, counts: tuple[int, int, int]) -> NDArray[np.intp]:
        """Places to learn from: of the region, near it, and anywhere else."""
        chosen = []
        for which, count in zip((inside, ~inside & self._around(inside, NEAR_PX), ~inside), counts, strict=True):
            places = np.flatnonzero(which & sure)
            chosen.append(self._draw.choice(places, min(count, len(places)), replace=False))
        return np.concatenate(chosen)

    def _around(self, inside: Inside, px: int) -> Inside:
        side = max(3, round(px * max(inside.shape) / WALKING_LONG_SIDE) // 2 * 2 + 1)
        return np.asarray(cv2.dilate(inside.astype(np.uint8), np.ones((side, side), np.uint8)) > 0)


def look_of(luma: Array, seen: Array, places: tuple[int, int] | None = None) -> Array:
    """What every place of a frame looks like: the same for all outlines that are followed through it.

    Args:
        luma: the frame's  [(H, W) float32 [0, 100] L*]
        seen: its features, as of `core.models.colouriser.Looks`
        places: (w, h) of their grid; None: the size of outlines.

    Returns:
        Of each place, row by row  [(h * w, C) float32]
    """
    w, h = places or walking_size(luma)
    tones = _tones(resized(luma, (w, h)))
    look = np.empty((h, w, seen.shape[2] + len(tones)), np.float32)
    for k, plane in enumerate(tones):
        look[..., k] = plane
    if seen.shape[2]:
        look[..., len(tones) :] = cv2.resize(seen, (w, h), interpolation=cv2.INTER_LINEAR).reshape(h, w, -1)
    return look.reshape(h * w, -1)


def asked_size(plane: Array) -> tuple[int, int]:
    """(w, h) of the grid of places that are asked what they look like, in a frame of this plane's size."""
    return size_within(plane, ASKED_LONG_SIDE)


class Classifier:
    """Ridge regression to +1 and -1 over a random hidden layer; both classes weigh the same."""

    def __init__(self, look: Array, inside: Inside) -> None:
        chance = np.random.default_rng(0)
        self._mean, self._scale = look.mean(axis=0), look.std(axis=0) + np.float32(1e-3)
        width = look.shape[1]
        mix = (chance.standard_normal((width, HIDDEN)) / np.sqrt(width)).astype(np.float32)
        # Bringing looks to one scale is part of the mixing: a frame has many places.
        self._mix = mix / self._scale[:, None]
        self._shift = chance.uniform(-1, 1, HIDDEN).astype(np.float32) - self._mean @ self._mix
        self._first = self._sums(look, inside)
        self._later = tuple(np.zeros_like(part) for part in self._first)
        self._solve()

    def learn(self, look: Array, inside: Inside) -> None:
        """Learn from one more frame; one that shows too little of either class teaches nothing."""
        if min(inside.sum(), (~inside).sum()) < 20:
            return
        sums = self._sums(look, inside)
        self._later = tuple(KEPT * old + (1 - KEPT) * new for old, new in zip(self._later, sums, strict=True))
        self._solve()

    def forget(self) -> None:
        """Know the keyframe alone."""
        self._later = tuple(np.zeros_like(part) for part in self._first)
        self._solve()

    def odds(self, look: Array) -> Array:
        """Natural logarithm of the odds that places are the region's  [(P,) float32]."""
        bent = look @ self._mix
        bent += self._shift
        np.maximum(bent, 0, out=bent)
        straight, rest = self._weights[HIDDEN:-1] / self._scale, self._weights[-1]
        told = bent @ self._weights[:HIDDEN] + look @ straight + (rest - self._mean @ straight)
        return np.asarray(np.float32(LOUD) * told, np.float32)

    def _hidden(self, look: Array) -> Array:
        bent = np.maximum(look @ self._mix + self._shift, 0)
        return np.concatenate([bent, (look - self._mean) / self._scale, np.ones((len(look), 1), np.float32)], axis=1)

    def _sums(self, look: Array, inside: Inside) -> tuple[Array, Array]:
        hidden = self._hidden(look)
        share = np.where(inside, 0.5 / max(1, inside.sum()), 0.5 / max(1, (~inside).sum())).astype(np.float32)
        return (hidden.T * share) @ hidden, (hidden.T * share) @ np.where(inside, 1, -1).astype(np.float32)

    def _solve(self) -> None:
        between, towards = (a + b for a, b in zip(self._first, self._later, strict=True))
        ridge = RIDGE * np.trace(between) / len(between)
        self._weights = np.linalg.solve(between + ridge * np.eye(len(between)), towards).astype(np.float32)


def _tones(luma: Array) -> list[Array]:
    """Luma and how much it varies, from near to far, and which way its lines run  [(h, w) float32 each]."""
    planes = []
    for sigma in (1.0, 2.0, 4.0, 8.0):
        mean = cv2.GaussianBlur(luma, (0, 0), sigma)
        variance = np.maximum(cv2.GaussianBlur(luma * luma, (0, 0), sigma) - mean * mean, 0)
        planes += [mean / np.float32(20), np.log1p(np.sqrt(variance))]
    soft = cv2.GaussianBlur(luma, (0, 0), 1.0)
    for dx, dy in ((1, 0), (0, 1)):
        slope = cv2.Sobel(soft, cv2.CV_32F, dx, dy) / np.float32(20)
        planes.append(np.sqrt(cv2.GaussianBlur(slope * slope, (0, 0), 3.0)))
    return [np.asarray(plane, np.float32) for plane in planes]


def _at_edge(inside: Inside) -> bool:
    return bool(inside[[0, -1]].any() or inside[:, [0, -1]].any())


def _odds(share: Array) -> Array:
    clear = np.clip(share, np.float32(1e-3), np.float32(1 - 1e-3))
    return np.asarray(np.log(clear / (1 - clear)), np.float32)


def _chance(odds: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-odds)), np.float32)


def _between(value: Array, ends: tuple[float, float]) -> Array:
    """0 at the first end, 1 at the second."""
    low, high = ends
    return np.asarray(np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1), np.float32)
