"""Colour clips with known truth, and their masks, as the benches on moving pictures read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.film.colour import Array, srgb_to_lab

T = TypeVar("T")
MAX_FRAMES, MAX_WIDTH = 48, 640


@dataclass(frozen=True)
class TrueClip:
    """A colour clip: its frames are the truth, their L* is what a film would have.

    Attributes:
        name: its folder's name.
        frames: [(H, W, 3) uint8 R'G'B'] each
        numbers: frame numbers as its masks are named.
    """

    name: str
    frames: tuple[NDArray[np.uint8], ...]
    numbers: tuple[int, ...]

    def rgb(self, n: int) -> Array:
        """Frame ``n``  [(H, W, 3) float32 [0, 1] R'G'B']."""
        return np.asarray(self.frames[n] / np.float32(255), np.float32)

    def lab(self, n: int) -> Array:
        """Frame ``n``  [(H, W, 3) float32 Lab]."""
        return srgb_to_lab(self.rgb(n))


def evenly(things: Sequence[T], limit: int | None) -> list[T]:
    """At most so many things, evenly chosen, the same ones every time; all where ``limit`` is None."""
    count = len(things) if limit is None else min(limit, len(things))
    return [things[i * len(things) // count] for i in range(count)]


def clip_names(data: Path) -> list[str]:
    """Names of the clips there are, in order.

    Raises:
        InputError: the folder has none.
    """
    return _folders(data / "clips", "clips")


def read_clip(data: Path, name: str, *, max_frames: int = MAX_FRAMES, max_width: int = MAX_WIDTH) -> TrueClip:
    """The first frames of a clip, brought down to a width by area.

    Raises:
        InputError: it cannot be read.
    """
    folder = data / "clips" / name
    videos = sorted(p for p in folder.glob("*") if p.suffix != ".jpg")
    pairs = _from_video(videos[0]) if videos else _from_folder(folder)
    frames: list[NDArray[np.uint8]] = []
    numbers: list[int] = []
    for number, bgr in pairs:
        if len(frames) == max_frames:
            break
        h, w = bgr.shape[:2]
        if w > max_width:
            size = (max_width, round(h * max_width / w))
            bgr = np.asarray(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), np.uint8)
        frames.append(np.ascontiguousarray(bgr[..., ::-1]))
        numbers.append(number)
    if len(frames) < 2:
        raise InputError(f"clip {name}: fewer than two frames could be read")
    return TrueClip(name, tuple(frames), tuple(numbers))


def mask_names(data: Path) -> list[str]:
    """Names of the clips that have true masks, in order.

    Raises:
        InputError: the folder has none.
    """
    return _folders(data / "seqmask", "masks")


def read_masks(data: Path, clip: TrueClip) -> list[NDArray[np.bool_]]:
    """True masks of a clip's frames, at the clip's size  [(H, W) bool each].

    Raises:
        InputError: one is missing.
    """
    masks = []
    for frame, number in zip(clip.frames, clip.numbers, strict=True):
        path = data / "seqmask" / clip.name / f"{number:05d}.png"
        pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if pixels is None:
            raise InputError(f"{path}: the mask is missing")
        h, w = frame.shape[:2]
        soft = cv2.resize(pixels.astype(np.float32), (w, h), interpolation=cv2.INTER_AREA)
        masks.append(np.asarray(soft > 127))
    return masks


def _folders(place: Path, what: str) -> list[str]:
    names = sorted(p.name for p in place.glob("*") if p.is_dir())
    if not names:
        raise InputError(f"{place}: no {what}; give the data folder with --data")
    return names


def _from_folder(folder: Path) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    for path in sorted(folder.glob("*.jpg")):
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise InputError(f"{path}: cannot be read")
        yield int(path.stem), np.asarray(image, np.uint8)


def _from_video(path: Path) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    video = cv2.VideoCapture(str(path))
    try:
        number = 0
        while True:
            ok, image = video.read()
            if not ok:
                return
            yield number, np.asarray(image, np.uint8)
            number += 1
    finally:
        video.release()
