"""The door between the house and the browser: the only place with uint8, JPEG, PNG and (x, y).

Inside, pictures are float32 R'G'B' (H, W, 3) and masks are bool (H, W); outside they are encoded bytes.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import InputError

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
# Chroma is what is judged: at 97 a hint of six pixels is shown to within ΔE 2, at 90 it is off by 4.
LUMA_QUALITY, CHROMA_QUALITY = 90, 97
MAX_MASK_BYTES = 8 << 20
MAX_STILL_BYTES = 64 << 20


def to_8bit(rgb: Array) -> NDArray[np.uint8]:
    """R'G'B' to what a browser shows  [(H, W, 3) uint8 RGB]."""
    return np.asarray(np.rint(np.clip(rgb, 0.0, 1.0) * 255.0), np.uint8)


def jpeg(rgb: Array, *, height: int | None = None) -> bytes:
    """A picture as JPEG, 4:4:4 so that a hint's chroma is not smeared; optionally made ``height`` high."""
    picture = to_8bit(rgb)
    if height is not None and height < picture.shape[0]:
        width = max(1, round(picture.shape[1] * height / picture.shape[0]))
        picture = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    options = [
        cv2.IMWRITE_JPEG_LUMA_QUALITY,
        LUMA_QUALITY,
        cv2.IMWRITE_JPEG_CHROMA_QUALITY,
        CHROMA_QUALITY,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    return _encode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)


def png(rgb: Array) -> bytes:
    """A picture as PNG, for the exact look at it."""
    return _encode(".png", cv2.cvtColor(to_8bit(rgb), cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])


def mask_png(mask: NDArray[Any]) -> bytes:
    """A mask (bool, or weight in [0, 1]) as 8-bit PNG."""
    values = np.rint(np.clip(np.asarray(mask, np.float32), 0.0, 1.0) * 255.0).astype(np.uint8)
    return _encode(".png", values, [cv2.IMWRITE_PNG_COMPRESSION, 3])


def _encode(kind: str, picture: NDArray[Any], options: list[int]) -> bytes:
    done, data = cv2.imencode(kind, picture, options)
    if not done:
        raise RuntimeError(f"encoding a {picture.shape} picture as {kind} failed")
    return data.tobytes()


def mask_from_base64(text: str, size: tuple[int, int]) -> Mask:
    """A mask that a browser sends back  [(H, W) bool].

    Raises:
        InputError: not base64, not a PNG, or not of the picture's size.
    """
    data = _from_base64(text, "mask", MAX_MASK_BYTES)
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        raise InputError("the mask is not a PNG")
    # The header is read before anything is decoded: a picture that lies about its size is not unpacked.
    width, height = (int.from_bytes(data[i : i + 4], "big") for i in (16, 20))
    if (height, width) != size:
        raise InputError(f"the mask is {width}x{height} but the picture is {size[1]}x{size[0]}")
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if values is None:
        raise InputError("the mask cannot be decoded")
    return np.asarray(values > 127)


def image_from_base64(text: str) -> bytes:
    """The file of a still that a browser sends; what is in it is checked where it is read.

    Raises:
        InputError: not base64, or too large.
    """
    return _from_base64(text, "still", MAX_STILL_BYTES)


def _from_base64(text: str, what: str, limit: int) -> bytes:
    if len(text) * 3 // 4 > limit:
        raise InputError(f"the {what} is larger than {limit >> 20} MB")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InputError(f"the {what} is not base64") from None


def points_from_json(points: list[list[float]], size: tuple[int, int]) -> list[tuple[float, float, bool]]:
    """Clicks ``[x, y, 1 or 0]`` in pixels of the picture, checked against its size.

    Raises:
        InputError: a click lies outside the picture.
    """
    height, width = size
    checked = []
    for x, y, positive in points:
        if not (0 <= x <= width and 0 <= y <= height):
            raise InputError(f"({x:g}, {y:g}) is outside the picture of {width}x{height}")
        checked.append((float(x), float(y), bool(positive)))
    return checked
