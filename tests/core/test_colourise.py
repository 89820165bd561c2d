"""Hints in a frame: what they cover is as asked, what they leave alone is the automatic pass bit for bit."""

from fractions import Fraction

import cv2
import numpy as np
import pytest

from core.colourise import Automatic, colourise_frame, resized
from core.contract.recipe import Recipe, StageSpec
from core.film.clip import Clip
from core.film.frame import Frame, on_grid
from core.flow import to_working
from core.render.cache import FrameCache
from core.render.renderer import Renderer
from hints.field import HintField
from hints.footprint import mask_coverage
from tests.core.render import fakes

ASKED = (30.0, -40.0)
SIZES = [(96, 640), (180, 1280), (270, 1920), (241, 1999)]  # the last one's pixels meet those of no smaller size


def textured(size, seed=0):
    noise = np.random.default_rng(seed).standard_normal(size).astype(np.float32)
    fine, coarse = cv2.GaussianBlur(noise, (0, 0), 2), cv2.GaussianBlur(noise, (0, 0), 20)
    both = fine / fine.std() + 2 * coarse / coarse.std()
    return np.asarray(np.clip(50 + 8 * both, 3, 97), np.float32)


def automatic_pass(luma):
    small = resized(luma, (round(luma.shape[0] * 256 / luma.shape[1]), 256))
    noise = np.random.default_rng(1).standard_normal((*small.shape, 2)).astype(np.float32)
    return Automatic(small, np.asarray(10 + 60 * cv2.GaussianBlur(noise, (0, 0), 3), np.float32))


class Carrier:
    """Changes the whole frame as soon as it is asked."""

    def carry(self, luma, ab, hint_ab, hint_weight):
        return ab + 5


def garment(size):
    mask = np.zeros(size, bool)
    mask[size[0] // 4 : -size[0] // 4, size[1] // 4 : size[1] // 2] = True
    return mask


def field_of(mask, luma):
    cover = mask_coverage(mask, to_working(luma).shape)
    return HintField(np.where(cover[..., None] > 0, np.float32(ASKED), np.float32(0)), cover, np.zeros_like(cover))


def away(mask, by):
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5) > by


@pytest.mark.parametrize("size", SIZES)
def test_what_no_mask_covers_is_the_automatic_pass_bit_for_bit(size):
    luma, mask = textured(size), garment(size)
    automatic, field = automatic_pass(luma), field_of(mask, luma)
    without = colourise_frame(luma, automatic, Carrier())
    found = colourise_frame(luma, automatic, Carrier(), field=field)
    pixel = size[1] / 640
    assert np.array_equal(found[away(mask, 4 * pixel)], without[away(mask, 4 * pixel)])
    inside = away(~mask, 3 * pixel)
    assert inside.any()
    assert np.abs(found[inside] - ASKED).max() < 1e-4


@pytest.mark.parametrize("size", SIZES)
def test_a_field_that_says_nothing_changes_nothing(size):
    luma = textured(size)
    automatic, silence = automatic_pass(luma), np.zeros(to_working(luma).shape, np.float32)
    said = HintField(np.full((*silence.shape, 2), 50, np.float32), silence, silence)
    found = colourise_frame(luma, automatic, Carrier(), field=said)
    assert np.array_equal(found, colourise_frame(luma, automatic, Carrier()))


@pytest.mark.parametrize("size", SIZES)
def test_no_colour_at_the_border_that_is_neither_the_one_nor_the_other(size):
    luma, mask = textured(size), garment(size)
    automatic = automatic_pass(luma)
    even = Automatic(automatic.luma, np.full_like(automatic.ab, 10))
    found = colourise_frame(luma, even, Carrier(), field=field_of(mask, luma))
    # Every pixel lies on the line from one colour to the other, and between the two.
    share = (found - 10) / (np.float32(ASKED) - 10)
    assert np.abs(share[..., 0] - share[..., 1]).max() < 1e-3
    assert share.min() > -1e-4
    assert share.max() < 1 + 1e-4


def test_a_point_spreads_and_is_what_was_asked_where_it_lies():
    luma = textured((180, 1280))
    automatic = automatic_pass(luma)
    weight = np.zeros(to_working(luma).shape, np.float32)
    weight[40:47, 300:307] = 1
    field = HintField(np.where(weight[..., None] > 0, np.float32(ASKED), np.float32(0)), weight, weight)
    found = colourise_frame(luma, automatic, Carrier(), field=field)
    assert np.abs(found[86:88, 606:608] - ASKED).max() < 1e-4
    assert np.abs(found[5, 5] - colourise_frame(luma, automatic, Carrier())[5, 5]).min() > 1


class Film:
    """Two frames of texture, twice as wide as fields are."""

    def __init__(self):
        self.luma = textured((180, 1280))
        self.clip = Clip(
            path="film", kind="video", sha256="film", width=1280, height=180, rate=Fraction(24),
            time_base=Fraction(1, 24), pts=(0, 1), end_pts=2,
        )  # fmt: skip

    def frames(self, span):
        grey = np.repeat((self.luma / 100)[..., None], 3, axis=2)
        return (Frame(n, on_grid(grey)) for n in span)

    def close(self):
        pass


def test_one_garment_leaves_the_rest_of_the_rendered_picture_alone(tmp_path):
    film, mask = Film(), garment((180, 1280))
    recipe = Recipe((StageSpec("colourise", {"steady": 0}),))
    renderer = Renderer(film, fakes.shots(2), recipe, fakes.plugins(), FrameCache(tmp_path), device="cpu")
    without, found = (renderer.recolour(0, said) for said in (None, field_of(mask, film.luma)))
    assert np.array_equal(found[away(mask, 8)], without[away(mask, 8)])
    assert not np.array_equal(found, without)
