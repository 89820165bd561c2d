"""`models list`, `fetch`, `verify`."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from core.contract.plugins import Plugins
from core.contract.progress import Report
from core.errors import ModelMissingError
from core.models.shelf import card_of, find, model_folder, shelf
from core.models.shelf import verify as verified
from studio.cli import Answer


def list_(args: Namespace, plugins: Plugins, report: Report) -> Answer:
    """Every model: whether it is here, and what is used where it is not."""
    found = shelf()
    lines = [f"model folder: {model_folder()}"]
    for status in found:
        lines.append(f"{status.card.id:20} {status.state:18} {status.card.title} ({status.card.licence})")
        if status.state != "ready":
            lines.append(f"{'':20} {status.advice.removeprefix(status.state + '; ')}")
    data = {"folder": str(model_folder()), "models": [status.as_json() for status in found]}
    return Answer(data, tuple(lines))


def fetch(args: Namespace, plugins: Plugins, report: Report) -> Answer:
    """Say whether a model is here; downloading is not built yet, so otherwise say how to get it by hand.

    Raises:
        ModelMissingError: it is not here.
        InputError: there is no such model.
    """
    card_of(args.name)
    try:
        path = find(args.name)
    except ModelMissingError as error:
        raise ModelMissingError(f"{error} (fetching by program is not built yet)") from None
    return Answer({"id": args.name, "path": str(path), "fetched": False}, (f"{args.name} is here already: {path}",))


def verify(args: Namespace, plugins: Plugins, report: Report) -> Answer:
    """Compare the checkpoints that are here with their cards; status 1 where one differs."""
    rows = [_verified(status.card.id) for status in shelf() if status.path is not None]
    words = {True: "as published", False: "DIFFERS from what is published", None: "no published hash to compare with"}
    lines = [f"{row['id']:22} {words[row['as_published']]}  {row['sha256'][:16]}" for row in rows]
    bad = any(row["as_published"] is False for row in rows)
    return Answer({"models": rows}, tuple(lines) or ("no checkpoints here to verify",), status=int(bad))


def _verified(name: str) -> dict[str, Any]:
    same, sha256 = verified(name)
    return {"id": name, "as_published": same, "sha256": sha256}
