"""Colourisers: luma in, chroma out; and what carries hints through a frame. The interfaces, and the embedded one.

The embedded network (``core.models.network``) needs no download and runs on a laptop's CPU; its weights lie beside
this file with a model card.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from core.contract.fingerprint import fingerprint
from core.errors import InputError, ShapeError
from core.film.colour import luma_of, srgb_to_lab
from core.guided import upsample_chroma
from core.models.checkpoint import identity_of
from core.models.device import pick_device
from core.models.distribution import likeliest, sharpened
from core.models.fallback import Fallback
from core.models.grey import grey_of, scaled
from core.models.network import BIN_CELL, ColourNet, widths_of
from core.models.once import Once
from core.models.standing import Standing
from core.models.tiling import is_out_of_memory
from core.models.ways import choose
from core.models.weights import fill, load_weights
from core.solver import spread

Plane = NDArray[np.float32]

WEIGHTS = Path(__file__).parent / "weights" / "embedded.safetensors"
CODE_VERSION = 4  # raise it whenever the same weights would give other colours: cache keys hold it
AS_PUBLISHED = 1  # likewise, of how chroma is taken from what a published program gives
WORKING_LONG_SIDE = 256  # at which hints are carried
AUTOMATIC_LONG_SIDE = 128  # unasked, the network sees the scene, and was taught it on small pictures
# What errs least is paler than anything that is likely. This much more gives six tenths of the colourfulness of
# photographs never trained on, for 0.1 dB.
LIVELINESS = 1.4
SAME_SURFACE = 6.0  # L* by which cells of one surface may differ
# How much the edge-aware solver has to say beside the kriging, and the cells of its grid along the longer side.
OTHER_OPINION, SPREAD_CELLS = 0.2, 24
CLOSE_BY = 1.0  # reach at which half of what lies about a hint on a thing is the solver's
# Frames that are coloured unasked in one call: 8 ms each instead of 24 on two cores; sixteen gain nothing more.
TOGETHER = 8


class Colouriser(Protocol):
    """What every colouriser fulfils, embedded or published."""

    name: str
    fingerprint: str  # hash of weights and code version: part of every cache key

    def predict(self, luma: Plane) -> Plane:
        """Predict chroma for one frame of which nothing was said.

        Args:
            luma: the film's luma  [(h, w) float32 [0, 100] L*]

        Returns:
            Chroma  [(h, w, 2) float32 CIE Lab D65, a* b*]
        """
        ...


@runtime_checkable
class SeesSquares(Protocol):
    """A colouriser whose network sees every picture stretched to a square; unasked it is shown that (`square`)."""

    automatic_square: int  # its side [px]


@runtime_checkable
class RendersAt(Protocol):
    """A colouriser whose authors leave the size at which its network sees a picture to a person."""

    def at(self, render_factor: int) -> Colouriser:
        """The same network, its weights read once, at another render factor; 0: at its own.

        Raises:
            InputError: it is out of the network's bounds.
        """
        ...


@runtime_checkable
class Faithful(Colouriser, Protocol):
    """A published colouriser that also goes its authors' own road, in 8 bits, with their roundings."""

    def faithful(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8] | Plane:
        """Colour an 8-bit picture exactly as the published program does.

        Args:
            rgb: [(H, W, 3) uint8 R'G'B']

        Returns:
            [(H, W, 3) uint8, or float32 [0, 1], R'G'B' sRGB]
        """
        ...


@runtime_checkable
class PredictsTogether(Protocol):
    """A colouriser to which several frames of one size cost less together than one by one."""

    together: int  # how many frames are looked at in one call

    def predict_together(self, lumas: Plane) -> Plane:
        """Predict chroma for frames of which nothing was said.

        Args:
            lumas: luma of frames of one film  [(n, h, w) float32 [0, 100] L*], n ≥ 1

        Returns:
            Chroma  [(n, h, w, 2) float32 CIE Lab D65, a* b*]; of each frame the same to the bit, whichever others
            are asked about with it
        """
        ...


@runtime_checkable
class Carries(Protocol):
    """A network that carries hints through a frame, whoever coloured it unasked."""

    fingerprint: str  # hash of weights and code version: part of every cache key

    def carry(self, luma: Plane, ab: Plane, hint_ab: Plane, hint_weight: Plane) -> Plane:
        """Change a frame's chroma as hints ask.

        Args:
            luma: the film's luma                   [(h, w) float32 [0, 100] L*]
            ab: chroma if nothing were said         [(h, w, 2) float32 CIE Lab D65, a* b*]
            hint_ab: chroma asked for               [(h, w, 2) float32 CIE Lab D65, a* b*]
            hint_weight: trust in it, 0 = no hint   [(h, w) float32 [0, 1]]

        Returns:
            Chroma  [(h, w, 2) float32 CIE Lab D65, a* b*]; ``ab`` itself where there is no hint at all
        """
        ...


@runtime_checkable
class Suggests(Protocol):
    """A colouriser that knows of several likely colours for one place."""

    def suggest(self, luma: Plane, at: tuple[int, int], count: int = 5) -> Plane:
        """Suggest distinct colours for one place.

        Args:
            luma: the film's luma  [(h, w) float32 [0, 100] L*]
            at: row and column
            count: at most so many

        Returns:
            a*, b* and how likely, the likeliest first  [(n, 3) float32], 1 ≤ n ≤ count
        """
        ...


@runtime_checkable
class Looks(Protocol):
    """A network that tells what places of a frame look like, in numbers to compare."""

    fingerprint: str  # hash of weights and code version: part of every cache key

    def features(self, luma: Plane) -> Plane:
        """Look at a frame.

        Args:
            luma: the film's luma, of any size  [(h, w) float32 [0, 100] L*]

        Returns:
            Features of its places, evenly spread over the frame  [(h', w', C) float32, about unit size]
        """
        ...


@runtime_checkable
class LooksTogether(Looks, Protocol):
    """A network to which looking at several frames of one size costs less together than one by one."""

    together: int  # how many frames are looked at in one call

    def features_together(self, lumas: Plane) -> list[Plane]:
        """Look at several frames.

        Args:
            lumas: luma of frames of one film  [(n, h, w) float32 [0, 100] L*], n ≥ 1

        Returns:
            Features of each, as ``features`` gives them; the same to the bit, whichever others are looked at with it
        """
        ...


class AsPublished:
    """A published colouriser on its authors' own road. Fulfils the colouriser protocol; it is shown whole frames.

    Attributes:
        of: whose road it is.
        name: its.
        fingerprint: of its own, and of how chroma is taken from what it gives.
    """

    def __init__(self, of: Faithful) -> None:
        self.of = of
        self.name = of.name
        self.fingerprint = fingerprint("as published", AS_PUBLISHED, of.fingerprint)

    def predict(self, luma: Plane) -> Plane:
        """Chroma of what the published program makes of the frame's grey, rounded to 8 bits.

        Args:
            luma: the film's luma  [(h, w) float32 [0, 100] L*]

        Returns:
            Chroma  [(h, w, 2) float32 CIE Lab D65, a* b*]

        Raises:
            ShapeError: luma is no plane.
            WeightsError: the weights are not this network's.
        """
        check_luma(luma)
        grey = np.rint(np.clip(grey_of(luma), 0.0, 1.0) * np.float32(255.0)).astype(np.uint8)
        made = self.of.faithful(np.repeat(grey[..., None], 3, axis=2))
        rgb = made / np.float32(255.0) if made.dtype == np.uint8 else made
        return np.ascontiguousarray(srgb_to_lab(np.asarray(rgb, np.float32))[..., 1:])


def automatic_chroma(colouriser: Colouriser, luma: Plane) -> Plane:
    """Colour a frame of which nothing was said.

    Args:
        colouriser: which network speaks
        luma: the film's luma  [(H, W) float32 [0, 100] L*]

    Returns:
        Its chroma, made as lively as it says it may be  [(h, w, 2) float32 CIE Lab D65, a* b*]; of the size of
        ``luma``, or what a published program gives for a whole frame at the size at which hints are carried
    """
    ab = colouriser.predict(luma) * np.float32(getattr(colouriser, "liveliness", 1.0))
    if not isinstance(colouriser, AsPublished):
        return ab
    h, w = working_size(*luma.shape)
    return np.asarray(cv2.resize(ab, (w, h), interpolation=cv2.INTER_AREA), np.float32)


def automatic_chromas(colouriser: Colouriser, lumas: Sequence[Plane]) -> list[Plane]:
    """Colour several frames of one film, of which nothing was said; together where that costs less.

    Args:
        colouriser: which network speaks
        lumas: the film's luma, of one size  [(h, w) float32 [0, 100] L*] each

    Returns:
        Chroma of each, as ``automatic_chroma`` gives it
    """
    if not isinstance(colouriser, PredictsTogether):
        return [automatic_chroma(colouriser, luma) for luma in lumas]
    lively = np.float32(getattr(colouriser, "liveliness", 1.0))
    return [np.asarray(ab * lively, np.float32) for ab in colouriser.predict_together(np.stack(lumas))]


def square(luma: Plane, side: int) -> Plane:
    """A whole frame's luma as a network sees it that has every picture stretched to a square.

    It is brought there in one go, as grey R'G'B' and by the triangle filter that the published programs' squeeze is: a
    picture that was made smaller before would be blurred along one side, and stretched up along the other.

    Args:
        luma: the film's luma    [(H, W) float32 [0, 100] L*]
        side: of the square      [px]

    Returns:
        [(h, w) float32 [0, 100] L*]; h and w are ``side``, or the frame's own where that is less
    """
    check_luma(luma)
    h, w = luma.shape
    size = min(h, side), min(w, side)
    if size == (h, w):
        return luma
    small = scaled(torch.from_numpy(grey_of(luma))[None, None], size).clamp(0.0, 1.0)[0, 0].numpy()
    return luma_of(np.repeat(small[..., None], 3, axis=2))


def working_size(h: int, w: int, longest: int = WORKING_LONG_SIDE) -> tuple[int, int]:
    """Give the size at which a frame of (h, w) is best coloured: its shape, long side at most ``longest``."""
    scale = min(1.0, longest / max(h, w))
    return max(1, round(h * scale)), max(1, round(w * scale))


def check_luma(luma: Plane) -> None:
    """Refuse what is no plane of luma.

    Raises:
        ShapeError: it has not two dimensions, or no pixel.
    """
    if luma.ndim != 2 or 0 in luma.shape:
        raise ShapeError(f"luma is {luma.shape}, expected (h, w)")


class EmbeddedColouriser:
    """Our own small network: it colours unasked, carries hints, suggests colours and tells how unsure it is.

    Weights are read once, at the first frame; calls may come from any thread. A frame is looked at once: what is seen
    in the last few is kept, so that the next hint on one of them costs no network. Where the device has no memory left,
    it goes on on the CPU, at float32 (``core.models.fallback``); where that has none either, calls raise PochoirError.

    Args:
        device: where it runs; None or ``auto`` chooses (see ``core.models.device``)
        weights: another file of such a network, of these widths or others
        way: how it runs; None chooses (see ``core.models.ways``)

    Raises:
        InputError: no such device; or frames are looked at by compiled code, and it cannot be compiled here.
        WeightsError: the weights are missing, damaged or another network's (file: at once; contents: at first use).
    """

    name = "embedded"
    automatic_long_side = AUTOMATIC_LONG_SIDE
    together = TOGETHER
    liveliness = LIVELINESS

    def __init__(self, device: str | None = None, weights: Path = WEIGHTS, way: str | None = None) -> None:
        self._path = weights
        self._sha256 = identity_of(weights)
        self._network = Once(self._read)
        self.identity = f"embedded-{CODE_VERSION}-{self.automatic_long_side}-{self._sha256}"
        where = pick_device(device)
        self.way = way or self._chosen(where)
        self.fingerprint = f"{self.identity}-{self.way}"
        self._standing = Fallback(
            self.name, lambda at: Standing(self._network(), at, self.way if at == where else "float32"), where
        )

    @classmethod
    def around(cls, network: ColourNet, device: str | None = None) -> EmbeddedColouriser:
        """One of a network at hand, as training has it between two steps; nothing it says is to be kept."""
        made = cls(device)
        made.fingerprint = f"embedded-{CODE_VERSION}-unnamed"
        as_it_is = copy.deepcopy(network)
        made._network = Once(lambda: as_it_is)
        return made

    def _read(self) -> ColourNet:
        weights = load_weights(self._path, sha256=self._sha256)
        network = ColourNet(widths_of(weights)).eval()
        fill(network, weights, self._path.name)
        return network

    def _chosen(self, where: torch.device) -> str:
        """How it runs there, by a typical call where the clock decides."""
        standing = Once(lambda: Standing(self._network(), where, "float32"))
        typical = torch.zeros(1, 1, 192, WORKING_LONG_SIDE)
        try:
            return choose(lambda: standing().network(typical.to(where)), where, self.identity)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            return "float32"  # nothing is measured there; the first call finds where it goes on

    @property
    def prior(self) -> Plane:
        """How often photographs have the chroma of each bin  [(BIN_SIDE ** 2,) float32, sums to 1]."""
        return cast(Plane, self._network().prior.float().cpu().numpy())

    def predict(self, luma: Plane) -> Plane:
        """Predict chroma for one frame of which nothing was said; best at ``AUTOMATIC_LONG_SIDE``, right at any size.

        Args:
            luma: the film's luma  [(h, w) float32 [0, 100] L*]

        Returns:
            Chroma  [(h, w, 2) float32 CIE Lab D65, a* b*]

        Raises:
            ShapeError: luma is no plane.
            WeightsError: the weights are not this network's.
        """
        check_luma(luma)
        return self._standing(lambda there: there.predict(luma))

    def predict_together(self, lumas: Plane) -> Plane:
        """Predict chroma for several frames of which nothing was said; see ``PredictsTogether``.

        The network always sees ``TOGETHER`` frames, the last one repeated where there are fewer: convolutions are
        summed in an order that depends on how many there are, and what a frame gives is not to depend on its company.

        Raises:
            ShapeError: the lumas are no planes.
            WeightsError: the weights are not this network's.
        """
        if lumas.ndim != 3 or 0 in lumas.shape:
            raise ShapeError(f"lumas are {lumas.shape}, expected (n, h, w)")
        found = [
            self._standing(partial(Standing.predict_together, lumas=full))[:count] for count, full in _groups(lumas)
        ]
        return np.asarray(np.concatenate(found), np.float32)

    def carry(self, luma: Plane, ab: Plane, hint_ab: Plane, hint_weight: Plane) -> Plane:
        """Change a frame's chroma as hints ask; see ``Carries``. Best at ``WORKING_LONG_SIDE``.

        Raises:
            ShapeError: the arrays do not fit together.
            WeightsError: the weights are not this network's.
        """
        self._check(luma, ab, hint_ab, hint_weight)
        if not hint_weight.any():
            return ab
        told = self._standing(lambda there: there.carry(luma, ab, hint_ab, hint_weight))
        if told is None:
            return ab
        change, whole = told
        # The change comes up along the luma; what it changes is at full size already.
        h, w = -(-luma.shape[0] // 2), -(-luma.shape[1] // 2)
        small = np.asarray(cv2.resize(luma, (w, h), interpolation=cv2.INTER_AREA), np.float32)
        krige = ab + upsample_chroma(small, change.reshape(h, w, 2), luma)
        # Two estimates that err differently err less together where hints speak of the whole picture; and on even
        # ground the solver does not fade, as a thing's colour does not.
        other, reach = spread(luma, hint_ab, hint_weight, cells=SPREAD_CELLS)
        share = OTHER_OPINION * max(0.0, 2 * whole - 1) + (1 - whole) * reach / (reach + np.float32(CLOSE_BY))
        return np.asarray(krige + share[..., None] * (other - krige), np.float32)

    def deviation(self, luma: Plane, hint_ab: Plane | None = None, hint_weight: Plane | None = None) -> Plane:
        """By how much the chroma is likely to err: much where nothing tells of it, little near to hints.

        Args:
            luma: the film's luma                   [(h, w) float32 [0, 100] L*]
            hint_ab: chroma asked for, or None      [(h, w, 2) float32 CIE Lab D65, a* b*]
            hint_weight: trust in it, 0 = no hint   [(h, w) float32 [0, 1]]

        Returns:
            Deviation, the root of the mean square of the error  [(h, w) float32, a* b*]

        Raises:
            ShapeError: the arrays do not fit together.
            WeightsError: the weights are not this network's.
        """
        nothing = np.zeros((*luma.shape, 2), np.float32), np.zeros(luma.shape, np.float32)
        asked, weight = nothing if hint_ab is None or hint_weight is None else (hint_ab, hint_weight)
        self._check(luma, nothing[0], asked, weight)
        h, w = luma.shape
        half = self._standing(lambda there: there.deviation(luma, there.predict(luma), asked, weight))
        return np.asarray(cv2.resize(half.reshape(-(-h // 2), -(-w // 2)), (w, h)), np.float32)

    def features(self, luma: Plane) -> Plane:
        """What places look like, seen at the size at which hints are carried; see ``Looks``.

        Raises:
            ShapeError: luma is no plane.
            WeightsError: the weights are not this network's.
        """
        check_luma(luma)
        small = _at_working_size(luma)
        return self._standing(lambda there: there.features(small))

    def features_together(self, lumas: Plane) -> list[Plane]:
        """What places of several frames look like; see ``LooksTogether``, and ``predict_together`` for how.

        Raises:
            ShapeError: the lumas are no planes.
            WeightsError: the weights are not this network's.
        """
        if lumas.ndim != 3 or 0 in lumas.shape:
            raise ShapeError(f"lumas are {lumas.shape}, expected (n, h, w)")
        found: list[Plane] = []
        for count, full in _groups(np.stack([_at_working_size(luma) for luma in lumas])):
            found += self._standing(partial(Standing.features_together, lumas=full))[:count]
        return found

    @staticmethod
    def _check(luma: Plane, ab: Plane, hint_ab: Plane, hint_weight: Plane) -> None:
        check_luma(luma)
        if ab.shape != (*luma.shape, 2) or hint_ab.shape != ab.shape or hint_weight.shape != luma.shape:
            raise ShapeError(
                f"luma is {luma.shape} but chroma is {ab.shape}, hint chroma {hint_ab.shape} and hint weight "
                f"{hint_weight.shape}; bring all to one size"
            )

    def suggest(self, luma: Plane, at: tuple[int, int], count: int = 5) -> Plane:
        """Suggest distinct colours for one place; see ``Suggests``.

        Raises:
            ShapeError: luma is no plane, or the place lies outside it.
            WeightsError: the weights are not this network's.
        """
        check_luma(luma)
        if not (0 <= at[0] < luma.shape[0] and 0 <= at[1] < luma.shape[1]):
            raise ShapeError(f"place {at} lies outside luma of {luma.shape}")
        odds, means = self._standing(lambda there: there.odds(luma))
        # The places about it that are of its own surface speak with it: one cell alone is moody.
        y, x = at[0] // BIN_CELL, at[1] // BIN_CELL
        about = np.s_[..., max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
        told = sharpened(odds[about], self.prior)
        off = (means[about] + 1.0) * 50.0 - luma[at]  # back to L*
        alike = np.exp(-np.square(off / SAME_SURFACE)) + np.float32(1e-3)
        return likeliest(np.asarray((told * alike).sum(axis=(1, 2)) / alike.sum(), np.float32), count)


def _groups(lumas: Plane) -> Iterator[tuple[int, Plane]]:
    """Frames as they are looked at together: how many are asked about, and these with what fills the group."""
    for first in range(0, len(lumas), TOGETHER):
        some = lumas[first : first + TOGETHER]
        yield len(some), np.concatenate([some, np.repeat(some[-1:], TOGETHER - len(some), axis=0)])


def _at_working_size(luma: Plane) -> Plane:
    h, w = working_size(*luma.shape)
    if (h, w) == luma.shape:
        return luma
    return np.asarray(cv2.resize(luma, (w, h), interpolation=cv2.INTER_AREA), np.float32)


def load_colouriser(name: str = "embedded", device: str | None = None) -> Colouriser:
    """Give a colouriser by name.

    Args:
        name: ``embedded``
        device: ``auto`` (or None), ``cpu``, ``cuda``, ``cuda:N``, ``mps``

    Raises:
        InputError: the name or the device is unknown.
        WeightsError: its weights are missing.
    """
    if name != "embedded":
        raise InputError(f"colouriser {name!r} is not known; known: embedded")
    return EmbeddedColouriser(device)
