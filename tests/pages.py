"""Pages of the documentation that are made from the code: ``python -m tests.pages`` writes them anew."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from app import BUILTINS
from core.contract.params import describe
from core.contract.plugins import Plugins, load_plugins
from core.contract.stage import FrameStage, RetimeStage, Stage
from studio.cli import parser

DOCS = Path(__file__).resolve().parent.parent / "docs"
MADE = "*Made from the code by `python -m tests.pages`; a test compares the two.*"


def builtin_plugins() -> Plugins:
    return load_plugins([import_module(name) for name in BUILTINS], discover=False)


def stages_page() -> str:
    """Every stage with its parameters, as it declares them."""
    plugins = builtin_plugins()
    lines = ["# Stages", "", MADE, ""]
    for name in plugins.stages:
        lines += _stage(plugins.stages.get(name))
    return "\n".join(lines).rstrip() + "\n"


def _stage(stage: Stage) -> list[str]:
    default = stage.Params()
    if isinstance(stage, FrameStage):
        radius = stage.radius(default)
        looks = f"the frame and {radius} to each side, within its shot" if radius else "the frame alone"
    else:
        looks = "two frames of one shot" if isinstance(stage, RetimeStage) else "the whole shot"
    lines = [f"## {stage.name}", "", f"{stage.help}. Looks at {looks}.", ""]
    rows = describe(stage.Params)
    if rows:
        lines += ["| parameter | default | may be | what it does |", "|---|---|---|---|"]
        lines += [f"| `{r['name']}` | {_value(r['default'])} | {_bounds(r)} | {r['help']} |" for r in rows]
        lines.append("")
    return lines


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"`{value}`" if value != "" else "empty"


def _bounds(row: dict[str, Any]) -> str:
    if row["kind"] in ("int", "float"):
        return f"{row['low']:g} to {row['high']:g} {row['unit']}".strip()
    return {"choice": ", ".join(row["options"]), "switch": "on or off"}.get(row["kind"], "text")


def commands_page() -> str:
    """Every command of the door with its arguments."""
    said = (
        "Every command is `python app.py COMMAND`. With `--json` the report is one JSON object on stdout; progress\n"
        "goes to stderr. Exit status: 0 done, 2 the input or the arguments are wrong, 1 failed, 130 stopped by hand."
    )
    lines = ["# Commands", "", MADE, "", said, ""]
    for words, command in _commands(parser(), ()):
        lines += [f"## {' '.join(words)}", "", f"{_sentence(command.description)}", ""]
        rows = [_argument(a) for a in command._actions if not isinstance(a, argparse._HelpAction)]
        if rows:
            lines += ["| argument | what it is |", "|---|---|", *rows, ""]
    return "\n".join(lines).rstrip() + "\n"


def _commands(
    command: argparse.ArgumentParser, words: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    groups = [a for a in command._actions if isinstance(a, argparse._SubParsersAction)]
    if not groups:
        yield words, command
    for group in groups:
        for name, inner in group.choices.items():
            yield from _commands(inner, (*words, name))


def _argument(action: argparse.Action) -> str:
    shown = action.metavar or "|".join(map(str, action.choices or ())) or action.dest.upper()
    shown = str(shown).replace("|", "\\|")
    if not action.option_strings:
        return f"| `{shown}` | {_help(action)} |"
    takes = "" if action.nargs == 0 else f" {shown}" + (" …" if action.nargs == "+" else "")
    return f"| `{', '.join(action.option_strings)}{takes}` | {_help(action)} |"


def _help(action: argparse.Action) -> str:
    return (action.help or "").replace("%%", "%").replace("|", "\\|")


def _sentence(text: str | None) -> str:
    words = (text or "").strip()
    return words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")


PAGES = {"stages.md": stages_page, "commands.md": commands_page}


def main() -> None:
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
