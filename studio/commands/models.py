"""`models list`, `fetch`, `import`, `verify`."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from core.contract.plugins import Plugins
from core.contract.progress import Report
from core.errors import WeightsError
from core.models.admit import Admitted, Verified, admit, verified
from core.models.card import ModelCard
from core.models.checkpoint import check_whole
from core.models.fetch import fetch as fetched
from core.models.shelf import Status, card_of, here, model_folder, shelf
from studio.cli import Answer

_PUBLISHED = {True: "as published", False: "not the published bytes", None: "no published hash to compare with"}


def list_(args: Namespace, plugins: Plugins, report: Report) -> Answer:
    """Every model, or one: whether it is here, else where it is published and what there is without it.

    Raises:
        InputError: there is none of that name.
    """
    cards = plugins.cards.values()
    found = shelf(cards=cards if args.name is None else [card_of(args.name, cards)])
    long = args.long or args.name is not None
    lines = [f"model folder: {model_folder()}"]
    for status in found:
        lines.append(f"{status.card.id:20} {status.state:18} {status.card.title} ({status.card.licence})")
        lines += [f"{'':20} {line}" for line in (*(_use(status.card) if long else ()), *_detail(status))]
    data = {"folder": str(model_folder()), "models": [status.as_json() for status in found]}
    return Answer(data, tuple(lines))


def _use(card: ModelCard) -> list[str]:
    use, sizes = card.use, {file.size for file in card.files[:1] if file.size}
    if use is None:
        return []
    weight = f"{sizes.pop() / 1e6:.0f} MB" if sizes else "" if card.built_in else f"about {use.megabytes:.0f} MB"
    return [
        f"for: {use.suited}",
        f"not for: {use.unsuited}",
        f"takes: {use.takes}",
        f"size: {use.millions:g} million parameters" + (f", {weight}" if weight else ""),
        f"described in: {card.paper}",
    ]


def _detail(status: Status) -> list[str]:
    if status.path is not None:
        return [] if status.card.built_in else [str(status.path)]
    if status.card.built_in or status.state == "damaged":
        return [status.advice]
    file = status.card.direct or status.card.files[0]
    unpacked = ", unpack it" if file.in_archive else ""
    by_hand = f"get {file.name} there{unpacked}, then models import {file.name}"
    way = f"models fetch {status.card.id}" if file.direct else by_hand
    return [f"until it is here, {status.card.instead}", f"published at {file.published}: {way}"]


def fetch(args: Namespace, plugins: Plugins, report: Report) -> Answer:
    """Download a model's checkpoint, unless it is here.

    Raises:
        InputError: there is no such model, or as of `core.models.fetch.fetch`.
        WeightsError: it is here, but damaged.
    """
    card = card_of(args.name, plugins.cards.values())
    path = next(iter(here(card, model_folder())), None)
    if path is not None and args.source is None:
        try:
            check_whole(path)
        except WeightsError as error:
            raise WeightsError(f"{card.id}: is here, but damaged: {error}; first move that one away") from None
        return Answer({"id": card.id, "path": str(path), "fetched": False}, (f"{card.id} is here already: {path}",))
    taken = fetched(card, plugins.checks, source=args.source, report=report)
    return Answer({**_as_json(taken), "fetched": True}, (_line(taken),))


def import_(args: Namespace, plugins: Plugins, report: Report) -> Answer:
    """Take a checkpoint into the model folder.

    Raises:
        InputError: as of `core.models.admit.admit`.
    """
    taken = admit(Path(args.file), plugins.cards.values(), plugins.checks, model=args.model)
    return Answer(_as_json(taken), (_line(taken),))


def verify(args: Namespace, plugins: Plugins, report: Report) -> Answer:
    """Look through the checkpoints that are here: hash, names, shapes, numbers; status 1 where one is at fault."""
    found = verified(plugins.cards.values(), plugins.checks)
    rows = [_row(one) for one in found]
    lines = [f"{one.card.id:22} {one.sha256[:16]}  {one.fault or 'good: ' + _said(one)}" for one in found]
    return Answer(
        {"models": rows}, tuple(lines) or ("no checkpoints here to verify",), int(any(o.fault for o in found))
    )


def _said(one: Verified) -> str:
    taken_in = ", as it was taken in" if one.as_taken_in else ""
    return _PUBLISHED[one.as_published] + taken_in


def _row(one: Verified) -> dict[str, Any]:
    return {
        "id": one.card.id,
        "path": str(one.path),
        "sha256": one.sha256,
        "as_published": one.as_published,
        "as_taken_in": one.as_taken_in,
        "fault": one.fault or None,
    }


def _as_json(taken: Admitted) -> dict[str, Any]:
    return {
        "id": taken.card.id,
        "path": str(taken.path),
        "sha256": taken.sha256,
        "source_sha256": taken.source_sha256,
        "as_published": taken.as_published,
    }


def _line(taken: Admitted) -> str:
    if taken.card.detected:
        return f"{taken.card.id}: {taken.card.title}; upscale takes it as by={taken.card.id}; it is {taken.path}"
    return f"{taken.card.id}: {taken.card.title}, {_PUBLISHED[taken.as_published]}; it is {taken.path}"
