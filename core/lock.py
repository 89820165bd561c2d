"""Locks between programs. They are the operating system's, so a crash lets go of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has no flock; there nothing is locked
    fcntl = None  # type: ignore[assignment]


def held(file: int) -> bool:
    """Take the lock on an open file until it is closed; whether nobody else has it. Without locks it is always free.

    Args:
        file: its descriptor
    """
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Do something that one program at a time may do; others wait for it here.

    Args:
        path: of the lock, which is there only meanwhile

    Returns:
        Whether the system knows such locks, so that nobody else is here.

    Raises:
        OSError: it cannot be written, or locked.
    """
    if fcntl is None:
        yield False
        return
    file = _taken(path)
    try:
        yield True
    finally:
        path.unlink(missing_ok=True)
        os.close(file)


def _taken(path: Path) -> int:
    """The lock's open file, once it is ours."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(file), path.stat()):
                return file
        except FileNotFoundError:
            pass
        except OSError:
            os.close(file)
            raise
        os.close(file)  # who had it has taken it away
