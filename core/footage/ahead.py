"""Reading ahead: frames are made in a thread while the last one is being worked on."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class _Item(Generic[T]):
    """A thing read, or (with neither) the end, or the fault that ended the reading."""

    thing: T | None = None
    fault: BaseException | None = None


def read_ahead(things: Iterator[T], *, depth: int = 3) -> Generator[T, None, None]:
    """The same things in the same order, up to ``depth`` of them made in advance by a thread.

    The iterator is used by that thread alone and closed there. The thread ends when the things do,
    or when the caller stops asking and this generator is closed.

    Raises:
        whatever the iterator raises, at its place in the order.
    """
    line: queue.Queue[_Item[T]] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def put(item: _Item[T]) -> None:
        while not stop.is_set():
            with contextlib.suppress(queue.Full):
                line.put(item, timeout=0.1)
                return

    def work() -> None:
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

    thread = threading.Thread(target=work, name="pochoir-read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item = line.get()
            if item.thing is None:
                if item.fault is not None:
                    raise item.fault
                return
            yield item.thing
    finally:
        stop.set()
        thread.join()
