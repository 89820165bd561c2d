"""Colour: the automatic pass, and what the restorer's hints make of it. Luma is the film's, always.

A frame's chroma is built in four steps, each at the smallest size that serves it:

1. the automatic chroma, steadied along motion (`core.render.automatic`);
2. where hints speak, what they change is carried along the affinities that the network sees in the luma
   (`core.models.kriging`), so that what no hint touches stays as steady as it was;
3. what that leaves off at the hints is closed about them by an edge-aware solver;
4. chroma comes up to the frame's size guided by its luma; over it, brought up in the same way, lies what hints say of
   their own pixels, so that where a hint is certain it is what it asks for, exactly. All of it is fitted to what sRGB
   shows at that luma.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from core.contract.params import number, registered, switch
from core.contract.plugins import Plugins
from core.contract.progress import CancelToken, Report
from core.contract.registry import Makers
from core.contract.stage import Side, StageBase, StageContext, Window
from core.errors import InputError
from core.film.colour import join, luma_of
from core.film.shot import Shot
from core.film.timebase import FrameRange
from core.flow import FlowPair
from core.guided import lay_over, upsample_chroma
from core.models.colouriser import (
    WORKING_LONG_SIDE,
    AsPublished,
    Carries,
    Colouriser,
    Faithful,
    Looks,
    RendersAt,
    SeesSquares,
    automatic_chroma,
    load_colouriser,
    square,
    working_size,
)
from core.solver import close_hints

Array = NDArray[np.float32]


class Field(Protocol):
    """What all hints together say about one frame, at working size.

    Attributes:
        ab: chroma asked for  [(h, w, 2) float32 Lab a* b*]
        weight: trust in it   [(h, w) float32 [0, 1]]; 0 where no hint speaks
    """

    @property
    def ab(self) -> Array:
        """Chroma asked for."""
        ...

    @property
    def weight(self) -> Array:
        """Trust in it."""
        ...

    @property
    def spreads(self) -> Array:
        """What of the weight may speak beyond its own pixels: points and strokes do, a mask's border is its border."""
        ...

    @property
    def strength(self) -> Array | None:
        """How far what spreads is asked for, a factor in its weight  [(h, w) float32 (0, 1]]; None: wholly."""
        ...


class HintSource(Protocol):
    """The restorer's hints as the colouring sees them; `hints` fulfils it, `core` only asks.

    Frame numbers are those of the colouring's own input.
    """

    def reach(self, shot: Shot) -> FrameRange:
        """Frames of the shot that hints may touch at most, told from the hints alone; empty if none."""
        ...

    def ready(self, shot: Shot) -> bool:
        """Whether the shot's tracks are in the cache."""
        ...

    def carry(self, shot: Shot, report: Report, token: CancelToken) -> None:
        """Carry the shot's hints through their reach; what is in the cache is not carried again."""
        ...

    def key(self, n: int) -> str | None:
        """Content key of what is said about frame ``n``; None where nothing is. Only once carried."""
        ...

    def field(self, n: int) -> Field | None:
        """What is said about frame ``n``, or None. Only once carried."""
        ...

    def locks(self, n: int) -> Sequence[tuple[NDArray[np.bool_], HintSource]]:
        """Locked areas of frame ``n`` [(H, W) bool, full size] and the frozen hints that rule there."""
        ...


class Motion(Protocol):
    """Luma and flow of the colouring's input, at working size; cached."""

    def luma(self, n: int) -> Array:
        """L* of frame ``n`` at working size  [(h, w) float32 [0, 100]]."""
        ...

    def luma_key(self, n: int) -> str:
        """Content key of that luma."""
        ...

    def pair(self, n: int) -> FlowPair:
        """Flow between frames ``n`` and ``n + 1`` of one shot."""
        ...


class FullMotion(Motion, Protocol):
    """The same, and luma of whole frames."""

    def full(self, n: int) -> Array:
        """L* of frame ``n`` at its own size, of that content key too  [(H, W) float32 [0, 100]]."""
        ...


class Store(Protocol):
    """A content-addressed place for arrays."""

    def has(self, key: str) -> bool:
        """Whether something was put under that key."""
        ...

    def get(self, key: str) -> dict[str, NDArray[Any]] | None:
        """What was put under that key, or None."""
        ...

    def put(self, key: str, arrays: dict[str, NDArray[Any]]) -> None:
        """Keep arrays under a key that holds all their inputs."""
        ...


class ColourSide(Side, Protocol):
    """What the colouring is given beside frames."""

    def field(self, n: int) -> Field | None:
        """The hints' field of frame ``n``, or None."""
        ...

    def locks(self, n: int) -> Sequence[tuple[NDArray[np.bool_], HintSource]]:
        """Locked areas of frame ``n`` and the frozen hints that rule there."""
        ...

    def automatic(self, n: int) -> Automatic:
        """The automatic chroma of frame ``n``."""
        ...

    def luma(self, n: int) -> Array:
        """L* of frame ``n`` at the size of the fields  [(h, w) float32 [0, 100]]."""
        ...


@dataclass(frozen=True, eq=False)
class Automatic:
    """The automatic pass of one frame, at the size at which hints are carried.

    Attributes:
        luma: L*                                               [(h, w) float32 [0, 100]]
        ab: the automatic chroma, steadied along motion or not  [(h, w, 2) float32 Lab a* b*]
    """

    luma: Array
    ab: Array


def automatic_size(size: tuple[int, int], colouriser: Colouriser) -> tuple[int, int]:
    """(h, w) at which a colouriser is best asked for colour without hints: often smaller, for it sees scenes."""
    return working_size(*size, int(getattr(colouriser, "automatic_long_side", WORKING_LONG_SIDE)))


def sees_whole(colouriser: Colouriser) -> bool:
    """Whether a colouriser brings frames to its own size itself, and so is to be shown them as they are."""
    return isinstance(colouriser, SeesSquares | AsPublished)


def asked(luma: Array, colouriser: Colouriser) -> Array:
    """A frame's luma as a colouriser is best asked for colour without hints  [(h, w) float32 [0, 100] L*].

    Args:
        luma: L*; of the whole frame where it `sees_whole`, else at any size not below what it is asked at.
        colouriser: which network is asked.
    """
    if isinstance(colouriser, AsPublished):
        return luma
    if isinstance(colouriser, SeesSquares):
        return square(luma, colouriser.automatic_square)
    return resized(luma, automatic_size((luma.shape[0], luma.shape[1]), colouriser))


def resized(plane: Array, size: tuple[int, int]) -> Array:
    """A plane brought down by area, or up linearly  [(h, w) or (h, w, c) float32]."""
    if plane.shape[:2] == size:
        return plane
    smaller = size[0] < plane.shape[0]
    way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, (size[1], size[0]), interpolation=way), np.float32)


def automatic_of(luma: Array, colouriser: Colouriser) -> Automatic:
    """The automatic pass of one frame by itself, nothing steadied.

    Args:
        luma: L* at any size  [(H, W) float32 [0, 100]]
        colouriser: which network speaks.
    """
    guide = resized(luma, working_size(luma.shape[0], luma.shape[1]))
    return brought_to(guide, automatic_chroma(colouriser, asked(luma, colouriser)), luma)


def brought_to(guide: Array, ab: Array, luma: Array) -> Automatic:
    """An automatic pass brought to the size at which hints are carried.

    Args:
        guide: L* at that size                 [(h, w) float32 [0, 100]]
        ab: chroma, at another size or at that [(h', w', 2) float32 Lab a* b*]
        luma: L* that is not smaller than either, as far as there is one  [(H, W) float32 [0, 100]]
    """
    size = (ab.shape[0], ab.shape[1])
    return Automatic(guide, ab if size == guide.shape else upsample_chroma(resized(luma, size), ab, guide))


def conditioning(field: Field, size: tuple[int, int]) -> tuple[Array, Array]:
    """A field brought to the size at which hints are carried.

    Chroma is averaged by trust. A footprint smaller than one pixel of that size keeps its full
    trust instead of being averaged away: a point is a point at any size.

    Returns:
        Chroma  [(h, w, 2) float32 Lab a* b*]  and trust  [(h, w) float32 [0, 1]]
    """
    weight = field.spreads
    if weight.shape == size:
        return field.ab, weight
    mean = resized(weight, size)
    told = np.asarray(cv2.multiply(field.ab, cv2.merge([weight, weight])), np.float32)
    ab = resized(told, size) / np.maximum(mean, 1e-6)[..., None]
    cell = max(1, round(weight.shape[0] / size[0]))
    peak = cv2.dilate(weight, np.ones((cell, cell), np.uint8))
    peak = cv2.resize(peak, (size[1], size[0]), interpolation=cv2.INTER_NEAREST)
    alone = cv2.blur(mean, (5, 5)) < 0.2
    trust = np.where(alone & (mean > 0), np.maximum(mean, peak), mean)
    return np.asarray(ab, np.float32), np.asarray(trust, np.float32)


def carried(automatic: Automatic, field: Field, carrier: Carries) -> Array:
    """Chroma of a frame under what hints say beyond their own pixels, at the size at which they are carried.

    Args:
        automatic: the automatic pass of this frame.
        field: what the hints say.
        carrier: what carries them through the frame.

    Returns:
        [(h, w, 2) float32 Lab a* b*]; the automatic chroma itself where no hint speaks beyond its own pixels
    """
    asked, trust = conditioning(field, (automatic.luma.shape[0], automatic.luma.shape[1]))
    if not trust.any():
        return automatic.ab
    return close_hints(automatic.luma, carrier.carry(automatic.luma, automatic.ab, asked, trust), asked, trust)


@dataclass(frozen=True, eq=False)
class _Toned:
    """A field that asks wholly for what it asks for: fulfils `Field`."""

    ab: Array
    weight: Array
    spreads: Array
    strength: None = None


def between(automatic: Automatic, field: Field, guide: Array) -> Field:
    """What is asked for by half a strength lies half-way from the automatic colour, and is known as well as any.

    A lesser weight alone would say that less is known there; what carries hints would then still go all the way where
    nobody else speaks.

    Args:
        automatic: the automatic pass of this frame.
        field: what the hints say.
        guide: L* at the field's size  [(h, w) float32 [0, 100]]

    Returns:
        A field of full strength; the same one where it already was.
    """
    if field.strength is None:
        return field
    there = upsample_chroma(automatic.luma, automatic.ab, guide)
    part = np.divide(field.spreads, field.weight, out=np.zeros_like(field.weight), where=field.weight > 0)
    share = 1 - np.minimum(part, 1) * (1 - field.strength)
    known = field.spreads / field.strength
    weight = np.minimum(field.weight - field.spreads + known, 1)
    return _Toned(there + share[..., None] * (field.ab - there), weight, np.minimum(known, 1))


def colourise_frame(
    luma_full: Array, automatic: Automatic, carrier: Carries, *, field: Field | None = None, luma: Array | None = None
) -> Array:
    """Chroma of one frame at its own size.

    With hints or without, what they do not cover comes up to the frame in the same one way: what no hint touches is the
    automatic pass bit for bit.

    Args:
        luma_full: L* of the frame                    [(H, W) float32 [0, 100]]
        automatic: its automatic pass, as of `automatic_of`.
        carrier: what carries hints through it.
        field: what the hints say at working size, or None.
        luma: L* at the field's size; made here where None  [(h, w) float32 [0, 100]]

    Returns:
        [(H, W, 2) float32 Lab a* b*], not yet fitted to the gamut; the field's chroma where its weight is 1 all about
    """
    if field is None:
        return upsample_chroma(automatic.luma, automatic.ab, luma_full)
    guide = luma if luma is not None else resized(luma_full, (field.ab.shape[0], field.ab.shape[1]))
    field = between(automatic, field, guide)
    ab = upsample_chroma(automatic.luma, carried(automatic, field, carrier), luma_full)
    return lay_over(guide, field.ab, field.weight, luma_full, ab)


@dataclass(frozen=True)
class ColouriseParams:
    """What can be set on the colouring."""

    colouriser: str = registered("embedded", "colourisers", help="Which colouriser speaks where no hint does")
    steady: int = number(
        4, 0, 12, unit="frames", help="How many frames to each side steady the automatic colour along motion"
    )
    saturation: float = number(1.0, 0.0, 2.0, help="Strength of the automatic colour; hints are left as asked")
    flow: str = registered("dis", "flows", help="Which estimator finds motion: dis, or a network of the model shelf")
    render_factor: int = number(
        0, 0, 64, help="Size at which DeOldify sees the picture, in 16 px; 0 is its authors' choice, 21 or 35"
    )
    faithful: bool = switch(
        False, help="Colour as the authors' own program does, in 8 bits: DeOldify, DDColor, siggraph17"
    )


class Colourise(StageBase):
    """Colour a film under the restorer's hints."""

    name: ClassVar[str] = "colourise"
    version: ClassVar[int] = 7
    help: ClassVar[str] = "Colours the film: automatic where nobody has spoken, as asked where a hint has"
    Params: ClassVar[type] = ColouriseParams

    def __init__(self, makers: Makers, flows: Makers) -> None:
        self._makers = makers
        self._flows = flows

    def colouriser(self, params: ColouriseParams, device: str | None = None) -> Colouriser:
        """The colouriser that is asked for, as it is asked for; its network is made once, however it is.

        Raises:
            InputError: there is none of that name, its weights are missing, or it cannot be had so: it has no render
                factor, or its authors' own road is not known.
        """
        made = self._named(params.colouriser, device)
        if isinstance(made, RendersAt):
            made = made.at(params.render_factor)
        elif params.render_factor:
            raise InputError(
                f"colourise: render_factor {params.render_factor} is of DeOldify, not of '{params.colouriser}'; set it "
                "to 0, or choose deoldify, deoldify-stable or deoldify-artistic"
            )
        if not params.faithful:
            return made
        if not isinstance(made, Faithful):
            raise InputError(
                f"colourise: faithful is of DeOldify, DDColor and siggraph17, not of '{params.colouriser}'; switch it "
                "off, or choose one of these"
            )
        return AsPublished(made)

    def _named(self, name: str, device: str | None) -> Colouriser:
        return cast(Colouriser, self._makers.made(name, device))

    def carrier(self, name: str, device: str | None = None) -> Carries:
        """What carries hints where that colouriser colours: itself if it can, else the embedded one.

        Raises:
            InputError, WeightsError: as of `colouriser`.
        """
        own = self._named(name, device)
        return own if isinstance(own, Carries) else cast(Carries, self._named("embedded", device))

    def looks(self, name: str, device: str | None = None) -> Looks | None:
        """What tells how places look where that colouriser colours: itself if it can, else the embedded one.

        Raises:
            InputError, WeightsError: as of `colouriser`.
        """
        able = (self._named(n, device) for n in (name, "embedded"))
        return next((one for one in able if isinstance(one, Looks)), None)

    def keyed(self, params: ColouriseParams) -> ColouriseParams:
        """As they are, but for what only some colourisers know: that is in the fingerprints of these."""
        return replace(params, render_factor=0, faithful=False)

    def key_parts(self, params: ColouriseParams, device: str | None = None) -> tuple[Any, ...]:
        """The weights' hashes and how networks run there, of what finds motion too."""
        colouriser, carrier = self.colouriser(params, device), self.carrier(params.colouriser, device)
        return (colouriser.fingerprint, carrier.fingerprint, self._flows.made(params.flow, device).fingerprint)

    def radius(self, params: ColouriseParams, device: str | None = None) -> int:
        """As far as the automatic colour is steadied."""
        return params.steady

    def process(self, window: Window, params: ColouriseParams, context: StageContext) -> Array:
        """Colour the middle frame of the window."""
        carrier = self.carrier(params.colouriser, context.device)
        frame = window.frame
        luma = luma_of(frame.rgb)
        if context.side is None:
            auto = automatic_of(luma, self.colouriser(params, context.device))
            return self.paint(luma, auto.luma, auto, None, params, carrier)
        side = cast(ColourSide, context.side)
        small, auto = side.luma(frame.index), side.automatic(frame.index)
        rgb = self.paint(luma, small, auto, side.field(frame.index), params, carrier)
        for mask, frozen in side.locks(frame.index):
            kept = self.paint(luma, small, auto, frozen.field(frame.index), params, carrier)
            rgb = np.where(mask[..., None], kept, rgb)
        return rgb

    @staticmethod
    def paint(
        luma_full: Array,
        luma: Array,
        automatic: Automatic,
        field: Field | None,
        params: ColouriseParams,
        carrier: Carries,
    ) -> Array:
        """One frame's picture from its luma, its automatic pass and what hints say.

        Returns:
            [(H, W, 3) float32 [0, 1] R'G'B']; its L* is the film's
        """
        toned = Automatic(automatic.luma, _toned(automatic.ab, params.saturation))
        return join(luma_full, colourise_frame(luma_full, toned, carrier, field=field, luma=luma))


def _toned(ab: Array, saturation: float) -> Array:
    return ab if saturation == 1.0 else ab * np.float32(saturation)


def register(plugins: Plugins) -> None:
    """Add the stage, and the colouriser that needs no download."""
    plugins.colourisers.add("embedded", lambda device: load_colouriser("embedded", device))
    plugins.stages.add(Colourise.name, Colourise(plugins.colourisers, plugins.flows))
