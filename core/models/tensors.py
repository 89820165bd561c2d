"""From pictures to tensors and back; and values that are made once, when they are first asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

T = TypeVar("T")
Array = NDArray[np.float32]


def to_planes(rgb: Array, device: torch.device) -> Tensor:
    """A picture as planes  [(H, W, 3) float32 to (1, 3, H, W) float32 on the device]."""
    return torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))[None].to(device)


def to_rgb(planes: Tensor) -> Array:
    """Planes as a picture, what is out of range cut off  [(1, 3, H, W) to (H, W, 3) float32 [0, 1]]."""
    return np.ascontiguousarray(planes[0].clamp(0.0, 1.0).permute(1, 2, 0).cpu().numpy())


class Once(Generic[T]):
    """A value that takes long to make: made at the first call, by the thread that comes first, and kept."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: list[T] = []
        self._lock = threading.Lock()

    def __call__(self) -> T:
        """The value.

        Raises:
            Exception: whatever making it raises; the next call tries again.
        """
        with self._lock:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]
