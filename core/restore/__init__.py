"""Stages that mend the picture: each a file of its own, taken out by deleting its file and its line here."""

from __future__ import annotations

from core.contract.plugins import Plugins
from core.restore.dedust import Dedust
from core.restore.deflicker import Deflicker
from core.restore.upscale import Upscale


def register(plugins: Plugins) -> None:
    """Add the repairing stages in the order in which a film usually walks through them."""
    for stage in (Deflicker(), Dedust(), Upscale(plugins.upscalers)):
        plugins.stages.add(stage.name, stage)
