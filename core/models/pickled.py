"""What a pickle would run, told from its instructions; nothing of it is made or run to find out.

Source: the instruction set as Python's `pickletools` describes it.
"""

from __future__ import annotations

import pickle
import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

# What tables of tensors are made with, beside torch's own parts.
PLAIN = frozenset(
    {"collections.OrderedDict", "collections.Counter", "builtins.slice", "builtins.set", "builtins.bytearray"}
    | {"__builtin__.slice", "__builtin__.set", "__builtin__.bytearray", "_codecs.encode"}
    | {
        f"numpy.{core}.{name}"
        for core in ("core", "_core")
        for name in ("multiarray._reconstruct", "numeric._frombuffer")
    }
    | {"numpy.ndarray", "numpy.dtype"}
)
LONGEST = 80  # of a name that is told  [characters]


def would_run(path: Path) -> str:
    """The first thing that a pickle names and that no table of tensors needs, as ``posix.system``; else empty.

    Args:
        path: a file that ``torch.save`` writes, of either kind, or a plain pickle; of any other nothing is told
    """
    try:
        for name in _named_in(path):
            if name not in PLAIN and not name.startswith("torch."):
                return name[:LONGEST]
    except (OSError, EOFError, ValueError, LookupError, pickle.UnpicklingError, zipfile.BadZipFile):
        pass  # the pickle ends here, or what follows it is none
    return ""


def _named_in(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        if file.read(2) == b"PK":
            with zipfile.ZipFile(file) as archive:
                for entry in archive.namelist():
                    if entry.endswith(".pkl"):
                        with archive.open(entry) as one:
                            yield from _globals(one)
            return
        file.seek(0)
        while True:  # before torch 1.6 several pickles lay in a row
            yield from _globals(file)


def _globals(stream: IO[bytes]) -> Iterator[str]:
    """The names that one pickle's instructions look up, in order."""
    texts = ["", ""]  # the last two that were put on the stack: a module and a name, where one is looked up
    kept: dict[object, str] = {}
    for operation, given, _ in pickletools.genops(stream):
        name = operation.name
        if name in ("GLOBAL", "INST"):
            yield ".".join(str(given).split(" ", 1))
        elif name == "STACK_GLOBAL":
            yield ".".join(texts)
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            kept[len(kept) if given is None else given] = texts[1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            texts = [texts[1], kept.get(given, "")]
        elif isinstance(given, str):
            texts = [texts[1], given]
