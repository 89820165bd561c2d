"""What the demonstration shows is laid out rightly; the line itself is tried by `tests/test_whole_line.py`."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np

from bench.contact_sheet import contact_sheet, side_by_side
from bench.demo import Pass, in_two_steps, measured, pictures_of, sheet_rows, table, write_reel
from bench.reel import make_reel, write_hints
from core.decode import open_source
from core.encode import encode, target_for
from core.film.frame import Frame


def test_reel_is_written_without_loss_and_with_its_sound(tmp_path: Path) -> None:
    reel = make_reel(3)
    film = write_reel(reel, tmp_path)
    source = open_source(film)
    clip = source.clip
    source.close()
    assert (clip.count, clip.rate, clip.size, clip.grey) == (9, reel.rate, (360, 480), True)
    assert len(clip.audio) == 1
    assert abs(float(clip.audio[0].seconds) - 9 / 16) < 1 / 16
    assert np.array_equal(np.stack(pictures_of(film))[..., 1], reel.film)


def test_truth_measured_against_itself_is_perfect(tmp_path: Path) -> None:
    reel = make_reel(2)
    flawless = measured(Pass("truth", film=write_colour(reel.truth, tmp_path)), reel)
    assert flawless.psnr_db == 100
    assert flawless.delta_e == 0
    found = measured(Pass("as found", film=write_reel(reel, tmp_path)), reel)
    assert found.psnr_db is not None
    assert found.psnr_db < 25
    assert found.delta_e_hinted is not None
    assert found.delta_e_hinted > 10


def write_colour(truth: np.ndarray, folder: Path) -> Path:
    path = folder / "truth.mkv"
    frames = (Frame(n, p.astype(np.float32) / np.float32(255)) for n, p in enumerate(truth))
    times = [Fraction(n, 16) for n in range(len(truth) + 1)]
    encode(frames, times, truth.shape[1:3], target_for(path, bit_depth=8))
    return path


def test_two_steps_hold_every_hint_once(tmp_path: Path) -> None:
    told = json.loads(write_hints(make_reel(3), tmp_path).read_text("utf-8"))
    (_, many), (_, one) = in_two_steps(told)
    assert [h["id"] for h in many["hints"] + one["hints"]] == [h["id"] for h in told["hints"]]
    for part in (many, one):
        named = {h["region"] for h in part["hints"] if "region" in h}
        assert named <= {r["id"] for r in part["regions"]}


def test_sheet_rows_show_every_shot() -> None:
    rows = sheet_rows((0, 24, 48), 72)
    assert [n for _, n in rows] == [0, 19, 24, 43, 48, 67]
    assert len(sheet_rows(range(0, 400, 10), 400)) <= 6
    assert sheet_rows((0,), 1) == [("shot 1, frame 0", 0)]


def test_contact_sheet_holds_every_picture() -> None:
    red, blue = (np.full((60, 80, 3), c, np.uint8) for c in ((200, 0, 0), (0, 0, 200)))
    sheet = contact_sheet([("one", [red, blue]), ("two", [blue, red])], ["a", "b"], width=80)
    for colour in ((200, 0, 0), (0, 0, 200)):
        assert (sheet == colour).all(axis=2).sum() >= 2 * 60 * 80 - 10


def test_side_by_side_keeps_the_pictures_under_their_titles() -> None:
    red = np.full((120, 160, 3), (200, 0, 0), np.uint8)
    row = side_by_side([red, red], ["left", "right"])
    assert row.shape == (120, 320, 3)
    assert (row[60:] == (200, 0, 0)).all()


def test_table_has_a_line_for_each_pass() -> None:
    facts = {"frames": 72, "seconds": 3.25, "rendered": {"colourise": 24}, "reused": {"colourise": 48}}
    text = table(
        [
            Pass("as found", psnr_db=17.0, delta_e=19.0, delta_e_hinted=28.0),
            Pass("hints", facts, Path(), 25.0, 8.0, 5.0),
        ]
    )
    head, found, hints = text.strip("\n").split("\n")
    assert "colourise made/kept" in head
    assert "24/48" in hints
    assert "25.00" in hints
    assert "17.00" in found
    assert len({len(line) for line in (head, found, hints)}) == 1
