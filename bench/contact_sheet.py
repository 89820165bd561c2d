"""Pictures side by side on one sheet, with words: for eyes, not for measuring."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]
_PAPER, _INK = (24, 24, 26), (232, 230, 224)
_GAP = 6


def side_by_side(pictures: Sequence[Picture], titles: Sequence[str] = ()) -> Picture:
    """Pictures of one height in a row, each with its title in its upper left corner  [(h, w, 3) uint8]."""
    titled = [_titled(p, t) for p, t in zip(pictures, titles, strict=True)] if titles else list(pictures)
    return np.hstack(titled)


def contact_sheet(rows: Sequence[tuple[str, Sequence[Picture]]], titles: Sequence[str], *, width: int = 400) -> Picture:
    """A sheet of rows under common titles.

    Args:
        rows: what each row is, and its pictures    [each (h, w, 3) uint8]
        titles: one for each column.
        width: of each picture on the sheet  [px].

    Returns:
        The sheet  [(h, w, 3) uint8]
    """
    font, small = _font(15), _font(13)
    scaled = [[_scaled(p, width) for p in pictures] for _, pictures in rows]
    heights = [pictures[0].shape[0] for pictures in scaled]
    top, label = 30, 24
    size = (
        _GAP + len(titles) * (width + _GAP),
        top + sum(h + label for h in heights) + _GAP,
    )
    sheet = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        pen.text((_GAP + column * (width + _GAP), 8), title, fill=_INK, font=font)
    y = top
    for (words, _), pictures, height in zip(rows, scaled, heights, strict=True):
        for column, picture in enumerate(pictures):
            sheet.paste(Image.fromarray(picture), (_GAP + column * (width + _GAP), y))
        pen.text((_GAP, y + height + 3), words, fill=_INK, font=small)
        y += height + label
    return np.asarray(sheet)


def _scaled(picture: Picture, width: int) -> Picture:
    height = round(picture.shape[0] * width / picture.shape[1])
    way = cv2.INTER_AREA if width < picture.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (width, height), interpolation=way), np.uint8)


def _titled(picture: Picture, title: str) -> Picture:
    image = Image.fromarray(picture)
    pen = ImageDraw.Draw(image)
    font = _font(max(12, picture.shape[0] // 24))
    box = pen.textbbox((8, 6), title, font=font)
    pen.rectangle((box[0] - 4, box[1] - 3, box[2] + 4, box[3] + 3), fill=_PAPER)
    pen.text((8, 6), title, fill=_INK, font=font)
    return np.asarray(image)


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
