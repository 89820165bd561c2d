"""What the browser is told of a session, as plain JSON values. Nothing is decided here."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import threading
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.contract.recipe import Recipe
from core.errors import InputError
from studio.recipes import AUTO, NAMED

RECIPES = (AUTO, *NAMED)
JOBS_SHOWN = 20


class View:
    """One session as the browser sees it.

    A description is made once per edit and finished render and kept until the next: a tab asks for
    dozens of pictures in between, and each answer needs the film's size and the pictures' keys.
    """

    def __init__(self, session: Any) -> None:
        self.session = session
        self._lock = threading.Lock()
        self._told: tuple[tuple[int, int, int], dict[str, Any]] | None = None
        self._places: dict[str, list[float] | None] = {}
        self._finished: set[tuple[int, int]] = set()

    @property
    def version(self) -> int:
        """The number that changes with every edit."""
        return int(self.session.version)

    def jobs(self) -> list[dict[str, Any]]:
        """Jobs, newest first."""
        rows = sorted(self.session.jobs(), key=lambda row: float(row["queued"]), reverse=True)
        return [plain(row) for row in rows[:JOBS_SHOWN]]

    def project(self) -> dict[str, Any]:
        """Everything as it is now: facts, shots, recipe, regions, hints, and the keys of its pictures."""
        return self._describe(self._now())

    def glance(self) -> dict[str, Any]:
        """The same, perhaps from before a render that is still under way."""
        now = self._now()
        with self._lock:
            told = self._told
        return told[1] if told is not None and told[0] == now else self._describe(now)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the source picture as displayed."""
        clip = self.glance()["clip"]
        return int(clip["height"]), int(clip["width"])

    @property
    def count(self) -> int:
        """Number of frames of the source."""
        return int(self.glance()["clip"]["count"])

    def key(self, kind: str, n: int) -> str:
        """The key under which frame ``n`` of a kind of picture is asked for now."""
        told = self.glance()
        if kind == "coloured":
            return str(next(s["key"] for s in told["shots"] if s["start"] <= n < s["stop"]))
        return str(told["keys"][kind])

    def is_rendered(self, n: int) -> bool:
        """Whether the shot of frame ``n`` is rendered as things stand."""
        return any(s["start"] <= n < s["stop"] and s["due"] == 0 for s in self.glance()["shots"])

    @property
    def carries(self) -> int:
        """The number that changes when hints have been carried beside a render."""
        return int(self.session.carries)

    def _now(self) -> tuple[int, int, int]:
        """All that a description hangs on: edits, finished renders, hints carried beside them."""
        return self.version, sum(1 for job in self.session.jobs() if job["state"] == "done"), self.carries

    def _describe(self, now: tuple[int, int, int]) -> dict[str, Any]:
        told: dict[str, Any] = plain(self.session.describe())
        told["dir"] = str(self.session.dir)
        for hint in told["hints"]:
            if "mask" in hint and "at" not in hint:
                hint["at"] = self._place(hint["id"])
        cuts = [shot["start"] for shot in told["shots"]]
        film = _short(told["clip"])
        repaired = _short([film, told["recipe"], cuts])
        told["keys"] = {"source": film, "restored": repaired}
        told["version"], told["carries"] = now[0], now[2]
        said = self._said()
        for shot in told["shots"]:
            shot["due"] = shot["stale"]
            shot["state"] = self._state(shot)
            shot["key"] = _short([repaired, _reaching(shot, told, said), shot["due"] == 0 or now[1:]])
        with self._lock:
            self._told = (now, told)
        return told

    def _state(self, shot: Mapping[str, Any]) -> str:
        """What to call a shot: a new hint may reach all its frames, but it is stale then, not new."""
        span = (shot["start"], shot["stop"])
        if shot["due"] == 0:
            self._finished.add(span)
            return "rendered"
        done = any(job["state"] == "done" and job["shot"] in (None, shot["id"]) for job in self.session.jobs())
        return "stale" if done or span in self._finished else "new"

    def _said(self) -> Mapping[str, Any]:
        """By hint, what its row does not tell: the content of its mask and its still."""
        project = getattr(self.session, "project", None)
        if project is None:
            return {}
        return {h.id: [picture and picture.sha256 for picture in (h.mask, h.image)] for h in project.hints}

    def _place(self, hint_id: str) -> list[float] | None:
        """A place well inside a hint's mask, for its handle  [x, y, px]. Masks of a hint do not change."""
        if hint_id not in self._places:
            self._places[hint_id] = _deepest(self.session.hint_mask(hint_id))
        return self._places[hint_id]


def _reaching(shot: Mapping[str, Any], told: Mapping[str, Any], said: Mapping[str, Any]) -> list[Any]:
    """All that is said about a shot: hints on its frames, for no hint passes a cut, and their regions."""
    hints = [hint for hint in told["hints"] if shot["start"] <= hint["frame"] < shot["stop"]]
    named = {hint.get("region") for hint in hints}
    regions = [region for region in told["regions"] if region["id"] in named]
    return [shot["start"], hints, regions, [said.get(hint["id"]) for hint in hints]]


def _deepest(mask: NDArray[np.bool_] | None) -> list[float] | None:
    if mask is None or not mask.any():
        return None
    # One pixel of border all round, so that a mask that touches the picture's edge has an inside too.
    depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 3)
    y, x = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return [float(x) - 0.5, float(y) - 0.5]


def _short(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def plain(value: Any) -> Any:
    """Any of our values as JSON: dataclasses as objects, fractions and paths as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain({f.name: getattr(value, f.name) for f in dataclasses.fields(value)})
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if isinstance(value, Fraction | Path):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    return value


def recipe_from_json(told: str | dict[str, Any], plugins: Any) -> str | Recipe:
    """A recipe's name, or a whole recipe checked against what is registered.

    Raises:
        InputError: an unknown name, stage or parameter, or a value out of bounds.
    """
    if isinstance(told, str):
        if told not in RECIPES:
            raise InputError(f"recipe '{told}': known are {', '.join(RECIPES)}")
        return told
    return Recipe.from_json(json.dumps(told)).checked(plugins.stages)


def in_project(folder: Path, path: str) -> Path:
    """A path a person gave for something written; relative ones lie in the project's folder."""
    place = Path(path.strip()).expanduser()
    return place if place.is_absolute() else folder / place
