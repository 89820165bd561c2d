"""A hint of lesser strength asks for a colour between the automatic one and its own, and is carried as any other."""

import numpy as np
import pytest

from core.colourise import automatic_of, colourise_frame
from core.models.colouriser import EmbeddedColouriser
from hints.field import HintField, Layer, blend, compose, unite
from tests.core.test_colourise import textured

SIZE = (240, 320)
EVERYWHERE = slice(0, SIZE[0]), slice(0, SIZE[1])
ASKED = np.float32([35, -25])
Y, X = np.mgrid[: SIZE[0], : SIZE[1]]
FROM_POINT = np.hypot(Y - 120, X - 150)


@pytest.fixture(scope="module")
def line():
    luma, colouriser = textured(SIZE), EmbeddedColouriser()
    automatic = automatic_of(luma, colouriser)
    without = colourise_frame(luma, automatic, colouriser)

    def added(field):
        return colourise_frame(luma, automatic, colouriser, field=field) - without

    return added


def layer(strength, cover, *, ab=ASKED, spreads=True, trust=1.0):
    plane = np.full(SIZE, strength, np.float32)
    told = np.broadcast_to(np.asarray(ab, np.float32), (*SIZE, 2)).astype(np.float32)
    return Layer(
        EVERYWHERE, told, cover.astype(np.float32), plane * np.float32(trust), spreads,
        strength=None if strength == 1 else plane,
    )  # fmt: skip


@pytest.mark.parametrize("strength", [0.7, 0.35, 0.1])
def test_a_point_changes_as_much_as_its_strength_under_it_and_about_it(line, strength):
    point = FROM_POINT < 4
    whole = line(compose([], [layer(1, point)], SIZE))
    part = line(compose([], [layer(strength, point)], SIZE))
    ring = (FROM_POINT > 10) & (FROM_POINT < 40)
    for where, by in ((FROM_POINT < 3, 0.02), (ring, 0.05)):
        share = np.linalg.norm(part[where], axis=-1).mean() / np.linalg.norm(whole[where], axis=-1).mean()
        assert share == pytest.approx(strength, abs=by)


def test_half_a_reference_is_half_its_colour_everywhere(line):
    whole = line(compose([layer(1, np.ones(SIZE))], [], SIZE))
    half = line(compose([layer(0.5, np.ones(SIZE))], [], SIZE))
    assert np.abs(half - whole / 2).max() < 0.05


def test_a_mask_over_a_weak_reference_has_no_rim_and_keeps_its_colour(line):
    inside = (np.abs(Y - 120) < 60) & (np.abs(X - 150) < 60)
    soft = np.clip((62 - np.maximum(np.abs(Y - 120), np.abs(X - 150))) / 4, 0, 1)
    mask, beneath = layer(1, soft, ab=[-20, 40], spreads=False), layer(0.5, np.ones(SIZE))
    both, alone = compose([beneath], [mask], SIZE), compose([beneath], [], SIZE)
    assert np.array_equal(both.strength[soft < 1], np.full(np.count_nonzero(soft < 1), 0.5, np.float32))
    changed, ground = line(both), line(alone)
    # From the ground to the mask's colour and nothing beyond either, at every pixel of the border.
    towards = line(compose([], [layer(1, np.ones(SIZE), ab=[-20, 40], spreads=False)], SIZE)) - ground
    share = np.sum((changed - ground) * towards, axis=-1) / np.sum(towards**2, axis=-1)
    assert share.min() > -0.02
    assert share.max() < 1.02
    assert np.abs((changed - ground - towards)[inside & (soft == 1)]).max() < 0.05


def test_strength_is_kept_when_layers_become_one():
    left, right = layer(1, X < 160), layer(0.4, X >= 160)
    for one in (unite([left, right], SIZE), blend([(left, 1.0), (right, 1.0)], SIZE)):
        assert one.strength[:, :160] == pytest.approx(1.0)
        assert one.strength[:, 160:] == pytest.approx(0.4)
    assert unite([left, layer(1, X >= 160)], SIZE).strength is None


def test_a_field_of_full_strength_is_as_it_was(line):
    plain = compose([], [layer(1, FROM_POINT < 4)], SIZE)
    assert plain.strength is None
    ones = HintField(plain.ab, plain.weight, plain.spreads, np.ones(SIZE, np.float32))
    assert np.abs(line(ones) - line(plain)).max() < 1e-2
