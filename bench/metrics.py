"""What the benches measure, each as its paper defines it. Values in, numbers out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from core.errors import ShapeError
from core.film.colour import Array, delta_e
from core.flow import warp, warp_valid

Picture8 = NDArray[np.uint8]
Inside = NDArray[np.bool_]


def to_8bit(rgb: Array) -> Picture8:
    """R'G'B' in [0, 1] to the 8-bit picture that PSNR and CDC are taken of  [(H, W, 3) uint8]."""
    return np.asarray(np.rint(np.clip(rgb, 0, 1) * 255), np.uint8)


def psnr(a: Picture8, b: Picture8) -> float:
    """Peak signal-to-noise ratio over all samples, dB; 100 where the pictures are equal.

    Raises:
        ShapeError: the pictures differ in shape.
    """
    _same(a, b)
    error = float(np.mean(np.square(a.astype(np.float32) - b.astype(np.float32)), dtype=np.float64))
    return 100.0 if error == 0 else float(10 * np.log10(255.0**2 / error))


def mean_delta_e(lab_a: Array, lab_b: Array, inside: Inside | None = None) -> float:
    """Mean CIEDE2000 over the picture, or over the pixels inside; NaN where there are none.

    Raises:
        ShapeError: the pictures differ in shape.
    """
    _same(lab_a, lab_b)
    if inside is not None:
        lab_a, lab_b = lab_a[inside], lab_b[inside]
    return float(np.mean(delta_e(lab_a, lab_b))) if lab_a.size else float("nan")


def cdc(frames: Sequence[Picture8], steps: Sequence[int] = (1, 2, 4)) -> float:
    """Colour distribution consistency: how much the colour histograms change from frame to frame.

    Per channel 256-bin normalised histograms; Jensen-Shannon divergence (natural log) between frames i and i+d;
    mean over i, then over d, then over channels. A clip too short for a step leaves that step out.

    Source: Zhang et al. 2023 (TCVC, arXiv 2110.04562), equation 9.
    """
    return cdc_of([histograms(f) for f in frames], steps)


def cdc_of(counted: Sequence[NDArray[np.float64]], steps: Sequence[int] = (1, 2, 4)) -> float:
    """The same from the frames' `histograms`, where frames themselves are not kept."""
    if len(counted) < 2:
        return 0.0
    together = np.stack(counted)
    means = [float(np.mean(_divergence(together[:-step], together[step:]))) for step in steps if step < len(counted)]
    return float(np.mean(means))


def histograms(frame: Picture8) -> NDArray[np.float64]:
    """Normalised histogram of each channel: all that CDC asks of a frame  [(3, 256) float64]."""
    counts = [np.bincount(frame[..., c].ravel(), minlength=256) for c in range(3)]
    return np.stack(counts) / frame[..., 0].size


def seen_again(forward: Array, backward: Array) -> Inside:
    """Where a later frame shows what this one does: not hidden there, not beside a border of motion, not outside.

    Args:
        forward: from this frame to the later one  [(h, w, 2) float32 px]
        backward: and back                         [(h, w, 2) float32 px]

    Returns:
        [(h, w) bool]

    Raises:
        ShapeError: the flows differ in size.

    Source: Lai et al. 2018 ("Learning blind video temporal consistency"), as in its published evaluation.
    """
    back = warp(backward, forward)
    length = _squared(forward)
    closed = _squared(forward + back) <= 0.01 * (length + _squared(back)) + 0.5
    along_x = np.diff(forward, axis=1, append=forward[:, -1:])
    along_y = np.diff(forward, axis=0, append=forward[-1:])
    even = _squared(along_x) + _squared(along_y) <= 0.01 * length + 0.002
    return np.asarray(closed & even & (warp_valid(forward) > 0))


def warp_error(before: Array, after: Array, forward: Array, seen: Inside) -> float:
    """Mean square by which a picture differs from the later one seen through the flow; NaN where nothing is seen.

    Args:
        before: one frame, chroma here            [(h, w, c) float32]
        after: the later one                      [(h, w, c) float32]
        forward: from the one to the other        [(h, w, 2) float32 px]
        seen: what both show, as of `seen_again`  [(h, w) bool]

    Raises:
        ShapeError: the pictures or the flow differ in size.

    Source: Lai et al. 2018, equation 8 (there of R'G'B' in [0, 1]).
    """
    _same(before, after)
    difference = (warp(after, forward) - before)[seen]
    return float(np.mean(np.square(difference), dtype=np.float64)) if difference.size else float("nan")


def flips(before: Inside, after: Inside, backward: Array) -> float:
    """Pixels of a mask that are not what the mask before, seen through the flow, says: as a share of the mask.

    Args:
        before: mask of one frame                [(h, w) bool]
        after: of the later one                  [(h, w) bool]
        backward: from the later to the earlier  [(h, w, 2) float32 px]

    Returns:
        NaN where the later mask is empty.

    Raises:
        ShapeError: the masks or the flow differ in size.
    """
    _same(before, after)
    moved = warp(before.astype(np.float32), backward) > 0.5
    size = int(np.count_nonzero(after))
    return float(np.count_nonzero(moved ^ after) / size) if size else float("nan")


def colourfulness(rgb: Picture8) -> float:
    """Colourfulness of Hasler & Süsstrunk, in its usual code form (with the absolute value of yb).

    Source: Hasler & Süsstrunk 2003, "Measuring colourfulness in natural images", equation 8.
    """
    r, g, b = (rgb[..., i].astype(np.float64) for i in range(3))
    rg, yb = np.abs(r - g), np.abs(0.5 * (r + g) - b)
    return float(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))


def iou(a: Inside, b: Inside) -> float:
    """Intersection over union of two masks; 1 where both are empty (DAVIS' J).

    Raises:
        ShapeError: the masks differ in shape.
    """
    _same(a, b)
    union = int(np.count_nonzero(a | b))
    return float(np.count_nonzero(a & b) / union) if union else 1.0


def spill(lab: Array, lab_without: Array, inside: Inside, margin: int = 0) -> float:
    """Mean CIEDE2000 that the hints changed outside their region, against the picture without hints.

    Args:
        lab: rendered with hints       [(H, W, 3) float32 Lab]
        lab_without: rendered without  [(H, W, 3) float32 Lab]
        inside: all regions            [(H, W) bool]
        margin: pixels around the regions that are left out as well.
    """
    import cv2  # only here: everything else in this file is plain arithmetic

    grown = inside
    if margin:
        size = 2 * margin + 1
        grown = cv2.dilate(inside.astype(np.uint8), np.ones((size, size), np.uint8)).astype(bool)
    return mean_delta_e(lab, lab_without, ~grown)


def auc(score: NDArray[np.floating[Any]], positive: Inside) -> float:
    """Area under the receiver operating characteristic: how likely a positive scores above a negative.

    Exact, from ranks; equal scores share theirs, so that each tie counts one half. NaN where one class is empty.

    Args:
        score: higher for what is taken for positive  [any shape]
        positive: what is                             [the same shape, bool]

    Raises:
        ShapeError: the arrays differ in shape.

    Source: Hanley & McNeil 1982 (the area is the Mann-Whitney statistic).
    """
    _same(score, positive)
    above, below = int(np.count_nonzero(positive)), int(np.count_nonzero(~positive))
    if not above or not below:
        return float("nan")
    ranks = rankdata(score.ravel())[positive.ravel()]
    return float((ranks.sum() - above * (above + 1) / 2) / (above * below))


def _squared(vectors: Array) -> Array:
    return np.asarray(vectors[..., 0] ** 2 + vectors[..., 1] ** 2, np.float32)


def _divergence(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    m = (p + q) / 2
    return 0.5 * (_kl(p, m) + _kl(q, m))


def _kl(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    ratio = np.divide(p, q, out=np.ones_like(p), where=(p > 0) & (q > 0))
    return np.asarray(np.sum(p * np.log(ratio, out=np.zeros_like(p), where=ratio > 0), axis=-1))


def _same(a: NDArray[np.generic], b: NDArray[np.generic]) -> None:
    if a.shape != b.shape:
        raise ShapeError(f"pictures to compare are {a.shape} and {b.shape}; bring both to one shape")
