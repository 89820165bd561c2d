"""A reference that is not of its keyframe is matched to it; one that is goes the way it always went, to the bit."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench.clips import read_clip
from bench.references import foreign, photographed
from core.contract.progress import CancelToken, silent
from core.film.colour import join
from core.flow import to_working
from core.models.colouriser import EmbeddedColouriser
from hints.elsewhere import agreements, shows
from hints.hint import Hint, HintSet
from hints.layers import planes_of
from hints.picture import Picture
from hints.source import Carried

sys.path.insert(0, str(Path(__file__).parent))
from film import SIZE, Film, Memory, shifted, texture
from test_outline import Tones

DATA = Path(os.environ.get("POCHOIR_DATA", Path(__file__).parents[3] / "shared" / "data"))
WARM, COLD = np.float32([30, 25]), np.float32([-5, -35])


@pytest.fixture(scope="module")
def film():
    return Film(6, step=1.0, cuts=(4,))


def truth(film, n):
    return np.where(film.mask(n)[..., None], WARM, COLD).astype(np.float32)


def coloured(film, n):
    return join(film.luma(n), truth(film, n))


def carried(film, *hints, looks=None):
    film.looks = looks
    source = Carried(HintSet((), hints), film.timeline, SIZE, film, Memory())
    for shot in film.timeline.shots:
        source.carry(shot, silent, CancelToken())
    return source


def error(film, source, n):
    """Of chroma where it is believed, root of the mean square  [a* b*]."""
    field = source.field(n)
    return float(np.sqrt(np.square(field.ab - truth(film, n)).sum(axis=-1)[field.weight > 0.5].mean()))


def moved(rgb):
    """The picture, framed seven pixels further to the left."""
    planes = [shifted(np.ascontiguousarray(rgb[..., c]), 7.0) for c in range(3)]
    return np.clip(np.dstack(planes), 0, 1).astype(np.float32)


# -- whether it is this frame ------------------------------------------------------------------------------


def regrained(rgb):
    grain = np.random.default_rng(1).normal(0, 0.03, (*rgb.shape[:2], 1))
    return np.clip(rgb + grain, 0, 1).astype(np.float32)


def jpeg(rgb):
    pixels = np.rint(rgb[..., ::-1] * 255).astype(np.uint8)
    return Picture(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 60])[1].tobytes())


@pytest.mark.parametrize(
    "change",
    [
        Picture.of,
        jpeg,
        lambda rgb: Picture.of(regrained(rgb)),
        lambda rgb: Picture.of(np.clip(0.85 * rgb**1.3 + 0.05, 0, 1)),
        lambda rgb: Picture.of(cv2.resize(rgb, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC).clip(0, 1)),
        lambda rgb: Picture.of(np.full_like(rgb, 0.4)),
    ],
    ids=["itself", "jpeg", "regrained", "faded", "larger", "a flat layer"],
)
def test_a_picture_of_the_very_frame_is_known_as_one(film, change):
    assert shows(change(coloured(film, 0)), film.luma(0))


@pytest.mark.parametrize("n", [3, 4])
def test_another_frame_or_shot_is_known_as_another(film, n):
    assert not shows(Picture.of(coloured(film, n)[:, ::-1]), film.luma(0))


def test_only_what_is_given_is_compared(film):
    rgb = coloured(film, 0)
    rgb[:, 64:] = 0.2 + 0.6 * np.random.default_rng(0).random((SIZE[0], 64, 1), np.float32) * (1, 0.9, 0.8)
    alpha = np.where(np.arange(SIZE[1]) < 64, 1, 0) * np.ones(SIZE)
    rgba = np.rint(np.dstack([rgb[..., ::-1], alpha]) * 65535).astype(np.uint16)
    assert shows(Picture(cv2.imencode(".png", rgba)[1].tobytes()), film.luma(0))
    assert not shows(Picture.of(rgb), film.luma(0))


def test_detail_agrees_with_itself_in_any_light_and_with_nothing_else():
    rng = np.random.default_rng(0)
    one, other = texture(rng, 40, 8), texture(rng, 40, 8)
    same, weight = agreements(one, 0.5 * one + 30)
    assert same.min() > 0.99
    assert weight.min() > 0.3
    assert abs(float(agreements(one, other)[0].mean())) < 0.2


def test_a_picture_of_the_very_frame_goes_the_way_it_always_went(film, monkeypatch):
    hint = Hint("r", 0, "reference", image=jpeg(coloured(film, 0)))
    now = carried(film, hint, looks=Tones())
    monkeypatch.setattr("hints.carry.shows", lambda picture, luma: True)
    before = carried(film, hint, looks=Tones())
    for n in range(4):
        assert np.array_equal(now.field(n).ab, before.field(n).ab)
        assert np.array_equal(now.field(n).weight, before.field(n).weight)
    planes = planes_of(hint, SIZE, SIZE)
    assert np.abs(now.field(0).ab - planes[1:].transpose(1, 2, 0)).max() <= 1 / 64
    assert now.found(now.tracks[0]) is None


# -- pictures from elsewhere -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        moved,
        lambda rgb: np.ascontiguousarray(rgb[:, ::-1]),
        lambda rgb: cv2.resize(rgb[5:91, 6:122], (256, 190), interpolation=cv2.INTER_LINEAR),
    ],
    ids=["shifted", "mirrored", "reframed and larger"],
)
def test_the_same_place_seen_otherwise_is_tied_without_any_network(film, change):
    hint = Hint("r", 0, "reference", image=Picture.of(np.clip(change(coloured(film, 0)), 0, 1).astype(np.float32)))
    source = carried(film, hint)
    assert source.found(source.tracks[0]) > 0.6
    assert (source.field(0).weight > 0.5).mean() > 0.6
    for n in range(4):
        assert error(film, source, n) < 8  # of chroma that is 40 and 35 strong, borders and all


def test_it_is_carried_within_its_shot_alone_and_matched_once(film):
    film.looks = None
    hint = Hint("r", 1, "reference", image=Picture.of(moved(coloured(film, 1))))
    store = Memory()
    first, second = (Carried(HintSet((), (hint,)), film.timeline, SIZE, film, store) for _ in range(2))
    fields = [first.field(n) for n in range(6)]
    assert [field is not None for field in fields] == [True] * 4 + [False] * 2
    puts = len(store.puts)
    for n in range(4):
        assert np.array_equal(second.field(n).ab, fields[n].ab)
        assert np.array_equal(second.field(n).weight, fields[n].weight)
    assert len(store.puts) == puts


def test_a_frame_with_nothing_in_common_is_left_alone(film):
    rng = np.random.default_rng(7)
    noise = np.kron(rng.random((12, 16)) < 0.5, np.ones((8, 8))).astype(np.float32) * 80 + 10
    still = Picture.of(join(noise, np.broadcast_to(WARM, (*SIZE, 2)).astype(np.float32)))
    for looks in (None, Tones()):
        source = carried(film, Hint("r", 0, "reference", image=still), looks=looks)
        assert source.found(source.tracks[0]) == 0
        assert [source.field(n) for n in range(4)] == [None] * 4


def test_of_two_on_one_keyframe_the_very_frame_has_its_way(film):
    exact = Hint("a", 0, "reference", image=Picture.of(coloured(film, 0)))
    wrong = join(film.luma(0), np.broadcast_to(np.float32([0, 60]), (*SIZE, 2)).astype(np.float32))
    other = Hint("b", 0, "reference", image=Picture.of(moved(wrong)))
    alone = carried(film, exact).field(0)
    for hints in ((exact, other), (other, exact)):
        both = carried(film, *hints).field(0)
        assert np.abs(both.ab - alone.ab).max() < 1e-3


def test_a_stranger_takes_nothing_from_the_reference_beside_it(film):
    exact = Hint("a", 0, "reference", image=Picture.of(coloured(film, 0)))
    noise = np.kron(np.random.default_rng(7).random((12, 16)) < 0.5, np.ones((8, 8))).astype(np.float32) * 80 + 10
    still = Picture.of(join(noise, np.broadcast_to(WARM, (*SIZE, 2)).astype(np.float32)))
    alone = carried(film, exact)
    both = carried(film, exact, Hint("b", 2, "reference", image=still))
    assert both.found(both.tracks[1]) == 0
    for n in range(4):
        assert np.array_equal(both.field(n).weight, alone.field(n).weight)
        assert np.abs(both.field(n).ab - alone.field(n).ab).max() < 1e-3


def test_of_two_from_elsewhere_each_has_its_keyframe_and_a_stranger_neither(film):
    noise = np.kron(np.random.default_rng(7).random((12, 16)) < 0.5, np.ones((8, 8))).astype(np.float32) * 80 + 10
    nothing = join(noise, np.broadcast_to(WARM, (*SIZE, 2)).astype(np.float32))
    first = Hint("a", 0, "reference", image=Picture.of(moved(coloured(film, 0))))
    alone = carried(film, first)
    strange = carried(film, first, Hint("b", 2, "reference", image=Picture.of(nothing)))
    green = join(film.luma(3), np.broadcast_to(np.float32([-40, 20]), (*SIZE, 2)).astype(np.float32))
    second = carried(film, first, Hint("b", 3, "reference", image=Picture.of(moved(green))))
    for n in range(4):
        known = alone.field(n).weight > 0.5
        assert np.abs(strange.field(n).ab - alone.field(n).ab)[known].max() < 1e-3
    assert error(film, second, 0) < 8
    believed = second.field(3).weight > 0.5
    assert np.abs(second.field(3).ab[believed] - np.float32([-40, 20])).mean() < 4


# -- on real film ------------------------------------------------------------------------------------------

real = pytest.mark.skipif(not (DATA / "clips").is_dir(), reason="the films with truth are not beside this checkout")


@real
def test_a_photograph_of_the_place_colours_its_frame():
    clip = read_clip(DATA, "arm_wrestling", max_frames=2)
    luma, looks = to_working(np.ascontiguousarray(clip.lab(0)[..., 0])), EmbeddedColouriser()
    planes = foreign(Picture.of(photographed(clip.rgb(0))), luma, looks).planes
    missed = np.square(planes[1:3].transpose(1, 2, 0) - clip.lab(0)[..., 1:]).sum(axis=-1)
    believed = planes[3] > 0.5
    assert believed.mean() > 0.8
    assert missed[believed].mean() < 100  # of the automatic colour 290


@real
@pytest.mark.parametrize("names", [("arm_wrestling", "camel"), ("camel", "horsejump-high")])
def test_on_real_film_another_film_says_nothing(names):
    clip, other = (read_clip(DATA, name, max_frames=2) for name in names)
    luma, looks = to_working(np.ascontiguousarray(clip.lab(0)[..., 0])), EmbeddedColouriser()
    assert foreign(Picture.of(other.rgb(0)), luma, looks).planes[3].max() == 0
