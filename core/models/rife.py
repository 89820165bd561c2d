"""RIFE as an interpolator: the authors' own checkpoints, whichever of four versions they hold.

All are published under one name, ``flownet.pkl``; which network a file is for, its tensors tell.

Source: Huang et al. 2022, Real-Time Intermediate Flow Estimation for Video Frame Interpolation (ECCV);
github.com/hzwer/Practical-RIFE (MIT).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from core.contract.plugins import Plugins
from core.errors import WeightsError
from core.models.checkpoint import Table, check_fits, empty, load_into, read_checkpoint
from core.models.interpolator import NetworkInterpolator
from core.models.recent import Recent
from core.models.rife_net import V4_6, V4_17, V4_25, IFNet, PaperNet
from core.models.shelf import card_of
from core.models.tensors import to_planes, to_rgb
from core.models.ways import held

Array = NDArray[np.float32]
Network = IFNet | PaperNet

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


class Rife(NetworkInterpolator[Network]):
    """RIFE with its weights. Fulfils the interpolator protocol.

    The paper's network knows the middle only; other times are come to by halving, to within `NEAR`. Where memory ends,
    the flow is estimated at half the size, as its authors have it for large pictures. For other times between the same
    two pictures their features are kept, and of the paper's network the pictures that halving has made.

    Source: Huang et al. 2022.
    """

    name = "rife"
    version = 2
    halves = card_of(name).halves

    @staticmethod
    def read(path: Path, device: torch.device) -> Network:
        """As `NetworkInterpolator.read`."""
        published = read_checkpoint(path)
        network = network_for(published, where=str(path))
        load_into(network, _used(published, network), where=str(path))
        # As fast as before or up to a quarter faster on a CPU, and within 1e-5.
        return cast(Network, network.to(device, memory_format=torch.channels_last))  # type: ignore[call-overload]

    def ways(self, h: int, w: int) -> Sequence[float]:
        """Sizes at which flow is estimated, in parts of the full one."""
        return (0.5,) if max(h, w) > LARGE else (1.0, 0.5)

    def said(self, way: float) -> str:
        """As `NetworkInterpolator.said`."""
        return "with the flow at half the size" if way < 1 else "with the flow at full size"

    def made(self, rgb_a: Array, rgb_b: Array, t: float, way: float) -> Array:
        """As `NetworkInterpolator.made`."""
        network = self._network()
        h, w = rgb_a.shape[:2]
        multiple = round(network.multiple / way)
        found = self.found(rgb_a, rgb_b)
        first, second = (
            F.pad(to_planes(rgb, self._device), (0, -w % multiple, 0, -h % multiple)) for rgb in (rgb_a, rgb_b)
        )
        if isinstance(network, IFNet):
            one = found.get(("first", way), partial(network.look, first))
            two = found.get(("second", way), partial(network.look, second))
            made = network.make(one, two, t, way)
        else:
            made = _halved(network, first, second, t, way, found)
        return to_rgb(held(made[..., :h, :w], self.way, self.name))


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
            return empty(make)
    raise WeightsError(f"{where}: is none of RIFE's versions 4.6, 4.13 to 4.19, 4.24 to 4.26 or its paper's")


def _check(table: Table, where: str) -> None:
    network = network_for(table, where=where)
    check_fits(_used(table, network), network, where=where)


def _used(table: Table, network: Network) -> dict[str, Tensor]:
    """A checkpoint's table without what only training asks, such as the paper's teacher."""
    parts = {name for name, _ in network.named_children()}
    return {name: tensor for name, tensor in table.items() if name.partition(".")[0] in parts}


def _halved(network: PaperNet, first: Tensor, second: Tensor, t: float, scale: float, found: Recent) -> Tensor:
    """The picture at a time, of a network that knows the middle only."""
    start, end = 0.0, 1.0
    while True:
        middle = (start + end) / 2
        made: Tensor = found.get((scale, start, end), partial(network, first, second, scale))
        if abs(middle - t) <= NEAR:
            return made
        if t < middle:
            end, second = middle, made
        else:
            start, first = middle, made
