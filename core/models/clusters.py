"""Points with weights gathered into heaps: k-means without chance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

ROUNDS = 50


def clusters(points: Array, weights: Array, count: int) -> tuple[Array, Array]:
    """Gather weighted points into at most ``count`` heaps about their means.

    The first heap starts at the heaviest point, each further one at the point whose weight times squared distance
    from the nearest start is greatest; so the same input always gives the same heaps.

    Args:
        points: where                    [(N, D) float32]
        weights: how much each counts    [(N,) float32, ≥ 0, not all 0]
        count: at most so many heaps     [≥ 1]

    Returns:
        Means of the heaps  [(n, D) float32] and their weights  [(n,) float32], the heaviest first; 1 ≤ n ≤ count

    Source: Lloyd 1982, "Least squares quantization in PCM"; Arthur & Vassilvitskii 2007 (starts by squared distance).
    """
    mass = weights.astype(np.float64)
    place = points.astype(np.float64)
    starts = [int(mass.argmax())]
    far = np.square(place - place[starts[0]]).sum(axis=1)
    while len(starts) < count and (mass * far).max() > 0:
        starts.append(int((mass * far).argmax()))
        far = np.minimum(far, np.square(place - place[starts[-1]]).sum(axis=1))
    means = place[starts]
    for _ in range(ROUNDS):
        nearest = np.square(place[:, None] - means[None]).sum(axis=-1).argmin(axis=1)
        heavy = np.bincount(nearest, mass, minlength=len(means))
        sums = np.stack([np.bincount(nearest, mass * axis, minlength=len(means)) for axis in place.T], axis=1)
        moved = np.where(heavy[:, None] > 0, sums / np.maximum(heavy, 1e-30)[:, None], means)
        if np.array_equal(moved, means):
            break
        means = moved
    order = [i for i in np.argsort(-heavy, kind="stable") if heavy[i] > 0]
    return means[order].astype(np.float32), heavy[order].astype(np.float32)
