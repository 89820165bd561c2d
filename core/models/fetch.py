"""Fetch a model's checkpoint: from where its authors publish it, from a mirror, or from a file that is here.

Nothing is ever fetched unasked. What comes is compared with the hash on the card where one is known, and goes into
the model folder by `core.models.admit` like any stranger's file.
"""

from __future__ import annotations

import logging
import os
import re
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from core.contract.fingerprint import sha256_of
from core.contract.progress import Report, silent
from core.contract.registry import Registry
from core.errors import InputError, ModelMissingError, WeightsError
from core.models.admit import Admitted, admit
from core.models.card import ModelCard, ModelFile
from core.models.checkpoint import Check
from core.models.download import address, download, forget
from core.models.shelf import model_folder

log = logging.getLogger(__name__)

_ADDRESS = re.compile(r"(https?|file):|[a-z][a-z0-9+.-]+://", re.IGNORECASE)  # a lone letter is a drive of Windows


def fetch(
    card: ModelCard,
    checks: Registry[Check],
    folder: Path | None = None,
    *,
    source: str | None = None,
    report: Report = silent,
) -> Admitted:
    """Put a model's checkpoint into the model folder.

    Args:
        card: the model's
        checks: as of `admit`
        folder: where checkpoints lie; None: the model folder
        source: address of a mirror, or a file (its path, or as ``file:///…``); None: the address on the card
        report: told how many megabytes have come

    Raises:
        ModelMissingError: its authors publish it by a page, which only a person can walk through.
        InputError: as `download` and `admit`.
        WeightsError: what came is not what the card says, or as `admit`; it is not kept. What came whole, but could
            not be taken in for another reason, is.
    """
    folder = folder or model_folder()
    if source is not None and (path := _path_of(source)) is not None:
        file = _file_of(card, path.name)
        if os.path.isfile(path):  # noqa: PTH113 - what cannot even be looked for, `admit` refuses in words
            _compare(path, file)
        return admit(path, (card,), checks, folder, model=card.id, name=file.name)
    file = _file_of(card, address(source).path.rpartition("/")[2]) if source is not None else _fetched(card)
    part = folder / f"{file.name}.part"
    if (folder / file.rewritten).exists():
        raise InputError(f"{folder / file.rewritten}: is there already; move it away first")
    compare = partial(_compare, file=file)
    try:
        download(source or file.published, part, check=compare, report=report)
    except InputError as error:
        raise InputError(f"{error}. By hand: {file.published}, then models import {file.name}") from None
    try:
        compare(part)
        taken = admit(part, (card,), checks, folder, model=card.id, name=file.name)
    except WeightsError:
        forget(part)  # it is whole and wrong: going on with it would not mend it
        raise
    forget(part)
    return taken


def _path_of(source: str) -> Path | None:
    """The file that a source names; None where it is an address of something else."""
    if not _ADDRESS.match(source):
        return Path(source)
    if not source.lower().startswith("file:"):
        return None
    try:
        parts = urlsplit(source)
        here = parts.netloc in ("", "localhost") and "%00" not in source
    except ValueError:  # brackets without end
        here = False
    if not here:
        raise InputError(f"'{source}': is no address of a file on this machine")
    return Path(url2pathname(parts.path))


def _file_of(card: ModelCard, name: str) -> ModelFile:
    """Which of a model's files is meant by a name: that of the name, else the one that is recommended."""
    _check_has_files(card)
    return next((file for file in card.files if file.name == name), card.files[0])


def _fetched(card: ModelCard) -> ModelFile:
    """Which of a model's files is fetched where nobody names one; where it is not the recommended one, it is said."""
    _check_has_files(card)
    first, file = card.files[0], card.direct
    if file is None:
        raise ModelMissingError(
            f"model '{card.id}': is published by a page, not as a file: get {first.name} at {first.published}, "
            f"then: models import {first.name}"
        )
    if file != first:
        log.warning(
            "model '%s': %s, which is recommended, is published by a page only (%s); taken instead is %s of %s",
            card.id, first.name, first.published, file.name, urlsplit(file.published).hostname,
        )  # fmt: skip
    return file


def _check_has_files(card: ModelCard) -> None:
    if not card.files:
        raise InputError(f"model '{card.id}': comes with the program")


def _compare(path: Path, file: ModelFile) -> None:
    try:
        found = sha256_of(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check permissions") from None
    if not found.startswith(file.digest):
        raise WeightsError(
            f"{path.name}: sha256 is {found[:16]}…, that of {file.name} as published begins {file.digest[:16]}; "
            "not taken (models import takes what is no authors' file)"
        )
