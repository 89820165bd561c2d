"""Progress of long work as a bar on stderr: stage, shot, frames done, time left."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

from core.contract.progress import Progress

_FORM = "{desc} {percentage:3.0f}%|{bar:24}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"


class Bar:
    """A report that draws. Use as a context, so that the line is ended whatever happens."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, progress: Progress) -> None:
        """Draw one step."""
        bar = self._bar
        if bar is None or bar.total != progress.total or progress.done < bar.n:
            bar = self._begin(progress.total)
        shot = f" shot {progress.shot}" if progress.shot >= 0 else ""
        bar.set_description_str(f"{progress.stage}{shot}", refresh=False)
        if progress.seconds_left is not None:
            bar.set_postfix_str(f"{tqdm.format_interval(progress.seconds_left)} left", refresh=False)
        bar.update(progress.done - bar.n)

    def _begin(self, total: int) -> Any:
        if self._bar is not None:
            self._bar.close()
        # A log file gets a line now and then, a person a bar that moves.
        pace = 0.2 if sys.stderr.isatty() else 10.0
        self._bar = tqdm(total=total, file=sys.stderr, bar_format=_FORM, mininterval=pace, leave=False)
        return self._bar
