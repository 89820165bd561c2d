"""What is drawn around and upon an object stands, whatever the segmenter answers."""

from __future__ import annotations

import numpy as np
import pytest

from bench.metrics import iou
from core.errors import InputError
from hints.gestures import AROUND, MOST, Stroke, marked
from hints.segment import GeodesicSegmenter

SIZE = (120, 160)
YY, XX = np.mgrid[: SIZE[0], : SIZE[1]]
DISC = (YY - 60) ** 2 + (XX - 60) ** 2 <= 30**2
LUMA = (np.where(DISC, 62, 35) + np.random.default_rng(2).normal(0, 1.5, SIZE)).astype(np.float32)
LOOP = tuple((60.5 + 40 * float(np.cos(a)), 60.5 + 40 * float(np.sin(a))) for a in np.linspace(0, 6.2, 40))


class Told:
    """A segmenter that answers the same to everything, and tells what it was asked."""

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def segment(self, picture, points, box=None):
        self.asked.append((list(points), box))
        return self.answer


def test_a_lasso_is_enough():
    assert iou(marked(GeodesicSegmenter(), LUMA, [], lasso=LOOP), DISC) > 0.85


def test_nothing_lies_outside_a_lasso():
    everything = Told(np.ones(SIZE, bool))
    found = marked(everything, LUMA, [], lasso=((20.0, 20.0), (60.0, 20.0), (60.0, 90.0), (20.0, 90.0)))
    assert found.sum() == 41 * 71
    ((clicks, box),) = everything.asked
    assert box == (17.0, 17.0, 64.0, 94.0)
    outside = [(x, y) for x, y, inside in clicks if not inside]
    assert len(outside) == AROUND
    for x, y in outside:  # beyond the loop, by about as much as the box
        assert 2 <= max(20 - x, x - 61, 20 - y, y - 91) <= 4


def test_a_lasso_drawn_upon_the_border_is_as_good_as_a_wide_one():
    tight = tuple((60.5 + 31 * float(np.cos(a)), 60.5 + 31 * float(np.sin(a))) for a in np.linspace(0, 6.2, 40))
    assert iou(marked(GeodesicSegmenter(), LUMA, [(60.5, 60.5, True)], lasso=tight), DISC) > 0.99


def test_an_object_at_the_edge_of_the_picture_is_not_clicked_away():
    everything = Told(np.ones(SIZE, bool))
    marked(everything, LUMA, [], lasso=((0.0, 0.0), (159.0, 0.0), (159.0, 60.0), (0.0, 60.0)))
    ((clicks, _),) = everything.asked
    assert all(y > 62 for _, y, inside in clicks if not inside)
    marked(everything, LUMA, [], lasso=((0.0, 0.0), (160.0, 0.0), (160.0, 120.0), (0.0, 120.0)))
    assert all(inside for *_, inside in everything.asked[1][0])


def test_the_middles_of_a_lasso_belong_to_its_object_unless_a_person_says_what_does():
    everything = Told(np.ones(SIZE, bool))
    bent = ((20.0, 20.0), (50.0, 20.0), (50.0, 80.0), (120.0, 80.0), (120.0, 110.0), (20.0, 110.0))
    for points, strokes in ([], ()), ([(30.5, 30.5, True)], ()), ([], [Stroke(((30.5, 30.5),), 4.0, True)]):
        marked(everything, LUMA, points, lasso=bent, strokes=strokes)
    middles, clicked, painted = ([(x, y) for x, y, inside in asked if inside] for asked, _ in everything.asked)
    assert clicked == painted == [(30.5, 30.5)]
    assert 4 <= len(middles) <= MOST
    assert all(20 < x < 51 or 80 < y < 111 for x, y in middles)  # in either arm of it, never in the corner between
    assert any(y < 50 for _, y in middles)
    assert any(x > 90 for x, _ in middles)


def test_a_lasso_finds_an_object_that_is_not_in_the_middle_of_its_box():
    bent = ((YY >= 20) & (YY < 100) & (XX >= 20) & (XX < 40)) | ((YY >= 80) & (YY < 100) & (XX >= 20) & (XX < 140))
    luma = (np.where(bent, 62, 35) + np.random.default_rng(2).normal(0, 1.5, SIZE)).astype(np.float32)
    loop = ((16.0, 16.0), (44.0, 16.0), (44.0, 76.0), (144.0, 76.0), (144.0, 104.0), (16.0, 104.0))
    assert iou(marked(GeodesicSegmenter(), luma, [], lasso=loop), bent) > 0.95


def test_a_brush_finds_the_object_it_passes_over():
    stroke = Stroke(((45.0, 60.0), (75.0, 60.0)), 6.0, True)
    assert iou(marked(GeodesicSegmenter(), LUMA, [], strokes=[stroke]), DISC) > 0.85


def test_what_was_painted_stands_and_the_later_stroke_counts():
    nothing = Told(np.zeros(SIZE, bool))
    across, down = ((10.0, 50.0), (150.0, 50.0)), ((80.0, 10.0), (80.0, 110.0))
    found = marked(nothing, LUMA, [], strokes=[Stroke(across, 5.0, True), Stroke(down, 5.0, False)])
    assert found[48:53, 20:70].all()
    assert not found[:, 79:82].any()
    assert not found[60:].any()
    ((clicks, box),) = nothing.asked
    assert box is None
    assert len(clicks) == 2 * MOST
    assert [c[2] for c in clicks] == [True] * MOST + [False] * MOST
    assert all(c[1] == 50.0 for c in clicks[:MOST])


def test_a_dab_of_the_brush_is_a_click():
    told = Told(np.zeros(SIZE, bool))
    found = marked(told, LUMA, [(5.0, 5.0, True)], strokes=[Stroke(((30.5, 40.5),), 8.0, True)])
    assert told.asked == [([(5.0, 5.0, True), (30.5, 40.5, True)], None)]
    assert found[36:45, 30].all()
    assert 40 < found.sum() < 80


def test_what_means_nothing_is_refused():
    one = Told(np.zeros(SIZE, bool))
    with pytest.raises(InputError, match="lasso"):
        marked(one, LUMA, [], lasso=((1.0, 1.0), (2.0, 2.0)))
    with pytest.raises(InputError, match=r"lasso: .*outside"):
        marked(one, LUMA, [], lasso=((1.0, 1.0), (200.0, 2.0), (3.0, 90.0)))
    with pytest.raises(InputError, match=r"brush: .*outside"):
        marked(one, LUMA, [], strokes=[Stroke(((1.0, -1.0),), 3.0, True)])
    with pytest.raises(InputError, match="width"):
        Stroke(((1.0, 1.0),), 0.0, True)
    with pytest.raises(InputError, match="no point"):
        Stroke((), 2.0, True)
    with pytest.raises(InputError, match="click once inside"):
        marked(GeodesicSegmenter(), LUMA, [], strokes=[Stroke(((9.0, 9.0),), 3.0, False)])
