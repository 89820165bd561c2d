"""What the colour tags of a film mean: H.273 code points to matrices, ranges and curves.

Display-coded R'G'B' is taken as it is: BT.709, BT.601, BT.2020 and sRGB transfers differ only in the
camera's or the room's curve, and players show all of them alike. Linear light is coded as sRGB. Primaries
are kept as a tag and not converted.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from core.errors import DecodeError
from core.film.clip import ColourTags

Array = NDArray[np.float32]
RGB, BT709, UNSPECIFIED, FCC, BT470BG, BT601, SMPTE240, YCGCO, BT2020, BT2020_CL = 0, 1, 2, 4, 5, 6, 7, 8, 9, 10
LINEAR, SRGB, PQ = 8, 13, 16
# Kr and Kb of each matrix, ITU-T H.273 table 4.
_WEIGHTS = {
    BT709: (0.2126, 0.0722),
    FCC: (0.30, 0.11),
    BT470BG: (0.299, 0.114),
    BT601: (0.299, 0.114),
    SMPTE240: (0.212, 0.087),
    BT2020: (0.2627, 0.0593),
    BT2020_CL: (0.2627, 0.0593),
}
# Above this many lines an untagged film is high definition, as FFmpeg's players hold it.
SD_LINES = 576
DELIVERED = ColourTags(BT709, BT709, BT709, full_range=False)


def resolve(tags: ColourTags, height: int) -> ColourTags:
    """Tags with the matrix that an untagged film of so many stored lines has: BT.601 up to 576, else BT.709."""
    if tags.matrix in _WEIGHTS or tags.matrix == YCGCO:
        return tags
    return replace(tags, matrix=BT601 if height <= SD_LINES else BT709)


def check_shown(tags: ColourTags, name: str) -> None:
    """Refuse what cannot be shown truthfully in R'G'B'.

    Raises:
        DecodeError: the film is HDR coded by PQ.
    """
    if tags.transfer == PQ:
        raise DecodeError(f"{name}: the film is HDR (PQ, SMPTE ST 2084); make an SDR copy of it first")


def rgb_from_yuv(tags: ColourTags, depth: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Matrix and offset from code values to R'G'B': ``rgb = matrix @ (y, u, v) + offset``.

    Args:
        tags: with a matrix that `resolve` gave.
        depth: bits per sample.

    Returns:
        matrix [(3, 3) float64] and offset [(3,) float64], R'G'B' nominally [0, 1].

    Source: ITU-T H.273 equations 38 to 45 and BT.601, BT.709, BT.2020.
    """
    if tags.matrix == YCGCO:
        ideal = np.array([[1.0, -1.0, 1.0], [1.0, 1.0, 0.0], [1.0, -1.0, -1.0]])
    else:
        kr, kb = _WEIGHTS[tags.matrix]
        kg = 1.0 - kr - kb
        ideal = np.array(
            [
                [1.0, 0.0, 2 * (1 - kr)],
                [1.0, -2 * kb * (1 - kb) / kg, -2 * kr * (1 - kr) / kg],
                [1.0, 2 * (1 - kb), 0.0],
            ]
        )
    scale, zero = _code_scale(tags.full_range, depth)
    matrix: NDArray[np.float64] = np.divide(ideal, scale, dtype=np.float64)
    return matrix, -matrix @ zero


def yuv_from_rgb(tags: ColourTags, depth: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Matrix and offset from R'G'B' [0, 1] to code values; the inverse of `rgb_from_yuv`.

    Source: ITU-T H.273.
    """
    matrix, offset = rgb_from_yuv(tags, depth)
    back = np.asarray(np.linalg.inv(matrix), np.float64)
    return back, -back @ offset


def grey_table(full_range: bool, depth: int) -> Array:
    """R'G'B' of every luma code  [(2**depth,) float32, not yet clipped]. Source: ITU-T H.273."""
    scale, zero = _code_scale(full_range, depth)
    codes = np.arange(1 << depth, dtype=np.float64)
    return np.asarray((codes - zero[0]) / scale[0], np.float32)


def _code_scale(full_range: bool, depth: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Code values per unit and code of zero, for luma and the two chroma planes."""
    step = float(1 << (depth - 8))
    middle = 128.0 * step
    if full_range:
        top = float((1 << depth) - 1)
        return np.array([top, top, top]), np.array([0.0, middle, middle])
    return np.array([219.0, 224.0, 224.0]) * step, np.array([16.0 * step, middle, middle])


def srgb_from_linear(rgb: Array) -> Array:
    """Linear light to display R'G'B'  [(...) float32, clipped to [0, 1]]. Source: IEC 61966-2-1."""
    lin = np.clip(rgb, 0.0, 1.0)
    coded = np.where(lin <= 0.0031308, lin * 12.92, 1.055 * np.power(lin, 1 / 2.4) - 0.055)
    return np.asarray(coded, np.float32)
