"""The camera's own motion between two frames: what the whole picture does, whatever moves in it.

Flow is fitted by a smooth surface of second order in each direction, which holds a pan, a zoom, a turn of the camera
and, for small steps, the perspective of a plane; what moves by itself is left out of the fit as far as it disagrees.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from core.errors import ShapeError
from core.film.colour import Array

_Table = NDArray[np.float64]
_STEP = 8  # every so many pixels of flow are fitted: neighbours tell the same
_TERMS = (3, 3, 3, 6, 6, 6)  # fitted round by round, with what disagreed before counted less: a plane, then a surface
_LEAST_SPREAD = 0.3  # of disagreement that is taken for noise [px]


def camera_motion(flow: Array, weight: Array) -> Array:
    """Fit the camera's motion to flow.

    Args:
        flow: from one frame to another       [(h, w, 2) float32 px (dx, dy)]
        weight: how far each vector counts    [(h, w) float32 [0, 1]]

    Returns:
        The flow that the camera alone would make  [(h, w, 2) float32 px]

    Raises:
        ShapeError: flow and weight differ in size.

    Source: Odobez & Bouthemy 1995, "Robust multiresolution estimation of parametric motion models" (weights of
    Geman & McClure 1987 in place of Tukey's).
    """
    if flow.shape != (*weight.shape, 2):
        raise ShapeError(f"camera motion: flow is {flow.shape} but its weight {weight.shape}")
    h, w = weight.shape
    base = _surface(h, w, _STEP)
    found = flow[::_STEP, ::_STEP].reshape(-1, 2).astype(np.float64)
    given = weight[::_STEP, ::_STEP].ravel().astype(np.float64) + 1e-4
    fit = np.zeros((base.shape[1], 2))
    fit[0] = _median(found, given)  # half the picture may move by itself, and the start is right still
    for terms in _TERMS:
        apart = np.hypot(*(found - base @ fit).T)
        counted = apart[given > 0.3]
        spread = max(_LEAST_SPREAD, float(np.median(counted)) if counted.size else 1.0)
        counts = given / (1 + (apart / spread) ** 2) ** 2
        some = base[:, :terms]
        weighed = some * counts[:, None]
        fit[:terms] = np.linalg.solve(weighed.T @ some + 1e-3 * np.eye(terms), weighed.T @ found)
    return np.asarray(_whole(h, w) @ fit.astype(np.float32)).reshape(h, w, 2)


@lru_cache(maxsize=8)
def _whole(h: int, w: int) -> Array:
    return _surface(h, w, 1).astype(np.float32)


def _median(found: _Table, given: _Table) -> _Table:
    """Of those that count, the middle one in each direction."""
    counted = found[given > 0.3]
    return np.median(counted if len(counted) else found, axis=0)


def _surface(h: int, w: int, step: int) -> _Table:
    y, x = np.mgrid[0:h:step, 0:w:step].astype(np.float64)
    x, y = (x.ravel() - w / 2) / w, (y.ravel() - h / 2) / w
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
