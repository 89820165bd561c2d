"""Makes frames of a line on demand: from the cache what is there, from the stages what is missing."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from core.colourise import Automatic, Colourise, ColouriseParams, Field, HintSource, Motion, Store, resized
from core.contract.fingerprint import fingerprint
from core.contract.plugins import Plugins
from core.contract.progress import CancelToken, Progress, Report, silent
from core.contract.recipe import Recipe
from core.contract.sources import FrameSource
from core.contract.stage import (
    FrameStage,
    RetimeStage,
    ShotStage,
    ShowsMatte,
    StageContext,
    Timeline,
    Window,
)
from core.errors import PochoirError, RecipeError, StageError
from core.film.colour import luma_of
from core.film.frame import Frame, on_grid
from core.film.shot import Shot, shot_of
from core.film.timebase import FrameRange
from core.models.colouriser import working_size
from core.models.device import pick_device
from core.render.automatic import AutomaticPass
from core.render.cache import FrameCache
from core.render.line import Line, Node, Plan, lay_out
from core.render.motion import CoarseMotion, ShotMotion

Array = NDArray[np.float32]
HintFactory = Callable[[Timeline, Motion, Store], HintSource]
_DECODED_KEPT = 24


@dataclass
class Tally:
    """What a render made and what it found made already, in frames per step.

    Attributes:
        rendered: step to the frames it made.
        reused: step to the frames it needed not make.
        fell_short: step, and what it did instead for want of memory, to the frames it made so; they are not kept.
    """

    rendered: dict[str, int] = field(default_factory=dict)
    reused: dict[str, int] = field(default_factory=dict)
    fell_short: dict[str, int] = field(default_factory=dict)


class Renderer:
    """One film under one recipe and one set of hints. Make a new one when any of them changes: it is cheap.

    Args:
        source: the film.
        shots: its shots.
        recipe: the steps; parameters are checked here.
        plugins: stages, colourisers and flow estimators there are.
        cache: what was computed before, by whomever.
        hints: makes the hint source for the colouring's input; None without hints.
        device: where networks run; None chooses.

    Raises:
        RecipeError: the recipe does not fit.
        InputError: a colouriser, flow estimator or device is unknown or missing.
    """

    def __init__(
        self,
        source: FrameSource,
        shots: Sequence[Shot],
        recipe: Recipe,
        plugins: Plugins,
        cache: FrameCache,
        *,
        hints: HintFactory | None = None,
        device: str | None = None,
    ) -> None:
        self.source = source
        self.cache = cache
        self.device = str(pick_device(device))
        self.line: Line = lay_out(source.clip, tuple(shots), recipe, plugins.stages, self.device)
        self.tally = Tally()
        self.hint_source: HintSource | None = None
        self.side: _ColourSide | None = None
        self._decoded: OrderedDict[int, Frame] = OrderedDict()
        self._reader: Iterator[Frame] | None = None
        self._next = 0
        self._looked_at: tuple[tuple[int, int | None], Array] | None = None
        self._work = _Work(silent, CancelToken(), {})
        self._short = False  # whether what is being made, or something it is made from, is less than its key promises
        at = self.line.index(Colourise.name)
        if at is not None:
            self._lend_colour(at, plugins, hints)
        elif hints is not None:
            raise RecipeError("recipe: hints need the step 'colourise'; switch it on")

    def _lend_colour(self, at: int, plugins: Plugins, hints: HintFactory | None) -> None:
        """Give the colouring its side input: motion, the automatic pass, and the hints."""
        node = self.line.nodes[at]
        stage, params = node.stage, node.params
        assert isinstance(stage, Colourise)
        estimator = plugins.flows.made(params.flow, self.device)
        looks = stage.looks(params.colouriser, self.device)
        motion = ShotMotion(
            lambda n: self._get(at - 1, n), lambda n: self.line.key(at - 1, n), estimator, self.cache, looks
        )
        coarse = CoarseMotion(motion, estimator, self.cache)
        automatic = AutomaticPass(motion, coarse, stage.colouriser(params, self.device), self.cache)
        self.hint_source = hints(node.takes, motion, self.cache) if hints else None
        self.side = _ColourSide(node.takes, motion, automatic, params, self.hint_source)
        self.line.sides[stage.name] = self.side

    @property
    def timeline(self) -> Timeline:
        """The sequence that comes out."""
        return self.line.nodes[-1].gives

    # -- planning -----------------------------------------------------------------------------------

    def plan(self, span: FrameRange | None = None) -> Plan:
        """What is missing for these frames of the output (all of them where None). Runs nothing.

        Raises:
            InputError: the span lies outside the film.
        """
        wanted: set[int] = set(span or self.timeline.span)
        frames = len(wanted)
        # Totals hold everything a step would make from nothing, so that reused = total - rendered.
        needed = wanted
        missing: dict[str, int] = {}
        total: dict[str, int] = {}
        unsaid = self._uncarried()
        at = self.line.index(Colourise.name)
        for i in range(self.line.last, 0, -1):
            node = self.line.nodes[i]
            wanted, missing[node.name] = self._asked_for(i, wanted, unsaid)
            if i == at:
                wanted |= unsaid
            own = {n for n in needed if not node.passes(n)}
            total[node.name] = len(own)
            needed = _inputs(node, own, needed - own)
        return Plan(frames, dict(reversed(missing.items())), dict(reversed(total.items())), bool(unsaid))

    def _uncarried(self) -> set[int]:
        """Frames of the colouring whose hints have yet to be carried, so that their keys cannot be told."""
        at = self.line.index(Colourise.name)
        if self.hint_source is None or at is None:
            return set()
        source = self.hint_source
        shots = [shot for shot in self.line.nodes[at].takes.shots if not source.ready(shot)]
        return {n for shot in shots for n in source.reach(shot)}

    def _hangs_on(self, unsaid: Collection[int], i: int, n: int) -> bool:
        """Whether frame ``n`` after step ``i`` is made from a frame of the colouring in ``unsaid``."""
        at = self.line.index(Colourise.name)
        if not unsaid or at is None or i < at:
            return False
        frames = {n}
        for j in range(i, at, -1):
            node = self.line.nodes[j]
            through = {m for m in frames if node.passes(m)}
            frames = _inputs(node, frames - through, through)
        return not frames.isdisjoint(unsaid)

    # -- rendering ----------------------------------------------------------------------------------

    def render(
        self, span: FrameRange | None = None, *, report: Report = silent, token: CancelToken | None = None
    ) -> Iterator[Frame]:
        """Make frames of the output, in order.

        Everything made is in the cache before it is handed on, so a render that is stopped or killed
        goes on from there. `tally` counts while it runs.

        Args:
            span: frames of the output; all where None.
            report: called after every frame that a stage has made.
            token: checked between frames.

        Raises:
            Cancelled: the token was set.
            StageError: a stage failed; names stage, shot and frame.
        """
        span = span or self.timeline.span
        token = token or CancelToken()
        self.cache.forget_passing()  # so that `tally` tells of all that is less in these frames
        plan = self.plan(span)
        self._work = _Work(report, token, dict(plan.missing))
        self.tally = self._work.tally
        self.tally.reused.update(plan.total)
        self.tally.rendered.update(dict.fromkeys(plan.total, 0))
        try:
            self.carry(span, report=report, token=token)
            self._expect(span)
            for n in span:
                token.check()
                yield self._get(self.line.last, n)
        finally:
            self._work = _Work(silent, CancelToken(), {})  # nobody listens any more, nothing is to be stopped
            if self.side is not None:
                self.side.expect(())  # who stopped asks for no more frames

    def _expect(self, span: FrameRange) -> None:
        """Tell the automatic pass which frames the colouring will ask it about, its hints being carried."""
        at = self.line.index(Colourise.name)
        if self.side is None or at is None:
            return
        wanted: set[int] = set(span)
        for i in range(self.line.last, at - 1, -1):
            wanted, _ = self._asked_for(i, wanted)
        self.side.expect(wanted)

    def _asked_for(self, i: int, wanted: set[int], unsaid: Collection[int] = ()) -> tuple[set[int], int]:
        """Frames that step ``i`` asks the one before for, to give those wanted; and how many it makes itself."""
        node = self.line.nodes[i]
        made = {n for n in wanted if not node.passes(n)}
        lacking = {n for n in made if self._hangs_on(unsaid, i, n) or not self.cache.has(self.line.key(i, n))}
        return _inputs(node, lacking, wanted - made), len(lacking)

    def carry(
        self, span: FrameRange | None = None, *, report: Report = silent, token: CancelToken | None = None
    ) -> None:
        """Carry the hints of every shot that these frames of the output touch."""
        at = self.line.index(Colourise.name)
        if self.hint_source is None or at is None:
            return
        span = span or self.timeline.span
        node = self.line.nodes[at]
        sources = self.timeline.sources
        for shot in node.takes.shots:
            first, last = node.takes.sources[shot.range.start], node.takes.sources[shot.range.stop - 1]
            touched = any(first <= sources[n] < last + 1 for n in span)
            if touched and len(self.hint_source.reach(shot)):
                self.hint_source.carry(shot, report, token or CancelToken())

    def picture(self, n: int, *, after: str | None = None) -> Frame:
        """Frame ``n`` as the step ``after`` gives it, in that step's own numbers; as decoded where None.

        Hints are carried first where the step depends on them.

        Raises:
            InputError: no such step is on, or no such frame is there.
        """
        i = 0 if after is None else self.line.index(after)
        if i is None:
            raise RecipeError(f"step '{after}' is not in the recipe or is off")
        at = self.line.index(Colourise.name)
        if at is not None and i >= at and self.hint_source is not None:
            shot = self.line.nodes[i].shot(n)
            first = int(self.line.nodes[i].gives.sources[shot.range.start])
            colouring = next(s for s in self.line.nodes[at].takes.shots if _holds(self.line.nodes[at], s, first))
            if len(self.hint_source.reach(colouring)):
                self.hint_source.carry(colouring, silent, CancelToken())
        return self._get(i, n)

    def before_colour(self, n: int) -> Frame:
        """Frame ``n`` as the colouring gets it: repaired, still grey."""
        at = self.line.index(Colourise.name)
        return self._get((at if at is not None else self.line.last + 1) - 1, n)

    def recolour(self, n: int, said: Field | None, side: int | None = None) -> Array:
        """Frame ``n`` as the colouring would give it if hints said this of it: at once, kept nowhere.

        Args:
            n: frame of the colouring's input.
            said: a field at working size, or None for the automatic colour alone.
            side: longest side of the picture in pixels, where less than the frame's will do.

        Returns:
            [(H, W, 3) float32 [0, 1] R'G'B']

        Raises:
            RecipeError: the colouring is off.
        """
        at = self.line.index(Colourise.name)
        if at is None or self.side is None:
            raise RecipeError("step 'colourise' is off; switch it on to see colour")
        node = self.line.nodes[at]
        assert isinstance(node.stage, Colourise)
        if self._looked_at is None or self._looked_at[0] != (n, side):
            luma = luma_of(self._get(at - 1, n).rgb)
            self._looked_at = (
                (n, side),
                resized(luma, working_size(luma.shape[0], luma.shape[1], side)) if side else luma,
            )
        carrier = node.stage.carrier(node.params.colouriser, self.device)
        automatic = self.side.automatic(n, at_once=True)
        return node.stage.paint(self._looked_at[1], self.side.luma(n), automatic, said, node.params, carrier)

    def suggest(self, n: int, xy: tuple[float, float], count: int = 5) -> Array:
        """Likely colours of one place of a frame; see `AutomaticPass.suggest`.

        Raises:
            RecipeError: the colouring is off.
        """
        if self.side is None:
            raise RecipeError("step 'colourise' is off; switch it on to have colours suggested")
        return self.side.suggest(n, xy, count)

    def matte(self, n: int, step: str) -> Array:
        """What a repair step takes for damage on frame ``n``  [(H, W) float32 [0, 1]].

        Raises:
            RecipeError: the step is off, or shows no matte.
        """
        i = self.line.index(step)
        stage = self.line.nodes[i].stage if i is not None else None
        if i is None or not isinstance(stage, ShowsMatte):
            raise RecipeError(f"step '{step}' is off or shows no matte")
        node = self.line.nodes[i]
        return stage.matte(self._window(i, n, n), node.params, self._context(node, n))

    # -- making one frame ---------------------------------------------------------------------------

    def _get(self, i: int, n: int) -> Frame:
        if i == 0:
            return self._decode(n)
        node = self.line.nodes[i]
        if node.passes(n):
            return Frame(n, self._get(i - 1, node.between(n)[0]).rgb)
        key = self.line.key(i, n)
        rgb = self.cache.get_frame(key)
        if rgb is None:
            self._work.token.check()
            started = time.monotonic()
            around, self._short = self._short, False
            rgb = on_grid(self._make(i, n))
            self.cache.put_frame(key, rgb, lasting=not self._short)
            self._short |= around
            self._work.made(node, n, time.monotonic() - started)
        else:
            self._short |= not self.cache.lasts(key)
        return Frame(n, rgb)

    def _make(self, i: int, n: int) -> Array:
        node = self.line.nodes[i]
        context = self._context(node, n)
        try:
            if isinstance(node.stage, RetimeStage):
                first, t = node.between(n)
                return node.stage.blend(self._window(i, n, first), float(t), node.params, context)
            if isinstance(node.stage, ShotStage):
                state = self._states(i, context.shot)[n - context.shot.range.start]
                return node.stage.apply(self._get(i - 1, n), state, node.params, context)
            assert isinstance(node.stage, FrameStage)
            return node.stage.process(self._window(i, n, n), node.params, context)
        except PochoirError:
            raise
        except Exception as error:
            raise StageError(f"stage {node.name} failed on frame {n}, shot {context.shot.id}: {error!r}") from error

    def _states(self, i: int, shot: Shot) -> NDArray[Any]:
        """A whole-shot stage's state for each frame of the shot, measured and solved once."""
        key = fingerprint("states", self.line.shot_key(i, shot))
        held = self.cache.get(key)
        if held is None:
            node = self.line.nodes[i]
            stage = node.stage
            assert isinstance(stage, ShotStage)
            context = StageContext(self.device, shot)
            measures = []
            for m in shot.range:
                self._work.token.check()
                measures.append(stage.measure(self._get(i - 1, m), node.params, context))
            held = {"states": np.stack([np.asarray(s) for s in stage.solve(measures, node.params)])}
            self.cache.put(key, held, lasting=not self._short)
        else:
            self._short |= not self.cache.lasts(key)
        return held["states"]

    def _context(self, node: Node, n: int) -> StageContext:
        def fell_short(instead: str) -> None:
            self._short = True
            said = f"{node.name} {instead}"
            self._work.tally.fell_short[said] = self._work.tally.fell_short.get(said, 0) + 1

        return StageContext(self.device, node.shot(n), self.line.sides.get(node.name), fell_short)

    def _window(self, i: int, n: int, centre: int) -> Window:
        """What step ``i`` makes frame ``n`` from, about a frame of the step before."""
        span = self.line.nodes[i].needs(n)
        return Window(_LazyFrames(lambda m: self._get(i - 1, m), span), centre - span.start)

    def _decode(self, n: int) -> Frame:
        """Frame ``n`` of the film, reading on where the last one left off."""
        if n in self._decoded:
            self._decoded.move_to_end(n)
            return self._decoded[n]
        if self._reader is None or not self._next <= n < self._next + _DECODED_KEPT:
            self._reader = self.source.frames(FrameRange(n, self.source.clip.count))
            self._next = n
        while True:
            frame = next(self._reader)
            self._next = frame.index + 1
            self._decoded[frame.index] = frame
            while len(self._decoded) > _DECODED_KEPT:
                self._decoded.popitem(last=False)
            if frame.index == n:
                return frame


class _Work:
    """Counts what a render makes, and tells how much is left."""

    def __init__(self, report: Report, token: CancelToken, missing: dict[str, int]) -> None:
        self.report = report
        self.token = token
        self.tally = Tally()
        self._left = missing
        self._total = sum(missing.values())
        self._done = 0
        self._spent: dict[str, tuple[float, int]] = {}

    def made(self, node: Node, n: int, seconds: float) -> None:
        name = node.name
        spent, count = self._spent.get(name, (0.0, 0))
        self._spent[name] = (spent + seconds, count + 1)
        self._left[name] = max(0, self._left.get(name, 0) - 1)
        self.tally.rendered[name] = self.tally.rendered.get(name, 0) + 1
        self.tally.reused[name] = max(0, self.tally.reused.get(name, 0) - 1)
        self._done += 1
        self.report(Progress(name, node.shot(n).id, self._done, max(self._total, self._done), self._seconds_left()))

    def _seconds_left(self) -> float:
        """Each step's own pace times what it has left; a step not met yet is taken for an average one."""
        paces = {name: spent / count for name, (spent, count) in self._spent.items()}
        average = sum(paces.values()) / len(paces)
        return sum(left * paces.get(name, average) for name, left in self._left.items())


class _ColourSide:
    """What the colouring is given beside frames: hints, motion, the automatic pass."""

    def __init__(
        self,
        timeline: Timeline,
        motion: ShotMotion,
        automatic: AutomaticPass,
        params: ColouriseParams,
        hints: HintSource | None,
    ) -> None:
        self.motion = motion
        self._timeline = timeline
        self._automatic = automatic
        self._params = params
        self._hints = hints

    def key(self, n: int) -> str | None:
        return self._hints.key(n) if self._hints else None

    def field(self, n: int) -> Field | None:
        return self._hints.field(n) if self._hints else None

    def locks(self, n: int) -> Sequence[tuple[NDArray[np.bool_], HintSource]]:
        return self._hints.locks(n) if self._hints else ()

    def expect(self, frames: Collection[int]) -> None:
        """See `AutomaticPass.expect`."""
        self._automatic.expect(frames)

    def automatic(self, n: int, *, at_once: bool = False) -> Automatic:
        """The automatic pass of frame ``n``; see `AutomaticPass.at`."""
        shot = shot_of(self._timeline.shots, n)
        return self._automatic.at(n, shot.range, self._params.steady, at_once=at_once)

    def alone(self, n: int) -> Automatic:
        """The automatic pass of frame ``n`` as the network has it, nothing steadied: no other frame is in it."""
        return self._automatic.at(n, shot_of(self._timeline.shots, n).range, 0)

    def suggest(self, n: int, xy: tuple[float, float], count: int) -> Array:
        """See `AutomaticPass.suggest`."""
        return self._automatic.suggest(n, xy, count)

    def luma(self, n: int) -> Array:
        return self.motion.luma(n)


class _LazyFrames(Sequence[Frame]):
    """Frames of a range, made when they are looked at."""

    def __init__(self, get: Callable[[int], Frame], span: FrameRange) -> None:
        self._get = get
        self._span = span

    def __len__(self) -> int:
        return len(self._span)

    @overload
    def __getitem__(self, at: int) -> Frame: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Frame, ...]: ...

    def __getitem__(self, at: int | slice) -> Frame | tuple[Frame, ...]:
        numbers = range(self._span.start, self._span.stop)[at]
        return self._get(numbers) if isinstance(numbers, int) else tuple(self._get(n) for n in numbers)


def _inputs(node: Node, made: set[int], passed: set[int]) -> set[int]:
    """Frames of the step before that these are made from, or are."""
    frames = {node.between(n)[0] for n in passed}
    return frames.union(*(node.needs(n) for n in made)) if made else frames


def _holds(node: Node, shot: Shot, place: int) -> bool:
    """Whether a shot of what the step takes holds that place of the film."""
    sources = node.takes.sources
    return sources[shot.range.start] <= place < sources[shot.range.stop - 1] + 1
