"""`doctor`: what this machine has, and what is missing."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from core.contract.plugins import Plugins
from core.contract.progress import Report
from core.doctor import examine
from studio.cli import Answer

_SIGNS = {"ok": "ok      ", "optional": "optional", "missing": "MISSING "}


def doctor(args: Namespace, plugins: Plugins, report: Report) -> Answer:
    """Examine the machine; status 1 where something needed is missing. With ``--tune`` measure the colouriser too."""
    found = examine(cards=plugins.cards.values())
    lines = []
    for finding in found:
        lines.append(f"{_SIGNS[finding.state]}  {finding.subject:18} {finding.found}")
        if finding.advice:
            lines.append(f"{'':10}{'':19}{finding.advice}")
    missing = [finding.subject for finding in found if finding.state == "missing"]
    data: dict[str, Any] = {"findings": [finding.as_json() for finding in found], "missing": missing}
    if args.tune:
        data["tuning"], said = _tuned(args.device)
        lines += ["", *said]
    return Answer(data, tuple(lines), status=int(bool(missing)))


def _tuned(device: str | None) -> tuple[dict[str, Any], list[str]]:
    """Every way to run the embedded colouriser, measured; as plain values, and for people."""
    from core.models.tuning import tune  # torch, and only where it is asked for

    measured, chosen, kept_in = tune(device)
    lines = ["The embedded colouriser: one frame at once, one of several together, difference from float32"]
    for m in measured:
        told = (
            m.fault or f"{m.alone_ms:7.1f} ms {m.together_ms:7.1f} ms   ΔE {m.delta_e:.3f}   ready in {m.ready_s:.0f} s"
        )
        lines.append(f"{'→' if m.way == chosen else ' '} {m.way:18} {told}")
    lines.append(f"{chosen} is used from now on; kept in {kept_in}")
    return {"ways": [m.as_json() for m in measured], "chosen": chosen, "kept_in": str(kept_in)}, lines
