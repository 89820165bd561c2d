"""Grey pictures as published networks are shown them: R' = G' = B', at the network's own size."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from core.film.colour import lab_to_srgb

Plane = NDArray[np.float32]


def grey_of(luma: Plane) -> Plane:
    """R' = G' = B' of a grey of this L*.

    Args:
        luma: L*  [(H, W) float32 [0, 100]]

    Returns:
        [(H, W) float32 [0, 1] R'G'B' sRGB]

    Source: IEC 61966-2-1; CIE 15:2004.
    """
    lab = np.zeros((*luma.shape, 3), np.float32)
    lab[..., 0] = luma
    return np.ascontiguousarray(lab_to_srgb(lab)[..., 1])


def scaled(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring planes to another size with a triangle filter, widened where it shrinks: what Pillow calls BILINEAR.

    Args:
        planes: of any content  [(N, C, H, W) float32]
        size: (h, w)            [px]

    Returns:
        [(N, C, h, w) float32]
    """
    return F.interpolate(planes, size, mode="bilinear", align_corners=False, antialias=True)
