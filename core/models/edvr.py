"""EDVR as upscalers: the seven variants its authors published, run without their framework.

Two of them do not enlarge: they take blur (and compression) out at the film's size. Where a shot ends, what a
window lacks is mirrored from its other side; frames beyond a cut are never seen.

Source: Wang et al. 2019 (EDVR).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import nn

from core.contract.fingerprint import fingerprint
from core.contract.plugins import Plugins
from core.models.checkpoint import check_for, read_network
from core.models.checksum import sha256_of
from core.models.edvr_net import EDVR, Layout
from core.models.shelf import find
from core.models.tiling import Tiling
from core.models.upscaler import NetworkUpscaler

VERSION = 1  # raised whenever the same weights give another answer, also by other parts

# At the size at which the network works. With the weights of the fixtures an overlap of 48 leaves parts and whole
# apart by rounding only, 32 by a thousandth of an 8-bit step; trained offsets may reach farther.
SIDE, OVERLAP = 128, 64


@dataclass(frozen=True)
class Variant:
    """A published network: its upscaler's name and its layout."""

    name: str
    layout: Layout

    @property
    def tiling(self) -> Tiling:
        """How its pictures are cut."""
        finer = self.layout.multiple // 4  # works at a quarter where the film comes at full size
        return Tiling(finer * SIDE, finer * OVERLAP, self.layout.multiple)

    def made(self) -> nn.Module:
        """The network."""
        return EDVR(self.layout)


VARIANTS = {
    v.name: v
    for v in (
        Variant("edvr", Layout()),
        Variant("edvr-wotsa", Layout(attends=False)),
        Variant("edvr-large", Layout(128, 40)),
        Variant("edvr-vimeo", Layout(128, 40, frames=7)),
        Variant("edvr-srblur", Layout(128, 40, deblurs=True)),
        Variant("edvr-deblur", Layout(128, 40, deblurs=True, full_size=True)),
        Variant("edvr-deblurcomp", Layout(128, 40, deblurs=True, full_size=True)),
    )
}


def load(name: str, folder: Path | None = None, *, device: str | None = None) -> NetworkUpscaler:
    """A published network as an upscaler; its checkpoint is found and hashed now, and read when first needed.

    Args:
        name: of `VARIANTS`
        folder: where checkpoints lie; None: the model folder
        device: as `core.models.device.pick_device` takes it

    Raises:
        InputError: there is no such device.
        ModelMissingError: the checkpoint is not there.
    """
    variant, path = VARIANTS[name], find(name, folder)
    return NetworkUpscaler(
        name,
        partial(read_network, variant.made, path),
        fingerprint=fingerprint("edvr", VERSION, name, sha256_of(path)),
        scale=variant.layout.scale,
        tiling=variant.tiling,
        radius=variant.layout.frames // 2,
        device=device,
    )


def register(plugins: Plugins) -> None:
    """Offer the published networks as upscalers; each asks for its checkpoint when it is made."""
    for name, variant in VARIANTS.items():
        plugins.upscalers.add(name, partial(_make, name))
        plugins.checks.add(name, check_for(variant.made))


def _make(name: str, device: str | None) -> NetworkUpscaler:
    return load(name, device=device)
