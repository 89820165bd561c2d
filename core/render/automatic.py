"""The automatic colour of a sequence, steadied along motion so that it does not flicker.

A network that sees one frame at a time changes its mind from frame to frame. Its answers for the frames
around are carried here along the flow and averaged by trust: where the flow fails they do not speak, so
nothing smears across an occlusion. The window is finite and never leaves the shot, so any frame can be
had at once and its key names all it depends on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from core.colourise import Automatic, FullMotion, Store, asked, brought_to, resized, sees_whole
from core.contract.fingerprint import fingerprint
from core.film.colour import delta_e, fit_gamut
from core.film.timebase import FrameRange
from core.flow import FlowPair, resize_flow, warp
from core.models.colouriser import (
    AsPublished,
    Colouriser,
    PredictsTogether,
    Suggests,
    automatic_chroma,
    automatic_chromas,
)
from core.render.motion import CoarseMotion

Array = NDArray[np.float32]
_VERSION = 8
# What one step along the flow leaves of a neighbour's say, besides the flow's own trust.
_DECAY = np.float32(0.9)
_TOLD_APART = 5.0  # CIEDE2000 from which two swatches side by side are two colours


def likely_colours(colouriser: Colouriser, luma: Array, at: tuple[int, int], count: int) -> Array:
    """Likely colours of one place, as sRGB shows them at its luma, none hard to tell from a likelier one.

    Args:
        colouriser: who is asked.
        luma: as it is asked  [(h, w) float32 [0, 100] L*]
        at: row and column.
        count: at most so many.

    Returns:
        L*, a*, b*, share; the likeliest first  [(m, 4) float32]; none where the colouriser knows of none
    """
    if not isinstance(colouriser, Suggests):
        return np.zeros((0, 4), np.float32)
    # Near black and white the gamut brings unlike colours together: more are asked for than are wanted.
    found = colouriser.suggest(luma, at, 2 * count)
    own = np.full(len(found), luma[at], np.float32)
    lab = np.column_stack([own, fit_gamut(own, np.ascontiguousarray(found[:, :2]))]).astype(np.float32)
    chosen: list[int] = []
    for i in range(len(lab)):
        if all(delta_e(lab[i], lab[j]) >= _TOLD_APART for j in chosen):
            chosen.append(i)
    return np.column_stack([lab, found[:, 2]])[chosen[:count]]


class AutomaticPass:
    """Automatic chroma per frame, cached by content.

    Args:
        motion: luma of the sequence.
        coarse: flow of the same sequence, at the size at which hints are carried.
        colouriser: which network speaks.
        cache: where its answers are kept.
    """

    def __init__(self, motion: FullMotion, coarse: CoarseMotion, colouriser: Colouriser, cache: Store) -> None:
        self._motion = motion
        self._coarse = coarse
        self._colouriser = colouriser
        self._cache = cache
        # How many frames the network looks at in one call, and those it will be asked about, in order.
        self._together = colouriser.together if isinstance(colouriser, PredictsTogether) else 1
        self._expected: dict[int, None] = {}

    def expect(self, frames: Collection[int]) -> None:
        """Say which frames will be asked for in time: the network looks at several of them together."""
        some = sorted(frames) if self._together > 1 else ()
        self._expected = {m: None for m in some if not self._cache.has(self._key(m))}

    def raw(self, n: int, beside: Iterable[int] = ()) -> Array:
        """What the network says of frame ``n``, steadied by nothing, at the size it is asked at.

        Args:
            n: frame of the colouring's input.
            beside: frames that will be asked for next, with those that are expected anyway.

        Returns:
            [(h, w, 2) float32 Lab a* b*]
        """
        held = self._cache.get(self._key(n))
        if held is not None:
            return held["ab"].astype(np.float32)
        lacking = [m for m in beside if m != n and not self._cache.has(self._key(m))]
        later = (m for m in self._expected if m != n and m not in lacking)
        numbers = [n, *islice(chain(lacking, later), self._together - 1)]
        made = automatic_chromas(self._colouriser, [self._asked(m) for m in numbers])
        for m, ab in zip(numbers, made, strict=True):
            self._cache.put(self._key(m), {"ab": ab.astype(np.float16)})
            self._expected.pop(m, None)
        return made[0].astype(np.float16).astype(np.float32)

    def _key(self, n: int) -> str:
        # The size it is asked at follows from the colouriser and the luma: for the key alone no luma is fetched.
        return fingerprint("automatic", _VERSION, self._colouriser.fingerprint, self._motion.luma_key(n))

    def _at_once(self, n: int) -> Array:
        """The same, for a person who waits.

        By itself a frame comes sooner than with others, and with other last bits: then it is not kept.
        """
        if self._together == 1:
            return self.raw(n)
        held = self._cache.get(self._key(n))
        return automatic_chroma(self._colouriser, self._asked(n)) if held is None else held["ab"].astype(np.float32)

    def suggest(self, n: int, xy: tuple[float, float], count: int) -> Array:
        """Likely colours of one place of frame ``n``, fitted to what sRGB shows at its luma.

        Args:
            n: frame of the colouring's input.
            xy: the place, as shares of width and height  [0, 1)
            count: at most so many.

        Returns:
            L*, a*, b*, share; the likeliest first  [(m, 4) float32]; none where the colouriser knows of none
        """
        speaker = self._colouriser.of if isinstance(self._colouriser, AsPublished) else self._colouriser
        luma = asked(self._motion.luma(n), speaker)
        h, w = luma.shape
        at = min(int(xy[1] * h), h - 1), min(int(xy[0] * w), w - 1)
        return likely_colours(speaker, luma, at, count)

    def _asked(self, n: int) -> Array:
        """Luma of frame ``n`` as colour without hints is asked for."""
        luma = self._motion.full(n) if sees_whole(self._colouriser) else self._motion.luma(n)
        return asked(luma, self._colouriser)

    def at(self, n: int, shot: FrameRange, radius: int, *, at_once: bool = False) -> Automatic:
        """The automatic pass of frame ``n``, steadied by ``radius`` frames to both sides of its shot.

        With ``at_once`` the frames around are not made for it: what the network says of this frame alone
        stands in until somebody has rendered them.
        """
        ab = self._steady(n, shot.around(n, radius), at_once)
        return brought_to(self._coarse.luma(n), ab, self._motion.luma(n))

    def _steady(self, n: int, window: FrameRange, at_once: bool) -> Array:
        if len(window) == 1:
            return self._at_once(n) if at_once else self.raw(n)
        keys = [self._motion.luma_key(m) for m in window]
        found_by = self._coarse.estimator.fingerprint
        key = fingerprint("steady", _VERSION, self._colouriser.fingerprint, found_by, keys, n - window.start)
        held = self._cache.get(key)
        if held is None and at_once:
            return self._at_once(n)
        if held is None:
            held = {"ab": self._steadied(n, window, self.raw(n, window)).astype(np.float16)}
            self._cache.put(key, held)
        return held["ab"].astype(np.float32)

    def _steadied(self, n: int, window: FrameRange, raw: Array) -> Array:
        total = raw.copy()
        weight = np.ones(raw.shape[:2], np.float32)
        for step in (-1, 1):
            side = self._from_side(n, window, step)
            if side is not None:
                total += side[..., :2]
                weight += side[..., 2]
        return np.asarray(total / weight[..., None], np.float32)

    def _from_side(self, n: int, window: FrameRange, step: int) -> Array | None:
        """Sum of the trusted answers of all frames to one side, carried to ``n``: a, b, weight."""
        end = window.start if step < 0 else window.stop - 1
        if end == n:
            return None
        acc: Array | None = None
        for m in range(end, n, -step):
            raw = self.raw(m)
            own = np.dstack([raw, np.ones(raw.shape[:2], np.float32)])
            acc = own if acc is None else acc + own
            pair = self._coarse.pair(m if step < 0 else m - 1)
            acc = _carried(acc, pair if step < 0 else pair.reversed())
        return acc


def _carried(acc: Array, pair: FlowPair) -> Array:
    """Planes of the pair's frame a as its frame b sees them, thinned by trust."""
    h, w = acc.shape[:2]
    flow = resize_flow(pair.backward, (h, w))
    trust = resized(pair.backward_trust, (h, w))
    return warp(acc, flow) * (trust * _DECAY)[..., None]
