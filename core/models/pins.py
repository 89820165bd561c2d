"""What files of the model folder hashed to when they were taken in: ``SHA256SUMS``, as ``sha256sum -c`` reads it."""

from __future__ import annotations

import re
from pathlib import Path

from core.errors import InputError
from core.lock import alone

NAME = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def pinned(folder: Path) -> dict[str, str]:
    """File name to SHA-256 in hexadecimal; lines that are none are passed over.

    Raises:
        InputError: the list is there, but cannot be read.
    """
    try:
        text = (folder / NAME).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(
            f"{folder / NAME}: cannot be read ({error.strerror}); check permissions, or move it away"
        ) from None
    found = (_LINE.fullmatch(line) for line in text.splitlines())
    return {match[2]: match[1] for match in found if match}


def pin(folder: Path, name: str, sha256: str) -> None:
    """Note a file's SHA-256. The list is replaced as a whole: it is never found half written, nor loses another's line.

    Raises:
        InputError: the list cannot be read or written.
    """
    try:
        with alone(folder / f".{NAME}.lock"):
            lines = [f"{digest}  {file}\n" for file, digest in sorted({**pinned(folder), name: sha256}.items())]
            new = folder / f".{NAME}.new"
            new.write_text("".join(lines), encoding="utf-8")
            new.replace(folder / NAME)
    except OSError as error:
        raise InputError(
            f"{folder / NAME}: cannot be written ({error.strerror}); check permissions and make room"
        ) from None
