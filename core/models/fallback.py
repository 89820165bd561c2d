"""What stands on a device, and from where the device's memory ends on the CPU."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import torch

from core.errors import PochoirError
from core.models.once import Once
from core.models.tiling import is_out_of_memory

log = logging.getLogger(__name__)
T = TypeVar("T")
A = TypeVar("A")
CPU = torch.device("cpu")


@dataclass(frozen=True)
class _Place(Generic[T]):
    """A device, and what stands there."""

    device: torch.device
    made: Once[T]


class Fallback(Generic[T]):
    """Something that works on a device, made at the first call, once; calls may come from any thread.

    Where the device has no memory left, it is made anew on the CPU and stays there: the work is done all the same, it
    only takes longer.

    Args:
        name: the word people know it by.
        make: makes it on a device.
        device: where it works as long as there is memory.
    """

    def __init__(self, name: str, make: Callable[[torch.device], T], device: torch.device) -> None:
        self._name = name
        self._make = make
        self._lock = threading.Lock()
        self._place = self._on(device)

    def _on(self, device: torch.device) -> _Place[T]:
        return _Place(device, Once(partial(self._make, device)))

    def __call__(self, work: Callable[[T], A]) -> A:
        """What some work comes to.

        Args:
            work: of what was made; done again from its beginning where memory ends, on what is made on the CPU then.
                What it gives must not lie on the device.

        Raises:
            PochoirError: the CPU has no memory left either.
        """
        place = self._place
        try:
            return work(place.made())
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
        return self(work)

    def _leave(self, place: _Place[T]) -> None:
        with self._lock:
            if self._place is not place:
                return  # another thread was first
            self._place = self._on(CPU)
        log.warning("%s: out of memory on %s; going on on the CPU, more slowly", self._name, place.device)
