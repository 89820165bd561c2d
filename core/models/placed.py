"""A network where it runs: read at first use, on its device, and from where the device's memory ends on the CPU."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from core.errors import PochoirError
from core.models.once import Once
from core.models.tiling import is_out_of_memory

log = logging.getLogger(__name__)
N = TypeVar("N", bound=nn.Module)
CPU = torch.device("cpu")


class Placed(Generic[N]):
    """A network with its weights on a device. For networks whose pictures cannot be cut: they see all of one at once.

    It is made at the first call, once; calls may come from any thread. Where the device has no memory left, it is made
    anew on the CPU and stays there: the picture is the same, it only takes longer.

    Args:
        name: the word people know it by.
        make: makes the network, its weights on the CPU.
        device: where it runs as long as there is memory.
        layout: of its weights. Channels last is a quarter faster on a CPU, and differs in the last bits only.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], N],
        device: torch.device,
        *,
        layout: torch.memory_format = torch.channels_last,
    ) -> None:
        self._name = name
        self._make = make
        self._layout = layout
        self._lock = threading.Lock()
        self._now = self._on(device)

    def _on(self, device: torch.device) -> tuple[torch.device, Once[N]]:
        return device, Once(lambda: self._make().to(device, memory_format=self._layout))  # type: ignore[call-overload]

    @property
    def network(self) -> N:
        """The network itself, where it stands."""
        return self._now[1]()

    def __call__(self, *planes: Tensor) -> Tensor:
        """What the network makes of some planes, as of `run`."""
        return self.run(nn.Module.__call__, *planes)

    def run(self, work: Callable[..., Tensor], *planes: Tensor) -> Tensor:
        """What the network makes of some planes by one of its methods.

        Args:
            work: of the network and the planes, all of which are on one device then.
            planes: on any device.

        Returns:
            On the device of the first plane.

        Raises:
            PochoirError: the CPU has no memory left either.
            WeightsError: at the first call: the checkpoint is damaged or of another model.
        """
        device, network = self._now
        try:
            return cast(Tensor, work(network(), *(plane.to(device) for plane in planes)).to(planes[0].device))
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if device == CPU:
                raise PochoirError(f"{self._name}: out of memory on cpu; close what else uses it") from None
        # Only here, where the error and all that it held are gone, is there something to give back.
        del network
        self._leave(device)
        return self.run(work, *planes)

    def _leave(self, device: torch.device) -> None:
        with self._lock:
            if self._now[0] != device:
                return  # another thread was first
            self._now = self._on(CPU)
        if device.type == "cuda":
            torch.cuda.empty_cache()
        log.warning("%s: out of memory on %s; going on on the CPU, more slowly", self._name, device)
