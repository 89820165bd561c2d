"""`analyse`: examine a film and recommend a recipe."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from core.analyse import analyse as examine
from core.contract.plugins import Plugins
from core.contract.progress import Report
from core.decode import open_source
from studio.cli import Answer


def analyse(args: Namespace, plugins: Plugins, report: Report) -> Answer:
    """Examine a film; nothing is written."""
    film = open_source(args.source, rate=args.source_fps)
    try:
        found = examine(film, report, None).to_json()
    finally:
        film.close()
    return Answer(found, tuple(_lines(found)))


def _lines(found: dict[str, Any]) -> list[str]:
    plain = {name: value for name, value in found.items() if name not in ("film", "shots", "advice")}
    facts = [f"{name.replace('_', ' '):24} {_short(value)}" for name, value in {**found["film"], **plain}.items()]
    shots = f"{'shots':24} {len(found['shots'])}: " + " ".join(f"{a}:{b}" for a, b in found["shots"])
    steps = [f"  {'on ' if a['on'] else 'off'} {a['step']:12} {a['reason']}" for a in found["advice"]]
    return [*facts, shots, "recommended recipe (auto):", *steps]


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
