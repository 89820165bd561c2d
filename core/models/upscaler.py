"""Upscalers: a picture (or a few of one shot) in, a larger one out. The interface, and what all networks share.

What they share: the network is loaded when it is first asked, once; pictures are brought to the sides it can
halve, cut into parts that fit the memory, clipped to their range; a film without colour stays without.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.contract.fingerprint import fingerprint
from core.contract.plugins import Plugins
from core.errors import PochoirError
from core.film.colour import as_grey, is_grey
from core.models.checkpoint import Table, identity_of, read_network
from core.models.device import pick_device
from core.models.once import Once
from core.models.placed import FAST
from core.models.shelf import card_of, find
from core.models.tiling import Tiling, is_out_of_memory, tiled
from core.models.ways import choose_published, held, in_way, running

log = logging.getLogger(__name__)
Array = NDArray[np.float32]
TYPICAL = 64  # side of the picture by which the clock chooses how a network runs  [px]


@runtime_checkable
class Upscaler(Protocol):
    """What every upscaler fulfils. A value: the same pictures give the same picture.

    Attributes:
        name: the word people choose it by.
        fingerprint: of weights and code version; part of every key its pictures reach.
        scale: by how much it enlarges; 1 where it only restores.
        radius: frames it looks at to each side; what a shot's end cuts off it is given on the other side.
    """

    name: str
    fingerprint: str
    scale: int
    radius: int

    def enlarge(self, frames: Sequence[Array], centre: int) -> Array:
        """Enlarge one frame.

        Args:
            frames: it and its neighbours, ``2 radius + 1`` or as many as the shot has, of one shot and in order
                [(H, W, 3) float32 [0, 1] R'G'B' each]
            centre: which one it is

        Returns:
            [(scale H, scale W, 3) float32 [0, 1] R'G'B']
        """
        ...


@runtime_checkable
class Denoises(Protocol):
    """A family of upscalers that differ in how much noise they take out."""

    def at(self, denoise: float) -> Upscaler:
        """The one that takes out this much  [0: grain stays, 1: all].

        Raises:
            ModelMissingError: a checkpoint that it is mixed from is not there.
        """
        ...


@runtime_checkable
class FallsShort(Protocol):
    """An upscaler that goes on with what takes less where memory ends, and tells."""

    def enlarge_or_less(self, frames: Sequence[Array], centre: int) -> tuple[Array, str]:
        """As `Upscaler.enlarge`, and what was done instead of its usual way; empty where that gives the same."""
        ...


class Published(Protocol):
    """A network that its authors publish, before its checkpoint is asked for."""

    @property
    def name(self) -> str:
        """The word people choose it by, and its card's id."""
        ...

    @property
    def code(self) -> tuple[str, int]:
        """The family it is of, and its version: raised whenever the same weights give another answer."""
        ...

    @property
    def scale(self) -> int:
        """By how much it enlarges."""
        ...

    @property
    def radius(self) -> int:
        """Frames it looks at to each side; 0: it takes one picture, not a sequence."""
        ...

    @property
    def tiling(self) -> Tiling:
        """How its pictures are cut."""
        ...

    def made(self) -> nn.Module:
        """The network."""
        ...

    def named(self, table: Table) -> Table:
        """A checkpoint's table in the network's names."""
        ...


class NetworkUpscaler:
    """A network as an upscaler. Fulfils `Upscaler`.

    Args:
        name: the word people choose it by.
        make: loads the network; called once, when it is first asked for a picture.
        fingerprint: of weights and code version.
        scale: by how much the network enlarges.
        tiling: how large pictures are cut; None: as the network's own ``tiling`` says.
        radius: frames the network looks at to each side; 0: it takes one picture, not a sequence.
        halves: which half precisions the network stands, as its card says.
        layout: of its weights and of single pictures in memory. Channels last, convolutions take a tenth to a half less
            on a CPU, and differ in the last bits only.
        device: as `core.models.device.pick_device` takes it.

    Attributes:
        way: how it runs (see `core.models.ways`); the fingerprint holds it.

    Raises:
        InputError: there is no such device, or the environment asks for a way that is not known.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], nn.Module],
        *,
        fingerprint: str,
        scale: int,
        tiling: Tiling | None,
        radius: int = 0,
        halves: Sequence[str] = (),
        layout: torch.memory_format = FAST,
        device: str | None = None,
    ) -> None:
        self.name = name
        self.scale = scale
        self.radius = radius
        self._tiling = self._usual = tiling
        self._device = pick_device(device)
        self._layout = layout
        self._network: Once[nn.Module] = Once(
            lambda: make().eval().to(self._device, memory_format=layout)  # type: ignore[call-overload]
        )
        self.way = choose_published(halves, self._typical, self._device, name)
        self.fingerprint = in_way(fingerprint, self.way)

    def enlarge(self, frames: Sequence[Array], centre: int) -> Array:
        """As `Upscaler.enlarge`. Where the shot ends, `window_of` tells what a sequence is made of.

        Raises:
            PochoirError: there is not even memory for the smallest parts.
            WeightsError: at the first picture: the checkpoint is damaged or of another model.
        """
        return self.enlarge_or_less(frames, centre)[0]

    def enlarge_or_less(self, frames: Sequence[Array], centre: int) -> tuple[Array, str]:
        """As `enlarge`, and in which parts where these are smaller than usual and may show; else empty.

        The fingerprint is that of the usual parts. Fulfils `FallsShort`.
        """
        frame = frames[centre]
        if self.radius:
            stack = np.stack([frames[place] for place in window_of(centre, self.radius, len(frames))])
        else:
            stack = frame
        h, w = frame.shape[:2]
        planes = torch.from_numpy(_padded(np.moveaxis(stack, -1, -3), self._parts().multiple))[None]
        rgb = self._run(planes)[0, :, : h * self.scale, : w * self.scale].clamp(0.0, 1.0)
        out = np.ascontiguousarray(rgb.permute(1, 2, 0).numpy())
        used = self._parts()
        same = used.as_good_as(cast(Tiling, self._usual), *planes.shape[-2:])
        return as_grey(out) if is_grey(frame) else out, "" if same else f"in parts of {used.side} px"

    def _parts(self) -> Tiling:
        if self._tiling is None:
            self._tiling = self._usual = cast(Tiling, self._loaded().tiling)
        return self._tiling

    def _typical(self) -> Tensor:
        """Work as a picture makes it."""
        shape = (2 * self.radius + 1, 3) if self.radius else (3,)
        return cast(Tensor, self._network()(torch.zeros(1, *shape, TYPICAL, TYPICAL, device=self._device)))

    def _run(self, planes: Tensor) -> Tensor:
        """The network's answer on the CPU; in smaller parts from where memory ends."""
        network = self._loaded()

        def work(part: Tensor) -> Tensor:
            part = part.to(self._device)
            if part.ndim == 4:
                part = part.contiguous(memory_format=self._layout)
            return held(network(part), self.way, self.name).cpu()

        while True:
            tiling = self._parts()
            try:
                with torch.inference_mode(), running(self.way, self._device):
                    return tiled(work, planes, tiling, self.scale)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                smaller = tiling.halved()
                if smaller is None:
                    raise self._too_little(f"even in parts of {tiling.side} px") from None
            if self._device.type == "cuda":
                torch.cuda.empty_cache()
            log.warning(
                "%s: out of memory on %s in parts of %d px; going on in parts of %d px",
                self.name, self._device, tiling.side, smaller.side,
            )  # fmt: skip
            self._tiling = smaller

    def _loaded(self) -> nn.Module:
        try:
            return self._network()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise self._too_little("for its weights") from None

    def _too_little(self, what: str) -> PochoirError:
        return PochoirError(
            f"{self.name}: out of memory on {self._device} {what}; close what else uses it, or choose another --device"
        )


def load(variant: Published, folder: Path | None = None, *, device: str | None = None) -> NetworkUpscaler:
    """A published network as an upscaler; its checkpoint is found and hashed now, and read when first needed.

    Args:
        variant: which.
        folder: where checkpoints lie; None: the model folder.
        device: as `core.models.device.pick_device` takes it.

    Raises:
        InputError: there is no such device.
        ModelMissingError: the checkpoint is not there.
    """
    path = find(variant.name, folder)
    return NetworkUpscaler(
        variant.name,
        partial(read_network, variant.made, path, variant.named),
        fingerprint=fingerprint(*variant.code, variant.name, identity_of(path)),
        scale=variant.scale,
        tiling=variant.tiling,
        radius=variant.radius,
        halves=card_of(variant.name).halves,
        device=device,
    )


def offer(plugins: Plugins, variant: Published) -> None:
    """Offer a published network, which asks for its checkpoint when it is made."""
    plugins.upscalers.add(variant.name, lambda device: load(variant, device=device))


def window_of(centre: int, radius: int, count: int) -> list[int]:
    """Places that a network of several frames is shown, ``2 radius + 1`` of them.

    Beyond an end stand the frames that follow the window on its other side, the farthest first: each place is new to
    the network. A shot of fewer frames than the window holds is mirrored at its ends instead.

    Args:
        centre: place of the frame in question
        radius: frames to each side
        count: frames there are

    Source: Wang et al. 2019 (EDVR), the tests' padding "reflection circle": 4 3 0 1 2 for the first of five.
    """
    first, last = centre - radius, centre + radius
    places = range(first, last + 1)
    if count <= 2 * radius:
        return [_mirrored(place, count) for place in places]
    return [
        last - place if place < 0 else first - (place - (count - 1)) if place >= count else place for place in places
    ]


def _mirrored(place: int, count: int) -> int:
    """A place of a sequence that goes on as its mirror image at both ends, the end itself not repeated."""
    if count == 1:
        return 0
    place %= 2 * (count - 1)
    return min(place, 2 * (count - 1) - place)


def _padded(planes: Array, multiple: int) -> Array:
    """Planes (…, H, W) mirrored at the bottom and on the right up to a multiple."""
    down, right = (-planes.shape[-2] % multiple, -planes.shape[-1] % multiple)
    if down or right:
        planes = np.pad(planes, [(0, 0)] * (planes.ndim - 2) + [(0, down), (0, right)], mode="reflect")
    return np.array(planes, np.float32, order="C")  # a copy: frames are read-only, which torch does not know
