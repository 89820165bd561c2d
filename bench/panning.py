"""A grey film in memory, any size and length: a camera that pans over a photograph. For measuring time, not truth."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from core.contract.fingerprint import fingerprint
from core.film.clip import Clip
from core.film.frame import GRID, Frame
from core.film.timebase import FrameRange

Array = NDArray[np.float32]
STEP = 3  # px per frame of 640x480: a slow pan
_GRAIN = 0.02  # R'G'B', standard deviation: so that nothing is smoother than film is
_GRAINS, _SHIFT = 8, 17  # one field of grain, seen through a window that jumps by so many pixels from frame to frame


class Panning:
    """A frame source of one shot.

    Args:
        size: (H, W) of its frames
        count: number of frames
        seed: of the grain
    """

    def __init__(self, size: tuple[int, int], count: int, seed: int = 0) -> None:
        h, w = size
        self._step = max(1, round(STEP * w / 640))
        scene = _scene((h, w + self._step * count))
        grain = np.random.default_rng(seed).standard_normal((h, w + _SHIFT * _GRAINS), np.float32)
        # On the 16-bit grid once, as a decoder would give it; a frame costs little more than its memory.
        self._scene = np.rint(scene * GRID).astype(np.int32)
        self._grain = np.rint(grain * _GRAIN * GRID).astype(np.int32)
        self.clip = Clip(
            path="panning",
            kind="sequence",
            sha256=fingerprint("panning", size, count, seed),
            width=w,
            height=h,
            rate=Fraction(24),
            time_base=Fraction(1, 24),
            pts=tuple(range(count)),
            end_pts=count,
            grey=True,
        )

    def frame(self, n: int) -> Frame:
        """Frame ``n``."""
        w, left, other = self.clip.width, n * self._step, n % _GRAINS * _SHIFT
        plane = np.clip(self._scene[:, left : left + w] + self._grain[:, other : other + w], 0, int(GRID))
        grey = plane.astype(np.float32) / np.float32(GRID)
        return Frame(n, np.repeat(grey[..., None], 3, axis=2))

    def frames(self, span: FrameRange) -> Iterator[Frame]:
        """Frames of a range in order."""
        return (self.frame(n) for n in span)

    def close(self) -> None:
        """Nothing to let go of."""


def _scene(size: tuple[int, int]) -> Array:
    """A photograph that comes with scikit-image, made grey, enlarged to cover the size and cut to it."""
    photograph = data.astronaut()  # type: ignore[no-untyped-call]
    grey = cv2.cvtColor(photograph, cv2.COLOR_RGB2GRAY).astype(np.float32) / np.float32(255)
    scale = max(size[0] / grey.shape[0], size[1] / grey.shape[1])
    whole = (int(np.ceil(grey.shape[1] * scale)), int(np.ceil(grey.shape[0] * scale)))
    large = cv2.resize(grey, whole, interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(large[: size[0], : size[1]], np.float32)
