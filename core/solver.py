"""Edge-aware spreading of chroma: what a hint says is carried as far as the film's own luma allows.

Two solvers work hand in hand. Far reach comes from a bilateral grid: pixels near in place and in luma share a cell,
and a least-squares field that agrees with the hints, is smooth from cell to cell, and leans weakly towards nothing, is
found by conjugate gradients from a coarse grid to a fine one. The weak leaning makes the solution for "1 at every
hint" a measure of how far each hint reaches. What the cells leave blocky is smoothed by weighted least squares along
rows and columns, which halts at luma's edges. Both are scaled by the picture's size, so that the field of a small
picture is that of the large one.

Work at a few hundred pixels' width: spreading small and carrying the result up by luma (``core.guided``) is both
better and faster than spreading large.

Source: Barron & Poole 2016, "The fast bilateral solver"; Min, Choi, Lu, Ham, Sohn & Do 2014, "Fast global image
smoothing based on weighted least squares".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import sptsv

from core.errors import ShapeError

Plane = NDArray[np.float32]

# Chosen on photographs of no other use here, 10 and 50 points, 256x256: flat around these values.
CELLS = 32  # of the grid along the longer side
SIGMA_LUMA = 3.5  # height of a cell in L*
SMOOTHNESS = 0.03  # weight of smoothness between cells against the hints
LEANING = 1.5e-4  # weight of leaning towards nothing against the hints
ROUNDS = (16, 6, 3)  # of conjugate gradients, coarse grid to fine
BALANCING = 4  # rounds of making the blur bistochastic
FINISH = 0.5  # smoothness of the finish, in squared cell widths
CLOSING_KNEE = 0.5  # reach at which half of what is left off at the hints is added: it is not to wander far


# --- rows and columns -------------------------------------------------------------------------------------------


def _coupling(luma: Plane, sigma_luma: float) -> Plane:
    """Weigh each pixel's bond to its right neighbour, 0 where the row ends  [(H*W - 1,) float32 [0, 1]]."""
    bond = np.zeros(luma.shape, np.float32)
    np.subtract(luma[:, 1:], luma[:, :-1], out=bond[:, :-1])
    np.abs(bond, out=bond)
    bond *= -1.0 / sigma_luma
    np.exp(bond, out=bond)
    bond[:, -1] = 0.0
    return bond.ravel()[:-1]


def _smooth_rows(bond: Plane, planes: Plane, strength: float) -> Plane:
    """Solve (I + strength * Laplacian) u = planes along all rows at once.

    Args:
        bond: coupling of neighbours                 [(H*W - 1,) float32 [0, 1]]
        planes: right-hand sides, one after another  [(K, H*W) float32]
        strength: weight of smoothness against the data
    """
    if bond.size == 0:
        return planes
    off = -strength * bond
    main = np.ones(planes.shape[1], np.float32)
    main[:-1] -= off
    main[1:] -= off
    # planes.T is Fortran-ordered, which is what LAPACK asks for: no copy is made.
    _, _, solved, info = sptsv(main, off, planes.T, overwrite_d=1, overwrite_e=1, overwrite_b=1)
    if info != 0:  # the matrix is diagonally dominant: only NaN can bring this about
        raise FloatingPointError(f"the edge-aware solve failed (LAPACK ptsv info {info}); is there NaN in the luma?")
    return np.ascontiguousarray(solved.T)


def smooth(luma: Plane, planes: Plane, *, sigma_luma: float, smoothness: float, sweeps: int = 1) -> Plane:
    """Smooth planes within the borders that the luma draws.

    Args:
        luma: the guide                                    [(H, W) float32 [0, 100] L*]
        planes: what is smoothed, one plane after another  [(K, H, W) float32]
        sigma_luma: step of luma that halts spreading by a factor e, in L*
        smoothness: weight of smoothness against the data (the paper's lambda), in squared pixels
        sweeps: passes over rows and columns; each is weaker than the one before

    Returns:
        The smoothed planes  [(K, H, W) float32]

    Raises:
        FloatingPointError: there is NaN in the luma.

    Source: Min et al. 2014, algorithm 1 and equation 11.
    """
    count, h, w = planes.shape
    along, down = _coupling(luma, sigma_luma), _coupling(np.ascontiguousarray(luma.T), sigma_luma)
    field = np.array(planes, np.float32, order="C").reshape(count, h * w)
    for sweep in range(1, sweeps + 1):
        strength = 1.5 * smoothness * 4.0 ** (sweeps - sweep) / (4.0**sweeps - 1.0)
        field = _smooth_rows(along, field, strength)
        field = np.ascontiguousarray(field.reshape(count, h, w).transpose(0, 2, 1)).reshape(count, h * w)
        field = _smooth_rows(down, field, strength)
        field = np.ascontiguousarray(field.reshape(count, w, h).transpose(0, 2, 1)).reshape(count, h * w)
    return field.reshape(count, h, w)


# --- the grid ---------------------------------------------------------------------------------------------------
# Grids are (K, rows, columns, lumas): K quantities per cell.


def _blur(grid: Plane) -> Plane:
    """Blur by [1 2 1] along each of the three dimensions, added up."""
    out = np.multiply(grid, np.float32(6.0))
    out[:, 1:] += grid[:, :-1]
    out[:, :-1] += grid[:, 1:]
    out[:, :, 1:] += grid[:, :, :-1]
    out[:, :, :-1] += grid[:, :, 1:]
    out[..., 1:] += grid[..., :-1]
    out[..., :-1] += grid[..., 1:]
    return out


def _halve(grid: Plane) -> Plane:
    """Add up cells two by two in each dimension."""
    k, a, b, c = grid.shape
    grid = np.pad(grid, ((0, 0), (0, a % 2), (0, b % 2), (0, c % 2)))
    return np.asarray(grid.reshape(k, (a + 1) // 2, 2, (b + 1) // 2, 2, (c + 1) // 2, 2).sum(axis=(2, 4, 6)))


def _double(grid: Plane, shape: tuple[int, ...]) -> Plane:
    """Give each of the finer cells what its coarse cell has."""
    return grid.repeat(2, 1).repeat(2, 2).repeat(2, 3)[:, : shape[1], : shape[2], : shape[3]]


def _dots(a: Plane, b: Plane) -> Plane:
    """Give the K inner products of two grids  [(K, 1, 1, 1) float32]."""
    return np.asarray(np.einsum("kabc,kabc->k", a, b)[:, None, None, None], np.float32)


def _relax(pixels: Plane, trust: Plane, given: Plane, start: Plane, smoothness: float, rounds: int) -> Plane:
    """Improve a field on the grid by conjugate gradients.

    Args:
        pixels: how many pixels a cell holds   [(1, A, B, C) float32]
        trust: the sum of their weights        [(1, A, B, C) float32]
        given: the sums of weight times value  [(K, A, B, C) float32]
        start: where to begin                  [(K, A, B, C) float32]
        smoothness: weight of smoothness
        rounds: how many

    Source: Barron & Poole 2016, equations 5 to 9, with a Jacobi preconditioner.
    """
    tiny = np.float32(1e-20)
    norm = (pixels > 0).astype(np.float32)
    for _ in range(BALANCING):
        norm = np.sqrt(norm * pixels / np.maximum(_blur(norm), 1e-6))
    mass = norm * _blur(norm)
    held = trust + LEANING * pixels
    own = smoothness * mass + held
    bond = smoothness * norm
    inverse = np.where(pixels > 0, 1.0 / np.maximum(own - 6.0 * bond * norm, 1e-12), 0.0).astype(np.float32)
    x = start
    residual = given - (own * x - bond * _blur(norm * x))
    step = inverse * residual
    way = step
    progress = _dots(residual, step)
    for _ in range(rounds):
        pushed = own * way - bond * _blur(norm * way)
        length = progress / np.maximum(_dots(way, pushed), tiny)
        x = x + length * way
        residual -= length * pushed
        step = inverse * residual
        before, progress = progress, _dots(residual, step)
        way = step + (progress / np.maximum(before, tiny)) * way
    return x


def _check(luma: Plane, ab: Plane, weight: Plane) -> None:
    if luma.ndim != 2 or ab.shape != (*luma.shape, 2) or weight.shape != luma.shape:
        raise ShapeError(
            f"luma is {luma.shape}, so chroma must be {(*luma.shape, 2)} and weight {luma.shape}; "
            f"they are {ab.shape} and {weight.shape}"
        )
    if not np.isfinite(luma.sum(dtype=np.float64)):
        raise FloatingPointError(f"luma {luma.shape} holds NaN or infinity; nothing can be spread over it")


def draw(luma: Plane, ab: Plane, weight: Plane, *, cells: int = CELLS) -> tuple[Plane, Plane]:
    """Draw a sparse two-plane quantity over the picture's surfaces, fading to nothing where no hint reaches.

    Args:
        luma: the guide                             [(H, W) float32 [0, 100] L*]
        ab: chroma or a residual of it, read only where weight > 0  [(H, W, 2) float32, a* b*]
        weight: trust in ``ab``                     [(H, W) float32 [0, 1]]
        cells: of the grid along the longer side

    Returns:
        The field  [(2, H, W) float32], and how far the hints reach: the same solution for 1 at every hint
        [(H, W) float32 [0, 1]]

    Raises:
        ShapeError: the three arrays differ in H or W.
        FloatingPointError: there is NaN or infinity in the luma.

    Source: Barron & Poole 2016; Min et al. 2014 (the finish).
    """
    _check(luma, ab, weight)
    h, w = luma.shape
    if not weight.any():
        return np.zeros((2, h, w), np.float32), np.zeros((h, w), np.float32)
    cell = max(h, w) / cells
    rows, columns = (np.arange(h) / cell).astype(np.intp), (np.arange(w) / cell).astype(np.intp)
    lumas = (np.clip(luma, 0.0, 100.0) * (1.0 / SIGMA_LUMA)).astype(np.intp)
    lumas -= lumas.min()
    shape = (int(rows[-1]) + 1, int(columns[-1]) + 1, int(lumas.max()) + 1)
    index = ((rows[:, None] * shape[1] + columns) * shape[2] + lumas).ravel()
    size = shape[0] * shape[1] * shape[2]

    held = np.flatnonzero(weight)
    at, trust = index[held], weight.ravel()[held]
    sums = [np.bincount(index, None, size), np.bincount(at, trust, size)]
    sums += [np.bincount(at, trust * ab[..., channel].ravel()[held], size) for channel in (0, 1)]
    levels = [(np.stack(sums) / (cell * cell)).astype(np.float32).reshape(4, *shape)]
    for _ in ROUNDS[1:]:
        levels.append(_halve(levels[-1]))
    field = np.zeros_like(levels[-1][1:])
    for level in reversed(range(len(levels))):
        grid = levels[level]
        if level < len(levels) - 1:
            field = _double(field, grid.shape)
        # A coarse cell holds four times the pixels of a surface, but bends no more easily.
        rounds = ROUNDS[len(levels) - 1 - level]
        field = _relax(grid[0:1], grid[1:2], grid[1:4], field, SMOOTHNESS / 4.0**level, rounds)
    planes = field.reshape(3, size)[:, index].reshape(3, h, w)
    planes = smooth(luma, planes, sigma_luma=2 * SIGMA_LUMA, smoothness=FINISH * cell * cell)
    return planes[1:], np.clip(planes[0], 0.0, 1.0)


def spread(luma: Plane, ab: Plane, weight: Plane, *, cells: int = CELLS) -> tuple[Plane, Plane]:
    """Spread sparse chroma along the picture's surfaces, undiminished by distance.

    Args:
        luma: the guide                         [(H, W) float32 [0, 100] L*]
        ab: chroma, read only where weight > 0  [(H, W, 2) float32 CIE Lab, a* b*]
        weight: trust in ``ab``                 [(H, W) float32 [0, 1]]
        cells: of the grid along the longer side

    Returns:
        The spread chroma  [(H, W, 2) float32], and how much the hints have to say at each pixel, which falls with
        distance and across borders of luma  [(H, W) float32 [0, 1]]

    Raises:
        ShapeError: the three arrays differ in H or W.
        FloatingPointError: there is NaN or infinity in the luma.

    Source: as ``draw``'s.
    """
    field, reach = draw(luma, ab, weight, cells=cells)
    # Where next to nothing arrives, the ratio of two solutions that stopped early means nothing: let it fade.
    chroma = field / np.maximum(reach, 1e-3)
    return np.ascontiguousarray(chroma.transpose(1, 2, 0)), reach


def close_hints(luma: Plane, ab_net: Plane, hint_ab: Plane | None, hint_weight: Plane | None) -> Plane:
    """Add what a colouriser leaves off at the hints, spread along the picture's surfaces: the hint always wins.

    Args:
        luma: the film's luma at working size  [(H, W) float32 [0, 100] L*]
        ab_net: the colouriser's chroma        [(H, W, 2) float32 CIE Lab, a* b*]
        hint_ab: chroma asked for, or None     [(H, W, 2) float32 CIE Lab, a* b*]
        hint_weight: trust in it, 0 = no hint  [(H, W) float32 [0, 1]]

    Returns:
        Chroma: the hint itself where its weight is 1, the colouriser's where no hint reaches
        [(H, W, 2) float32 CIE Lab, a* b*]

    Raises:
        ShapeError: the arrays differ in H or W.
        FloatingPointError: there is NaN or infinity in the luma.

    Source: as ``draw``'s.
    """
    if hint_ab is None or hint_weight is None:
        return np.asarray(ab_net, np.float32)
    _check(luma, ab_net, hint_weight)
    _check(luma, hint_ab, hint_weight)
    left_off = hint_ab - ab_net
    added, reach = spread(luma, left_off, hint_weight)
    added *= (reach / (reach + CLOSING_KNEE))[..., None]
    added += (left_off - added) * hint_weight[..., None]
    return np.asarray(ab_net + added, np.float32)
