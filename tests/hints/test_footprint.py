"""Footprints: right place, right area, soft edges, and nothing ever vanishes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hints.footprint import footprint
from hints.hint import Hint
from hints.picture import Mask

SIZE = (60, 80)


def point(x, y, radius=3.0):
    return Hint("p", 0, "point", colour="#808080", xy=(x, y), radius=radius)


def centre(cover):
    ys, xs = np.mgrid[: cover.shape[0], : cover.shape[1]]
    return float((cover * (xs + 0.5)).sum() / cover.sum()), float((cover * (ys + 0.5)).sum() / cover.sum())


def test_pixel_centres_are_at_half():
    cover = footprint(point(20.5, 30.5, 0.4), SIZE, SIZE)
    assert np.argwhere(cover == 1).tolist() == [[30, 20]]


@settings(max_examples=60, deadline=None)
@given(st.floats(12, 68), st.floats(12, 48), st.floats(1, 10))
def test_a_disc_has_its_centre_and_its_area(x, y, radius):
    cover = footprint(point(x, y, radius), SIZE, SIZE)
    assert centre(cover) == (pytest.approx(x, abs=0.2), pytest.approx(y, abs=0.2))
    assert cover.sum() == pytest.approx(np.pi * radius**2, rel=0.15, abs=1.5)


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 80), st.floats(0, 60), st.floats(0.1, 2), st.integers(2, 16))
def test_nothing_vanishes_at_a_smaller_size(x, y, radius, shrink):
    small = (max(1, SIZE[0] // shrink), max(1, SIZE[1] // shrink))
    assert footprint(point(x, y, radius), SIZE, small).max() == 1.0


def test_a_mask_of_one_pixel_survives_shrinking():
    inside = np.zeros(SIZE, bool)
    inside[31, 17] = True
    cover = footprint(Hint("n", 0, "neutral", mask=Mask.of(inside)), SIZE, (15, 20))
    assert cover.max() == 1.0
    assert np.argwhere(cover > 0.5).tolist() == [[7, 4]]


def test_a_mask_at_its_own_size_is_itself():
    inside = np.random.default_rng(1).random(SIZE) > 0.5
    cover = footprint(Hint("n", 0, "neutral", mask=Mask.of(inside)), SIZE, SIZE)
    assert (cover == inside).all()


def test_a_stroke_covers_its_length_times_its_width():
    stroke = Hint("s", 0, "scribble", colour="#808080", path=((10.0, 20.0), (60.0, 20.0), (60.0, 50.0)), width=4.0)
    cover = footprint(stroke, SIZE, SIZE)
    assert cover.sum() == pytest.approx(80 * 4 + np.pi * 4, rel=0.06)
    assert cover[20, 30] == 1
    assert cover[30, 30] == 0


def test_a_stroke_is_the_same_place_at_half_size():
    stroke = Hint("s", 0, "scribble", colour="#808080", path=((12.0, 20.0), (60.0, 44.0)), width=8.0)
    whole, half = footprint(stroke, SIZE, SIZE), footprint(stroke, SIZE, (30, 40))
    x, y = centre(whole)
    assert centre(half) == (pytest.approx(x / 2, abs=0.1), pytest.approx(y / 2, abs=0.1))
    assert half.sum() == pytest.approx(whole.sum() / 4, rel=0.05)
