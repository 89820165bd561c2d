"""The need protocol: exact areas under the curve, and a clip whose wrong pixels are known."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from bench.clips import read_clip
from bench.metrics import auc
from bench.need import CASES, Sampled, points, row, run, sample, summarise
from core.errors import InputError, ShapeError
from hints.hint import RADIUS
from hints.need import SIGNS, WRONG
from tests.bench.test_exemplar import panned

DATA = Path(os.environ.get("POCHOIR_DATA", Path(__file__).parents[3] / "shared" / "data"))


def test_areas_under_the_curve_are_exact():
    wrong = np.array([0, 0, 1, 1], bool)
    assert auc(np.array([0.1, 0.4, 0.35, 0.8]), wrong) == 0.75
    assert auc(np.array([1.0, 2, 3, 4]), wrong) == 1.0
    assert auc(np.array([4.0, 3, 2, 1]), wrong) == 0.0
    assert auc(np.zeros(4), wrong) == 0.5
    assert auc(np.array([1.0, 2, 2, 3]), wrong) == 0.875  # a tie counts one half
    assert np.isnan(auc(np.zeros(4), np.zeros(4, bool)))
    with pytest.raises(ShapeError):
        auc(np.zeros(3), wrong)


def test_area_is_the_share_of_pairs_in_the_right_order():
    chance = np.random.default_rng(0)
    score, wrong = chance.integers(0, 6, 60).astype(float), chance.random(60) < 0.4
    pairs = [(a > b) + 0.5 * (a == b) for a in score[wrong] for b in score[~wrong]]
    assert auc(score, wrong) == pytest.approx(np.mean(pairs))


def test_points_say_the_true_colour_of_the_first_frame():
    clip = panned(2)
    made = points(clip, 10, (3,))
    h, w = clip.frames[0].shape[:2]
    assert len({hint.id for hint in made}) == 10
    for hint in made:
        x, y = hint.xy
        assert RADIUS <= x <= w - RADIUS
        assert RADIUS <= y <= h - RADIUS
        said = np.array([int(hint.colour[i : i + 2], 16) for i in (1, 3, 5)])
        assert np.abs(said - clip.frames[0][int(y), int(x)]).max() < 120
    assert points(clip, 10, (3,)) == made != points(clip, 10, (4,))


def test_a_clip_is_sampled_under_each_kind_of_hints():
    found = list(sample(panned(6), every=4))
    assert [s.case for s in found] == list(CASES)
    for s in found:
        assert s.signs.shape == (len(s.error), len(SIGNS))
        assert set(s.frame) == {1, 5}
        assert (s.wrong == (s.error > WRONG)).all()
    told, pointed, unasked = found
    assert told.error.mean() < pointed.error.mean() < unasked.error.mean()
    trust = SIGNS.index("trust")
    assert told.signs[:, trust].mean() > 0.5 > pointed.signs[:, trust].mean() > unasked.signs[:, trust].mean() == 0
    table = summarise(found)
    assert set(table) == {*CASES, "together"}
    assert set(table["points"]["of"]) == set(SIGNS)
    assert table["unasked"]["wrong"] == pytest.approx(unasked.wrong.mean())


def test_kinds_of_hints_are_judged_together_too():
    """Two kinds of which the map ranks nothing within, but knows that one is wrong and the other is not."""
    hinted, bare = (np.zeros((400, len(SIGNS)), np.float32) for _ in range(2))
    hinted[:, SIGNS.index("trust")] = 1
    bare[:, SIGNS.index("deviation")] = 40
    frame = np.zeros(400, np.int64)
    found = [
        Sampled("one", "reference", hinted, np.zeros(400, np.float32), frame),
        Sampled("one", "points", bare, np.full(400, 9, np.float32), frame),
        Sampled("one", "unasked", bare, np.full(400, 9, np.float32), frame),
    ]
    table = summarise(found)
    assert np.isnan(table["points"]["auc"])
    assert table["together"] == {"auc": 1.0, "auc_pooled": 1.0}


def test_a_clip_without_wrong_pixels_says_nothing():
    signs = np.zeros((500, len(SIGNS)), np.float32)
    told = row(Sampled("none", "points", signs, np.zeros(500, np.float32), np.zeros(500, np.int64)))
    assert np.isnan(told["auc"])
    assert told["wrong"] == 0


def test_a_folder_without_clips_is_refused(tmp_path):
    with pytest.raises(InputError, match="no clips"):
        run(tmp_path)


@pytest.mark.skipif(not (DATA / "clips").is_dir(), reason="the test films are not beside the project")
def test_on_a_real_clip_the_map_tells_wrong_from_right():
    clip = read_clip(DATA, "camel", max_frames=13, max_width=320)
    told, pointed, unasked = (row(s) for s in sample(clip))
    assert told["wrong"] < pointed["wrong"] < unasked["wrong"]
    assert told["expected"] < pointed["expected"] < unasked["expected"]
    assert pointed["auc"] > 0.65
