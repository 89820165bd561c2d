"""The model shelf: which models there are, which lie in the model folder, where the others are published.

Weights of others are never part of this repository. They lie in one flat folder, as their authors publish them
or as `core.models.admit` rewrites them; the environment variable ``POCHOIR_MODELS`` names another one.
"""

from __future__ import annotations

import os
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
State = Literal["ready", "missing"]


@dataclass(frozen=True)
class Status:
    """What became of looking for a model.

    Attributes:
        card: the model's.
        state: whether it can be used now.
        path: its file, where there is one.
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
    """The folder in which published checkpoints are looked for; it need not exist."""
    named = os.environ.get(VARIABLE, "").strip()
    if named:
        return Path(named).expanduser()
    return platformdirs.user_data_path("pochoir", appauthor=False) / "models"


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
    """
    return [_status(card, folder or model_folder()) for card in cards]


def find(model: str | ModelCard, folder: Path | None = None) -> Path:
    """A model's checkpoint.

    Args:
        model: its card; of those that come with the program the card's id will do
        folder: where checkpoints lie; None: the model folder

    Raises:
        InputError: no such model.
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
    """
    if card.built_in:
        return dict.fromkeys(sorted(BUILT_IN.glob("*.safetensors")))
    names = ((name, file) for file in card.files for name in dict.fromkeys((file.rewritten, file.name)))
    return {folder / name: file for name, file in names if (folder / name).is_file()}


def _status(card: ModelCard, folder: Path) -> Status:
    path = next(iter(here(card, folder)), None)
    if path is None:
        return Status(card, "missing", None, _advice(card, folder))
    return Status(card, "ready", path, "")


def _advice(card: ModelCard, folder: Path) -> str:
    return f"{how(card, folder)}; until then {card.instead}"


def how(card: ModelCard, folder: Path) -> str:
    """One line: how a model that is not there is got."""
    if card.built_in:
        return f"model '{card.id}': no weights in {BUILT_IN}; install the program again"
    file = card.files[0]
    fetched = f" (models fetch {card.id})" if any(f.direct for f in card.files) else ""
    return f"model '{card.id}': put {file.name} into {folder}; it is published at {file.published}{fetched}"


def register(plugins: Plugins) -> None:
    """Put the cards of the models that come with the program on the shelf."""
    for card in CARDS:
        plugins.cards.add(card.id, card)
