"""`hints import`, `export`, `check`, `propose`."""

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


def propose(args: Namespace, plugins: Plugins, report: Report) -> Answer:
    """Look for a region in the shots where it has no hint."""
    with Session.open(args.dir, plugins, read_only=True, device=args.device) as session:
        found = session.propose(args.region, report=report)
    rows = [{key: row[key] for key in ("shot", "frame", "score", "share")} for row in found]
    lines = [
        f"shot {r['shot']}  frame {r['frame']}  score {r['score']:.2f}  {r['share']:.1%} of the picture" for r in rows
    ]
    return Answer({"region": args.region, "proposals": rows}, tuple(lines) or ("found in no other shot",))


def check(args: Namespace, plugins: Plugins, report: Report) -> Answer:
    """Measure colours asked for against colours rendered."""
    with Session.open(args.dir, plugins, device=args.device) as session:
        found = session.check_hints(colouriser=args.colouriser, report=report)
    lines = [
        f"{row['id']}  frame {row['frame']}  dE {row['delta_e']:.2f}"
        + (f"  (not of this frame; {row['found']:.0%} of it found in the picture)" if "found" in row else "")
        for row in found["hints"]
    ]
    lines += [
        f"{hint}  nothing of its frame is found in the picture; choose a frame that shows the same"
        for hint in found["not_found"]
    ]
    if found["hints"]:
        lines.append(f"median {found['median']:.2f}, max {found['max']:.2f}")
    return Answer(found, tuple(lines) or ("no hints to check",))
