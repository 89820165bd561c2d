"""All measurements by name, and their results as a table for people.

A measurement is a module of this folder with ``run(data, *, limit, seed) -> dict``; it is imported only when it is
asked for, because each stands on rooms that take their time to import.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from core.errors import InputError

Result = dict[str, Any]
ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"  # beside the project, where its makers keep it
NAMES = (
    "points",
    "exemplar",
    "sparse",
    "regions",
    "flow",
    "interpolate",
    "repair",
    "speed",
    "latency",
    "carry",
    "suggestions",
    "need",
    "across",
    "references",
    "neighbours",
    "segment",
    "beside",
)
HAVE_STILLS = frozenset({"points", "suggestions"})
NEEDS_NO_DATA = frozenset({"speed", "latency", "beside"})
# What only some measurements are told.
OPTIONS = {
    "stills": HAVE_STILLS,
    "reference": frozenset({"beside"}),
    "models": frozenset({"speed"}),
    "device": frozenset({"speed", "beside"}),
    "size": frozenset({"beside"}),
}


def _run(name: str, data: Path | None, **options: Any) -> Result:
    result: Result = import_module(f"bench.{name}").run(data, **options)
    return result


BENCHES: dict[str, Callable[..., Result]] = {name: partial(_run, name) for name in NAMES}


def run_bench(
    name: str, data: str | Path | None = None, limit: int | None = None, seed: int = 0, **options: Any
) -> dict[str, Any]:
    """Run one measurement.

    Args:
        name: one of `BENCHES`
        data: folder of test films, laid out as ``SOURCES.csv`` in it says; None: the one beside the project
        limit: at most so many cases, for a quick look; None: all
        seed: of everything drawn by chance
        options: of `OPTIONS`, where they are not None or False: ``stills``, the folder of photographs below
            ``stills/`` in the data; ``reference``, the folder of the authors' checkouts; ``models``, to measure those
            of the shelf; ``device``, where these run, or those beside their authors'; ``size``, of what the latter are
            shown

    Returns:
        ``{"name", "cases", "summary"}`` and what else the measurement has to say.

    Raises:
        InputError: no such measurement, or its data is not there; or it does not take an option.
    """
    if name not in BENCHES:
        raise InputError(f"unknown measurement '{name}'; known: {', '.join(BENCHES)}")
    if limit is not None and limit < 1:
        raise InputError(f"--limit {limit}: expected 1 or more")
    chosen = {option: value for option, value in options.items() if value not in (None, False)}
    for option in chosen:
        if name not in OPTIONS[option]:
            raise InputError(f"bench {name} takes no --{option}; those that do: {', '.join(sorted(OPTIONS[option]))}")
    return BENCHES[name](_folder(name, data), limit=limit, seed=seed, **chosen)


def _folder(name: str, data: str | Path | None) -> Path | None:
    if data is not None:
        folder = Path(data).expanduser()
        if not folder.is_dir():
            raise InputError(f"bench {name}: no folder {folder}; give the folder of test films with --data DIR")
        return folder
    if DATA.is_dir():
        return DATA
    if name in NEEDS_NO_DATA:
        return None
    raise InputError(f"bench {name}: no test films in {DATA}; give their folder with --data DIR")


def table(result: Mapping[str, Any]) -> str:
    """A measurement's result as lines for people: its cases in columns, then its summary.

    Args:
        result: what `run_bench` gives
    """
    cases = [dict(_flat(case)) for case in result.get("cases", [])]
    columns = list(dict.fromkeys(key for case in cases for key in case))
    rows = [columns, *([_cell(case.get(c)) for c in columns] for case in cases)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns))]
    lines = [f"bench {result['name']}"]
    if columns:
        lines += ["", *("  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows)]
    summary = dict(_flat(result.get("summary", {})))
    if summary:
        width = max(map(len, summary))
        lines += ["", *(f"{key.ljust(width)}  {_cell(value)}" for key, value in summary.items())]
    return "\n".join(lines)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested tables as one: ``{"a": {"b": 1}}`` gives ``a b``. Lists are for machines and left out."""
    for key, value in values.items():
        name = f"{prefix} {key}".strip()
        if isinstance(value, Mapping):
            yield from _flat(value, name)
        elif not isinstance(value, list | tuple):
            yield name, value


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
