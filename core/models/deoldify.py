"""DeOldify as a colouriser: the authors' own checkpoints, run without their framework.

Two roads through one network. `DeOldify.predict` is the house's: float from luma to chroma.
`DeOldify.faithful` is the published program's, in 8 bits with its roundings, for comparison with it.

The network knows no hints; the stage that asks has them carried over what it answers.

Source: Antic 2018-2022, DeOldify (MIT), `deoldify/filters.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from core.contract.fingerprint import fingerprint
from core.contract.plugins import Plugins
from core.errors import InputError
from core.film.colour import srgb_to_lab
from core.models.checkpoint import check_for, identity_of, read_network
from core.models.colouriser import check_luma
from core.models.deoldify_net import Generator, Kind
from core.models.device import pick_device
from core.models.drawn import drawn
from core.models.grey import grey_of, scaled
from core.models.shelf import card_of, find
from core.models.ways import choose_published, held, in_way, running

Plane = NDArray[np.float32]
Bytes = NDArray[np.uint8]

VERSION = 2  # raised whenever the same weights give another answer
STEP = 16  # pixels per unit of render factor
# ImageNet's mean and standard deviation of R'G'B', which the body was trained with.
_MEAN = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
_STD = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)
# ITU-R BT.601, in whose Y'UV the chroma is taken over.
_LUMA = torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)


@dataclass(frozen=True)
class Variant:
    """A published generator: its colouriser's name, its network, its authors' render factor."""

    name: str
    kind: Kind
    render_factor: int


VARIANTS = {
    v.name: v
    for v in (
        Variant("deoldify", "wide", 21),
        Variant("deoldify-stable", "wide", 35),
        Variant("deoldify-artistic", "deep", 35),
    )
}


class DeOldify:
    """One of DeOldify's generators with its weights. Fulfils the colouriser protocol.

    Attributes:
        name: ``deoldify`` (video), ``deoldify-stable`` or ``deoldify-artistic``.
        way: how it runs, but for `faithful`, which is the published program's (see `core.models.ways`).
        fingerprint: of weights, render factor, this module's version and the way; for cache keys.
        render_factor: the network sees the picture stretched to a square of 16 times this.
        automatic_long_side: of that square; more luma than that tells it nothing.
    """

    def __init__(
        self,
        network: Generator,
        *,
        name: str,
        weights: str,
        render_factor: int,
        device: str | None = None,
    ) -> None:
        if not 2 <= render_factor <= 128:
            raise InputError(f"{name}: render factor {render_factor} is outside 2 to 128; 21 to 35 are usual")
        self.name = name
        self.render_factor = render_factor
        self.automatic_long_side = render_factor * STEP
        self._device = pick_device(device)
        # Channels last is a quarter faster on a CPU, and differs in the last bits only.
        self._network = network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        typical = torch.zeros(1, 3, self.automatic_long_side, self.automatic_long_side)
        self.way = choose_published(card_of(name).halves, lambda: self._colour(typical), self._device, name)
        self.fingerprint = in_way(fingerprint("deoldify", VERSION, name, weights, render_factor), self.way)

    @classmethod
    def load(
        cls,
        name: str = "deoldify",
        folder: Path | None = None,
        *,
        render_factor: int | None = None,
        device: str | None = None,
    ) -> DeOldify:
        """Load a published checkpoint.

        Args:
            name: of `VARIANTS`
            folder: where checkpoints lie; None: the model folder
            render_factor: None: the one its authors chose for it
            device: as `core.models.device.pick_device` takes it

        Raises:
            InputError: the render factor is out of bounds, or there is no such device.
            ModelMissingError: the checkpoint is not there.
            WeightsError: it is there, but damaged or of another model.
        """
        variant = VARIANTS[name]
        path = find(name, folder)
        network = read_network(partial(Generator, variant.kind), path)
        return cls(
            network,
            name=name,
            weights=identity_of(path),
            render_factor=render_factor or variant.render_factor,
            device=device,
        )

    @classmethod
    def random_init(
        cls,
        name: str = "deoldify",
        seed: int = 0,
        *,
        render_factor: int | None = None,
        device: str | None = None,
    ) -> DeOldify:
        """The same network with random weights, for measurements: its speed does not depend on them."""
        variant = VARIANTS[name]
        network = drawn(partial(Generator, variant.kind), seed)
        return cls(
            network,
            name=name,
            weights=f"random {seed}",
            render_factor=render_factor or variant.render_factor,
            device=device,
        )

    def predict(self, luma: Plane) -> Plane:
        """Predict chroma for one frame.

        Args:
            luma: the film's luma  [(H, W) float32 [0, 100] L*]

        Returns:
            Chroma  [(H, W, 2) float32 CIE Lab D65, a* b*]

        Raises:
            ShapeError: luma is no plane.

        Source: Antic, DeOldify, `filters.py`, without its roundings to 8 bits.
        """
        check_luma(luma)
        h, w = luma.shape
        grey = grey_of(luma)
        side = self.render_factor * STEP
        small = scaled(torch.from_numpy(grey)[None, None], (side, side)).clamp(0.0, 1.0)
        rgb = self._colour(small.expand(1, 3, side, side), self.way)
        # Only the colour differences are carried up; Y' is the film's own.
        difference = (rgb - _luma_of(rgb)).cpu()
        full = scaled(difference, (h, w))[0].permute(1, 2, 0).numpy()
        lab = srgb_to_lab(np.clip(grey[..., None] + full, 0.0, 1.0))
        return np.ascontiguousarray(lab[..., 1:])

    def faithful(self, rgb: Bytes) -> Bytes:
        """Colour an 8-bit picture exactly as the published program does (without its watermark).

        Args:
            rgb: grey or colour; of its colour only the grey is used  [(H, W, 3) uint8 R'G'B']

        Returns:
            [(H, W, 3) uint8 R'G'B']

        Source: Antic, DeOldify, `filters.py`.
        """
        small = self.faithful_colour(squeeze(rgb, self.render_factor * STEP))
        h, w = rgb.shape[:2]
        large = np.asarray(Image.fromarray(small).resize((w, h), Image.Resampling.BILINEAR))
        return transplant(rgb, large)

    def faithful_colour(self, small: Bytes) -> Bytes:
        """What the network makes of a small grey picture, cut (not rounded) to 8 bits.

        Args:
            small: three equal planes  [(S, S, 3) uint8 R'G'B']

        Returns:
            [(S, S, 3) uint8 R'G'B']
        """
        planes = torch.from_numpy(small.astype(np.float32) / np.float32(255.0)).permute(2, 0, 1)[None]
        rgb = self._colour(planes)[0].permute(1, 2, 0).cpu().numpy()
        return (rgb * np.float32(255.0)).astype(np.uint8)

    def _colour(self, grey: Tensor, way: str = "float32") -> Tensor:
        """R'G'B' [(1, 3, S, S) float32 [0, 1]] of three equal planes of the same kind."""
        mean, std = _MEAN.to(self._device), _STD.to(self._device)
        with torch.inference_mode(), running(way, self._device):
            x = (grey.to(self._device) - mean) / std
            y = held(self._network(x.contiguous(memory_format=torch.channels_last)), way, self.name)
            return (y * std + mean).clamp(0.0, 1.0)


def squeeze(rgb: Bytes, side: int) -> Bytes:
    """Stretch a picture to a square, then take its grey, as the published program does.

    Args:
        rgb: the picture  [(H, W, 3) uint8 R'G'B']
        side: of the square  [px]

    Returns:
        Three equal planes  [(side, side, 3) uint8]
    """
    small = Image.fromarray(rgb).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(small.convert("L").convert("RGB"))


def transplant(original: Bytes, coloured: Bytes) -> Bytes:
    """Y' of one picture with U and V of the other.

    Args:
        original: whose Y' is kept  [(H, W, 3) uint8 R'G'B']
        coloured: whose chroma is taken  [(H, W, 3) uint8 R'G'B']

    Returns:
        [(H, W, 3) uint8 R'G'B']

    Source: ITU-R BT.601 Y'UV in OpenCV's 8-bit arithmetic, which the published program uses.
    """
    yuv = cv2.cvtColor(np.ascontiguousarray(coloured), cv2.COLOR_RGB2YUV)
    yuv[..., 0] = cv2.cvtColor(np.ascontiguousarray(original), cv2.COLOR_RGB2YUV)[..., 0]
    return np.asarray(cv2.cvtColor(yuv, cv2.COLOR_YUV2RGB), np.uint8)


def register(plugins: Plugins) -> None:
    """Offer the three published generators as colourisers; each asks for its checkpoint when it is made."""
    for name, variant in VARIANTS.items():
        maker: Callable[[str | None], DeOldify] = partial(_make, name)
        plugins.colourisers.add(name, maker)
        plugins.checks.add(name, check_for(partial(Generator, variant.kind)))


def _make(name: str, device: str | None) -> DeOldify:
    return DeOldify.load(name, device=device)


def _luma_of(rgb: Tensor) -> Tensor:
    """Y' of BT.601  [(1, 1, S, S)]."""
    return (rgb * _LUMA.to(rgb.device)).sum(dim=1, keepdim=True)
