"""Pictures as they are meant to be seen: square pixels, upright."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.film.frame import on_grid

Array = NDArray[np.float32]


def displayed_size(size: tuple[int, int], sar: Fraction, rotation: int) -> tuple[int, int]:
    """(H, W) of a stored picture after its sample aspect ratio (the width changes) and its rotation."""
    height, width = size[0], max(round(size[1] * sar), 1)
    return (width, height) if rotation % 180 else (height, width)


def upright(rgb: Array, sar: Fraction, rotation: int) -> Array:
    """Apply sample aspect ratio and rotation.

    Args:
        rgb: picture as stored  [(H, W, 3) float32 [0, 1] R'G'B']
        sar: width of a sample over its height.
        rotation: degrees clockwise, a multiple of 90.

    Returns:
        [(H', W', 3) float32 [0, 1] R'G'B' on the 16-bit grid], as `displayed_size` says.
    """
    width = max(round(rgb.shape[1] * sar), 1)
    if width != rgb.shape[1]:
        rgb = on_grid(_stretch(rgb, width))
    if rotation % 360:
        rgb = np.ascontiguousarray(np.rot90(rgb, -rotation // 90))
    return rgb


def _stretch(rgb: Array, width: int) -> Array:
    """Lanczos (three lobes, widened when reducing) along rows; equal planes stay equal."""
    planes = [
        np.asarray(Image.fromarray(plane).resize((width, rgb.shape[0]), Image.Resampling.LANCZOS))
        for plane in cv2.split(rgb)
    ]
    return np.asarray(cv2.merge(planes), np.float32)
