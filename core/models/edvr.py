"""EDVR as upscalers: the seven variants its authors published, run without their framework.

Two of them do not enlarge: they take blur (and compression) out at the film's size. Where a shot ends, what a
window lacks is taken from farther on its other side, as its authors do in all their tests ("reflection circle"; of
Vid4 once "new info"); frames beyond a cut are never seen.

Source: Wang et al. 2019 (EDVR).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from core.contract.plugins import Plugins
from core.models.checkpoint import Table, check_for
from core.models.edvr_names import in_todays_names
from core.models.edvr_net import EDVR, Layout
from core.models.tiling import Tiling
from core.models.upscaler import offer

CODE = ("edvr", 2)  # the number is raised whenever the same weights give another answer, also by other parts

# At the size at which the network works. With the weights of the fixtures an overlap of 48 leaves parts and whole
# apart by rounding only, 32 by a thousandth of an 8-bit step; trained offsets may reach farther.
SIDE, OVERLAP = 128, 64


@dataclass(frozen=True)
class Variant:
    """A published network: its upscaler's name and its layout."""

    name: str
    layout: Layout
    code: ClassVar[tuple[str, int]] = CODE

    @property
    def scale(self) -> int:
        """By how much it enlarges."""
        return self.layout.scale

    @property
    def radius(self) -> int:
        """Frames it looks at to each side."""
        return self.layout.frames // 2

    @property
    def tiling(self) -> Tiling:
        """How its pictures are cut."""
        finer = self.layout.multiple // 4  # works at a quarter where the film comes at full size
        return Tiling(finer * SIDE, finer * OVERLAP, self.layout.multiple)

    def made(self) -> nn.Module:
        """The network."""
        return EDVR(self.layout)

    def named(self, table: Table) -> Table:
        """A checkpoint in either of its dialects, in today's names."""
        return in_todays_names(table)


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


def register(plugins: Plugins) -> None:
    """Offer the published networks as upscalers; each asks for its checkpoint when it is made."""
    for name, variant in VARIANTS.items():
        offer(plugins, variant)
        plugins.checks.add(name, check_for(variant.made, variant.named))
