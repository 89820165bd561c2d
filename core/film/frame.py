"""One picture of the film, and the grid on which pictures pass from stage to stage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import ShapeError

Array = NDArray[np.float32]
GRID = 65535.0


@dataclass(frozen=True, repr=False, eq=False)
class Frame:
    """A picture and its number.

    Attributes:
        index: number in the sequence it belongs to, 0-based.
        rgb: [(H, W, 3) float32 [0, 1] R'G'B'], read-only; three equal planes where the film is grey.
    """

    index: int
    rgb: Array

    def __post_init__(self) -> None:
        rgb = self.rgb
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.float32:
            raise ShapeError(f"frame {self.index}: expected (H, W, 3) float32, got {rgb.shape} {rgb.dtype}")
        rgb.setflags(write=False)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return int(self.rgb.shape[0]), int(self.rgb.shape[1])

    def __repr__(self) -> str:
        return f"Frame({self.index}, {self.rgb.shape[1]}x{self.rgb.shape[0]})"


def on_grid(rgb: Array) -> Array:
    """Clip and round to steps of 1/65535, the grid on which every stage hands its picture on.

    Because all pictures lie on this grid, storing them as 16-bit integers is exact, and a picture read
    from the cache is bit for bit the picture that was computed. 8, 10, 12 and 16 bit sources lie on or
    within half a step of it.

    Args:
        rgb: [(H, W, 3) float32 R'G'B', nominally [0, 1]]

    Returns:
        [(H, W, 3) float32 [0, 1]]
    """
    out = np.clip(rgb, 0.0, 1.0) * np.float32(GRID)
    np.rint(out, out=out)
    out /= np.float32(GRID)
    return out.astype(np.float32, copy=False)
