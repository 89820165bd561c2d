"""Chroma brought from working size to full size, guided by the film's own luma.

Chroma is explained by luma in small windows as ``ab = slope * L + offset``; the two coefficients, not the chroma, are
brought up to full size, and the full-size luma makes chroma's borders as sharp as its own. Where luma explains little
of chroma's change, the slope a small window fits is chance, and would print luma's texture into the colour: it counts
by how much it explains. The result is kept within what the working-size chroma says nearby, so that no halo of a
foreign colour arises.

Source: He & Sun 2015, "Fast guided filter"; He, Sun & Tang 2013, "Guided image filtering".
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import ShapeError

Plane = NDArray[np.float32]

RADIUS = 1  # windows of 3x3 at working size: chroma is re-sharpened, not blurred
EPSILON = 4.0  # L*^2: where luma varies by less than 2 L*, its noise must not colour chroma
DOUBT = 2  # power of the explained share of variance that a slope is scaled by: flat between 2 and 4


def upsample_chroma(luma_small: Plane, ab_small: Plane, luma_full: Plane) -> Plane:
    """Bring chroma to the size of the frame.

    Args:
        luma_small: luma at working size  [(h, w) float32 [0, 100] L*]
        ab_small: chroma at working size  [(h, w, 2) float32 CIE Lab, a* b*]
        luma_full: luma of the frame      [(H, W) float32 [0, 100] L*]

    Returns:
        Chroma of the frame  [(H, W, 2) float32 CIE Lab, a* b*]

    Raises:
        ShapeError: the planes of working size differ, or are no planes.

    Source: He & Sun 2015.
    """
    if luma_small.ndim != 2 or ab_small.shape != (*luma_small.shape, 2) or luma_full.ndim != 2:
        raise ShapeError(
            f"luma {luma_small.shape} and chroma {ab_small.shape} must agree in height and width, and the frame's luma "
            f"{luma_full.shape} must be a plane"
        )
    if luma_small.shape == luma_full.shape:
        return np.ascontiguousarray(ab_small, np.float32)
    size = (2 * RADIUS + 1, 2 * RADIUS + 1)
    h, w = luma_full.shape

    def mean(plane: Plane) -> Plane:
        return np.asarray(cv2.blur(plane, size, borderType=cv2.BORDER_REFLECT_101), np.float32)

    def fine(plane: NDArray[Any]) -> Plane:
        return np.asarray(cv2.resize(plane, (w, h), interpolation=cv2.INTER_LINEAR), np.float32)

    mean_l = mean(luma_small)
    variance = np.maximum(mean(luma_small * luma_small) - mean_l * mean_l, 0) + np.float32(EPSILON)
    kernel = np.ones((3, 3), np.uint8)
    out = []
    for channel in (0, 1):  # plane by plane: NumPy is slow along an axis of two
        ab = np.ascontiguousarray(ab_small[..., channel])
        mean_ab = mean(ab)
        covariance = mean(luma_small * ab) - mean_l * mean_ab
        varied = np.maximum(mean(ab * ab) - mean_ab * mean_ab, np.float32(1e-6))
        fitted = covariance / variance
        explained = np.minimum(covariance * fitted / varied, 1)
        slope = fitted * explained**DOUBT
        # What the fit leaves over stays in the offset, so that the luma at working size gives the chroma itself.
        offset = ab - slope * luma_small
        chroma = cv2.add(cv2.multiply(fine(slope), luma_full), fine(offset))
        out.append(cv2.min(cv2.max(chroma, fine(cv2.erode(ab, kernel))), fine(cv2.dilate(ab, kernel))))
    return np.asarray(cv2.merge(out), np.float32)
