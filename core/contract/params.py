"""Declared parameters: one source for validation, the command line's help and the browser's controls.

A stage's parameters are a frozen dataclass; `number`, `choice`, `registered`, `switch` and `text` make its fields:

    @dataclass(frozen=True)
    class Params:
        strength: float = number(0.8, 0.0, 1.0, help="How much of the flicker is taken out")
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, TypeVar

from core.errors import RecipeError

P = TypeVar("P")


@dataclass(frozen=True)
class Declared:
    """What is declared of one parameter.

    Attributes:
        kind: int, float, choice, registered, switch or text.
        help: what it does, in a sentence.
        low: least value.
        high: greatest value.
        unit: of a number.
        options: the words of a choice; of what is registered, those that may be said besides.
        registry: attribute of `core.contract.plugins.Plugins` in which what is registered is looked for.
        formerly: the name it had before.
    """

    kind: str
    help: str
    low: float | None = None
    high: float | None = None
    unit: str = ""
    options: tuple[str, ...] = ()
    registry: str = ""
    formerly: str = ""


def number(default: float, low: float, high: float, *, help: str, unit: str = "") -> Any:
    """A bounded number; whole where ``default`` is an int."""
    kind = "int" if isinstance(default, int) else "float"
    return field(default=default, metadata={"declared": Declared(kind, help, low, high, unit)})


def choice(default: str, options: tuple[str, ...], *, help: str) -> Any:
    """One of a few words."""
    return field(default=default, metadata={"declared": Declared("choice", help, options=options)})


def registered(default: str, registry: str, *, help: str, besides: tuple[str, ...] = (), formerly: str = "") -> Any:
    """One of what is registered, strangers' included; an unknown one is refused where it is asked for.

    Args:
        default: its name.
        registry: attribute of `core.contract.plugins.Plugins`, e.g. ``"flows"``.
        help: what it does, in a sentence.
        besides: what the stage itself answers to, beside what is registered.
        formerly: the parameter's name before.
    """
    declared = Declared("registered", help, options=besides, registry=registry, formerly=formerly)
    return field(default=default, metadata={"declared": declared})


def switch(default: bool, *, help: str) -> Any:
    """On or off."""
    return field(default=default, metadata={"declared": Declared("switch", help)})


def text(default: str, *, help: str) -> Any:
    """A short text such as a frame rate or a size; the stage itself checks its form."""
    return field(default=default, metadata={"declared": Declared("text", help)})


def build(cls: type[P], values: Mapping[str, Any], *, where: str) -> P:
    """Make a stage's parameters from JSON values, checked against what is declared.

    Args:
        cls: the frozen dataclass of declared fields.
        values: parameter name to value; missing ones take their defaults. A name that a parameter had before is
            understood: recipes outlive names.
        where: what to name in a message, e.g. ``"stage deflicker"``.

    Raises:
        RecipeError: an unknown name, a wrong type or a value out of bounds.
    """
    known = {f.name: f.metadata["declared"] for f in fields(cls)}  # type: ignore[arg-type]
    renamed = {declared.formerly: name for name, declared in known.items() if declared.formerly}
    checked: dict[str, Any] = {}
    for given, value in values.items():
        name = renamed.get(given, given)
        if name not in known:
            raise RecipeError(f"{where}: unknown parameter '{name}'; known: {', '.join(known) or 'none'}")
        checked[name] = _check(known[name], value, f"{where}, parameter '{name}'")
    return cls(**checked)


def _check(declared: Declared, value: Any, where: str) -> Any:
    if declared.kind == "switch":
        if not isinstance(value, bool):
            raise RecipeError(f"{where}: expected true or false, got {value!r}")
        return value
    if declared.kind == "choice":
        if value not in declared.options:
            raise RecipeError(f"{where}: expected one of {', '.join(declared.options)}, got {value!r}")
        return value
    if declared.kind == "registered":
        if not isinstance(value, str):
            raise RecipeError(f"{where}: expected a name, got {value!r}")
        return value
    if declared.kind == "text":
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise RecipeError(f"{where}: expected a text, got {value!r}")
        return str(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise RecipeError(f"{where}: expected a number, got {value!r}")
    if declared.kind == "int":
        if value != int(value):
            raise RecipeError(f"{where}: expected a whole number, got {value!r}")
        value = int(value)
    else:
        value = float(value)
    low, high = declared.low, declared.high
    if low is not None and high is not None and not low <= value <= high:
        raise RecipeError(f"{where}: {value} is outside {low:g} to {high:g}")
    return value


def values_of(params: Any) -> dict[str, Any]:
    """Parameters as plain JSON values, all of them, in declared order."""
    return asdict(params)


def describe(cls: type) -> list[dict[str, Any]]:
    """What is declared, as plain values for help texts and controls."""
    rows = []
    for f in fields(cls):
        declared: Declared = f.metadata["declared"]
        default = f.default if f.default is not MISSING else None
        rows.append({"name": f.name, "default": default, **asdict(declared)})
    return rows


@dataclass(frozen=True)
class NoParams:
    """For a stage that has nothing to set."""
