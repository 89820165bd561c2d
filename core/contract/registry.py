"""Named things of one kind. Adding is all or nothing; an unknown name is answered with the known ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Generic, TypeVar

from core.errors import InputError
from core.models.device import pick_device
from core.models.once import Once

T = TypeVar("T")


class Registry(Generic[T]):
    """Things of one kind by name.

    Args:
        kind: what the things are, for messages, e.g. ``"stage"``.
        protocol: a runtime-checkable protocol, or several of which one must fit.
    """

    def __init__(self, kind: str, *protocol: type) -> None:
        self.kind = kind
        self._protocols = protocol
        self._things: dict[str, T] = {}

    def add(self, name: str, thing: T) -> None:
        """Add one thing.

        Raises:
            InputError: the name is taken, or the thing is not of this kind; nothing is changed then.
        """
        if name in self._things:
            raise InputError(f"{self.kind} '{name}' is registered twice; rename one of them")
        if self._protocols and not any(isinstance(thing, p) for p in self._protocols):
            kinds = " or ".join(p.__name__ for p in self._protocols)
            raise InputError(f"{self.kind} '{name}': {type(thing).__name__} is not a {kinds}")
        self._things[name] = thing

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """What is added within the block is there at once, and is taken back where the block fails."""
        before = dict(self._things)
        try:
            yield
        except BaseException:
            self._things = before
            raise

    def get(self, name: str) -> T:
        """The thing of that name.

        Raises:
            InputError: there is none; the message lists those there are.
        """
        try:
            return self._things[name]
        except KeyError:
            raise InputError(f"unknown {self.kind} '{name}'; known: {', '.join(sorted(self._things))}") from None

    def values(self) -> tuple[T, ...]:
        """The things, in the order in which they were added."""
        return tuple(self._things.values())

    def __contains__(self, name: object) -> bool:
        return name in self._things

    def __iter__(self) -> Iterator[str]:
        return iter(self._things)

    def __len__(self) -> int:
        return len(self._things)


class Makers(Registry[Callable[[str | None], Any]]):
    """Makers of models of one kind by name. Calls of `made` may come from any thread.

    Args:
        kind: what is made, for messages, e.g. ``"colouriser"``.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self._made: dict[tuple[str, str], Once[Any]] = {}
        self._lock = threading.Lock()

    def made(self, name: str, device: str | None = None) -> Any:
        """What the maker of that name makes for a device: made once, whoever asks.

        Args:
            name: of the maker.
            device: as `core.models.device.pick_device` takes it; one device is one, whatever it is called.

        Raises:
            InputError: there is none of that name, no such device, or its weights are missing.
        """
        maker, where = self.get(name), str(pick_device(device))
        with self._lock:
            once = self._made.setdefault((name, where), Once(partial(maker, where)))
        return once()
