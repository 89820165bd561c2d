"""A project as a value: the film's facts and everything a person decided about it.

Facts (the film, the cuts that were detected) never change; decisions do, and each is one *object* of the
store: a hint, a region, a cut set by hand, the recipe. `Project.objects` and `project_of` are each other's
inverse, so that what is on disk and what is in memory cannot drift apart.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

from core.contract.recipe import Recipe
from core.errors import ProjectError
from core.film.clip import AudioTrack, Clip, ColourTags
from core.film.shot import Shot, shots_from_cuts
from hints.hint import HintSet
from hints.interchange import VERSION, decode, encode
from studio.store import ObjectName, Value

Blobs = dict[str, bytes]


@dataclass(frozen=True)
class Project:
    """What an open project is at one moment.

    Attributes:
        clip: the source film's facts.
        detected: frames at which a shot begins, as detected.
        hand: frames at which a person said that a shot does (True) or does not (False) begin, ascending.
        recipe: what is done to the film.
        hints: what the restorer said.
        places: of each hint, its rank; a hint that comes back by undo comes back to its own.
    """

    clip: Clip
    detected: tuple[int, ...]
    recipe: Recipe
    hand: tuple[tuple[int, bool], ...] = ()
    hints: HintSet = field(default_factory=HintSet)
    places: tuple[int, ...] = ()

    @cached_property
    def shots(self) -> tuple[Shot, ...]:
        """The film's shots: the detected cuts, corrected by hand."""
        hand = dict(self.hand)
        cuts = [n for n in self.detected if hand.get(n, True)]
        added = [n for n, on in self.hand if on and n not in self.detected]
        return shots_from_cuts(cuts, self.clip.count, by_hand=added)

    def objects(self) -> tuple[dict[ObjectName, Value], Blobs]:
        """Every decision as a JSON value by name, and the pictures they name by their sha256."""
        data, files = encode(self.hints)
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        out: dict[ObjectName, Value] = {("recipe", ""): json.loads(self.recipe.to_json())}
        out |= {("cut", str(n)): on for n, on in self.hand}
        for place, row in enumerate(data["regions"]):
            out["region", row["id"]] = {"place": place, "row": row}
        for place, row in zip(self.places, data["hints"], strict=True):
            named = {name: hashes[name] for name in _names(row)}
            out["hint", row["id"]] = {"place": place, "row": row, "files": named}
        if self.hints.extra:
            out["extra", ""] = dict(self.hints.extra)
        return out, {hashes[name]: content for name, content in files.items()}


def project_of(
    clip: Clip, detected: tuple[int, ...], objects: Mapping[ObjectName, Value], blob: Callable[[str], bytes]
) -> Project:
    """The project that these objects describe.

    Args:
        clip: the source film's facts.
        detected: frames at which a shot was detected to begin.
        objects: as `Project.objects` gives them.
        blob: bytes of a picture by its sha256.

    Raises:
        ProjectError: an object is missing or is not of its kind's form.
        HintError: a hint or region breaks a rule.
    """
    try:
        regions = _ranked(objects, "region")
        hints = _ranked(objects, "hint")
        files = {name: sha for value in hints for name, sha in value["files"].items()}
        data = {
            "version": VERSION,
            "regions": [value["row"] for value in regions],
            "hints": [value["row"] for value in hints],
            **objects.get(("extra", ""), {}),
        }
        return Project(
            clip=clip,
            detected=detected,
            recipe=Recipe.from_json(json.dumps(objects["recipe", ""])),
            hand=tuple(sorted((int(n), bool(on)) for (kind, n), on in objects.items() if kind == "cut")),
            hints=decode(data, size=clip.size, count=clip.count, read=lambda name: blob(files[name])),
            places=tuple(int(value["place"]) for value in hints),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ProjectError(
            f"the project's state is damaged ({type(error).__name__}: {error}); go back to a copy"
        ) from error


def _ranked(objects: Mapping[ObjectName, Value], kind: str) -> list[Value]:
    return sorted((v for (k, _), v in objects.items() if k == kind), key=lambda value: value["place"])


def _names(row: Mapping[str, Any]) -> list[str]:
    """Files a hint's row names, those of what a lock keeps included."""
    own = [row[key] for key in ("mask", "image") if key in row]
    return own + [name for inner in row.get("frozen", ()) for name in _names(inner)]


def clip_to_json(clip: Clip) -> dict[str, Any]:
    """A film's facts as JSON values; the ledger packed, for it has one number a frame."""
    names = ("path", "kind", "sha256", "width", "height", "end_pts", "bit_depth", "grey", "rotation")
    data: dict[str, Any] = {name: getattr(clip, name) for name in names}
    data |= {name: getattr(clip, name) for name in ("container", "codec", "pixel_format")}
    data |= {name: str(getattr(clip, name)) for name in ("rate", "time_base", "sar")}
    tags = clip.tags
    data["tags"] = [tags.matrix, tags.transfer, tags.primaries, tags.full_range]
    data["audio"] = [[a.index, a.codec, a.rate, a.channels, str(a.seconds)] for a in clip.audio]
    packed = zlib.compress(json.dumps({"pts": clip.pts, "files": clip.files}).encode(), 9)
    data["ledger"] = base64.b64encode(packed).decode()
    return data


def clip_from_json(data: Mapping[str, Any]) -> Clip:
    """Inverse of `clip_to_json`.

    Raises:
        ProjectError: not what that wrote.
    """
    try:
        values = dict(data)
        ledger = json.loads(zlib.decompress(base64.b64decode(values.pop("ledger"))))
        values |= {name: Fraction(values[name]) for name in ("rate", "time_base", "sar")}
        values["tags"] = ColourTags(*values["tags"])
        values["audio"] = tuple(
            AudioTrack(index, codec, rate, channels, Fraction(seconds))
            for index, codec, rate, channels, seconds in values["audio"]
        )
        return Clip(pts=tuple(ledger["pts"]), files=tuple(ledger["files"]), **values)
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise ProjectError(
            f"the project's facts of its film are damaged ({error}); go back to a copy of the project"
        ) from error
