"""A network where it runs: read at first use, on its device, and from where the device's memory ends on the CPU."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from core.models.fallback import Fallback
from core.models.ways import held, running

N = TypeVar("N", bound=nn.Module)
FAST = torch.channels_last  # a quarter faster on a CPU


class _Laid(Generic[N]):
    """A network on a device, whose weights lie in memory as whoever calls it asks.

    Its calls share one set of weights. Those that ask for one layout run beside each other. Who asks for another waits
    until none runs, for their sums would else come out another way; and while anyone waits, none is let in.

    Args:
        network: its weights in the layout `FAST`.
        device: where it stands.
    """

    def __init__(self, network: N, device: torch.device) -> None:
        self.network = network
        self.device = device
        self._layout: torch.memory_format | None = FAST
        self._running = 0
        self._asking: Counter[torch.memory_format] = Counter()
        self._turn = threading.Condition()

    @contextmanager
    def lying(self, layout: torch.memory_format) -> Iterator[N]:
        """The network, its weights in that layout for as long as the block lasts."""
        with self._turn:
            self._asking[layout] += 1
            self._turn.wait_for(lambda: not self._running or self._goes_on(layout))
            self._asking[layout] -= 1
            if self._layout is not layout:
                self._layout = None  # where memory ends half-way, they lie in neither
                self.network.to(memory_format=layout)  # type: ignore[call-overload]
                self._layout = layout
            self._running += 1
        try:
            yield self.network
        finally:
            with self._turn:
                self._running -= 1
                self._turn.notify_all()

    def _goes_on(self, layout: torch.memory_format) -> bool:
        return self._layout is layout and self._asking[layout] == self._asking.total()


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
        self._device = device

        def on(device: torch.device) -> _Laid[N]:
            return _Laid(make().to(device, memory_format=FAST), device)  # type: ignore[call-overload]

        self._laid = Fallback(name, on, device)

    @property
    def network(self) -> N:
        """The network itself, where it stands."""
        return self._laid(lambda laid: laid.network)

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

        def made(laid: _Laid[N]) -> Tensor:
            given = [plane.to(laid.device).contiguous(memory_format=layout) for plane in planes]
            there = way if laid.device == self._device else "float32"
            with laid.lying(layout) as network, running(there, laid.device):
                return held(work(network, *given), there, self._name).to(planes[0].device)

        return self._laid(made)
