"""`hints.json`, version 1: what the restorer says, as a file that other programs can write and read.

Reading is all or nothing: the first rule that is broken is named with the hint's id, and nothing is taken in.
What this version does not know is kept and written again. `docs/hints-file.md` describes the file for people.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

from core.errors import HintError, InputError
from core.film.shot import Shot, shot_of
from core.film.timebase import FrameRange
from hints.hint import COLOURED, KINDS, RADIUS, WIDTH, Hint, HintSet, Kind, Point, Ramp
from hints.picture import Mask, Picture
from hints.region import Certainty, Evidence, Region

log = logging.getLogger(__name__)

VERSION = 1
MAX_JSON_BYTES = 64 << 20
MAX_IMAGE_BYTES = 256 << 20
Reader = Callable[[str], bytes]

_TOP = ("version", "regions", "hints")
_REGION = ("id", "name", "colour", "evidence")
_EVIDENCE = ("source", "certainty", "author", "date")
_HINT = (
    "id", "frame", "kind", "region", "colour", "xy", "radius", "path", "width", "mask", "image", "strength",
    "span", "ramp", "spread", "frozen",
)  # fmt: skip


def load(
    source: Path | str,
    *,
    size: tuple[int, int],
    count: int,
    shots: Sequence[Shot] | None = None,
    base: Path | None = None,
) -> HintSet:
    """Read a hints file against its film.

    Args:
        source: a path, or the JSON text itself (a text that begins with a brace).
        size: (H, W) of the source picture as displayed.
        count: number of source frames.
        shots: the film's shots; with them a span that crosses a cut is warned of (hints stop at cuts).
        base: folder that mask and image paths are relative to; of a file, its own folder.

    Raises:
        HintError: a rule is broken; the message names the first fault by hint id.
    """
    text, folder = _text_of(source)
    data = _parse(text)
    hints = decode(data, size=size, count=count, read=_reader(base or folder))
    for hint in hints if shots is not None else ():
        _warn_of_cut(hint, shots or ())
    return hints


def dump(hints: HintSet, path: Path) -> None:
    """Write a hints file, its masks and stills beside it in ``masks/`` and ``stills/``.

    The same set gives the same bytes; reading them back gives the same set.

    Raises:
        HintError: the folder cannot be written.
    """
    data, files = encode(hints)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            target = path.parent / name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(content)
        path.write_text(text_of(data), encoding="utf-8")
    except OSError as error:
        raise HintError(f"hints cannot be written to {path}: {error.strerror}") from None


def text_of(data: Mapping[str, Any]) -> str:
    """The file's text: one line for each region and hint, so that a change reads well in a diff."""
    lines = []
    for key, value in data.items():
        if key in ("regions", "hints") and value:
            rows = ",\n  ".join(_compact(v) for v in value)
            lines.append(f"{_compact(key)}: [\n  {rows}]")
        else:
            lines.append(f"{_compact(key)}: {_compact(value)}")
    return "{" + ",\n ".join(lines) + "}\n"


def encode(hints: HintSet) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A set as JSON data, and the files it names by their relative paths. Inverse of `decode`."""
    files: dict[str, bytes] = {}
    data: dict[str, Any] = {
        "version": VERSION,
        "regions": [_region_data(r) for r in hints.regions],
        "hints": _hint_list(hints.hints, hints, files),
        **hints.extra,
    }
    return data, files


def decode(data: Any, *, size: tuple[int, int], count: int, read: Reader) -> HintSet:
    """JSON data to a set, every rule checked.

    Args:
        data: what JSON gives.
        size: (H, W) of the source picture.
        count: number of source frames.
        read: bytes of a relative path.

    Raises:
        HintError: a rule is broken; the message names the first fault by hint id.
    """
    if not isinstance(data, dict):
        raise HintError(f"hints file: expected an object at the top, found {_kind_of(data)}")
    version = data.get("version")
    if type(version) is not int or version != VERSION:
        raise HintError(f"hints file: version {version!r} is not known; this program reads version {VERSION}")
    regions = tuple(_region(r, i) for i, r in enumerate(_list(data, "regions", required=False)))
    reading = _Reading(size, count, read)
    known = HintSet(regions)
    hints: dict[str, Hint] = {}
    for i, item in enumerate(_list(data, "hints", required=True)):
        hint = reading.hint(item, i, known)
        if hint.id in hints:
            raise HintError(f"hint {hint.id}: its id comes twice; ids are unique")
        hints[hint.id] = hint
    return HintSet(regions, tuple(hints.values()), _rest(data, _TOP))


class _Reading:
    """One file being read: what its hints are checked against."""

    def __init__(self, size: tuple[int, int], count: int, read: Reader) -> None:
        self.size, self.count, self.read = size, count, read
        self.images: dict[str, bytes] = {}

    def hint(self, item: Any, place: int, known: HintSet, where: str = "hint") -> Hint:
        """One hint of the list; its faults are named by its id, or by its place where it has none."""
        if not isinstance(item, dict):
            raise HintError(f"{where} number {place}: expected an object, found {_kind_of(item)}")
        name = item.get("id")
        if not isinstance(name, str) or not name:
            raise HintError(f"{where} number {place}: 'id' must be a text that is not empty, found {name!r}")
        try:
            return self._hint(item, known, frozen=where != "hint")
        except InputError as error:
            message = str(error)
            prefix = f"{where} {name}: "
            raise HintError(message if message.startswith(prefix) else prefix + message) from None

    def _hint(self, item: Mapping[str, Any], known: HintSet, *, frozen: bool) -> Hint:
        kind = item.get("kind")
        if not isinstance(kind, str) or kind not in KINDS:
            raise HintError(f"unknown kind {kind!r}; known: {', '.join(KINDS)}")
        frame = self._frame(item)
        region = _text(item, "region")
        # A lock's own copy of a hint may name a region that has since been removed.
        if region is not None and not frozen and region not in {r.id for r in known.regions}:
            names = ", ".join(r.id for r in known.regions) or "none"
            raise HintError(f"there is no region '{region}' (regions: {names})")
        colour, ramp = _text(item, "colour"), self._ramp(item)
        # For the same reason it must say its colour itself.
        if kind in COLOURED and (region is None or frozen) and colour is None and ramp is None:
            raise HintError(f"a {kind} needs 'region', 'colour' or 'ramp'")
        hint = Hint(
            id=item["id"],
            frame=frame,
            kind=cast(Kind, kind),
            region=region,
            colour=colour,
            xy=self._point(item["xy"], "xy") if item.get("xy") is not None else None,
            radius=self._length(item, "radius", RADIUS if item.get("xy") is not None else None),
            path=self._path(item),
            width=self._length(item, "width", WIDTH if item.get("path") is not None else None),
            mask=self._mask(item),
            image=self._image(item),
            strength=self._strength(item),
            span=self._span(item),
            ramp=ramp,
            spread=self._spread(item),
            extra=_rest(item, _HINT),
            frozen=None,
        )
        return self._with_frozen(hint, item, known)

    def _with_frozen(self, hint: Hint, item: Mapping[str, Any], known: HintSet) -> Hint:
        if "frozen" not in item:
            return hint
        if hint.kind != "lock":
            raise HintError(f"a {hint.kind} has nothing frozen; only a lock has")
        inner = [
            self.hint(h, i, known, where="frozen hint") for i, h in enumerate(_list(item, "frozen", required=True))
        ]
        # The inner set gives the locks within it what lies before them.
        return replace(hint, frozen=replace(hint, frozen=tuple(inner)).frozen_set.hints)

    def _frame(self, item: Mapping[str, Any]) -> int:
        frame = item.get("frame")
        if type(frame) is not int:
            raise HintError(f"'frame' must be a whole number, found {frame!r}")
        if not 0 <= frame < self.count:
            raise HintError(f"frame {frame} is outside the film, which has frames 0:{self.count}")
        return frame

    def _point(self, value: Any, name: str) -> Point:
        if not isinstance(value, list) or len(value) != 2:
            raise HintError(f"'{name}' must be [x, y], found {_short(value)}")
        x, y = (_number(v, name) for v in value)
        h, w = self.size
        if not (0 <= x <= w and 0 <= y <= h):
            raise HintError(f"'{name}' {_short(value)} is outside the picture, which is {w}x{h}")
        return x, y

    def _path(self, item: Mapping[str, Any]) -> tuple[Point, ...] | None:
        value = item.get("path")
        if value is None:
            return None
        if not isinstance(value, list) or not value:
            raise HintError(f"'path' must be a list of [x, y], found {_short(value)}")
        return tuple(self._point(p, "path") for p in value)

    def _length(self, item: Mapping[str, Any], name: str, default: float | None) -> float | None:
        if item.get(name) is None:
            return default
        value = _number(item[name], name)
        longest = 2 * max(self.size)
        if not 0 < value <= longest:
            raise HintError(f"'{name}' {value:g} is not between 0 and {longest} pixels")
        return value

    def _strength(self, item: Mapping[str, Any]) -> float:
        value = _number(item.get("strength", 1.0), "strength")
        if not 0 <= value <= 1:
            raise HintError(f"strength {value:g} is outside 0-1")
        return value

    def _span(self, item: Mapping[str, Any]) -> FrameRange | None:
        value = item.get("span")
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != 2 or any(type(v) is not int for v in value):
            raise HintError(f"'span' must be [start, stop] in whole frames, found {_short(value)}")
        start, stop = value
        if not 0 <= start < stop <= self.count:
            raise HintError(f"span {value} does not lie in the film, which has frames 0:{self.count}")
        if not start <= item["frame"] < stop:
            raise HintError(f"span {value} does not hold its frame {item['frame']} (stop is exclusive)")
        return FrameRange(start, stop)

    def _spread(self, item: Mapping[str, Any]) -> bool | None:
        value = item.get("spread")
        if value is not None and not isinstance(value, bool):
            raise HintError(f"'spread' must be true or false, found {_short(value)}")
        return value

    def _ramp(self, item: Mapping[str, Any]) -> Ramp | None:
        value = item.get("ramp")
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != 3 or not all(isinstance(v, str) for v in value):
            raise HintError(f"'ramp' must be three colours (shadow, mid, highlight), found {_short(value)}")
        return value[0], value[1], value[2]

    def _mask(self, item: Mapping[str, Any]) -> Mask | None:
        name = _text(item, "mask")
        if name is None:
            return None
        try:
            mask = Mask(self._bytes(name))
            if mask.size != self.size:
                (h, w), (H, W) = mask.size, self.size
                raise HintError(f"the mask is {w}x{h} but the source is {W}x{H}")
            if not mask.inside.any():
                raise HintError("the mask is empty (nothing in it is above 127)")
        except InputError as error:
            raise HintError(f"mask '{name}': {error}") from None
        return mask

    def _image(self, item: Mapping[str, Any]) -> Picture | None:
        name = _text(item, "image")
        if name is None:
            return None
        try:
            picture = Picture(self._bytes(name))
            if not picture.rgba[..., 3].any():
                raise HintError("the still is transparent everywhere")
        except InputError as error:
            raise HintError(f"image '{name}': {error}") from None
        return picture

    def _bytes(self, name: str) -> bytes:
        if name not in self.images:
            self.images[name] = self.read(name)
        return self.images[name]


def _region(item: Any, place: int) -> Region:
    if not isinstance(item, dict):
        raise HintError(f"region number {place}: expected an object, found {_kind_of(item)}")
    name = item.get("id")
    if not isinstance(name, str) or not name:
        raise HintError(f"region number {place}: 'id' must be a text that is not empty, found {name!r}")
    try:
        colour = _text(item, "colour")
        if colour is None:
            raise HintError("'colour' is missing; give an sRGB hex such as #4b5a3c")
        title = _text(item, "name")
        return Region(
            name,
            name if title is None else title,
            colour,
            _evidence(item.get("evidence")),
            _rest(item, _REGION),
        )
    except InputError as error:
        prefix = f"region {name}: "
        message = str(error)
        raise HintError(message if message.startswith(prefix) else prefix + message) from None


def _evidence(item: Any) -> Evidence | None:
    if item is None:
        return None
    if not isinstance(item, dict):
        raise HintError(f"'evidence' must be an object, found {_kind_of(item)}")
    certainty = _text(item, "certainty") or "invented"
    if certainty not in get_args(Certainty):
        raise HintError(f"certainty {certainty!r} is not one of {', '.join(get_args(Certainty))}")
    source, author, date = (_text(item, key) or "" for key in ("source", "author", "date"))
    return Evidence(source, cast(Certainty, certainty), author, date, _rest(item, _EVIDENCE))


def _region_data(region: Region) -> dict[str, Any]:
    data: dict[str, Any] = {"id": region.id, "name": region.name, "colour": region.colour}
    evidence = region.evidence
    if evidence is not None:
        said = {"source": evidence.source, "certainty": evidence.certainty, "author": evidence.author}
        date = {"date": evidence.date} if evidence.date else {}
        data["evidence"] = {**said, **date, **evidence.extra}
    return {**data, **region.extra}


def _hint_list(hints: Sequence[Hint], said: HintSet, files: dict[str, bytes]) -> list[dict[str, Any]]:
    return [_hint_data(h, _frozen_data(i, hints, said, files), files) for i, h in enumerate(hints)]


def _frozen_data(
    place: int, hints: Sequence[Hint], said: HintSet, files: dict[str, bytes]
) -> list[dict[str, Any]] | None:
    """What a lock keeps, where it is not simply the hints before it (which reading takes by itself)."""
    hint = hints[place]
    if hint.kind != "lock" or hint.frozen is None or hint.frozen == said.frozen_before(place):
        return None
    return _hint_list(hint.frozen, hint.frozen_set, files)


def _hint_data(hint: Hint, frozen: list[dict[str, Any]] | None, files: dict[str, bytes]) -> dict[str, Any]:
    data: dict[str, Any] = {"id": hint.id, "frame": hint.frame, "kind": hint.kind}
    for key in ("region", "colour", "radius", "width"):
        if getattr(hint, key) is not None:
            data[key] = getattr(hint, key)
    if hint.xy is not None:
        data["xy"] = list(hint.xy)
    if hint.path is not None:
        data["path"] = [list(p) for p in hint.path]
    if hint.mask is not None:
        data["mask"] = _put(files, f"masks/{_slug(hint.id)}-{hint.mask.sha256[:8]}.png", hint.mask.png)
    if hint.image is not None:
        name = f"stills/{_slug(hint.id)}-{hint.image.sha256[:8]}{hint.image.extension}"
        data["image"] = _put(files, name, hint.image.data)
    if hint.strength != 1.0:
        data["strength"] = hint.strength
    if hint.span is not None:
        data["span"] = [hint.span.start, hint.span.stop]
    if hint.ramp is not None:
        data["ramp"] = list(hint.ramp)
    if hint.spread is not None:
        data["spread"] = hint.spread
    if frozen is not None:
        data["frozen"] = frozen
    return {**data, **hint.extra}


def _put(files: dict[str, bytes], name: str, content: bytes) -> str:
    files[name] = content
    return name


def _slug(text: str) -> str:
    """A hint's id as a file name that every system takes."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text)[:40] or "hint"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _text_of(source: Path | str) -> tuple[str, Path | None]:
    if isinstance(source, str) and source.lstrip().startswith("{"):
        if len(source) > MAX_JSON_BYTES:
            raise HintError(f"hints file: larger than {MAX_JSON_BYTES >> 20} MiB; keep masks in files of their own")
        return source, None
    path = Path(source)
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise HintError(f"{path}: larger than {MAX_JSON_BYTES >> 20} MiB; keep masks in files of their own")
        return path.read_text(encoding="utf-8-sig"), path.parent
    except OSError as error:
        raise HintError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise HintError(f"{path}: is not UTF-8 text; is it a hints file?") from None


def _parse(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_twins)
    except json.JSONDecodeError as error:
        raise HintError(f"hints file: is not JSON (line {error.lineno}, column {error.colno}: {error.msg})") from None
    except (RecursionError, ValueError) as error:
        raise HintError(f"hints file: is not JSON that can be read ({error})") from None


def _no_constant(word: str) -> float:
    raise HintError(f"hints file: {word} is not a number that JSON has")


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        seen: set[str] = set()
        twin = next(k for k, _ in pairs if k in seen or seen.add(k))  # type: ignore[func-returns-value]
        owner = f"hint {data['id']}" if isinstance(data.get("id"), str) else "hints file"
        raise HintError(f"{owner}: the key '{twin}' comes twice in one object")
    return data


def _reader(base: Path | None) -> Reader:
    def read(name: str) -> bytes:
        if base is None:
            raise HintError("a text without a file has no folder to look in")
        if "\\" in name or ":" in name or Path(name).is_absolute() or ".." in Path(name).parts:
            raise HintError("paths must be relative to the file and stay in its folder")
        path = base / name
        try:
            if not path.resolve().is_relative_to(base.resolve()):
                raise HintError("paths must be relative to the file and stay in its folder")
            if path.stat().st_size > MAX_IMAGE_BYTES:
                raise HintError(f"larger than {MAX_IMAGE_BYTES >> 20} MiB")
            return path.read_bytes()
        except FileNotFoundError:
            raise HintError("there is no such file beside the hints file") from None
        except (OSError, ValueError) as error:
            raise HintError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None

    return read


def _warn_of_cut(hint: Hint, shots: Sequence[Shot]) -> None:
    shot = shot_of(shots, hint.frame)
    if hint.span is not None and hint.span.intersect(shot.range) != hint.span:
        kept = hint.span.intersect(shot.range)
        log.warning(
            "hint %s: its span %d:%d crosses a cut; it is carried within %d:%d",
            hint.id, hint.span.start, hint.span.stop, kept.start, kept.stop,
        )  # fmt: skip


def _list(data: Mapping[str, Any], key: str, *, required: bool) -> list[Any]:
    if key not in data and not required:
        return []
    value = data.get(key)
    if not isinstance(value, list):
        raise HintError(f"hints file: '{key}' must be a list, found {_kind_of(value)}")
    return value


def _text(item: Mapping[str, Any], key: str) -> str | None:
    value = item.get(key)
    if value is not None and not isinstance(value, str):
        raise HintError(f"'{key}' must be a text, found {_short(value)}")
    return value


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise HintError(f"'{name}' must be a number, found {_short(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise HintError(f"'{name}' is not a finite number")
    return number


def _rest(item: Mapping[str, Any], known: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in known}


def _kind_of(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}
    return names.get(type(value), "a number")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "…"
