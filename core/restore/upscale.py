"""Larger pictures: by Lanczos interpolation, which invents nothing, or by a published network, which may."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from core.contract.params import number, registered, text
from core.contract.registry import Makers
from core.contract.stage import StageBase, StageContext, Window
from core.errors import RecipeError
from core.film.colour import is_grey
from core.models.upscaler import Denoises, FallsShort, Upscaler

Array = NDArray[np.float32]
LANCZOS = "lanczos"
_SIZE = re.compile(r"\s*(\d{1,5})\s*[xX×]\s*(\d{1,5})\s*")


@dataclass(frozen=True)
class UpscaleParams:
    """How large, and how."""

    factor: float = number(2.0, 0.25, 8.0, unit="×", help="How much larger; not used where a size is given")
    size: str = text("", help="Size to fit into, as WIDTHxHEIGHT, e.g. 1920x1080; the shape of the picture is kept")
    by: str = registered(
        LANCZOS,
        "upscalers",
        help="Who makes new pixels: lanczos, which invents nothing, or a network of the model shelf",
        besides=(LANCZOS,),
        formerly="method",
    )
    denoise: float = number(
        0.5,
        0.0,
        1.0,
        help="How much grain and noise is taken out, where the network leaves the choice: realesr-general",
    )


class Upscale(StageBase):
    """Make the picture larger (or smaller), its shape kept, both sides even.

    A network enlarges by its own factor; what is asked for beyond or below that is resampled from its answer.

    Window: the frame alone; for networks that see several frames, as many to each side as they were trained with, at a
    shot's ends those it lacks on the other side.
    Identity: where the new size is the old one and no network is asked: some restore without enlarging.
    Cost: about 65 ms to HD on two cores by Lanczos; by networks seconds to minutes.

    Source: Duchon 1979 (Lanczos filter; OpenCV's 8 × 8 kernel). Smaller sizes are made by area averaging.
    """

    name: ClassVar[str] = "upscale"
    version: ClassVar[int] = 1
    help: ClassVar[str] = "Makes the picture larger, to a factor or into a size, keeping its shape"
    Params: ClassVar[type] = UpscaleParams

    def __init__(self, makers: Makers) -> None:
        self._makers = makers

    def upscaler(self, params: UpscaleParams, device: str | None = None) -> Upscaler | None:
        """The network asked for, made once; None for Lanczos.

        Raises:
            RecipeError: there is none of that name.
            ModelMissingError: its checkpoint is not in the model folder.
        """
        name = params.by
        if name == LANCZOS:
            return None
        if name not in self._makers:
            known = ", ".join([LANCZOS, *sorted(self._makers)])
            raise RecipeError(f"stage upscale, parameter 'by': expected one of {known}, got {name!r}")
        made: Upscaler | Denoises = self._makers.made(name, device)
        return made.at(params.denoise) if isinstance(made, Denoises) else made

    def key_parts(self, params: UpscaleParams, device: str | None = None) -> tuple[Any, ...]:
        """The fingerprint of the network, which holds its weights' hash and how it runs there."""
        upscaler = self.upscaler(params, device)
        return (upscaler.fingerprint,) if upscaler else ()

    def radius(self, params: UpscaleParams, device: str | None = None) -> int:
        """As many frames as the network looks at; none for Lanczos."""
        upscaler = self.upscaler(params, device)
        return upscaler.radius if upscaler else 0

    def fills_window(self, params: UpscaleParams) -> bool:
        """With a network: one that looks at several frames was trained with that many."""
        return params.by != LANCZOS

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
        size = self.size(window.frame.size, params)
        upscaler = self.upscaler(params, context.device)
        if upscaler is None:
            return resampled(window.frame.rgb, size)
        frames = [frame.rgb for frame in window.frames]
        if not isinstance(upscaler, FallsShort):
            return resampled(upscaler.enlarge(frames, window.centre), size)
        made, instead = upscaler.enlarge_or_less(frames, window.centre)
        if instead:
            context.fell_short(instead)
        return resampled(made, size)


def resampled(rgb: Array, size: tuple[int, int]) -> Array:
    """A picture at another size, by Lanczos where it grows and by area averaging where it shrinks.

    Args:
        rgb: [(H, W, 3) float32 [0, 1] R'G'B']
        size: (H', W'); where it is the picture's own, the picture is given back as it is

    Returns:
        [(H', W', 3) float32 [0, 1] R'G'B']
    """
    h, w = size
    if (h, w) == rgb.shape[:2]:
        return rgb
    larger = h >= rgb.shape[0]
    way = cv2.INTER_LANCZOS4 if larger else cv2.INTER_AREA
    grey = is_grey(rgb)
    out = cv2.resize(rgb[..., 0] if grey else rgb, (w, h), interpolation=way)
    out = np.clip(out, 0.0, 1.0)  # Lanczos overshoots at edges
    return np.asarray(np.dstack([out] * 3) if grey else out, np.float32)


def _even(length: float) -> int:
    """The nearest even number, at least 2: encoders ask for even sides."""
    return max(2, 2 * round(length / 2))


def _down_even(length: int) -> int:
    return length - length % 2
