"""From pictures to tensors and back, and what must not be rounded on the way between them.

A network may run at half precision (`core.models.ways`). bfloat16 holds eight bits: whole numbers to 256, and of a
flow of twenty pixels the tenth, not the hundredth. So whatever counts pixels (places, flow, offsets) and what the
finished picture is summed from is kept at full precision within the networks, whatever their features are.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float32]


def to_planes(rgb: Array, device: torch.device) -> Tensor:
    """A picture as planes  [(H, W, 3) float32 to (1, 3, H, W) float32 on the device]."""
    return torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))[None].to(device)


def to_rgb(planes: Tensor) -> Array:
    """Planes as a picture, what is out of range cut off  [(1, 3, H, W) to (H, W, 3) float32 [0, 1]]."""
    return np.ascontiguousarray(planes[0].clamp(0.0, 1.0).permute(1, 2, 0).float().cpu().numpy())


def exact(x: Tensor) -> Tensor:
    """The same numbers at float32 where they are at half precision; else as they are."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def unrounded(part: nn.Module, x: Tensor) -> Tensor:
    """What a part of a network answers, at its weights' own precision also where the network runs under autocast."""
    with torch.autocast(x.device.type, enabled=False):
        return exact(part(x.to(next(part.parameters()).dtype)))
