"""Chroma brought up by luma: borders as sharp as luma's, no halos, flat stays flat."""

import cv2
import numpy as np
import pytest
from skimage import data

from core import guided
from core.errors import ShapeError
from core.film.colour import srgb_to_lab
from core.guided import lay_over, upsample_chroma


def small(plane, size):
    return cv2.resize(plane, size, interpolation=cv2.INTER_AREA)


def disc(h=240, w=320):
    y, x = np.mgrid[0:h, 0:w]
    inside = np.hypot(y - h / 2, x - w / 2) < h / 3
    luma = np.where(inside, 70, 35).astype(np.float32)
    ab = np.where(inside[..., None], (45.0, 25.0), (-15.0, -30.0)).astype(np.float32)
    return luma, ab


def test_a_border_is_as_sharp_as_lumas():
    luma, ab = disc()
    out = upsample_chroma(small(luma, (80, 60)), small(ab, (80, 60)), luma)
    plain = cv2.resize(small(ab, (80, 60)), (320, 240), interpolation=cv2.INTER_LINEAR)
    near = cv2.dilate(cv2.Canny(luma.astype(np.uint8), 10, 20), np.ones((7, 7))) > 0
    assert np.abs(out - ab)[near].mean() < 0.4 * np.abs(plain - ab)[near].mean()


def test_no_halo_beyond_the_colours_that_are_there():
    luma, ab = disc()
    out = upsample_chroma(small(luma, (80, 60)), small(ab, (80, 60)), luma)
    assert out[..., 0].max() <= 45.01
    assert out[..., 0].min() >= -15.01
    assert out[..., 1].max() <= 25.01
    assert out[..., 1].min() >= -30.01


@pytest.mark.parametrize("picture", ["astronaut", "coffee", "chelsea"])
def test_better_than_bilinear_on_photographs(picture):
    rgb = cv2.resize(getattr(data, picture)(), (400, 300), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    lab = srgb_to_lab(rgb)
    luma, ab = np.ascontiguousarray(lab[..., 0]), np.ascontiguousarray(lab[..., 1:])
    out = upsample_chroma(small(luma, (100, 75)), small(ab, (100, 75)), luma)
    plain = cv2.resize(small(ab, (100, 75)), (400, 300), interpolation=cv2.INTER_LINEAR)
    assert np.square(out - ab).mean() < 0.9 * np.square(plain - ab).mean()


def test_lumas_texture_is_not_printed_into_colours_it_has_nothing_to_do_with():
    rng = np.random.default_rng(1)
    luma = np.asarray(cv2.GaussianBlur(50 + rng.normal(0, 30, (240, 320)), (0, 0), 2), np.float32)
    ab = np.asarray(cv2.GaussianBlur(rng.normal(0, 150, (240, 320, 2)), (0, 0), 9), np.float32)
    out = upsample_chroma(small(luma, (80, 60)), small(ab, (80, 60)), luma)
    plain = cv2.resize(small(ab, (80, 60)), (320, 240), interpolation=cv2.INTER_LINEAR)
    assert np.square(out - ab).mean() < 1.2 * np.square(plain - ab).mean()


def test_flat_chroma_stays_flat_under_grain():
    rng = np.random.default_rng(0)
    luma = (50 + rng.normal(0, 6, (97, 131))).astype(np.float32)
    ab = np.full((31, 43, 2), (12.0, -8.0), np.float32)
    out = upsample_chroma(small(luma, (43, 31)), ab, luma)
    assert out.shape == (97, 131, 2)
    assert np.abs(out - ab[0, 0]).max() < 1e-3


def test_same_size_is_the_identity():
    luma, ab = disc(40, 50)
    assert np.array_equal(upsample_chroma(luma, ab, luma), ab)


def test_shrinking_is_allowed():
    luma, ab = disc(120, 160)
    out = upsample_chroma(luma, ab, small(luma, (80, 60)))
    assert out.shape == (60, 80, 2)


def test_misfitting_planes_are_refused():
    luma, ab = disc(40, 50)
    with pytest.raises(ShapeError, match="agree"):
        upsample_chroma(luma, ab[:-1], luma)


def test_parts_fit_together_bit_for_bit(monkeypatch):
    rng = np.random.default_rng(4)
    luma = np.asarray(cv2.GaussianBlur(rng.uniform(0, 100, (180, 320)).astype(np.float32), (0, 0), 2))
    guide = small(luma, (80, 60))
    ab = np.asarray(cv2.GaussianBlur(rng.normal(0, 60, (60, 80, 2)).astype(np.float32), (0, 0), 2))
    weight = np.asarray(cv2.GaussianBlur((rng.uniform(size=(60, 80)) > 0.9).astype(np.float32), (0, 0), 1))
    made = []
    for tile in ((500, 500), (64, 96)):
        monkeypatch.setattr(guided, "TILE", tile)
        up = upsample_chroma(guide, ab, luma)
        made.append((up, lay_over(guide, -ab, weight, luma, up)))
    assert np.array_equal(made[0][0], made[1][0])
    assert np.array_equal(made[0][1], made[1][1])
    assert not np.array_equal(*made[0])


def test_what_is_laid_over_shows_by_its_weight_alone():
    luma, ab = disc()
    guide, top = small(luma, (80, 60)), np.full((60, 80, 2), (5.0, 60.0), np.float32)
    weight = np.zeros((60, 80), np.float32)
    weight[:, 40:] = 1
    found = lay_over(guide, top, weight, luma, ab)
    assert np.array_equal(found[:, :152], ab[:, :152])
    assert np.abs(found[:, 168:] - top[0, 0]).max() < 1e-4
    whole = lay_over(guide, top, np.ones_like(weight), luma, ab)
    assert np.array_equal(whole, upsample_chroma(guide, top, luma))


def test_only_the_box_about_a_weight_is_worked_on_and_nothing_shows_of_it():
    luma, ab = disc()
    luma = luma + np.random.default_rng(5).normal(0, 3, luma.shape).astype(np.float32)
    guide, top = small(luma, (80, 60)), np.full((60, 80, 2), (5.0, 60.0), np.float32)
    weight = np.zeros((60, 80), np.float32)
    weight[20:31, 15:37] = 0.8
    alone = lay_over(guide, top, weight, luma, ab)
    weight[-1, -1] = weight[0, 0] = 1
    among = lay_over(guide, top, weight, luma, ab)
    assert np.abs(alone - among)[20:-20, 20:-20].max() < 1e-4
    assert np.abs(alone - ab).max() > 10


def test_misfitting_weight_is_refused():
    luma, ab = disc(40, 50)
    with pytest.raises(ShapeError, match="weight"):
        lay_over(luma, ab, luma[:-1], luma, ab)
