"""Progress and cancellation of long work. Values go up, a token goes down."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from core.errors import Cancelled


@dataclass(frozen=True)
class Progress:
    """One step of long work.

    Attributes:
        stage: what is being done, e.g. ``"dedust"`` or ``"carry hints"``.
        shot: number of the shot it is done in, or -1.
        done: units finished of ``total`` (frames times stages that were missing).
        total: units there are.
        seconds_left: estimate from the pace so far, or None at the start.
    """

    stage: str
    shot: int
    done: int
    total: int
    seconds_left: float | None = None


Report = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """A report that goes nowhere."""


class CancelToken:
    """Set from another thread; long work calls `check` between frames."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the work to stop at the next frame."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether stopping was asked for."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise where stopping was asked for.

        Raises:
            Cancelled: `cancel` was called.
        """
        if self._event.is_set():
            raise Cancelled("stopped; what was finished is kept")
