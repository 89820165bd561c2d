"""The content-addressed cache of everything that was computed: lossless, checked, within a budget.

An object's name is its key, and a key holds every input; so nothing is ever invalidated, two processes
may share a folder, and the folder may be deleted at any time. Objects are written beside and renamed.
They are not flushed to the disk one by one: after a power cut a torn object fails its digest when it is
read, counts as a miss and is made again, which costs less than waiting for the disk at every frame.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import shutil
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import CacheError
from core.render.codec import DamagedError, pack, picture_from_arrays, picture_to_arrays, unpack

log = logging.getLogger(__name__)
Arrays = dict[str, NDArray[Any]]

DEFAULT_BUDGET = 40 << 30
_KEEP_FREE = 2 << 30


class FrameCache:
    """Arrays and pictures by key, on disk, with a small tier in memory.

    Args:
        root: folder of the cache; made if missing.
        budget_bytes: most the folder may hold; the longest unread objects go first.
        memory_bytes: most the tier in memory may hold.

    Raises:
        CacheError: the folder cannot be made.
    """

    def __init__(self, root: Path, budget_bytes: int = DEFAULT_BUDGET, *, memory_bytes: int = 256 << 20) -> None:
        self.root = root
        self.budget = budget_bytes
        self._memory: OrderedDict[str, Arrays] = OrderedDict()
        self._memory_budget = memory_bytes
        self._memory_bytes = 0
        self._passing: set[str] = set()
        self._lock = threading.Lock()
        self._serial = itertools.count()
        self._disk_bytes: int | None = None
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CacheError(f"cache folder {root}: {error.strerror}; choose another with POCHOIR_CACHE") from None

    def has(self, key: str) -> bool:
        """Whether an object of this key is there (its digest is checked when it is read)."""
        return key in self._memory or self._path(key).exists()

    def get(self, key: str) -> Arrays | None:
        """The arrays of that key, or None. Arrays are read-only. A damaged object is set aside: a miss."""
        with self._lock:
            if key in self._memory:
                self._memory.move_to_end(key)
                return self._memory[key]
        path = self._path(key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        try:
            arrays = unpack(data)
        except DamagedError as fault:
            log.warning("cache object %s is damaged (%s); it will be made again", key, fault)
            self._set_aside(path)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        self._remember(key, arrays)
        return arrays

    def put(self, key: str, arrays: Mapping[str, NDArray[Any]], *, lasting: bool = True) -> None:
        """Keep arrays under a key.

        Args:
            key: their name.
            arrays: what is kept.
            lasting: on disk; else in memory alone, as long as there is room, because the key promises better.

        Raises:
            CacheError: the disk is full or refuses.
        """
        held = {name: np.ascontiguousarray(a) for name, a in arrays.items()}
        if lasting:
            self._write(self._path(key), pack(held))
            self._passing.discard(key)
        else:
            self._passing.add(key)
        self._remember(key, held)

    def lasts(self, key: str) -> bool:
        """Whether what is under that key is what it promises: not put there in passing by this process."""
        return key not in self._passing

    def forget_passing(self) -> None:
        """Forget what was put there in passing."""
        with self._lock:
            for key in self._passing:
                gone = self._memory.pop(key, {})
                self._memory_bytes -= sum(a.nbytes for a in gone.values())
            self._passing.clear()

    def get_frame(self, key: str) -> NDArray[np.float32] | None:
        """The picture of that key  [(H, W, 3) float32 [0, 1] on the 16-bit grid], or None."""
        arrays = self.get(key)
        return None if arrays is None else picture_from_arrays(arrays)

    def put_frame(self, key: str, rgb: NDArray[np.float32], *, lasting: bool = True) -> None:
        """Keep a picture that lies on the 16-bit grid; see `put`."""
        self.put(key, picture_to_arrays(rgb), lasting=lasting)

    @property
    def size_bytes(self) -> int:
        """Bytes on disk."""
        with self._lock:
            return self._measure()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._memory.clear()
            self._memory_bytes = 0
            self._disk_bytes = 0
            for folder in self.root.glob("??"):
                shutil.rmtree(folder, ignore_errors=True)

    def _path(self, key: str) -> Path:
        return self.root / key[:2] / key[2:]

    def _remember(self, key: str, arrays: Arrays) -> None:
        size = sum(a.nbytes for a in arrays.values())
        for a in arrays.values():
            a.setflags(write=False)
        with self._lock:
            old = self._memory.pop(key, None)
            if old is not None:
                self._memory_bytes -= sum(a.nbytes for a in old.values())
            if size > self._memory_budget // 4:
                return
            self._memory[key] = arrays
            self._memory_bytes += size
            while self._memory_bytes > self._memory_budget:
                _, gone = self._memory.popitem(last=False)
                self._memory_bytes -= sum(a.nbytes for a in gone.values())

    def _write(self, path: Path, data: bytes) -> None:
        with self._lock:
            if self._measure() + len(data) > self.budget:
                self._make_room(len(data))
        part = path.with_name(f"{path.name}.{os.getpid()}.{next(self._serial)}.part")
        try:
            path.parent.mkdir(exist_ok=True)
            part.write_bytes(data)
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise CacheError(
                f"cache folder {self.root}: {error.strerror}; free some space or set POCHOIR_CACHE"
            ) from None
        with self._lock:
            self._disk_bytes = self._measure() + len(data)

    def _measure(self) -> int:
        """Bytes on disk, counted once and then kept up by this process."""
        if self._disk_bytes is None:
            self._disk_bytes = sum(e.stat().st_size for e in self._objects())
        return self._disk_bytes

    def _objects(self) -> list[os.DirEntry[str]]:
        found: list[os.DirEntry[str]] = []
        for folder in self.root.glob("??"):
            with contextlib.suppress(OSError), os.scandir(folder) as entries:
                found += [e for e in entries if e.is_file()]
        return found

    def _make_room(self, coming: int) -> None:
        """Drop the longest unread objects until a tenth of the budget is free."""
        ages = []
        for entry in self._objects():
            with contextlib.suppress(OSError):
                stat = entry.stat()
                ages.append((stat.st_mtime_ns, stat.st_size, entry.path))
        total = sum(size for _, size, _ in ages)
        for _, size, path in sorted(ages):
            if total + coming <= self.budget * 9 // 10:
                break
            with contextlib.suppress(OSError):
                Path(path).unlink()
                total -= size
        self._disk_bytes = total

    def _set_aside(self, path: Path) -> None:
        folder = self.root / "quarantine"
        with contextlib.suppress(OSError):
            folder.mkdir(exist_ok=True)
            path.replace(folder / (path.parent.name + path.name))


def default_budget(root: Path) -> int:
    """Half of what is free where the cache lies, at most 40 GiB, and never the last 2 GiB."""
    probe = root
    while not probe.exists():
        probe = probe.parent
    free = shutil.disk_usage(probe).free
    return max(256 << 20, min(DEFAULT_BUDGET, free // 2, free - _KEEP_FREE))
