"""The clicking protocol: where clicks fall, how they are counted, and that both ways are asked the same."""

from __future__ import annotations

import numpy as np
import pytest

from bench.segment import CAP, TOLD, clicked, clicks_to, first_click, grabcut, measure, next_click, run, summarise, worn
from core.errors import InputError

SIZE = (60, 80)
MASK = np.zeros(SIZE, bool)
MASK[10:41, 20:51] = True
LUMA = np.where(MASK, 70, 30).astype(np.float32)


def test_the_first_click_is_in_the_middle():
    assert first_click(MASK) == (35.5, 25.5, True)


def test_the_next_click_is_in_the_middle_of_the_largest_error():
    lacking = MASK.copy()
    lacking[30:41, 20:31] = False  # 121 pixels
    x, y, inside = next_click(lacking, MASK)
    assert (x, y, inside) == (25.5, 35.5, True)
    lacking[45:58, 60:75] = True  # 195 pixels too many
    x, y, inside = next_click(lacking, MASK)
    assert not inside
    assert 60 <= x < 75
    assert abs(y - 51.5) <= 0.5


def test_clicks_go_on_until_it_is_found_or_the_cap():
    asked = []

    def never(picture, points, box, last):
        asked.append(list(points))
        return ~MASK

    overlaps, ms = clicked(never, LUMA, MASK, None)
    assert overlaps == [0.0] * CAP
    assert len(ms) == CAP
    assert [len(points) for points in asked] == list(range(1, CAP + 1))
    assert clicks_to(overlaps) == CAP
    overlaps, _ = clicked(lambda picture, points, box, last: MASK, LUMA, MASK, (20.0, 10.0, 51.0, 41.0))
    assert overlaps == [1.0]
    assert clicks_to([0.2, 0.84, 0.85, 0.9]) == 3


def test_every_way_is_told_of_by_itself_and_in_the_summary():
    found = measure(LUMA, MASK, {"ours": lambda *_: MASK, "grabcut": lambda *_: ~MASK})
    assert found["ours"]["iou"] == {str(k): 1.0 for k in TOLD}
    assert (found["ours"]["noc"], found["ours"]["noc_box"]) == (1, 1)
    assert (found["grabcut"]["noc"], found["grabcut"]["noc_box"]) == (CAP, CAP)
    summary = summarise([{"state": state, **found} for state in ("clean", "worn")])
    assert summary["ours worn"]["noc"] == 1
    assert summary["grabcut clean"]["iou"]["10"] == 0


def test_grabcut_finds_what_is_plain_and_keeps_to_the_box():
    rng = np.random.default_rng(0)
    luma = LUMA + rng.normal(0, 1, SIZE).astype(np.float32)
    found = grabcut(luma, [], (17.0, 7.0, 54.0, 44.0), None)
    assert (found & MASK).sum() / (found | MASK).sum() > 0.9
    assert not found[:, 55:].any()


def test_a_worn_frame_has_grain():
    flat = np.full(SIZE, 50, np.float32)
    assert worn(flat, np.random.default_rng(1)).std() == pytest.approx(4, rel=0.05)


def test_a_folder_without_masks_is_refused(tmp_path):
    with pytest.raises(InputError, match="no masks"):
        run(tmp_path)
