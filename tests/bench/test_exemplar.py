"""The exemplar protocol and its metrics: known values, and a clip on which the right order is known."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from bench.clips import TrueClip, clip_names, read_clip
from bench.exemplar import SECOND_EVERY, case_of, measure, run, summarise
from bench.metrics import cdc, colourfulness, flips, iou, mean_delta_e, psnr, seen_again, spill, warp_error
from core.errors import InputError, ShapeError

DATA = Path(os.environ.get("POCHOIR_DATA", Path(__file__).parents[3] / "shared" / "data"))


def grey(value, shape=(8, 8)):
    return np.full((*shape, 3), value, np.uint8)


def test_psnr_of_known_errors():
    assert psnr(grey(10), grey(10)) == 100.0
    assert psnr(grey(10), grey(20)) == pytest.approx(20 * np.log10(255 / 10))
    with pytest.raises(ShapeError):
        psnr(grey(0), grey(0, (8, 9)))


def test_cdc_is_zero_where_nothing_changes_and_ln2_where_everything_does():
    assert cdc([grey(5)] * 6) == 0.0
    assert cdc([grey(5), grey(50)] * 3, steps=(1,)) == pytest.approx(np.log(2))
    assert cdc([grey(5), grey(50)] * 3) == pytest.approx(np.log(2) / 3)


def test_cdc_grows_with_flicker():
    rng = np.random.default_rng(0)
    picture = rng.integers(40, 200, (32, 32, 3))
    gentle, strong = ([np.uint8(np.clip(picture + a * (n % 2), 0, 255)) for n in range(6)] for a in (3, 12))
    assert 0 < cdc(gentle) < cdc(strong) < np.log(2)


def test_colourfulness_of_grey_is_zero_and_of_a_known_picture_is_known():
    assert colourfulness(grey(120)) == 0.0
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 100
    assert colourfulness(red) == pytest.approx(0.3 * np.hypot(100, 50))


def test_iou_of_known_masks():
    a, b = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    assert iou(a, b) == 1.0
    a[:2], b[1:3] = True, True
    assert iou(a, b) == pytest.approx(1 / 3)


def test_spill_counts_only_outside():
    lab = np.zeros((6, 6, 3), np.float32)
    lab[..., 0] = 50
    inside = np.zeros((6, 6), bool)
    inside[:3] = True
    changed = lab.copy()
    changed[:3, :, 1] = 30
    assert spill(changed, lab, inside) == 0.0
    assert mean_delta_e(changed, lab, inside) > 10
    assert spill(changed, lab, ~inside) > 10


def shift(dx, shape=(24, 32)):
    """Flow of a picture that moves to the right."""
    return np.broadcast_to(np.float32([dx, 0]), (*shape, 2)).copy()


def test_warp_error_is_nothing_along_true_motion_and_exact_beside_it():
    rng = np.random.default_rng(0)
    wide = rng.uniform(-40, 40, (24, 40, 2)).astype(np.float32)
    before, after = (np.ascontiguousarray(wide[:, x : x + 32]) for x in (4, 0))
    seen = seen_again(shift(4), shift(-4))
    assert (seen == (np.arange(32) < 28)).all()  # the rest has left the picture
    assert warp_error(before, after, shift(4), seen) == 0
    assert warp_error(before, after + np.float32([3, -1]), shift(4), seen) == pytest.approx(5, rel=1e-4)
    assert warp_error(before, after, shift(0), seen) > 100
    assert np.isnan(warp_error(before, after, shift(4), np.zeros_like(seen)))


def test_what_is_hidden_or_beside_a_border_of_motion_is_not_seen_again():
    forward, backward = shift(0), shift(0)
    forward[8:16, 8:16, 0] = 5  # a square that moves, and what it covers does not
    backward[8:16, 13:21, 0] = -5
    seen = seen_again(forward, backward)
    assert seen[10:14, 10:14].all()
    assert not seen[10, 16:21].any()  # hidden by the square
    assert not seen[10, 7]
    assert not seen[7, 10]
    assert seen[:6].all()


def test_flips_are_told_apart_from_motion():
    before, after = np.zeros((24, 32), bool), np.zeros((24, 32), bool)
    before[4:14, 4:14] = after[4:14, 8:18] = True
    assert flips(before, after, shift(-4)) == 0
    assert flips(before, after, shift(0)) == pytest.approx(0.8)
    assert np.isnan(flips(before, np.zeros_like(after), shift(0)))


def panned(count=6, step=3):
    """A photograph that the camera pans over."""
    photo = cv2.resize(data.astronaut(), (256, 256), interpolation=cv2.INTER_AREA)
    frames = tuple(np.ascontiguousarray(photo[40:136, 20 + step * n : 148 + step * n]) for n in range(count))
    return TrueClip("panned", frames, tuple(range(count)))


def test_propagation_beats_a_copy_a_chain_and_grey_on_a_pan():
    case = measure(panned(), None)
    found = case["psnr_db"]
    assert found["field"] > found["chain"]
    assert found["field"] > found["copy"] + 1.5
    assert found["copy"] > found["grey"]
    assert case["delta_e"]["field"] < case["delta_e"]["copy"]
    assert case["frames"] == 5


def test_a_second_keyframe_helps():
    clip = panned(8, 5)
    one, two = (measure(clip, None, keyframes=k)["psnr_db"]["field"] for k in ((0,), (0, 7)))
    assert two > one


def test_what_a_second_keyframe_brings_is_told_over_the_same_frames():
    clip = panned(8, 5)
    case = case_of(clip, None)
    told = case["second_keyframe"]
    same = [n for n in range(1, 8) if n % SECOND_EVERY == 0]
    one = dict(zip(case["measured"], case["psnr_db_each"], strict=True))
    assert told["psnr_db_one"] == pytest.approx(np.mean([one[n] for n in same]))
    alone = measure(clip, None, keyframes=(0, 4), every=SECOND_EVERY)
    assert (alone["measured"], alone["psnr_db"]["field"]) == (same, told["psnr_db_two"])
    assert told["gain_db"] == told["psnr_db_two"] - told["psnr_db_one"] > 0.5


def test_a_chain_is_the_same_whichever_frames_are_measured():
    every, third = (measure(panned(), None, every=k, only=("chain", "field")) for k in (1, 3))
    assert third["measured"] == [3]
    assert third["psnr_db_each"] == [every["psnr_db_each"][2]]


def test_chroma_in_place_changes_along_the_motion_and_carried_chroma_does_not():
    found = measure(panned(), None)
    assert found["warp_error"]["grey"] < 1e-6  # what Lab makes of grey is not quite nothing
    assert found["warp_error"]["field"] < 0.25 * found["warp_error"]["copy"]
    assert found["warp_error_truth"] < 0.25 * found["warp_error"]["copy"]


def test_the_summary_names_its_method_and_peers():
    case = case_of(panned(7), None)
    summary = summarise([case])
    for key in ("psnr_db", "delta_e", "cdc", "cdc_truth", "colourfulness", "warp_error", "warp_error_truth"):
        assert isinstance(summary[key], float)
    assert summary["second_keyframe"]["clips_gained"] in (0, 1)
    assert summary["method"] == "field"
    assert summary["gain_db_over"]["copy"] == pytest.approx(case["psnr_db"]["field"] - case["psnr_db"]["copy"])


def test_a_folder_without_clips_is_refused(tmp_path):
    with pytest.raises(InputError, match="no clips"):
        run(tmp_path)


@pytest.mark.skipif(not (DATA / "clips").is_dir(), reason="the test films are not beside the project")
def test_real_clips_are_read_with_their_numbers():
    names = clip_names(DATA)
    assert "camel" in names
    clip = read_clip(DATA, "camel", max_frames=3, max_width=320)
    assert len(clip.frames) == 3
    assert clip.numbers == (45, 46, 47)
    assert clip.frames[0].shape[1] == 320


@pytest.mark.skipif(not (DATA / "clips").is_dir(), reason="the test films are not beside the project")
def test_a_real_clip_is_carried_better_than_copied_or_chained():
    clip = read_clip(DATA, "camel", max_frames=9, max_width=320)
    found = measure(clip, None, every=4)["psnr_db"]
    assert found["field"] > found["copy"] + 1.5
    assert found["field"] > found["chain"]
