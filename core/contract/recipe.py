"""A recipe: the ordered stages a film goes through, with their parameters. A value, kept as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from core.contract.params import build, values_of
from core.contract.registry import Registry
from core.contract.stage import Stage
from core.errors import RecipeError

# PaddleGAN's names for what our stages do (applications/tools/video-enhance.py --process_order).
PADDLEGAN = {
    "dain": "interpolate",
    "rife": "interpolate",
    "deoldify": "colourise",
    "deepremaster": "colourise",
    "edvr": "upscale",
    "realsr": "upscale",
    "realesrgan": "upscale",
    "basicvsr": "upscale",
    "iconvsr": "upscale",
    "ppmsvsr": "upscale",
}


def plain(word: str) -> str:
    """One of PaddleGAN's words as `PADDLEGAN` has it, however it is written."""
    return word.lower().replace("-", "").replace("+", "")


@dataclass(frozen=True)
class StageSpec:
    """One step: a registered stage's name, parameter values, and whether it is on."""

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    on: bool = True


@dataclass(frozen=True)
class Recipe:
    """Steps in the order in which a frame walks through them."""

    steps: tuple[StageSpec, ...]
    name: str = "custom"

    @property
    def active(self) -> tuple[StageSpec, ...]:
        """The steps that are on."""
        return tuple(s for s in self.steps if s.on)

    def with_step(self, name: str, *, on: bool = True, **params: Any) -> Recipe:
        """A recipe in which the step ``name`` has these parameters (added at the end if it is missing)."""
        if any(s.name == name for s in self.steps):
            steps = tuple(replace(s, params={**s.params, **params}, on=on) if s.name == name else s for s in self.steps)
        else:
            steps = (*self.steps, StageSpec(name, params, on))
        return replace(self, steps=steps)

    def checked(self, stages: Registry[Stage]) -> Recipe:
        """The same recipe with every parameter written out.

        Raises:
            RecipeError: a stage is unknown or comes twice, or a parameter breaks its bounds.
        """
        seen: set[str] = set()
        steps = []
        for spec in self.steps:
            if spec.name in seen:
                raise RecipeError(f"recipe: stage '{spec.name}' comes twice; keep one")
            seen.add(spec.name)
            if spec.name not in stages:
                raise RecipeError(f"recipe: unknown stage '{spec.name}'; known: {', '.join(sorted(stages))}")
            params: Any = build(stages.get(spec.name).Params, spec.params, where=f"stage {spec.name}")
            steps.append(replace(spec, params=values_of(params)))
        return replace(self, steps=tuple(steps))

    def to_json(self) -> str:
        """The recipe as JSON text."""
        steps = [{"stage": s.name, "on": s.on, "params": dict(s.params)} for s in self.steps]
        return json.dumps({"name": self.name, "steps": steps}, indent=1)

    @staticmethod
    def from_json(text: str) -> Recipe:
        """Read what `to_json` writes.

        Raises:
            RecipeError: not JSON, or not of that shape.
        """
        try:
            data = json.loads(text)
            steps = tuple(
                StageSpec(str(s["stage"]), dict(s.get("params", {})), bool(s.get("on", True))) for s in data["steps"]
            )
            return Recipe(steps, str(data.get("name", "custom")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RecipeError(f'recipe: expected {{"steps": [{{"stage": "…", "params": {{…}}}}]}} ({error})') from None

    def in_order(self, words: Sequence[str]) -> Recipe:
        """The recipe with its enhancing steps in the order PaddleGAN's words give.

        Steps that are named move to the place of their word (and are switched on); repairing steps stay
        in front; enhancing steps that are not named are switched off, as they are there.

        Raises:
            RecipeError: a word is unknown or names a step twice.
        """
        names = []
        for word in words:
            name = PADDLEGAN.get(plain(word), word.lower())
            if name in names:
                raise RecipeError(f"process order: '{word}' names the step '{name}' twice")
            names.append(name)
        movable = {*PADDLEGAN.values(), *names}
        first = [s for s in self.steps if s.name not in movable]
        have = {s.name: s for s in self.steps}
        ordered = [replace(have.get(n, StageSpec(n)), on=True) for n in names]
        return replace(self, steps=(*first, *ordered), name="custom")
