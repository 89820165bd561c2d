"""The measurement of speed measures what it says: in turn, in processes of their own, warm. No test asserts a time."""

from __future__ import annotations

import numpy as np
import pytest

from bench import speed
from bench.panning import Panning
from bench.part import Part
from bench.speed import COLOUR, FILM, PEER, run, summarise
from core.errors import PochoirError
from core.film.timebase import FrameRange


class FakePart:
    """Answers at once, and writes down who was asked when."""

    seconds = {PEER: [9.0, 3.0, 2.0, 4.0], COLOUR: [9.0, 0.2, 0.1, 0.3], "stage x": [9.0, 5.0, 7.0, 6.0]}
    log: list[tuple[str, str]] = []

    def __init__(self, name, command):
        self.name = name
        self.left = list(self.seconds[name])
        self.runs = []
        self.log.append(("start", name))

    def wait(self):
        self.log.append(("ready", self.name))

    def go(self, *, count=True):
        self.log.append(("go", self.name))
        value = self.left.pop(0)
        if count:
            self.runs.append(value)

    def close(self):
        self.log.append(("end", self.name))

    def case(self):
        middle = sorted(self.runs)[len(self.runs) // 2]
        return {
            "part": self.name,
            "s_per_frame": middle,
            "rss_mb": 100.0,
            "runs": self.runs,
        }


@pytest.fixture
def fake(monkeypatch):
    FakePart.log = []
    monkeypatch.setattr(speed, "Part", FakePart)
    return FakePart


def test_peer_and_colouring_go_in_turn_and_the_first_turn_does_not_count(fake):
    result = run(sizes=((48, 64),), parts=[PEER, COLOUR, "stage x"], rounds=3)
    went = [name for what, name in fake.log if what == "go"]
    assert went == [PEER, COLOUR] * 4 + ["stage x"] * 4
    # The third part starts only when the two are gone: few hold memory at once.
    assert fake.log.index(("end", PEER)) < fake.log.index(("start", "stage x"))
    assert [c["runs"] for c in result["cases"]] == [[3.0, 2.0, 4.0], [0.2, 0.1, 0.3], [5.0, 7.0, 6.0]]
    assert result["summary"]["ratio"] == {"64x48": pytest.approx(3.0 / 0.2)}


def test_the_limit_keeps_the_first_parts(fake):
    result = run(sizes=((48, 64), (10, 20)), parts=[PEER, COLOUR, "stage x"], rounds=1, limit=2)
    assert [(c["part"], c["size"]) for c in result["cases"]] == [
        (PEER, "64x48"),
        (COLOUR, "64x48"),
        (PEER, "20x10"),
        (COLOUR, "20x10"),
    ]


def test_ratio_is_the_peers_seconds_by_ours_at_each_size():
    def case(part, size, seconds):
        return {"part": part, "size": size, "s_per_frame": seconds, "rss_mb": seconds * 10}

    cases = [case(PEER, "a", 6.0), case(COLOUR, "a", 0.5), case(PEER, "b", 6.0), case("stage x", "b", 1.0)]
    summary = summarise(cases)
    assert summary["ratio"] == {"a": 12.0}
    assert summary["s_per_frame"]["b"] == {PEER: 6.0, "stage x": 1.0}
    assert summary["rss_mb"]["a"] == {PEER: 60.0, COLOUR: 5.0}


def test_a_part_runs_in_its_own_process_and_tells_time_and_memory():
    result = run(sizes=((48, 64),), parts=[FILM], rounds=2)
    (case,) = result["cases"]
    assert (case["part"], case["size"], len(case["runs"])) == (FILM, "64x48", 2)
    assert case["s_per_frame"] > 0
    assert 10 < case["rss_mb"] < 4000  # a Python with torch, not ours with a whole test run in it


def test_a_part_that_fails_says_so_with_its_last_word():
    part = Part("no such part", ["-m", "bench.speed", "no such part", "48", "64", "0"])
    with pytest.raises(PochoirError, match="unknown part 'no such part'"):
        part.wait()
    part.close()


def test_the_film_pans_and_its_grain_changes():
    film = Panning((48, 64), 6)
    frames = [f.rgb for f in film.frames(FrameRange(0, 6))]
    assert all(f.shape == (48, 64, 3) and f.dtype == np.float32 for f in frames)
    assert all((f[..., 0] == f[..., 2]).all() for f in frames)
    assert 0 <= min(f.min() for f in frames) < max(f.max() for f in frames) <= 1
    # On the 16-bit grid, as a decoder gives it.
    np.testing.assert_array_equal(frames[0], np.rint(frames[0] * 65535).astype(np.float32) / np.float32(65535))
    step = 1
    moved = np.abs(frames[0][:, step:] - frames[1][:, :-step]).mean()
    still = np.abs(frames[0] - frames[1]).mean()
    assert 0 < moved < still
    np.testing.assert_array_equal(Panning((48, 64), 6).frame(3).rgb, frames[3])
