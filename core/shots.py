"""Where one shot ends and the next begins, robust to what old film does: flicker, flashes, burns, fades.

A cut is a break in structure that motion cannot explain: the frame before, warped by optical flow and
matched in gain, does not correlate with the frame after at any of three sizes. Four tests keep damage
and haste from counting as cuts: the break must stand out from the pairs around it (a fast pan does not),
flow must fail, the picture must not come back within a few frames (a flash or a burnt frame does), and a
fade counts only where the picture after the dark differs from the one before it. Dissolves are no cuts.

Frames are looked at 160 pixels wide, a few at a time: memory does not grow with the film.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from core.contract.progress import CancelToken, Progress, Report, silent
from core.contract.sources import FrameSource
from core.film.colour import luma_of
from core.film.frame import Frame
from core.film.shot import Shot, shots_from_cuts
from core.flow import DisFlow, match_gain, warp

Array = NDArray[np.float32]

LONG_SIDE = 160
# Sizes at which a pair is compared, coarse ones where motion is too fast for the fine one, and the side
# of the correlation window at each  [px].
_SCALES = ((160, 15), (80, 9), (48, 7))
# On 8 hand-checked cuts and 120 joins of unlike shots the break is at least 0.50 and the trust at most 0.12;
# on 3,000 pairs inside shots, whip pans and burnt frames included, the break reaches 0.36 without the latter.
_BREAK = 0.43
_TRUST = 0.20
_STANDS_OUT = 1.8
# Half a break, on each side of a frame that mixes two shots.
_MIXED = 0.12
# A picture that comes back with less than this is the same picture; it may be gone for three frames.
_SAME = 0.30
_AWAY_FRAMES = 3
# After a blank, less of a break tells another picture: the blank itself is evidence.
_OTHER = 0.36
# A frame with less contrast than this shows nothing; with more than that, it can be compared  [L*].
_BLANK, _VISIBLE = 1.5, 5.0
_LEAST_SHOT_FRAMES = 3
# A pair that correlates this well is settled at the first size.
_SURE = 0.75
_flow = DisFlow("fast")


@dataclass(frozen=True)
class Break:
    """How badly two frames fit together after motion and gain are allowed for.

    Attributes:
        degree: 0 = the same picture, 1 = nothing in common.
        trust: mean trust of the flow between them  [0, 1].
    """

    degree: float
    trust: float


def detect_cuts(lumas: Iterable[Array]) -> list[int]:
    """First frame numbers of new shots.

    Args:
        lumas: the film's frames in order  [(h, w) float32 L* each, all of one size; 160 px is enough]

    Returns:
        Ascending frame numbers, without frame 0.

    Source: the flash test after PySceneDetect's flash filter; motion-compensated correlation is our own.
    """
    return list(_cuts(lumas))


def detect_shots(source: FrameSource, *, report: Report = silent, token: CancelToken | None = None) -> tuple[Shot, ...]:
    """Read the film once and divide it into shots.

    Raises:
        DecodeError: a frame cannot be read.
        Cancelled: the token was set.
    """
    total = source.clip.count

    def lumas() -> Iterator[Array]:
        for frame in source.frames(shots_from_cuts((), total)[0].range):
            if token is not None:
                token.check()
            yield small_luma(frame)
            report(Progress("shots", -1, frame.index + 1, total))

    return shots_from_cuts(detect_cuts(lumas()), total)


def small_luma(frame: Frame) -> Array:
    """Luma of a frame at the size at which cuts are sought  [(h, w) float32 L*]."""
    return luma_of(np.asarray(_reduced(frame.rgb, LONG_SIDE), np.float32))


def picture_break(luma_a: Array, luma_b: Array) -> Break:
    """Compare two frames after motion and gain are allowed for.

    Args:
        luma_a: earlier frame  [(h, w) float32 L*]
        luma_b: later frame    [(h, w) float32 L*]

    Returns:
        The least break over three sizes, and the flow's trust at the largest.

    Raises:
        ShapeError: the frames differ in size.
    """
    degree, trust = 1.0, 0.0
    for side, window in _SCALES:
        a, b = match_gain(_reduced(luma_a, side), _reduced(luma_b, side))
        pair = _flow.pair(a, b)
        if side == _SCALES[0][0]:
            trust = float(pair.backward_trust.mean())
        degree = min(degree, 1.0 - _correlation(warp(a, pair.backward), b, window))
        if degree < 1.0 - _SURE:
            break
    return Break(degree, trust)


@dataclass
class _Memory:
    """The last few frames and breaks; `pairs[n]` is the break between frames n-1 and n."""

    frames: dict[int, Array] = field(default_factory=dict)
    pairs: dict[int, Break] = field(default_factory=dict)

    def take(self, n: int, luma: Array) -> None:
        self.frames[n] = luma
        if n - 1 in self.frames:
            self.pairs[n] = picture_break(self.frames[n - 1], luma)
        self.frames.pop(n - 2 * _AWAY_FRAMES - 2, None)
        self.pairs.pop(n - 2 * _AWAY_FRAMES - 2, None)

    def compare(self, a: int, b: int) -> Break | None:
        """The break between two remembered frames; None where one is not there."""
        if a not in self.frames or b not in self.frames:
            return None
        return picture_break(self.frames[a], self.frames[b])


def _cuts(lumas: Iterable[Array]) -> Iterator[int]:
    memory = _Memory()
    fade = _Fade()
    last, n = 0, -1
    for n, luma in enumerate(lumas):
        small = _reduced(luma, LONG_SIDE)
        memory.take(n, small)
        found = [c for c in (fade.take(n, small), _judged(memory, n - _AWAY_FRAMES)) if c is not None]
        for cut in sorted(found):
            if cut - last >= _LEAST_SHOT_FRAMES:
                yield cut
                last = cut
    for late in range(max(1, n - _AWAY_FRAMES + 1), n + 1):
        cut_late = _judged(memory, late)
        if cut_late is not None and cut_late - last >= _LEAST_SHOT_FRAMES:
            yield cut_late
            last = cut_late


def _judged(memory: _Memory, n: int) -> int | None:
    """``n`` if a shot begins there."""
    here = memory.pairs.get(n)
    if here is None:
        return None
    if _is_break(memory, n, here):
        return None if _comes_back(memory, n - 1, n) else n
    if _is_mixed_cut(memory, n, here):
        return None if _comes_back(memory, n - 1, n + 1) else n
    return None


def _is_break(memory: _Memory, n: int, here: Break) -> bool:
    return here.degree > _BREAK and here.trust < _TRUST and here.degree > _STANDS_OUT * _around(memory, n)


def _is_mixed_cut(memory: _Memory, n: int, here: Break) -> bool:
    """Whether frame n is half old, half new shot, as frame-rate conversion leaves a cut."""
    after = memory.pairs.get(n + 1)
    if after is None or after.degree > _BREAK:
        return False
    least = min(here.degree, after.degree)
    if least < _MIXED or least < _STANDS_OUT * _around(memory, n, besides=n + 1):
        return False
    across = memory.compare(n - 1, n + 1)
    if across is None or across.degree <= _BREAK or across.trust >= _TRUST:
        return False
    # A fast pan breaks over every two frames, a mixed cut only here.
    beside = (memory.compare(n - 3, n - 1), memory.compare(n + 1, n + 3))
    return all(s is not None and s.degree < across.degree / 2 for s in beside)


def _around(memory: _Memory, n: int, besides: int = -1) -> float:
    """The usual break of the pairs around pair n."""
    near = range(n - _AWAY_FRAMES, n + _AWAY_FRAMES + 1)
    degrees = [memory.pairs[m].degree for m in near if m in memory.pairs and m not in (n, besides)]
    return float(np.median(degrees)) if degrees else 0.0


def _comes_back(memory: _Memory, old: int, new: int) -> bool:
    """Whether the old picture stands again a little later, or the new one did before: a flash, a burn."""
    spans = [(old, new + k) for k in range(1, _AWAY_FRAMES + 1)]
    spans += [(old - k, new) for k in range(1, _AWAY_FRAMES + 1)]
    seen = (memory.compare(a, b) for a, b in spans)
    return any(s is not None and s.degree < _SAME for s in seen)


class _Fade:
    """Watches the picture sink into black or white and rise again as another one."""

    def __init__(self) -> None:
        self._before: Array | None = None  # the last frame well seen
        self._blank: tuple[int, int] | None = None  # first and last blank frame since

    def take(self, n: int, luma: Array) -> int | None:
        """The frame at which a new shot begins, once the picture after the blank is seen."""
        contrast = float(luma.std())
        if contrast < _BLANK:
            self._blank = (self._blank[0] if self._blank else n, n)
        if contrast < _VISIBLE:
            return None
        before, blank = self._before, self._blank
        self._before, self._blank = luma, None
        if before is None or blank is None or picture_break(before, luma).degree <= _OTHER:
            return None
        return (blank[0] + blank[1] + 1) // 2


def _correlation(a: Array, b: Array, window: int) -> float:
    """Local correlation of two frames, weighted by local contrast  [-1, 1]; 1 where both show nothing."""
    box = (window, window)
    mean_a, mean_b = cv2.boxFilter(a, -1, box), cv2.boxFilter(b, -1, box)
    var_a = cv2.boxFilter(a * a, -1, box) - mean_a * mean_a
    var_b = cv2.boxFilter(b * b, -1, box) - mean_b * mean_b
    common = cv2.boxFilter(a * b, -1, box) - mean_a * mean_b
    # One squared L* of noise on both sides: two blank frames agree; a blank and a picture do not.
    return float((common.mean() + 1.0) / ((var_a.mean() + var_b.mean()) / 2 + 1.0))


def _reduced(image: Array, long_side: int) -> Array:
    h, w = image.shape[:2]
    scale = long_side / max(h, w)
    if scale >= 1.0:
        return image
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)
