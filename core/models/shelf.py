"""The model shelf: which models there are, which lie in the model folder, where the others are published.

Weights of others are never part of this repository. They lie in one flat folder, as their authors publish them
or as `core.models.admit` rewrites them; the environment variable ``POCHOIR_MODELS`` names another one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import platformdirs

from core.contract.plugins import Plugins
from core.errors import InputError, ModelMissingError
from core.models.card import CARDS, ModelCard, ModelFile

VARIABLE = "POCHOIR_MODELS"
BUILT_IN = Path(__file__).resolve().parent / "weights"
State = Literal["ready", "missing", "damaged"]


@dataclass(frozen=True)
class Status:
    """What became of looking for a model.

    Attributes:
        card: the model's.
        state: whether it can be used now. Only what a file's length tells is looked at: damaged is what is empty, or is
            shorter than the card says of the file of that name.
        path: its file, where there is one that can be used.
        advice: one line: how to get the model, and what there is until then; or empty.
    """

    card: ModelCard
    state: State
    path: Path | None
    advice: str

    def as_json(self) -> dict[str, object]:
        """As plain values for ``models list --json``."""
        card = self.card
        return {
            "id": card.id,
            "title": card.title,
            "task": card.task,
            "state": self.state,
            "path": str(self.path) if self.path else None,
            "licence": card.licence,
            "paper": card.paper,
            "files": [asdict(f) for f in card.files],
            "instead": card.instead,
            "use": {**asdict(card.use), "megabytes": round(card.use.megabytes, 1)} if card.use else None,
            "advice": self.advice,
        }


def model_folder() -> Path:
    """The folder in which published checkpoints are looked for; it need not exist.

    Raises:
        InputError: what is named is no folder, or cannot be one.
    """
    named = os.environ.get(VARIABLE, "").strip()
    folder = Path(named) if named else platformdirs.user_data_path("pochoir", appauthor=False) / "models"
    try:
        folder = folder.expanduser()
        if stat.S_ISDIR(folder.stat().st_mode):
            return folder
    except FileNotFoundError:
        return folder
    except OSError as error:
        raise _unreadable(folder, error) from None
    except RuntimeError:
        raise InputError(f"model folder {folder}: there is no such home; name another by {VARIABLE}") from None
    raise InputError(f"model folder {folder}: is no folder; name one by {VARIABLE}")


def _unreadable(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"model folder {folder}: cannot be read ({error.strerror}); check permissions, or name another by {VARIABLE}"
    )


def card_of(name: str, cards: Iterable[ModelCard] = CARDS) -> ModelCard:
    """The card of that id.

    Raises:
        InputError: there is none; the message lists those there are.
    """
    cards = tuple(cards)
    for card in cards:
        if card.id == name:
            return card
    raise InputError(f"unknown model '{name}'; known: {', '.join(c.id for c in cards)}")


def shelf(folder: Path | None = None, cards: Iterable[ModelCard] = CARDS) -> list[Status]:
    """Every model and its state.

    Args:
        folder: where checkpoints lie; None: the model folder
        cards: of which models; by default those that come with the program

    Raises:
        InputError: the folder cannot be read.
    """
    return [_status(card, folder or model_folder()) for card in cards]


def find(model: str | ModelCard, folder: Path | None = None) -> Path:
    """A model's checkpoint.

    Args:
        model: its card; of those that come with the program the card's id will do
        folder: where checkpoints lie; None: the model folder

    Raises:
        InputError: no such model, or the folder cannot be read.
        ModelMissingError: its file is not in the folder; the message says which, where to get it, and what to choose
            until then.
    """
    card, folder = card_of(model) if isinstance(model, str) else model, folder or model_folder()
    path = next(iter(here(card, folder)), None)
    if path is None:
        raise ModelMissingError(_advice(card, folder))
    return path


def here(card: ModelCard, folder: Path) -> dict[Path, ModelFile | None]:
    """A model's files that lie in the folder, the one that is used first, each with what the card says of it.

    A file that was rewritten as safetensors (`ModelFile.rewritten`) goes before the same one as published.

    Raises:
        InputError: the folder cannot be read.
    """
    if card.built_in:
        return dict.fromkeys(sorted(BUILT_IN.glob("*.safetensors")))
    names = ((name, file) for file in card.files for name in dict.fromkeys((file.rewritten, file.name)))
    try:
        return {folder / name: file for name, file in names if (folder / name).is_file()}
    except OSError as error:
        raise _unreadable(folder, error) from None


def _status(card: ModelCard, folder: Path) -> Status:
    found = here(card, folder)
    if not found:
        return Status(card, "missing", None, _advice(card, folder))
    path, file = next(iter(found.items()))
    fault = _fault(path, file)
    if fault:
        return Status(card, "damaged", None, f"{path}: {fault}; move it away; {_advice(card, folder)}")
    return Status(card, "ready", path, "")


def _fault(path: Path, file: ModelFile | None) -> str:
    """Why a file can be no whole checkpoint, as far as its length tells; else empty."""
    size = path.stat().st_size
    if not size:
        return "is empty"
    # A rewritten file is of another length than the published one; and a longer one was not cut short.
    if file is not None and file.size and path.name == file.name and size < file.size:
        return f"has {size} bytes, but {file.size} were published under this name"
    return ""


def _advice(card: ModelCard, folder: Path) -> str:
    return f"{how(card, folder)}; until then {card.instead}"


def how(card: ModelCard, folder: Path) -> str:
    """One line: how a model that is not there is got."""
    if card.built_in:
        return f"model '{card.id}': no weights in {BUILT_IN}; install the program again"
    if card.detected:
        return f"model '{card.id}': take its file in again: models import"
    file = card.files[0]
    fetched = f" (models fetch {card.id})" if any(f.direct for f in card.files) else ""
    packed = ", in an archive, which is to be unpacked" if file.in_archive else ""
    return f"model '{card.id}': put {file.name} into {folder}; it is published at {file.published}{packed}{fetched}"


def register(plugins: Plugins) -> None:
    """Put the cards of the models that come with the program on the shelf."""
    for card in CARDS:
        plugins.cards.add(card.id, card)
