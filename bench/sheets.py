"""Contact sheets for eyes: ``python -m bench.sheets --data DIR --out DIR``.

``stills.jpg``: photographs never trained on, in grey, coloured unasked, under ten points of their true colours, and as
they were. ``old.jpg``: frames of the old films and photographs, as found and coloured unasked; there is no truth.
``old_hinted.jpg``: of each film one frame under a few points, of invented colours, that lie in ``bench/old``, and one
frame that they were carried to.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.clips import TrueClip
from bench.contact_sheet import contact_sheet
from bench.exemplar import ClipMotion, Memory, carry, timeline_of
from bench.metrics import psnr, to_8bit
from bench.old_shots import open_film
from bench.points import pictures
from bench.train.data import read_still, zhang_points
from core.colourise import ColouriseParams, automatic_of, colourise_frame
from core.film.colour import join, luma_of, srgb_to_lab
from core.film.timebase import FrameRange
from core.models.colouriser import EmbeddedColouriser
from core.render.automatic import AutomaticPass
from core.render.motion import CoarseMotion
from hints.field import HintField
from hints.hint import HintSet
from hints.interchange import load

Picture = NDArray[np.uint8]
POINTS = 10
PER_FILM = 2
HINTS = Path(__file__).parent / "old"
CARRIED = 12  # frames on from the hints, where the film's shot is as long
COLUMNS = 2  # pairs of an old frame in a row of their sheet


def stills_sheet(data: Path, ours: EmbeddedColouriser, count: int) -> Picture:
    """Photographs of the evaluation set: grey, automatic, hinted, truth  [(h, w, 3) uint8]."""
    rows = []
    for number, path in enumerate(pictures(data, "bsds500", count)):
        rgb = read_still(path)
        lab = srgb_to_lab(rgb)
        luma, ab = np.ascontiguousarray(lab[..., 0]), np.ascontiguousarray(lab[..., 1:])
        auto = automatic_of(luma, ours)
        hint, weight = zhang_points(ab, POINTS, np.random.default_rng(number))
        told = colourise_frame(luma, auto, ours, field=HintField(hint, weight, weight))
        guesses = [np.zeros_like(ab), colourise_frame(luma, auto, ours), told]
        shown = [to_8bit(join(luma, guess)) for guess in guesses]
        words = "   ".join(f"{psnr(each, to_8bit(rgb)):.1f} dB" for each in shown)
        rows.append((f"{path.name}   {words}", [*shown, to_8bit(rgb)]))
    return contact_sheet(rows, ("grey", "automatic", f"{POINTS} points", "truth"), width=300)


def old_sheet(data: Path, ours: EmbeddedColouriser) -> Picture:
    """Frames of old films and old photographs: as found, automatic  [(h, w, 3) uint8]."""
    pairs = []
    for name, rgb in _old_frames(data / "old"):
        luma = luma_of(rgb)
        pairs.append((name, [to_8bit(rgb), to_8bit(join(luma, colourise_frame(luma, automatic_of(luma, ours), ours)))]))
    rows = []
    for start in range(0, len(pairs), COLUMNS):
        some = pairs[start : start + COLUMNS]
        size = some[0][1][0].shape
        fitted = [_fitted(picture, (size[0], size[1])) for _, two in some for picture in two]
        blank = [np.zeros_like(fitted[0])] * (2 * COLUMNS - len(fitted))
        rows.append(("   ".join(n for n, _ in some), [*fitted, *blank]))
    return contact_sheet(rows, ("as found", "automatic") * COLUMNS, width=300)


def hinted_sheet(data: Path, ours: EmbeddedColouriser) -> Picture:
    """Frames of old films under a few points, and farther on: as found, automatic, hinted  [(h, w, 3) uint8]."""
    rows = []
    for path in sorted(HINTS.glob("*.json")):
        clip, hints = _hinted_clip(data / "old" / path.stem, path)
        motion, timeline = ClipMotion(clip, ours), timeline_of(clip)
        source, _ = carry(hints, clip, motion)
        coarse = CoarseMotion(motion, motion.estimator, Memory())
        automatic = AutomaticPass(motion, coarse, ours, Memory())
        for n in (0, len(clip.frames) - 1):
            auto = automatic.at(n, timeline.shots[0].range, ColouriseParams().steady)
            luma = motion.full(n)
            told = colourise_frame(luma, auto, ours, field=source.field(n), luma=motion.luma(n))
            shown = [to_8bit(join(luma, ab)) for ab in (colourise_frame(luma, auto, ours), told)]
            words = f"{path.stem} {clip.numbers[n]}   {len(hints.hints)} points on frame {clip.numbers[0]}"
            rows.append((words, [clip.frames[n], *shown]))
    return contact_sheet(rows, ("as found", "automatic", "hinted"), width=420)


def _hinted_clip(place: Path, path: Path) -> tuple[TrueClip, HintSet]:
    """Frames of an old film from the one that is hinted at, and the hints, numbered as those frames."""
    film = open_film(place)
    hints = load(path, size=film.clip.size, count=film.clip.count)
    first = hints.hints[0].frame
    numbers = FrameRange(first, min(first + CARRIED + 1, film.clip.count))
    frames = tuple(to_8bit(film.frame(n).rgb) for n in numbers)
    film.close()
    moved = tuple(replace(hint, frame=hint.frame - first) for hint in hints.hints)
    return TrueClip(place.name, frames, tuple(numbers)), HintSet(hints.regions, moved)


def _fitted(picture: Picture, size: tuple[int, int]) -> Picture:
    return np.asarray(cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)


def _old_frames(folder: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    for place in sorted(p for p in folder.iterdir() if p.is_dir()):
        photographs = sorted(place.glob("*.jpg"))
        if photographs:
            yield from ((f"{place.name}/{p.name}", read_still(p)) for p in photographs)
            continue
        film = open_film(place)
        for i in range(PER_FILM):
            n = film.clip.count * (2 * i + 1) // (2 * PER_FILM)
            yield f"{place.name} {n}", film.frame(n).rgb
        film.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Draw contact sheets of what the embedded colouriser gives.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=20, help="photographs")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    ours = EmbeddedColouriser()
    sheets = {
        "stills": stills_sheet(args.data, ours, args.count),
        "old": old_sheet(args.data, ours),
        "old_hinted": hinted_sheet(args.data, ours),
    }
    for name, sheet in sheets.items():
        path = args.out / f"{name}.jpg"
        cv2.imwrite(str(path), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
        print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
