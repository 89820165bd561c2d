"""What every walk through a shot needs and no hint changes: luma, flow and looks, found once and kept.

Most walks go at half the working size. The flow is found at working size, where small motion is seen better, and
brought down; what a network sees in a frame (its features) costs as much again. Both are kept at the size at which
walks ask for them, so that a hint finds them there, and `Prepared.prepare` makes them before any hint is placed, on
all processors at once.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from core.colourise import Store
from core.contract.fingerprint import fingerprint
from core.contract.progress import CancelToken
from core.film.colour import Array
from core.flow import FlowPair, resize_flow
from core.models.colouriser import Looks, LooksTogether
from core.threads import one_thread_a_call
from hints.propagate import Motion, resized, size_within, walking_size

VERSION = 1
_TRUST_STEPS = np.float32(255)
_MOST_WORKERS = 8


class Prepared:
    """A sequence at the size of walks; fulfils `hints.propagate.Motion`.

    What is kept is rounded (flow and features to half precision, trust to 1/255) and used rounded, so that a result
    does not depend on whether it came from the store.

    Args:
        motion: luma and flow at working size.
        store: where what was found is kept.
        flow_key: what found the flow in ``motion``.
        looks: tells what places look like, or None.
    """

    def __init__(self, motion: Motion, store: Store, flow_key: str, looks: Looks | None = None) -> None:
        self._motion, self._store, self._flow_key, self._looks = motion, store, flow_key, looks

    def luma(self, n: int) -> Array:
        """L* of frame ``n``  [(h, w) float32 [0, 100]]."""
        luma = self._motion.luma(n)
        return resized(luma, walking_size(luma))

    def luma_key(self, n: int) -> str:
        """Content key of the luma this one comes of."""
        return self._motion.luma_key(n)

    def pair(self, n: int) -> FlowPair:
        """Flow between frames ``n`` and ``n + 1``."""
        key = self._pair_key(n)
        held = self._store.get(key)
        if held is None:
            pair = self._motion.pair(n)
            w, h = walking_size(pair.forward_trust)
            held = {
                "flow": np.stack([resize_flow(f, (h, w)) for f in (pair.forward, pair.backward)]).astype(np.float16),
                "trust": _in_steps(np.stack([resized(t, (w, h)) for t in (pair.forward_trust, pair.backward_trust)])),
            }
            self._store.put(key, held)
        forward, backward = held["flow"].astype(np.float32)
        return FlowPair(forward, backward, *(held["trust"].astype(np.float32) / _TRUST_STEPS))

    def features(self, frames: Sequence[int], longest: int | None = None) -> list[Array]:
        """What a network sees in frames, those that are not kept looked at together.

        Args:
            frames: of the sequence.
            longest: long side at which frames are looked at  [px]; None: the working size.

        Returns:
            Features of each, as of `core.models.colouriser.Looks`  [(h', w', C) float32 each]
        """
        assert self._looks is not None  # asked for only where somebody looks
        keys = {n: self._features_key(n, longest) for n in frames}
        held = {n: arrays for n, key in keys.items() if (arrays := self._store.get(key)) is not None}
        missing = [n for n in keys if n not in held]
        if missing:
            shown = [_shown(self._motion.luma(n), longest) for n in missing]
            if isinstance(self._looks, LooksTogether):
                seen = self._looks.features_together(np.stack(shown))
            else:
                seen = [self._looks.features(luma) for luma in shown]
            for n, features in zip(missing, seen, strict=True):
                held[n] = {"features": features.astype(np.float16)}
                self._store.put(keys[n], held[n])
        return [held[n]["features"].astype(np.float32) for n in frames]

    @property
    def together(self) -> int:
        """How many frames are best looked at together."""
        return self._looks.together if isinstance(self._looks, LooksTogether) else 1

    def prepared(self, frames: range, longest: int) -> bool:
        """Whether all that `prepare` finds is kept."""
        flows = all(self._store.has(self._pair_key(n)) for n in frames[:-1])
        return flows and (self._looks is None or all(self._store.has(self._features_key(n, longest)) for n in frames))

    def prepare(
        self, frames: range, longest: int, token: CancelToken, done: Callable[[int], None] | None = None
    ) -> None:
        """Find and keep flow and features of frames that follow one another in one shot.

        Args:
            frames: ``a, a + 1, …``
            longest: long side at which frames are looked at  [px]
            token: checked between frames.
            done: called with the number of the frame after each.

        Raises:
            Cancelled: the token was set; what was found so far is kept.
        """
        waiting: deque[Future[object]] = deque()
        with one_thread_a_call(), ThreadPoolExecutor(_workers(), "pochoir-prepare") as workers:
            try:
                for n in frames:
                    token.check()
                    self._motion.luma(n)  # here, for a film is read by one thread; workers find it kept
                    if n > frames.start:
                        waiting.append(workers.submit(self.pair, n - 1))
                    first = n - (n - frames.start) % self.together
                    if self._looks is not None and (n == first + self.together - 1 or n == frames[-1]):
                        waiting.append(workers.submit(self.features, range(first, n + 1), longest))
                    while len(waiting) > 3 * _workers():  # so far ahead a film may be read
                        waiting.popleft().result()
                    if done is not None:
                        done(n)
                while waiting:
                    waiting.popleft().result()
            finally:
                for piece in waiting:
                    piece.cancel()

    def _pair_key(self, n: int) -> str:
        return fingerprint("walked flow", VERSION, self._flow_key, self.luma_key(n), self.luma_key(n + 1))

    def _features_key(self, n: int, longest: int | None) -> str:
        assert self._looks is not None
        return fingerprint("features", VERSION, self._looks.fingerprint, longest, self.luma_key(n))


def _workers() -> int:
    return min(_MOST_WORKERS, os.cpu_count() or 1)


def _shown(luma: Array, longest: int | None) -> Array:
    if longest is None:
        return luma
    return resized(luma, size_within(luma, longest))


def _in_steps(trust: Array) -> NDArray[np.uint8]:
    return np.asarray(np.rint(trust * _TRUST_STEPS), np.uint8)
