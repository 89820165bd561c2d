"""`hints import`, `export`, `check`."""

from __future__ import annotations

from argparse import Namespace

from core.contract.plugins import Plugins
from core.contract.progress import Report
from studio.cli import Answer
from studio.session import Session


def import_(args: Namespace, plugins: Plugins, report: Report) -> Answer:
    """Take in a hints file, whole or not at all."""
    with Session.open(args.dir, plugins) as session:
        count = session.import_hints(args.file)
        total = len(session.project.hints)
    return Answer({"imported": count, "hints": total}, (f"{count} hints imported, {total} in the project",))


def export(args: Namespace, plugins: Plugins, report: Report) -> Answer:
    """Write the project's hints to a file."""
    with Session.open(args.dir, plugins, read_only=True) as session:
        session.export_hints(args.out)
        total = len(session.project.hints)
    return Answer({"hints": total, "output": args.out}, (f"{total} hints written to {args.out}",))


def check(args: Namespace, plugins: Plugins, report: Report) -> Answer:
    """Measure colours asked for against colours rendered."""
    with Session.open(args.dir, plugins, device=args.device) as session:
        found = session.check_hints(colouriser=args.colouriser, report=report)
    lines = [f"{row['id']}  frame {row['frame']}  dE {row['delta_e']:.2f}" for row in found["hints"]]
    if found["hints"]:
        lines.append(f"median {found['median']:.2f}, max {found['max']:.2f}")
    return Answer(found, tuple(lines) or ("no hints to check",))
