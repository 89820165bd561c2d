"""`project new`, `show`, `cuts`, `recipe`, `relink`."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from core.contract.plugins import Plugins
from core.contract.progress import Report
from core.errors import InputError
from studio.cli import Answer
from studio.session import Session


def new(args: Namespace, plugins: Plugins, report: Report) -> Answer:
    """Make a project of a film."""
    with Session.create(
        args.dir, args.source, rate=args.source_fps, recipe=args.recipe, plugins=plugins, report=report
    ) as session:
        return described(session)


def show(args: Namespace, plugins: Plugins, report: Report) -> Answer:
    """Describe a project; it may be open in another program."""
    with Session.open(args.dir, plugins, read_only=True) as session:
        return described(session)


def cuts(args: Namespace, plugins: Plugins, report: Report) -> Answer:
    """Correct where shots begin, all frames named or none."""
    both = set(args.add) & set(args.remove)
    if both:
        raise InputError(f"cut at frame {min(both)}: both added and removed; say one of them")
    with Session.open(args.dir, plugins) as session:
        session.set_cuts({**dict.fromkeys(args.add, True), **dict.fromkeys(args.remove, False)})
        return described(session)


def recipe(args: Namespace, plugins: Plugins, report: Report) -> Answer:
    """Choose another recipe."""
    with Session.open(args.dir, plugins) as session:
        session.set_recipe(args.recipe)
        return described(session)


def relink(args: Namespace, plugins: Plugins, report: Report) -> Answer:
    """Say where the film is now."""
    with Session.open(args.dir, plugins) as session:
        session.relink(args.source)
        return described(session)


def described(session: Session) -> Answer:
    """A project for people and programs."""
    facts = session.describe()
    return Answer(facts, tuple(_lines(facts)))


def _lines(facts: dict[str, Any]) -> list[str]:
    clip = facts["clip"]
    steps = [step["stage"] for step in facts["recipe"]["steps"] if step["on"]]
    head = [
        f"{facts['name']}: {clip['count']} frames of {clip['width']}x{clip['height']} at {clip['rate']} fps",
        f"film    {facts['source']}",
        f"recipe  {facts['recipe']['name']}: {' > '.join(steps) or 'nothing'}",
        f"hints   {len(facts['hints'])} on {len({h['frame'] for h in facts['hints']})} frames,"
        f" {len(facts['regions'])} regions",
    ]
    shots = [
        f"shot {s['id']:3}  {s['start']}:{s['stop']} ({s['begins']})  {s['rendered']} of {s['frames']} rendered"
        for s in facts["shots"]
    ]
    outdated = [
        f"lock {hint_id}: the recipe or its shot's cuts changed since it was set, so it shows another picture than was"
        " approved; undo that, or set the lock anew"
        for hint_id in facts["outdated_locks"]
    ]
    return head + shots + outdated
