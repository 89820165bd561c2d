"""Declared parameters to what a control needs: the recipe panel draws itself from these.

A new stage brings its `Params`; nothing here or in the browser knows it by name.
"""

from __future__ import annotations

from typing import Any

from core.contract.params import describe


def control(row: dict[str, Any], plugins: Any = None) -> dict[str, Any]:
    """One declared parameter as a control.

    Args:
        row: as `core.contract.params.describe` gives it.
        plugins: of whose registries one may be chosen from; needed where the parameter names one.

    Returns:
        ``{name, label, help, unit, kind, default, low, high, step, options}`` where ``kind`` is slider,
        choice, switch or text.
    """
    kind = {"int": "slider", "float": "slider", "registered": "choice"}.get(row["kind"], row["kind"])
    options = [*row["options"], *(getattr(plugins, row["registry"]) if row["registry"] else ())]
    low, high = row["low"], row["high"]
    return {
        "name": row["name"],
        "label": row["name"].replace("_", " "),
        "help": row["help"],
        "unit": row["unit"],
        "kind": kind,
        "default": row["default"],
        "low": low,
        "high": high,
        "step": _step(row["kind"], low, high),
        "options": options,
    }


def _step(kind: str, low: float | None, high: float | None) -> float | None:
    """A slider's step: whole for whole numbers, else about a hundredth of the range."""
    if low is None or high is None:
        return None
    if kind == "int":
        return 1
    span = high - low
    for step in (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0):
        if span / step <= 200:
            return step
    return span / 200


def stage_cards(plugins: Any) -> list[dict[str, Any]]:
    """Every registered stage with its help and controls, in order of registration."""
    cards = []
    for name in plugins.stages:
        stage = plugins.stages.get(name)
        controls = [control(row, plugins) for row in describe(stage.Params)]
        cards.append({"name": name, "help": stage.help, "controls": controls})
    return cards
