"""Neighbouring regions compete: what leaks loses, what was painted upon another stays on top, nothing else changes."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench.neighbours import measure, passing
from core.colourise import automatic_of, colourise_frame
from core.contract.progress import CancelToken, silent
from core.film.colour import hex_to_lab
from core.film.timebase import FrameRange
from core.models.colouriser import EmbeddedColouriser
from hints.compete import contested
from hints.field import Layer, compose
from hints.hint import Hint, HintSet
from hints.picture import Mask
from hints.region import Region
from hints.source import Carried

sys.path.insert(0, str(Path(__file__).parent))
from film import SIZE, Film, Memory

COLOURS = {"left": "#a03c3c", "right": "#3c50a0", "upon": "#3c8c46"}
# Two surfaces that meet at column 64.
LUMA = np.where(np.arange(SIZE[1]) < 64, 30, 60) * np.ones((SIZE[0], 1)) + np.zeros(SIZE)
LUMA = LUMA.astype(np.float32)
WHOLE = (slice(0, SIZE[0]), slice(0, SIZE[1]))


def columns(start, stop, trust=1.0, name="left"):
    cover = np.zeros(SIZE, np.float32)
    cover[20:70, start:stop] = 1
    ab = np.broadcast_to(hex_to_lab(COLOURS[name])[1:], (*SIZE, 2)).astype(np.float32)
    return Layer(WHOLE, ab, cover, np.full(SIZE, trust, np.float32))


def said(*hints):
    return HintSet(tuple(Region(name, name, colour) for name, colour in COLOURS.items()), hints)


def mask(name, frame=3, start=30, stop=64, rows=(20, 70), **more):
    inside = np.zeros(SIZE, bool)
    inside[slice(*rows), start:stop] = True
    return Hint(f"{name}{frame}", frame, "region", region=name, mask=Mask.of(inside), **more)


def carried(film, hints, store=None):
    source = Carried(hints, film.timeline, SIZE, film, store if store is not None else Memory())
    source.carry(film.timeline.shots[0], silent, CancelToken())
    return source


def test_what_leaks_loses_to_the_one_whose_surface_it_is():
    left, right = columns(20, 80), columns(64, 100, name="right")
    for trust in (1.0, 0.6):
        layers = [columns(20, 80, trust), columns(64, 100, trust, "right")]
        won = contested(layers, {(0, 1)}, (), LUMA)
        assert won[0].cover[20:70, 64:80].max() < 0.05
        assert won[1].cover[20:70, 64:80].min() > 0.95
        assert np.array_equal(won[0].cover[:, :64], left.cover[:, :64])
        assert np.array_equal(won[1].cover[:, 80:], right.cover[:, 80:])


def test_who_claims_all_of_another_but_came_later_loses_it():
    """Of two dark coats that cross, the outline of one may take both, and leave the other nothing that is its own."""
    thief, owner = columns(20, 100), columns(64, 100, name="right")
    stolen = np.where(np.arange(SIZE[1]) < 64, 1, 0.03) * np.ones(SIZE)
    dark = np.full(SIZE, 20, np.float32)
    won = contested([replace(thief, tenure=stolen.astype(np.float32)), owner], {(0, 1)}, (), dark)
    assert won[0].cover[20:70, 64:100].max() < 0.05
    assert won[1].cover[20:70, 64:100].min() > 0.95
    assert contested([thief, owner], {(0, 1)}, (), dark)[0].cover[20:70, 64:80].min() > 0.5


def test_who_was_painted_elsewhere_decides_no_contest_of_others():
    left, right, apart = columns(20, 80), columns(64, 100, name="right"), columns(105, 120, name="upon")
    alone = contested([left, right], {(0, 1)}, (), LUMA)
    beside = contested([left, right, apart], {(0, 1), (0, 2), (1, 2)}, {2}, LUMA)
    for one, other in zip(alone, beside[:2], strict=True):
        assert other.cover == pytest.approx(one.cover, abs=1e-6)


def test_covers_sum_to_one_at_most_and_stay_where_they_did():
    rng = np.random.default_rng(1)
    layers = [
        Layer(WHOLE, np.zeros((*SIZE, 2), np.float32), np.clip(plane, 0, 1), np.full(SIZE, trust, np.float32))
        for plane, trust in zip(
            (cv2.GaussianBlur(rng.random((3, *SIZE), np.float32)[i] * 2 - 0.4, (0, 0), 1) for i in range(3)),
            (1.0, 0.7, 0.3),
            strict=True,
        )
    ]
    before = sum(layer.cover for layer in layers)
    won = contested(layers, {(0, 1), (0, 2), (1, 2)}, (), LUMA)
    after = sum(layer.cover for layer in won)
    assert (before > 1).any()
    assert (before < 1).any()
    assert after == pytest.approx(np.minimum(before, 1), abs=1e-5)
    for a, b in zip(layers, won, strict=True):
        assert np.array_equal(a.cover[before < 1], b.cover[before < 1])
        assert b.cover.min() >= 0


def test_the_order_of_carried_neighbours_makes_no_difference():
    layers = [columns(10, 60), columns(50, 90, 0.8, "right"), columns(80, 120, 0.9, "upon")]
    pairs = {(0, 1), (0, 2), (1, 2)}
    first = contested(layers, pairs, (), LUMA)
    for order in permutations(range(3)):
        won = contested([layers[i] for i in order], pairs, (), LUMA)
        for place, i in enumerate(order):
            assert np.array_equal(won[place].cover, first[i].cover)
    field, turned = (compose([], some, SIZE, pairs) for some in (first, first[::-1]))
    assert field.ab == pytest.approx(turned.ab, abs=1e-4)
    assert field.weight == pytest.approx(turned.weight, abs=1e-6)


def test_neighbours_share_a_soft_border_and_nothing_shows_from_beneath():
    left, right = columns(20, 65), columns(64, 100, name="right")
    left.cover[20:70, 64] = 0.5
    right.cover[20:70, 64] = 0.5
    ground = Layer(
        WHOLE, np.full((*SIZE, 2), 50, np.float32), np.ones(SIZE, np.float32), np.ones(SIZE, np.float32), True
    )
    field = compose([ground], contested([left, right], {(0, 1)}, (), LUMA), SIZE, {(0, 1)})
    middle = (left.ab[0, 0] + right.ab[0, 0]) / 2
    assert field.ab[40, 64] == pytest.approx(middle, abs=1e-4)
    assert field.weight[40, 64] == pytest.approx(1, abs=1e-6)


@pytest.fixture(scope="module")
def film():
    return Film(8, step=1.5)


def beside(source, n):
    return source._neighbours.among(n, source._speaking(n), source._found)


def test_keyframes_tell_who_lies_upon_whom(film):
    coat = mask("left", start=10, stop=60)
    for other, neighbours in (
        (mask("right", start=60, stop=110), True),  # side by side
        (mask("right", start=58, stop=110), True),  # a brush's border too far
        (mask("upon", start=30, stop=40, rows=(30, 40)), False),  # a badge
        (mask("upon", start=40, stop=80), False),  # half upon it
    ):
        source = carried(film, said(coat, other))
        assert all(bool(beside(source, n)) == neighbours for n in range(8))


def test_without_a_common_keyframe_carrying_brings_both_onto_one():
    still = Film(8, step=0.0)
    for start, neighbours in ((60, True), (30, False)):
        hints = said(mask("left", 1, 10, 60), mask("upon", 5, start, start + 20, rows=(30, 50)))
        source = carried(still, hints)
        assert [bool(beside(source, n)) for n in range(8)] == [neighbours] * 8


def test_what_a_person_painted_stands_on_its_frame(film):
    hints = said(mask("left", start=10, stop=60), mask("right", start=58, stop=110))
    field = carried(film, hints).field(3)
    alone = carried(film, said(hints.hints[1])).field(3)
    assert np.array_equal(field.ab[30:60, 58:60], alone.ab[30:60, 58:60])


@pytest.mark.parametrize("span", [None, FrameRange(2, 6)])
@pytest.mark.parametrize("frame", [3, 5])
def test_a_neighbour_rekeys_the_frames_it_changes_and_no_other(film, span, frame):
    store = Memory()
    coat, late = mask("left", 3, 10, 60), mask("left", 6, 16, 66)
    alone = carried(film, said(coat, late), store)
    both = carried(film, said(coat, late, mask("right", frame, 60, 110, span=span)), store)
    for n in range(8):
        one, other = alone.field(n), both.field(n)
        same = np.array_equal(one.ab, other.ab) and np.array_equal(one.weight, other.weight)
        assert (alone.key(n) == both.key(n)) == same
        assert not same or span is not None
        if span is not None:
            assert same == (n not in span)


def test_a_keyframe_beyond_another_does_not_change_who_are_neighbours_here(film):
    store = Memory()
    hints = said(mask("left", 2, 10, 60), mask("right", 2, 60, 110), mask("left", 4, 12, 62))
    # On frame 6 the coat is painted over the other: from frame 5 on that tells something else, before it does not.
    changed = hints.add_hint(mask("left", 6, 40, 110))
    old, new = carried(film, hints, store), carried(film, changed, store)
    assert [n for n in range(8) if old.key(n) != new.key(n)] == [5, 6, 7]


def test_carrying_does_not_know_of_neighbours(film):
    store = Memory()
    carried(film, said(mask("left", 3, 10, 60)), store)
    before = {key: {k: v.copy() for k, v in arrays.items()} for key, arrays in store.items()}
    store.puts.clear()
    carried(film, said(mask("left", 3, 10, 60), mask("right", 3, 60, 110)), store)
    assert not set(store.puts) & set(before)


def test_a_keyframe_of_one_garment_leaves_all_else_bit_for_bit():
    film, colouriser = Film(4, step=1.0), EmbeddedColouriser()
    source = carried(film, said(mask("left", 1, 30, 60)))
    for n in (1, 3):
        luma, field = film.luma(n), source.field(n)
        automatic = automatic_of(luma, colouriser)
        with_hint = colourise_frame(luma, automatic, colouriser, field=field, luma=luma)
        without = colourise_frame(luma, automatic, colouriser)
        silent_there = field.weight == 0
        assert 0.4 < silent_there.mean() < 0.95
        assert np.array_equal(with_hint[silent_there], without[silent_there])
        assert not np.array_equal(with_hint, without)


def test_drawn_neighbours_that_pass_each_other_do_not_bleed():
    found = measure(passing(2, frames=6, size=(96, 128)), None)
    assert found["competing"]["bleed"] <= found["stacked"]["bleed"]
    assert found["competing"]["bleed"] < 0.002
    assert found["competing"]["kept"] > 0.97
