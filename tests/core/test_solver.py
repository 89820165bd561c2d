"""Spreading by luma: surfaces fill, borders hold, hints are kept exactly."""

import cv2
import numpy as np
import pytest
from skimage import data

from core.errors import ShapeError
from core.film.colour import delta_e, srgb_to_lab
from core.solver import close_hints, smooth, spread
from tests.synth import patch

RED, BLUE = (50.0, 30.0), (-10.0, -45.0)


def two_surfaces(h=96, w=128, border=(0.3, 0.7)):
    """A slanting border between two lumas, each side with its own chroma, with some grain."""
    y, x = np.mgrid[0:h, 0:w]
    right = x / w > border[0] + (border[1] - border[0]) * y / h
    luma = np.where(right, 65.0, 40.0) + np.random.default_rng(0).normal(0, 0.7, (h, w))
    ab = np.where(right[..., None], BLUE, RED)
    return luma.astype(np.float32), ab.astype(np.float32), right


def test_two_points_fill_two_surfaces_without_bleeding():
    luma, truth, right = two_surfaces()
    weight = patch(luma.shape, [(20, 10), (70, 110)])
    ab, reach = spread(luma, truth, weight)
    error = delta_e(np.dstack([luma, ab]), np.dstack([luma, truth]))
    inner = cv2.erode(right.astype(np.uint8), np.ones((7, 7))) + cv2.erode((~right).astype(np.uint8), np.ones((7, 7)))
    assert np.median(error) < 1.0
    assert np.percentile(error[inner > 0], 99) < 4.0
    assert reach[21, 11] > 0.75
    assert 0 <= reach.min() <= reach.max() <= 1


def test_reach_falls_with_distance_and_across_a_border():
    luma, truth, right = two_surfaces(border=(0.5, 0.5))
    _, reach = spread(luma, truth, patch(luma.shape, [(46, 10)]))
    assert reach[48, 12] > reach[48, 30] > reach[48, 55]
    assert reach[~right].mean() > 3 * reach[right].mean()


def test_field_of_a_small_picture_is_that_of_the_large_one():
    luma, truth, _ = two_surfaces()
    weight = patch(luma.shape, [(20, 10), (70, 110), (40, 20)], size=8)
    ab, reach = spread(luma, truth, weight)
    twice = [cv2.resize(p, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST) for p in (luma, truth, weight)]
    ab2, reach2 = spread(*twice)
    assert np.abs(ab2[::2, ::2] - ab).mean() < 1.0
    assert np.abs(reach2[::2, ::2] - reach).mean() < 0.03


@pytest.mark.parametrize("picture", ["astronaut", "coffee", "chelsea"])
def test_ten_points_on_a_photograph_are_worth_decibels(picture):
    rgb = cv2.resize(getattr(data, picture)(), (128, 128), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    lab = srgb_to_lab(rgb)
    rng = np.random.default_rng(1)
    weight = patch((128, 128), rng.integers(0, 124, (20, 2)))
    ab, _ = spread(np.ascontiguousarray(lab[..., 0]), lab[..., 1:], weight)
    gain_db = 10 * np.log10(np.square(lab[..., 1:]).mean() / np.square(ab - lab[..., 1:]).mean())
    assert gain_db > 3.0


def test_no_hint_spreads_nothing():
    luma, truth, _ = two_surfaces(20, 30)
    ab, reach = spread(luma, truth, np.zeros_like(luma))
    assert not ab.any()
    assert not reach.any()


def test_hint_wins_where_its_weight_is_one():
    luma, truth, _ = two_surfaces()
    guess = np.full_like(truth, 7.0)
    weight = patch(luma.shape, [(20, 10), (70, 110)])
    closed = close_hints(luma, guess, truth, weight)
    assert np.abs(closed - truth)[weight == 1].max() < 0.01


def test_closing_adds_nothing_where_the_colouriser_obeys():
    luma, truth, _ = two_surfaces()
    closed = close_hints(luma, truth, truth, patch(luma.shape, [(20, 10)]))
    assert np.abs(closed - truth).max() < 1e-3


def test_closing_without_hints_is_the_identity():
    luma, truth, _ = two_surfaces(20, 30)
    assert np.array_equal(close_hints(luma, truth, None, None), truth)
    assert np.array_equal(close_hints(luma, truth, truth * 0, np.zeros_like(luma)), truth)


def test_low_weight_is_a_voice_not_an_order():
    luma, truth, _ = two_surfaces()
    guess = np.zeros_like(truth)
    sure = close_hints(luma, guess, truth, np.ones_like(luma))
    unsure = close_hints(luma, guess, truth, np.full_like(luma, 0.02))
    assert np.abs(sure - truth).max() < 0.01
    assert np.linalg.norm(unsure, axis=2).mean() < np.linalg.norm(sure, axis=2).mean()


def test_dense_noisy_hints_are_smoothed_within_surfaces():
    luma, truth, _ = two_surfaces()
    noisy = truth + np.random.default_rng(2).normal(0, 12, truth.shape).astype(np.float32)
    ab, _ = spread(luma, noisy, np.full_like(luma, 0.5))
    assert np.abs(ab - truth).mean() < 0.3 * np.abs(noisy - truth).mean()


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (37, 53)])
def test_any_size_is_spread(shape):
    luma = np.linspace(10, 90, shape[0] * shape[1], dtype=np.float32).reshape(shape)
    ab = np.full((*shape, 2), 20.0, np.float32)
    out, reach = spread(luma, ab, np.ones(shape, np.float32))
    assert out.shape == (*shape, 2)
    assert np.abs(out - 20).max() < 0.5
    assert reach.min() > 0.9


def test_inputs_are_left_as_they_were():
    luma, truth, _ = two_surfaces(32, 32)
    weight = patch(luma.shape, [(4, 4)])
    before = [a.copy() for a in (luma, truth, weight)]
    for array in (luma, truth, weight):
        array.setflags(write=False)
    close_hints(luma, truth, truth, weight)
    spread(luma, truth, weight)
    for now, then in zip((luma, truth, weight), before, strict=True):
        assert np.array_equal(now, then)


def test_smooth_solves_least_squares_along_a_row():
    rng = np.random.default_rng(3)
    luma = rng.uniform(0, 100, (1, 12)).astype(np.float32)
    plane = rng.normal(0, 1, (1, 1, 12)).astype(np.float32)
    bond = 15.0 * np.exp(-np.abs(np.diff(luma[0].astype(float))) / 20.0) * 1.5 / 3.0
    system = np.eye(12)
    for i, b in enumerate(bond):
        system[i, i] += b
        system[i + 1, i + 1] += b
        system[i, i + 1] -= b
        system[i + 1, i] -= b
    expected = np.linalg.solve(system, plane[0, 0])
    assert np.allclose(smooth(luma, plane, sigma_luma=20.0, smoothness=15.0)[0, 0], expected, atol=1e-4)


def test_misfitting_arrays_are_refused():
    luma, truth, _ = two_surfaces(20, 30)
    with pytest.raises(ShapeError, match=r"\(20, 30\)"):
        spread(luma, truth[:, :-1], luma)
    with pytest.raises(ShapeError):
        close_hints(luma, truth, truth, luma[:-1])


def test_nan_in_luma_is_refused():
    luma, truth, _ = two_surfaces(20, 30)
    luma[3, 3] = np.nan
    with pytest.raises(FloatingPointError, match="NaN"):
        spread(luma, truth, np.ones_like(luma))
