"""Parts of a measurement of time: processes that work when they are told to, in turn.

Every part runs in a process of its own, so that its peak memory is its own. All of them wait on a pipe; one is told
to go while the others sleep, in turn (A B A B), so that whatever else the machine does meanwhile befalls all alike.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from core.errors import InputError, PochoirError

Go = Callable[[], int]  # does some work, gives the number of frames it was
ROOT = Path(__file__).resolve().parent.parent


# --- within the process -----------------------------------------------------------------------------------------


def serve(go: Go, *, also: Callable[[], dict[str, Any]] = dict, **about: Any) -> None:
    """Be a part: at each line on stdin work once, and say how long it took.

    Args:
        go: the work
        also: what else to tell of it each time
        about: what else to say when ready
    """
    say({"ready": True, **about})
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        frames = go()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        say({"s_per_frame": wall / frames, "cpu_s": cpu / frames, "rss_mb": peak_mb(), **also()})


def say(answer: dict[str, Any]) -> None:
    """Answer whoever told this process."""
    print(json.dumps(answer), flush=True)


def peak_mb() -> float:
    """Most memory this process has held  [MB, resident]."""
    status = Path("/proc/self/status")
    if status.is_file():
        # The high-water mark of this program. getrusage would also count its parent's, before it became one.
        for row in status.read_text().splitlines():
            if row.startswith("VmHWM:"):
                return int(row.split()[1]) * 1024 / 1e6
    resource = import_module("resource")
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit / 1e6


# --- outside it -------------------------------------------------------------------------------------------------


class Part:
    """A process that works when it is told to.

    Args:
        name: of the part
        command: arguments of this Python that make it

    Attributes:
        about: what it said when it was ready.

    Raises:
        InputError: something that it needs is missing.
        PochoirError: it could not be started, or died; with what it said last.
    """

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self.about: dict[str, Any] = {}
        self.runs: list[float] = []
        self.cpu: list[float] = []  # of all its threads: tells more than the clock where others compute too
        self.rss_mb = 0.0
        self.also: dict[str, Any] = {}
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        self._process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def wait(self) -> None:
        """Until it is ready to go."""
        self.about = self._hear()
        if "missing" in self.about:
            raise InputError(self.about["missing"])

    def go(self, *, count: bool = True) -> None:
        """Work once; a run that does not count warms up."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
        answer = self._hear()
        took, cpu, self.rss_mb = (answer.pop(key) for key in ("s_per_frame", "cpu_s", "rss_mb"))
        self.also = answer
        if count:
            self.runs.append(took)
            self.cpu.append(cpu)

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()
        self._log.close()

    def case(self) -> dict[str, Any]:
        """What was measured."""
        return {
            "part": self.name,
            "s_per_frame": statistics.median(self.runs),
            "fastest_s": min(self.runs),
            "cpu_s": statistics.median(self.cpu),
            "rss_mb": self.rss_mb,
            **self.also,
            "runs": self.runs,
        }

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait(timeout=60)
            self._log.seek(0)
            last = self._log.read().decode(errors="replace").strip().splitlines()[-1:] or ["nothing"]
            raise PochoirError(f"bench: part '{self.name}' died; it said: {last[0]}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def in_turn(parts: Sequence[Part], rounds: int) -> None:
    """Let parts that are ready work one after another, round after round; the first round warms up."""
    for turn in range(-1, rounds):
        for part in parts:
            part.go(count=turn >= 0)
