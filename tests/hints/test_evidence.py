"""Evidence beside looks: each speaks where it knows, with the right sign, and is silent where it does not."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from hints.evidence import MOTION_CAP, Backdrop, bent, by_motion, by_surface

sys.path.insert(0, str(Path(__file__).parent))
from film import SIZE, Film

H, W = SIZE
EVERYWHERE = np.ones(SIZE, bool)
SURE = np.ones(SIZE, np.float32)


def moved(film, n, ground):
    """True flow from frame n back to the one before."""
    flow = np.zeros((H, W, 2), np.float32)
    flow[..., 0] = -ground
    flow[film.mask(n), 0] = -film.step
    return flow


def test_motion_tells_what_moves_by_itself_from_what_moves_with_the_camera():
    film = Film(4, step=4.0, ground_step=1.0)
    flow, camera = moved(film, 2, 1.0), np.full((H, W, 2), (-1.0, 0.0), np.float32)
    region = film.mask(2).astype(np.float32)
    region[:20] = 1  # a leak above: it moves with the camera
    odds = by_motion(flow, camera, SURE, region, EVERYWHERE)
    assert odds[40:56, 34:44].min() > 1
    assert odds[:18].max() < -0.3
    assert np.abs(odds).max() <= MOTION_CAP


def test_motion_is_silent_where_all_moves_alike():
    film = Film(4, step=1.0, ground_step=1.0)
    odds = by_motion(
        moved(film, 2, 1.0), np.zeros((H, W, 2), np.float32), SURE, film.mask(2).astype(np.float32), EVERYWHERE
    )
    assert np.abs(odds).max() < 0.2


def test_what_was_seen_behind_is_known_when_it_comes_into_view_again():
    film = Film(12, step=5.0)
    still, beside = np.zeros((H, W, 2), np.float32), np.ones(SIZE, np.float32)
    backdrop = Backdrop(film.luma(0), film.mask(0).astype(np.float32))
    for n in range(1, 12):
        cover = film.mask(n).astype(np.float32)
        odds = backdrop.odds(film.luma(n), still, beside * (1 - cover), film.mask(n - 1).astype(np.float32))
        backdrop.learn(film.luma(n), cover)
    # The patch came past here: it was seen before, then hidden, then seen again.
    passed = film.mask(7) & ~film.mask(11) & ~film.mask(0)
    assert np.mean(odds[passed]) < -0.3
    core = cv2.erode(film.mask(11).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert np.median(odds[core]) > 1
    never = film.mask(0) & film.mask(1)
    assert (
        np.abs(
            Backdrop(film.luma(0), film.mask(0).astype(np.float32)).odds(film.luma(1), still, beside, beside)[never]
        ).mean()
        < 0.2
    )


def test_the_border_is_told_by_the_tones_beside_it():
    luma, truth = np.full(SIZE, 30, np.float32), np.zeros(SIZE, bool)
    truth[30:70, 40:90] = True
    luma[truth] = 55
    fat = cv2.dilate(truth.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(np.float32)
    odds = by_surface(luma, fat)
    fringe = (fat > 0) & ~truth
    assert odds[fringe].max() < -0.5
    assert odds[truth & (cv2.erode(truth.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)].min() > 0.5
    assert not odds[:15].any()


def test_the_camera_is_bent_to_what_moves_beside_the_region():
    """Far and near ground move differently; behind the region it is the near one."""
    flow = np.zeros((H, W, 2), np.float32)
    flow[:, W // 2 :, 0] = 4.0
    region = np.zeros(SIZE, np.float32)
    region[40:60, 90:110] = 1
    camera = bent(np.zeros((H, W, 2), np.float32), flow, 1 - region)
    assert abs(camera[50, 100, 0] - 4.0) < 0.3
    assert abs(camera[50, 20, 0]) < 0.3
