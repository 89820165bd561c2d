"""The sparse protocol: points carried over a pan beat points that stay; no points are the automatic colour."""

from __future__ import annotations

import numpy as np
import pytest

from bench import exemplar
from bench.exemplar import embedded_if_there
from bench.sparse import Warped, measure, run, summarise, true_points
from core.errors import InputError
from core.film.colour import hex_to_lab
from core.flow import FlowPair
from hints.field import HintField
from hints.hint import RADIUS
from tests.bench.test_exemplar import panned


@pytest.fixture(scope="module")
def colouriser():
    found = embedded_if_there()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def cases(colouriser):
    found = measure(panned(7, 3), colouriser, counts=(0, 10))
    return {(c["points"], c["rule"]): c for c in found}


def test_points_are_true_spread_evenly_and_fewer_are_the_first_of_more():
    clip = panned(3)
    many, few = true_points(clip, 2, 40, (7,)), true_points(clip, 2, 5, (7,))
    assert few == many[:5]
    assert many != true_points(clip, 2, 40, (8,))
    h, w = clip.frames[0].shape[:2]
    x, y = np.array([hint.xy for hint in many]).T
    assert RADIUS <= x.min() <= x.max() <= w - RADIUS
    assert RADIUS <= y.min() <= y.max() <= h - RADIUS
    quarters = np.bincount((x > w / 2).astype(int) * 2 + (y > h / 2), minlength=4)
    assert quarters.min() >= 8
    for hint in few:
        assert hint.frame == 2
        under = clip.lab(2)[int(hint.xy[1]) - 2 : int(hint.xy[1]) + 3, int(hint.xy[0]) - 2 : int(hint.xy[0]) + 3]
        assert np.abs(hex_to_lab(hint.colour)[1:] - under[..., 1:].mean(axis=(0, 1))).max() < 8


def test_no_points_are_the_automatic_colour_exactly(cases, colouriser):
    clip = panned(7, 3)
    automatic = exemplar.measure(clip, colouriser, keyframes=(0, 6), only=("automatic", "field"))
    assert cases[0, "carried"]["psnr_db"] == automatic["psnr_db"]["automatic"]
    assert cases[0, "carried"]["cdc"] == automatic["cdc"]["automatic"]
    assert cases[0, "carried"]["warp_error"] == automatic["warp_error"]["automatic"]
    assert {rule for points, rule in cases if points == 0} == {"carried"}


def test_carried_points_beat_none_and_points_that_stay(cases):
    assert cases[10, "carried"]["psnr_db"] > cases[10, "fixed"]["psnr_db"] + 0.5
    assert cases[10, "carried"]["psnr_db"] > cases[0, "carried"]["psnr_db"] + 1
    assert cases[10, "carried"]["delta_e_track"] < 0.75 * cases[10, "fixed"]["delta_e_track"]
    assert cases[10, "carried"]["delta_e_track"] < cases[10, "carried"]["delta_e"]
    assert cases[10, "carried"]["delta_e_track"] < 0.75 * cases[10, "carried"]["delta_e_track_none"]


def test_points_on_both_ends_beat_points_on_one(cases):
    assert cases[10, "both"]["psnr_db"] > cases[10, "carried"]["psnr_db"]


def test_the_summary_has_plain_gains(cases):
    summary = summarise(list(cases.values()))
    ours = cases[10, "carried"]["psnr_db"]
    assert summary["gain_db_over"]["fixed"] == {"10": pytest.approx(ours - cases[10, "fixed"]["psnr_db"])}
    assert summary["gain_db_over"]["none"] == {"10": pytest.approx(ours - cases[0, "carried"]["psnr_db"])}
    assert summary["gain_db_of_both"] == {"10": pytest.approx(cases[10, "both"]["psnr_db"] - ours)}
    assert summary["clips_below"]["none"] == summary["clips_below"]["fixed"] == {"10": 0}
    assert summary["clips_below"]["warped"] == {"10": int(cases[10, "warped"]["psnr_db"] > ours)}
    assert summary["psnr_db"]["carried"] == {"0": cases[0, "carried"]["psnr_db"], "10": ours}
    assert 0 < summary["tracked"]["10"] <= 1.2


class Moving:
    """Flow of a picture that moves three pixels to the right and is hidden at its right end."""

    def pair(self, n):
        forward = np.zeros((20, 40, 2), np.float32)
        forward[..., 0] = 3
        backward = -forward
        backward[:, 30:] = 9  # what is there leads nowhere: the way back does not close
        sure = np.ones((20, 40), np.float32)
        return FlowPair(forward, backward, sure, sure)


def test_the_warp_rule_takes_points_along_and_drops_them_where_the_flow_fails():
    ab, cover = np.zeros((20, 40, 2), np.float32), np.zeros((20, 40), np.float32)
    ab[8:13, 4:9], cover[8:13, 4:9] = (30, -20), 1
    ab[8:13, 24:29], cover[8:13, 24:29] = (5, 5), 1
    warped = Warped(HintField(ab, cover, cover), Moving())
    after = warped(3)
    assert after.weight[8:13, 13:18].min() == 1
    assert np.abs(after.ab[8:13, 13:18] - np.float32([30, -20])).max() < 1e-4
    assert after.weight.sum() == 25  # the other one is gone
    assert warped(20) is None


def test_a_folder_without_clips_is_refused(tmp_path):
    with pytest.raises(InputError, match="no clips"):
        run(tmp_path)
