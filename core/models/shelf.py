"""The model shelf: which models there are, which lie in the model folder, where the others are published.

Weights of others are never part of this repository. They are files as their authors publish them, put by
hand into one flat folder; the environment variable ``POCHOIR_MODELS`` names another one.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import platformdirs

from core.errors import InputError, ModelMissingError
from core.models.card import CARDS, ModelCard
from core.models.checksum import sha256_of

VARIABLE = "POCHOIR_MODELS"
BUILT_IN = Path(__file__).resolve().parent / "weights"
State = Literal["ready", "missing"]


@dataclass(frozen=True)
class Status:
    """What became of looking for a model.

    Attributes:
        card: the model's.
        state: whether it can be used now.
        path: its file, where there is one.
        advice: one line: what is used instead and how to get the model, or empty.
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
            "advice": self.advice,
        }


def model_folder() -> Path:
    """The folder in which published checkpoints are looked for; it need not exist."""
    named = os.environ.get(VARIABLE, "").strip()
    if named:
        return Path(named).expanduser()
    return platformdirs.user_data_path("pochoir", appauthor=False) / "models"


def card_of(name: str) -> ModelCard:
    """The card of that id.

    Raises:
        InputError: there is none; the message lists those there are.
    """
    for card in CARDS:
        if card.id == name:
            return card
    raise InputError(f"unknown model '{name}'; known: {', '.join(c.id for c in CARDS)}")


def shelf(folder: Path | None = None) -> list[Status]:
    """Every model and its state.

    Args:
        folder: where checkpoints lie; None: the model folder
    """
    return [_status(card, folder or model_folder()) for card in CARDS]


def find(name: str, folder: Path | None = None) -> Path:
    """A model's checkpoint.

    Args:
        name: the card's id
        folder: where checkpoints lie; None: the model folder

    Raises:
        InputError: no such model.
        ModelMissingError: its file is not in the folder; the message says which, and where to get it.
    """
    card, folder = card_of(name), folder or model_folder()
    path = _path(card, folder)
    if path is None:
        raise ModelMissingError(_how(card, folder))
    return path


def verify(name: str, folder: Path | None = None) -> tuple[bool | None, str]:
    """Compare a model's file with the SHA-256 on its card.

    Returns:
        True or False, or None where the card has none to compare with; and the file's SHA-256.

    Raises:
        InputError: no such model.
        ModelMissingError: its file is not there.
    """
    path = find(name, folder)
    known = {f.name: f.sha256 for f in card_of(name).files}.get(path.name)
    found = sha256_of(path)
    return (None if known is None else found == known), found


def _path(card: ModelCard, folder: Path) -> Path | None:
    if card.built_in:
        return next(iter(sorted(BUILT_IN.glob("*.safetensors"))), None)
    return next((folder / f.name for f in card.files if (folder / f.name).is_file()), None)


def _status(card: ModelCard, folder: Path) -> Status:
    path = _path(card, folder)
    if path is None:
        return Status(card, "missing", None, f"{_how(card, folder)}; until then {card.instead}")
    return Status(card, "ready", path, "")


def _how(card: ModelCard, folder: Path) -> str:
    if card.built_in:
        return f"model '{card.id}': no weights in {BUILT_IN}; install the program again"
    file = card.files[0]
    return f"model '{card.id}': put {file.name} into {folder}; it is published at {file.published}"
