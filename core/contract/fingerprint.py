"""Canonical typed encoding of values and its SHA-256: what every cache key is made of.

Types are part of the encoding (`1`, `1.0`, `True` and `"1"` all differ), floats go in as their exact
bits, arrays with dtype and shape, dataclasses with their class name. Anything else is refused: a key
must never depend on a `repr`.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np


def fingerprint(*values: Any) -> str:
    """Hash values to 40 hexadecimal digits.

    Raises:
        TypeError: a value of a kind that has no canonical encoding.
    """
    h = hashlib.sha256()
    for value in values:
        _feed(h, value)
    return h.hexdigest()[:40]


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _feed(h: Any, value: Any) -> None:
    if value is None:
        h.update(b"N")
    elif isinstance(value, bool):
        h.update(b"T" if value else b"F")
    elif isinstance(value, int | np.integer):
        _sized(h, b"i", str(int(value)).encode())
    elif isinstance(value, float | np.floating):
        h.update(b"f" + struct.pack("<d", float(value)))
    elif isinstance(value, Fraction):
        _sized(h, b"q", f"{value.numerator}/{value.denominator}".encode())
    elif isinstance(value, str):
        _sized(h, b"s", value.encode())
    elif isinstance(value, bytes):
        _sized(h, b"b", value)
    elif isinstance(value, np.ndarray):
        _sized(h, b"a", f"{value.dtype.str}{value.shape}".encode())
        h.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, tuple | list):
        h.update(b"(%d:" % len(value))
        for item in value:
            _feed(h, item)
    elif isinstance(value, Mapping):
        h.update(b"{%d:" % len(value))
        for key in sorted(value):
            _feed(h, key)
            _feed(h, value[key])
    elif is_dataclass(value) and not isinstance(value, type):
        _sized(h, b"d", type(value).__qualname__.encode())
        for f in fields(value):
            _feed(h, getattr(value, f.name))
    else:
        raise TypeError(f"no canonical encoding for {type(value).__name__}")


def _sized(h: Any, tag: bytes, data: bytes) -> None:
    h.update(tag + b"%d:" % len(data))
    h.update(data)
