"""Few hints stay with the surface they were given to; many tell of what lies between them."""

import cv2
import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from core.reach import COVERED, FREE, GRAIN, PER_LUMA, PER_PIXEL, geodesic, nearness, within_reach
from tests.synth import patch

SIZE = (96, 128)


def scene():
    """A dark coat on a light street, and a coloured picture that is red all over."""
    luma = np.full(SIZE, 70, np.float32)
    luma[30:80, 40:60] = 20
    coloured = np.zeros((*SIZE, 2), np.float32)
    coloured[...] = (45, 25)
    return luma, np.zeros((*SIZE, 2), np.float32), coloured


def said(*places):
    return patch(SIZE, places, size=3)


def test_one_point_on_a_coat_colours_the_coat_and_not_the_street():
    luma, automatic, coloured = scene()
    out = within_reach(luma, automatic, coloured, said((50, 48)))
    chroma = np.hypot(out[..., 0], out[..., 1])
    assert chroma[32:78, 42:58].min() > 48
    assert chroma[luma == 70].max() < FREE + 3
    assert np.abs(out - coloured)[50:53, 48:51].max() < 0.5


def test_many_points_tell_of_what_lies_between():
    luma, automatic, coloured = scene()
    trust = said(*[(y, x) for y in range(5, 90, 20) for x in range(5, 120, 20)])
    assert nearness(luma, trust > 0).mean() > COVERED[1]
    assert np.array_equal(within_reach(luma, automatic, coloured, trust), coloured)


def test_many_points_on_one_thing_tell_of_that_thing_alone():
    luma, automatic, coloured = scene()
    out = within_reach(luma, automatic, coloured, said(*[(y, x) for y in range(32, 78, 6) for x in (43, 48, 53)]))
    assert np.hypot(out[..., 0], out[..., 1])[luma == 70].max() < FREE + 3


def test_a_slight_change_of_the_whole_scene_is_let_through():
    luma, automatic, coloured = scene()
    slight = coloured * np.float32(0.9 * FREE / np.hypot(45, 25))
    assert within_reach(luma, automatic, slight, said((50, 48))) == pytest.approx(slight, abs=1e-5)


def test_where_nothing_is_said_nothing_is_held_back():
    luma, automatic, coloured = scene()
    assert np.array_equal(within_reach(luma, automatic, coloured, np.zeros(SIZE, np.float32)), coloured)


def test_the_hue_of_a_change_is_kept():
    luma, automatic, coloured = scene()
    out = within_reach(luma, automatic, coloured, said((50, 48)))
    angle = np.arctan2(out[..., 1], out[..., 0])
    assert np.ptp(angle) < 1e-4


def test_distances_are_those_of_the_shortest_ways():
    rng = np.random.default_rng(4)
    luma = cv2.GaussianBlur(rng.uniform(0, 100, (14, 17)).astype(np.float32), (0, 0), 1.5)
    seeds = np.zeros(luma.shape, bool)
    seeds[3, 4] = seeds[11, 15] = True
    number = np.arange(luma.size).reshape(luma.shape)
    ends = [(number[1:], number[:-1]), (number[:, 1:], number[:, :-1])]
    i, j = (np.concatenate([pair[k].ravel() for pair in ends]) for k in (0, 1))
    cost = np.maximum(np.abs(luma.ravel()[i] - luma.ravel()[j]) - GRAIN, 0) * PER_LUMA + PER_PIXEL
    graph = coo_matrix((cost, (i, j)), shape=(luma.size, luma.size))
    true = dijkstra(graph, directed=False, indices=number[seeds]).min(axis=0).reshape(luma.shape)
    found = geodesic(luma, seeds)
    assert (found >= true - 1e-4).all()
    assert np.mean(found - true) < 0.1 * true.mean()


@pytest.mark.parametrize("size", [(1, 1), (3, 700), (480, 640)])
def test_any_size(size):
    luma = np.random.default_rng(0).uniform(0, 100, size).astype(np.float32)
    trust = np.zeros(size, np.float32)
    trust[0, 0] = 1
    near = nearness(luma, trust > 0)
    assert near.shape == size
    assert near[0, 0] > 0.9
