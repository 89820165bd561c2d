"""Where hints are needed, worked out while nobody asks for anything else.

How much of each frame is likely to be wrong (`hints.need`) takes some tenths of a second a frame, and hints carried
first. So one thread works it out in the background: the frame in view, then its shot ever finer, then a few frames of
every other shot. It holds still while a person edits or looks at pictures, and while a render runs; it stops when
nobody has asked for so long that nobody can be looking. What it found is kept under a key of all it hangs on, so that
undo has it at once.

Hints of the shot in view are carried at once, also while a person steps through it, for that is what is waited for; the
frames next to a keyframe are told first, and only the next edit stops it. Before there are any, what carrying will ask
for about the frame in view is found in advance.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.colourise import Automatic, Colourise
from core.contract.fingerprint import fingerprint
from core.contract.progress import CancelToken, Progress, Report, silent
from core.contract.sources import FrameSource
from core.errors import Cancelled, PochoirError
from core.film.colour import Array
from core.film.shot import Shot, shot_of
from core.film.timebase import FrameRange
from hints import need
from hints.need import Doubts, signs_of
from hints.source import Carried
from hints.track import frame_of
from studio.counts import hangs_on
from studio.project import Project
from studio.rendering import COLOURISE, Machine, Unhinted, colours

log = logging.getLogger(__name__)

QUIET_SECONDS = 1.0  # for so long after the last thing that was asked for, a person may go on
FORGOTTEN_SECONDS = 6.0  # who looks at the strip asks more often
AROUND = 64  # frames to each side of the one in view for which carrying is prepared
FEW = 4  # frames that are worked out of a shot that is not in view
_LOOK_AGAIN_SECONDS = 0.25  # while a render runs
_COARSEST = 16  # frames between those that are worked out first
_TELL_AT_FIRST, _TELL_EVERY = 2, 12  # carried frames after which a person is told of them
_NEAR = 1 / 16  # of the picture's longer side: need is gathered over such a place


@dataclass
class _Known:
    """What is known of one shot: what it hung on, and by frame whether that still holds."""

    hangs_on: Any
    fresh: set[int] = field(default_factory=set)


class Needs:
    """Tells how much of each frame is in need of a hint. Thread-safe.

    Args:
        film: opens the film.
        machine: plugins, cache and device.
        project: the state as it is now.
        busy: whether a render runs, or other work that is waited for.
        carried: told of a shot when its hints have been carried.
    """

    def __init__(
        self,
        film: Callable[[], FrameSource],
        machine: Machine,
        project: Callable[[], Project],
        busy: Callable[[], bool],
        carried: Callable[[Shot], None],
    ) -> None:
        self._machine, self._project, self._busy, self._carried = machine, project, busy, carried
        self._unhinted = Unhinted(film, machine)
        self._wake = threading.Condition()
        self._token, self._carrying = CancelToken(), CancelToken()
        self._uncarried = True
        self._near, self._asked, self._quiet_from = 0, 0.0, 0.0
        self._shots: dict[FrameRange, _Known] = {}
        self._rows: list[list[float]] = []
        self._keys: dict[int, str] = {}
        self._said: tuple[Project, Carried] | None = None
        self._fault = ""
        self._closing = False
        self._worker: threading.Thread | None = None

    def told(self, near: int, since: int = 0) -> dict[str, Any]:
        """What is known by now; asking is what keeps the work going.

        Args:
            near: the frame in view.
            since: ``serial`` of the last answer; 0 for everything.

        Returns:
            ``rows``: ``[frame, share, x, y]`` each, in the order in which they were found: the share of the frame that
            is expected to be wrong, and where most of that lies  [source px]; ``serial``; ``due``: frames still to be
            worked out; ``fault``: why nothing can be, or "".
        """
        project = self._project()
        if not colours(project.recipe):
            return {"rows": [], "serial": 0, "due": 0, "fault": "the recipe does not colour"}
        with self._wake:
            self._near, self._asked = near, time.monotonic()
            due = len(self._due(project))
            if due and not self._fault:
                self._begin()
            return {"rows": self._rows[since:], "serial": len(self._rows), "due": due, "fault": self._fault}

    def map(self, n: int) -> Array | None:
        """How likely each place of frame ``n`` shows a wrong colour  [(h, w) float32 [0, 1]]; None: not known yet."""
        with self._wake:
            key = self._keys.get(n)
        held = self._machine.cache.get(key) if key is not None else None
        return None if held is None else held["need"].astype(np.float32) / np.float32(255)

    def hush(self, *, edited: bool = False) -> None:
        """Hold still for a while: a person has asked for something.

        Args:
            edited: what is said has changed, so that what is being carried may be out of date.
        """
        with self._wake:
            self._quiet_from = time.monotonic() + QUIET_SECONDS
            self._fault = ""  # what was asked for may have mended it
            self._token.cancel()
            if edited:
                self._carrying.cancel()
                self._uncarried = True
            self._wake.notify_all()

    def close(self) -> None:
        """End the work and let go of the film."""
        with self._wake:
            self._closing = True
            self._token.cancel()
            self._carrying.cancel()
            self._wake.notify_all()
            worker = self._worker
        if worker is not None:
            worker.join()
        self._unhinted.close()

    # ------------------------------------------------------------------ inside

    def _begin(self) -> None:
        if self._worker is None and not self._closing:
            self._worker = threading.Thread(target=self._loop, name="pochoir-need", daemon=True)
            self._worker.start()
        self._wake.notify_all()

    def _loop(self) -> None:
        while (n := self._next()) is not None:
            project = self._project()
            try:
                row = self._work_out(project, n)
                self._found(project, n, row)
                self._prepare(project)
            except Cancelled:
                continue
            except PochoirError as error:
                self._gave_up(str(error))
            except Exception as error:
                log.exception("the need of frame %d could not be told", n)
                self._gave_up(f"{type(error).__name__}: {error}")

    def _found(self, project: Project, n: int, row: list[float]) -> None:
        with self._wake:
            self._rows.append(row)
            known = self._shots.get(_shot_at(project, n).range)
            if project is self._project() and known is not None:
                known.fresh.add(n)

    def _prepare(self, project: Project) -> None:
        """Find in advance what hints near the frame in view will be carried by."""
        said = self._carried_by(project)
        place = frame_of(self._near, said.timeline)
        span = shot_of(said.timeline.shots, place).range
        near = FrameRange(max(span.start, place - AROUND), min(span.stop, place + AROUND + 1))
        said.prepare(near, silent, self._token)

    def _carried_by(self, project: Project) -> Carried:
        self._unhinted.renderer(project)
        if self._said is None or self._said[0] is not project:
            self._said = (project, self._unhinted.carried(project.hints))
        return self._said[1]

    def _next(self) -> int | None:
        """The frame to work out next, once there is one and nobody is to be disturbed; None at the end."""
        with self._wake:
            while not self._closing:
                now = time.monotonic()
                due = [] if self._fault or now > self._asked + FORGOTTEN_SECONDS else self._due(self._project())
                if due and (now >= self._quiet_from or self._uncarried) and not self._busy():
                    self._token, self._carrying = CancelToken(), CancelToken()
                    return due[0]
                self._wake.wait(max(_LOOK_AGAIN_SECONDS, self._quiet_from - now) if due else None)
        return None

    def _gave_up(self, fault: str) -> None:
        with self._wake:
            self._fault = fault

    def _due(self, project: Project) -> list[int]:
        """Frames that are not known as things stand, the most wanted first."""
        if not colours(project.recipe):
            return []
        known: dict[FrameRange, _Known] = {}
        for shot in project.shots:
            now, old = hangs_on(project, shot), self._shots.get(shot.range)
            known[shot.range] = old if old is not None and old.hangs_on == now else _Known(now)
        self._shots = known
        return [n for shot, n in wanted(project.shots, self._near) if n not in known[shot.range].fresh]

    def _work_out(self, project: Project, n: int) -> list[float]:
        renderer = self._unhinted.renderer(project)
        side, at = renderer.side, renderer.line.index(COLOURISE)
        assert side is not None
        assert at is not None
        said = self._carried_by(project)
        place = frame_of(n, said.timeline)
        shot = shot_of(said.timeline.shots, place)
        if len(said.reach(shot)) and not said.ready(shot):
            said.carry(shot, self._teller(shot), self._carrying)
            self._carried(shot)
        with self._wake:
            if not self._carrying.cancelled:
                self._uncarried = False
            if time.monotonic() < self._quiet_from:
                raise Cancelled(f"need of frame {n}: a person is at work")
        node = renderer.line.nodes[at]
        assert isinstance(node.stage, Colourise)
        carrier = node.stage.carrier(node.params.colouriser, renderer.device)
        doubts = node.stage.looks(node.params.colouriser, renderer.device)
        if not isinstance(doubts, Doubts):
            raise PochoirError(f"colouriser '{node.params.colouriser}': nothing here tells how far it is to be doubted")
        age, approved = said.age(place), said.approved(place)
        key = fingerprint(
            "need", need.VERSION, node.stage.key_parts(node.params, renderer.device), doubts.fingerprint,
            node.params.saturation, side.motion.luma_key(place), said.key(place), age, approved,
        )  # fmt: skip
        held = self._machine.cache.get(key)
        if held is None:
            alone = side.alone(place)
            toned = Automatic(alone.luma, alone.ab * np.float32(node.params.saturation))
            signs = signs_of(toned, said.field(place), age, carrier, doubts)
            found = need.need(signs)
            held_here = cv2.resize(approved, (found.shape[1], found.shape[0]), interpolation=cv2.INTER_AREA)
            held = {"need": np.rint(found * (1 - held_here) * 255).astype(np.uint8)}
            self._machine.cache.put(key, held)
        with self._wake:
            self._keys[n] = key
        return [n, *neediest(held["need"], project.clip.size)]

    def _teller(self, shot: Shot) -> Report:
        """Tells now and then that more frames of a shot have their hints."""

        def tell(progress: Progress) -> None:
            done = progress.done
            if done == _TELL_AT_FIRST or (done % _TELL_EVERY == 0 and done < progress.total):
                self._carried(shot)

        return tell


def wanted(shots: Sequence[Shot], near: int) -> Iterator[tuple[Shot, int]]:
    """Frames in the order in which they are worth knowing, each with its shot.

    The frame in view; its shot, ever finer; then a few frames of each other shot, the nearest shots first.
    """
    here = next((shot for shot in shots if near in shot.range), shots[0])
    span = here.range
    seen = {near} if near in span else set()
    yield from ((here, n) for n in seen)
    step = _COARSEST
    while step:
        for n in range(span.start, span.stop, step):
            if n not in seen:
                seen.add(n)
                yield here, n
        step //= 2
    for shot in sorted(shots, key=lambda s: abs(s.id - here.id)):
        if shot is not here:
            yield from ((shot, n) for n in shot.range.spread(FEW))


def neediest(need: NDArray[np.uint8], size: tuple[int, int]) -> tuple[float, float, float]:
    """The share of a frame that is expected to be wrong, and the middle of where most of that lies.

    Args:
        need: of each place, in steps of 1/255  [(h, w) uint8]
        size: (H, W) of the picture in which the place is told

    Returns:
        share, x, y  [source px]
    """
    h, w = need.shape
    gathered = cv2.GaussianBlur(need.astype(np.float32), (0, 0), max(1.0, _NEAR * max(h, w)))
    y, x = np.unravel_index(int(gathered.argmax()), gathered.shape)
    place = (float(x) + 0.5) * size[1] / w, (float(y) + 0.5) * size[0] / h
    return (round(float(need.mean()) / 255, 4), round(place[0], 1), round(place[1], 1))


def _shot_at(project: Project, n: int) -> Shot:
    return next(shot for shot in project.shots if n in shot.range)
