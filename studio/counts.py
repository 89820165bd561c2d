"""How much of each shot is rendered as things stand: planned from keys alone, so the film itself is not needed."""

from __future__ import annotations

import threading
from typing import Any

from core.film.shot import Shot
from core.film.timebase import FrameRange
from core.render.renderer import Renderer
from studio.project import Project
from studio.rendering import Machine, make_renderer
from studio.source import FactsOnly


class ShotCounts:
    """Rows for the shot strip. A shot is planned again only when something it hangs on has changed."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._lock = threading.Lock()
        self._rows: dict[FrameRange, tuple[Any, dict[str, Any]]] = {}
        self._told: tuple[Project, list[dict[str, Any]]] | None = None

    def forget(self, shot: int | None = None) -> None:
        """Frames of a shot (of the whole film where None) have been rendered: count anew when asked next."""
        with self._lock:
            rows = self._rows.items()
            self._rows = {} if shot is None else {span: row for span, row in rows if row[1]["id"] != shot}
            self._told = None

    def rows(self, project: Project) -> list[dict[str, Any]]:
        """One row per shot: its frames, how many frames of the result are rendered, how many are stale."""
        with self._lock:
            if self._told is None or self._told[0] is not project:
                self._told = (project, self._counted(project))
            return [dict(row) for row in self._told[1]]

    def _counted(self, project: Project) -> list[dict[str, Any]]:
        renderer: Renderer | None = None
        rows = {}
        for shot in project.shots:
            now = hangs_on(project, shot)
            known = self._rows.get(shot.range)
            if known is None or known[0] != now:
                renderer = renderer or make_renderer(
                    FactsOnly(project.clip), project.shots, project.recipe, project.hints, self._machine
                )
                known = (now, _row(renderer, shot))
            rows[shot.range] = known
        self._rows = rows
        return [row for _, row in rows.values()]


def hangs_on(project: Project, shot: Shot) -> Any:
    """What can change a shot's keys: the recipe, and the hints on its frames with their regions."""
    hints = tuple(hint for hint in project.hints if hint.frame in shot.range)
    named = {hint.region for hint in hints}
    return shot, project.recipe, hints, tuple(r for r in project.hints.regions if r.id in named)


def _row(renderer: Renderer, shot: Shot) -> dict[str, Any]:
    span = renderer.timeline.shots[shot.id].range
    plan = renderer.plan(span)
    stale = min(plan.frames, max(plan.missing.values(), default=0))
    rendered = plan.frames - stale
    return {
        "id": shot.id,
        "start": shot.range.start,
        "stop": shot.range.stop,
        "begins": shot.begins,
        "frames": plan.frames,
        "rendered": rendered,
        "stale": stale,
        "at_most": plan.at_most,
        "missing": dict(plan.missing),
        "state": "rendered" if not stale else "stale" if rendered else "new",
    }
