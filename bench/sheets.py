"""Contact sheets for eyes: ``python -m bench.sheets --data DIR --out DIR``.

``stills.jpg``: photographs never trained on, in grey, coloured unasked, under ten points of their true colours, and as
they were. ``old.jpg``: frames of the old films, as found and coloured unasked; there is no truth.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.contact_sheet import contact_sheet
from bench.metrics import psnr, to_8bit
from bench.points import pictures
from bench.train.data import read_still, zhang_points
from core.colourise import automatic_of, colourise_frame
from core.decode import open_source
from core.film.colour import join, luma_of, srgb_to_lab
from core.models.colouriser import EmbeddedColouriser
from hints.field import HintField

Picture = NDArray[np.uint8]
POINTS = 10
PER_FILM = 2
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


def _fitted(picture: Picture, size: tuple[int, int]) -> Picture:
    return np.asarray(cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)


def _old_frames(folder: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    for place in sorted(p for p in folder.iterdir() if p.is_dir()):
        photographs, films = sorted(place.glob("*.jpg")), sorted(place.glob("*.mp4"))
        if photographs and not films and len(photographs) < 12:
            yield from ((f"{place.name}/{p.name}", read_still(p)) for p in photographs)
            continue
        film = open_source(films[0] if films else place)
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
    for name, sheet in (("stills", stills_sheet(args.data, ours, args.count)), ("old", old_sheet(args.data, ours))):
        path = args.out / f"{name}.jpg"
        cv2.imwrite(str(path), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
        print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
