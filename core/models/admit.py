"""Take a checkpoint into the model folder: read apart, recognised by its tensors, rewritten as safetensors, pinned.

Whose a file is, its tensors' names and shapes tell, not its own name. Several models are of one network; which of
them it is then follows from its hash where that is published, else from its name, else the person says. An upscaler
that is known by neither is one of its own, where its architecture can be detected (`core.models.detected`).
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from core.contract.fingerprint import sha256_of
from core.contract.registry import Registry
from core.errors import InputError, ModelMissingError, WeightsError, printable
from core.lock import alone
from core.models import detected
from core.models.card import ModelCard, ModelFile
from core.models.checkpoint import Check, Table, check_finite, fold_norms, origin_of, read_checkpoint
from core.models.pins import pin, pinned
from core.models.rewrite import rewrite
from core.models.shelf import here, model_folder
from core.models.weights import load_weights

# What stands at the head of files that people take for a checkpoint.
_NOT_ONE = {
    b"<!doctype": "a web page: the address leads to a page, not to the file",
    b"<html": "a web page: the address leads to a page, not to the file",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself",
}


@dataclass(frozen=True)
class Admitted:
    """A checkpoint in the model folder.

    Attributes:
        card: of the model it was recognised as.
        path: where it is now.
        sha256: of it as it is now.
        source_sha256: of the file it was taken from.
        as_published: whether that is what its authors published; None where no hash of theirs is known.
    """

    card: ModelCard
    path: Path
    sha256: str
    source_sha256: str
    as_published: bool | None


@dataclass(frozen=True)
class Verified:
    """What became of looking through one file of the model folder.

    Attributes:
        card: the model's.
        path: the file.
        sha256: of its bytes; empty where they cannot be read.
        as_published: whether they are what its authors published, or were rewritten from that by `admit`; None: no
            hash of theirs is known.
        as_taken_in: whether they are still what they were when `admit` wrote them; None: it did not.
        fault: what is wrong with it, in one line; else empty.
    """

    card: ModelCard
    path: Path
    sha256: str
    as_published: bool | None
    as_taken_in: bool | None
    fault: str


def admit(
    source: Path,
    cards: Iterable[ModelCard],
    checks: Registry[Check],
    folder: Path | None = None,
    *,
    model: str | None = None,
    name: str | None = None,
) -> Admitted:
    """Take one file into the model folder. The file itself stays where and as it is.

    Args:
        source: a checkpoint of any kind that is published
        cards: of the models it may be of
        checks: compares a table with a model's network, by the card's id
        folder: where checkpoints lie; None: the model folder
        model: id of its card, or its published name, where its tensors fit several; None: whichever it is
        name: what it is published as; None: as it is called

    Raises:
        InputError: there is no such file or model, or it fits several; or another checkpoint has its place already.
        WeightsError: it is damaged, unsafe, or of none of these models.
    """
    folder = folder or model_folder()
    _check_is_file(source)
    cards = tuple(cards)
    if model is not None and not any(model in (card.id, *(f.name for f in card.files)) for card in cards):
        raise InputError(f"unknown model '{model}'; known: {', '.join(card.id for card in cards)}")
    digest = sha256_of(source)
    with _new_file(folder) as new:
        rewrite(source, new, digest)
        table = read_checkpoint(new)
        check_finite(table, where=str(source))
        name, where = name or source.name, str(source)
        detect = partial(detected.detected, table, name, cards, where=where)
        card, file = recognised(table, digest, name, cards, checks, model=model, where=where, detect=detect)
        del table, detect  # it is a view of the file, which some systems then do not let go of
        path, sha256 = folder / file.rewritten, sha256_of(new)
        _check_is_free(path, sha256, card)
        pin(folder, path.name, sha256)  # first: a note without its file does no harm, a file without its note would
        _put(new, path)
    return Admitted(card, path, sha256, digest, _is_published(digest, file))


def _check_is_free(path: Path, sha256: str, card: ModelCard) -> None:
    """Refuse to write over what is not the same checkpoint."""
    try:
        if sha256_of(path) == sha256:
            return
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(
            f"{path}: is there already and cannot be read ({error.strerror}); move it away first"
        ) from None
    raise InputError(f"{path}: another checkpoint of '{card.id}' is there already; move it away first")


def _put(new: Path, path: Path) -> None:
    try:
        new.chmod(0o644)
        new.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); check permissions") from None


@contextmanager
def _new_file(folder: Path) -> Iterator[Path]:
    """A file in the model folder to be written and renamed, by one program at a time.

    What a program that was killed has left there goes.
    """
    with ExitStack() as after:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if after.enter_context(alone(folder / ".admit.lock")):
                for left in folder.glob(".admit-*.part"):
                    left.unlink(missing_ok=True)
            handle, part = tempfile.mkstemp(".part", ".admit-", folder)
        except OSError as error:
            raise InputError(f"{folder}: cannot be written ({error.strerror}); check permissions") from None
        os.close(handle)
        after.callback(Path(part).unlink, missing_ok=True)
        yield Path(part)


def recognised(
    table: Table,
    digest: str,
    name: str,
    cards: Iterable[ModelCard],
    checks: Registry[Check],
    *,
    model: str | None = None,
    where: str,
    detect: Callable[[], detected.Detected | None] = lambda: None,
) -> tuple[ModelCard, ModelFile]:
    """Whose checkpoint a table is, and as which of its published files it is to be kept.

    Args:
        table: as published: name to tensor
        digest: SHA-256 of the file it was read from
        name: of that file
        cards: of the models it may be of
        checks: by the card's id
        model: as of `admit`
        where: what to name in a message, e.g. the file's path
        detect: asked what it is where no card, or none but upscalers' that know it by neither hash nor name, fits

    Raises:
        InputError: it fits several; the message says how to tell.
        ModelMissingError: it may be of a model whose code is not installed, and fits no other.
        WeightsError: it fits none.
    """
    plain = fold_norms(table)
    asked = [c for c in cards if c.id in checks and (model is None or model in (c.id, *(f.name for f in c.files)))]
    if model is not None and not asked:
        raise InputError(f"{where}: '{model}' is no model that is imported from a file")
    if model is not None:
        checks.get(asked[0].id)(plain, where)  # what does not fit is said by name
    unasked: list[ModelMissingError] = []
    fitting = [card for card in asked if _fits(card, plain, checks, where, unasked)]
    pairs = [(card, file) for card in fitting for file in card.files if model in (None, card.id, file.name)]
    for known in (
        [p for p in pairs if p[1].digest and digest.startswith(p[1].digest)],
        [p for p in pairs if name in (p[1].name, p[1].rewritten)],
    ):
        if len(known) == 1:
            return known[0]
    own = detect() if model is None and all(card.task == "upscale" for card in fitting) else None
    if own is not None:
        return own.card, own.card.files[0]
    if not fitting and unasked:
        raise ModelMissingError(f"{where}: {unasked[0]}; it is no other model's file")
    if not fitting:
        some = ", ".join(f"'{name}'" for name in list(table)[:3])
        more = f"; for upscalers of other architectures {lacking}" if (lacking := detected.lacking()) else ""
        raise WeightsError(
            f"{where}: is none of the {len(asked)} models that can be imported; its {len(table)} tensors are "
            f"{some} …{more}"
        )
    kinds = {(card.id, file.reading): (card, file) for card, file in reversed(pairs)}
    if len(kinds) > 1:
        ids = dict.fromkeys(card.id for card, _ in pairs)
        words = ids if len(ids) > 1 else [file.name for _, file in pairs]
        raise InputError(f"{where}: fits {', '.join(words)} alike; say which it is: --as {next(iter(words))}")
    return next(iter(kinds.values()))


def verified(cards: Iterable[ModelCard], checks: Registry[Check], folder: Path | None = None) -> list[Verified]:
    """Look through every file of the model folder that belongs to a card: its hash, names, shapes and numbers.

    Raises:
        InputError: the folder or its list of hashes cannot be read.
    """
    folder = folder or model_folder()
    found = [(card, path, file) for card in cards for path, file in here(card, folder).items()]
    pins = pinned(folder)
    return [_verified(card, path, file, pins, checks) for card, path, file in found]


def _verified(
    card: ModelCard, path: Path, file: ModelFile | None, pins: Mapping[str, str], checks: Registry[Check]
) -> Verified:
    sha256, published, taken_in, fault = "", None, None, ""
    try:
        sha256 = sha256_of(path)
        if file is None:
            load_weights(path)
            return Verified(card, path, sha256, None, None, "")
        if path.name in pins:
            taken_in = pins[path.name] == sha256
        # A stranger can note any origin: it is believed of what this program wrote, and that is still as it was.
        published = _is_published((origin_of(path) if taken_in else "") or sha256, file)
        table = read_checkpoint(path)
        check_finite(table, where=str(path))
        if card.id in checks:
            checks.get(card.id)(fold_norms(table), str(path))
        found = detected.parsed(path.name) if card.detected else None
        if found is not None:
            detected.check(found, table, where=str(path))
        if taken_in is False:
            fault = f"{path}: has changed since it was taken in; move it away, and fetch or import it again"
        elif published is False and path.name == file.name:
            fault = f"{path}: differs from what is published under its name; move it away and fetch it again"
    except InputError as error:
        fault = str(error)
    except Exception as error:  # one file's fault, whatever it is, must not hide what there is to say of the others
        fault = printable(
            f"{path}: cannot be looked through ({type(error).__name__}: {error}); fetch or import it again"
        )
    return Verified(card, path, sha256, published, taken_in, fault)


def _is_published(digest: str, file: ModelFile) -> bool | None:
    return digest.startswith(file.digest) if file.digest else None


def _fits(card: ModelCard, plain: Table, checks: Registry[Check], where: str, unasked: list[ModelMissingError]) -> bool:
    """Whether a table is a model's; a model whose code is not installed cannot tell, and goes among the unasked."""
    try:
        checks.get(card.id)(plain, where)
    except ModelMissingError as error:
        unasked.append(error)
        return False
    except InputError:
        return False
    return True


def _check_is_file(source: Path) -> None:
    try:
        kind = source.stat().st_mode
    except FileNotFoundError:
        raise InputError(f"{source}: {'leads to no file' if source.is_symlink() else 'no such file'}") from None
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(kind):
        what = "is a folder; name the checkpoint in it" if stat.S_ISDIR(kind) else "is a pipe or a device, not a file"
        raise InputError(f"{source}: {what}")
    try:
        with source.open("rb") as file:
            head = file.read(64).lstrip().lower()
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror})") from None
    if not head:
        raise WeightsError(f"{source}: is empty; fetch it again")
    for beginning, meaning in _NOT_ONE.items():
        if head.startswith(beginning):
            raise WeightsError(f"{source}: is {meaning}")
