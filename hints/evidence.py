"""What tells a region from its surroundings beside its looks: its motion, what stood behind it, where its surface ends.

A wall may look like a coat, but it moves with the camera, and the coat with its wearer; what was seen beside the coat
before it came there is seen again behind it when it has gone; and near its border a thing is told by the tones to
both sides of that very place. Each speaks in odds (natural logarithm, positive: the region's), and is silent where it
knows nothing: where all moves alike, where what is behind was never seen, far from any border.

Sources: Bai et al. 2009, "Video SnapCut" (local tones); Criminisi et al. 2006, "Bilayer segmentation of live video"
(motion as a likelihood ratio); Sawhney & Ayer 1996 (what is behind, held in place by the camera's motion).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from core.film.colour import Array

Inside = NDArray[np.bool_]

# Motion beside the camera's falls into bins, finer where it is small: so many to each side, so many per factor e.
BINS, PER_FACTOR, FINEST_PX = 24, 5.0, 0.5
BLURRED = 2.0  # bins by which a motion's likelihood is smoothed
MOTION_CAP, RARE = 3.0, 2e-4
# What is behind: tolerance in deviations of the picture's noise, and per L* of slope; the odds' bound; the share of
# what was seen that a frame leaves; and how likely a tone is that the region never showed.
NOISES, SLOPES, BEHIND_CAP, KEPT, UNSEEN = 2.0, 0.7, 3.0, 0.99, 2e-3
LEAST_NOISE, TONE = 0.7, 2.5  # [L*]
# Beside a region by this much is surely not the region; and how wide what is beside it is gathered [px].
ASIDE_PX, BESIDE_PX = 11, 12.0
# Surfaces: how far from the border tones are gathered, by what window, and how far beyond the core they are asked [px].
CORE_PX, WINDOW_PX, BEYOND_PX = 3, 8.0, 2
SURFACE_CAP, LEAST_VARIANCE = 3.0, 9.0


def by_motion(flow: Array, camera: Array, sure: Array, region: Array, near: Inside) -> Array:
    """Odds of every place by how it moves beside the camera's motion.

    Args:
        flow: to the frame before              [(h, w, 2) float32 px]
        camera: the camera's share of it       [(h, w, 2) float32 px]
        sure: how far it is believed           [(h, w) float32 [0, 1]]
        region: as the frame before had it     [(h, w) float32 [0, 1]]
        near: the surroundings it is told from [(h, w) bool]

    Returns:
        Odds  [(h, w) float32, within ±`MOTION_CAP`]
    """
    side = 2 * BINS + 1
    bins = [_binned(flow[..., k] - camera[..., k]) for k in (1, 0)]
    bin_of = (bins[0] * side + bins[1]).ravel()
    inside = region > 0.5

    def likelihood(weight: Array) -> Array:
        counts = np.bincount(bin_of, weight.ravel(), side * side).reshape(side, side).astype(np.float32)
        smooth = np.asarray(cv2.GaussianBlur(counts, (0, 0), BLURRED), np.float32)
        return np.asarray(smooth / (smooth.sum() + 1e-6) + RARE, np.float32)

    ratio = np.log(likelihood(region * sure * inside) / likelihood((1 - region) * sure * (near & ~inside)))
    odds = np.clip(ratio, -MOTION_CAP, MOTION_CAP).astype(np.float32).ravel()[bin_of].reshape(region.shape)
    return np.asarray(cv2.GaussianBlur(odds * sure, (0, 0), 1.5), np.float32)


class Backdrop:
    """What stands behind a region, as far as it was ever seen beside it.

    Args:
        luma: the keyframe's        [(h, w) float32 L*]
        region: its mask there      [(h, w) float32 [0, 1]]
    """

    def __init__(self, luma: Array, region: Array) -> None:
        self._luma = _soft(luma)
        self._seen = _aside(region).astype(np.float32)

    def odds(self, luma: Array, camera: Array, beside: Array, region: Array) -> Array:
        """Odds of every place by whether it shows what was seen behind.

        Args:
            luma: the frame's                            [(h, w) float32 L*]
            camera: its motion to the frame before       [(h, w, 2) float32 px]
            beside: what is surely not the region        [(h, w) float32 [0, 1]]
            region: as the frame before had it           [(h, w) float32 [0, 1]]

        Returns:
            Odds  [(h, w) float32, within ±`BEHIND_CAP`], 0 where nothing was ever seen behind
        """
        h, w = luma.shape
        y, x = np.mgrid[0:h, 0:w].astype(np.float32)
        x, y = x + camera[..., 0], y + camera[..., 1]
        moved = cv2.remap(self._luma, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        self._luma = np.asarray(moved, np.float32)
        seen = cv2.remap(self._seen, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        self._seen = np.asarray(seen, np.float32) * np.float32(KEPT)
        now, known = _soft(luma), self._seen > 0.5
        apart = cv2.GaussianBlur(np.abs(now - self._luma), (0, 0), 1.5)
        slope = np.hypot(*(cv2.Sobel(self._luma, cv2.CV_32F, *d) / np.float32(8) for d in ((1, 0), (0, 1))))
        told = apart[known & (beside > 0.3)]
        noise = max(LEAST_NOISE, float(np.median(told)) if told.size else 3.0)
        tolerance = np.float32(NOISES * noise) + np.float32(SLOPES) * cv2.GaussianBlur(slope, (0, 0), 1.5)
        behind = np.exp(-apart / tolerance) / tolerance + np.float32(1e-3)
        tones = np.clip(now / np.float32(TONE), 0, 40).astype(np.int32)
        shown = np.bincount(tones[region > 0.5], minlength=41).astype(np.float32)
        shown = cv2.GaussianBlur(shown[None], (0, 0), 1.5)[0]
        own = (0.8 / TONE * shown / (shown.sum() + 1e-6) + UNSEEN)[tones]
        odds = np.clip(np.log(own / behind), -BEHIND_CAP, BEHIND_CAP) * known
        return np.asarray(cv2.GaussianBlur(odds.astype(np.float32), (0, 0), 1.0), np.float32)

    def forget(self) -> None:
        """Know nothing any more: the walk has lost the place."""
        self._seen = np.zeros_like(self._seen)

    def learn(self, luma: Array, region: Array) -> None:
        """Remember what stands beside the region on this frame."""
        aside = _aside(region)
        self._luma = np.where(aside, _soft(luma), self._luma)
        self._seen = np.where(aside, np.float32(1), self._seen)


def by_surface(luma: Array, region: Array) -> Array:
    """Odds of places near the border by the tones to both sides of it.

    Args:
        luma: the frame's           [(h, w) float32 L*]
        region: what is believed of it so far  [(h, w) float32 [0, 1]]

    Returns:
        Odds  [(h, w) float32, within ±`SURFACE_CAP`], 0 away from the border and along what is too thin to have a core
    """
    side = 2 * CORE_PX + 1
    inside, kernel = (region > 0.5).astype(np.uint8), np.ones((side, side), np.uint8)
    core, other = cv2.erode(inside, kernel), cv2.erode(1 - inside, kernel).astype(np.float32)
    of_core, mean_in, spread_in = _spread(luma, core * region)
    of_other, mean_out, spread_out = _spread(luma, other)
    ratio = (luma - mean_out) ** 2 / spread_out - (luma - mean_in) ** 2 / spread_in + np.log(spread_out / spread_in)
    reach = 2 * (CORE_PX + BEYOND_PX) + 1
    asked = cv2.GaussianBlur(cv2.dilate(core, np.ones((reach, reach), np.uint8)).astype(np.float32), (0, 0), 1.5)
    asked *= np.clip(of_other / np.float32(0.05), 0, 1) * np.clip(of_core / np.float32(0.01), 0, 1)
    return np.asarray(asked * np.clip(ratio / 2, -SURFACE_CAP, SURFACE_CAP), np.float32)


def bent(camera: Array, flow: Array, beside: Array) -> Array:
    """The camera's motion behind a region, bent to what moves right beside it: the ground is no plane.

    Args:
        camera: the whole picture's motion    [(h, w, 2) float32 px]
        flow: to the frame before             [(h, w, 2) float32 px]
        beside: what is surely not the region, times how far the flow is believed  [(h, w) float32 [0, 1]]
    """
    share = 1 / (_wide(beside) + np.float32(0.021))
    planes = [camera[..., k] + share * _wide(beside * (flow[..., k] - camera[..., k])) for k in (0, 1)]
    return np.dstack(planes)


def _binned(motion: Array) -> NDArray[np.int32]:
    steps = np.sign(motion) * np.log1p(np.abs(motion) / np.float32(FINEST_PX)) * np.float32(PER_FACTOR)
    return np.asarray(np.clip(np.rint(steps) + BINS, 0, 2 * BINS), np.int32)


def _aside(region: Array) -> Inside:
    """What is surely not the region."""
    return np.asarray(cv2.dilate((region > 0.2).astype(np.uint8), np.ones((7, 7), np.uint8)) == 0)


def _spread(luma: Array, weight: Array) -> tuple[Array, Array, Array]:
    """How much there is about each place, its mean tone and its variance."""
    much, first, second = (_about(plane, WINDOW_PX) for plane in (weight, weight * luma, weight * luma * luma))
    much = much + np.float32(1e-4)
    mean = first / much
    return much, mean, np.maximum(second / much - mean * mean, 0) + np.float32(LEAST_VARIANCE)


def _about(plane: Array, sigma: float) -> Array:
    """A plane smoothed widely, at half its size: nothing finer is left of it."""
    h, w = plane.shape
    half = cv2.resize(plane, (max(1, w // 2), max(1, h // 2)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(cv2.GaussianBlur(half, (0, 0), sigma / 2), (w, h)), np.float32)


def _wide(plane: Array) -> Array:
    return _about(plane, BESIDE_PX)


def _soft(luma: Array) -> Array:
    return np.asarray(cv2.GaussianBlur(luma, (0, 0), 0.8), np.float32)
