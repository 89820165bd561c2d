"""One image file: its header checked, its pixels to R'G'B' at the precision of the file."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813 - the name its own documentation uses
from numpy.typing import NDArray

from core.contract.fingerprint import sha256_of
from core.errors import DecodeError
from core.film.frame import on_grid
from core.film.tags import srgb_from_linear
from core.footage.file import MAX_PIXELS, MAX_SIDE
from core.footage.planes import from_codes

Array = NDArray[np.float32]
SUFFIXES = frozenset(
    {".png", ".tif", ".tiff", ".dpx", ".cin", ".exr", ".jpg", ".jpeg", ".jp2", ".bmp", ".tga", ".webp"}
    | {".ppm", ".pgm", ".pnm"}
)
_PNG = b"\x89PNG\r\n\x1a\n"
# EXIF orientation: mirror left-right first, then degrees clockwise. Source: TIFF 6.0, tag 274.
_ORIENTATION = {1: (False, 0), 2: (True, 0), 3: (False, 180), 4: (True, 180)} | {
    5: (True, 270), 6: (False, 90), 7: (True, 90), 8: (False, 270),
}  # fmt: skip


@dataclass(frozen=True)
class ImageFacts:
    """What a file's header says, and the hash of its bytes."""

    size: tuple[int, int]
    channels: tuple[int, ...]
    kind: str
    depth: int
    format: str
    sar: Fraction
    mirrored: bool
    rotation: int
    sha256: str = ""

    @property
    def shape(self) -> tuple[object, ...]:
        """What must be the same in all files of a sequence."""
        return self.size, self.sar, self.rotation, self.mirrored


def facts_and_hash(file: Path) -> ImageFacts:
    """Facts of a file with the hash of its bytes.

    Raises:
        DecodeError: not an image that is read; or, of PNG, damaged anywhere.
    """
    if file.suffix.lower() == ".png":
        check_png(file)
    image, facts = _open(file)
    image.close()
    return replace(facts, sha256=sha256_of(file))


def check_png(file: Path) -> None:
    """Follow the chunks of a PNG and their checksums, which finds damage before a picture is wanted.

    Raises:
        DecodeError: not a PNG, cut short, or a checksum is wrong.

    Source: PNG specification (W3C), sections 5.2 to 5.4.
    """
    data = memoryview(file.read_bytes())
    at, kind = len(_PNG), b""
    if data[:at] != _PNG:
        raise DecodeError(f"{file.name}: not a PNG image; its first bytes are wrong")
    while kind != b"IEND":
        head = data[at : at + 8]
        end = at + 12 + int.from_bytes(head[:4], "big")
        if len(head) < 8 or end > len(data):
            raise DecodeError(f"{file.name}: damaged (cut short); get a whole copy of it")
        kind = bytes(head[4:8])
        if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise DecodeError(f"{file.name}: damaged (a checksum is wrong); get a whole copy of it")
        at = end


def _open(file: Path) -> tuple[oiio.ImageInput, ImageFacts]:
    """Open an image and read its header.

    Raises:
        DecodeError: missing, not an image, too large, or laid out as no film scan is.
    """
    config = oiio.ImageSpec()
    # Colours as they are stored: alpha is not used, so nothing is multiplied by it.
    config.attribute("oiio:UnassociatedAlpha", 1)
    try:
        image = oiio.ImageInput.open(str(file.absolute()), config)
        if image is None:
            raise DecodeError(f"{file.name}: not an image that can be read ({_reason(oiio.geterror())})")
        return image, _facts(image, file)
    except UnicodeDecodeError:
        # Names in a damaged header, and the messages that quote them, need not be text.
        raise DecodeError(f"{file.name}: not an image that can be read (damaged header)") from None


def _facts(image: oiio.ImageInput, file: Path) -> ImageFacts:
    """What an open image says of itself; see `_open` for what it raises."""
    spec = image.spec()
    height, width = int(spec.height), int(spec.width)
    if max(height, width) > MAX_SIDE or height * width > MAX_PIXELS:
        raise DecodeError(f"{file.name}: {width}x{height} is too large; at most {MAX_SIDE} a side, 67 Mpixel")
    if (spec.x, spec.y, width, height) != (spec.full_x, spec.full_y, spec.full_width, spec.full_height):
        raise DecodeError(f"{file.name}: its data window is not its display window; crop or pad it first")
    names = [str(n).upper() for n in spec.channelnames]
    if "RY" in names or "BY" in names:
        raise DecodeError(f"{file.name}: luminance/chroma EXR; convert it to RGB first")
    channels: tuple[int, ...] = (0,)
    if {"R", "G", "B"} <= set(names):
        channels = (names.index("R"), names.index("G"), names.index("B"))
    elif spec.nchannels >= 3:
        channels = (0, 1, 2)
    kind = str(spec.format)
    whole = {"uint8": 8, "uint16": 16}.get(kind, 16)
    depth = min(max(spec.get_int_attribute("oiio:BitsPerSample", whole), 8), 16)
    mirrored, rotation = _ORIENTATION.get(spec.get_int_attribute("Orientation", 1), (False, 0))
    sar = Fraction(1)
    if image.format_name() in ("dpx", "openexr"):
        ratio = spec.get_float_attribute("PixelAspectRatio", 1.0)
        if 0.25 <= ratio <= 4 and abs(ratio - 1) > 0.005:
            sar = Fraction(ratio).limit_denominator(1000)
    return ImageFacts((height, width), channels, kind, depth, image.format_name(), sar, mirrored, rotation)


def read_image(file: Path) -> Array:
    """One image as stored, in R'G'B'.

    Returns:
        [(H, W, 3) float32 [0, 1] R'G'B' on the 16-bit grid]

    Raises:
        DecodeError: it cannot be read, or it is damaged.
    """
    image, facts = _open(file)
    try:
        kind = facts.kind if facts.kind in ("uint8", "uint16") else "float"
        pixels = image.read_image(0, 0, 0, max(facts.channels) + 1, kind)
        if pixels is None or image.has_error:
            raise DecodeError(f"{file.name}: damaged ({_reason(image.geterror())}); get a whole copy of it")
    except UnicodeDecodeError:
        raise DecodeError(f"{file.name}: damaged; get a whole copy of it") from None
    finally:
        image.close()
    values = pixels.reshape(*facts.size, -1)[..., list(facts.channels)]
    if kind == "float":
        coded = srgb_from_linear(values) if facts.format == "openexr" else values
        rgb = on_grid(np.nan_to_num(coded, nan=0.0, posinf=1.0, neginf=0.0))
    else:
        rgb = from_codes(np.ascontiguousarray(values), 8 if kind == "uint8" else 16)
    if rgb.shape[2] == 1:
        rgb = np.repeat(rgb, 3, axis=2)
    return rgb


def _reason(text: str) -> str:
    return " ".join(str(text).split())[:120] or "no reason given"
