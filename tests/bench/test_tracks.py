"""Sheets of carried regions: what is drawn lies where the region was carried, and nothing is left out."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench import tracks
from bench.exemplar import ClipMotion, carry
from bench.old_shots import SHOTS, Drawn, Marked, OldShot, hints_of, read_shot
from bench.regions import carried_mask
from core.film.timebase import FrameRange
from core.models.colouriser import EmbeddedColouriser
from hints.segment import GeodesicSegmenter

DATA = Path(os.environ.get("POCHOIR_DATA", Path(__file__).parents[3] / "shared" / "data"))
SIZE = (96, 128)
DISC, BAR = "#c04030", "#3060c0"


def drawn_frame(n):
    """A light disc that moves by two pixels a frame, and a dark bar that stands, on grey with a little texture."""
    yy, xx = np.mgrid[: SIZE[0], : SIZE[1]]
    frame = 90 + 12 * np.sin(xx / 9) * np.cos(yy / 7)
    frame[(yy - 40) ** 2 + (xx - 30 - 2 * n) ** 2 <= 18**2] = 190
    frame[76:90, 20:110] = 30
    return frame.astype(np.uint8)


def a_shot(stop, *keyframes):
    disc = tuple(Drawn(k, inside=((30.5 + 2 * k, 40.5),)) for k in keyframes)
    regions = (Marked("disc", DISC, disc), Marked("bar", BAR, (Drawn(keyframes[0], inside=((60.5, 83.5),)),)))
    return OldShot("reel", FrameRange(0, stop), regions)


@pytest.fixture
def reel(tmp_path):
    """A film of eleven frames on disk, the fifth of which is shown twice."""
    folder = tmp_path / "old" / "reel"
    folder.mkdir(parents=True)
    for place, n in enumerate((0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9)):
        cv2.imwrite(str(folder / f"{place:03d}.png"), drawn_frame(n))
    return tmp_path


def test_a_frame_shown_twice_is_one(reel):
    assert read_shot(reel, a_shot(11, 0)).numbers == (0, 1, 2, 3, 4, 6, 7, 8, 9, 10)


def test_keyframes_take_the_places_of_the_frames_nearest_to_them():
    assert tracks.evenly_with(45, (), 12) == [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44]
    assert tracks.evenly_with(45, (13, 43), 12) == [0, 4, 8, 13, 16, 20, 24, 28, 32, 36, 40, 43]
    assert tracks.evenly_with(5, (2,), 12) == [0, 1, 2, 3, 4]


def test_an_outline_is_the_outermost_pixels_of_its_region_and_what_is_outside_stays():
    inside = np.zeros((40, 60), bool)
    inside[10:30, 0:20] = True
    grey = np.full((40, 60, 3), 100, np.uint8)
    drawn = tracks.drawn_over(grey, {DISC: inside})
    border = np.zeros_like(inside)
    border[[10, 29], 0:20], border[10:30, 19] = True, True  # the picture's own edge is none
    colour = drawn[10, 5]
    assert colour[0] > colour[2] + 60
    assert (np.all(drawn == colour, axis=2) == border).all()
    assert (drawn[~inside] == 100).all()
    tinted = drawn[inside & ~border].astype(float)
    assert tinted == pytest.approx(np.broadcast_to(100 + tracks.TINT * (colour - 100.0), tinted.shape), abs=1)


def test_the_sheets_have_a_cell_for_each_frame_and_show_the_carried_masks(reel, monkeypatch):
    monkeypatch.setattr(tracks, "CELLS", 6)
    ours = EmbeddedColouriser()
    shot = a_shot(11, 4)
    clip = read_shot(reel, shot)
    hints = hints_of(shot, clip, GeodesicSegmenter(ours))
    motion = ClipMotion(clip, ours)
    source, _ = carry(hints, clip, motion)
    sheets = tracks.sheets_of(shot, clip, hints, source, motion, ours)
    h, w = SIZE[0] * tracks.WIDTH // SIZE[1], tracks.WIDTH
    assert list(sheets) == ["tracks", "line"]
    assert {sheet.shape for sheet in sheets.values()} == {(tracks.LEGEND_PX + 2 * h, tracks.COLUMNS * w, 3)}
    cells = cells_of(sheets["tracks"], h)
    chosen = tracks.evenly_with(10, (4,), 6)
    assert [cell[h // 2 :].any() for cell in cells] == [True] * 6 + [False] * 2
    assert [(cell[-1] == 255).all() for cell in cells[:6]] == [n == 4 for n in chosen]
    for n, cell in zip(chosen, cells[:6], strict=True):
        where = tracks.border_of(carried_mask(source, n, (h, w), "disc"))
        colour = cell[where][0]
        assert (cell[where] == colour).all()
        assert colour[0] > 200 > colour[2]
        x = np.flatnonzero(where.any(axis=0)).mean() * SIZE[1] / w
        assert x == pytest.approx(30 + 2 * n, abs=2)
    for n, cell in zip(chosen, cells_of(sheets["line"], h)[:6], strict=True):
        red, _, blue = cell[40 * h // SIZE[0], (30 + 2 * n) * w // SIZE[1]].astype(int)
        assert red > blue + 40


def cells_of(sheet, h):
    """The cells of a sheet, row by row."""
    below, w = sheet[tracks.LEGEND_PX :], tracks.WIDTH
    return [below[y : y + h, x : x + w] for y in range(0, len(below), h) for x in range(0, below.shape[1], w)]


def test_a_later_keyframe_is_told_of_beside_what_the_first_had_found(reel):
    clip = read_shot(reel, a_shot(11, 1, 9))
    shot = a_shot(11, 1, 9)
    segmenter = GeodesicSegmenter()
    hints, first = (hints_of(shot, clip, segmenter, most) for most in (None, 1))
    assert [(h.region, h.frame) for h in hints] == [("disc", 1), ("bar", 1), ("disc", 8)]
    source, _ = carry(hints, clip, ClipMotion(clip))
    (told,) = tracks.mended(clip, hints, first, source)
    assert (told.region, told.frame) == ("disc", 9)
    assert told.found > 0.9
    assert told.changed == 0


def test_a_film_that_is_not_there_gives_one_line(tmp_path, capsys):
    assert tracks.main(["--data", str(tmp_path), "--out", str(tmp_path / "out"), "--film", "chaplin"]) == 2
    assert capsys.readouterr().err == (
        f"tracks: {tmp_path / 'old' / 'chaplin'}: no such film; give the folder of test films with --data DIR\n"
    )
    assert tracks.main(["--data", str(tmp_path), "--out", str(tmp_path / "out"), "--film", "metropolis"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("tracks: --film metropolis: nothing was drawn on it; films with regions: ")
    assert said.count("\n") == 1


@pytest.mark.skipif(not (DATA / "old").is_dir(), reason="the test films are not beside the project")
@pytest.mark.parametrize("shot", SHOTS, ids=lambda shot: shot.film)
def test_what_was_drawn_on_old_films_lies_on_their_frames(shot):
    clip = read_shot(DATA, shot)
    assert 36 <= len(clip.frames) <= 50
    assert len(shot.regions) >= 5
    assert len({region.colour for region in shot.regions}) == len(shot.regions)
    hints = hints_of(shot, clip, GeodesicSegmenter())
    assert {hint.region for hint in hints} == {region.name for region in shot.regions}
    assert all(hint.mask.inside.sum() > 150 for hint in hints)
