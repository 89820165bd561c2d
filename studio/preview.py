"""One frame recoloured at once: what a restorer sees a moment after placing a hint.

Nothing is carried for it. Hints on this very frame speak by their footprint; hints from elsewhere speak
where they have been carried already. What a preview needs of a frame besides hints (its repaired luma, the
automatic colour) is made once and kept, so that the next hint on the frame costs one run of the network.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.contract.recipe import Recipe
from core.contract.sources import FrameSource
from core.contract.stage import Timeline
from core.film.shot import Shot, shot_of
from core.film.timebase import FrameRange
from core.render.renderer import Renderer
from hints.hint import Hint, HintSet
from hints.source import Carried
from hints.track import Track, frame_of
from studio.project import Project
from studio.rendering import Machine, colouring_takes, colours, make_renderer
from studio.source import Reading


class Preview:
    """Recolours single frames. Thread-safe; one frame at a time.

    Args:
        film: opens the film.
        machine: plugins, cache and device.
    """

    def __init__(self, film: Callable[[], FrameSource], machine: Machine) -> None:
        self._film = film
        self._machine = machine
        self._lock = threading.Lock()
        self._reading: Reading | None = None
        self._bench: tuple[Recipe, tuple[Shot, ...], Renderer] | None = None

    def picture(self, project: Project, n: int, extra: Hint | None = None) -> NDArray[np.float32]:
        """Frame ``n`` of the source, recoloured  [(H, W, 3) float32 [0, 1] R'G'B']."""
        with self._lock:
            renderer = self._renderer(project)
            place = frame_of(n, colouring_takes(renderer))
            if not colours(project.recipe):
                return renderer.before_colour(place).rgb
            said: Any = self._at_once(renderer, _with(project.hints, extra), place)
            return renderer.recolour(place, said.field(place))

    def close(self) -> None:
        """Let go of what is kept."""
        with self._lock:
            if self._reading is not None:
                self._reading.close()
            self._reading, self._bench = None, None

    def _renderer(self, project: Project) -> Renderer:
        """A renderer without hints: it outlives every hint, and with it what it has made of the frame."""
        if self._bench is None or self._bench[:2] != (project.recipe, project.shots):
            self._reading = self._reading or Reading(self._film())
            renderer = make_renderer(self._reading, project.shots, project.recipe, HintSet(), self._machine)
            self._bench = (project.recipe, project.shots, renderer)
        return self._bench[2]

    def _at_once(self, renderer: Renderer, hints: HintSet, n: int) -> Carried:
        """The hints of which something is known on frame ``n`` without carrying: its own, and those carried."""
        source = self._carried(renderer, hints)
        if source.ready(shot_of(source.timeline.shots, n)):
            return source
        known = [t for t in source.tracks if n in t.reach and t.hint.kind != "lock" and _is_known(source, t, n)]
        held = tuple(_held(track, n, source.timeline) for track in known)
        return self._carried(renderer, HintSet(hints.regions, held))

    def _carried(self, renderer: Renderer, hints: HintSet) -> Carried:
        """The hints over the film as the renderer has it."""
        assert renderer.side is not None
        size = renderer.source.clip.size
        return Carried(hints, colouring_takes(renderer), size, renderer.side.motion, self._machine.cache)


def _is_known(source: Carried, track: Track, n: int) -> bool:
    """Whether what a track says of frame ``n`` can be told without carrying it."""
    return track.keyframe == n or source._tracks.ready(track)


def _held(track: Track, n: int, timeline: Timeline) -> Hint:
    """The track's hint, held to what is known of it, so that nothing is carried for it."""
    reach = FrameRange(n, n + 1) if track.keyframe == n else track.reach
    first, last = timeline.sources[reach.start], timeline.sources[reach.stop - 1]
    frame = track.hint.frame
    return replace(track.hint, span=FrameRange(min(int(first), frame), max(int(last), frame) + 1))


def _with(hints: HintSet, extra: Hint | None) -> HintSet:
    """The hints and one more, or one of them said differently."""
    if extra is None:
        return hints
    known = any(hint.id == extra.id for hint in hints)
    return hints.replace_hint(extra) if known else hints.add_hint(extra)
