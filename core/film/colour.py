"""Colour as the house uses it: display R'G'B' (sRGB coding) and CIE Lab under D65.

`rgb` is (H, W, 3) float32 [0, 1] R'G'B'; `lab` is (H, W, 3) float32, L* [0, 100], a* b* about ±128;
`luma` is its L* plane and `ab` its chroma. Sources: IEC 61966-2-1 (sRGB), CIE 15:2004 (Lab),
CIE 142-2001 (CIEDE2000).
"""

from __future__ import annotations

import os
import re
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000

from core.errors import InputError, ShapeError

Array = NDArray[np.float32]
Real = NDArray[np.floating[Any]]
_HEX = re.compile(r"#[0-9a-fA-F]{6}")
# Linear sRGB from XYZ (D65), IEC 61966-2-1, rows R G B; white as OpenCV's Lab has it.
_RGB_FROM_XYZ = np.array(
    [
        [3.2404542, -1.5371385, -0.4985314],
        [-0.9692660, 1.8760108, 0.0415560],
        [0.0556434, -0.2040259, 1.0572252],
    ],
    dtype=np.float32,
)
_WHITE = np.array([0.950456, 1.0, 1.088754], dtype=np.float32)
_LUMA_601 = np.array([0.299, 0.587, 0.114], np.float32)


def _tables() -> tuple[Array, Array, Array]:
    """Tables over the 16-bit grid: R'G'B' to linear; root of linear to R'G'B'; grey R'G'B' to L*."""
    grid = np.arange(65536) / 65535.0
    linear = np.where(grid <= 0.04045, grid / 12.92, ((grid + 0.055) / 1.055) ** 2.4)
    square = grid * grid
    coded = np.where(square <= 0.0031308, square * 12.92, 1.055 * square ** (1 / 2.4) - 0.055)
    luma = np.where(linear > (6 / 29) ** 3, 116 * np.cbrt(linear) - 16, linear * (29 / 3) ** 3)
    return linear.astype(np.float32), coded.astype(np.float32), luma.astype(np.float32)


# The root is tabled because its steps are even where the eye's are. OpenCV's own R'G'B' <-> Lab goes
# through coarse splines (0.2 L* off); its linear RGB <-> Lab is exact, so only the coding is ours.
_LINEAR, _CODED, _GREY_LUMA = _tables()
_STEPS = np.float32(65535.0)
_STRIP = 32  # rows
_LARGE = 1 << 19  # pixels from which several threads gain more than they cost


def _steps(values: Array) -> NDArray[np.uint16]:
    """[0, 1] to numbers of the tables' entries; what lies outside is clipped."""
    steps = np.clip(values, 0.0, 1.0)
    steps *= _STEPS
    steps += np.float32(0.5)
    return steps.astype(np.uint16)


def srgb_to_lab(rgb: Array) -> Array:
    """Convert R'G'B' to Lab, within 0.005 L* and 0.04 a* b*.

    Args:
        rgb: picture  [(H, W, 3) float32 [0, 1] R'G'B' sRGB]

    Returns:
        [(H, W, 3) float32 Lab D65]

    Source: IEC 61966-2-1; CIE 15:2004.
    """
    linear = np.take(_LINEAR, _steps(rgb))
    return np.asarray(cv2.cvtColor(linear, cv2.COLOR_LRGB2LAB), np.float32)


def lab_to_srgb(lab: Array) -> Array:
    """Convert Lab to R'G'B', clipped to what the display shows. Inverse of `srgb_to_lab` inside the gamut."""
    linear = cv2.cvtColor(np.ascontiguousarray(lab, dtype=np.float32), cv2.COLOR_LAB2LRGB)
    return _coded(np.asarray(linear, np.float32))


def _coded(linear: Array) -> Array:
    """Linear RGB to R'G'B', clipped."""
    return np.take(_CODED, _steps(np.sqrt(np.maximum(linear, 0.0))))


def luma_of(rgb: Array) -> Array:
    """L* of a picture  [(H, W) float32 [0, 100]]."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return np.take(_GREY_LUMA, _steps(green))
    return np.ascontiguousarray(srgb_to_lab(rgb)[..., 0])


def is_grey(rgb: Array) -> bool:
    """Whether the three planes of a picture are equal  [(H, W, 3) R'G'B']."""
    return np.array_equal(rgb[..., 0], rgb[..., 1]) and np.array_equal(rgb[..., 1], rgb[..., 2])


def as_grey(rgb: Array) -> Array:
    """A picture without its colour: three planes of its Y'  [(H, W, 3) float32 R'G'B'].

    Source: ITU-R BT.601, by which published networks' programs take it.
    """
    return np.repeat((rgb @ _LUMA_601)[..., None], 3, axis=-1)


def join(luma: Array, ab: Array) -> Array:
    """L* and chroma to R'G'B', chroma first reduced to what sRGB shows at that L*, so that L* stays.

    Args:
        luma: L*    [(H, W) float32 [0, 100]]
        ab: chroma  [(H, W, 2) float32 Lab a* b*]

    Returns:
        [(H, W, 3) float32 [0, 1] R'G'B']

    Raises:
        ShapeError: the planes differ in size.
    """
    if luma.shape != ab.shape[:2]:
        raise ShapeError(f"luma is {luma.shape} but chroma is {ab.shape}; bring both to one size")
    rgb = np.empty((*luma.shape, 3), np.float32)

    def strip(top: int) -> None:
        rows = slice(top, top + _STRIP)
        rgb[rows] = _joined(luma[rows], ab[rows])

    # A strip at a time stays in the processor's cache: twice as fast.
    tops = range(0, luma.shape[0], _STRIP)
    if luma.size < _LARGE:
        for top in tops:
            strip(top)
    else:
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            deque(pool.map(strip, tops), maxlen=0)
    return rgb


def _joined(luma: Array, ab: Array) -> Array:
    lab = np.asarray(cv2.merge([np.asarray(luma, np.float32), *cv2.split(np.asarray(ab, np.float32))]), np.float32)
    linear = np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2LRGB), np.float32)
    # The conversion clips; so only pixels that touch a wall of the cube can be outside it.
    red, green, blue = cv2.split(linear)
    at_wall = cv2.min(cv2.min(red, green), blue) <= 0.0
    at_wall |= cv2.max(cv2.max(red, green), blue) >= 1.0
    if at_wall.any():
        fitted = lab[at_wall]
        fitted[:, 1:] = fit_gamut(fitted[:, 0], fitted[:, 1:])
        linear[at_wall] = cv2.cvtColor(fitted[None], cv2.COLOR_LAB2LRGB)[0]
    return _coded(linear)


def fit_gamut(luma: Array, ab: Array) -> Array:
    """The nearest chroma of the same hue that sRGB can show at this L*.

    Args:
        luma: L*    [(...) float32 [0, 100]]
        ab: chroma  [(..., 2) float32 Lab a* b*]

    Returns:
        Chroma scaled towards grey where needed; unchanged where already shown  [(..., 2) float32]

    Raises:
        ShapeError: the leading shapes differ.
    """
    luma = np.asarray(luma, np.float32)
    ab = np.asarray(ab, np.float32)
    if luma.shape != ab.shape[:-1]:
        raise ShapeError(f"luma is {luma.shape} but chroma is {ab.shape}; leading shapes must agree")
    out = ab.reshape(-1, 2).copy()
    if not out.size:  # OpenCV has no answer for no pixels
        return out.reshape(ab.shape)
    flat = luma.reshape(-1)
    chroma, hue = cv2.cartToPolar(out[:, 0], out[:, 1], angleInDegrees=True)
    scale = _looked_up(flat, np.asarray(hue[:, 0], np.float32)) / np.maximum(chroma[:, 0], np.float32(1e-6))
    beyond = np.flatnonzero(scale < 1.0)
    # Between its entries the table is a little low; what is shown is left as it is.
    beyond = beyond[_out_of_gamut(flat[beyond], out[beyond, 0], out[beyond, 1])]
    out[beyond] *= scale[beyond, None]
    return out.reshape(ab.shape)


def _looked_up(luma: Array, hue: Array) -> Array:
    """The greatest chroma at these L* and hues in degrees  [(N,) float32]."""
    count, width = luma.size, 4096  # OpenCV looks up no row of more than 32767
    at = np.zeros((2, -(-count // width) * width), np.float32)
    at[0, :count] = hue
    np.multiply(np.clip(luma, 0.0, 100.0), np.float32(_LIMIT_ROWS), out=at[1, :count])
    hues, rows = at.reshape(2, -1, width)
    return np.asarray(cv2.remap(_limit(), hues, rows, cv2.INTER_LINEAR).ravel()[:count], np.float32)


_LIMIT_ROWS = 4  # rows of the table per L*


@cache
def _limit() -> Array:
    """The greatest chroma that sRGB shows, by L* and hue  [(100 * _LIMIT_ROWS + 1, 361) float32 C*], hue in degrees."""
    luma, hue = np.meshgrid(np.arange(100 * _LIMIT_ROWS + 1) / _LIMIT_ROWS, np.radians(np.arange(361)), indexing="ij")
    low, high = np.zeros(luma.shape), np.full(luma.shape, 140.0)
    for _ in range(15):  # leaves 0.004 C*
        mid = (low + high) / 2
        outside = _out_of_gamut(luma, mid * np.cos(hue), mid * np.sin(hue))
        low, high = np.where(outside, low, mid), np.where(outside, mid, high)
    return low.astype(np.float32)


def _out_of_gamut(luma: Real, a: Real, b: Real) -> NDArray[np.bool_]:
    """Where linear R, G or B leaves [0, 1]  [all of one shape]. Source: CIE 15:2004; IEC 61966-2-1."""
    fy = (luma + 16.0) / 116.0
    f = np.stack([fy + a / 500.0, fy, fy - b / 200.0])
    xyz = np.where(f > 6.0 / 29.0, f**3, (f - 16.0 / 116.0) * (108.0 / 841.0))
    linear = np.einsum("cx,x...->c...", _RGB_FROM_XYZ * _WHITE, xyz)
    # A quarter of a 12-bit step near black.
    return np.asarray(((linear < -6e-5) | (linear > 1.0006)).any(axis=0))


def delta_e(lab1: Array, lab2: Array) -> Array:
    """CIEDE2000 difference of two Lab arrays  [(...) float32]. Source: CIE 142-2001."""
    return np.asarray(deltaE_ciede2000(lab1, lab2), np.float32)  # type: ignore[no-untyped-call]


def parse_hex(text: str) -> Array:
    """SRGB hex ``#rrggbb`` to R'G'B'  [(3,) float32 [0, 1]].

    Raises:
        InputError: not ``#`` and six hexadecimal digits.
    """
    if not isinstance(text, str) or not _HEX.fullmatch(text):
        raise InputError(f"colour {text!r}: expected sRGB hex such as #4b5a3c")
    return np.array([int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)], dtype=np.float32)


def hex_to_lab(text: str) -> Array:
    """SRGB hex to Lab  [(3,) float32]."""
    return np.asarray(srgb_to_lab(parse_hex(text).reshape(1, 1, 3))[0, 0], np.float32)


def lab_to_hex(lab: Array) -> str:
    """Lab  [(3,)] to the nearest sRGB hex."""
    rgb = np.rint(lab_to_srgb(np.asarray(lab, np.float32).reshape(1, 1, 3))[0, 0] * 255).astype(int)
    return f"#{rgb[0]:02x}{rgb[1]:02x}{rgb[2]:02x}"
