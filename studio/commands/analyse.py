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
    return [f"{name:16} {value}" for name, value in found.items()]
