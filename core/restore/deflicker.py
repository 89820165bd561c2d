"""Flicker: exposure that jumps from frame to frame, over the whole picture and in parts of it.

Each frame is compared with the one before it, motion allowed for: how its tones changed (a curve over
tone), and how parts of the picture changed beyond that (a coarse grid of gains). Summed over the shot
these changes are the course of the light. What of that course is fast is flicker and is taken out; what
is slow, steady (a fade) or lasting (a lamp lit) is the scene's and stays.

All of it is in log exposure, u = ln(v + 0.03) of the coded grey v, in which a gain is a shift. Corrections
bend towards black and white instead of clipping.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from core.contract.params import number
from core.contract.stage import StageBase, StageContext
from core.film.frame import Frame
from core.flow import DisFlow, FlowPair, match_gain, warp

Array = NDArray[np.float32]

# Frames are compared this large: grain averages out, parts of the picture remain.
_SIDE = 96
# Keeps black from being all noise; about the fog of a print.
_FOG = 0.03
# Tones at which the change is measured, as coded grey.
_TONES = np.log(np.array([0.03, 0.12, 0.25, 0.42, 0.62, 0.85]) + _FOG).astype(np.float32)
_ROWS, _COLS = 6, 8
# Changes below this are not seen and not made: a third of a percent, less than one 8-bit step.
_UNSEEN = 0.003
# Parts are measured less surely.
_UNSEEN_PART = 0.008
# Measured on steady films the usual change is 0.0003 to 0.003; on old films with flicker 0.004 to 0.02.
_EVEN = 0.0035
# A lasting change of the light larger than this is the scene's, whatever the flicker (log exposure: 10 %).
_STEP, _STEP_FRAMES = 0.1, 6
# Pixels that two frames must share for a tone or a part to be measured.
_ENOUGH = 12.0
_flow = DisFlow("fast")


@dataclass(frozen=True)
class DeflickerParams:
    """How much, how local, and what counts as fast."""

    strength: float = number(1.0, 0.0, 1.0, help="How much of the flicker is taken out")
    local: float = number(1.0, 0.0, 1.0, help="How much of the flicker that differs over the picture is taken out")
    reach: int = number(
        10, 2, 60, unit="frames", help="Changes of light slower than about twice this are kept as the scene's own"
    )


class Deflicker(StageBase):
    """Steady the exposure of a shot.

    Window: the whole shot is measured, then each frame is corrected by itself.
    Identity: strength 0, and frames whose correction is not seen.
    Cost: about 3 ms to measure and 15 ms to correct a 640×480 frame.

    Source: Delon 2006 (flicker from the course of tone curves); Cleveland 1979 (robust local regression).
    """

    name: ClassVar[str] = "deflicker"
    version: ClassVar[int] = 1
    help: ClassVar[str] = "Steadies exposure that jumps from frame to frame, over the whole picture and in parts of it"
    Params: ClassVar[type] = DeflickerParams

    def measure(self, frame: Frame, params: DeflickerParams, context: StageContext) -> NDArray[np.uint16]:
        """The frame's grey, very small  [(h, w) uint16, coded grey × 65535]."""
        return self.measure_small(frame)

    def measure_small(self, frame: Frame) -> NDArray[np.uint16]:
        """What `measure` gives, which depends on nothing else."""
        h, w = frame.size
        scale = min(1.0, _SIDE / max(h, w))
        size = (max(1, round(w * scale)), max(1, round(h * scale)))
        small = cv2.resize(_grey(frame.rgb), size, interpolation=cv2.INTER_AREA)
        return np.asarray(np.rint(small * 65535), np.uint16)

    def solve(self, measures: Sequence[NDArray[np.uint16]], params: DeflickerParams) -> Sequence[Array]:
        """What to add to each frame's log exposure: by tone, then by part  [(6 + 48,) float32 each]."""
        count = len(measures)
        if params.strength == 0 or count < 3:
            return list(np.zeros((count, len(_TONES) + _ROWS * _COLS), np.float32))
        tones, parts = fast_light(measures, params.reach)
        correction = np.concatenate([_seen(tones, _UNSEEN), _seen(parts, _UNSEEN_PART) * params.local], axis=1)
        return list((-correction * params.strength).astype(np.float32))

    def apply(self, frame: Frame, state: Array, params: DeflickerParams, context: StageContext) -> Array:
        """The corrected frame  [(H, W, 3) float32 [0, 1] R'G'B']."""
        if params.strength == 0 or not np.any(state):
            return frame.rgb
        rgb = frame.rgb
        grey = _grey(rgb)
        new = _exposed(grey, state)
        if _is_grey(rgb):
            return np.repeat(new[..., None], 3, axis=2)
        # Colour keeps its ratios; no channel may leave the range that the grey stayed in.
        ratio = new / np.maximum(grey, 1e-4)
        ratio = np.minimum(ratio, 1.0 / np.maximum(rgb.max(axis=2), 1e-4))
        return np.asarray(rgb * ratio[..., None], np.float32)


def fast_light(measures: Sequence[NDArray[np.uint16]], reach: int) -> tuple[Array, Array]:
    """What is fast in the course of the light over a shot.

    Args:
        measures: of its frames, in order  [(h, w) uint16 each]
        reach: frames to each side over which light is slow.

    Returns:
        By tone [(n, 6) float32] and, beyond that, by part of the picture [(n, 48) float32], in log exposure.
    """
    course = np.zeros((len(measures), len(_TONES) + _ROWS * _COLS), np.float32)
    for n in range(1, len(measures)):
        course[n] = course[n - 1] + _change(_unpacked(measures[n - 1]), _unpacked(measures[n]))
    fast = np.concatenate([s - _slow(s, reach) for s in _between_steps(course, reach)])
    return fast[:, : len(_TONES)], fast[:, len(_TONES) :]


def _exposed(grey: Array, state: Array) -> Array:
    """Grey with its log exposure changed, bent so that it stays within [0, 1]."""
    h, w = grey.shape
    part = state[len(_TONES) :].reshape(_ROWS, _COLS)
    shift = cv2.resize(part, (w, h), interpolation=cv2.INTER_CUBIC) if part.any() else np.zeros((h, w), np.float32)
    u = np.log(grey + np.float32(_FOG))
    shift = shift + np.interp(u, _TONES, state[: len(_TONES)]).astype(np.float32)
    change = np.exp(u + shift) - np.float32(_FOG) - grey
    room = np.maximum(np.where(change > 0, 1 - grey, grey), 1e-6)
    # x / (1 + x⁴)^¼: untouched while there is room, never more than there is.
    x = np.abs(change) / room
    new = grey + np.sign(change) * room * x / (1 + x**4) ** 0.25
    return np.asarray(np.clip(new, 0, 1), np.float32)  # rounding at the very ends


def _change(before: Array, after: Array) -> Array:
    """How the light changed from one frame to the next  [(6 + 48,) float32, log exposure]."""
    pair, still = _matched(before, after)
    weight = pair.backward_trust * still
    u0, u1 = np.log(warp(before, pair.backward) + _FOG), np.log(after + _FOG)
    change = u1 - u0
    # What is burnt out or black in either says nothing about exposure.
    weight = weight * ((np.minimum(u0, u1) > np.log(0.01 + _FOG)) & (np.maximum(u0, u1) < np.log(0.985 + _FOG)))
    middle = (u0 + u1) / 2
    overall = _median(change, weight)
    if overall is None:
        return np.zeros(len(_TONES) + _ROWS * _COLS, np.float32)
    # Twice: tones without the parts, then the parts without the tones, so that neither takes the other's share.
    tones = _by_tone(change, middle, weight, overall)
    parts = _by_part(change - np.interp(middle, _TONES, tones), weight)
    return np.concatenate([tones, parts.ravel()]).astype(np.float32)


def _matched(before: Array, after: Array) -> tuple[FlowPair, Array]:
    """Flow between two small frames, and where they show the same thing  [(h, w) float32 [0, 1]]."""
    a, b = match_gain(before * 100, after * 100)
    pair = _flow.pair(a, b)
    # Edges that moved by part of a pixel differ for other reasons than light.
    slope = cv2.morphologyEx(b, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    return pair, np.asarray(1 / (1 + (slope / 15) ** 2), np.float32)


def _by_tone(change: Array, tone: Array, weight: Array, overall: float) -> NDArray[np.float64]:
    """The change at each tone, drawn to the overall change where few pixels have that tone."""
    out = np.empty(len(_TONES))
    edges = np.concatenate([[-np.inf], (_TONES[1:] + _TONES[:-1]) / 2, [np.inf]])
    for k in range(len(_TONES)):
        inside = (tone >= edges[k]) & (tone < edges[k + 1])
        found = _median(change[inside], weight[inside])
        mass = float(weight[inside].sum())
        share = mass / (mass + 8 * _ENOUGH) if found is not None else 0.0
        out[k] = overall + share * ((found if found is not None else overall) - overall)
    return np.convolve(np.pad(out, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")


def _by_part(change: Array, weight: Array) -> Array:
    """What is left of the change in each part of the picture, spread to parts that show too little."""
    h, w = change.shape
    rows = np.linspace(0, h, _ROWS + 1).astype(int)
    cols = np.linspace(0, w, _COLS + 1).astype(int)
    found = np.zeros((_ROWS, _COLS), np.float32)
    sure = np.zeros((_ROWS, _COLS), np.float32)
    for i in range(_ROWS):
        for j in range(_COLS):
            part = np.s_[rows[i] : rows[i + 1], cols[j] : cols[j + 1]]
            value = _median(change[part], weight[part])
            if value is not None:
                spread = _median(np.abs(change[part] - value), weight[part]) or 0.0
                found[i, j] = value
                # A part whose pixels do not agree (something moves there) has little say.
                sure[i, j] = 1 / (1 + (spread / 0.03) ** 2)
    blur = np.array([0.25, 0.5, 0.25], np.float32)
    top = cv2.sepFilter2D(found * sure, -1, blur, blur, borderType=cv2.BORDER_REPLICATE)
    mass = cv2.sepFilter2D(sure, -1, blur, blur, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(top / (mass + 0.1), np.float32)


def _median(values: Array, weight: Array) -> float | None:
    """Weighted median, or None where too few pixels have a say."""
    values, weight = values.ravel(), weight.ravel()
    if float(weight.sum()) < _ENOUGH:
        return None
    order = np.argsort(values)
    mass = np.cumsum(weight[order])
    return float(values[order[np.searchsorted(mass, mass[-1] / 2)]])


def _seen(fast: Array, unseen: float) -> Array:
    """Fast changes less what is not seen; nothing at all where the shot's light is even."""
    if float(np.median(np.abs(fast))) < _EVEN:
        return np.zeros_like(fast)
    return np.asarray(np.sign(fast) * np.maximum(np.abs(fast) - unseen, 0), np.float32)


def _between_steps(course: Array, reach: int) -> list[Array]:
    """The course cut where the light changes for good within one frame: a lamp is lit, a door opens."""
    level = course[:, : len(_TONES)].mean(axis=1)
    jumps = np.diff(level)
    least = max(_STEP, 3 * 1.4826 * float(np.median(np.abs(jumps - np.median(jumps)))))
    span = min(_STEP_FRAMES, reach)
    at = []
    for n in range(2, len(level) - 1):
        jump = abs(float(jumps[n - 1]))
        lasting = abs(float(np.median(level[n : n + span]) - np.median(level[max(0, n - span) : n])))
        if lasting > least and jump > lasting / 2 and jump == np.abs(jumps[max(0, n - span) : n + span]).max():
            at.append(n)
    return np.split(course, at)


def _slow(course: Array, reach: int) -> Array:
    """The slow part of a course, by robust local lines: ramps pass whole, lasting steps stay steps.

    Args:
        course: [(n, k) float32]
        reach: frames to each side that a line is fitted to.

    Source: Cleveland 1979 (LOESS).
    """
    count = len(course)
    out = np.empty_like(course)
    for n in range(count):
        first, stop = max(0, n - reach), min(count, n + reach + 1)
        x = np.arange(first, stop, dtype=np.float64)[:, None] - n
        y = course[first:stop].astype(np.float64)
        near = (1 - (np.abs(x) / (reach + 1)) ** 3) ** 3
        weight = np.broadcast_to(near, y.shape)
        level = np.zeros(y.shape[1])
        for _ in range(3):
            level, slope = _line(x, y, weight)
            rest = y - level - slope * x
            scale = 6 * np.median(np.abs(rest), axis=0) + 1e-6
            weight = near * np.maximum(1 - (rest / scale) ** 2, 0) ** 2 + 1e-9
        out[n] = level
    return out


def _line(
    x: NDArray[np.float64], y: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted least squares of y = level + slope · x, for each column."""
    w0, w1, w2 = weight.sum(0), (weight * x).sum(0), (weight * x * x).sum(0)
    y0, y1 = (weight * y).sum(0), (weight * x * y).sum(0)
    det = np.maximum(w0 * w2 - w1 * w1, 1e-12)
    return (w2 * y0 - w1 * y1) / det, (w0 * y1 - w1 * y0) / det


def _grey(rgb: Array) -> Array:
    """Coded grey of a picture: its own plane, or BT.709's weights of R'G'B'  [(H, W) float32 [0, 1]]."""
    if _is_grey(rgb):
        return np.ascontiguousarray(rgb[..., 0])
    return np.asarray(rgb @ np.array([0.2126, 0.7152, 0.0722], np.float32), np.float32)


def _is_grey(rgb: Array) -> bool:
    return bool(np.array_equal(rgb[..., 0], rgb[..., 1]) and np.array_equal(rgb[..., 1], rgb[..., 2]))


def _unpacked(measure: NDArray[np.uint16]) -> Array:
    return measure.astype(np.float32) / np.float32(65535)
