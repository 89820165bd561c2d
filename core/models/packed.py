"""Archives that people take for the checkpoint in them: RAFT's authors and RIFE's publish theirs so."""

from __future__ import annotations

import lzma
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

ENDINGS = frozenset({".pth", ".pt", ".pkl", ".bin", ".safetensors", ".pdparams"})
LONGEST = 80  # of a name that is told  [characters]
MOST = 1000  # entries of a tar archive, which has no list of them: it is unpacked to find the next


def advice(names: Iterable[str]) -> str:
    """What to do with an archive, by its entries' names; empty where none is called as checkpoints are.

    torch's own files are zip archives as well; for them nothing is said.
    """
    leaves = {name: PurePosixPath(name).name for name in names}
    if "data.pkl" in leaves.values():
        return ""
    # What macOS packs beside each file begins with a dot.
    fitting = (n for n, leaf in leaves.items() if PurePosixPath(leaf).suffix in ENDINGS and not leaf.startswith("."))
    first = next(fitting, "")
    return f"is an archive; unpack it and import {first[:LONGEST]}" if first else ""


def names_in_tar(path: Path) -> Iterator[str]:
    """The names of the first entries of a tar archive, packed by whatever; none where it is no such archive."""
    try:
        if tarfile.is_tarfile(path):
            with tarfile.open(path) as archive:
                yield from (entry.name for entry in islice(archive, MOST))
    except (OSError, EOFError, tarfile.TarError, zlib.error, lzma.LZMAError):
        pass  # it is cut short or damaged here
