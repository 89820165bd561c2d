"""One large shift of what two frames both show and flow between them has not found.

Dense flow begins from no motion on a coarse picture, and what moves further than a few of its patches there is lost: a
fast pan, something that crosses half the picture between two frames. Here the parts that are lost on either frame are
compared at every shift at once, small and without what is smooth; a shift at which they agree is where to begin anew.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2

Array = NDArray[np.float32]
_Shift = tuple[int, int]

# Frames are compared so many times smaller, and none that are too small then  [px of the short side]; tones that are
# smooth over more than a few pixels of that say nothing of where  [px].
_SHRINK, _LEAST_SIDE = 6, 20
_SMOOTH_PX = 3.0
# What is nearer than this share of the long side dense flow finds by itself.
_LARGE = 1 / 16
# A shift by more than this share of a side leaves too little to compare.
_MOST = 0.65
# Mean trust over a window below which a place is lost; thin rims along what moves are not  [share of the long side].
_LOST_TRUST, _LOST_SPAN = 0.25, 1 / 24
# Less than this share of the frame is not looked for, and agrees by chance.
_LEAST_SHARE = 0.01
# Correlation from which lost parts agree; that times the root of how many pixels agree, which a few do by chance; and
# how many times what any small shift has of it.
_AGREES, _CERTAIN, _CLEARER = 0.7, 9.0, 1.5
# Trust by which another flow must be the better one.
_GAIN = 0.15


def large_shift(luma_a: Array, luma_b: Array, trust_a: Array, trust_b: Array) -> _Shift | None:
    """Where what is lost of frame a most likely is on frame b, as one shift.

    Args:
        luma_a: frame a                           [(h, w) float32 L*]
        luma_b: frame b                           [(h, w) float32 L*]
        trust_a: of the flow a → b found so far   [(h, w) float32 [0, 1]]
        trust_b: of the flow b → a found so far   [(h, w) float32 [0, 1]]

    Returns:
        (dx, dy), larger than dense flow finds by itself  [px]; None: too little is lost, or nothing agrees.

    Source: Padfield 2012, "Masked object registration in the Fourier domain".
    """
    h, w = luma_a.shape
    size = w // _SHRINK, h // _SHRINK
    if min(size) < _LEAST_SIDE:
        return None
    least = _LEAST_SHARE * size[0] * size[1]
    lost = [_lost(trust, size) for trust in (trust_a, trust_b)]
    if min(part.sum() for part in lost) < least:
        return None
    shape = tuple(next_fast_len(2 * side, real=True) for side in size[::-1])
    detail = [_detail(luma, size) * part for luma, part in zip((luma_a, luma_b), lost, strict=True)]
    first, second = ([rfft2(p, shape) for p in (d, d * d, m)] for d, m in zip(detail, lost, strict=True))
    # How much is compared at each shift, how much detail there is on either frame, and how far that agrees.
    shared, of_a, of_b, both = (
        irfft2(np.conj(first[i]) * second[k], shape) for i, k in ((2, 2), (1, 2), (2, 1), (0, 0))
    )
    agreement = both / np.sqrt(np.maximum(of_a * of_b, np.float32(1e-3)))
    score = agreement * np.sqrt(np.maximum(shared, 0))
    far, near = _reach(size, shape)
    best = np.where(far & (agreement > _AGREES) & (shared > least), score, 0)
    y, x = np.unravel_index(int(best.argmax()), best.shape)
    # An edge agrees with itself wherever it is moved along itself, so also near by, where dense flow has looked.
    if best[y, x] < max(_CERTAIN, _CLEARER * float(score[near].max())):
        return None
    dx, dy = _signed(shape[1])[x] * w / size[0], _signed(shape[0])[y] * h / size[1]
    return round(float(dx)), round(float(dy))


def better(trust: Array, than: Array) -> NDArray[np.bool_]:
    """Where one flow is believed more than another, over some pixels.

    Args:
        trust: of the one             [(h, w) float32 [0, 1]]
        than: trust of the other      [(h, w) float32 [0, 1]]

    Returns:
        [(h, w) bool]; where neither is believed, as it is around.
    """
    h, w = trust.shape
    gain = cv2.GaussianBlur(trust - than, (0, 0), max(h, w) / 160)
    small = cv2.resize(gain, (max(1, w // 8), max(1, h // 8)), interpolation=cv2.INTER_AREA)
    around = cv2.resize(cv2.GaussianBlur(small, (0, 0), 4.0), (w, h), interpolation=cv2.INTER_LINEAR)
    return np.asarray(gain + np.float32(0.5) * around > _GAIN, np.bool_)


def about(flow: Array, shift: _Shift) -> NDArray[np.bool_]:
    """Where flow is about one shift, as far as dense flow that began there finds well  [(h, w) bool]."""
    apart = np.hypot(flow[..., 0] - shift[0], flow[..., 1] - shift[1])
    return np.asarray(apart < _LARGE * max(flow.shape), np.bool_)


def gains(trust: Array, than: Array) -> bool:
    """Whether one flow is believed over a larger share of the frame than another, by what is worth looking for."""
    return float((trust - than).mean()) > _LEAST_SHARE


def _lost(trust: Array, size: tuple[int, int]) -> Array:
    small = cv2.resize(trust, size, interpolation=cv2.INTER_AREA)
    span = round(_LOST_SPAN * max(size)) // 2 * 2 + 1
    return np.asarray(cv2.blur(small, (span, span)) < _LOST_TRUST, np.float32)


def _detail(luma: Array, size: tuple[int, int]) -> Array:
    small = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small - cv2.GaussianBlur(small, (0, 0), _SMOOTH_PX), np.float32)


@lru_cache(maxsize=8)
def _reach(size: tuple[int, int], shape: tuple[int, int]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Shifts that are looked for, and those that dense flow finds by itself  [shape bool each]."""
    dx, dy = np.abs(_signed(shape[1]))[None, :], np.abs(_signed(shape[0]))[:, None]
    near = np.hypot(dx, dy) <= _LARGE * max(size)
    return ~near & (dx < _MOST * size[0]) & (dy < _MOST * size[1]), near


def _signed(length: int) -> NDArray[np.float64]:
    """The shift that each place of a circular correlation stands for."""
    return np.asarray(np.fft.fftfreq(length, 1 / length), np.float64)
