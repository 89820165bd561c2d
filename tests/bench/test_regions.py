"""The regions protocol on an object whose mask is known on every frame."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from bench.clips import TrueClip, read_clip, read_masks
from bench.exemplar import ClipMotion
from bench.regions import case_of, measure, region_hints, run, second_keyframe, summarise
from core.errors import InputError

DATA = Path(os.environ.get("POCHOIR_DATA", Path(__file__).parents[3] / "shared" / "data"))


def passing(count=6, step=4):
    """A red, textured disc that passes over a photograph."""
    ground = cv2.resize(data.coffee(), (160, 112), interpolation=cv2.INTER_AREA) // 2
    skin = cv2.resize(data.astronaut()[..., 1], (160, 112), interpolation=cv2.INTER_AREA).astype(np.float32)
    yy, xx = np.mgrid[:112, :160]
    frames, masks = [], []
    for n in range(count):
        inside = (yy - 56) ** 2 + (xx - 50 - step * n) ** 2 <= 26**2
        disc = np.roll(skin, step * n, axis=1)[..., None] * np.float32([0.5, 0.25, 0.2]) + np.float32([80, 40, 30])
        frames.append(np.where(inside[..., None], disc, ground).astype(np.uint8))
        masks.append(inside)
    return TrueClip("passing", tuple(frames), tuple(range(count))), masks


@pytest.fixture(scope="module")
def case():
    clip, masks = passing()
    return measure(clip, masks, None)


def test_the_mask_follows_the_object(case):
    assert case["iou"] > 0.85
    assert case["iou"] > case["iou_copy"] + 0.1


def test_the_colour_is_right_inside_and_does_not_spill(case):
    assert case["delta_e_inside"] < 6
    assert case["delta_e_spill"] < 1


def test_every_part_of_the_line_is_told_by_itself(case):
    assert list(case["of"]) == ["field", "solver"]
    assert case["delta_e_inside"] == case["of"]["solver"]["delta_e_inside"]
    assert all(part["psnr_db_inside"] > 25 and part["delta_e_spill"] < 1 for part in case["of"].values())


def test_the_carried_border_is_as_steady_as_the_true_one(case):
    assert 0 <= case["flips_truth"] < 0.15
    assert case["flips"] < case["flips_truth"] + 0.1


def jumping(count=8):
    """The same, but from the middle on everything jumps so far from frame to frame that motion loses it."""
    clip, masks = passing(count)
    jumps = [24 * max(0, n - count // 2 + 1) for n in range(count)]
    frames, moved = (
        [np.roll(a, by, axis=0) for a, by in zip(some, jumps, strict=True)] for some in (clip.frames, masks)
    )
    return TrueClip("jumping", tuple(frames), clip.numbers), moved


def test_the_mask_of_the_worst_frame_mends_the_others():
    clip, masks = jumping()
    case = case_of(clip, masks, None)
    told, each = case["second_keyframe"], dict(zip(case["measured"], case["iou_each"], strict=True))
    assert each[told["frame"]] == min(each.values())
    assert told["iou"] == pytest.approx(np.mean([j for n, j in each.items() if n != told["frame"]]))
    assert told["iou_corrected"] > told["iou"]
    alone = second_keyframe(ClipMotion(clip), masks, case)  # nothing kept from the first run
    assert alone == told
    summary = summarise([case])
    assert summary["second_keyframe"] == {
        "iou": told["iou"], "iou_corrected": told["iou_corrected"], "clips_gained": 1,
    }  # fmt: skip
    assert summary["iou"] == case["iou"]


def test_hints_hold_the_mean_true_colour():
    clip, masks = passing(2)
    hints = region_hints(clip, masks, (0,))
    r, g, b = (int(hints.regions[0].colour[i : i + 2], 16) for i in (1, 3, 5))
    assert r > g + 30 > b
    assert (hints.hints[0].mask.inside == masks[0]).all()


def test_a_folder_without_masks_is_refused(tmp_path):
    with pytest.raises(InputError, match="no masks"):
        run(tmp_path)


@pytest.mark.skipif(not (DATA / "seqmask").is_dir(), reason="the test films are not beside the project")
def test_a_real_object_is_followed():
    clip = read_clip(DATA, "blackswan", max_frames=9, max_width=320)
    found = measure(clip, read_masks(DATA, clip), None, every=4)
    assert found["iou"] > 0.85
    assert found["iou"] > found["iou_copy"]
    assert found["delta_e_spill"] < 1
