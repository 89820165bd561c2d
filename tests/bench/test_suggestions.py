"""Suggested colours: what is measured, on colourisers whose answer is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from bench import suggestions
from core.models.network import BIN_SIDE


class Offers:
    """A colouriser that offers the same colours everywhere."""

    name, fingerprint, automatic_long_side = "offers", "offers", 64

    def __init__(self, *colours):
        self.colours = np.array([(a, b, 1 / len(colours)) for a, b in colours], np.float32)
        self.prior = np.full(BIN_SIDE**2, BIN_SIDE**-2.0, np.float32)

    def predict(self, luma):
        return np.zeros((*luma.shape, 2), np.float32)

    def suggest(self, luma, at, count=5):
        assert 0 <= at[0] < luma.shape[0]
        assert 0 <= at[1] < luma.shape[1]
        return self.colours[:count]


@pytest.fixture
def folder(tmp_path):
    stills = tmp_path / "stills" / "bsds500"
    stills.mkdir(parents=True)
    for name in ("astronaut", "coffee"):
        cv2.imwrite(str(stills / f"{name}.jpg"), cv2.resize(getattr(data, name)()[..., ::-1], (240, 160)))
    return tmp_path


def test_grey_alone_is_as_far_off_as_the_colours_are_strong(folder):
    found = suggestions.run(folder, colouriser=Offers((0, 0)))["summary"]
    assert found["nearest_ab"]["5"] == pytest.approx(found["peers_ab"]["grey"], abs=1e-4)
    assert found["peers_ab"]["automatic"] == pytest.approx(found["peers_ab"]["grey"], abs=1e-4)
    assert found["offered"] == 1
    assert found["apart_delta_e"] is None


def test_more_on_offer_is_never_farther_off(folder):
    few = suggestions.run(folder, colouriser=Offers((0, 0)))["summary"]["nearest_ab"]
    many = suggestions.run(folder, colouriser=Offers((0, 0), (15, 18), (-8, 12), (5, -25)))["summary"]
    assert many["nearest_ab"]["1"] == few["1"]
    assert many["nearest_ab"]["5"] < many["nearest_ab"]["3"] <= many["nearest_ab"]["1"]
    assert 3 < many["offered"] <= 4  # near black, where all colours are one, fewer
    assert many["apart_delta_e"]["least"] >= 5


def test_the_embedded_one_finds_what_grey_does_not(folder):
    found = suggestions.run(folder)["summary"]
    assert found["nearest_ab"]["5"] < 0.6 * found["peers_ab"]["grey"]
    assert found["nearest_ab"]["5"] < found["peers_ab"]["automatic"]
    assert 1 < found["offered"] <= 5
