"""Who may use how many processors.

OpenCV shares each call among all processors and lets idle threads spin in wait of the next. Where several threads of
our own call it at once, that costs more than it brings: there each call keeps to its thread. Results are the same.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

_lock = threading.Lock()
_inside = 0
_before = 0


@contextmanager
def one_thread_a_call() -> Iterator[None]:
    """Every call of OpenCV, by whichever thread, stays on that thread until the last such block ends."""
    global _inside, _before
    with _lock:
        if _inside == 0:
            _before = cv2.getNumThreads()
            cv2.setNumThreads(1)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                cv2.setNumThreads(_before)
