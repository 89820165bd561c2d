"""DeOldify as a colouriser: the authors' own checkpoints, run without their framework.

Two roads through one network. `DeOldify.predict` is the house's: float from luma to chroma.
`DeOldify.faithful` is the published program's, in 8 bits with its roundings and its order of sums: on the same machine
the same picture, to the bit.

The network knows no hints; the stage that asks has them carried over what it answers.

Source: Antic 2018-2022, DeOldify (MIT), `deoldify/filters.py`.
"""

from __future__ import annotations

import copy
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
from core.models.placed import FAST, Placed
from core.models.shelf import card_of, find
from core.models.ways import choose_published, in_way

Plane = NDArray[np.float32]
Bytes = NDArray[np.uint8]

VERSION = 4  # raised whenever the same weights give another answer
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

    Weights are read at the first frame, once; calls may come from any thread.

    Args:
        make: makes the generator with its weights
        name: of `VARIANTS`
        weights: what names those weights, for the fingerprint
        render_factor: the network sees the picture stretched to a square of 16 times this
        device: as `core.models.device.pick_device` takes it

    Attributes:
        name: ``deoldify`` (video), ``deoldify-stable`` or ``deoldify-artistic``.
        way: how it runs, but for `faithful`, which is the published program's (see `core.models.ways`).
        fingerprint: of weights, render factor, this module's version and the way; for cache keys.
        render_factor: as given.
        automatic_square: side of that square; unasked it is shown the whole frame brought to it  [px]

    Raises:
        InputError: the render factor is out of bounds, or there is no such device.
    """

    def __init__(
        self,
        make: Callable[[], Generator],
        *,
        name: str,
        weights: str,
        render_factor: int,
        device: str | None = None,
    ) -> None:
        self.name = name
        self._weights = weights
        self.way = "float32"  # while the clock decides
        self._see_at(render_factor)
        where = pick_device(device)
        self._network = Placed(name, make, where)
        typical = torch.zeros(1, 3, self.automatic_square, self.automatic_square)
        self.way = choose_published(card_of(name).halves, lambda: _coloured(self._network, typical), where, name)
        self._see_at(render_factor)

    def _see_at(self, render_factor: int) -> None:
        if not 2 <= render_factor <= 128:
            raise InputError(f"{self.name}: render factor {render_factor} is outside 2 to 128; 21 to 35 are usual")
        self.render_factor = render_factor
        own = fingerprint("deoldify", VERSION, self.name, self._weights, render_factor)
        self.fingerprint = in_way(own, self.way)
        self.automatic_square = render_factor * STEP

    def at(self, render_factor: int) -> DeOldify:
        """The same network at another render factor, its weights shared; 0: at its own.

        Raises:
            InputError: it is out of bounds.
        """
        if render_factor in (0, self.render_factor):
            return self
        other = copy.copy(self)
        other._see_at(render_factor)
        return other

    @classmethod
    def load(
        cls,
        name: str = "deoldify",
        folder: Path | None = None,
        *,
        render_factor: int | None = None,
        device: str | None = None,
    ) -> DeOldify:
        """Take a published checkpoint.

        Args:
            name: of `VARIANTS`
            folder: where checkpoints lie; None: the model folder
            render_factor: None: the one its authors chose for it
            device: as `core.models.device.pick_device` takes it

        Raises:
            InputError: the render factor is out of bounds, or there is no such device.
            ModelMissingError: the checkpoint is not there.
            WeightsError: only at first use: it is damaged or of another model.
        """
        variant = VARIANTS[name]
        path = find(name, folder)
        return cls(
            partial(read_network, partial(Generator, variant.kind), path),
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
        return cls(
            partial(drawn, partial(Generator, variant.kind), seed),
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
            WeightsError: the weights are not this network's.

        Source: Antic, DeOldify, `filters.py`, without its roundings to 8 bits.
        """
        check_luma(luma)
        h, w = luma.shape
        grey = grey_of(luma)
        side = self.render_factor * STEP
        small = scaled(torch.from_numpy(grey)[None, None], (side, side)).clamp(0.0, 1.0)
        rgb = _coloured(self._network, small.expand(1, 3, side, side), way=self.way)
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
        # Plain memory gives the published program's sums (`deoldify_net`).
        rgb = _coloured(self._network, planes, torch.contiguous_format)[0].permute(1, 2, 0).cpu().numpy()
        return (rgb * np.float32(255.0)).astype(np.uint8)


def _coloured(
    network: Placed[Generator], grey: Tensor, layout: torch.memory_format = FAST, way: str = "float32"
) -> Tensor:
    """R'G'B' [(1, 3, S, S) float32 [0, 1]] of three equal planes of the same kind."""
    with torch.inference_mode():
        y = network((grey - _MEAN) / _STD, layout=layout, way=way)
        return (y * _STD + _MEAN).clamp(0.0, 1.0)


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
