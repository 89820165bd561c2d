"""Region by click: known objects are found, clicks are obeyed, nonsense is refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from bench.metrics import iou
from core.contract.plugins import Plugins
from core.errors import InputError, ModelMissingError
from hints import sam, segment
from hints.segment import GeodesicSegmenter, Segmenter

SIZE = (120, 160)


def scene(grain=1.5):
    """Luma of a scene with two discs, one of them textured; and the discs."""
    rng = np.random.default_rng(3)
    yy, xx = np.mgrid[: SIZE[0], : SIZE[1]]
    left = (yy - 60) ** 2 + (xx - 45) ** 2 <= 24**2
    right = (yy - 50) ** 2 + (xx - 115) ** 2 <= 22**2
    luma = 40 + 10 * xx / SIZE[1] + rng.normal(0, grain, SIZE)
    luma[left] = 65 + rng.normal(0, grain, SIZE)[left]
    luma[right] = 22 + rng.normal(0, grain, SIZE)[right]
    return cv2.GaussianBlur(luma.astype(np.float32), (3, 3), 0), left, right


@pytest.fixture(scope="module")
def segmenter():
    return GeodesicSegmenter()


def test_one_click_finds_each_object(segmenter):
    luma, left, right = scene()
    assert iou(segmenter.segment(luma, [(45.5, 60.5, True)]), left) > 0.9
    assert iou(segmenter.segment(luma, [(115.5, 50.5, True)]), right) > 0.9


def test_two_clicks_find_both(segmenter):
    luma, left, right = scene()
    found = segmenter.segment(luma, [(45.5, 60.5, True), (115.5, 50.5, True)])
    assert iou(found, left | right) > 0.85


def test_clicks_are_obeyed(segmenter):
    luma, _, _ = scene()
    rng = np.random.default_rng(0)
    for _ in range(6):
        points = [(float(rng.uniform(5, 155)), float(rng.uniform(5, 115)), i < 2) for i in range(4)]
        found = segmenter.segment(luma, points)
        for x, y, inside in points:
            near = [p for p in points if np.hypot(p[0] - x, p[1] - y) < 8 and p[2] != inside]
            assert near or found[int(y), int(x)] == inside


def test_a_click_outside_takes_away(segmenter):
    luma, left, right = scene()
    whole = [(45.5, 60.5, True), (115.5, 50.5, True)]
    found = segmenter.segment(luma, [*whole[:1], (115.5, 50.5, False)])
    assert iou(found, left) > 0.9
    assert not found[right].any()


def test_a_box_is_enough(segmenter):
    luma, left, _ = scene()
    found = segmenter.segment(luma, [], (15.0, 30.0, 76.0, 90.0))
    assert iou(found, left) > 0.85


def test_a_click_in_a_box_takes_nothing_from_what_the_box_alone_finds(segmenter):
    rng = np.random.default_rng(4)
    head, body = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
    head[25:50, 65:95], body[50:100, 60:100] = True, True
    luma = (45 + 30.0 * head - 27.0 * body + rng.normal(0, 1.5, SIZE)).astype(np.float32)
    box = (58.0, 23.0, 102.0, 102.0)
    assert iou(segmenter.segment(luma, [], box), head | body) > 0.9
    assert iou(segmenter.segment(luma, [(80.5, 37.5, True)], box), head | body) > 0.9


def test_a_picture_of_one_pixel_is_all_object(segmenter):
    assert segmenter.segment(np.full((1, 1), 50, np.float32), [(0.5, 0.5, True)]).tolist() == [[True]]


def test_holes_are_filled_unless_clicked(segmenter):
    luma, left, _ = scene()
    hole = (np.hypot(*(np.mgrid[: SIZE[0], : SIZE[1]] - np.array([60, 45])[:, None, None])) < 7) & left
    luma = np.where(hole, 42, luma).astype(np.float32)
    assert segmenter.segment(luma, [(30.5, 60.5, True)])[hole].mean() > 0.9
    assert segmenter.segment(luma, [(30.5, 60.5, True), (45.5, 60.5, False)])[hole].mean() < 0.5


def test_colour_pictures_and_odd_sizes_and_the_same_answer_twice(segmenter):
    luma, left, _ = scene()
    rgb = cv2.resize(np.dstack([luma / 100] * 3), (333, 251), interpolation=cv2.INTER_LINEAR)
    big = cv2.resize(left.astype(np.uint8), (333, 251), interpolation=cv2.INTER_NEAREST).astype(bool)
    first = segmenter.segment(rgb, [(94.6, 126.5, True)])
    assert first.shape == (251, 333)
    assert iou(first, big) > 0.85
    assert (GeodesicSegmenter().segment(rgb, [(94.6, 126.5, True)]) == first).all()


@pytest.mark.parametrize(
    ("points", "box"),
    [([], None), ([(5.0, 5.0, False)], None), ([(161.0, 5.0, True)], None), ([(5.0, -1.0, True)], None),
     ([], (10.0, 10.0, 5.0, 20.0)), ([], (170.0, 0.0, 190.0, 20.0))],
)  # fmt: skip
def test_clicks_that_mean_nothing_are_refused(segmenter, points, box):
    with pytest.raises(InputError, match="segment"):
        segmenter.segment(scene()[0], points, box)


def test_both_segmenters_register_and_the_missing_checkpoint_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("POCHOIR_MODELS", str(tmp_path))
    plugins = Plugins()
    sam.register(plugins)
    segment.register(plugins)
    assert list(plugins.segmenters) == ["segment-anything", "geodesic"]
    assert isinstance(plugins.segmenters.get("geodesic")(None), Segmenter)
    with pytest.raises(ModelMissingError, match="sam_vit"):
        plugins.segmenters.get("segment-anything")(None)
