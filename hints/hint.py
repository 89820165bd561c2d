"""What the restorer says: one hint on one keyframe, and the set of all of them.

Both are values: every verb returns a new set and leaves the old one as it was, which is what makes undo free.
Coordinates are pixels of the source picture as displayed, origin top left, pixel centres at .5; frames are
numbers of the source.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, get_args

from core.contract.fingerprint import fingerprint
from core.errors import HintError, InputError
from core.film.colour import parse_hex
from core.film.timebase import FrameRange
from hints.picture import Mask, Picture
from hints.region import Region

Kind = Literal["point", "scribble", "region", "reference", "neutral", "lock"]
KINDS: tuple[str, ...] = get_args(Kind)
COLOURED: frozenset[str] = frozenset({"point", "scribble", "region"})
RADIUS, WIDTH = 3.0, 6.0

Point = tuple[float, float]
Ramp = tuple[str, str, str]


@dataclass(frozen=True, eq=False)
class Hint:
    """What is said on one keyframe. Two are equal where their ``content`` is.

    Attributes:
        id: unique in its set.
        frame: the keyframe, a source frame number.
        kind: ``point`` and ``scribble`` give colour to a few pixels, ``region`` to a mask, ``reference``
            a coloured still to the frame; ``neutral`` keeps grey, ``lock`` what the hints before it gave.
        region: id of the region it belongs to, or None.
        colour: sRGB hex; overrides the region's.
        xy, radius: of a point  [source px].
        path, width: of a scribble  [source px].
        mask: of a region, neutral or lock, of the source's size.
        image: of a reference.
        strength: how much it weighs  [0, 1].
        span: source frames it may reach, holding its keyframe; None: the whole shot.
        ramp: three hex colours over luma (shadow, mid, highlight) in place of one swatch.
        spread: whether it speaks for more than its own pixels; None: as its kind does.
        extra: keys of the file that this version does not know, kept.
        frozen: of a lock, the hints it keeps, with their colours written out; None until it is put into a
            set, which then takes them.
    """

    id: str
    frame: int
    kind: Kind
    region: str | None = None
    colour: str | None = None
    xy: Point | None = None
    radius: float | None = None
    path: tuple[Point, ...] | None = None
    width: float | None = None
    mask: Mask | None = None
    image: Picture | None = None
    strength: float = 1.0
    span: FrameRange | None = None
    ramp: Ramp | None = None
    spread: bool | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    frozen: tuple[Hint, ...] | None = None

    def __post_init__(self) -> None:
        try:
            self._check()
        except InputError as error:
            raise HintError(f"hint {self.id or '?'}: {error}") from None

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Hint) and self.content == other.content)

    def __hash__(self) -> int:
        return hash(self.content)

    @cached_property
    def content(self) -> str:
        """Key of all that is said. What a lock keeps is in it by its own key: locks within locks cost no more."""
        return fingerprint(
            "hint", self.id, self.frame, self.kind, self.region, self.colour,
            None if self.xy is None else _floats(self.xy),
            None if self.path is None else [_floats(p) for p in self.path],
            [None if v is None else float(v) for v in (self.radius, self.width, self.strength)],
            None if self.mask is None else self.mask.sha256,
            None if self.image is None else self.image.sha256,
            self.span, self.ramp, self.spread, self.extra, self.keeps,
        )  # fmt: skip

    @cached_property
    def keeps(self) -> str | None:
        """Key of what a lock keeps; None: nothing is frozen."""
        return None if self.frozen is None else fingerprint("frozen", [h.content for h in self.frozen])

    @cached_property
    def depth(self) -> int:
        """How deep locks lie within this one: 1 of a lock that keeps no other, 0 of all other hints."""
        return 1 + max((h.depth for h in self.frozen or ()), default=0) if self.kind == "lock" else 0

    @property
    def spreads(self) -> bool:
        """Whether it speaks for more than its own pixels: points, strokes and whole references do."""
        if self.spread is not None:
            return self.spread
        return self.mask is None and not (self.image is not None and self.image.partial)

    @cached_property
    def frozen_set(self) -> HintSet:
        """What a lock keeps, as a set of its own that no later change of colours or regions reaches."""
        frozen = self.frozen or ()
        names = dict.fromkeys(h.region for h in frozen if h.region is not None)
        # Every colour is written out in the frozen hints, so the swatch given here is never asked for.
        return HintSet(tuple(Region(name, name, "#808080") for name in names), frozen)

    def _check(self) -> None:
        if not self.id:
            raise HintError("its id is empty; give it a short unique word")
        if self.kind not in KINDS:
            raise HintError(f"unknown kind {self.kind!r}; known: {', '.join(KINDS)}")
        if self.frame < 0:
            raise HintError(f"frame {self.frame} is before the film")
        for text in (*((self.colour,) if self.colour is not None else ()), *(self.ramp or ())):
            parse_hex(text)
        if not 0.0 <= self.strength <= 1.0:
            raise HintError(f"strength {self.strength} is outside 0-1")
        if self.span is not None and self.frame not in self.span:
            raise HintError(f"span [{self.span.start}, {self.span.stop}] does not hold its frame {self.frame}")
        self._check_shape()
        if self.frozen is not None and self.kind != "lock":
            raise HintError(f"a {self.kind} has nothing frozen; only a lock has")

    def _check_shape(self) -> None:
        needs = {"point": "xy", "scribble": "path", "region": "mask", "reference": "image", "lock": "mask"}
        need = needs.get(self.kind)
        if need is not None and getattr(self, need) is None:
            raise HintError(f"a {self.kind} needs '{need}'")
        if self.kind == "neutral" and self.mask is None and self.xy is None and self.path is None:
            raise HintError("a neutral needs 'mask' (or 'xy', or 'path')")
        for name, size in (("radius", self.radius), ("width", self.width)):
            if size is not None and not (math.isfinite(size) and size > 0):
                raise HintError(f"{name} {size} is not a positive number of pixels")
        points = (*((self.xy,) if self.xy is not None else ()), *(self.path or ()))
        if self.path is not None and not self.path:
            raise HintError("its path is empty")
        if not all(math.isfinite(v) for point in points for v in point):
            raise HintError("its coordinates are not finite numbers")


@dataclass(frozen=True)
class HintSet:
    """Regions and hints in the order in which they were said.

    Attributes:
        regions: in order, ids unique.
        hints: in order, ids unique; of two that say something of one place, the later one counts.
        extra: top-level keys of the file that this version does not know, kept.

    Raises:
        HintError: an id comes twice, a hint names a region that is not there, or has no colour.
    """

    regions: tuple[Region, ...] = ()
    hints: tuple[Hint, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for region in self.regions:
            if region.id in seen:
                raise HintError(f"region {region.id}: its id comes twice; ids are unique")
            seen.add(region.id)
        seen = set()
        for hint in self.hints:
            if hint.id in seen:
                raise HintError(f"hint {hint.id}: its id comes twice; ids are unique")
            seen.add(hint.id)
            self._check_colour(hint)
        done: list[Hint] = []
        for hint in self.hints:
            fresh = hint.kind == "lock" and hint.frozen is None
            done.append(replace(hint, frozen=self._resolved(done)) if fresh else hint)
        object.__setattr__(self, "hints", tuple(done))

    def _check_colour(self, hint: Hint) -> None:
        if hint.region is not None and hint.region not in self._by_region:
            known = ", ".join(self._by_region) or "none"
            raise HintError(f"hint {hint.id}: there is no region '{hint.region}' (regions: {known})")
        if hint.kind in COLOURED and hint.region is None and hint.colour is None and hint.ramp is None:
            raise HintError(f"hint {hint.id}: a {hint.kind} needs 'region', 'colour' or 'ramp'")

    def _resolved(self, hints: Sequence[Hint]) -> tuple[Hint, ...]:
        return tuple(replace(h, colour=self.colour_of(h)) if h.kind in COLOURED else h for h in hints)

    @cached_property
    def _by_region(self) -> dict[str, Region]:
        return {r.id: r for r in self.regions}

    @cached_property
    def _by_hint(self) -> dict[str, Hint]:
        return {h.id: h for h in self.hints}

    def __iter__(self) -> Iterator[Hint]:
        return iter(self.hints)

    def __len__(self) -> int:
        return len(self.hints)

    def hint(self, hint_id: str) -> Hint:
        """The hint of that id.

        Raises:
            HintError: there is none.
        """
        try:
            return self._by_hint[hint_id]
        except KeyError:
            raise HintError(f"hint {hint_id}: there is no such hint") from None

    def region(self, region_id: str) -> Region:
        """The region of that id.

        Raises:
            HintError: there is none.
        """
        try:
            return self._by_region[region_id]
        except KeyError:
            raise HintError(f"region {region_id}: there is no such region") from None

    def colour_of(self, hint: Hint) -> str | None:
        """The swatch a hint asks for: its own, else its region's; None where it asks for no swatch."""
        if hint.kind not in COLOURED:
            return None
        if hint.colour is not None:
            return hint.colour
        return self.region(hint.region).colour if hint.region is not None and hint.ramp is None else None

    def frozen_before(self, place: int) -> tuple[Hint, ...]:
        """What a lock at this place of the list keeps: the hints before it, their colours written out."""
        return self._resolved(self.hints[:place])

    def add_hint(self, hint: Hint, at: int | None = None) -> HintSet:
        """The set with this hint at the end, or before place ``at``; a new lock takes what lies before it."""
        place = len(self.hints) if at is None else at
        return replace(self, hints=(*self.hints[:place], hint, *self.hints[place:]))

    def replace_hint(self, hint: Hint) -> HintSet:
        """The set with this hint in the place of the one of its id.

        Raises:
            HintError: there is none of that id.
        """
        self.hint(hint.id)
        return replace(self, hints=tuple(hint if h.id == hint.id else h for h in self.hints))

    def remove_hint(self, hint_id: str) -> HintSet:
        """The set without that hint.

        Raises:
            HintError: there is none of that id.
        """
        self.hint(hint_id)
        return replace(self, hints=tuple(h for h in self.hints if h.id != hint_id))

    def add_region(self, region: Region) -> HintSet:
        """The set with this region at the end."""
        return replace(self, regions=(*self.regions, region))

    def replace_region(self, region: Region) -> HintSet:
        """The set with this region for the one of its id: one change of colour reaches all its hints.

        Raises:
            HintError: there is none of that id.
        """
        self.region(region.id)
        return replace(self, regions=tuple(region if r.id == region.id else r for r in self.regions))

    def remove_region(self, region_id: str) -> HintSet:
        """The set without that region.

        Raises:
            HintError: there is none of that id, or hints still name it.
        """
        self.region(region_id)
        users = [h.id for h in self.hints if h.region == region_id]
        if users:
            raise HintError(f"region {region_id}: hints still name it ({', '.join(users)}); remove them first")
        return replace(self, regions=tuple(r for r in self.regions if r.id != region_id))


def _floats(point: Point) -> list[float]:
    return [float(v) for v in point]
