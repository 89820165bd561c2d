"""Decoded pictures to R'G'B' on the grid, by our own exact arithmetic.

libswscale is used only where it moves samples without changing them. Its own YUV to RGB conversion at
16 bits is half an 8-bit code too dark on average, and wraps around on some inputs.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import DecodeError
from core.film.clip import ColourTags
from core.film.frame import GRID, on_grid
from core.film.tags import LINEAR, grey_table, rgb_from_yuv, srgb_from_linear

Array = NDArray[np.float32]
Plane = NDArray[Any]
# Strips of so many rows stay in the cache of a core; a multiple of every chroma step.
STRIP_ROWS = 64
# Layouts read through a neighbour with the same samples in planes.
_SAME_SAMPLES = {
    "nv12": "yuv420p",
    "nv21": "yuv420p",
    "nv16": "yuv422p",
    "nv24": "yuv444p",
    "nv42": "yuv444p",
    "yuyv422": "yuv422p",
    "uyvy422": "yuv422p",
    "yvyu422": "yuv422p",
    "p010le": "yuv420p10le",
    "p012le": "yuv420p12le",
    "p016le": "yuv420p16le",
    "p210le": "yuv422p10le",
    "p212le": "yuv422p12le",
    "p216le": "yuv422p16le",
    "p410le": "yuv444p10le",
    "p412le": "yuv444p12le",
    "p416le": "yuv444p16le",
    "y210le": "yuv422p10le",
    "y212le": "yuv422p12le",
    "vuyx": "yuv444p",
    "vuya": "yuv444p",
    "ayuv": "yuv444p",
    "xv30le": "yuv444p10le",
    "xv36le": "yuv444p12le",
    "ayuv64le": "yuv444p16le",
    "monow": "gray",
    "monob": "gray",
}


def bit_depth(pixel_format: str) -> int:
    """Bits per sample of a pixel format; float formats count as 16."""
    if "f32" in pixel_format or "f16" in pixel_format:
        return 16
    if pixel_format in ("monow", "monob", "pal8"):
        return 8
    bits = max((c.bits for c in av.VideoFormat(pixel_format).components), default=8)
    return min(max(bits, 8), 16)


def is_grey_format(pixel_format: str) -> bool:
    """Whether the format stores one plane of luma, with or without alpha."""
    return pixel_format.startswith(("gray", "ya", "mono"))


def is_rgb_format(pixel_format: str) -> bool:
    """Whether the format stores R, G and B."""
    fmt = av.VideoFormat(pixel_format)
    return bool(fmt.is_rgb or fmt.has_palette) or pixel_format.startswith("xyz")


def picture(frame: av.VideoFrame, tags: ColourTags, *, grey: bool, centred: bool = False) -> Array:
    """One decoded picture as stored (no aspect, no rotation) in R'G'B'.

    Args:
        frame: as the decoder gave it.
        tags: resolved colour tags.
        grey: the film is grey: where this picture's chroma is neutral too, three equal planes are given.
        centred: chroma lies between two luma columns (JPEG, MPEG-1), not on the left one (MPEG-2 and later).

    Returns:
        [(H, W, 3) float32 [0, 1] R'G'B' on the 16-bit grid]

    Raises:
        DecodeError: the pixel format is not one of pictures for people (Bayer sensor data).
    """
    frame = _in_planes(frame)
    name = frame.format.name
    if is_grey_format(name):
        rgb = _from_grey(_plane(frame, 0, step=2 if name.startswith("ya") else 1), name, tags)
    elif is_rgb_format(name):
        rgb = _from_rgb(frame)
    else:
        y, u, v = (_plane(frame, k) for k in range(3))
        depth = bit_depth(name)
        if grey and is_neutral(u, depth) and is_neutral(v, depth):
            rgb = _spread(y, _grid_table(tags.full_range, depth))
        else:
            rgb = _from_yuv(y, u, v, tags, depth, centred=centred)
    if tags.transfer == LINEAR:
        rgb = on_grid(srgb_from_linear(rgb))
    return rgb


def chroma_is_neutral(frame: av.VideoFrame) -> bool:
    """Whether a decoded picture shows no colour: within what compressing a grey film leaves behind."""
    frame = _in_planes(frame)
    name = frame.format.name
    if is_grey_format(name):
        return True
    if is_rgb_format(name):
        rgb = _from_rgb(frame)
        return is_neutral_rgb(rgb)
    depth = bit_depth(name)
    return is_neutral(_plane(frame, 1), depth) and is_neutral(_plane(frame, 2), depth)


def is_neutral(plane: Plane, depth: int) -> bool:
    """Whether a chroma plane is grey: within 3 codes of 8 bits nearly everywhere, and on average within 1."""
    unit = float(1 << (depth - 8))
    away = cv2.absdiff(plane, np.full_like(plane, 128 * int(unit)))
    if float(away.max()) <= 3 * unit:
        return bool(abs(float(away.mean())) <= unit)
    few = float(np.count_nonzero(away > 3 * unit)) / away.size
    return bool(few <= 1e-3 and float(away.max()) <= 8 * unit and float(away.mean()) <= unit)


def is_neutral_rgb(rgb: Array) -> bool:
    """Whether R, G and B are equal to within 2 of 255 nearly everywhere  [(H, W, 3) float32 [0, 1]]."""
    spread = rgb.max(axis=2) - rgb.min(axis=2)
    return bool(np.count_nonzero(spread > 2.01 / 255) <= 1e-3 * spread.size)


def from_codes(codes: Plane, depth: int) -> Array:
    """Full-range integer codes of any shape to R'G'B' on the grid  [(...) float32 [0, 1]]."""
    if codes.dtype == np.uint16 and depth == 16:
        return np.divide(codes, np.float32(GRID), dtype=np.float32)
    return np.asarray(_grid_table(True, depth)[codes], np.float32)


def _in_planes(frame: av.VideoFrame) -> av.VideoFrame:
    """The same samples in a layout that is read here."""
    name = frame.format.name
    if name.startswith("bayer"):
        raise DecodeError(f"pixel format {name} is raw sensor data; develop it to RGB first")
    if name in _SAME_SAMPLES:
        return frame.reformat(format=_SAME_SAMPLES[name])
    if name.startswith("gbr") and not name.endswith("be"):
        return frame
    if is_rgb_format(name):
        deep = bit_depth(name) > 8
        return frame.reformat(format="rgb48le" if deep else "rgb24")
    if name.endswith("be"):
        return frame.reformat(format=name[:-2] + "le")
    if not is_grey_format(name) and len(frame.planes) < 3:
        return frame.reformat(format="yuv444p16le" if bit_depth(name) > 8 else "yuv444p")
    return frame


def _plane(frame: av.VideoFrame, k: int, *, step: int = 1) -> Plane:
    """Samples of plane ``k`` without its padding  [(h, w) uint8, uint16 or float32], a view."""
    plane = frame.planes[k]
    name = frame.format.name
    dtype = np.float32 if "f32" in name else np.float16 if "f16" in name else None
    kind = np.dtype(dtype or (np.uint8 if bit_depth(name) == 8 else np.uint16))
    rows = np.frombuffer(memoryview(plane), np.uint8)[: plane.line_size * plane.height]
    samples = rows.reshape(plane.height, plane.line_size)[:, : plane.width * step * kind.itemsize].view(kind)
    view = samples[:, ::step]
    return view.astype(np.float32) if dtype is np.float16 else view


@lru_cache(maxsize=32)
def _grid_table(full_range: bool, depth: int) -> Array:
    table = on_grid(grey_table(full_range, depth))
    table.setflags(write=False)
    return table


def _spread(codes: Plane, table: Array) -> Array:
    """Three equal planes from one plane of codes."""
    if codes.dtype == np.uint8:
        one = cv2.LUT(np.ascontiguousarray(codes), table)
    else:
        # A damaged or mislabelled file may hold codes above its depth.
        one = table.take(codes, mode="clip")
    return np.asarray(cv2.merge([one, one, one]), np.float32)


def _from_grey(y: Plane, name: str, tags: ColourTags) -> Array:
    if y.dtype == np.float32:
        return on_grid(np.asarray(cv2.merge([y, y, y]), np.float32))
    return _spread(y, _grid_table(tags.full_range, bit_depth(name)))


def _from_rgb(frame: av.VideoFrame) -> Array:
    name = frame.format.name
    if not name.startswith("gbr"):
        plane = frame.planes[0]
        kind = np.dtype(np.uint8 if name == "rgb24" else np.uint16)
        rows = np.frombuffer(memoryview(plane), np.uint8)[: plane.line_size * frame.height].reshape(frame.height, -1)
        rgb = rows[:, : frame.width * 3 * kind.itemsize].view(kind).reshape(frame.height, frame.width, 3)
        if kind == np.uint8:
            return np.asarray(cv2.LUT(np.ascontiguousarray(rgb), _grid_table(True, 8)), np.float32)
        return from_codes(rgb, 16)
    planes = [_plane(frame, k) for k in (2, 0, 1)]
    if planes[0].dtype == np.float32:
        return on_grid(np.asarray(cv2.merge(planes), np.float32))
    if planes[0].dtype == np.uint8:
        return np.asarray(cv2.LUT(cv2.merge(planes), _grid_table(True, 8)), np.float32)
    depth = bit_depth(name)
    if depth == 16:
        return from_codes(np.asarray(cv2.merge(planes), np.uint16), 16)
    table = _grid_table(True, depth)
    return np.asarray(cv2.merge([table.take(p, mode="clip") for p in planes]), np.float32)


def _from_yuv(y: Plane, u: Plane, v: Plane, tags: ColourTags, depth: int, *, centred: bool) -> Array:
    """Matrix at the depth of the source, chroma interpolated linearly where it lies; in strips."""
    height, width = y.shape
    matrix, offset = rgb_from_yuv(tags, depth)
    matrix, offset = matrix * GRID, offset * GRID
    across, down = -(-width // u.shape[1]), -(-height // u.shape[0])
    uf, vf = u.astype(np.float32), v.astype(np.float32)
    # Interpolation is linear, so each chroma's part of R, G and B is made before it, at the smaller size.
    parts = [
        cv2.copyMakeBorder(cv2.addWeighted(uf, row[1], vf, row[2], shift), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
        for row, shift in zip(matrix, offset, strict=True)
    ]
    out = np.empty((height, width, 3), np.float32)
    for top in range(0, height, STRIP_ROWS):
        stop = min(top + STRIP_ROWS, height)
        luma = y[top:stop].astype(np.float32)
        first, last = top // down, -(-stop // down)
        channels = []
        for row, part in zip(matrix, parts, strict=True):
            tall = _stretch_down(part[first : last + 2], down)[: stop - top]
            chroma = _stretch_across(tall, across, centred=centred)[:, :width]
            # OpenCV rounds to nearest and saturates when it stores: that is the grid.
            channels.append(cv2.addWeighted(luma, row[0], chroma, 1.0, 0.0, dtype=cv2.CV_16U))
        np.divide(cv2.merge(channels), np.float32(GRID), out=out[top:stop], dtype=np.float32)
    return out


def _stretch_down(padded: Plane, factor: int) -> Plane:
    """Rows times ``factor``, chroma midway between its luma rows; one row of border on each side."""
    if factor == 1:
        return padded[1:-1]
    rows = padded.shape[0] - 2
    out = np.empty((rows * factor, padded.shape[1]), np.float32)
    for phase in range(factor):
        at, t = _phase((phase + 0.5) / factor - 0.5)
        out[phase::factor] = cv2.addWeighted(padded[at : at + rows], 1 - t, padded[at + 1 : at + 1 + rows], t, 0)
    return out


def _stretch_across(padded: Plane, factor: int, *, centred: bool) -> Plane:
    """Columns times ``factor``; one column of border on each side."""
    columns = padded.shape[1] - 2
    if factor == 1:
        return np.ascontiguousarray(padded[:, 1:-1])
    phases = []
    for phase in range(factor):
        at, t = _phase((phase + 0.5) / factor - 0.5 if centred else phase / factor)
        left, right = padded[:, at : at + columns], padded[:, at + 1 : at + 1 + columns]
        phases.append(left if t == 0 else cv2.addWeighted(left, 1 - t, right, t, 0))
    return np.asarray(cv2.merge(phases), np.float32).reshape(padded.shape[0], columns * factor)


def _phase(position: float) -> tuple[int, float]:
    """Index into a bordered line and weight of the next sample."""
    base = int(np.floor(position))
    return base + 1, position - base
