"""Luma and flow of a sequence at working size: made once per pair of frames, cached by content."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from core.colourise import Motion, Store, resized
from core.contract.fingerprint import fingerprint
from core.film.colour import luma_of
from core.film.frame import Frame
from core.flow import FlowEstimator, FlowPair, to_working
from core.models.colouriser import Looks, working_size

Array = NDArray[np.float32]
_LUMA_STEPS = np.float32(65535.0 / 100.0)
_TRUST_STEPS = np.float32(255.0)


class ShotMotion:
    """Fulfils `core.colourise.Motion` for one sequence of frames.

    What is kept is rounded first (luma to 1/655 L*, flow to half precision, trust to 1/255) and used
    rounded, so that a result does not depend on whether it came from the cache.

    Args:
        frame: gives frame ``n`` of the sequence.
        key: gives its content key.
        estimator: finds the flow.
        cache: where results are kept.
        looks: tells what places of a frame look like, or None.
    """

    def __init__(
        self,
        frame: Callable[[int], Frame],
        key: Callable[[int], str],
        estimator: FlowEstimator,
        cache: Store,
        looks: Looks | None = None,
    ) -> None:
        self._frame = frame
        self._key = key
        self.estimator = estimator
        self.looks = looks
        self._cache = cache
        self._reading = threading.Lock()  # flow is found by several threads; a film is read by one at a time

    def luma_key(self, n: int) -> str:
        """Content key of frame ``n``'s luma at working size."""
        return fingerprint("luma", 1, self._key(n))

    def full(self, n: int) -> Array:
        """L* of frame ``n`` at its own size, as the film has it, rounded by nothing  [(H, W) float32 [0, 100]]."""
        with self._reading:
            return luma_of(self._frame(n).rgb)

    def luma(self, n: int) -> Array:
        """L* of frame ``n`` at working size  [(h, w) float32 [0, 100]]."""
        key = self.luma_key(n)
        held = self._cache.get(key)
        if held is None:
            luma = to_working(self.full(n))
            held = {"luma": np.rint(np.clip(luma, 0, 100) * _LUMA_STEPS).astype(np.uint16)}
            self._cache.put(key, held)
        return held["luma"].astype(np.float32) / _LUMA_STEPS

    def pair(self, n: int) -> FlowPair:
        """Flow between frames ``n`` and ``n + 1``, both ways, with trust."""
        return _pair(self, self.estimator, self._cache, n)


class CoarseMotion:
    """Motion of the same sequence, found at the size at which hints are carried: a fifth of the work.

    Enough to steady the automatic colour, which is coarser still; hints follow the finer one.

    Args:
        motion: the sequence's motion at working size.
        estimator: finds the flow.
        cache: where it is kept.
    """

    def __init__(self, motion: Motion, estimator: FlowEstimator, cache: Store) -> None:
        self._motion = motion
        self.estimator = estimator
        self._cache = cache

    def luma_key(self, n: int) -> str:
        """Content key of frame ``n``'s luma at this size."""
        return fingerprint("coarse luma", 1, self._motion.luma_key(n))

    def luma(self, n: int) -> Array:
        """L* of frame ``n``  [(h, w) float32 [0, 100]]."""
        luma = self._motion.luma(n)
        return resized(luma, working_size(*luma.shape))

    def pair(self, n: int) -> FlowPair:
        """Flow between frames ``n`` and ``n + 1``, both ways, with trust."""
        return _pair(self, self.estimator, self._cache, n)


def _pair(motion: Motion, estimator: FlowEstimator, cache: Store, n: int) -> FlowPair:
    """Flow between a frame and the next, from the cache or made and kept; rounded either way."""
    key = fingerprint("flow", 1, estimator.fingerprint, motion.luma_key(n), motion.luma_key(n + 1))
    held = cache.get(key)
    if held is None:
        pair = estimator.pair(motion.luma(n), motion.luma(n + 1))
        held = {
            "forward": pair.forward.astype(np.float16),
            "backward": pair.backward.astype(np.float16),
            "forward_trust": np.rint(pair.forward_trust * _TRUST_STEPS).astype(np.uint8),
            "backward_trust": np.rint(pair.backward_trust * _TRUST_STEPS).astype(np.uint8),
        }
        cache.put(key, held)
    return FlowPair(
        held["forward"].astype(np.float32),
        held["backward"].astype(np.float32),
        held["forward_trust"].astype(np.float32) / _TRUST_STEPS,
        held["backward_trust"].astype(np.float32) / _TRUST_STEPS,
    )
