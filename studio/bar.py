"""Progress of long work as a bar on stderr: stage, shot, frames done, time left."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

from core.contract.progress import Progress

_FORM = "{desc} {percentage:3.0f}%|{bar:24}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"
# A person gets a bar that moves, a log file a line now and then.
_SCREEN_SECONDS, _LOG_SECONDS = 0.2, 10.0


class Bar:
    """A report that draws. Use as a context, so that the line is ended whatever happens.

    Works of different lengths may take turns (hints are carried between frames): the one bar shows
    whichever spoke last.
    """

    def __init__(self) -> None:
        self._bar: Any = None
        self._pace = _SCREEN_SECONDS if sys.stderr.isatty() else _LOG_SECONDS
        self._drawn = time.monotonic() - self._pace

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.clear()  # what is said next begins its own line
            self._bar.close()

    def __call__(self, progress: Progress) -> None:
        """Draw one step, unless the last was drawn just now."""
        now = time.monotonic()
        if now - self._drawn < self._pace:
            return
        self._drawn = now
        if self._bar is None:
            self._bar = tqdm(total=progress.total, file=sys.stderr, bar_format=_FORM, leave=False, delay=1e9)
        left = progress.seconds_left
        shot = f" shot {progress.shot}" if progress.shot >= 0 else ""
        self._bar.n, self._bar.total = progress.done, progress.total
        self._bar.set_description_str(f"{progress.stage}{shot}", refresh=False)
        self._bar.set_postfix_str("" if left is None else f"{tqdm.format_interval(left)} left", refresh=False)
        self._bar.refresh()
