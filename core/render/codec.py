"""Arrays to bytes and back, exactly: horizontal differences, byte planes, Zstandard, and a digest.

Film grain does not compress; what does are smooth areas, equal colour planes and the high bytes. The
differences wrap around in integer arithmetic, so nothing is lost whatever the values are.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from core.film.frame import GRID

MAGIC = b"PCH1"
_DIGEST = 16


class DamagedError(Exception):
    """The bytes are not what was written. Internal: the cache answers it with a miss."""


def pack(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Encode named arrays to bytes that carry their own BLAKE2b digest."""
    press = zstandard.ZstdCompressor(level=1)
    head, bodies = [], []
    for name, array in arrays.items():
        body = press.compress(_spread(np.ascontiguousarray(array)))
        head.append([name, array.dtype.str, list(array.shape), len(body)])
        bodies.append(body)
    header = json.dumps(head).encode()
    content = struct.pack("<I", len(header)) + header + b"".join(bodies)
    return MAGIC + hashlib.blake2b(content, digest_size=_DIGEST).digest() + content


def unpack(data: bytes) -> dict[str, NDArray[Any]]:
    """Decode what `pack` made.

    Raises:
        DamagedError: truncated, altered, or not of this format.
    """
    start = len(MAGIC) + _DIGEST
    content = data[start:]
    if data[: len(MAGIC)] != MAGIC or len(content) < 4:
        raise DamagedError("not a cache object")
    if hashlib.blake2b(content, digest_size=_DIGEST).digest() != data[len(MAGIC) : start]:
        raise DamagedError("digest differs")
    (length,) = struct.unpack_from("<I", content)
    at = 4 + length
    expand = zstandard.ZstdDecompressor()
    arrays = {}
    for name, dtype, shape, size in json.loads(content[4:at]):
        arrays[name] = _gather(expand.decompress(content[at : at + size]), np.dtype(dtype), tuple(shape))
        at += size
    return arrays


def _spread(array: NDArray[Any]) -> bytes:
    """Differences along rows (integers of two or more dimensions), then byte planes."""
    if array.dtype.kind in "iu" and array.ndim >= 2 and array.shape[1] > 1:
        lead = array[:, :1]
        array = np.concatenate([lead, array[:, 1:] - array[:, :-1]], axis=1)
    if array.dtype.itemsize == 1:
        return array.tobytes()
    return array.reshape(-1).view(np.uint8).reshape(-1, array.dtype.itemsize).T.tobytes()


def _gather(data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    flat = np.frombuffer(data, np.uint8)
    if dtype.itemsize > 1:
        flat = np.ascontiguousarray(flat.reshape(dtype.itemsize, -1).T).reshape(-1)
    array = flat.view(dtype).reshape(shape)
    if dtype.kind in "iu" and array.ndim >= 2 and shape[1] > 1:
        return np.add.accumulate(array, axis=1, dtype=dtype)
    return array.copy()


def picture_to_arrays(rgb: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """A picture on the 16-bit grid as integer planes: one where it is grey, else G, R−G, B−G."""
    whole = np.rint(rgb * np.float32(GRID)).astype(np.uint16)
    green = np.ascontiguousarray(whole[..., 1])
    red, blue = whole[..., 0] - green, whole[..., 2] - green
    if not red.any() and not blue.any():
        return {"grey": green}
    return {"g": green, "r": red, "b": blue}


def picture_from_arrays(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Inverse of `picture_to_arrays`, bit for bit for pictures on the grid."""
    if "grey" in arrays:
        plane = arrays["grey"].astype(np.float32) / np.float32(GRID)
        return np.repeat(plane[..., None], 3, axis=2)
    green = arrays["g"]
    whole = np.stack([arrays["r"] + green, green, arrays["b"] + green], axis=-1)
    return whole.astype(np.float32) / np.float32(GRID)
