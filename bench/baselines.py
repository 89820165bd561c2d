"""Classical solvers that spread hints by luma alone: the peers that `bench points` is measured against.

Both are written from their papers, for 256x256 and a few hundred hints; they are here to be beaten, not to be used.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import dijkstra
from scipy.sparse.linalg import cg

from core.solver import spread

Plane = NDArray[np.float32]


def bilateral_solver(
    luma: Plane,
    ab: Plane,
    weight: Plane,
    *,
    sigma_px: float = 8.0,
    sigma_luma: float = 3.0,
    smoothness: float = 2.0,
) -> Plane:
    """Spread hints by the fast bilateral solver.

    Args:
        luma: the guide                   [(H, W) float32 [0, 100] L*]
        ab: chroma at the hints           [(H, W, 2) float32 CIE Lab, a* b*]
        weight: trust in it, 0 = no hint  [(H, W) float32 [0, 1]]
        sigma_px: cell of the bilateral grid in space
        sigma_luma: cell of the bilateral grid in L*
        smoothness: weight of smoothness against the data (the paper's lambda)

    Returns:
        Chroma everywhere  [(H, W, 2) float32]

    Source: Barron & Poole 2016, "The fast bilateral solver", equations 5-11 and the bistochastisation of its appendix.
    """
    h, w = luma.shape
    y, x = np.mgrid[0:h, 0:w]
    place = np.stack([y / sigma_px, x / sigma_px, luma / sigma_luma], axis=-1).astype(np.int64).reshape(-1, 3)
    base = int(place.max()) + 3  # room for a neighbour on either side in each dimension
    code = ((place[:, 0] + 1) * base + place[:, 1] + 1) * base + place[:, 2] + 1
    cells, cell_of = np.unique(code, return_inverse=True)
    count = len(cells)
    splat = sparse.csr_matrix((np.ones(h * w), (cell_of.ravel(), np.arange(h * w))), shape=(count, h * w))
    own = np.arange(count)
    from_cell, to_cell, tap = [own], [own], [np.full(count, 6.0)]  # [1 2 1] in each of the three dimensions
    for step in (1, base, base * base):
        for target in (cells - step, cells + step):
            found = np.minimum(np.searchsorted(cells, target), count - 1)
            here = np.flatnonzero(cells[found] == target)
            from_cell.append(here)
            to_cell.append(found[here])
            tap.append(np.ones(len(here)))
    taps = (np.concatenate(tap), (np.concatenate(from_cell), np.concatenate(to_cell)))
    blur = sparse.csr_matrix(taps, shape=(count, count))
    mass = np.asarray(splat.sum(axis=1)).ravel()
    norm = np.ones(count)
    for _ in range(10):
        norm = np.sqrt(norm * mass / (blur @ norm))
    mass = norm * (blur @ norm)
    scale = sparse.diags(norm)
    confidence = splat @ weight.ravel().astype(np.float64)
    system = (smoothness * (sparse.diags(mass) - scale @ blur @ scale) + sparse.diags(confidence + 1e-8 * mass)).tocsr()
    preconditioner = sparse.diags(1.0 / system.diagonal())
    out = np.empty((h * w, 2), np.float32)
    for channel in (0, 1):
        given = splat @ (weight * ab[..., channel]).ravel().astype(np.float64)
        solved, _ = cg(system, given, rtol=1e-4, maxiter=200, M=preconditioner)
        out[:, channel] = (splat.T @ solved).astype(np.float32)
    return out.reshape(h, w, 2)


def geodesic_blend(
    luma: Plane,
    ab: Plane,
    weight: Plane,
    *,
    step: int = 2,
    per_px: float = 0.1,
    power: float = 4.0,
) -> Plane:
    """Blend hints by their geodesic distance over luma.

    Args:
        luma: the guide                   [(H, W) float32 [0, 100] L*]
        ab: chroma at the hints           [(H, W, 2) float32 CIE Lab, a* b*]
        weight: trust in it, 0 = no hint  [(H, W) float32 [0, 1]]
        step: distances are found on every ``step``-th pixel and read off by interpolation
        per_px: length of one pixel's way across flat luma, in L*
        power: how fast a hint's say falls with distance

    Returns:
        Chroma everywhere  [(H, W, 2) float32]; grey where there is no hint at all

    Source: Yatziv & Sapiro 2006, "Fast image and video colorization using chrominance blending".
    """
    h, w = luma.shape
    sh, sw = -(-h // step), -(-w // step)
    small = cv2.resize(luma, (sw, sh), interpolation=cv2.INTER_AREA)
    marks, labels = cv2.connectedComponents((weight > 0).astype(np.uint8), connectivity=4)
    if marks == 1:
        return np.zeros((h, w, 2), np.float32)
    index = np.arange(sh * sw).reshape(sh, sw)
    starts, ends, ways = [], [], []
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        a = (slice(0, sh - dy), slice(max(0, -dx), sw - max(0, dx)))
        b = (slice(dy, sh), slice(max(0, dx), sw + min(0, dx)))
        starts.append(index[a].ravel())
        ends.append(index[b].ravel())
        ways.append((np.abs(small[a] - small[b]) + per_px * step * np.hypot(dy, dx)).ravel())
    graph = sparse.csr_matrix(
        (np.concatenate(ways), (np.concatenate(starts), np.concatenate(ends))), shape=(sh * sw, sh * sw)
    )
    total = np.zeros((h, w), np.float64)
    blended = np.zeros((h, w, 2), np.float64)
    # One source per distinct patch, at its middle: patches are small beside the distances between them.
    middles, colours = [], []
    for mark in range(1, marks):
        inside = labels == mark
        # Overlapping patches of different colours are one component: each colour in it is a mark of its own.
        for colour in np.unique(ab[inside].round(3), axis=0):
            ys, xs = np.nonzero(inside & (np.abs(ab - colour).max(axis=2) < 2e-3))
            if len(ys):
                middles.append(index[int(np.median(ys)) // step, int(np.median(xs)) // step])
                colours.append(colour)
    distances = dijkstra(graph, directed=False, indices=middles).reshape(-1, sh, sw).astype(np.float32)
    for distance, colour in zip(distances, colours, strict=True):
        say = 1.0 / (cv2.resize(distance, (w, h), interpolation=cv2.INTER_LINEAR) + per_px) ** power
        total += say
        blended += say[..., None] * colour
    out = (blended / total[..., None]).astype(np.float32)
    given = weight > 0
    out[given] = ab[given]
    return out


class SolverAlone:
    """Fulfils `core.models.colouriser.Carries` by our own solver alone: what it is worth without a network."""

    fingerprint = "solver alone"

    def carry(self, luma: Plane, ab: Plane, hint_ab: Plane, hint_weight: Plane) -> Plane:
        """Spread what hints ask beyond the chroma along luma's surfaces."""
        change, _ = spread(luma, hint_ab - ab, hint_weight)
        return ab + change
