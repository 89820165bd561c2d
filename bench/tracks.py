"""Regions of old films, carried, for eyes: ``python -m bench.tracks --data DIR --out DIR [--film NAME]``.

Of each shot in `bench.old_shots` two sheets of the same frames: ``FILM_tracks.png`` has every region's outline and a
light tint of it laid over the film, keyframes in a frame of white; ``FILM_line.png`` is the whole colouring under these
regions. Where a region was marked on more than one keyframe, it is told how much of what was drawn on the later ones
the first alone had found, and on how many frames the track is another one for them. ``--keyframes 1`` draws what the
first keyframes alone give.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.clips import TrueClip
from bench.contact_sheet import side_by_side
from bench.exemplar import ClipMotion, Line, carry
from bench.metrics import iou, to_8bit
from bench.old_shots import SHOTS, OldShot, hints_of, read_shot
from bench.regions import carried_mask
from core.errors import InputError, PochoirError
from core.film.colour import hex_to_lab, join
from core.models.colouriser import EmbeddedColouriser
from hints.hint import HintSet
from hints.segment import GeodesicSegmenter
from hints.source import Carried

Picture = NDArray[np.uint8]
Inside = NDArray[np.bool_]
CELLS, COLUMNS, WIDTH = 12, 4, 640
OUTLINE_L, TINT = 78.0, 0.25  # lightness of an outline, so that it shows on dark cloth [L*]; share of its tint
FRAME_PX, LEGEND_PX = 5, 30
ANOTHER = 0.9  # tracks that overlap by less are told apart by an eye


@dataclass(frozen=True)
class Mended:
    """What a later keyframe of a region brought.

    Attributes:
        region: its name.
        frame: the keyframe, a number of the film.
        found: overlap of what the first keyframe alone gave there with what was drawn  [0, 1]
        changed: frames of the shot on which the track is another one with all keyframes than with the first.
    """

    region: str
    frame: int
    found: float
    changed: int


def sheets_of(
    shot: OldShot, clip: TrueClip, hints: HintSet, source: Carried, motion: ClipMotion, ours: EmbeddedColouriser
) -> dict[str, Picture]:
    """Both sheets of a shot: ``tracks`` and ``line``  [(h, w, 3) uint8]."""
    keyframes = {hint.frame for hint in hints}
    chosen = evenly_with(len(clip.frames), sorted(keyframes), CELLS)
    words = [f"{clip.numbers[n]}{'  keyframe' if n in keyframes else ''}" for n in chosen]
    line = Line(motion, ours)
    tracked, coloured = [], []
    for n in chosen:
        cell = fitted(clip.frames[n])
        masks = {r.colour: carried_mask(source, n, cell.shape[:2], r.id) for r in hints.regions}
        tracked.append(framed(drawn_over(cell, masks), n in keyframes))
        coloured.append(fitted(to_8bit(join(motion.full(n), line.chroma(n, source.field(n))))))
    key = legend({region.name: region.colour for region in shot.regions}, COLUMNS * WIDTH)
    return {name: np.vstack([key, grid(cells, words)]) for name, cells in (("tracks", tracked), ("line", coloured))}


def evenly_with(count: int, keyframes: Sequence[int], cells: int) -> list[int]:
    """So many frames evenly from the first to the last, keyframes in the places of those nearest to them.

    Args:
        count: frames there are.
        keyframes: at most ``cells`` of them.
        cells: how many are chosen; all where there are fewer.
    """
    chosen = sorted({round(i * (count - 1) / max(1, cells - 1)) for i in range(cells)})
    for keyframe in keyframes:
        if keyframe not in chosen:
            free = [n for n in chosen if n not in keyframes]
            chosen.remove(min(free, key=lambda n: abs(n - keyframe)))
            chosen.append(keyframe)
    return sorted(chosen)


def drawn_over(picture: Picture, masks: Mapping[str, Inside]) -> Picture:
    """A picture under light tints of regions and their outlines, which are the outermost pixels of each.

    Args:
        picture: [(h, w, 3) uint8]
        masks: by swatch  [(h, w) bool each]
    """
    shown = picture.astype(np.float32)
    for colour, inside in masks.items():
        shown[inside] += np.float32(TINT) * (_bright(colour) - shown[inside])
    for colour, inside in masks.items():
        shown[border_of(inside)] = _bright(colour)
    return np.rint(shown).astype(np.uint8)


def border_of(inside: Inside) -> Inside:
    """The pixels of a mask that have one outside beside them  [(h, w) bool]; the picture's edge is no border."""
    return np.asarray(inside & (cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0))


def grid(cells: Sequence[Picture], words: Sequence[str]) -> Picture:
    """Pictures of one size in rows of `COLUMNS`, each with its words; places left over are black."""
    blank = [np.zeros_like(cells[0])] * (-len(cells) % COLUMNS)
    pictures, titles = [*cells, *blank], [*words, *(" " for _ in blank)]
    rows = [slice(i, i + COLUMNS) for i in range(0, len(pictures), COLUMNS)]
    return np.vstack([side_by_side(pictures[row], titles[row]) for row in rows])


def legend(colours: Mapping[str, str], width: int) -> Picture:
    """A strip that says which outline is whose  [(`LEGEND_PX`, width, 3) uint8]."""
    ends = np.linspace(0, width, len(colours) + 1).astype(int)
    patches = [
        np.full((LEGEND_PX, stop - start, 3), _bright(colour), np.uint8)
        for colour, start, stop in zip(colours.values(), ends[:-1], ends[1:], strict=True)
    ]
    return side_by_side(patches, list(colours))


def fitted(picture: Picture) -> Picture:
    """A picture at the width of a cell."""
    h, w = picture.shape[:2]
    way = cv2.INTER_AREA if w > WIDTH else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (WIDTH, round(h * WIDTH / w)), interpolation=way), np.uint8)


def framed(picture: Picture, keyframe: bool) -> Picture:
    """A keyframe in its frame of white; any other picture as it is."""
    if not keyframe:
        return picture
    inner = picture[FRAME_PX:-FRAME_PX, FRAME_PX:-FRAME_PX]
    sides = ((FRAME_PX, FRAME_PX), (FRAME_PX, FRAME_PX), (0, 0))
    return np.pad(inner, sides, constant_values=255)


def mended(clip: TrueClip, hints: HintSet, first: HintSet, source: Carried) -> list[Mended]:
    """What all later keyframes brought, beside each region's first alone.

    Args:
        clip: the shot.
        hints: all of them.
        first: of each region the first one.
        source: carries ``hints``.
    """
    alone = source.saying(first)
    size = clip.frames[0].shape[:2]
    told = []
    for hint in hints:
        if hint in first.hints or hint.region is None or hint.mask is None:
            continue
        tracks = ((carried_mask(s, n, size, hint.region) for s in (alone, source)) for n in range(len(clip.frames)))
        changed = sum(_apart(*two) for two in tracks)
        found = iou(carried_mask(alone, hint.frame, size, hint.region), hint.mask.inside)
        told.append(Mended(hint.region, clip.numbers[hint.frame], found, changed))
    return told


def chosen_shots(film: str | None) -> tuple[OldShot, ...]:
    """The shot of one film, or all of them.

    Raises:
        InputError: no regions were drawn on that film.
    """
    shots = tuple(shot for shot in SHOTS if film in (None, shot.film))
    if not shots:
        known = ", ".join(shot.film for shot in SHOTS)
        raise InputError(f"--film {film}: nothing was drawn on it; films with regions: {known}")
    return shots


def _apart(one: Inside, other: Inside) -> bool:
    return bool((one | other).any()) and iou(one, other) < ANOTHER


def _bright(colour: str) -> NDArray[np.float32]:
    """A swatch, light enough for an outline  [(3,) float32 [0, 255]]."""
    ab = hex_to_lab(colour)[None, None, 1:]
    return np.asarray(255 * join(np.full((1, 1), OUTLINE_L, np.float32), ab)[0, 0], np.float32)


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line; exit status 2 where a film is not there."""
    parser = argparse.ArgumentParser(prog="bench.tracks", description="Draw how regions of old films are carried.")
    parser.add_argument("--data", type=Path, required=True, help="folder with old/")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--film", help="this one alone")
    parser.add_argument("--keyframes", type=int, help="so many of each region at most")
    args = parser.parse_args(argv)
    try:
        draw(args.data, args.out, args.film, args.keyframes)
    except PochoirError as error:
        print(f"tracks: {error}", file=sys.stderr)
        return 2
    return 0


def draw(data: Path, out: Path, film: str | None = None, keyframes: int | None = None) -> None:
    """Write the sheets of one film's shot, or of all, and say what later keyframes brought.

    Args:
        data: folder with ``old/``.
        out: where the sheets go.
        film: by name; None: all there are.
        keyframes: so many of each region at most; None: all.

    Raises:
        InputError: a film is not there, or nothing was drawn on it.
    """
    shots = chosen_shots(film)
    out.mkdir(parents=True, exist_ok=True)
    ours = EmbeddedColouriser()
    segmenter = GeodesicSegmenter(ours)
    for shot in shots:
        clip = read_shot(data, shot)
        hints, first = (hints_of(shot, clip, segmenter, most) for most in (keyframes, 1))
        motion = ClipMotion(clip, ours)
        source, seconds = carry(hints, clip, motion)
        print(f"{shot.film}: {len(hints.regions)} regions through {len(clip.frames)} frames, {seconds:.0f} s")
        for name, sheet in sheets_of(shot, clip, hints, source, motion, ours).items():
            path = out / f"{shot.film}_{name}.png"
            cv2.imwrite(str(path), sheet[..., ::-1])
            print(path)
        for each in mended(clip, hints, first, source):
            print(
                f"  {each.region}: frame {each.frame} had {each.found:.2f} of what was drawn there;"
                f" {each.changed} of {len(clip.frames)} frames changed"
            )


if __name__ == "__main__":
    raise SystemExit(main())
