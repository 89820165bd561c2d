"""From pictures to tensors and back."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float32]


def to_planes(rgb: Array, device: torch.device) -> Tensor:
    """A picture as planes  [(H, W, 3) float32 to (1, 3, H, W) float32 on the device]."""
    return torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))[None].to(device)


def to_rgb(planes: Tensor) -> Array:
    """Planes as a picture, what is out of range cut off  [(1, 3, H, W) to (H, W, 3) float32 [0, 1]]."""
    return np.ascontiguousarray(planes[0].clamp(0.0, 1.0).permute(1, 2, 0).cpu().numpy())
