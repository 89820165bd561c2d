"""New frame rates: frames at exact times, made between two frames of one shot.

An output frame that falls on a source frame is that frame. Between the last frame of a shot and the first of the
next nothing is made: the last frame is held. Who makes a frame is a plug-in: along the optical flow here, or a
published network (`core.models.dain`, `core.models.rife`).

Where the film repeats frames, as transfers of silent film do, what repeats the one before can be made anew between
the distinct pictures about it. Frames keep their count and their times, and so the sound its sync.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import Any, ClassVar, Protocol, cast, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from core.contract.fingerprint import fingerprint
from core.contract.params import number, registered, switch, text
from core.contract.plugins import Plugins
from core.contract.registry import Makers
from core.contract.stage import StageBase, StageContext, Timeline, Window
from core.defects import is_duplicate
from core.errors import InputError, RecipeError
from core.film.colour import as_grey, is_grey, luma_of
from core.film.shot import Shot
from core.film.timebase import FrameRange, parse_rate
from core.flow import DisFlow, FlowPair, resize_flow, to_working, warp

Array = NDArray[np.float32]

# Below this mean trust the two frames are not the same scene to the flow: the nearer one is shown.
_HOPELESS = 0.12
# A picture shown for longer than this is a still, or a calm view, and stays as it is  [frames].
LONGEST_REPEAT = 4
_OFF_WHOLE = 0.02  # as far as a time step may be from a whole part, so that 0.33 is a third
_flow = DisFlow("medium")


@runtime_checkable
class Interpolator(Protocol):
    """What makes pictures between pictures.

    Attributes:
        name: the word it is chosen by.
        fingerprint: hash of weights and code version: part of every cache key.
    """

    name: str
    fingerprint: str

    def between(self, rgb_a: Array, rgb_b: Array, t: float) -> Array:
        """Make the picture at a time between two others.

        Args:
            rgb_a: [(H, W, 3) float32 [0, 1] R'G'B']
            rgb_b: [(H, W, 3) float32 [0, 1] R'G'B']
            t: fraction of the way from a to b  (0, 1)

        Returns:
            [(H, W, 3) float32 [0, 1] R'G'B']
        """
        ...


@runtime_checkable
class FallsShort(Protocol):
    """An interpolator that goes on with what takes less where memory ends, and tells."""

    def between_or_less(self, rgb_a: Array, rgb_b: Array, t: float) -> tuple[Array, str]:
        """As `Interpolator.between`, and what was done instead of its usual way; empty where nothing was."""
        ...


class AlongFlow:
    """Both pictures moved along their optical flow and mixed; needs no weights. Fulfils the interpolator protocol.

    Source: Niklaus & Liu 2020 (splatting along the flow); Baker et al. 2011 (occlusion by visibility).
    """

    name = "flow"
    fingerprint = fingerprint("flow", 1)

    def between(self, rgb_a: Array, rgb_b: Array, t: float) -> Array:
        """Make the picture at a time between two others; of two that share nothing the nearer is taken.

        Args:
            rgb_a: [(H, W, 3) float32 [0, 1] R'G'B']
            rgb_b: [(H, W, 3) float32 [0, 1] R'G'B']
            t: fraction of the way from a to b  (0, 1)

        Returns:
            [(H, W, 3) float32 [0, 1] R'G'B']
        """
        pair = _flow.pair(to_working(luma_of(rgb_a)), to_working(luma_of(rgb_b)))
        if max(float(pair.forward_trust.mean()), float(pair.backward_trust.mean())) < _HOPELESS:
            return rgb_a if t < 0.5 else rgb_b
        return moved_and_mixed(rgb_a, rgb_b, pair, t)


@dataclass(frozen=True)
class InterpolateParams:
    """The new rate, and who makes the frames."""

    rate: str = text("60", help="Frames per second after it: 24, 60, 60000/1001 …")
    by: str = registered(
        "flow", "interpolators", help="Who makes frames: flow, along the motion, or a network of the model shelf"
    )
    time_step: float = number(
        0.0,
        0.0,
        1.0,
        help="In place of a rate, as PaddleGAN has it: 0.5 makes twice the film's frames, 0.25 four times; 0: see rate",
    )
    remove_duplicates: bool = switch(
        False, help="Make frames that repeat the one before anew, from the distinct pictures about them"
    )


class Interpolate(StageBase):
    """Change the frame rate, motion going on between the frames.

    Window: the two source frames around the new one, both of one shot; a few more where duplicates are removed.
    Identity: at the source's own rate every frame is a source frame.
    Cost: about 150 ms for a new 640×480 frame on two cores, along the flow.

    Source: Bao et al. 2019 and Huang et al. 2022 for the published networks; else as `AlongFlow`.
    """

    name: ClassVar[str] = "interpolate"
    version: ClassVar[int] = 2
    help: ClassVar[str] = "Changes the frame rate by making frames along the motion, never across a cut"
    Params: ClassVar[type] = InterpolateParams

    def __init__(self, makers: Makers) -> None:
        self._makers = makers

    def interpolator(self, name: str, device: str | None = None) -> Interpolator:
        """The interpolator of that name, made once.

        Raises:
            InputError: there is none of that name, or its weights are missing.
        """
        return cast(Interpolator, self._makers.made(name, device))

    def key_parts(self, params: InterpolateParams, device: str | None = None) -> tuple[Any, ...]:
        """The interpolator's weights and version, and how it runs there."""
        return (self.interpolator(params.by, device).fingerprint,)

    def retime(self, timeline: Timeline, params: InterpolateParams) -> Timeline:
        """Frames at ``j / rate`` for as long as the film lasts, to within half a frame.

        Raises:
            RecipeError: the rate is none, the time step is no whole part, or both are asked for and differ.
        """
        rate = _rate(timeline, params)
        start, end = timeline.times[0], timeline.times[-1]
        count = max(1, round((end - start) * rate)) if timeline.count else 0
        times = tuple(start + j / rate for j in range(count + 1))
        last = {shot.range.stop - 1 for shot in timeline.shots}
        sources = tuple(_place(timeline, t, last) for t in times[:-1])
        return Timeline(timeline.size, _shots(timeline, rate, count), times, sources)

    def beyond(self, params: InterpolateParams) -> int:
        """As far as a picture may be repeated, where duplicates are removed."""
        return LONGEST_REPEAT if params.remove_duplicates else 0

    def blend(self, window: Window, t: float, params: InterpolateParams, context: StageContext) -> Array:
        """The picture at fraction ``t`` from the window's frame to the next  [(H, W, 3) float32 [0, 1] R'G'B']."""
        first, second = window.centre, window.centre + 1
        if params.remove_duplicates:
            first, second, t = distinct(window, t)
        a = window.frames[first].rgb
        if t == 0:
            return a
        b = window.frames[second].rgb
        interpolator = self.interpolator(params.by, context.device)
        if isinstance(interpolator, FallsShort):
            made, instead = interpolator.between_or_less(a, b, t)
            if instead:
                context.fell_short(instead)
        else:
            made = interpolator.between(a, b, t)
        return as_grey(made) if is_grey(a) and is_grey(b) and not is_grey(made) else made


def distinct(window: Window, t: float) -> tuple[int, int, float]:
    """The two distinct pictures that a time lies between.

    Args:
        window: frames of one shot, `LONGEST_REPEAT` of them to each side of the pair as far as there are any
        t: fraction of the way from the window's frame to the next  [0, 1)

    Returns:
        Their places in the window, each the first frame that shows its picture, and the fraction of the way from
        the one to the other. Where a picture is shown for longer than `LONGEST_REPEAT`, or to the shot's end: the
        frame itself, the next, and ``t``.
    """
    frames, centre = window.frames, window.centre
    lumas: dict[int, Array] = {}

    def luma(place: int) -> Array:
        if place not in lumas:
            lumas[place] = luma_of(frames[place].rgb)
        return lumas[place]

    def repeats(place: int) -> bool:
        return is_duplicate(luma(place - 1), luma(place))

    first, second = centre, centre + 1
    while first > 0 and repeats(first):
        first -= 1
    while second < len(frames) and repeats(second):
        second += 1
    if second == len(frames) or second - first > LONGEST_REPEAT:
        return centre, centre + 1, t
    return first, second, (centre - first + t) / (second - first)


def moved_and_mixed(rgb_a: Array, rgb_b: Array, pair: FlowPair, t: float) -> Array:
    """A picture between two others along their flow.

    Args:
        rgb_a: [(H, W, 3) float32 [0, 1] R'G'B']
        rgb_b: [(H, W, 3) float32 [0, 1] R'G'B']
        pair: flow between them, at any size.
        t: fraction of the way from a to b  [0, 1]

    Returns:
        [(H, W, 3) float32 [0, 1] R'G'B']: both pictures moved and mixed, each by how far it shows what is
        there; a plain mix where flow fails.
    """
    h, w = rgb_a.shape[:2]
    motion_a, seen_a = _splat(pair.forward, pair.forward_trust, t)
    motion_b, seen_b = _splat(pair.backward, pair.backward_trust, 1 - t)
    motion = motion_a - motion_b
    mass = seen_a + seen_b
    motion = _filled(motion, mass)
    motion = resize_flow(motion, (h, w))
    in_a, in_b = _share(seen_a, (h, w)), _share(seen_b, (h, w))
    from_a = warp(rgb_a, motion * np.float32(-t), interpolation=cv2.INTER_CUBIC)
    from_b = warp(rgb_b, motion * np.float32(1 - t), interpolation=cv2.INTER_CUBIC)
    weight_a, weight_b = (1 - t) * (in_a + 0.02), t * (in_b + 0.02)
    share = (weight_a / (weight_a + weight_b))[..., None]
    moved = from_a * share + from_b * (1 - share)
    sure = np.maximum(in_a, in_b)[..., None]
    plain = rgb_a * np.float32(1 - t) + rgb_b * np.float32(t)
    return np.asarray(np.clip(moved * sure + plain * (1 - sure), 0, 1), np.float32)


def register(plugins: Plugins) -> None:
    """Add the stage, and the interpolator that needs no weights."""
    plugins.interpolators.add(AlongFlow.name, lambda device: AlongFlow())
    plugins.stages.add(Interpolate.name, Interpolate(plugins.interpolators))


def _rate(timeline: Timeline, params: InterpolateParams) -> Fraction:
    """Frames per second that are asked for."""
    try:
        rate = parse_rate(params.rate.strip())
    except InputError as error:
        raise RecipeError(f"stage interpolate, parameter 'rate': {error}") from None
    if not params.time_step or not timeline.count:
        return rate
    times = round(1 / params.time_step)
    if abs(1 / params.time_step - times) > _OFF_WHOLE * times:
        raise RecipeError(
            f"stage interpolate, parameter 'time_step': expected a whole part such as 0.5, 0.33, 0.25 or 0.125, got "
            f"{params.time_step:g}"
        )
    stepped = times * timeline.count / (timeline.times[-1] - timeline.times[0])
    # A rate left at its default was not asked for.
    if params.rate != InterpolateParams.rate and rate != stepped:
        raise RecipeError(
            f"stage interpolate: time_step {params.time_step:g} makes {float(stepped):g} frames per second of this "
            f"film, rate asks for {params.rate.strip()}; give one of the two"
        )
    return stepped


def _place(timeline: Timeline, time: Fraction, last: set[int]) -> Fraction:
    """Position on the source's frame numbers of what is shown at a time."""
    n = min(bisect_right(timeline.times, time) - 1, timeline.count - 1)
    here = timeline.sources[n]
    if n in last or time == timeline.times[n]:
        return here
    part = (time - timeline.times[n]) / (timeline.times[n + 1] - timeline.times[n])
    return here + part * (timeline.sources[n + 1] - here)


def _shots(timeline: Timeline, rate: Fraction, count: int) -> tuple[Shot, ...]:
    """The shots in new frame numbers; one too short for the new rate is left out."""
    start = timeline.times[0]
    firsts = [min(count, ceil((timeline.times[s.range.start] - start) * rate)) for s in timeline.shots]
    stops = [*firsts[1:], count]
    return tuple(
        replace(shot, range=FrameRange(a, b)) for shot, a, b in zip(timeline.shots, firsts, stops, strict=True) if b > a
    )


def _splat(flow: Array, trust: Array, t: float) -> tuple[Array, Array]:
    """Throw each vector to where its pixel is after the part ``t`` of its way.

    Returns:
        Vectors there, each times its weight  [(h, w, 2) float32 px]; the weights  [(h, w) float32]
    """
    h, w = trust.shape
    y, x = np.mgrid[:h, :w].astype(np.float32)
    x += flow[..., 0] * np.float32(t)
    y += flow[..., 1] * np.float32(t)
    x0, y0 = np.floor(x), np.floor(y)
    fx, fy = x - x0, y - y0
    total = np.zeros((3, h * w))
    planes = (trust * flow[..., 0], trust * flow[..., 1], trust)
    for dy, dx, part in ((0, 0, (1 - fx) * (1 - fy)), (0, 1, fx * (1 - fy)), (1, 0, (1 - fx) * fy), (1, 1, fx * fy)):
        col, row = x0.astype(np.int64) + dx, y0.astype(np.int64) + dy
        inside = (col >= 0) & (col < w) & (row >= 0) & (row < h)
        index = (row * w + col)[inside]
        for k, plane in enumerate(planes):
            total[k] += np.bincount(index, weights=(plane * part)[inside], minlength=h * w)
    thrown = total.reshape(3, h, w).astype(np.float32)
    return np.ascontiguousarray(np.moveaxis(thrown[:2], 0, -1)), thrown[2]


def _filled(motion: Array, mass: Array) -> Array:
    """Weighted vectors to vectors; where none fell, those around."""
    out = motion / np.maximum(mass, 1e-6)[..., None]
    done = mass > 0.15
    side = 5
    while not done.all() and side < 2 * max(mass.shape):
        box = (side, side)
        near = cv2.boxFilter(mass, -1, box)
        mean = cv2.boxFilter(motion, -1, box) / np.maximum(near, 1e-6)[..., None]
        new = ~done & (near > 0.05)
        out[new] = mean[new]
        done |= new
        side = side * 2 + 1
    return np.asarray(out, np.float32)


def _share(seen: Array, size: tuple[int, int]) -> Array:
    """How far a frame shows what is there, at full size  [(H, W) float32 [0, 1]]."""
    soft = cv2.GaussianBlur(np.minimum(seen, 1.0), (3, 3), 0)
    return np.asarray(cv2.resize(soft, (size[1], size[0]), interpolation=cv2.INTER_LINEAR), np.float32)
