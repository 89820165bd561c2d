"""Colourisers: luma in, chroma out; and what carries hints through a frame. The interfaces, and the embedded one.

The embedded network (``core.models.network``) needs no download and runs on a laptop's CPU; its weights lie beside
this file with a model card.
"""

from __future__ import annotations

import copy
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from core.contract.fingerprint import fingerprint
from core.errors import InputError, ShapeError
from core.film.colour import luma_of, srgb_to_lab
from core.guided import upsample_chroma
from core.models.checkpoint import identity_of
from core.models.device import pick_device
from core.models.distribution import likeliest, sharpened
from core.models.grey import grey_of, scaled
from core.models.kriging import Places, Samples, picture
from core.models.network import AB_SCALE, BIN_CELL, MULTIPLE, ColourNet, Sight, input_planes, widths_of
from core.models.ways import VARIABLE, choose, is_compiled, running
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
SIGHTS_KEPT = 16  # frames of which a restorer's next hint need not look again


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


def fold_norms(network: ColourNet) -> ColourNet:
    """Fold each batch normalisation into the convolution before it: the same function, in fewer passes."""
    network = copy.deepcopy(network).eval()
    for part in network.modules():
        for conv, norm in (("conv", "norm"), ("conv1", "norm1"), ("conv2", "norm2")):
            if isinstance(getattr(part, norm, None), nn.BatchNorm2d):
                setattr(part, conv, fuse_conv_bn_eval(getattr(part, conv), getattr(part, norm)))
                setattr(part, norm, nn.Identity())
    return network


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
    in the last few is kept, so that the next hint on one of them costs no network.

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
        self.device = pick_device(device)
        self._path = weights
        self._sha256 = identity_of(weights)
        self._lock = threading.Lock()
        self._network: ColourNet | None = None
        self._compiled: Callable[[Tensor], Tensor] | None = None
        self._sights: OrderedDict[bytes, Sight] = OrderedDict()
        self.identity = f"embedded-{CODE_VERSION}-{self.automatic_long_side}-{self._sha256}"
        typical = torch.zeros(1, 1, 192, WORKING_LONG_SIDE)
        self.way = way or choose(lambda: self._ready()(typical.to(self.device)), self.device, self.identity)
        self.fingerprint = f"{self.identity}-{self.way}"

    @classmethod
    def around(cls, network: ColourNet, device: str | None = None) -> EmbeddedColouriser:
        """One of a network at hand, as training has it between two steps; nothing it says is to be kept."""
        made = cls(device)
        made.fingerprint = f"embedded-{CODE_VERSION}-unnamed"
        made._network = made._prepared(network)
        return made

    def _prepared(self, network: ColourNet) -> ColourNet:
        folded = fold_norms(network).requires_grad_(False)
        return folded.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    def _ready(self) -> ColourNet:
        with self._lock:
            if self._network is None:
                weights = load_weights(self._path, sha256=self._sha256)
                network = ColourNet(widths_of(weights))
                fill(network, weights, self._path.name)
                self._network = self._prepared(network)
            return self._network

    @property
    def prior(self) -> Plane:
        """How often photographs have the chroma of each bin  [(BIN_SIDE ** 2,) float32, sums to 1]."""
        return cast(Plane, self._ready().prior.float().cpu().numpy())

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
        return np.asarray(_chroma(self._look(luma).ab, luma.shape)[0], np.float32)

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
        found = []
        for some, full in _groups(lumas):
            with torch.inference_mode(), running(self.way, self.device):
                ab = self._chroma_of(self._padded(full))
            found.append(_chroma(ab, some.shape[1:])[: len(some)])
        return np.asarray(np.concatenate(found), np.float32)

    def _chroma_of(self, shown: Tensor) -> Tensor:
        """The network's chroma, by plain calls or compiled code as the way has it  [(n, 2, H, W)]."""
        network = self._ready()
        if not is_compiled(self.way):
            return network.chroma(shown)
        try:
            with self._lock:
                if self._compiled is None:
                    self._compiled = cast("Callable[[Tensor], Tensor]", torch.compile(network.chroma, dynamic=False))
            return self._compiled(shown)
        except (
            RuntimeError
        ) as error:  # no compiler, or one that does not know this machine: torch has many names for it
            said = str(error).strip().splitlines()[0]
            way_out = f"set {VARIABLE}=float32, or run: python app.py doctor --tune"
            raise InputError(f"the network cannot be compiled here ({said}); {way_out}") from None

    def carry(self, luma: Plane, ab: Plane, hint_ab: Plane, hint_weight: Plane) -> Plane:
        """Change a frame's chroma as hints ask; see ``Carries``. Best at ``WORKING_LONG_SIDE``.

        Raises:
            ShapeError: the arrays do not fit together.
            WeightsError: the weights are not this network's.
        """
        self._check(luma, ab, hint_ab, hint_weight)
        if not hint_weight.any():
            return ab
        with torch.inference_mode():
            places, samples = self._told(luma, ab, hint_ab, hint_weight)
            if samples is None:
                return ab
            found, meant = self._ready().kriging.judge(places, samples)
            change = (found - places.ab).cpu().numpy() * np.float32(AB_SCALE)
        # The change comes up along the luma; what it changes is at full size already.
        h, w = -(-luma.shape[0] // 2), -(-luma.shape[1] // 2)
        small = np.asarray(cv2.resize(luma, (w, h), interpolation=cv2.INTER_AREA), np.float32)
        krige = ab + upsample_chroma(small, change.reshape(h, w, 2), luma)
        # Two estimates that err differently err less together where hints speak of the whole picture; and on even
        # ground the solver does not fade, as a thing's colour does not.
        other, reach = spread(luma, hint_ab, hint_weight, cells=SPREAD_CELLS)
        whole = float(meant)
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
        with torch.inference_mode():
            places, samples = self._told(luma, self.predict(luma), asked, weight)
            half = self._ready().kriging.deviation(places, samples).cpu().numpy() * np.float32(AB_SCALE)
        return np.asarray(cv2.resize(half.reshape(-(-h // 2), -(-w // 2)), (w, h)), np.float32)

    def features(self, luma: Plane) -> Plane:
        """What places look like, seen at the size at which hints are carried; see ``Looks``.

        Raises:
            ShapeError: luma is no plane.
            WeightsError: the weights are not this network's.
        """
        check_luma(luma)
        small = _at_working_size(luma)
        return _features(self._look(small).affinity, small.shape)[0]

    def features_together(self, lumas: Plane) -> list[Plane]:
        """What places of several frames look like; see ``LooksTogether``, and ``predict_together`` for how.

        Raises:
            ShapeError: the lumas are no planes.
            WeightsError: the weights are not this network's.
        """
        if lumas.ndim != 3 or 0 in lumas.shape:
            raise ShapeError(f"lumas are {lumas.shape}, expected (n, h, w)")
        found: list[Plane] = []
        for some, full in _groups(np.stack([_at_working_size(luma) for luma in lumas])):
            with torch.inference_mode(), running(self.way, self.device):
                sight = cast(Sight, self._ready()(self._padded(full)))
            found += _features(sight.affinity, some.shape[1:])[: len(some)]
        return found

    def _told(self, luma: Plane, ab: Plane, hint_ab: Plane, hint_weight: Plane) -> tuple[Places, Samples | None]:
        """All places of the frame at half its size, and what hints say of it, in units of AB_SCALE."""
        h, w = luma.shape
        told = np.dstack([ab, hint_ab * hint_weight[..., None], hint_weight])
        told = np.pad(told, ((0, h % 2), (0, w % 2), (0, 0)), mode="edge")
        half = cv2.resize(told, (told.shape[1] // 2, told.shape[0] // 2), interpolation=cv2.INTER_AREA)
        planes = torch.from_numpy(half.transpose(2, 0, 1) / np.float32(AB_SCALE)).to(self.device)
        weight = planes[4:] * AB_SCALE
        sight = self._look(luma)
        affinity, doubt = (
            part[0, :, : half.shape[0], : half.shape[1]].float() for part in (sight.affinity, sight.doubt)
        )
        return picture(affinity, doubt, planes[:2], planes[2:4] / weight.clamp(min=1e-6), weight)

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
        shown = self._padded(luma[None])
        network = self._ready()
        # The places about it that are of its own surface speak with it: one cell alone is moody.
        y, x = at[0] // BIN_CELL, at[1] // BIN_CELL
        about = np.s_[..., max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
        with torch.inference_mode(), running(self.way, self.device):
            logits = network.odds(shown)[0][about].float().cpu().numpy()
            means = F.avg_pool2d(shown[0], BIN_CELL)[0][about].float().cpu().numpy()
        told = sharpened(logits, self.prior)
        off = (means + 1.0) * 50.0 - luma[at]  # back to L*
        alike = np.exp(-np.square(off / SAME_SURFACE)) + np.float32(1e-3)
        return likeliest(np.asarray((told * alike).sum(axis=(1, 2)) / alike.sum(), np.float32), count)

    def _look(self, luma: Plane) -> Sight:
        """What the network sees in a frame; at hand for the last few."""
        key = hashlib.blake2b(luma.tobytes(), digest_size=16, key=str(luma.shape).encode()).digest()
        with self._lock:
            if key in self._sights:
                self._sights.move_to_end(key)
                return self._sights[key]
        with torch.inference_mode(), running(self.way, self.device):
            sight = cast(Sight, self._ready()(self._padded(luma[None])))
        with self._lock:
            self._sights[key] = sight
            while len(self._sights) > SIGHTS_KEPT:
                self._sights.popitem(last=False)
        return sight

    def _padded(self, lumas: Plane) -> Tensor:
        """What the network is shown, brought to a size it takes  [(n, 1, H, W) float32 on the device]."""
        h, w = lumas.shape[1:]
        shown = torch.from_numpy(input_planes(lumas))
        pad_h, pad_w = -h % MULTIPLE, -w % MULTIPLE
        if pad_h or pad_w:
            # Repeat the border: mirrored content would be taken for more of the scene, zeros for a dark one.
            shown = F.pad(shown, (0, pad_w, 0, pad_h), mode="replicate")
        return shown.to(self.device, memory_format=torch.channels_last)


def _groups(lumas: Plane) -> Iterator[tuple[Plane, Plane]]:
    """Frames as they are looked at together: those asked about, and with them what fills the group."""
    for first in range(0, len(lumas), TOGETHER):
        some = lumas[first : first + TOGETHER]
        yield some, np.concatenate([some, np.repeat(some[-1:], TOGETHER - len(some), axis=0)])


def _at_working_size(luma: Plane) -> Plane:
    h, w = working_size(*luma.shape)
    if (h, w) == luma.shape:
        return luma
    return np.asarray(cv2.resize(luma, (w, h), interpolation=cv2.INTER_AREA), np.float32)


def _features(affinity: Tensor, size: tuple[int, ...]) -> list[Plane]:
    """Affinities as the network gives them, of frames that were (h, w) before they were padded."""
    seen = affinity[..., : -(-size[0] // 2), : -(-size[1] // 2)].float().permute(0, 2, 3, 1).cpu().numpy()
    return [np.ascontiguousarray(one) for one in seen]


def _chroma(ab: Tensor, size: tuple[int, ...]) -> Plane:
    """Chroma as the network gives it, of frames that were (h, w) before they were padded  [(n, h, w, 2) a* b*]."""
    shown = ab[..., : size[0], : size[1]].float().permute(0, 2, 3, 1).cpu().numpy()
    return np.ascontiguousarray(shown * np.float32(AB_SCALE), np.float32)


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
