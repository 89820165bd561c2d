"""What is coloured: an object of the film with a name, a colour, and where that colour is known from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from core.errors import HintError
from core.film.colour import parse_hex

Certainty = Literal["documented", "inferred", "invented"]
CERTAINTIES: tuple[str, ...] = get_args(Certainty)


@dataclass(frozen=True)
class Evidence:
    """Where a colour is known from.

    Attributes:
        source: a book, an archive number, a link, an interview.
        certainty: ``documented``, ``inferred``, or ``invented`` (the honest default).
        author: who says so.
        date: when it was said; free text, ISO 8601 by habit.
        extra: keys of the file that this version does not know, kept.
    """

    source: str = ""
    certainty: Certainty = "invented"
    author: str = ""
    date: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.certainty not in CERTAINTIES:
            raise HintError(f"evidence: certainty {self.certainty!r} is not one of {', '.join(CERTAINTIES)}")


@dataclass(frozen=True)
class Region:
    """An object of the film.

    Attributes:
        id: never changes, unique in the set; hints and histories refer to it.
        name: for people. Regions of the same name in several shots are one thing (one costume).
        colour: its swatch, sRGB hex.
        evidence: where the colour is known from, if anybody said.
        extra: keys of the file that this version does not know, kept.
    """

    id: str
    name: str
    colour: str
    evidence: Evidence | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not self.id:
            raise HintError("region: its id is empty; give it a short unique word")
        try:
            parse_hex(self.colour)
        except Exception as error:
            raise HintError(f"region {self.id}: {error}") from None
