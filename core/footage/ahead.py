"""Reading ahead: things are made in a thread while the last one is being worked on."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class _Item(Generic[T]):
    """A thing read, or (with neither) the end, or the fault that ended the reading."""

    thing: T | None = None
    fault: BaseException | None = None


class ReadAhead(Iterator[T]):
    """The same things in the same order, up to ``depth`` of them made in advance by a thread.

    The thread begins at once. The iterator is used by it alone and closed there; it ends when the things do, or when
    this is closed or forgotten.

    Args:
        things: what is read; may raise, and its fault comes at its place in the order.
        depth: how many wait at most.
    """

    def __init__(self, things: Iterator[T], *, depth: int = 3) -> None:
        self._line: queue.Queue[_Item[T]] = queue.Queue(maxsize=depth)
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=_read, args=(things, self._line, self._stop), name="pochoir-read-ahead", daemon=True
        )
        self._thread.start()

    def __next__(self) -> T:
        if self._stop.is_set():
            raise StopIteration
        item = self._line.get()
        if item.thing is None:
            self.close()
            raise item.fault or StopIteration
        return item.thing

    def close(self) -> None:
        """Make nothing more, and wait until the thread has closed the iterator."""
        self._stop.set()
        self._thread.join()

    def __del__(self) -> None:
        self._stop.set()


def _read(things: Iterator[T], line: queue.Queue[_Item[T]], stop: threading.Event) -> None:
    """What the thread does; it knows nothing of the one who reads, who may be forgotten meanwhile."""

    def put(item: _Item[T]) -> None:
        while not stop.is_set():
            with contextlib.suppress(queue.Full):
                line.put(item, timeout=0.1)
                return

    fault: BaseException | None = None
    try:
        for thing in things:
            put(_Item(thing))
            if stop.is_set():
                break
    except BaseException as error:  # handed to the one who asked, with its traceback
        fault = error
    finally:
        close = getattr(things, "close", None)
        if close is not None:
            close()
    put(_Item(fault=fault))
