"""The bar on stderr says stage, shot, frames done and time left, and is quiet enough for a log file."""

from __future__ import annotations

import io
import sys

from core.contract.progress import Progress
from studio import bar as bar_module
from studio.bar import Bar


def drawn(monkeypatch, steps, pace):
    text = io.StringIO()
    monkeypatch.setattr(sys, "stderr", text)
    monkeypatch.setattr(bar_module, "_LOG_SECONDS", pace)
    with Bar() as report:
        for step in steps:
            report(step)
    assert text.getvalue().split("\r")[-1] == "", "what is said next would stand behind the bar"
    return [line.strip() for line in text.getvalue().split("\r") if line.strip()]


def test_it_says_what_is_done_and_how_long_it_takes(monkeypatch):
    lines = drawn(monkeypatch, [Progress("dedust", 3, 5, 20, 61.0)], 0)
    assert len(lines) == 1
    for word in ("dedust shot 3", "25%", "5/20", "01:01 left"):
        assert word in lines[0]


def test_works_that_take_turns_share_one_line(monkeypatch):
    steps = [step for n in range(1, 4) for step in (Progress("dedust", 0, n, 9), Progress("carry hints", 0, n, 4))]
    lines = drawn(monkeypatch, steps, 0)
    assert [("carry hints" in line, line.split("|")[-1].split()[0]) for line in lines] == [
        (False, "1/9"), (True, "1/4"), (False, "2/9"), (True, "2/4"), (False, "3/9"), (True, "3/4"),
    ]  # fmt: skip


def test_a_log_file_is_not_flooded(monkeypatch):
    assert len(drawn(monkeypatch, [Progress("dedust", 0, n, 1000) for n in range(1000)], 60.0)) == 1
