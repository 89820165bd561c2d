"""`doctor`: what this machine has, and what is missing."""

from __future__ import annotations

from argparse import Namespace

from core.contract.plugins import Plugins
from core.contract.progress import Report
from core.doctor import examine
from studio.cli import Answer

_SIGNS = {"ok": "ok      ", "optional": "optional", "missing": "MISSING "}


def doctor(args: Namespace, plugins: Plugins, report: Report) -> Answer:
    """Examine the machine; status 1 where something needed is missing."""
    found = examine()
    lines = []
    for finding in found:
        lines.append(f"{_SIGNS[finding.state]}  {finding.subject:18} {finding.found}")
        if finding.advice:
            lines.append(f"{'':10}{'':19}{finding.advice}")
    missing = [finding.subject for finding in found if finding.state == "missing"]
    data = {"findings": [finding.as_json() for finding in found], "missing": missing}
    return Answer(data, tuple(lines), status=int(bool(missing)))
