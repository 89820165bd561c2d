"""The measurement of latency walks the studio's road and accounts for its time. No test asserts a time."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from bench import latency
from bench.latency import KINDS, STEPS, Stopwatch, encode, make_hint, run
from hints.footprint import footprint


def test_time_of_a_function_is_without_that_of_those_it_calls(monkeypatch):
    clock = iter([0.0, 1.0, 4.0, 10.0])  # outer begins, inner begins, inner ends, outer ends
    monkeypatch.setattr(latency.time, "perf_counter", lambda: next(clock))
    watch = Stopwatch()
    inner = watch.timed("inner", lambda: 7)
    outer = watch.timed("outer", lambda: inner())
    assert outer() == 7
    assert watch.spent == {"inner": 3.0, "outer": 7.0}
    watch.reset()
    assert watch.spent == {}


def test_functions_are_themselves_again_afterwards():
    before = latency.encode
    watch = Stopwatch()

    def fail():
        with watch.over([("jpeg", "bench.latency", "encode")]):
            assert latency.encode is not before
            latency.encode(np.zeros((4, 4, 3), np.float32))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert latency.encode is before
    assert set(watch.spent) == {"jpeg"}


def test_the_hints_are_of_all_kinds_and_lie_in_the_picture():
    rng = np.random.default_rng(0)
    made = [make_hint(i, (48, 64), rng) for i in range(9)]
    assert [h.kind for h in made] == list(KINDS) * 3
    assert len({h.colour for h in made}) == 9
    for hint in made:
        assert footprint(hint, (48, 64), (48, 64)).max() == 1


def test_the_picture_is_what_a_browser_shows():
    rgb = np.zeros((10, 20, 3), np.float32)
    rgb[:, 10:] = (1.0, 0.0, 0.0)  # one half red: at 4:4:4 the border stays where it is
    shown = cv2.cvtColor(cv2.imdecode(np.frombuffer(encode(rgb), np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert shown.shape == (10, 20, 3)
    assert np.abs(shown.astype(int) - np.rint(rgb * 255).astype(int)).max() < 12


def test_each_hint_is_counted_and_its_time_accounted_for():
    result = run(limit=3, sizes=((48, 64),))
    (case,) = result["cases"]
    assert (case["size"], case["hints"], len(case["runs_ms"])) == ("64x48", 3, 3)
    assert 0 < case["p50_ms"] <= case["p95_ms"]
    parts = result["summary"]["parts_ms"]["64x48"]
    assert {label for label, _, _ in STEPS} | {"other"} == set(parts)
    assert all(ms > 0 for ms in parts.values())
    assert sum(parts.values()) == pytest.approx(np.mean(case["runs_ms"]))
    assert result["summary"]["p50_ms"] == {"64x48": case["p50_ms"]}
    assert case["bytes"] > 300
