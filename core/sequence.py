"""Image sequences to frames: a folder of numbered images, a ``%06d`` pattern, or a single image.

PNG, TIFF, DPX, EXR, JPEG and their kin through OpenImageIO, at the precision of the file. Frames are
numbered from 0 in the order of the files' own numbers, wherever those begin; a missing number is an error.
Code values are taken as display R'G'B', as players show them (a logarithmic scan too: grade it first);
EXR is linear light and is coded as sRGB. Alpha is not used.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from core.errors import DecodeError
from core.film.clip import Clip, ColourTags
from core.film.frame import Frame, on_grid
from core.film.tags import LINEAR, SRGB
from core.film.timebase import FrameRange
from core.footage.ahead import ReadAhead
from core.footage.file import MAX_FRAMES
from core.footage.geometry import displayed_size, upright
from core.footage.images import SUFFIXES, ImageFacts, facts_and_hash, read_image
from core.footage.planes import is_neutral_rgb

Array = NDArray[np.float32]
_PATTERN = re.compile(r"%(0\d+)?d")
_NUMBER = re.compile(r"(\d+)(?!.*\d)")
_SAMPLES = 8


def is_sequence(path: Path) -> bool:
    """Whether a source names images: a folder, a ``%06d`` pattern, or one image file."""
    if path.is_dir():
        return True
    return path.suffix.lower() in SUFFIXES and (path.is_file() or bool(_PATTERN.search(path.name)))


class SequenceSource:
    """An image sequence as frames; every frame is read on its own, from any thread.

    Args:
        path: folder, pattern or single image.
        rate: frames per second; images do not know it.

    Raises:
        DecodeError: there are no images, one is missing, or one differs in size.
    """

    def __init__(self, path: Path, rate: Fraction) -> None:
        self._files = sequence_files(path)
        with ThreadPoolExecutor(4, thread_name_prefix="pochoir-hash") as pool:
            facts = list(pool.map(facts_and_hash, self._files))
        first = self._first = facts[0]
        for file, fact in zip(self._files, facts, strict=True):
            if fact.shape != first.shape:
                raise DecodeError(
                    f"{file.name}: {_size_text(fact)}, but {self._files[0].name} is {_size_text(first)}; "
                    "bring all images of a film to one size"
                )
        grey = all(len(f.channels) == 1 for f in facts) or self._looks_grey()
        self._grey = grey
        height, width = displayed_size(first.size, first.sar, first.rotation)
        total = hashlib.sha256()
        for file, fact in zip(self._files, facts, strict=True):
            total.update(f"{file.name}\0{fact.sha256}\n".encode())
        self.clip = Clip(
            path=str(path.absolute()),
            kind="sequence",
            sha256=total.hexdigest(),
            width=width,
            height=height,
            rate=rate,
            time_base=1 / rate,
            pts=tuple(range(len(self._files))),
            end_pts=len(self._files),
            bit_depth=max(f.depth for f in facts),
            grey=grey,
            tags=ColourTags(0, LINEAR if first.format == "openexr" else SRGB, 1, full_range=True),
            sar=first.sar,
            rotation=first.rotation,
            container="sequence",
            codec=first.format,
            pixel_format=f"{'gray' if len(first.channels) == 1 else 'rgb'}:{first.kind}",
            files=tuple(str(f.absolute()) for f in self._files),
        )

    def _looks_grey(self) -> bool:
        places = np.linspace(0, len(self._files) - 1, _SAMPLES).astype(int)
        return all(is_neutral_rgb(read_image(self._files[n])) for n in sorted(set(places.tolist())))

    def frame(self, n: int) -> Frame:
        """Frame ``n``.

        Raises:
            DecodeError: outside the film, or its file is damaged.
        """
        if not 0 <= n < len(self._files):
            raise DecodeError(f"there is no frame {n}; the sequence has frames 0:{len(self._files)}")
        rgb = read_image(self._files[n])
        if self._grey and not (rgb[..., 0] == rgb[..., 1]).all() and is_neutral_rgb(rgb):
            # What JPEG leaves of grey: its luma, BT.601 as JFIF has it, on all three planes.
            luma = on_grid(rgb @ np.array([0.299, 0.587, 0.114], np.float32))
            rgb = np.ascontiguousarray(np.broadcast_to(luma[..., None], rgb.shape))
        if self._first.mirrored:
            rgb = np.ascontiguousarray(rgb[:, ::-1])
        rgb = upright(rgb, self._first.sar, self._first.rotation)
        if rgb.shape[:2] != self.clip.size:
            raise DecodeError(f"{self._files[n].name}: frame {n} has changed its size since it was opened")
        return Frame(n, rgb)

    def frames(self, span: FrameRange) -> Iterator[Frame]:
        """Frames of a range in order, read ahead by a thread.

        Raises:
            DecodeError: the range leaves the film, or a file is damaged.
        """
        if span.stop > len(self._files):
            raise DecodeError(f"frames {span.start}:{span.stop} asked, there are 0:{len(self._files)}")
        return ReadAhead(self.frame(n) for n in span)

    def close(self) -> None:
        """Nothing is held open."""

    def __enter__(self) -> SequenceSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def sequence_files(path: Path) -> list[Path]:
    """The files of a sequence in the order of their numbers.

    Raises:
        DecodeError: none, too many, of several kinds, or a number is missing; the message names the file.
    """
    if path.is_file():
        return [path]
    files = _in_folder(path) if path.is_dir() else _by_pattern(path)
    if len(files) > MAX_FRAMES:
        raise DecodeError(f"{path}: {len(files)} images; at most {MAX_FRAMES}, cut the film into reels")
    _check_gaps(files)
    return files


def _in_folder(folder: Path) -> list[Path]:
    files = [f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES and not f.name.startswith(".") and f.is_file()]
    if not files:
        raise DecodeError(f"{folder}: no images in this folder (known: {', '.join(sorted(SUFFIXES))})")
    kinds = sorted({f.suffix.lower().replace("jpeg", "jpg").replace("tiff", "tif") for f in files})
    if len(kinds) > 1:
        raise DecodeError(f"{folder}: images of several kinds ({', '.join(kinds)}); give a pattern or one kind")
    return sorted(files, key=_natural)


def _by_pattern(path: Path) -> list[Path]:
    found = list(_PATTERN.finditer(path.name))
    if len(found) != 1:
        raise DecodeError(f"{path.name}: give exactly one number in the pattern, e.g. frame_%06d.png")
    if not path.parent.is_dir():
        raise DecodeError(f"{path.parent}: no such folder; check the path")
    digits = int(found[0].group(1) or 0)
    head, tail = path.name[: found[0].start()], path.name[found[0].end() :]
    name = re.compile(re.escape(head) + (rf"\d{{{digits},}}" if digits else r"(?:0|[1-9]\d*)") + re.escape(tail))
    files = [f for f in path.parent.iterdir() if name.fullmatch(f.name)]
    if not files:
        raise DecodeError(f"{path}: no file of that pattern; check the path and the number of digits")
    return sorted(files, key=_natural)


def _natural(file: Path) -> tuple[tuple[str, int, int], ...]:
    """Sort key in which 9 comes before 10."""
    parts = re.split(r"(\d+)", file.name)
    return tuple((p, 0, 0) if i % 2 == 0 else ("", int(p), len(p)) for i, p in enumerate(parts))


def _check_gaps(files: list[Path]) -> None:
    """Refuse a sequence in which a number is missing."""
    for before, after in pairwise(files):
        a, b = _NUMBER.search(before.stem), _NUMBER.search(after.stem)
        if a is None or b is None or before.stem[: a.start()] != after.stem[: b.start()]:
            continue
        if before.stem[a.end() :] != after.stem[b.end() :] or int(b[1]) == int(a[1]) + 1:
            continue
        missing = f"{before.stem[: a.start()]}{int(a[1]) + 1:0{len(a[1])}d}{before.stem[a.end() :]}"
        raise DecodeError(
            f"{missing}{before.suffix} is missing in {before.parent} "
            f"(between {before.name} and {after.name}); complete the sequence"
        )


def _size_text(facts: ImageFacts) -> str:
    return f"{facts.size[1]}x{facts.size[0]}"
