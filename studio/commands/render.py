"""`render`: bring a project up to date and write it out."""

from __future__ import annotations

from argparse import Namespace

from core.contract.plugins import Plugins
from core.contract.progress import Report
from studio.cli import Answer
from studio.deliver import Delivered
from studio.rendering import check_engine
from studio.session import Session


def render(args: Namespace, plugins: Plugins, report: Report) -> Answer:
    """Render what is missing, reuse what is there."""
    check_engine(args.engine)
    with Session.open(args.dir, plugins, device=args.device) as session:
        delivered = session.render(
            args.out, frames=args.frames, preview=args.preview, colouriser=args.colouriser, report=report
        )
    return reported(delivered)


def reported(delivered: Delivered) -> Answer:
    """What a render did, for people and programs."""
    made = [f"{name} {count}" for name, count in delivered.rendered.items()]
    kept = [f"{name} {count}" for name, count in delivered.reused.items()]
    lines = [
        f"{delivered.frames} frames in {delivered.seconds:.1f} s",
        f"rendered  {', '.join(made) or 'nothing'}",
        f"reused    {', '.join(kept) or 'nothing'}",
    ]
    for said, count in delivered.fell_short.items():
        lines.append(f"out of memory: {said}, {count} frames; not kept: a later render makes them anew")
    if delivered.output is not None:
        lines.append(f"written   {delivered.output}")
    return Answer(delivered.to_json(), tuple(lines))
