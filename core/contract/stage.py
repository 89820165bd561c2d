"""The kinds of stages a recipe is made of, and what each is given.

A stage is a value without state: all it knows comes in with the call, and its result depends on
nothing else; that is what makes cache keys true. Three kinds:

- `FrameStage` makes a frame from a window of frames that never leaves the shot;
- `ShotStage` first measures every frame of a shot, solves for one state per frame, then applies it;
- `RetimeStage` makes frames at new times from the frames about them, of one shot.

Pictures in and out are R'G'B' float32 (H, W, 3) in [0, 1]; the runner puts results on the 16-bit grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from core.film.frame import Frame
from core.film.shot import Shot
from core.film.timebase import FrameRange

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Timeline:
    """The sequence of frames at one point of the line: what a stage gets, or what it gives.

    Attributes:
        size: (H, W) of its frames.
        shots: its shots, in its own frame numbers.
        times: start of each frame and, last, the end  [seconds from the film's start, exact].
        sources: position of each frame on the source's frame numbers (whole where it is a source frame).
    """

    size: tuple[int, int]
    shots: tuple[Shot, ...]
    times: tuple[Fraction, ...]
    sources: tuple[Fraction, ...]

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.sources)

    @property
    def span(self) -> FrameRange:
        """All its frames."""
        return FrameRange(0, self.count)


class Side(Protocol):
    """Something besides frames that a stage is given, e.g. the restorer's hints.

    Its key is content: equal keys promise equal values. None means it says nothing about that frame.
    """

    def key(self, n: int) -> str | None:
        """Key of what is said about frame ``n`` of the stage's own input."""
        ...


def _unheard(instead: str) -> None:
    pass


@dataclass(frozen=True)
class StageContext:
    """What the surroundings lend a stage: nothing here may change its result except through a key.

    Attributes:
        device: ``cpu``, ``cuda``, ``mps`` … for stages that use torch.
        shot: the shot the frame belongs to.
        side: the stage's side input, or None.
        fell_short: to be called where memory was too small to make the frame as its key promises, with what was done
            instead. Such a frame is shown and delivered, and counted in the report, but not kept.
    """

    device: str
    shot: Shot
    side: Side | None = None
    fell_short: Callable[[str], None] = _unheard


@dataclass(frozen=True)
class Window:
    """Frames around one frame, cut to its shot: ``frames[centre]`` is the frame itself.

    The sequence may be lazy: a frame that is not looked at is not made.
    """

    frames: Sequence[Frame]
    centre: int

    @property
    def frame(self) -> Frame:
        """The frame in question."""
        return self.frames[self.centre]


class Stage(Protocol):
    """What all kinds have in common.

    Attributes:
        name: the word used in recipes, in keys and in reports.
        version: raised whenever the same input gives another result.
        help: one sentence for people.
        Params: frozen dataclass of declared parameters (`core.contract.params`).
    """

    name: ClassVar[str]
    version: ClassVar[int]
    help: ClassVar[str]
    Params: ClassVar[type]

    def keyed(self, params: Any) -> Any:
        """The parameters as they stand in keys; what has its say in `key_parts` alone stands at its default."""
        ...

    def key_parts(self, params: Any, device: str | None = None) -> tuple[Any, ...]:
        """Inputs beyond parameters that change the result: weights, and how a network runs where it will run.

        Args:
            params: the stage's.
            device: where networks will run; as much of them as a key needs is made there, and nowhere else.
        """
        ...

    def size(self, size: tuple[int, int], params: Any) -> tuple[int, int]:
        """(H, W) of the frames given for frames of ``size`` taken."""
        ...


@runtime_checkable
class FrameStage(Stage, Protocol):
    """Makes each frame from a window of ``radius`` frames to both sides, cut at the shot."""

    def radius(self, params: Any, device: str | None = None) -> int:
        """Frames needed to each side; ``device`` as of `key_parts`, where a network tells."""
        ...

    def process(self, window: Window, params: Any, context: StageContext) -> Array:
        """The new picture  [(H', W', 3) float32 [0, 1] R'G'B']."""
        ...


@runtime_checkable
class FillsWindow(Protocol):
    """A frame stage whose windows hold as many frames at a shot's ends as within it, as some networks were trained."""

    def fills_window(self, params: Any) -> bool:
        """Whether what a shot's end cuts off a window is added on its other side."""
        ...


@runtime_checkable
class ShotStage(Stage, Protocol):
    """Looks at the whole shot before it changes a frame."""

    def measure(self, frame: Frame, params: Any, context: StageContext) -> NDArray[Any]:
        """A small array of what there is to know about one frame (kept for the whole shot)."""
        ...

    def solve(self, measures: Sequence[NDArray[Any]], params: Any) -> Sequence[NDArray[Any]]:
        """One small state per frame of the shot, from the measures of all of them."""
        ...

    def apply(self, frame: Frame, state: NDArray[Any], params: Any, context: StageContext) -> Array:
        """The new picture  [(H, W, 3) float32 [0, 1] R'G'B']."""
        ...


@runtime_checkable
class RetimeStage(Stage, Protocol):
    """Changes the frame count: frames at new times, each between two frames of one shot."""

    def retime(self, timeline: Timeline, params: Any) -> Timeline:
        """The new sequence; its ``sources`` and ``times`` follow from the old one's."""
        ...

    def beyond(self, params: Any) -> int:
        """Frames to each side that are looked at beside the two. At 0 a frame that falls on one of them is that one."""
        ...

    def blend(self, window: Window, t: float, params: Any, context: StageContext) -> Array:
        """The picture at fraction ``t`` in [0, 1) of the way from the window's frame to the next.

        Where ``t`` is 0 the next may be missing, and `beyond` is more than 0.
        """
        ...


@runtime_checkable
class ShowsMatte(Protocol):
    """A repair stage that can show what it takes for damage before anything is filled."""

    def matte(self, window: Window, params: Any, context: StageContext) -> Array:
        """Where the frame will be changed  [(H, W) float32 [0, 1]]."""
        ...


class StageBase:
    """Defaults for stages: keyed by their parameters, no further key parts, size unchanged. Carries no state."""

    def keyed(self, params: Any) -> Any:
        """All of them as they are."""
        return params

    def key_parts(self, params: Any, device: str | None = None) -> tuple[Any, ...]:
        """None beyond the parameters."""
        return ()

    def size(self, size: tuple[int, int], params: Any) -> tuple[int, int]:
        """Unchanged."""
        return size
