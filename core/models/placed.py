"""A network where it runs: read at first use, on its device, and from where the device's memory ends on the CPU."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from core.errors import PochoirError
from core.models.once import Once
from core.models.tiling import is_out_of_memory
from core.models.ways import held, running

log = logging.getLogger(__name__)
N = TypeVar("N", bound=nn.Module)
CPU = torch.device("cpu")
FAST = torch.channels_last  # a quarter faster on a CPU


@dataclass
class _Place(Generic[N]):
    """Where a network stands, and how its weights lie there."""

    device: torch.device
    network: Once[N]
    layout: torch.memory_format = FAST
    fallen: bool = False  # to where nobody asked for it


class Placed(Generic[N]):
    """A network with its weights on a device. For networks whose pictures cannot be cut: they see all of one at once.

    It is made at the first call, once; calls may come from any thread. Where the device has no memory left, it is made
    anew on the CPU and stays there, at float32: the picture is the same or finer, it only takes longer.

    Args:
        name: the word people know it by.
        make: makes the network, its weights on the CPU.
        device: where it runs as long as there is memory.
    """

    def __init__(self, name: str, make: Callable[[], N], device: torch.device) -> None:
        self._name = name
        self._make = make
        self._lock = threading.Lock()
        self._place = self._on(device)

    def _on(self, device: torch.device, *, fallen: bool = False) -> _Place[N]:
        network = Once(lambda: self._make().to(device, memory_format=FAST))  # type: ignore[call-overload]
        return _Place(device, network, fallen=fallen)

    @property
    def network(self) -> N:
        """The network itself, where it stands."""
        return self._place.network()

    def __call__(self, *planes: Tensor, layout: torch.memory_format = FAST, way: str = "float32") -> Tensor:
        """What the network makes of some planes, as of `run`."""
        return self.run(nn.Module.__call__, *planes, layout=layout, way=way)

    def run(
        self, work: Callable[..., Tensor], *planes: Tensor, layout: torch.memory_format = FAST, way: str = "float32"
    ) -> Tensor:
        """What the network makes of some planes by one of its methods.

        Args:
            work: of the network and the planes, all of which are on one device and in one layout then.
            planes: on any device  [(N, C, H, W)]
            layout: of the planes and the weights in memory, by which sums differ in their last bits. Whoever asks for
                both turn by turn pays for it; most ask for one.
            way: how it runs on its own device (see `core.models.ways`); on the CPU that it fell back to, at float32.

        Returns:
            At float32, on the device of the first plane.

        Raises:
            PochoirError: the CPU has no memory left either, or at half precision it came to what is no number.
            WeightsError: at the first call: the checkpoint is damaged or of another model.
        """
        place = self._place
        try:
            return self._at(place, work, planes, layout, "float32" if place.fallen else way).to(planes[0].device)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if place.device == CPU:
                raise PochoirError(f"{self._name}: out of memory on cpu; close what else uses it") from None
        self._leave(place)
        device = place.device
        del place
        # Only here, where the error and all that it held are gone, is there something to give back.
        if device.type == "cuda":
            torch.cuda.empty_cache()
        return self.run(work, *planes, layout=layout, way=way)

    def _at(
        self,
        place: _Place[N],
        work: Callable[..., Tensor],
        planes: Sequence[Tensor],
        layout: torch.memory_format,
        way: str,
    ) -> Tensor:
        given = (plane.to(place.device).contiguous(memory_format=layout) for plane in planes)
        network = self._laid(place, layout)
        with running(way, place.device):
            return held(work(network, *given), way, self._name)

    def _laid(self, place: _Place[N], layout: torch.memory_format) -> N:
        network = place.network()
        with self._lock:
            if place.layout is not layout:
                network.to(memory_format=layout)  # type: ignore[call-overload]
                place.layout = layout
        return network

    def _leave(self, place: _Place[N]) -> None:
        with self._lock:
            if self._place is not place:
                return  # another thread was first
            self._place = self._on(CPU, fallen=True)
        log.warning("%s: out of memory on %s; going on on the CPU, more slowly", self._name, place.device)
