"""A tiny film, small stages and a hint source whose every effect is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from core.contract.fingerprint import fingerprint
from core.contract.params import NoParams, number
from core.contract.plugins import Plugins
from core.contract.stage import StageBase, StageContext, Timeline, Window
from core.film.clip import Clip
from core.film.frame import Frame, on_grid
from core.film.shot import shots_from_cuts
from core.film.timebase import FrameRange

SIZE = (24, 32)


def clip(count: int, *, sha: str = "film") -> Clip:
    return Clip(
        path="film", kind="video", sha256=sha, width=SIZE[1], height=SIZE[0], rate=Fraction(24),
        time_base=Fraction(1, 24), pts=tuple(range(count)), end_pts=count,
    )  # fmt: skip


class Film:
    """Grey frames of a texture that pans one pixel a frame; counts what is decoded."""

    def __init__(self, count: int) -> None:
        self.clip = clip(count)
        texture = np.random.default_rng(0).uniform(0.2, 0.8, (SIZE[0], SIZE[1] + count)).astype(np.float32)
        self._texture = np.cumsum(texture - texture.mean(), axis=1) * 0.05 + 0.5
        self.decoded: list[int] = []

    def frame(self, n: int) -> Frame:
        plane = self._texture[:, n : n + SIZE[1]]
        self.decoded.append(n)
        return Frame(n, on_grid(np.repeat(plane[..., None], 3, axis=2).astype(np.float32)))

    def frames(self, span: FrameRange) -> Iterator[Frame]:
        return (self.frame(n) for n in span)

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class BlurParams:
    radius: int = number(1, 0, 4, help="frames to each side")


class Blur(StageBase):
    """The mean of the window: whatever enters it shows in the result."""

    name: ClassVar[str] = "blur"
    version: ClassVar[int] = 1
    help: ClassVar[str] = "mean over time"
    Params: ClassVar[type] = BlurParams

    def radius(self, params: BlurParams, device: str | None = None) -> int:
        return params.radius

    def process(self, window: Window, params: BlurParams, context: StageContext) -> np.ndarray:
        return np.mean([f.rgb for f in window.frames], axis=0).astype(np.float32)


class Level(StageBase):
    """Brings every frame to the mean of its shot."""

    name: ClassVar[str] = "level"
    version: ClassVar[int] = 1
    help: ClassVar[str] = "level over the shot"
    Params: ClassVar[type] = NoParams

    def measure(self, frame: Frame, params: NoParams, context: StageContext) -> np.ndarray:
        return np.array([frame.rgb.mean()])

    def solve(self, measures: Sequence[np.ndarray], params: NoParams) -> Sequence[np.ndarray]:
        return [np.mean(measures, axis=0) - m for m in measures]

    def apply(self, frame: Frame, state: np.ndarray, params: NoParams, context: StageContext) -> np.ndarray:
        return frame.rgb + np.float32(state[0])


class Double(StageBase):
    """Twice the frames; the last of a shot is held."""

    name: ClassVar[str] = "double"
    version: ClassVar[int] = 1
    help: ClassVar[str] = "twice the frames"
    Params: ClassVar[type] = NoParams

    def retime(self, timeline: Timeline, params: NoParams) -> Timeline:
        half = Fraction(1, 2)
        last = {s.range.stop - 1 for s in timeline.shots}
        sources = [p for n in range(timeline.count) for p in (Fraction(n), n + (0 if n in last else half))]
        times = [timeline.times[0] + (timeline.times[-1] - timeline.times[0]) * j / len(sources)
                 for j in range(len(sources) + 1)]  # fmt: skip
        shots = tuple(replace(s, range=FrameRange(2 * s.range.start, 2 * s.range.stop)) for s in timeline.shots)
        return Timeline(timeline.size, shots, tuple(times), tuple(map(Fraction, sources)))

    def beyond(self, params: NoParams) -> int:
        return 0

    def blend(self, window: Window, t: float, params: NoParams, context: StageContext) -> np.ndarray:
        return (1 - t) * window.frame.rgb + np.float32(t) * window.frames[window.centre + 1].rgb


class Flickering:
    """A colouriser whose answer jumps with the picture; hints are carried nowhere beyond themselves."""

    name = "flickering"
    fingerprint = "flickering-1"

    def predict(self, luma):
        seed = int(np.float64(luma).sum() * 1e3) % 2**32
        ab = np.empty((*luma.shape, 2), np.float32)
        ab[:] = 20 + np.random.default_rng(seed).normal(0, 8, 2)
        return ab

    def carry(self, luma, ab, hint_ab, hint_weight):
        return ab + hint_weight[..., None] * (hint_ab - ab)


class Sociable(Flickering):
    """The same, four frames at a time; counts how many each call was about."""

    fingerprint = "sociable-1"
    together = 4

    def __init__(self) -> None:
        self.calls: list[int] = []

    def predict_together(self, lumas):
        self.calls.append(len(lumas))
        return np.stack([self.predict(luma) for luma in lumas])


@dataclass
class Said:
    ab: np.ndarray
    weight: np.ndarray
    strength = None

    @property
    def spreads(self):
        return self.weight


class Hints:
    """One red hint on some frames; carried on demand."""

    def __init__(self, frames: set[int], *, hue: float = 60.0) -> None:
        self.frames, self.hue = frames, hue
        self.carried: set[int] = set()
        self.motion: Any = None

    def factory(self) -> Callable[..., Hints]:
        def make(timeline: Timeline, motion: Any, store: Any) -> Hints:
            self.motion = motion
            return self

        return make

    def reach(self, shot):
        own = [n for n in self.frames if n in shot.range]
        return FrameRange(min(own), max(own) + 1) if own else FrameRange(shot.range.start, shot.range.start)

    def ready(self, shot):
        return shot.range.start in self.carried

    def carry(self, shot, report, token):
        for n in self.reach(shot):
            self.motion.luma(n)
        self.carried.add(shot.range.start)

    def key(self, n):
        return fingerprint("red", self.hue) if n in self.frames else None

    def field(self, n):
        if n not in self.frames:
            return None
        weight = np.zeros(SIZE, np.float32)
        weight[4:12, 4:12] = 1
        return Said(np.full((*SIZE, 2), self.hue, np.float32) * np.array([1, 0.5], np.float32), weight)

    def locks(self, n):
        return ()


def plugins(colouriser: Flickering | None = None) -> Plugins:
    from core import flow  # the real estimator: what is tested is the line, not the flow
    from core.colourise import Colourise

    made = Plugins()
    flow.register(made)
    made.colourisers.add("embedded", lambda device: colouriser or Flickering())
    made.stages.add("colourise", Colourise(made.colourisers, made.flows))
    for stage in (Blur(), Level(), Double()):
        made.stages.add(stage.name, stage)
    return made


def shots(count: int, *cuts: int):
    return shots_from_cuts(cuts, count)
