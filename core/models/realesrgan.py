"""ESRGAN and Real-ESRGAN as upscalers: the authors' own checkpoints, run without their framework.

Source: Wang et al. 2018 (ESRGAN), Wang et al. 2021 (Real-ESRGAN).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn

from core.contract.fingerprint import fingerprint
from core.contract.plugins import Plugins
from core.models.checkpoint import Table, check_for, empty, identity_of, load_into, read_checkpoint
from core.models.compact_net import CompactNet, mixed
from core.models.rrdb_net import BLOCKS, RRDBNet, in_todays_names
from core.models.shelf import card_of, find
from core.models.tiling import Tiling
from core.models.upscaler import NetworkUpscaler, offer

CODE = ("realesrgan", 2)  # the number is raised whenever the same weights give another answer, also by other parts

# The dense blocks can see several hundred pixels far, but hardly do: with the weights of the fixtures an overlap of 16
# leaves parts and whole apart by rounding only, 8 by a fiftieth of an 8-bit step. The authors use 10. What follows
# the trunk holds 0.4 GB a layer for a part of this size.
DENSE_PARTS = {4: Tiling(256, 32), 2: Tiling(512, 64, multiple=2)}
COMPACT_SIDE = 512

GENERAL, GENERAL_WEAK = "realesr-general", "realesr-general-wdn"


@dataclass(frozen=True)
class Dense:
    """A published net of dense blocks."""

    name: str
    scale: int = 4
    blocks: int = BLOCKS
    radius: ClassVar[int] = 0
    code: ClassVar[tuple[str, int]] = CODE

    @property
    def tiling(self) -> Tiling:
        """How its pictures are cut."""
        return DENSE_PARTS[self.scale]

    def made(self) -> nn.Module:
        """The network."""
        return RRDBNet(self.scale, self.blocks)

    def named(self, table: Table) -> dict[str, Tensor]:
        """A checkpoint in any of its dialects, in today's names."""
        return in_todays_names(table)


@dataclass(frozen=True)
class Compact:
    """A published compact net."""

    name: str
    convolutions: int
    scale: int = 4
    radius: ClassVar[int] = 0
    code: ClassVar[tuple[str, int]] = CODE

    @property
    def tiling(self) -> Tiling:
        """How its pictures are cut: the overlap is all it can see, so that parts and whole are the same."""
        return Tiling(COMPACT_SIDE, self.convolutions + 2, exact=True)

    def made(self) -> nn.Module:
        """The network."""
        return CompactNet(self.convolutions, self.scale)

    def named(self, table: Table) -> dict[str, Tensor]:
        """A checkpoint's table as it is: there is one dialect."""
        return dict(table)


Variant = Dense | Compact
VARIANTS: dict[str, Variant] = {
    v.name: v
    for v in (
        Dense("realesrgan-x2", scale=2),
        Dense("realesrgan-x4"),
        Dense("realesrgan-anime", blocks=6),
        Dense("realesrnet-x4"),
        Dense("esrgan"),
        Dense("esrgan-psnr"),
        Dense("realsr"),
        Compact("realesr-animevideo", 16),
        Compact(GENERAL_WEAK, 32),
    )
}
_GENERAL = Compact(GENERAL, 32)


class General:
    """Real-ESRGAN's general net, in any mixture of its two checkpoints. Fulfils `core.models.upscaler.Denoises`.

    Args:
        folder: where checkpoints lie; None: the model folder.
        device: as `core.models.device.pick_device` takes it.
    """

    def __init__(self, folder: Path | None = None, *, device: str | None = None) -> None:
        self._folder = folder
        self._device = device
        self._made: dict[float, NetworkUpscaler] = {}
        self._lock = threading.Lock()

    @cached_property
    def _strong(self) -> tuple[Path, str]:
        return _hashed(find(GENERAL, self._folder))

    @cached_property
    def _weak(self) -> tuple[Path, str]:
        return _hashed(find(GENERAL_WEAK, self._folder))

    def at(self, denoise: float) -> NetworkUpscaler:
        """The net that takes out this much noise; at 0 and 1 one checkpoint is enough.

        Args:
            denoise: share of the general checkpoint, the rest is that with weak denoising  [0, 1]

        Raises:
            InputError: there is no such device.
            ModelMissingError: a checkpoint that is needed is not there.
        """
        with self._lock:
            if denoise not in self._made:
                # One is kept: whoever moves the slider on does not come back to exactly this place.
                self._made = {denoise: self._make(denoise)}
            return self._made[denoise]

    def _make(self, denoise: float) -> NetworkUpscaler:
        strong = self._strong if denoise > 0 else None
        weak = self._weak if denoise < 1 else None
        hashes = [side[1] if side else None for side in (strong, weak)]
        return NetworkUpscaler(
            GENERAL,
            partial(_mixed_network, strong[0] if strong else None, weak[0] if weak else None, denoise),
            fingerprint=fingerprint(*CODE, GENERAL, hashes, denoise),
            scale=_GENERAL.scale,
            tiling=_GENERAL.tiling,
            halves=card_of(GENERAL).halves,
            device=self._device,
        )


def register(plugins: Plugins) -> None:
    """Offer the published networks as upscalers; each asks for its checkpoint when it is made."""
    for name, variant in VARIANTS.items():
        if name != GENERAL_WEAK:  # reached through the general net
            offer(plugins, variant)
    for net in (*VARIANTS.values(), _GENERAL):
        plugins.checks.add(net.name, check_for(net.made, net.named))
    plugins.upscalers.add(GENERAL, lambda device: General(device=device))


def _hashed(path: Path) -> tuple[Path, str]:
    return path, identity_of(path)


def _mixed_network(strong: Path | None, weak: Path | None, denoise: float) -> nn.Module:
    paths = [path for path in (strong, weak) if path is not None]
    tables = [read_checkpoint(path) for path in paths]
    network = empty(_GENERAL.made)
    table = tables[0] if len(tables) == 1 else mixed(tables[0], tables[1], denoise)
    load_into(network, table, where=" and ".join(map(str, paths)))
    return network
