"""One road of registration for what is built in and for strangers.

A module (or entry point of group ``pochoir.plugins``) offers ``register(plugins: Plugins)``. Nothing
registers itself at import; the door (`app.py`) names the built-in modules, and tests build their own
`Plugins` with discovery off.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from importlib.metadata import entry_points
from typing import Any, Protocol

from core.contract.registry import Makers, Registry
from core.contract.stage import FrameStage, RetimeStage, ShotStage, Stage
from core.errors import PochoirError, printable
from core.models.card import ModelCard

log = logging.getLogger(__name__)
GROUP = "pochoir.plugins"


class Plugins:
    """Everything that can be registered, one registry per kind.

    Attributes:
        cards: of models, by id: what the shelf knows of each; strangers' models come with theirs.
        checks: model to what compares a checkpoint's table with its network, for the models that can be imported:
            ``(table, where)``, raising as of `core.models.checkpoint.check_for`.
        stages: steps of a recipe.
        colourisers: name to a maker ``(device) -> Colouriser``.
        flows: name to a maker ``(device) -> FlowEstimator``.
        interpolators: name to a maker ``(device) -> Interpolator``.
        segmenters: name to a maker ``(device) -> Segmenter``; asked in order of registration.
        upscalers: name to a maker ``(device) -> Upscaler``, or ``-> Denoises`` where there is a choice of strength.
    """

    def __init__(self) -> None:
        self.cards: Registry[ModelCard] = Registry("model", ModelCard)
        self.checks: Registry[Callable[[Mapping[str, Any], str], None]] = Registry("check of checkpoints of model")
        self.stages: Registry[Stage] = Registry("stage", FrameStage, ShotStage, RetimeStage)
        self.colourisers = Makers("colouriser")
        self.flows = Makers("flow estimator")
        self.interpolators = Makers("interpolator")
        self.segmenters = Makers("segmenter")
        self.upscalers = Makers("upscaler")


class PluginModule(Protocol):
    """A module that offers things."""

    def register(self, plugins: Plugins) -> None:
        """Add what it offers."""
        ...


def load_plugins(modules: Iterable[PluginModule], *, discover: bool = True) -> Plugins:
    """Register built-in modules, then installed strangers.

    A stranger that fails is one warning naming package and cause, and nothing of it stays; the program still starts.
    A built-in that fails is our own fault and raises.
    """
    plugins = Plugins()
    for module in modules:
        module.register(plugins)
    if discover:
        for point in entry_points(group=GROUP):
            try:
                # In the registries themselves: a stage may keep the one that it is to ask for its networks.
                with ExitStack() as registries:
                    for registry in vars(plugins).values():
                        registries.enter_context(registry.all_or_nothing())
                    point.load()(plugins)
            except (Exception, SystemExit) as error:
                package = point.dist.name if point.dist else point.value
                said = str(error) if isinstance(error, PochoirError) else f"{type(error).__name__}: {error}"
                log.warning("%s", printable(f"plugin {point.name} of {package} left out: {said}"))
    return plugins
