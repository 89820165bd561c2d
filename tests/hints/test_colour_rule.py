"""What a colour asks for: chroma at the film's luma, inside the gamut, following luma on regions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.film.colour import fit_gamut, hex_to_lab, lab_to_srgb, srgb_to_lab
from hints.colour_rule import anchor_of, asked, changed_light, factor, ramp_chroma
from hints.hint import Hint, HintSet
from hints.picture import Mask

GREEN = "#4b5a3c"
colours = st.integers(0, 0xFFFFFF).map(lambda v: f"#{v:06x}")


def hint(kind="point", **more):
    shape = {"mask": Mask.of(np.ones((4, 4), bool))} if kind in ("region", "neutral") else {"xy": (1.0, 1.0)}
    return Hint("h", 0, kind, **shape, **more)


def ask(h, luma, anchor=None):
    return asked(h, HintSet((), (h,)), luma, anchor)


def test_a_point_asks_for_its_swatchs_chroma_at_every_luma_that_shows_it():
    luma = np.linspace(30, 80, 50, dtype=np.float32)[None]
    answer = ask(hint(colour=GREEN), luma)
    assert np.abs(answer.ab - hex_to_lab(GREEN)[1:]).max() < 1e-5
    assert not answer.limited.any()


@settings(max_examples=50, deadline=None)
@given(colours)
def test_what_is_asked_can_be_shown_with_its_hue(colour):
    luma = np.linspace(1, 99, 40, dtype=np.float32)[None]
    answer = ask(hint(colour=colour), luma)
    lab = np.dstack([luma, answer.ab])
    assert np.abs(srgb_to_lab(lab_to_srgb(lab))[..., 0] - luma).max() < 0.5
    wanted = hex_to_lab(colour)[1:]
    cross = answer.ab[..., 0] * wanted[1] - answer.ab[..., 1] * wanted[0]
    assert np.abs(cross).max() < 1e-2 * max(1.0, float(wanted @ wanted))
    assert (answer.limited == (np.abs(answer.ab - wanted).max(axis=-1) > 0)).all()


def test_a_strong_colour_at_a_luma_that_cannot_show_it_is_marked():
    luma = np.full((1, 1), 95, np.float32)
    assert ask(hint(colour="#1020e0"), luma).limited.all()


def test_neutral_asks_for_no_chroma():
    answer = ask(hint("neutral"), np.full((3, 3), 50, np.float32))
    assert (answer.ab == 0).all()


def test_a_ramp_passes_through_its_three_colours():
    ramp = ("#1a1410", "#8a5a3c", "#f8f4ee")
    stops = [hex_to_lab(c) for c in ramp]
    luma = np.array([[0.0, *(s[0] for s in stops), 100.0]], np.float32)
    ab = ramp_chroma(ramp, luma)
    for i, stop in enumerate(stops):
        assert ab[0, i + 1] == pytest.approx(stop[1:], abs=1e-3)
    assert ab[0, 0] == pytest.approx(stops[0][1:], abs=1e-3)
    assert ab[0, 4] == pytest.approx(stops[2][1:], abs=1e-3)
    assert ask(hint("region", ramp=ramp), luma, anchor=50.0).ab[0, 2] == pytest.approx(
        fit_gamut(luma[0, 2:3], ab[0, 2:3])[0], abs=1e-3
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(20, 70), st.floats(0, 25))
def test_a_regions_mean_chroma_is_its_swatchs(seed, mean, spread):
    rng = np.random.default_rng(seed)
    luma = np.clip(rng.normal(mean, spread, (20, 20)), 0, 100).astype(np.float32)
    cover = (rng.random((20, 20)) > 0.3).astype(np.float32)
    anchor = anchor_of(luma, cover)
    assert factor(luma, anchor)[cover > 0.5].mean() == pytest.approx(1.0, abs=2e-3)


def test_derived_chroma_follows_light_as_a_surface_does():
    # One surface under light that falls off: XYZ scale together.
    lit = hex_to_lab(GREEN)
    f = (lit[0] + 16) / 116 * np.linspace(0.6, 1.1, 30)
    luma = (116 * f - 16).astype(np.float32)[None]
    truth = lit[1:] * (f / f.mean())[:, None] * (f.mean() / ((lit[0] + 16) / 116))
    anchor = float(lit[0])
    answer = ask(hint("region", colour=GREEN), luma, anchor)
    assert np.abs(answer.ab[0] - truth).max() < 0.05


def test_shadows_keep_a_tint_and_highlights_stay_sane():
    extremes = factor(np.array([[0.0, 100.0]], np.float32), 40.0)[0]
    assert extremes.tolist() == pytest.approx([0.3, 1.5])


def test_light_that_falls_is_told_from_the_luma_and_from_what_is_known_alone():
    rng = np.random.default_rng(0)
    told = np.asarray(50 + 12 * rng.standard_normal((120, 160)), np.float32)
    dimmed = (told + 16) * np.float32(0.7) - 16
    everywhere = np.ones_like(told)
    assert changed_light(dimmed, told, everywhere) == pytest.approx(0.7, abs=0.01)
    # Something bright stands where nothing is known: it is no light.
    dimmed[50:80, 60:90], known = 95, everywhere.copy()
    known[50:80, 60:90] = 0
    assert changed_light(dimmed, told, known) == pytest.approx(0.7, abs=0.02)


def test_what_light_did_to_one_side_is_not_done_to_the_other():
    told = np.full((120, 320), 60, np.float32)
    luma = told.copy()
    luma[:, 200:] = 76 * 0.6 - 16
    found = changed_light(luma, told, np.ones_like(told))
    assert found[:, :120] == pytest.approx(1.0, abs=0.01)
    assert found[:, 290:] == pytest.approx(0.6, abs=0.02)


def test_exposure_that_wavers_is_no_change_of_light():
    told = np.full((120, 160), 60, np.float32)
    assert (changed_light((told + 16) * np.float32(1.04) - 16, told, np.ones_like(told)) == 1).all()


def test_what_is_merely_likely_tells_nothing_of_light():
    told = np.full((120, 160), 60, np.float32)
    likely = np.full_like(told, 0.7)
    assert changed_light((told + 16) * np.float32(0.6) - 16, told, likely) == pytest.approx(1.0, abs=0.06)
