"""Brings a project's parts together into a renderer: the film, the recipe, the hints, the cache."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from core.contract.plugins import Plugins
from core.contract.recipe import Recipe
from core.contract.sources import FrameSource
from core.contract.stage import Timeline
from core.errors import InputError
from core.film.shot import Shot
from core.render.cache import FrameCache, default_budget
from core.render.renderer import HintFactory, Renderer
from hints.hint import HintSet
from hints.source import Carried
from studio.project import Project
from studio.source import Reading

COLOURISE = "colourise"


@dataclass(frozen=True)
class Machine:
    """What the machine lends: plugins, the cache, the device networks run on, and where work is done."""

    plugins: Plugins
    cache: FrameCache
    device: str | None = None


def cache_at(folder: Path) -> FrameCache:
    """A cache in a folder, within its disk's means.

    Raises:
        CacheError: the folder cannot be made.
    """
    return FrameCache(folder, default_budget(folder))


def user_cache() -> FrameCache:
    """The cache of work that belongs to no project: ``POCHOIR_CACHE``, else the user's cache folder."""
    named = os.environ.get("POCHOIR_CACHE")
    return cache_at(Path(named) if named else user_cache_path("pochoir", appauthor=False))


def check_engine(name: str) -> None:
    """Refuse an engine that is not there yet.

    Raises:
        InputError: not ``local``.
    """
    if name != "local":
        raise InputError(f"engine '{name}': not yet; use --engine local")


def colours(recipe: Recipe) -> bool:
    """Whether a recipe colours the film."""
    return any(step.name == COLOURISE for step in recipe.active)


def make_renderer(
    source: FrameSource,
    shots: tuple[Shot, ...],
    recipe: Recipe,
    hints: HintSet,
    machine: Machine,
    *,
    said_on: tuple[int, int] | None = None,
) -> Renderer:
    """A renderer of the film under a recipe and hints. Hints of a recipe that does not colour are left aside.

    Args:
        source: the film, or proxies of it.
        shots: its shots.
        recipe: what is done to it.
        hints: what the restorer said.
        machine: plugins, cache and device.
        said_on: (H, W) of the pictures the hints were said on, where ``source`` has another size.

    Raises:
        RecipeError: the recipe does not fit.
        InputError: a colouriser or device is unknown or missing.
    """
    return Renderer(
        source,
        shots,
        recipe,
        machine.plugins,
        machine.cache,
        hints=hint_factory(hints, said_on or source.clip.size) if len(hints) and colours(recipe) else None,
        device=machine.device,
    )


def colouring_takes(renderer: Renderer) -> Timeline:
    """The sequence that the colouring takes; of a recipe that does not colour, the result."""
    at = renderer.line.index(COLOURISE)
    return renderer.timeline if at is None else renderer.line.nodes[at].takes


def hint_factory(hints: HintSet, size: tuple[int, int]) -> HintFactory:
    """What makes the hint source once the renderer knows what the colouring takes."""

    def make(timeline: Timeline, motion: Any, store: Any) -> Any:
        return Carried(hints, timeline, size, motion, store)

    return make


class Workbench:
    """The renderer of the latest state, for one kind of caller.

    A renderer reads forward and is not made for two threads; each kind of caller (pictures, previews,
    jobs) therefore has its own bench, so that a long render does not hold up a click.
    """

    def __init__(self, film: Callable[[], FrameSource], machine: Machine) -> None:
        self._film = film
        self._machine = machine
        self._lock = threading.RLock()
        self._project: Project | None = None
        self._renderer: Renderer | None = None
        self._reading: Reading | None = None

    @contextmanager
    def renderer(self, project: Project) -> Iterator[Renderer]:
        """The renderer of this state, for as long as the block lasts."""
        with self._lock:
            if self._renderer is None or project is not self._project:
                self._reading = self._reading or Reading(self._film())
                self._renderer = make_renderer(
                    self._reading, project.shots, project.recipe, project.hints, self._machine
                )
                self._project = project
            yield self._renderer

    def close(self) -> None:
        """Let go of the renderer, waiting for whoever uses it."""
        with self._lock:
            if self._reading is not None:
                self._reading.close()
            self._renderer, self._project, self._reading = None, None, None


class Unhinted:
    """A renderer of the film without hints, which outlives every hint, and with it what it has made of the frames.

    Hints are carried over the film as it has it. Not made for two threads at once.
    """

    def __init__(self, film: Callable[[], FrameSource], machine: Machine) -> None:
        self._film = film
        self._machine = machine
        self._reading: Reading | None = None
        self._bench: tuple[Recipe, tuple[Shot, ...], Renderer] | None = None
        self._said: Carried | None = None

    def renderer(self, project: Project) -> Renderer:
        """The renderer of the project's film under its recipe."""
        if self._bench is None or self._bench[:2] != (project.recipe, project.shots):
            self._reading = self._reading or Reading(self._film())
            made = make_renderer(self._reading, project.shots, project.recipe, HintSet(), self._machine)
            self._bench = (project.recipe, project.shots, made)
            self._said = None
        return self._bench[2]

    def carried(self, hints: HintSet) -> Carried:
        """Hints over the film as the last renderer given has it; its recipe must colour."""
        assert self._bench is not None, "ask for the renderer first"
        renderer = self._bench[2]
        if self._said is None:
            assert renderer.side is not None
            size = renderer.source.clip.size
            self._said = Carried(hints, colouring_takes(renderer), size, renderer.side.motion, self._machine.cache)
        return self._said.saying(hints)

    def close(self) -> None:
        """Let go of the film."""
        if self._reading is not None:
            self._reading.close()
        self._reading, self._bench, self._said = None, None, None
