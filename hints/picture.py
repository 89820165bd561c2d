"""Masks and stills as values: the bytes of an image file, its hash, and its pixels when asked.

A project is self-contained because these hold the file's own bytes; two are equal when their bytes are.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.film.colour import Array, srgb_to_lab

_PNG = b"\x89PNG\r\n\x1a\n"
_GREY = 0  # PNG colour type, PNG specification 11.2.1
MAX_PIXELS = 1 << 28
# Most that decoded pixels may hold together: two stills in 4K (133 MB each), or sixty masks of that size  [bytes]
HELD_BYTES = 512 << 20


class _Held:
    """Pixels decoded last, of all masks and stills together; hints live as long as the history of undo."""

    def __init__(self, budget: int) -> None:
        self._budget, self._bytes = budget, 0
        self._arrays: OrderedDict[tuple[str, str], NDArray[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, what: str, sha256: str, decode: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """The pixels of a file as ``what``, decoded where they are not held; read-only."""
        key = (what, sha256)
        with self._lock:
            if key in self._arrays:
                self._arrays.move_to_end(key)
                return self._arrays[key]
        pixels = decode()
        pixels.setflags(write=False)
        with self._lock:
            if key not in self._arrays:
                self._arrays[key] = pixels
                self._bytes += pixels.nbytes
                while self._bytes > self._budget and len(self._arrays) > 1:
                    self._bytes -= self._arrays.popitem(last=False)[1].nbytes
        return pixels


_held = _Held(HELD_BYTES)
# A still painted in part: greater differences of R'G'B' than the first are colour, smaller ones than the second neutral
# [1/255]. Neutral areas of this share each, and of this share together, have not been painted; black and white, which
# can have no colour, are not counted [R'G'B'].
_COLOURED, _NEUTRAL = 16, 2
_AREA, _UNPAINTED, _PAINTED = 1 / 20, 1 / 4, 1 / 1000
_CAN_HAVE_COLOUR = (0.05, 0.97)


@dataclass(frozen=True, repr=False)
class Mask:
    """A mask as 8-bit greyscale PNG; above 127 is inside.

    Raises:
        InputError: the bytes are not such a PNG (the pixels themselves are decoded only when asked for).
    """

    png: bytes

    def __post_init__(self) -> None:
        if len(self.png) < 33 or not self.png.startswith(_PNG):
            raise InputError("the mask is not a PNG; save it as 8-bit greyscale PNG")
        depth, colour_type = self.png[24], self.png[25]
        if depth != 8 or colour_type != _GREY:
            kind = {0: "greyscale", 2: "RGB", 3: "palette", 4: "greyscale+alpha", 6: "RGBA"}
            raise InputError(
                f"the mask is a {depth}-bit {kind.get(colour_type, 'unknown')} PNG; save it as 8-bit greyscale"
            )
        if b"IEND" not in self.png[-16:]:
            raise InputError("the mask's file is cut short and cannot be read")

    @staticmethod
    def of(inside: NDArray[np.bool_]) -> Mask:
        """The mask of these pixels  [(H, W) bool]; the same pixels give the same bytes."""
        pixels = np.where(inside, np.uint8(255), np.uint8(0))
        ok, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 6])
        if not ok:
            raise InputError(f"a mask of shape {inside.shape} cannot be written as PNG")
        return Mask(data.tobytes())

    @property
    def size(self) -> tuple[int, int]:
        """(H, W), from the file's header."""
        w, h = (int.from_bytes(self.png[i : i + 4], "big") for i in (16, 20))
        return h, w

    @cached_property
    def sha256(self) -> str:
        """Of the file's bytes, hexadecimal."""
        return hashlib.sha256(self.png).hexdigest()

    @property
    def inside(self) -> NDArray[np.bool_]:
        """The pixels inside  [(H, W) bool], read-only; held for a while, then decoded again.

        Raises:
            InputError: the file is damaged.
        """
        return _held.get(
            "inside", self.sha256, lambda: np.asarray(_decoded(self.png, cv2.IMREAD_GRAYSCALE, self.size) > 127)
        )

    def __repr__(self) -> str:
        return f"Mask({self.size[1]}x{self.size[0]}, {self.sha256[:8]})"


@dataclass(frozen=True, repr=False)
class Picture:
    """A coloured still as the bytes of its file (PNG, JPEG, TIFF, WebP …).

    It is partial where it is transparent, or where an opaque one was painted in part and left neutral in large areas.
    """

    data: bytes

    @staticmethod
    def of(rgb: Array) -> Picture:
        """The still of these pixels, as 16-bit PNG  [(H, W, 3) float32 [0, 1] R'G'B']."""
        grid = np.rint(np.clip(rgb, 0, 1) * 65535).astype(np.uint16)
        ok, data = cv2.imencode(".png", np.ascontiguousarray(grid[..., ::-1]))
        if not ok:
            raise InputError(f"a picture of shape {rgb.shape} cannot be written as PNG")
        return Picture(data.tobytes())

    @cached_property
    def sha256(self) -> str:
        """Of the file's bytes, hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def extension(self) -> str:
        """The file name's end that fits the bytes, with its dot."""
        for magic, end in ((_PNG, ".png"), (b"\xff\xd8", ".jpg"), (b"II*\0", ".tif"), (b"MM\0*", ".tif")):
            if self.data.startswith(magic):
                return end
        return ".webp" if self.data[8:12] == b"WEBP" else ".img"

    @property
    def rgba(self) -> Array:
        """The pixels  [(H, W, 4) float32 [0, 1] R'G'B' and alpha, not premultiplied], read-only; held for a while.

        Alpha is 0 where an opaque still was not painted.

        Raises:
            InputError: not an image that can be read, or not in colour planes.
        """
        return _held.get("rgba", self.sha256, self._decode)

    def _decode(self) -> Array:
        pixels = _decoded(self.data, cv2.IMREAD_UNCHANGED)
        if pixels.ndim != 3 or pixels.shape[2] != 4:
            # Without alpha there may be an orientation tag to honour, which this path does.
            pixels = _decoded(self.data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        if pixels.dtype not in (np.uint8, np.uint16):
            raise InputError(f"the still has samples of type {pixels.dtype}; save it as 8 or 16 bit")
        scaled = np.asarray(pixels.astype(np.float32) / np.iinfo(pixels.dtype).max, np.float32)
        alpha = scaled[..., 3:] if scaled.shape[2] == 4 else np.ones((*scaled.shape[:2], 1), np.float32)
        if (alpha == 1).all():
            alpha = np.where(_unpainted(scaled[..., :3])[..., None], np.float32(0), alpha)
        return np.concatenate([scaled[..., 2::-1], alpha], axis=2)

    @cached_property
    def partial(self) -> bool:
        """Whether some of it is not given (transparent, or not painted)."""
        return bool((self.rgba[..., 3] < 1).any())

    @cached_property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return int(self.rgba.shape[0]), int(self.rgba.shape[1])

    def chroma(self, size: tuple[int, int]) -> tuple[Array, Array, Array]:
        """The still at another size (h, w): luma, chroma, and how far each pixel is given.

        Returns:
            L* (h, w), a* b* (h, w, 2), alpha (h, w) [0, 1]; all float32. Another shape is stretched.
        """
        h, w = size
        shrink = self.size[0] * self.size[1] > h * w
        rgba = cv2.resize(self.rgba, (w, h), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)
        rgba = np.asarray(rgba, np.float32).reshape(h, w, 4)
        lab = srgb_to_lab(rgba[..., :3])
        luma, ab, alpha = (np.ascontiguousarray(p) for p in (lab[..., 0], lab[..., 1:], rgba[..., 3]))
        return luma, ab, alpha

    def __repr__(self) -> str:
        return f"Picture({len(self.data)} bytes, {self.sha256[:8]})"


def _unpainted(pixels: Array) -> NDArray[np.bool_]:
    """Where a still that is painted in part was left neutral; nowhere in one that is neutral or coloured all over.

    Args:
        pixels: [(H, W, 3) float32 [0, 1] R'G'B' in any order]

    Returns:
        [(H, W) bool]
    """
    least, most = pixels.min(axis=2), pixels.max(axis=2)
    chroma = np.rint((most - least) * 255)
    neutral = (chroma <= _NEUTRAL) & (least > _CAN_HAVE_COLOUR[0]) & (most < _CAN_HAVE_COLOUR[1])
    nowhere = np.zeros(neutral.shape, np.bool_)
    if (chroma > _COLOURED).mean() < _PAINTED or neutral.mean() < _UNPAINTED:
        return nowhere
    _, labels, facts, _ = cv2.connectedComponentsWithStats(neutral.astype(np.uint8), connectivity=4)
    large = facts[:, cv2.CC_STAT_AREA] >= _AREA * neutral.size
    large[0] = False  # what is coloured
    found = np.asarray(large[labels], np.bool_)
    return found if found.mean() >= _UNPAINTED else nowhere


def _decoded(data: bytes, flags: int, size: tuple[int, int] | None = None) -> NDArray[Any]:
    if size is not None and size[0] * size[1] > MAX_PIXELS:
        raise InputError(f"the image claims {size[1]}x{size[0]} pixels; that is more than is read")
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error:
        pixels = None
    if pixels is None:
        raise InputError("the image cannot be read; is the file complete, and PNG, JPEG, TIFF or WebP?")
    return pixels
