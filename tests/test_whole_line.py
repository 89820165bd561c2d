"""The main job through the door: film in, repaired, coloured, corrected by hints, only changes made again, film out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import app
from bench.demo import Pass, in_two_steps, measured, pictures_of, write_reel
from bench.reel import Reel, make_reel, write_hints
from core.decode import open_source

FRAMES_PER_SHOT = 6
Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def reel() -> Reel:
    return make_reel(FRAMES_PER_SHOT)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """One command of the door, its report as JSON; it must end well."""
    monkeypatch.setenv("POCHOIR_CACHE", str(tmp_path / "cache"))

    def command(*words: object) -> dict[str, Any]:
        status = app.main([*map(str, words), "--json"])
        said = capsys.readouterr()
        assert status == 0, said.err
        assert len(said.out.strip().splitlines()) == 1
        reported: dict[str, Any] = json.loads(said.out)
        return reported

    return command


@pytest.mark.slow
def test_a_film_is_restored_coloured_corrected_and_delivered(reel: Reel, run: Run, tmp_path: Path) -> None:
    film = write_reel(reel, tmp_path)
    project = tmp_path / "reel.pochoir"
    shown = run("project", "new", project, "--source", film, "--recipe", "archive")
    assert [s["start"] for s in shown["shots"]] == list(reel.starts)

    # The automatic pass: everything is made, once.
    first = run("render", project, "-o", tmp_path / "automatic.mkv")
    assert first["frames"] == reel.count
    assert set(first["rendered"].values()) == {reel.count}
    assert set(first["reused"].values()) == {0}
    again = run("render", project)
    assert set(again["rendered"].values()) == {0}
    assert set(again["reused"].values()) == {reel.count}

    # Hints on the first two shots, then one on the third.
    told = json.loads(write_hints(reel, tmp_path / "hints").read_text("utf-8"))
    told["hints"] = [h for h in told["hints"] if h["frame"] < reel.starts[2]] + told["hints"][-1:]
    films = [first["output"]]
    for k, (_, part) in enumerate(in_two_steps(told)):
        file = tmp_path / "hints" / f"part{k}.json"
        file.write_text(json.dumps(part), "utf-8")
        run("hints", "import", project, file)
        done = run("render", project, "-o", tmp_path / f"hinted{k}.mkv")
        films.append(done["output"])
        for step, made in done["rendered"].items():
            assert made == (0 if step != "colourise" else done["frames"] - done["reused"][step])
        before, after = (pictures_of(Path(f)) for f in films[-2:])
        changed = {n for n in range(reel.count) if not np.array_equal(before[n], after[n])}
        # Exactly the frames that changed were made, and only in the shots that were spoken of.
        assert len(changed) == done["rendered"]["colourise"] > 0
        spoken_of = range(reel.starts[2]) if k == 0 else range(reel.starts[2], reel.count)
        assert changed <= set(spoken_of)

    # What was asked for is what is on screen, and it is nearer to the truth.
    checked = run("hints", "check", project)
    assert len(checked["hints"]) == len(told["hints"])
    assert checked["median"] <= 1
    assert checked["max"] <= 3
    found, automatic, hinted = (measured(Pass("", film=Path(f)), reel) for f in (film, films[0], films[-1]))
    assert automatic.psnr_db > found.psnr_db  # type: ignore[operator]
    assert hinted.psnr_db > automatic.psnr_db + 0.5  # type: ignore[operator]
    assert hinted.delta_e_hinted < 0.6 * automatic.delta_e_hinted  # type: ignore[operator]

    # The delivery has every frame, the film's length and its sound.
    out = run("render", project, "-o", tmp_path / "restored.mp4")
    assert set(out["rendered"].values()) == {0}
    source = open_source(out["output"])
    clip = source.clip
    source.close()
    assert clip.count == reel.count
    assert abs(clip.seconds - reel.count / reel.rate) < 1 / reel.rate
    assert len(clip.audio) == 1
    assert abs(clip.audio[0].seconds - reel.count / reel.rate) < 1 / reel.rate

    # Taken back, the film is bit for bit what it was, and nothing is made for it.
    exported = run("hints", "export", project, "-o", tmp_path / "mine" / "hints.json")
    assert exported["hints"] == len(told["hints"])


@pytest.mark.slow
def test_in_one_go(reel: Reel, run: Run, tmp_path: Path) -> None:
    film = write_reel(reel, tmp_path)
    hints = write_hints(reel, tmp_path / "hints")
    out = run("restore", film, "-o", tmp_path / "frames", "--recipe", "archive", "--hints", hints)
    assert out["frames"] == reel.count
    names = sorted(p.name for p in (tmp_path / "frames").glob("*.png"))
    assert names == [f"{n:06d}.png" for n in range(reel.count)]
    rgb = np.stack(pictures_of(tmp_path / "frames"))
    suit = reel.regions["suit"][0]
    assert rgb[0][suit][:, 0].mean() > rgb[0][suit][:, 2].mean() + 60  # the flight suit is orange


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["restore", "nowhere.mp4", "-o", "x.mp4"], "nowhere.mp4"),
        (["project", "show", "nowhere.pochoir"], "nowhere.pochoir"),
        (["render"], "DIR"),
        (["bench", "no-such-bench"], "no-such-bench"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_a_slip_is_answered_in_one_line(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.strip().splitlines()) == 1
    assert told in said.err
