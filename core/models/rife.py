"""RIFE as an interpolator: the authors' own checkpoints, whichever of four versions they hold.

All are published under one name, ``flownet.pkl``; which network a file is for, its tensors tell.

Source: Huang et al. 2022, Real-Time Intermediate Flow Estimation for Video Frame Interpolation (ECCV);
github.com/hzwer/Practical-RIFE (MIT).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from core.contract.fingerprint import fingerprint
from core.contract.plugins import Plugins
from core.errors import ShapeError, WeightsError
from core.models.checkpoint import Table, check_fits, load_into, read_checkpoint
from core.models.checksum import sha256_of
from core.models.device import pick_device
from core.models.once import Once
from core.models.rife_net import V4_6, V4_17, V4_25, IFNet, PaperNet
from core.models.shelf import find
from core.models.tensors import to_planes, to_rgb

Array = NDArray[np.float32]
Network = IFNet | PaperNet

VERSION = 1  # raised whenever the same weights give another answer
# Above this its authors have the flow estimated at half the size, for it sees no farther than it was trained to.
LARGE = 2560  # [px] long side
NEAR = 0.01  # how near halving must come to a time  [parts of the way]

# A tensor that no version further down the list has.
_MARKS: tuple[tuple[str, Callable[[], Network]], ...] = (
    ("contextnet.conv1.conv1.0.weight", PaperNet),
    ("block4.lastconv.0.weight", lambda: IFNet(V4_25)),
    ("encode.cnn3.weight", lambda: IFNet(V4_17)),
    ("block3.convblock.0.beta", lambda: IFNet(V4_6)),
)


class Rife:
    """RIFE with its weights. Fulfils the interpolator protocol.

    Attributes:
        name: ``rife``.
        fingerprint: of weights and this module's version; for cache keys.
    """

    name = "rife"

    def __init__(self, network: Callable[[], Network], *, weights: str, device: str | None = None) -> None:
        self.fingerprint = fingerprint("rife", VERSION, weights)
        self._device = pick_device(device)
        self._network = Once(network)

    @classmethod
    def load(cls, folder: Path | None = None, *, device: str | None = None) -> Rife:
        """Find a published checkpoint; it is read when the first picture is asked for.

        Args:
            folder: where checkpoints lie; None: the model folder
            device: as `core.models.device.pick_device` takes it

        Raises:
            InputError: there is no such device.
            ModelMissingError: no checkpoint is there.
        """
        path, where = find(cls.name, folder), pick_device(device)
        return cls(lambda: _read(path).to(where), weights=sha256_of(path), device=device)

    def between(self, rgb_a: Array, rgb_b: Array, t: float) -> Array:
        """Make the picture at a time between two others.

        The paper's network knows the middle only; other times are come to by halving, to within `NEAR`.

        Args:
            rgb_a: [(H, W, 3) float32 [0, 1] R'G'B']
            rgb_b: [(H, W, 3) float32 [0, 1] R'G'B']
            t: fraction of the way from a to b  (0, 1)

        Returns:
            [(H, W, 3) float32 [0, 1] R'G'B']

        Raises:
            ShapeError: the pictures differ in size.
            WeightsError: the checkpoint is damaged or of another model.

        Source: Huang et al. 2022.
        """
        if rgb_a.shape != rgb_b.shape:
            raise ShapeError(f"rife: pictures of {rgb_a.shape} and {rgb_b.shape} are not of one size")
        network = self._network()
        h, w = rgb_a.shape[:2]
        scale = 0.5 if max(h, w) > LARGE else 1.0
        multiple = round(network.multiple / scale)
        with torch.inference_mode():
            first, second = (
                F.pad(to_planes(rgb, self._device), (0, -w % multiple, 0, -h % multiple)) for rgb in (rgb_a, rgb_b)
            )
            if isinstance(network, IFNet):
                made = network(first, second, t, scale)
            else:
                made = _halved(network, first, second, t, scale)
            return to_rgb(made[..., :h, :w])


def register(plugins: Plugins) -> None:
    """Offer RIFE as an interpolator; it asks for its checkpoint when it is made."""
    plugins.interpolators.add(Rife.name, lambda device: Rife.load(device=device))
    plugins.checks.add(Rife.name, _check)


def network_for(published: Mapping[str, Tensor], *, where: str) -> Network:
    """The network that a checkpoint is for, as yet without memory for its weights.

    Args:
        published: name to tensor
        where: what to name in a message, e.g. the checkpoint's path

    Raises:
        WeightsError: it is for none of those that are known.
    """
    for name, make in _MARKS:
        if name in published:
            with torch.device("meta"):
                return make()
    raise WeightsError(f"{where}: is none of RIFE's versions 4.6, 4.13 to 4.19, 4.24 to 4.26 or its paper's")


def _read(path: Path) -> Network:
    published = read_checkpoint(path)
    network = network_for(published, where=str(path))
    load_into(network, _used(published, network), where=str(path))
    return network


def _check(table: Table, where: str) -> None:
    network = network_for(table, where=where)
    check_fits(_used(table, network), network, where=where)


def _used(table: Table, network: Network) -> dict[str, Tensor]:
    """A checkpoint's table without what only training asks, such as the paper's teacher."""
    parts = {name for name, _ in network.named_children()}
    return {name: tensor for name, tensor in table.items() if name.partition(".")[0] in parts}


def _halved(network: PaperNet, first: Tensor, second: Tensor, t: float, scale: float) -> Tensor:
    """The picture at a time, of a network that knows the middle only."""
    start, end = 0.0, 1.0
    while True:
        middle = (start + end) / 2
        made: Tensor = network(first, second, scale)
        if abs(middle - t) <= NEAR:
            return made
        if t < middle:
            end, second = middle, made
        else:
            start, first = middle, made
