"""Zhang et al.'s user-guided colouriser: the authors' own checkpoints, run without their framework.

It colours unasked, carries hints (the network itself is shown them), and offers likely colours for a place.
`SIGGRAPH17.faithful` is the published program's road without hints, for comparison with it.

Source: Zhang, Zhu, Isola, Geng, Lin, Yu & Efros 2017, "Real-time user-guided image colorization with learned deep
priors".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from skimage.color import lab2rgb, rgb2lab
from torch import Tensor

from core.contract.fingerprint import fingerprint
from core.contract.plugins import Plugins
from core.errors import ShapeError
from core.film.colour import fit_gamut, lab_to_srgb, srgb_to_lab
from core.models.checkpoint import check_for, identity_of, read_network
from core.models.clusters import clusters
from core.models.colouriser import check_luma, working_size
from core.models.device import pick_device
from core.models.once import Once
from core.models.placed import Placed
from core.models.shelf import card_of, find
from core.models.siggraph17_net import BINS, CELL, UserGuided, planes
from core.models.ways import choose_published, in_way

Plane = NDArray[np.float32]
Bytes = NDArray[np.uint8]

VERSION = 1  # raised whenever the same weights give another answer
SIZE = 256  # of the pictures it was trained on [px]
# What is taken off the mask of hints. The retrained network was shown -0.5 for "nothing said" and 0.5 for "said", the
# others 0 and 1; the wrong one leaves a hint without reach.
CENTRES = {"pytorch": 0.5}  # by the file's stem
BIN_STEP = 10.0  # a* b* between neighbouring bins
BIN_SIDE = math.isqrt(BINS)
SOFTNESS = 0.2  # the published program multiplies logits by this before they become probabilities
SNAPS = 20  # turns that snapping to the gamut takes at most
# Hints that tell the two layouts of the bins apart: sRGB shows them at L* 60, and none is like itself mirrored.
TOLD_LUMA = 60.0
TOLD = ((65.0, -20.0), (-50.0, 45.0), (10.0, -45.0))


class SIGGRAPH17:
    """The hint-conditioned colouriser with its weights. Fulfils `Colouriser`, `Carries` and `Suggests`.

    Weights are read at the first frame, once; calls may come from any thread.

    Args:
        make: makes the network with its weights
        weights: what names those weights, for the fingerprint
        centre: what is taken off the mask of hints, 0 or 0.5; it belongs to the weights (see `CENTRES`)
        device: as `core.models.device.pick_device` takes it

    Attributes:
        name: ``siggraph17``.
        way: how it runs, but for `faithful`, which is the published program's (see `core.models.ways`).
        fingerprint: of weights, mask convention, this module's version and the way; for cache keys.
        automatic_long_side: of the pictures it works on; larger ones are brought down to it.

    Raises:
        InputError: there is no such device.
    """

    name = "siggraph17"
    automatic_long_side = SIZE

    def __init__(
        self,
        make: Callable[[], UserGuided],
        *,
        weights: str,
        centre: float = 0.0,
        device: str | None = None,
    ) -> None:
        self.centre = centre
        where = pick_device(device)
        self._network = Placed(self.name, make, where)
        self._bins = Once(self._laid_out)
        flat = np.full((SIZE, SIZE), TOLD_LUMA, np.float32)
        halves = card_of(self.name).halves
        self.way = choose_published(halves, lambda: self._answer(flat, way="float32"), where, self.name)
        self.fingerprint = in_way(fingerprint("siggraph17", VERSION, weights, centre), self.way)

    @classmethod
    def load(cls, folder: Path | None = None, *, device: str | None = None) -> SIGGRAPH17:
        """Take a published checkpoint; which mask it was trained with follows from its file's name.

        Args:
            folder: where checkpoints lie; None: the model folder
            device: as `core.models.device.pick_device` takes it

        Raises:
            InputError: there is no such device.
            ModelMissingError: no checkpoint is there.
            WeightsError: only at first use: it is damaged or of another model.
        """
        path = find(cls.name, folder)
        return cls(
            partial(read_network, UserGuided, path),
            weights=identity_of(path),
            centre=CENTRES.get(path.stem, 0.0),
            device=device,
        )

    def predict(self, luma: Plane) -> Plane:
        """Predict chroma for one frame of which nothing was said.

        Args:
            luma: the film's luma  [(H, W) float32 [0, 100] L*]

        Returns:
            Chroma  [(H, W, 2) float32 CIE Lab D65, a* b*]

        Raises:
            ShapeError: luma is no plane.
            WeightsError: the weights are not this network's.

        Source: Zhang et al. 2017; as published, but for the frame's shape, which is kept.
        """
        check_luma(luma)
        h, w = luma.shape
        return _brought_to(self._answer(_brought_to(luma, working_size(h, w, SIZE))), (h, w))

    def carry(self, luma: Plane, ab: Plane, hint_ab: Plane, hint_weight: Plane) -> Plane:
        """Change a frame's chroma as hints ask.

        The network colours the frame twice, without the hints and with them; what differs is added to ``ab``. So
        where hints change nothing, ``ab`` stays as it is, however it was made or steadied. As ``ab`` need not be the
        network's own answer, what it is told is not the hint's colour but its own answer changed by as much as the
        hint asks of ``ab``; where ``ab`` is the network's own, that is the hint's colour. Trust below 1 makes both the
        colour and the mask that it is shown weaker.

        Args:
            luma: the film's luma                   [(H, W) float32 [0, 100] L*]
            ab: chroma if nothing were said         [(H, W, 2) float32 CIE Lab D65, a* b*]
            hint_ab: chroma asked for               [(H, W, 2) float32 CIE Lab D65, a* b*]
            hint_weight: trust in it, 0 = no hint   [(H, W) float32 [0, 1]]

        Returns:
            Chroma  [(H, W, 2) float32 CIE Lab D65, a* b*]; ``ab`` itself where there is no hint at all

        Raises:
            ShapeError: the arrays do not fit together.
            WeightsError: the weights are not this network's.

        Source: Zhang et al. 2017, section 3.1.
        """
        check_luma(luma)
        if ab.shape != (*luma.shape, 2) or hint_ab.shape != ab.shape or hint_weight.shape != luma.shape:
            raise ShapeError(
                f"luma is {luma.shape} but chroma is {ab.shape}, hint chroma {hint_ab.shape} and hint weight "
                f"{hint_weight.shape}; bring all to one size"
            )
        if not hint_weight.any():
            return ab
        h, w = luma.shape
        size = working_size(h, w, SIZE)
        shown, trust = _brought_to(luma, size), _brought_to(hint_weight, size)
        # A mean by trust: what lies about a hint is not asked for anything.
        asked = _brought_to((hint_ab - ab) * hint_weight[..., None], size)
        own = self._answer(shown)
        told = self._answer(shown, own * trust[..., None] + asked, trust)
        return np.asarray(ab + _brought_to(told - own, (h, w)), np.float32)

    def suggest(self, luma: Plane, at: tuple[int, int], count: int = 5) -> Plane:
        """Suggest distinct colours for one place, as sRGB shows them at its luma.

        The likely bins of chroma are gathered into heaps, as the published program does; it draws from the
        distribution at random, here its probabilities are weights, so that the answer is always the same.

        Args:
            luma: the film's luma  [(H, W) float32 [0, 100] L*]
            at: row and column
            count: at most so many

        Returns:
            a*, b* and how likely, the likeliest first  [(n, 3) float32], 1 ≤ n ≤ count

        Raises:
            ShapeError: luma is no plane, or the place lies outside it.
            WeightsError: the weights are not this network's.

        Source: Zhang et al. 2017, section 3.3, "Color recommendations".
        """
        check_luma(luma)
        h, w = luma.shape
        if not (0 <= at[0] < h and 0 <= at[1] < w):
            raise ShapeError(f"place {at} lies outside luma of {luma.shape}")
        size = working_size(h, w, SIZE)
        odds = self._odds(_brought_to(luma, size))
        told = odds[0, :, at[0] * size[0] // h // CELL, at[1] * size[1] // w // CELL]
        own, bins = float(luma[at]), self._bins()
        fitted = fit_gamut(np.full(BINS, own, np.float32), bins)
        told = told * (np.hypot(*(fitted - bins).T) < BIN_STEP)  # bins that this luma can show, or nearly
        heaps, shares = clusters(bins, told / told.sum(), count)
        shown = snap(own, heaps)
        chosen: list[int] = []
        for i in range(len(shown)):  # snapping may have made one colour of two
            if all(np.hypot(*(shown[i] - shown[j])) >= BIN_STEP for j in chosen):
                chosen.append(i)
        return np.asarray(np.column_stack([shown, shares])[chosen], np.float32)

    def faithful(self, rgb: Bytes) -> Plane:
        """Colour an 8-bit picture exactly as the published program does.

        Args:
            rgb: grey or colour; of its colour only L* is used  [(H, W, 3) uint8 R'G'B']

        Returns:
            [(H, W, 3) float32 [0, 1] R'G'B' sRGB]

        Source: Zhang et al. 2017, the authors' demonstration without hints.
        """
        ab = torch.from_numpy(self._answer(squeeze(rgb), way="float32")).permute(2, 0, 1)[None]
        large = F.interpolate(ab, rgb.shape[:2], mode="bilinear", align_corners=False)[0].permute(1, 2, 0).numpy()
        lab = np.concatenate([rgb2lab(rgb)[..., :1], large], axis=-1)  # type: ignore[no-untyped-call]
        return np.asarray(lab2rgb(lab), np.float32)  # type: ignore[no-untyped-call]

    def _answer(
        self, luma: Plane, ab: Plane | None = None, mask: Plane | None = None, *, way: str | None = None
    ) -> Plane:
        """The network's chroma, of its luma's size; ``ab`` is 0 where ``mask`` is  [(h, w, 2) float32 a* b*]."""
        h, w = luma.shape
        with torch.inference_mode():
            answer = self._network(self._planes(luma, ab, mask), way=way or self.way)[0, :, :h, :w]
        return np.ascontiguousarray(answer.permute(1, 2, 0).numpy())

    def _odds(self, luma: Plane, ab: Plane | None = None, mask: Plane | None = None) -> Plane:
        """Probabilities of bins, softened as published  [(1, 529, ceil(h / 4), ceil(w / 4)) float32]."""
        with torch.inference_mode():
            logits = self._network.run(lambda network, shown: network.odds(shown), self._planes(luma, ab, mask))
            return np.asarray(torch.softmax(logits * SOFTNESS, dim=1).numpy(), np.float32)

    def _planes(self, luma: Plane, ab: Plane | None, mask: Plane | None) -> Tensor:
        """What the network is shown  [(1, 4, H, W) float32]."""
        ab = np.zeros((*luma.shape, 2), np.float32) if ab is None else ab
        mask = np.zeros(luma.shape, np.float32) if mask is None else mask
        given = torch.from_numpy(np.dstack([luma, ab, mask])).permute(2, 0, 1)[None]
        return planes(given[:, :1], given[:, 1:3], given[:, 3:], centre=self.centre)

    def _laid_out(self) -> Plane:
        """Chroma of each bin, in the order the weights have them  [(529, 2) float32 a* b*].

        The authors' training program counts along b* first, their interactive one along a* first, and no file says
        which it was made with. So the network is asked: shown a flat picture with a hint all over it, it finds that
        colour likely, in one of the two orders.
        """
        steps = (np.arange(BIN_SIDE, dtype=np.float32) - BIN_SIDE // 2) * np.float32(BIN_STEP)
        along_b = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(BINS, 2)
        flat = np.full((SIZE // 4, SIZE // 4), TOLD_LUMA, np.float32)
        straight = mirrored = 0.0
        for ab in TOLD:
            hint = np.tile(np.array(ab, np.float32), (*flat.shape, 1))
            likely = self._odds(flat, hint, np.ones_like(flat))[0].mean(axis=(1, 2)) @ along_b
            straight += float(np.hypot(*(likely - ab)))
            mirrored += float(np.hypot(*(likely[::-1] - ab)))
        return along_b if straight <= mirrored else np.ascontiguousarray(along_b[:, ::-1])


def squeeze(rgb: Bytes) -> Plane:
    """L* of a picture stretched to the network's square, as the published program takes it.

    Args:
        rgb: the picture  [(H, W, 3) uint8 R'G'B']

    Returns:
        [(256, 256) float32 [0, 100] L*]
    """
    small = np.asarray(Image.fromarray(rgb).resize((SIZE, SIZE), Image.Resampling.BICUBIC))
    return np.asarray(rgb2lab(small)[..., 0], np.float32)  # type: ignore[no-untyped-call]


def snap(luma: float, ab: Plane) -> Plane:
    """Bring colours into what sRGB shows at a luma: clip R'G'B', restore L*, in turns, until both hold.

    Unlike `core.film.colour.fit_gamut` this may turn the hue a little, and keeps more of the colourfulness.

    Args:
        luma: L*         [0, 100]
        ab: chroma       [(N, 2) float32 CIE Lab D65, a* b*]

    Returns:
        Chroma  [(N, 2) float32 CIE Lab D65, a* b*]; what sRGB shows already stays within the conversion's accuracy

    Source: Zhang et al. 2017, the authors' interactive program.
    """
    lab = np.column_stack([np.full(len(ab), luma), ab]).astype(np.float32)
    moving = np.ones(len(lab), bool)
    for _ in range(SNAPS):
        if not moving.any():
            break
        lab[:, 0] = luma
        shown = srgb_to_lab(lab_to_srgb(lab[None]))[0]
        moved = np.abs(shown - lab).sum(axis=1)
        lab[moving] = shown[moving]
        moving &= moved >= 1.0
    return np.ascontiguousarray(lab[:, 1:])


def register(plugins: Plugins) -> None:
    """Offer the published colouriser; it asks for its checkpoint when it is made."""
    plugins.colourisers.add(SIGGRAPH17.name, lambda device: SIGGRAPH17.load(device=device))
    plugins.checks.add(SIGGRAPH17.name, check_for(UserGuided))


def _brought_to(plane: Plane, size: tuple[int, int]) -> Plane:
    """A plane brought down by area, or up linearly  [(h, w) or (h, w, c) float32]."""
    if plane.shape[:2] == size:
        return plane
    way = cv2.INTER_AREA if size[0] < plane.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, (size[1], size[0]), interpolation=way), np.float32)
