"""Weighted points are gathered where they lie, the same way every time."""

from __future__ import annotations

import numpy as np
import pytest

from core.models.clusters import clusters


@pytest.fixture
def heaps():
    """Three heaps of known place and weight."""
    rng = np.random.default_rng(2)
    centres = np.array([(-60, 10), (0, 0), (50, 40)], np.float32)
    points = np.concatenate([c + rng.normal(0, 3, (60, 2)) for c in centres]).astype(np.float32)
    weights = np.repeat(np.array([0.2, 0.5, 0.3], np.float32) / 60, 60)
    return points, weights, centres


def test_heaps_are_found_with_their_weights_heaviest_first(heaps):
    points, weights, centres = heaps
    means, shares = clusters(points, weights, 3)
    np.testing.assert_allclose(means, centres[[1, 2, 0]], atol=1.5)
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.2], atol=1e-5)


def test_the_order_of_points_does_not_matter(heaps):
    points, weights, _ = heaps
    turned = np.random.default_rng(1).permutation(len(points))
    for a, b in zip(clusters(points, weights, 3), clusters(points[turned], weights[turned], 3), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_there_are_no_more_heaps_than_places_with_weight():
    points = np.array([(0, 0), (9, 9), (0, 0), (40, 0)], np.float32)
    means, shares = clusters(points, np.array([1, 1, 1, 0], np.float32), 5)
    np.testing.assert_array_equal(means, [(0, 0), (9, 9)])
    np.testing.assert_array_equal(shares, [2, 1])


def test_one_heap_is_the_mean(heaps):
    points, weights, _ = heaps
    means, shares = clusters(points, weights, 1)
    np.testing.assert_allclose(means[0], np.average(points, axis=0, weights=weights), atol=1e-3)
    assert shares[0] == pytest.approx(1)
