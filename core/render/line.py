"""A recipe bound to a film: what each step takes and gives, and the key of every frame. No pixels.

The key of a frame after a step is ``H(step, version, parameters, keys of the frames in its window, what
the side input says there, weights)``. A window is cut at its shot, so no key ever reaches across a cut,
and two frames have one key exactly where nothing that makes them differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any, cast

from core.contract.fingerprint import fingerprint
from core.contract.params import build
from core.contract.recipe import Recipe
from core.contract.registry import Registry
from core.contract.stage import FillsWindow, FrameStage, RetimeStage, ShotStage, Side, Stage, Timeline
from core.errors import RecipeError
from core.film.clip import Clip
from core.film.shot import Shot, shot_of
from core.film.timebase import FrameRange

DECODE_VERSION = 1


@dataclass(frozen=True)
class Node:
    """One step of the line.

    Attributes:
        stage: None for the film itself.
        params: the stage's.
        takes: the sequence it takes.
        gives: the one it gives.
        parts: what stands in its frames' keys beside the frames they are made from.
        radius: frames it looks at to each side, of a stage that makes frame by frame.
    """

    stage: Stage | None
    params: Any
    takes: Timeline
    gives: Timeline
    parts: tuple[Any, ...] = ()
    radius: int = 0

    @cached_property
    def retimes(self) -> bool:
        """Whether it gives other frames than it takes. Kept: asking a protocol is slow, and planning asks per frame."""
        return isinstance(self.stage, RetimeStage)

    @cached_property
    def sees_shot(self) -> bool:
        """Whether it looks at whole shots; kept for the same reason."""
        return isinstance(self.stage, ShotStage)

    @cached_property
    def fills_window(self) -> bool:
        """Whether its windows hold as many frames at a shot's ends as within it; kept for the same reason."""
        return isinstance(self.stage, FillsWindow) and self.stage.fills_window(self.params)

    @property
    def name(self) -> str:
        """The stage's name, or ``decode`` for the film itself."""
        return self.stage.name if self.stage else "decode"

    def shot(self, n: int) -> Shot:
        """The shot that holds frame ``n`` of what this step gives."""
        return shot_of(self.gives.shots, n)

    def needs(self, n: int) -> FrameRange:
        """Frames of the step before that frame ``n`` is made from."""
        if self.retimes:
            first, t = self.between(n)
            pair = FrameRange(first, first + (2 if t else 1))
            return self._with_those_beyond(pair) if self.beyond else pair
        shot = self.shot(n)
        if self.sees_shot:
            return shot.range
        return shot.range.nearest(n, self.radius) if self.fills_window else shot.range.around(n, self.radius)

    def between(self, n: int) -> tuple[int, Fraction]:
        """Of a retimed frame: the frame before it, and the fraction of the way to the next."""
        place = self.gives.sources[n]
        first = int(place)
        return first, place - first

    def passes(self, n: int) -> bool:
        """Whether frame ``n`` is a frame of the step before, so that nothing is made."""
        return self.retimes and not self.beyond and self.between(n)[1] == 0

    @cached_property
    def beyond(self) -> int:
        """How many frames a retiming looks at to each side of the two it is between."""
        return cast(RetimeStage, self.stage).beyond(self.params) if self.retimes else 0

    def _with_those_beyond(self, pair: FrameRange) -> FrameRange:
        shot = shot_of(self.takes.shots, pair.start).range
        return FrameRange(max(shot.start, pair.start - self.beyond), min(shot.stop, pair.stop + self.beyond))


@dataclass
class Line:
    """The steps of a recipe on one film, with keys memoised.

    Attributes:
        nodes: the film itself, then the active steps in order.
        sides: step name to its side input.
    """

    clip: Clip
    nodes: tuple[Node, ...]
    sides: dict[str, Side] = field(default_factory=dict)
    _keys: list[dict[int, str]] = field(default_factory=list, repr=False)
    _shot_keys: dict[tuple[int, int], str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._keys = [{} for _ in self.nodes]

    @property
    def last(self) -> int:
        """Number of the last step."""
        return len(self.nodes) - 1

    def index(self, name: str) -> int | None:
        """Number of the step of that name, or None."""
        return next((i for i, node in enumerate(self.nodes) if node.name == name), None)

    def key(self, i: int, n: int) -> str:
        """Key of frame ``n`` after step ``i``."""
        known = self._keys[i].get(n)
        if known is None:
            known = self._keys[i][n] = self._make_key(i, n)
        return known

    def shot_key(self, i: int, shot: Shot) -> str:
        """Key of all frames of a shot before step ``i``, as a whole-shot stage sees them."""
        at = (i, shot.range.start)
        if at not in self._shot_keys:
            node = self.nodes[i]
            self._shot_keys[at] = fingerprint("shot", node.name, *node.parts, [self.key(i - 1, m) for m in shot.range])
        return self._shot_keys[at]

    def _make_key(self, i: int, n: int) -> str:
        node = self.nodes[i]
        if node.stage is None:
            return fingerprint("decode", DECODE_VERSION, self.clip.sha256, str(self.clip.rate), n)
        if node.retimes:
            first, t = node.between(n)
            if node.passes(n):
                return self.key(i - 1, first)  # the very frame: nothing is made, nothing is kept twice
            around = node.needs(n)
            keys = [self.key(i - 1, m) for m in around]
            return fingerprint(node.name, *node.parts, keys, first - around.start, t)
        said = self.sides[node.name].key(n) if node.name in self.sides else None
        shot = node.shot(n)
        if node.sees_shot:
            return fingerprint(node.name, *node.parts, self.shot_key(i, shot), n - shot.range.start, said)
        window = node.needs(n)
        keys = [self.key(i - 1, m) for m in window]
        return fingerprint(node.name, *node.parts, keys, n - window.start, said)


def source_timeline(clip: Clip, shots: tuple[Shot, ...]) -> Timeline:
    """The film's own frames as a sequence."""
    times = tuple(clip.time(n) for n in range(clip.count + 1))
    return Timeline(clip.size, shots, times, tuple(Fraction(n) for n in range(clip.count)))


def lay_out(clip: Clip, shots: tuple[Shot, ...], recipe: Recipe, stages: Registry[Stage], device: str) -> Line:
    """Bind a recipe to a film, and to the device where its networks will run.

    Args:
        clip: the film.
        shots: its shots.
        recipe: the steps.
        stages: those there are.
        device: where networks will run.

    Raises:
        InputError: a model is unknown or missing.
        RecipeError: a stage is unknown, a parameter breaks its bounds, or a retimed film is retimed again.
    """
    recipe = recipe.checked(stages)
    timeline = source_timeline(clip, shots)
    nodes = [Node(None, None, timeline, timeline)]
    for spec in recipe.active:
        stage = stages.get(spec.name)
        params: Any = build(stage.Params, spec.params, where=f"stage {spec.name}")
        if isinstance(stage, RetimeStage):
            if any(node.retimes for node in nodes):
                raise RecipeError(f"recipe: '{spec.name}' retimes a film that is retimed already; keep one of them")
            gives = stage.retime(timeline, params)
        else:
            gives = Timeline(stage.size(timeline.size, params), timeline.shots, timeline.times, timeline.sources)
        parts = (stage.version, stage.keyed(params), *stage.key_parts(params, device))
        radius = stage.radius(params, device) if isinstance(stage, FrameStage) else 0
        nodes.append(Node(stage, params, timeline, gives, parts, radius))
        timeline = gives
    return Line(clip, tuple(nodes))


@dataclass(frozen=True)
class Plan:
    """What a render will do, known before anything runs.

    Attributes:
        frames: frames that come out.
        missing: step name to the number of frames it has yet to make.
        total: step name to the number of frames it has in this span.
        at_most: whether hints have yet to be carried, so that counts from the colouring on are upper bounds.
    """

    frames: int
    missing: Mapping[str, int]
    total: Mapping[str, int]
    at_most: bool = False

    @property
    def work(self) -> int:
        """Frames to make, over all steps."""
        return sum(self.missing.values())
