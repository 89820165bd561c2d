"""Pages of the documentation that are made from the code: ``python -m tests.pages`` writes them anew."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from app import BUILTINS
from core.contract.params import describe
from core.contract.plugins import Plugins, load_plugins
from core.contract.stage import FrameStage, RetimeStage, Stage

DOCS = Path(__file__).resolve().parent.parent / "docs"
MADE = "*Made from the code by `python -m tests.pages`; a test compares the two.*"


def builtin_plugins() -> Plugins:
    return load_plugins([import_module(name) for name in BUILTINS], discover=False)


def stages_page() -> str:
    """Every stage with its parameters, as it declares them."""
    plugins = builtin_plugins()
    lines = ["# Stages", "", MADE, ""]
    for name in plugins.stages:
        lines += _stage(plugins.stages.get(name), plugins)
    return "\n".join(lines).rstrip() + "\n"


def _stage(stage: Stage, plugins: Plugins) -> list[str]:
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
        lines += [f"| `{r['name']}` | {_value(r['default'])} | {_bounds(r, plugins)} | {r['help']} |" for r in rows]
        lines.append("")
    return lines


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"`{value}`" if value != "" else "empty"


def _bounds(row: dict[str, Any], plugins: Plugins) -> str:
    if row["kind"] in ("int", "float"):
        return f"{row['low']:g} to {row['high']:g} {row['unit']}".strip()
    if row["kind"] == "registered":
        return ", ".join([*row["options"], *getattr(plugins, row["registry"])]) + ", or of an installed package"
    return {"choice": ", ".join(row["options"]), "switch": "on or off"}.get(row["kind"], "text")


PAGES = {"stages.md": stages_page}


def main() -> None:
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
