"""What all networks share that make pictures between pictures: `core.interpolate.Interpolator`'s side of them.

The network is loaded when it is first asked, once. Where memory ends, a picture is tried again in the next of the
ways that its network has, each of which takes less.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from core.contract.fingerprint import fingerprint
from core.errors import PochoirError, ShapeError
from core.models.checkpoint import identity_of
from core.models.device import pick_device
from core.models.once import Once
from core.models.recent import Recent
from core.models.shelf import find
from core.models.tiling import is_out_of_memory
from core.models.ways import choose_published, in_way, running

log = logging.getLogger(__name__)
Array = NDArray[np.float32]
N = TypeVar("N")
TYPICAL = 128  # side of the pictures by which the clock chooses how a network runs  [px]

# Most that is kept of what was found in a pair of pictures; at full HD DAIN's is six tenths of it  [bytes].
KEPT_BYTES = 1 << 30


class NetworkInterpolator(ABC, Generic[N]):
    """A network as an interpolator. Fulfils `core.interpolate.Interpolator`.

    Args:
        network: loads it; called once, when the first picture is asked for.
        weights: their hash.
        device: as `core.models.device.pick_device` takes it.

    Attributes:
        name: the word people choose it by, and its card's id.
        halves: which half precisions it stands, as its card says.
        version: raised whenever the same weights give another answer.
        way: how it runs (see `core.models.ways`).
        fingerprint: of weights, version and way; for cache keys.

    Raises:
        InputError: there is no such device.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    halves: ClassVar[Sequence[str]] = ()

    def __init__(self, network: Callable[[], N], *, weights: str, device: str | None = None) -> None:
        self._device = pick_device(device)
        self._network = Once(network)
        self._lock = threading.Lock()
        self._pair: tuple[Array, Array] | None = None
        self._found = Recent(0)
        self._kept_bytes = 0  # nothing while the clock decides: it is to time all of the work, each way by itself
        self.way = "float32"
        self.way = choose_published(self.halves, self._typical, self._device, self.name)
        self.fingerprint = in_way(fingerprint(self.name, self.version, weights), self.way)
        self._pair = None
        self._kept_bytes = KEPT_BYTES
        self._too_much: dict[float, int] = {}  # way to the least picture that it had no memory for  [px]

    @classmethod
    def load(cls, folder: Path | None = None, *, device: str | None = None) -> Self:
        """Find a published checkpoint; it is read when the first picture is asked for.

        Args:
            folder: where checkpoints lie; None: the model folder
            device: as `core.models.device.pick_device` takes it

        Raises:
            InputError: there is no such device.
            ModelMissingError: no checkpoint is there.
        """
        path, where = find(cls.name, folder), pick_device(device)
        return cls(lambda: cls.read(path, where), weights=identity_of(path), device=device)

    @staticmethod
    @abstractmethod
    def read(path: Path, device: torch.device) -> Any:
        """The network with the weights of a checkpoint.

        Raises:
            WeightsError: it is damaged or of another model.
        """

    @abstractmethod
    def ways(self, h: int, w: int) -> Sequence[float]:
        """How a picture of this size may be made, the usual way first, each taking less memory than the one before."""

    @abstractmethod
    def said(self, way: float) -> str:
        """A way in words, e.g. ``"in parts of 512 px"``."""

    @abstractmethod
    def made(self, rgb_a: Array, rgb_b: Array, t: float, way: float) -> Array:
        """`between`, in one of the ways."""

    def found(self, rgb_a: Array, rgb_b: Array) -> Recent:
        """What was found of these two pictures and does not depend on the time; what was of two others is let go.

        Pictures are told by their content: whoever has an array may write to it.
        """
        with self._lock:
            pair = self._pair
            if pair is None or not (np.array_equal(pair[0], rgb_a) and np.array_equal(pair[1], rgb_b)):
                self._pair, self._found = (rgb_a.copy(), rgb_b.copy()), Recent(self._kept_bytes)
            return self._found

    def between(self, rgb_a: Array, rgb_b: Array, t: float) -> Array:
        """Make the picture at a time between two others.

        What memory was too small for is not tried again on pictures of that size or above.

        Args:
            rgb_a: [(H, W, 3) float32 [0, 1] R'G'B']
            rgb_b: [(H, W, 3) float32 [0, 1] R'G'B']
            t: fraction of the way from a to b  (0, 1)

        Returns:
            [(H, W, 3) float32 [0, 1] R'G'B']

        Raises:
            PochoirError: there is not even memory for the way that takes least.
            ShapeError: the pictures differ in size.
            WeightsError: the checkpoint is damaged or of another model.
        """
        return self.between_or_less(rgb_a, rgb_b, t)[0]

    def between_or_less(self, rgb_a: Array, rgb_b: Array, t: float) -> tuple[Array, str]:
        """As `between`, with the way it was made in where that is not the usual one; else empty.

        Pictures made in two ways differ, and the fingerprint is that of the usual way. Fulfils
        `core.interpolate.FallsShort`.
        """
        if rgb_a.shape != rgb_b.shape:
            raise ShapeError(f"{self.name}: pictures of {rgb_a.shape} and {rgb_b.shape} are not of one size")
        h, w = rgb_a.shape[:2]
        ways = self.ways(h, w)
        *larger, least = ways
        for place, way in enumerate(larger):
            if h * w >= self._too_much.get(way, h * w + 1):
                continue
            made = self._tried(rgb_a, rgb_b, t, way)
            if made is not None:
                return made, self.said(way) if place else ""
            self._too_much[way] = h * w
            log.warning(
                "%s: out of memory on %s for %d x %d %s; going on %s",
                self.name, self._device, w, h, self.said(way), self.said(ways[place + 1]),
            )  # fmt: skip
        made = self._tried(rgb_a, rgb_b, t, least)
        if made is None:
            raise PochoirError(
                f"{self.name}: out of memory on {self._device} for {w} x {h} even {self.said(least)}; close what else "
                "uses it, or choose another --device, or by 'flow'"
            )
        return made, self.said(least) if larger else ""

    def _typical(self) -> Array:
        """Work as pictures make it."""
        grey = np.full((TYPICAL, TYPICAL, 3), 0.5, np.float32)
        return self.made(grey, grey, 0.5, self.ways(TYPICAL, TYPICAL)[0])

    def _tried(self, rgb_a: Array, rgb_b: Array, t: float, way: float) -> Array | None:
        """The picture, or None where memory ends even though nothing is kept in it."""
        made = self._attempted(rgb_a, rgb_b, t, way)
        if made is None and self._found.stop():
            made = self._attempted(rgb_a, rgb_b, t, way)
            if made is None:
                self._pair = None  # it was not what is kept: a lesser way may keep again
            else:
                self._kept_bytes = 0
        return made

    def _attempted(self, rgb_a: Array, rgb_b: Array, t: float, way: float) -> Array | None:
        """The picture, or None where memory ends."""
        try:
            with torch.inference_mode(), running(self.way, self._device):
                return self.made(rgb_a, rgb_b, t, way)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        # Only here, where the error and all that it held are gone, is there something to give back.
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        return None
