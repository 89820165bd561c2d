"""DDColor as a colouriser: the authors' own checkpoints, run without their framework.

Two roads through one network. `DDColor.predict` is the house's: float from luma to chroma. `DDColor.faithful` is the
published program's, from 8 bits to 8 bits, for comparison with it.

The network knows no hints; the stage that asks has them carried over what it answers.

Source: Kang, Yang, Ouyang, Ren, Li & Xie 2023, "DDColor: towards photo-realistic image colorization via dual
decoders".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from core.contract.fingerprint import fingerprint
from core.contract.plugins import Plugins
from core.errors import InputError
from core.models.checkpoint import Table, check_for, empty, identity_of, load_into, read_checkpoint
from core.models.colouriser import check_luma
from core.models.ddcolor_net import MULTIPLE, UNUSED, DualDecoder, Kind
from core.models.device import pick_device
from core.models.drawn import drawn
from core.models.grey import grey_of, scaled
from core.models.placed import Placed
from core.models.shelf import card_of, find
from core.models.ways import choose_published, in_way

Plane = NDArray[np.float32]
Bytes = NDArray[np.uint8]

VERSION = 2  # raised whenever the same weights give another answer
SIZE = 512  # the square that the published program shows the network [px]


@dataclass(frozen=True)
class Variant:
    """A published checkpoint: its colouriser's name, its network."""

    name: str
    kind: Kind


VARIANTS = {
    v.name: v
    for v in (
        Variant("ddcolor", "large"),
        Variant("ddcolor-artistic", "large"),
        Variant("ddcolor-paper", "large"),
        Variant("ddcolor-tiny", "tiny"),
    )
}


class DDColor:
    """One of DDColor's networks with its weights. Fulfils the colouriser protocol.

    Weights are read at the first frame, once; calls may come from any thread.

    Args:
        make: makes the network with its weights
        name: of `VARIANTS`
        weights: what names those weights, for the fingerprint
        size: the network sees the picture stretched to a square of this side, a multiple of 32  [px]
        device: as `core.models.device.pick_device` takes it

    Attributes:
        name: ``ddcolor``, ``ddcolor-artistic``, ``ddcolor-paper`` or ``ddcolor-tiny``.
        way: how it runs, but for `faithful`, which is the published program's (see `core.models.ways`).
        fingerprint: of weights, size, this module's version and the way; for cache keys.
        size: as given.
        automatic_square: side of that square; unasked it is shown the whole frame brought to it  [px]

    Raises:
        InputError: the size is out of bounds or no multiple of 32, or there is no such device.
    """

    def __init__(
        self,
        make: Callable[[], DualDecoder],
        *,
        name: str,
        weights: str,
        size: int = SIZE,
        device: str | None = None,
    ) -> None:
        if size % MULTIPLE or not MULTIPLE <= size <= 2048:
            raise InputError(f"{name}: size {size} is no multiple of {MULTIPLE} from {MULTIPLE} to 2048; 512 is usual")
        self.name = name
        self.size = size
        self.automatic_square = size
        where = pick_device(device)
        self._network = Placed(name, make, where)
        typical = torch.zeros(1, 3, size, size)
        self.way = choose_published(card_of(name).halves, lambda: self._answer(typical), where, name)
        self.fingerprint = in_way(fingerprint("ddcolor", VERSION, name, weights, size), self.way)

    @classmethod
    def load(
        cls, name: str = "ddcolor", folder: Path | None = None, *, size: int = SIZE, device: str | None = None
    ) -> DDColor:
        """Take a published checkpoint.

        Args:
            name: of `VARIANTS`
            folder: where checkpoints lie; None: the model folder
            size: side of the square that the network sees  [px]
            device: as `core.models.device.pick_device` takes it

        Raises:
            InputError: the size is out of bounds or no multiple of 32, or there is no such device.
            ModelMissingError: the checkpoint is not there.
            WeightsError: only at first use: it is damaged or of another model.
        """
        path = find(name, folder)
        make = partial(_read, VARIANTS[name].kind, path)
        return cls(make, name=name, weights=identity_of(path), size=size, device=device)

    @classmethod
    def random_init(
        cls, name: str = "ddcolor", seed: int = 0, *, size: int = SIZE, device: str | None = None
    ) -> DDColor:
        """The same network with random weights, for measurements: its speed does not depend on them."""
        make = partial(drawn, partial(DualDecoder, VARIANTS[name].kind), seed)
        return cls(make, name=name, weights=f"random {seed}", size=size, device=device)

    def predict(self, luma: Plane) -> Plane:
        """Predict chroma for one frame.

        Args:
            luma: the film's luma  [(H, W) float32 [0, 100] L*]

        Returns:
            Chroma  [(H, W, 2) float32 CIE Lab D65, a* b*]

        Raises:
            ShapeError: luma is no plane.
            WeightsError: the weights are not this network's.

        Source: Kang et al. 2023; the published program's road, but without its aliasing where it shrinks, and with
        chroma brought up smoothly, where that one repeats pixels.
        """
        check_luma(luma)
        grey = torch.from_numpy(grey_of(luma))[None, None]
        small = scaled(grey, (self.size, self.size)).clamp(0.0, 1.0)
        ab = scaled(self._answer(small.expand(1, 3, self.size, self.size), self.way), luma.shape)
        return np.ascontiguousarray(ab[0].permute(1, 2, 0).numpy())

    def faithful(self, rgb: Bytes) -> Bytes:
        """Colour an 8-bit picture exactly as the published program does.

        Args:
            rgb: grey or colour; of its colour only L* is used  [(H, W, 3) uint8 R'G'B']

        Returns:
            [(H, W, 3) uint8 R'G'B']

        Source: Kang et al. 2023, the authors' pipeline.
        """
        ab = self.faithful_chroma(squeeze(rgb, self.size))
        # Pixels are repeated, as published.
        large = F.interpolate(torch.from_numpy(ab).permute(2, 0, 1)[None], rgb.shape[:2])[0].permute(1, 2, 0).numpy()
        lab = np.concatenate([_lab(_unit(rgb))[..., :1], large], axis=-1)
        coloured = np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.float32)
        return np.round(coloured * np.float32(255.0)).astype(np.uint8)

    def faithful_chroma(self, small: Plane) -> Plane:
        """What the network makes of a small grey picture.

        Args:
            small: as `squeeze` gives it  [(S, S, 3) float32 [0, 1] R'G'B' sRGB]

        Returns:
            Chroma  [(S, S, 2) float32 CIE Lab D65, a* b*]
        """
        ab = self._answer(torch.from_numpy(small).permute(2, 0, 1)[None])
        return np.ascontiguousarray(ab[0].permute(1, 2, 0).numpy())

    def _answer(self, grey: Tensor, way: str = "float32") -> Tensor:
        """Chroma [(1, 2, S, S) float32 a* b*] of three equal planes [(1, 3, S, S) float32 [0, 1]]."""
        with torch.inference_mode():
            return self._network(grey, way=way)


def squeeze(rgb: Bytes, side: int) -> Plane:
    """Stretch a picture to a square, then take the grey of its L*, as the published program does.

    Args:
        rgb: the picture    [(H, W, 3) uint8 R'G'B']
        side: of the square  [px]

    Returns:
        Three planes, equal within rounding  [(side, side, 3) float32 [0, 1] R'G'B' sRGB]
    """
    lab = _lab(np.asarray(cv2.resize(_unit(rgb), (side, side)), np.float32))
    lab[..., 1:] = 0.0
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.float32)


def register(plugins: Plugins) -> None:
    """Offer the published networks as colourisers; each asks for its checkpoint when it is made."""
    for name, variant in VARIANTS.items():
        maker: Callable[[str | None], DDColor] = partial(_make, name)
        plugins.colourisers.add(name, maker)
        plugins.checks.add(name, check_for(partial(DualDecoder, variant.kind), _used))


def _make(name: str, device: str | None) -> DDColor:
    return DDColor.load(name, device=device)


def _read(kind: Kind, path: Path) -> DualDecoder:
    """The network with the weights of a published checkpoint."""
    network = empty(partial(DualDecoder, kind))
    load_into(network, _used(read_checkpoint(path)), where=str(path))
    return network


def _used(table: Table) -> dict[str, Tensor]:
    """A checkpoint's table without what only training asks."""
    return {name: tensor for name, tensor in table.items() if not name.startswith(UNUSED)}


def _unit(rgb: Bytes) -> Plane:
    return (rgb / 255.0).astype(np.float32)


def _lab(rgb: Plane) -> Plane:
    """Lab by OpenCV's coarse splines, which the published program has  [(H, W, 3) float32]."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab), np.float32)
