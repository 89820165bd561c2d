"""A region looked for in the shots where nobody has marked it; what is found waits here for a person's yes or no.

Looking takes about a second a shot, so it runs beside the requests, one region at a time. A yes makes an ordinary hint
of the project; a no is remembered until the project is closed. What waits is not part of the project.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.contract.progress import CancelToken, Progress, Report, silent
from core.contract.sources import FrameSource
from core.errors import Cancelled, InputError, PochoirError
from core.film.shot import Shot
from hints.propose import Proposal, keyframes_of, propose
from studio.project import Project
from studio.rendering import Machine, Unhinted, colouring_takes, colours

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Waiting:
    """A proposal that waits.

    Attributes:
        id: of the proposal.
        region: id of the region.
        shot: number of the shot.
        frame: source frame.
        score: how likely it is right  [0, 1]
        mask: where it is  [(H, W) bool, of the source picture]
    """

    id: str
    region: str
    shot: int
    frame: int
    score: float
    mask: NDArray[np.bool_]

    def to_json(self) -> dict[str, Any]:
        """Everything but the mask, of which the share of the picture is told."""
        row = {"id": self.id, "region": self.region, "shot": self.shot, "frame": self.frame}
        return {**row, "score": round(self.score, 3), "share": round(float(self.mask.mean()), 5)}


class Proposals:
    """Looks for regions in other shots. Thread-safe.

    Args:
        film: opens the film.
        machine: plugins, cache and device.
    """

    def __init__(self, film: Callable[[], FrameSource], machine: Machine) -> None:
        self._unhinted = Unhinted(film, machine)
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._confirming = threading.Lock()
        self._token = CancelToken()
        self._worker: threading.Thread | None = None
        self._rows: dict[str, Waiting] = {}
        self._rejected: set[tuple[str, int]] = set()
        self._region, self._state, self._fault, self._count = "", "none", "", 0
        self._done = self._total = 0

    def start(self, project: Project, region: str) -> None:
        """Begin to look for a region; what was being looked for is let go.

        Raises:
            HintError: there is no such region.
            InputError: no hint shows what it looks like, or the recipe does not colour.
        """
        _check(project, region)
        self._stop()
        with self._lock:
            self._token = token = CancelToken()
            self._rows = {}
            self._region, self._state, self._fault = region, "running", ""
            self._done, self._total = 0, len(project.shots)
            self._worker = threading.Thread(
                target=self._work, args=(project, region, token), name="pochoir-propose", daemon=True
            )
            self._worker.start()

    def look(
        self, project: Project, region: str, report: Report = silent, token: CancelToken | None = None
    ) -> list[Waiting]:
        """Look for a region here and now, the likeliest first.

        Raises:
            HintError, InputError: as of `start`.
            Cancelled: the token was set.
        """
        _check(project, region)
        found = [w for w in self._found(project, region, report, token or CancelToken()) if w is not None]
        return sorted(found, key=lambda w: -w.score)

    @property
    def running(self) -> bool:
        """Whether a region is being looked for."""
        return self._state == "running"

    def told(self) -> dict[str, Any]:
        """How it stands.

        Returns:
            ``region``; ``state``: none, running, done or failed; ``done`` of ``total`` shots; ``fault``: why it failed,
            or ""; ``rows``: what waits, the likeliest first.
        """
        with self._lock:
            rows = sorted(self._rows.values(), key=lambda w: -w.score)
            return {
                "region": self._region,
                "state": self._state,
                "done": self._done,
                "total": self._total,
                "fault": self._fault,
                "rows": [row.to_json() for row in rows],
            }

    def get(self, proposal: str) -> Waiting:
        """One that waits.

        Raises:
            InputError: there is none of that id.
        """
        with self._lock:
            if proposal not in self._rows:
                raise InputError(f"proposal '{proposal}': there is none; it may have been answered already")
            return self._rows[proposal]

    @contextmanager
    def confirming(self, proposal: str) -> Iterator[Waiting]:
        """One that waits, for as long as it is made a hint; where that goes well it waits no longer.

        Raises:
            InputError: there is none of that id.
        """
        with self._confirming:  # two who say yes at once would make two hints
            yield self.get(proposal)
            with self._lock:
                self._rows.pop(proposal, None)

    def reject(self, proposal: str) -> None:
        """Take one off the list; it is not proposed again.

        Raises:
            InputError: there is none of that id.
        """
        found = self.get(proposal)
        with self._lock:
            self._rows.pop(proposal, None)
            self._rejected.add((found.region, found.frame))

    def close(self) -> None:
        """Stop looking and let go of the film."""
        self._stop()
        self._unhinted.close()

    # ------------------------------------------------------------------ inside

    def _stop(self) -> None:
        with self._lock:
            worker = self._worker
            self._token.cancel()
        if worker is not None:
            worker.join()

    def _work(self, project: Project, region: str, token: CancelToken) -> None:
        state, fault = "done", ""
        try:
            for found in self._found(project, region, silent, token):
                with self._lock:
                    self._done += 1
                    if found is not None and (region, found.frame) not in self._rejected:
                        self._rows[found.id] = found
        except Cancelled:
            state = "none"
        except PochoirError as error:
            state, fault = "failed", str(error)
        except Exception as error:
            log.exception("looking for region %s failed", region)
            state, fault = "failed", f"{type(error).__name__}: {error}"
        with self._lock:
            self._done = self._total if state == "done" else self._done
            self._state, self._fault = state, fault

    def _found(self, project: Project, region: str, report: Report, token: CancelToken) -> Iterator[Waiting | None]:
        """Shot by shot what was found there, or None."""
        with self._looking:
            renderer = self._unhinted.renderer(project)
            assert renderer.side is not None
            motion, timeline = renderer.side.motion, colouring_takes(renderer)
            if motion.looks is None:
                raise InputError("regions cannot be looked for: no colouriser here tells what places look like")
            total = len(timeline.shots)
            looks, size = motion.looks, project.clip.size
            for done, found in enumerate(propose(motion, looks, project.hints, region, timeline, size, token), 1):
                shot = found if isinstance(found, Shot) else found.shot
                report(Progress("look for region", shot.id, done, total))
                yield (
                    self._waiting(found, region, int(timeline.sources[found.frame]), size)
                    if isinstance(found, Proposal)
                    else None
                )

    def _waiting(self, proposal: Proposal, region: str, frame: int, size: tuple[int, int]) -> Waiting:
        with self._lock:
            self._count += 1
            name = f"p{self._count}"
        soft = proposal.found.inside.astype(np.float32)
        mask = np.asarray(cv2.resize(soft, (size[1], size[0]), interpolation=cv2.INTER_LINEAR) > 0.5)
        return Waiting(name, region, proposal.shot.id, frame, proposal.found.score, mask)


def _check(project: Project, region: str) -> None:
    project.hints.region(region)
    if not colours(project.recipe):
        raise InputError(f"region {region}: the recipe does not colour; switch on 'colourise'")
    if not keyframes_of(project.hints, region):
        raise InputError(
            f"region {region}: no hint shows what it looks like; mark it by a region hint on one frame first"
        )
