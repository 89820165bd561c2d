"""Colourisers: luma and hints in, chroma out. The interface every one fulfils, and the embedded one.

The embedded network (``core.models.network``) needs no download and runs on a laptop's CPU; its weights lie beside
this file with a model card.
"""

from __future__ import annotations

import copy
import threading
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from core.errors import InputError, ShapeError
from core.models.device import pick_device
from core.models.distribution import likeliest, sharpened
from core.models.network import AB_SCALE, BIN_CELL, MULTIPLE, ColourNet, input_planes
from core.models.weights import fill, load_weights, sha256_of

Plane = NDArray[np.float32]

WEIGHTS = Path(__file__).parent / "weights" / "embedded.safetensors"
CODE_VERSION = 2  # raise it whenever the same weights would give other colours: cache keys hold it
WORKING_LONG_SIDE = 256
# What errs least is paler than anything that is likely; this much more costs no PSNR on photographs never trained on.
LIVELINESS = 1.3
SAME_SURFACE = 6.0  # L* by which cells of one surface may differ
AUTOMATIC_LONG_SIDE = 128  # without hints it sees the scene, and was taught it on small pictures


class Colouriser(Protocol):
    """What every colouriser fulfils, embedded or published."""

    name: str
    fingerprint: str  # hash of weights and code version: part of every cache key

    def predict(self, luma: Plane, hint_ab: Plane | None, hint_weight: Plane | None) -> Plane:
        """Predict chroma for one frame at working size.

        Args:
            luma: the film's luma                   [(h, w) float32 [0, 100] L*]
            hint_ab: chroma asked for, or None      [(h, w, 2) float32 CIE Lab D65, a* b*]
            hint_weight: trust in it, 0 = no hint   [(h, w) float32 [0, 1]]

        Returns:
            Chroma  [(h, w, 2) float32 CIE Lab D65, a* b*]
        """
        ...


@runtime_checkable
class Suggests(Protocol):
    """A colouriser that knows of several likely colours for one place."""

    def suggest(self, luma: Plane, at: tuple[int, int], count: int = 5) -> Plane:
        """Suggest distinct colours for one place.

        Args:
            luma: the film's luma  [(h, w) float32 [0, 100] L*]
            at: row and column
            count: at most so many

        Returns:
            a*, b* and how likely, the likeliest first  [(n, 3) float32], 1 ≤ n ≤ count
        """
        ...


def automatic_chroma(colouriser: Colouriser, luma: Plane) -> Plane:
    """Colour a frame of which nothing was said.

    Args:
        colouriser: which network speaks
        luma: the film's luma  [(h, w) float32 [0, 100] L*]

    Returns:
        Its chroma, made as lively as it says it may be  [(h, w, 2) float32 CIE Lab D65, a* b*]
    """
    return colouriser.predict(luma, None, None) * np.float32(getattr(colouriser, "liveliness", 1.0))


def working_size(h: int, w: int, longest: int = WORKING_LONG_SIDE) -> tuple[int, int]:
    """Give the size at which a frame of (h, w) is best coloured: its shape, long side at most ``longest``."""
    scale = min(1.0, longest / max(h, w))
    return max(1, round(h * scale)), max(1, round(w * scale))


def fold_norms(network: ColourNet) -> ColourNet:
    """Fold each batch normalisation into the convolution before it: the same function, in fewer passes."""
    network = copy.deepcopy(network).eval()
    for part in network.modules():
        for conv, norm in (("conv", "norm"), ("conv1", "norm1"), ("conv2", "norm2")):
            if isinstance(getattr(part, norm, None), nn.BatchNorm2d):
                setattr(part, conv, fuse_conv_bn_eval(getattr(part, conv), getattr(part, norm)))
                setattr(part, norm, nn.Identity())
    return network


def check_hints(luma: Plane, hint_ab: Plane | None, hint_weight: Plane | None) -> None:
    """Refuse arrays that do not fit together.

    Raises:
        ShapeError: luma is no plane, or hints differ from it in size, or only one of the two is given.
    """
    if luma.ndim != 2 or 0 in luma.shape:
        raise ShapeError(f"luma is {luma.shape}, expected (h, w)")
    if (hint_ab is None) != (hint_weight is None):
        raise ShapeError("hint chroma and hint weight must be given together, or neither")
    if hint_ab is None or hint_weight is None:
        return
    if hint_ab.shape != (*luma.shape, 2) or hint_weight.shape != luma.shape:
        raise ShapeError(
            f"luma is {luma.shape} but hint chroma is {hint_ab.shape} and hint weight {hint_weight.shape}; "
            "bring all to one size"
        )


class EmbeddedColouriser:
    """Our own small hint-conditioned network.

    Weights are read once, at the first frame; calls may come from any thread.

    Args:
        device: where it runs; None or ``auto`` chooses (see ``core.models.device``)
        weights: another file of the same network, for experiments

    Raises:
        InputError: no such device.
        WeightsError: the weights are missing, damaged or another network's (file: at once; contents: at first use).
    """

    name = "embedded"
    working_long_side = WORKING_LONG_SIDE
    automatic_long_side = AUTOMATIC_LONG_SIDE
    liveliness = LIVELINESS

    def __init__(self, device: str | None = None, weights: Path = WEIGHTS) -> None:
        self.device = pick_device(device)
        self._path = weights
        self._sha256 = sha256_of(weights)
        self.fingerprint = f"embedded-{CODE_VERSION}-{self._sha256}"
        self._lock = threading.Lock()
        self._network: ColourNet | None = None

    def _ready(self) -> ColourNet:
        with self._lock:
            if self._network is None:
                network = ColourNet()
                fill(network, load_weights(self._path, sha256=self._sha256), self._path.name)
                folded = fold_norms(network).requires_grad_(False)
                self._network = folded.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            return self._network

    def predict(self, luma: Plane, hint_ab: Plane | None = None, hint_weight: Plane | None = None) -> Plane:
        """Predict chroma for one frame; best at ``working_size``, right at any.

        Args:
            luma: the film's luma                   [(h, w) float32 [0, 100] L*]
            hint_ab: chroma asked for, or None      [(h, w, 2) float32 CIE Lab D65, a* b*]
            hint_weight: trust in it, 0 = no hint   [(h, w) float32 [0, 1]]

        Returns:
            Chroma  [(h, w, 2) float32 CIE Lab D65, a* b*]

        Raises:
            ShapeError: the arrays do not fit together.
            WeightsError: the weights are not this network's.
        """
        check_hints(luma, hint_ab, hint_weight)
        h, w = luma.shape
        planes = self._padded(luma, hint_ab, hint_weight)
        with torch.inference_mode():
            guess = self._ready()(planes)
            ab = guess[0, :, :h, :w].float().permute(1, 2, 0).cpu().numpy()
        return np.ascontiguousarray(ab * np.float32(AB_SCALE), np.float32)

    def suggest(self, luma: Plane, at: tuple[int, int], count: int = 5) -> Plane:
        """Suggest distinct colours for one place; see ``Suggests``.

        Raises:
            ShapeError: luma is no plane, or the place lies outside it.
            WeightsError: the weights are not this network's.
        """
        check_hints(luma, None, None)
        if not (0 <= at[0] < luma.shape[0] and 0 <= at[1] < luma.shape[1]):
            raise ShapeError(f"place {at} lies outside luma of {luma.shape}")
        planes = self._padded(luma, None, None)
        network = self._ready()
        # The places about it that are of its own surface speak with it: one cell alone is moody.
        y, x = at[0] // BIN_CELL, at[1] // BIN_CELL
        about = np.s_[..., max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
        with torch.inference_mode():
            logits = network.odds(planes)[0][about].float().cpu().numpy()
            means = F.avg_pool2d(planes[0, :1], BIN_CELL)[0][about].float().cpu().numpy()
        told = sharpened(logits, network.prior.float().cpu().numpy())
        off = (means + 1.0) * 50.0 - luma[at]  # the first plane back to L*
        alike = np.exp(-np.square(off / SAME_SURFACE)) + np.float32(1e-3)
        return likeliest(np.asarray((told * alike).sum(axis=(1, 2)) / alike.sum(), np.float32), count)

    def _padded(self, luma: Plane, hint_ab: Plane | None, hint_weight: Plane | None) -> Tensor:
        """The network's input, brought to a size it takes  [(1, 7, H, W) float32 on the device]."""
        h, w = luma.shape
        planes = torch.from_numpy(input_planes(luma, hint_ab, hint_weight))[None]
        pad_h, pad_w = -h % MULTIPLE, -w % MULTIPLE
        if pad_h or pad_w:
            # Repeat the border: mirrored content would be taken for more of the scene, zeros for a dark one.
            planes = F.pad(planes, (0, pad_w, 0, pad_h), mode="replicate")
        return planes.to(self.device, memory_format=torch.channels_last)


def load_colouriser(name: str = "embedded", device: str | None = None) -> Colouriser:
    """Give a colouriser by name.

    Args:
        name: ``embedded``
        device: ``auto`` (or None), ``cpu``, ``cuda``, ``cuda:N``, ``mps``

    Raises:
        InputError: the name or the device is unknown.
        WeightsError: its weights are missing.
    """
    if name != "embedded":
        raise InputError(f"colouriser {name!r} is not known; known: embedded")
    return EmbeddedColouriser(device)
