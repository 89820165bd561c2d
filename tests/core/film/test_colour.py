import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import rgb2lab

from core.errors import InputError, ShapeError
from core.film.colour import (
    delta_e,
    fit_gamut,
    hex_to_lab,
    join,
    lab_to_hex,
    lab_to_srgb,
    luma_of,
    parse_hex,
    srgb_to_lab,
)

RGB = np.random.default_rng(0).uniform(0, 1, (64, 80, 3)).astype(np.float32)


def test_lab_agrees_with_the_standard():
    off = np.abs(srgb_to_lab(RGB) - rgb2lab(RGB.astype(np.float64)))
    assert off[..., 0].max() < 0.01
    assert off[..., 1:].max() < 0.06


def test_lab_and_back():
    assert np.abs(lab_to_srgb(srgb_to_lab(RGB)) - RGB).max() < 0.5 / 1023  # exact at 10 bit
    grey = np.repeat((np.arange(256, dtype=np.float32) / 255)[None, :, None], 3, axis=2)
    assert np.abs(lab_to_srgb(srgb_to_lab(grey)) - grey).max() < 0.5 / 4095


def test_luma_of_grey_is_the_luma_of_its_lab():
    grey = np.repeat(RGB[..., :1], 3, axis=2)
    assert np.abs(luma_of(grey) - srgb_to_lab(grey)[..., 0]).max() < 0.01
    assert np.abs(luma_of(RGB) - srgb_to_lab(RGB)[..., 0]).max() == 0


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 100), st.floats(-128, 127), st.floats(-128, 127))
def test_luma_stays_whatever_chroma_is_asked(luma, a, b):
    got = srgb_to_lab(join(np.full((1, 1), luma, np.float32), np.array([[[a, b]]], np.float32)))[0, 0]
    assert abs(got[0] - luma) < 0.2  # half an 8-bit step is about 0.2 L*


@settings(max_examples=100, deadline=None)
@given(st.floats(5, 95), st.floats(-128, 127), st.floats(-128, 127))
def test_fitted_chroma_keeps_its_hue_and_reaches_the_border(luma, a, b):
    asked = np.array([[a, b]], np.float32)
    got = fit_gamut(np.array([luma], np.float32), asked)[0]
    assert abs(got[0] * b - got[1] * a) <= 1e-3 * (1 + abs(a * b))
    scale = np.hypot(*got) / max(np.hypot(a, b), 1e-9)
    assert scale <= 1 + 1e-6
    if np.hypot(a, b) > 1 and scale < 0.99:  # it was reduced: a little more would be outside
        more = got * 1.02
        back = srgb_to_lab(lab_to_srgb(np.array([[[luma, *more]]], np.float32)))[0, 0]
        assert np.abs(back - [luma, *more]).max() > 1e-3


@pytest.mark.parametrize("shape", [(0,), (0, 5), (1, 1), (3, 5000)])
def test_any_number_of_pixels_is_fitted(shape):
    got = fit_gamut(np.full(shape, 50, np.float32), np.full((*shape, 2), 200, np.float32))
    assert got.shape == (*shape, 2)
    assert np.abs(got - got[:1, ..., :]).max(initial=0) < 1e-3


def test_shown_colours_are_not_touched():
    lab = srgb_to_lab(RGB)
    assert np.abs(fit_gamut(lab[..., 0], lab[..., 1:]) - lab[..., 1:]).max() < 0.3


def test_ciede2000_against_the_published_pairs():
    # Sharma, Wu & Dalal 2005, table 1, pairs 1, 7, 17, 25.
    pairs = [
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ]
    for one, two, truth in pairs:
        assert abs(float(delta_e(np.array(one), np.array(two))) - truth) < 1e-4


@pytest.mark.parametrize("text", ["#4b5a3c", "#000000", "#ffffff", "#ff0000", "#0a141e"])
def test_hex_and_back(text):
    assert lab_to_hex(hex_to_lab(text)) == text


@pytest.mark.parametrize("text", ["4b5a3c", "#4b5a3", "#xyzxyz", "", None, 7, "#4b5a3c "])
def test_what_is_no_hex_is_refused(text):
    with pytest.raises(InputError, match="sRGB hex"):
        parse_hex(text)


def test_planes_must_fit():
    with pytest.raises(ShapeError, match="one size"):
        join(np.zeros((2, 3), np.float32), np.zeros((3, 2, 2), np.float32))


def test_a_large_picture_is_joined_as_its_parts_are():
    rng = np.random.default_rng(3)
    luma = rng.uniform(0, 100, (1024, 640)).astype(np.float32)
    ab = rng.normal(0, 60, (1024, 640, 2)).astype(np.float32)
    whole = join(luma, ab)
    parts = [join(luma[top : top + 128], ab[top : top + 128]) for top in range(0, 1024, 128)]
    assert np.array_equal(whole, np.concatenate(parts))
