"""Larger pictures. For now by Lanczos interpolation, which invents nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from core.contract.params import choice, number, text
from core.contract.stage import StageBase, StageContext, Window
from core.errors import RecipeError

Array = NDArray[np.float32]
_SIZE = re.compile(r"\s*(\d{1,5})\s*[xX×]\s*(\d{1,5})\s*")


@dataclass(frozen=True)
class UpscaleParams:
    """How large, and how."""

    factor: float = number(2.0, 0.25, 8.0, unit="×", help="How much larger; not used where a size is given")
    size: str = text("", help="Size to fit into, as WIDTHxHEIGHT, e.g. 1920x1080; the shape of the picture is kept")
    method: str = choice("lanczos", ("lanczos",), help="How new pixels are made")


class Upscale(StageBase):
    """Make the picture larger (or smaller), its shape kept, both sides even.

    Window: the frame alone.
    Identity: where the new size is the old one.
    Cost: about 65 ms to HD on two cores.

    Source: Duchon 1979 (Lanczos filter; OpenCV's 8 × 8 kernel). Smaller sizes are made by area averaging.
    """

    name: ClassVar[str] = "upscale"
    version: ClassVar[int] = 1
    help: ClassVar[str] = "Makes the picture larger, to a factor or into a size, keeping its shape"
    Params: ClassVar[type] = UpscaleParams

    def radius(self, params: UpscaleParams) -> int:
        """No other frames."""
        return 0

    def size(self, size: tuple[int, int], params: UpscaleParams) -> tuple[int, int]:
        """(H, W) after it: fits the size asked for, even numbers.

        Raises:
            RecipeError: the size is not WIDTHxHEIGHT, or smaller than 2x2.
        """
        h, w = size
        if not params.size.strip():
            factor = params.factor
            return (h, w) if factor == 1 else (_even(h * factor), _even(w * factor))
        match = _SIZE.fullmatch(params.size)
        if match is None or min(int(match[1]), int(match[2])) < 2:
            raise RecipeError(f"stage upscale, parameter 'size': expected e.g. 1920x1080, got {params.size!r}")
        box_w, box_h = int(match[1]), int(match[2])
        if (box_w, box_h) == (w, h):
            return h, w
        # One side fills the box; the other may round up to it but never beyond.
        factor = min(box_w / w, box_h / h)
        return min(_even(h * factor), _down_even(box_h)), min(_even(w * factor), _down_even(box_w))

    def process(self, window: Window, params: UpscaleParams, context: StageContext) -> Array:
        """The frame at its new size  [(H', W', 3) float32 [0, 1] R'G'B']."""
        rgb = window.frame.rgb
        h, w = self.size(window.frame.size, params)
        if (h, w) == window.frame.size:
            return rgb
        larger = h >= rgb.shape[0]
        way = cv2.INTER_LANCZOS4 if larger else cv2.INTER_AREA
        grey = np.array_equal(rgb[..., 0], rgb[..., 1]) and np.array_equal(rgb[..., 1], rgb[..., 2])
        out = cv2.resize(rgb[..., 0] if grey else rgb, (w, h), interpolation=way)
        out = np.clip(out, 0.0, 1.0)  # Lanczos overshoots at edges
        return np.asarray(np.dstack([out] * 3) if grey else out, np.float32)


def _even(length: float) -> int:
    """The nearest even number, at least 2: encoders ask for even sides."""
    return max(2, 2 * round(length / 2))


def _down_even(length: int) -> int:
    return length - length % 2
