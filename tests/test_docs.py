"""The documentation says what is so: commands parse, targets exist, links lead somewhere, pages are current."""

from __future__ import annotations

import argparse
import inspect
import json
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from hints.hint import KINDS
from hints.interchange import encode, load
from studio.cli import parser
from tests.pages import PAGES, builtin_plugins

ROOT = Path(__file__).resolve().parent.parent
BY_HAND = sorted(
    [*ROOT.glob("*.md"), *(p for p in (ROOT / "docs").rglob("*.md") if p.name not in PAGES)],
)
names = [p.relative_to(ROOT).as_posix() for p in BY_HAND]
every_page = pytest.mark.parametrize("page", BY_HAND, ids=names)

COMMAND = re.compile(r"python app\.py ([^\n`#|]+)")
TARGET = re.compile(r"(?:^|`|\s)make ([a-z]+)(?=[\s`]|$)", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def code_of(page: Path) -> str:
    """What stands in fences, in indented blocks and between backticks."""
    text = page.read_text("utf-8")
    indented = re.findall(r"^ {4}(\S.*)$", text, re.MULTILINE)
    fenced = re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return "\n".join([*fenced, *indented, *inline])


def targets_of_makefile() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def test_there_are_pages() -> None:
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/hints-file.md"} <= set(names)


@every_page
def test_commands_are_understood(page: Path) -> None:
    """Every command written down is one the door accepts, argument for argument."""
    for words in COMMAND.findall(code_of(page)):
        if words.split()[0].isupper() or "[" in words:
            continue  # a form, not a command
        parser().parse_args(shlex.split(words.rstrip(" \\")))


def test_every_command_is_described() -> None:
    text = (ROOT / "docs" / "command-line.md").read_text("utf-8")
    for command in commands():
        assert re.search(rf"(app\.py |^##.*\b){command}\b", text, re.MULTILINE), command


def commands() -> list[str]:
    groups = [a for a in parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return [name for group in groups for name in group.choices]


@every_page
def test_targets_exist(page: Path) -> None:
    asked = set(TARGET.findall(code_of(page)))
    assert asked <= targets_of_makefile()


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text("utf-8")):
        if "://" not in link:
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


@every_page
def test_words_of_the_trade(page: Path) -> None:
    """British spelling, and *shot*, which is not a scene."""
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text("utf-8"), flags=re.DOTALL)
    found = re.findall(r"\b(?:colors?|coloriz\w+|gray\w*|stabiliz\w+|scenes?)\b", prose, re.IGNORECASE)
    assert not found


@every_page
def test_no_machine_of_ours_is_named(page: Path) -> None:
    text = page.read_text("utf-8")
    assert not re.search(r"(?<![\w.])/(?:work|home|root|Users)/", text)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_generated_pages_are_current(name: str) -> None:
    written = (ROOT / "docs" / name).read_text("utf-8")
    assert written == PAGES[name](), f"docs/{name} is out of date: run python -m tests.pages"


def test_glossary_is_in_order() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    words = [w.lower() for w in re.findall(r"^\| \*\*([^*]+)\*\*", text, re.MULTILINE)]
    plain = [w for w in words if w.isascii()]
    assert len(words) > 30
    assert plain == sorted(plain)


def test_decisions_are_numbered_and_complete() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(p.name[:4]) for p in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text("utf-8")
        assert text.startswith(f"# {page.name[:4]} — "), page.name


def test_stages_explain_themselves() -> None:
    stages = builtin_plugins().stages
    for name in stages:
        cls = type(stages.get(name))
        assert inspect.getdoc(cls), name
        for method, function in inspect.getmembers(cls, inspect.isfunction):
            if not method.startswith("_") and method in vars(cls):
                assert inspect.getdoc(function), f"{cls.__name__}.{method} has no docstring"


def test_the_hints_file_in_the_documentation_is_one(tmp_path: Path) -> None:
    """The example is read by the reader it describes, and written back by it unchanged."""
    text = (ROOT / "docs" / "hints-file.md").read_text("utf-8")
    example = re.findall(r"```json\n(.*?)```", text, re.DOTALL)[0]
    (tmp_path / "hints.json").write_text(example, "utf-8")
    for name in re.findall(r'"((?:masks|stills)/[^"]+)"', example):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB" if name.startswith("stills") else "L", (640, 480), "white").save(tmp_path / name)
    read = load(tmp_path / "hints.json", size=(480, 640), count=48)
    assert {h.kind for h in read.hints} == set(KINDS)
    said = encode(read)[0]
    for given, kept in zip(json.loads(example)["hints"], said["hints"], strict=True):
        assert {k: v for k, v in given.items() if k not in ("mask", "image")}.items() <= kept.items()
