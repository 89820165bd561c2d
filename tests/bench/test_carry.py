"""The measurement of carrying walks the studio's road and accounts for what it times. No test asserts a time."""

from __future__ import annotations

import numpy as np
import pytest

from bench.carry import GOALS, ToAndFro, measure, run, summarise
from core.errors import InputError
from core.film.timebase import FrameRange
from tests.bench.test_regions import passing

SIZE = (96, 128)


def test_the_film_goes_to_and_fro_and_covers_its_size():
    clip, _ = passing(4)
    film = ToAndFro(clip, SIZE, 9)
    assert [film.place(n) for n in range(9)] == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    frames = [f.rgb for f in film.frames(FrameRange(0, 9))]
    assert film.clip.count == 9
    assert all(f.shape == (*SIZE, 3) for f in frames)
    assert (frames[2] == frames[4]).all()
    assert (frames[2] != frames[3]).any()
    np.testing.assert_array_equal(frames[0], np.rint(frames[0] * 65535).astype(np.float32) / np.float32(65535))


def test_a_region_is_carried_to_both_ends_and_its_neighbours_come_first():
    clip, masks = passing(6)
    case = measure(clip, masks, SIZE, 9)
    assert (case["clip"], case["size"], case["frames"]) == ("passing", "128x96", 9)
    assert case["carry_ms_per_frame"] == pytest.approx(case["carry_s"] * 1e3 / 8)
    assert case["prepare_ms_per_frame"] == pytest.approx(case["prepare_s"] * 1e3 / 9)
    assert 0 < case["neighbour_ms"] <= case["neighbours_ms"] < case["carry_s"] * 1e3


def test_the_summary_speaks_of_the_goals_length_and_tells_each_length():
    def case(clip, frames, seconds):
        each = {"prepare_ms_per_frame": seconds, "carry_ms_per_frame": 2 * seconds}
        whole = {"prepare_s": seconds, "carry_s": 3 * seconds, "neighbour_ms": 1.0, "neighbours_ms": seconds}
        return {"clip": clip, "frames": frames, **whole, **each, "cpu": each}

    summary = summarise([case("a", 24, 1.0), case("a", 48, 2.0), case("b", 24, 3.0), case("b", 48, 6.0)])
    assert (summary["prepare_s"], summary["carry_s"], summary["neighbours_ms"]) == (4.0, 12.0, 4.0)
    assert summary["goals"] == GOALS == {"prepare_s": 6.0, "carry_s": 1.5, "neighbours_ms": 150.0}
    assert summary["carry_ms_per_frame"] == {"24": 4.0, "48": 8.0} == summary["cpu"]["carry_ms_per_frame"]


def test_a_folder_without_masks_is_refused(tmp_path):
    with pytest.raises(InputError, match="no masks"):
        run(tmp_path)
