"""The command line's contract: exit status, one line of complaint, JSON alone on stdout, resuming after a kill."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import app
from core.models.card import CARDS
from core.models.compact_net import CompactNet
from studio.cli import parser

HERE = Path(app.__file__).parent
H, W = 48, 64
WAIT = 120.0


def picture(n, shot):
    """A grey picture with texture that pans; the second shot is another place  [(H, W) uint8]."""
    rng = np.random.default_rng(7 + shot)
    wide = cv2.GaussianBlur(rng.uniform(0, 255, (H, W + 40)).astype(np.float32), (0, 0), 3)
    wide = (wide - wide.min()) / np.ptp(wide) * 200 + 28
    part = wide[:, n : n + W].copy()
    cv2.rectangle(part, (8 + n, 12), (24 + n, 36), 190.0 - 60 * shot, -1)
    return np.clip(part, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Twelve frames, a cut at 6, as PNG files."""
    folder = tmp_path_factory.mktemp("films") / "film"
    folder.mkdir()
    for n in range(12):
        cv2.imwrite(str(folder / f"frame_{n:04d}.png"), picture(n % 6, n // 6))
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("POCHOIR_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys):
    """Runs a command in this process; gives its status, stdout and the lines of stderr that are not progress."""

    def run(*args):
        status = app.main([str(a) for a in args])
        out, err = capsys.readouterr()
        lines = [line.split("\r")[-1].strip() for line in err.splitlines()]
        return status, out, [line for line in lines if line.startswith("pochoir:")]

    return run


def told(run, *args):
    """The JSON object that a command that must succeed writes, alone, on stdout."""
    status, out, complaints = run(*args, "--json")
    assert (status, complaints) == (0, [])
    assert out.count("\n") == 1
    return json.loads(out)


def pngs(folder):
    return {p.name: p.read_bytes() for p in sorted(Path(folder).glob("*.png"))}


def write(path, text):
    Path(path).write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["frobnicate"], "invalid choice: 'frobnicate'"),
        (["restore"], "SOURCE, -o/--out; see: app.py restore --help"),
        (["restore", "nothere.mp4", "-o", "x.mp4"], "nothere.mp4: no such file"),
        (["restore", "text.mp4", "-o", "x.mp4"], "text.mp4: not a film"),
        (["restore", "empty", "-o", "x.mp4"], "empty"),
        (["restore", "FILM", "-o", "x.avi"], "output 'x.avi': known are .mp4"),
        (["restore", "FILM", "-o", "FILM", "--recipe", "colour"], "is the film itself"),
        (["restore", "FILM", "-o", "text.mp4/x.mp4", "--recipe", "colour"], "cannot be written"),
        (
            ["restore", "FILM", "-o", "x.mp4", "--recipe", "nonsense"],
            "recipe 'nonsense': neither a file nor one of auto",
        ),
        (["restore", "FILM", "-o", "x.mp4", "--recipe", "broken.json"], "broken.json: recipe: expected"),
        (["restore", "FILM", "-o", "x.mp4", "--recipe", "unknown.json"], "unknown stage 'sharpen'; known:"),
        (["restore", "FILM", "-o", "x.mp4", "--recipe", "bounds.json"], "parameter 'steady'"),
        (["restore", "FILM", "-o", "x.mp4", "--recipe", "grey.json", "--hints", "h.json"], "does not colour the film"),
        (["restore", "FILM", "-o", "x.mp4", "--fps", "zero"], "frame rate 'zero'"),
        (["restore", "FILM", "-o", "x.mp4", "--recipe", "colour", "--size", "big"], "big"),
        (["restore", "FILM", "-o", "x.mp4", "--source-fps", "-3", "--recipe", "colour"], "frame rate '-3'"),
        (["restore", "FILM", "-o", "x.mp4", "--recipe", "colour", "--colouriser", "nobody"], "colouriser 'nobody'"),
        (["restore", "FILM", "-o", "x.mp4", "--recipe", "colour", "--device", "tpu"], "device 'tpu'"),
        (["restore", "FILM", "-o", "x.mp4", "--recipe", "colour", "--hints", "none.json"], "none.json: cannot be read"),
        (
            ["restore", "FILM", "-o", "x.mp4", "--recipe", "colour", "--hints", "far.json"],
            "hint z: frame 40 is outside",
        ),
        (["restore", "FILM", "-o", "x.mp4", "--process-order", "DAIN", "RIFE"], "names the step 'interpolate' twice"),
        (["restore", "FILM", "-o", "x.mp4", "--engine", "ray"], "engine 'ray': not yet; use --engine local"),
        (["analyse", "nothere"], "nothere: no such file"),
        (["project", "new", "x.pochoir", "--source", "nothere.mp4"], "nothere.mp4: no such file"),
        (["project", "new", "a/b/x.pochoir", "--source", "FILM"], "there is no folder"),
        (["project", "show", "FILM"], "not a Pochoir project"),
        (["project", "show", "foreign"], "not a readable Pochoir project"),
        (["render", "nothere.pochoir"], "not a Pochoir project"),
        (["hints", "export", "nothere.pochoir", "-o", "h.json"], "not a Pochoir project"),
        (["models", "fetch", "nobody"], "unknown model 'nobody'; known:"),
        (["bench", "nonsense"], "nonsense"),
        (["studio", "nothere.pochoir"], "nothere.pochoir"),
    ],
)
def test_wrong_input_is_one_clear_line_and_status_2(run, film, tmp_path, args, said):
    write("text.mp4", "hello")
    Path("empty").mkdir()
    Path("foreign").mkdir()
    write("foreign/project.db", "no database")
    write("broken.json", '{"steps": 3}')
    write("unknown.json", '{"steps": [{"stage": "sharpen"}]}')
    write("bounds.json", '{"steps": [{"stage": "colourise", "params": {"steady": 99}}]}')
    write("grey.json", '{"steps": [{"stage": "dedust"}]}')
    write("h.json", '{"version": 1, "hints": []}')
    write("far.json", '{"version": 1, "hints": [{"id": "z", "frame": 40, "kind": "point"}]}')
    before = {p.name for p in tmp_path.iterdir()}
    films = sorted(p.name for p in film.iterdir())
    status, out, complaints = run(*[str(film) if a == "FILM" else a for a in args])
    assert (status, out) == (2, "")
    assert len(complaints) == 1
    assert said in complaints[0]
    assert {p.name for p in tmp_path.iterdir()} <= before | {"cache"}, "something was left behind"
    assert sorted(p.name for p in film.iterdir()) == films


def test_restoring_a_film_to_a_file_and_to_frames(run, film):
    first = told(run, "restore", film, "-o", "out", "--recipe", "colour", "--source-fps", "16")
    assert (first["frames"], first["rendered"], first["output"]) == (12, {"colourise": 12}, "out")
    frames = pngs("out")
    assert list(frames) == [f"{n:06d}.png" for n in range(12)]
    shown = cv2.imread("out/000003.png")
    assert np.ptp(shown.astype(int), axis=-1).mean() > 1  # it is coloured
    second = told(run, "restore", film, "-o", "film.mkv", "--recipe", "colour", "--source-fps", "16")
    assert second["rendered"] == {"colourise": 0}
    assert second["reused"] == {"colourise": 12}
    report = told(run, "analyse", "film.mkv")
    assert json.dumps(report)


def test_auto_is_what_the_analysis_recommends(run, film):
    made = told(run, "project", "new", "a.pochoir", "--source", film)
    assert made["analysis"]
    assert made["recipe"]["steps"]
    done = told(run, "restore", film, "-o", "out")
    assert done["frames"] >= 12
    assert set(done["rendered"]) == {step["stage"] for step in made["recipe"]["steps"] if step["on"]}


def test_a_project_is_shown_whatever_its_hints_reach(run, film, monkeypatch):
    monkeypatch.setenv("POCHOIR_PRECISION", "float32")  # else each command chooses anew, by time, and keys differ
    told(run, "project", "new", "a.pochoir", "--source", film, "--recipe", "colour", "--source-fps", "16")
    Path("masks").mkdir()
    inside = np.zeros((48, 64), np.uint8)
    inside[12:36, 10:30] = 255
    cv2.imwrite("masks/m.png", inside)
    cv2.imwrite("still.png", cv2.applyColorMap(picture(2, 1), cv2.COLORMAP_AUTUMN))
    region = {"id": "coat", "name": "Coat", "colour": "#4b5a3c"}
    hints = [
        {"id": "one", "frame": 8, "kind": "region", "region": "coat", "mask": "masks/m.png", "span": [8, 9]},
        {"id": "still", "frame": 9, "kind": "reference", "image": "still.png", "span": [9, 10]},
        {"id": "kept", "frame": 8, "kind": "lock", "mask": "masks/m.png", "span": [8, 9]},
    ]
    for count in (1, 3):
        write("h.json", json.dumps({"version": 1, "regions": [region], "hints": hints[:count]}))
        told(run, "hints", "import", "a.pochoir", "h.json")
        shown = told(run, "project", "show", "a.pochoir")["shots"]
        # Of the still nobody knows yet whether it shows its frame; of a mask on its own frame all is known.
        assert {shot["at_most"] for shot in shown} == {count > 1}
    told(run, "render", "a.pochoir", "-o", "out")
    shown = told(run, "project", "show", "a.pochoir")["shots"]
    assert [(shot["at_most"], shot["stale"]) for shot in shown] == [(False, 0), (False, 0)]


def test_a_project_from_beginning_to_end(run, film):
    made = told(run, "project", "new", "a.pochoir", "--source", film, "--recipe", "colour", "--source-fps", "16")
    assert [(s["start"], s["stop"]) for s in made["shots"]] == [(0, 6), (6, 12)]
    told(run, "render", "a.pochoir", "-o", "before")

    write(
        "hints.json",
        '{"version": 1, "hints": [{"id": "h1", "frame": 8, "kind": "point", "colour": "#c03020",'
        ' "xy": [16, 24], "radius": 4, "span": [7, 10], "note": "kept"}]}',
    )
    assert told(run, "hints", "import", "a.pochoir", "hints.json") == {"imported": 1, "hints": 1}
    after = told(run, "render", "a.pochoir", "-o", "after")
    changed = {name for name, data in pngs("after").items() if data != pngs("before")[name]}
    assert changed == {f"{n:06d}.png" for n in range(7, 10)}
    assert after["rendered"] == {"colourise": len(changed)}
    assert after["reused"] == {"colourise": 12 - len(changed)}

    checked = told(run, "hints", "check", "a.pochoir")
    assert [(row["id"], row["frame"]) for row in checked["hints"]] == [("h1", 8)]
    assert checked["median"] <= 1
    assert checked["max"] <= 3
    told(run, "hints", "export", "a.pochoir", "-o", "said/hints.json")
    assert json.loads(Path("said/hints.json").read_text())["hints"][0]["note"] == "kept"

    part = told(run, "render", "a.pochoir", "-o", "part", "--frames", "7:9")
    assert list(pngs("part").values()) == [pngs("after")[f"{n:06d}.png"] for n in (7, 8)]
    assert part["frames"] == 2
    assert told(run, "render", "a.pochoir", "--preview", "-o", "small")["frames"] == 12

    shown = told(run, "project", "cuts", "a.pochoir", "--add", "3", "--remove", "6")
    assert [(s["start"], s["begins"]) for s in shown["shots"]] == [(0, "start"), (3, "hand")]
    status, _, complaints = run("project", "cuts", "a.pochoir", "--add", "5", "99")
    assert (status, len(complaints)) == (2, 1)
    assert told(run, "project", "show", "a.pochoir")["shots"] == shown["shots"]

    for args, said in (
        (["project", "new", "a.pochoir", "--source", film], "a project already"),
        (["render", "a.pochoir", "--frames", "5:99"], "frames '5:99': the film has frames 0:12"),
        (["render", "a.pochoir", "-o", "x.gif"], "output 'x.gif'"),
        (["hints", "import", "a.pochoir", "nothere.json"], "nothere.json: cannot be read"),
    ):
        status, out, complaints = run(*args)
        assert (status, out) == (2, "")
        assert said in complaints[0]


def test_restore_in_a_project_keeps_what_was_chosen_there(run, film):
    args = ("restore", film, "-o", "out", "--project", "a.pochoir")
    first = told(run, *args, "--recipe", "colour", "--source-fps", "16")
    assert first["rendered"] == {"colourise": 12}
    again = told(run, *args)
    assert again["rendered"] == {"colourise": 0}
    other = Path("other")
    shutil.copytree(film, other)
    cv2.imwrite(str(other / "frame_0003.png"), picture(0, 1))
    status, _, complaints = run("restore", other, "-o", "out", "--project", "a.pochoir")
    assert status == 2
    assert "not the film this project was made of" in complaints[0]


def test_a_project_of_a_newer_program_is_refused(run, film):
    told(run, "project", "new", "a.pochoir", "--source", film, "--recipe", "colour")
    with sqlite3.connect("a.pochoir/project.db") as db:
        db.execute("INSERT INTO migrations VALUES (99, 'future', '')")
    db.close()
    status, _, complaints = run("project", "show", "a.pochoir")
    assert status == 2
    assert "newer Pochoir" in complaints[0]


def test_models_and_doctor_report(run, monkeypatch):
    monkeypatch.setenv("POCHOIR_MODELS", "shelf")
    listed = {m["id"]: m for m in told(run, "models", "list")["models"]}
    assert {"embedded", "deoldify"} <= listed.keys()
    assert listed["deoldify"]["state"] == "missing"
    status, _, complaints = run("models", "fetch", "raft-small")
    assert status == 2
    assert "get raft-small.pth at https://github.com/princeton-vl/RAFT" in complaints[0]
    assert [m["id"] for m in told(run, "models", "verify")["models"]] == ["embedded"]
    examined = app.main(["doctor", "--json"])
    assert examined in (0, 1)


def test_the_list_says_what_is_used_instead_and_how_to_get_it(run, monkeypatch):
    monkeypatch.setenv("POCHOIR_MODELS", "shelf")
    status, out, _ = run("models", "list")
    assert status == 0
    lines = out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("realesrgan-x4 "))
    assert lines[at + 1].strip() == "until it is here, choose by 'lanczos' instead"
    assert lines[at + 2].strip().endswith("/v0.1.0/RealESRGAN_x4plus.pth: models fetch realesrgan-x4")
    at = next(i for i, line in enumerate(lines) if line.startswith("edvr "))
    assert lines[at + 2].strip().endswith("then models import EDVR_M_x4_SR_REDS_official-32075921.pth")
    assert not any(line.strip().startswith("for: ") for line in lines)


def test_of_one_model_all_is_told_that_its_card_says(run, monkeypatch):
    monkeypatch.setenv("POCHOIR_MODELS", "shelf")
    status, out, _ = run("models", "list", "deoldify")
    lines = [line.strip() for line in out.splitlines()]
    assert status == 0
    assert [line.split(":")[0] for line in lines[2:7]] == ["for", "not for", "takes", "size", "described in"]
    assert lines[5] == "size: 218.5 million parameters, about 874 MB"
    assert told(run, "models", "list", "deoldify")["models"][0]["use"]["takes"].startswith("luma of one frame")
    _, out, _ = run("models", "list", "--long")
    assert sum(line.strip().startswith("not for: ") for line in out.splitlines()) == len(CARDS)
    assert "size: 16.7 million parameters, 67 MB" in out  # of a file whose size is known
    status, _, complaints = run("models", "list", "nobody")
    assert (status, len(complaints)) == (2, 1)
    assert "unknown model 'nobody'; known: embedded" in complaints[0]


def test_a_checkpoint_is_imported_verified_and_used(run, monkeypatch):
    monkeypatch.setenv("POCHOIR_MODELS", "shelf")
    torch.manual_seed(1)
    torch.save({"params": CompactNet(16).state_dict()}, "found.pth")
    taken = told(run, "models", "import", "found.pth", "--as", "realesr-animevideo")
    assert (taken["id"], taken["path"]) == ("realesr-animevideo", "shelf/realesr-animevideov3.safetensors")
    rows = {m["id"]: m for m in told(run, "models", "verify")["models"]}
    # Its hash is not that of the published one: weights like these are drawn, not trained.
    assert rows["realesr-animevideo"]["as_published"] is False
    assert rows["realesr-animevideo"]["as_taken_in"] is True
    assert rows["realesr-animevideo"]["fault"] is None
    listed = {m["id"]: m for m in told(run, "models", "list")["models"]}
    assert listed["realesr-animevideo"]["state"] == "ready"
    assert told(run, "models", "fetch", "realesr-animevideo")["fetched"] is False
    Path("shelf/realesr-animevideov3.safetensors").write_bytes(b"damaged")
    status, out, _ = run("models", "verify")
    assert status == 1
    assert any(line.startswith("realesr-animevideo") and "is not a checkpoint" in line for line in out.splitlines())
    status, _, complaints = run("models", "import", "shelf")
    assert (status, len(complaints)) == (2, 1)
    assert "shelf: is a folder" in complaints[0]


def child(*args):
    """A command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, str(HERE / "app.py"), *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # Tests that run in a shell's background are started deaf to it, and so would this be.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for(condition, process):
    deadline = time.monotonic() + WAIT
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.005)


def test_help_is_answered_without_importing_the_work():
    script = (
        "import sys, app\n"
        "try:\n    app.main(['restore', '--help'])\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "assert app.main(['restore']) == 2\n"
        "print({'torch', 'gradio', 'av', 'cv2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=HERE, check=True)
    assert "SOURCE" in done.stdout
    assert done.stdout.splitlines()[-1] == "set()"


def test_a_restore_killed_in_the_middle_goes_on_where_it_was(run, film, tmp_path, monkeypatch):
    args = ("restore", film, "-o", "out", "--recipe", "colour")
    killed = child(*args)
    wait_for(lambda: Path("out/000003.png").exists(), killed)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    there = len(pngs("out"))
    assert 4 <= there < 12, "it was killed too late to tell"

    resumed = told(run, *args)
    assert resumed["reused"]["colourise"] >= 4
    assert resumed["rendered"]["colourise"] == 12 - resumed["reused"]["colourise"]
    monkeypatch.setenv("POCHOIR_CACHE", str(tmp_path / "fresh"))
    whole = told(run, "restore", film, "-o", "whole", "--recipe", "colour")
    assert whole["rendered"] == {"colourise": 12}
    assert pngs("out") == pngs("whole")


def test_ctrl_c_stops_with_everything_kept(run, film):
    told(run, "project", "new", "a.pochoir", "--source", film, "--recipe", "colour")
    stopped = child("render", "a.pochoir", "-o", "out")
    wait_for(lambda: Path("out/000002.png").exists(), stopped)
    stopped.send_signal(signal.SIGINT)
    out, err = stopped.communicate(timeout=WAIT)
    assert stopped.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert "everything finished so far is kept" in err
    assert not list(Path("out").glob(".*")), "a half file was left"
    resumed = told(run, "render", "a.pochoir", "-o", "out")
    assert resumed["reused"]["colourise"] >= 3


def test_every_command_of_the_contract_has_help():
    top = parser()
    text = top.format_help()
    for command in ("studio", "restore", "analyse", "project", "hints", "render", "models", "bench", "doctor"):
        assert command in text
        with pytest.raises(SystemExit) as end:
            top.parse_args([command, "--help"])
        assert end.value.code == 0


# --- where nobody reads -------------------------------------------------------------------------------------------

# An answer that has many lines, and one that the grammar itself gives.
SAYING = (["models", "list", "--json"], ["--help"])


def alone(args, stdout):
    """A command in a process of its own, whose stdout goes there: its status and what it says on stderr."""
    done = subprocess.run(
        [sys.executable, str(HERE / "app.py"), *args], stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=WAIT
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("args", SAYING, ids=" ".join)
def test_whoever_has_read_enough_hears_no_complaint(args):
    reads, writes = os.pipe()
    os.close(reads)
    try:
        assert alone(args, writes) == (0, "")
    finally:
        os.close(writes)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no /dev/full")
@pytest.mark.parametrize("args", SAYING, ids=" ".join)
def test_an_answer_that_cannot_be_written_is_one_line(args):
    with Path("/dev/full").open("w") as full:
        assert alone(args, full) == (1, "pochoir: stdout: No space left on device; send it to another place\n")


def test_a_complaint_that_nobody_hears_keeps_its_status(monkeypatch):
    class Gone:
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    assert app.main(["nonsense"]) == 2
