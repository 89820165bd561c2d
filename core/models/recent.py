"""What networks have found and may be asked again: the values last asked for, as many as fit."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, cast

from torch import Tensor

T = TypeVar("T")


class Recent:
    """Values by key, those last asked for; calls may come from any thread.

    Args:
        most: memory that their tensors may take together; a value that takes more by itself is not kept  [bytes]
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._values: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of that key, made where it is not at hand. Two who ask at once for the same may both make it."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return cast(T, self._values[key][0])
        value = make()
        taken = size_of(value)
        with self._lock:
            if key not in self._values and taken <= self._most:
                self._values[key] = value, taken
                self._held += taken
                while self._held > self._most:
                    _, (_, freed) = self._values.popitem(last=False)
                    self._held -= freed
        return value

    def stop(self) -> bool:
        """Let go of all, and keep nothing from now on; whether anything was let go of."""
        with self._lock:
            held = bool(self._values)
            self._most = self._held = 0
            self._values.clear()
        return held


def size_of(value: Any) -> int:
    """Memory that the tensors of a value take, those of its fields and parts among them  [bytes]."""
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, list | tuple):
        return sum(map(size_of, value))
    if is_dataclass(value):
        return sum(size_of(getattr(value, field.name)) for field in fields(value))
    return 0
