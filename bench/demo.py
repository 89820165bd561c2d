"""``make demo``: the whole line on a film it makes itself, or on yours; no download.

    python -m bench.demo [--film PATH [--hints FILE] [--frames N]] [-o FOLDER] [--picture FILE]

Everything that is done to the film is done by the real command line, as a person or a script would do it.
What is measured is measured on the frames it wrote, against the truth that the reel was made from.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.contact_sheet import contact_sheet, side_by_side
from bench.metrics import mean_delta_e, psnr, to_8bit
from bench.reel import Reel, make_reel, write_hints, write_sound
from core.decode import open_source
from core.encode import encode, target_for
from core.errors import PochoirError
from core.film.clip import AudioTrack, Clip
from core.film.colour import srgb_to_lab
from core.film.frame import Frame
from core.film.timebase import FrameRange

ROOT = Path(__file__).resolve().parent.parent
Pictures = NDArray[np.uint8]
# On a film of one's own the demo shows the beginning; the whole film is `app.py restore`.
FRAMES_OF_A_FILM = 96


@dataclass(frozen=True)
class Pass:
    """One render of the project and what came of it.

    Attributes:
        name: what was said before it.
        facts: what ``render --json`` reports.
        film: the lossless file it wrote.
        psnr_db, delta_e, delta_e_hinted: against the truth; the last one inside hinted regions alone.
    """

    name: str
    facts: dict[str, Any] = field(default_factory=dict)
    film: Path = Path()
    psnr_db: float | None = None
    delta_e: float | None = None
    delta_e_hinted: float | None = None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demonstration; exit status as that of the command line."""
    parser = argparse.ArgumentParser(prog="bench.demo", description=__doc__.split("\n")[0])
    parser.add_argument("--film", type=Path, help="a film of your own; without it, a reel is made")
    parser.add_argument("--hints", type=Path, help="with --film: a hints file to correct its colours by")
    parser.add_argument("--frames", type=int, default=FRAMES_OF_A_FILM, help="with --film: how many from its start")
    parser.add_argument("-o", "--out", type=Path, default=Path("demo"), help="folder for what is made; default demo")
    parser.add_argument("--picture", type=Path, help="of the reel: also a small picture, as in the README")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    try:
        if args.film is None:
            on_the_reel(args.out, args.picture)
        else:
            on_a_film(args.film, args.out, args.frames, args.hints)
    except PochoirError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        return int(error.returncode)
    return 0


def on_the_reel(out: Path, picture: Path | None = None) -> None:
    """Make the reel, restore it, correct it in two steps, measure each, and show it."""
    began = time.monotonic()
    say("making the reel: three shots in clean colour, made grey, aged")
    reel = make_reel()
    film = write_reel(reel, out)
    hints = write_hints(reel, out / "hints")
    project = new_project(film, out)

    say("automatic pass: repair and colour, nobody has said anything yet")
    passes = [measured(rendered("automatic", project, out / "automatic.mkv"), reel)]
    told = json.loads(hints.read_text("utf-8"))
    for name, part in in_two_steps(told):
        file = hints.with_name(f"{name.replace(' ', '_')}.json")
        file.write_text(json.dumps(part, indent=1, ensure_ascii=False), "utf-8")
        app("hints", "import", str(project), str(file))
        say(f"again, {name}: only what they touch")
        passes.append(measured(rendered(name, project, out / f"{file.stem}.mkv"), reel))
    checked = app("hints", "check", str(project))
    restored = out / "restored.mp4"
    app("render", str(project), "-o", str(restored))

    found, before, after = (pictures_of(p) for p in (film, passes[0].film, passes[-1].film))
    truth = list(reel.truth)
    show_video(out / "before_after.mp4", [found, before, after], ["as found", "automatic", "with hints"], film)
    rows = [
        (words, [of[n] for of in (found, before, after, truth)]) for words, n in sheet_rows(reel.starts, reel.count)
    ]
    titles = ["as found", "automatic", "with hints", "truth"]
    show_sheet(out / "contact_sheet.png", rows, titles)
    if picture is not None:
        small = contact_sheet([("", pictures) for _, pictures in rows[1::2]], titles, width=300)
        Image.fromarray(small).save(picture, quality=84, optimize=True)
    scanned = measured(Pass("as found", film=film), reel)
    print(table([scanned, *passes]))
    print(told_of_hints(checked, before, after, pictures_of(passes[1].film)))
    print(f"\n{time.monotonic() - began:.0f} seconds in all. Look at:")
    for path in (out / "contact_sheet.png", out / "before_after.mp4", restored):
        print(f"  {path}")
    print(f"and open it: python app.py studio {project}")


def on_a_film(film: Path, out: Path, frames: int, hints: Path | None) -> None:
    """The same on somebody's film: there is no truth, so there are pictures and counts."""
    source = open_source(film)
    count = min(source.clip.count, frames)
    source.close()
    project = new_project(film, out)
    shots = app("project", "show", str(project))["shots"]
    span = ("--frames", f"0:{count}")
    say(f"automatic pass on frames 0:{count}")
    passes = [rendered("automatic", project, out / "automatic.mkv", *span)]
    if hints is not None:
        app("hints", "import", str(project), str(hints))
        say("again, with your hints: only what they touch")
        passes.append(rendered("with hints", project, out / "with_hints.mkv", *span))
    restored = out / "restored.mp4"
    app("render", str(project), "-o", str(restored), *span)
    columns = [pictures_of(film, count), *(pictures_of(p.film) for p in passes)]
    titles = ["as found", *(p.name for p in passes)]
    starts = tuple(s["start"] for s in shots if s["start"] < count)
    rows = [(words, [of[n] for of in columns]) for words, n in sheet_rows(starts, count)]
    show_sheet(out / "contact_sheet.png", rows, titles)
    show_video(out / "before_after.mp4", columns, titles, film)
    print(table(passes))
    print("\nLook at:")
    for path in (out / "contact_sheet.png", out / "before_after.mp4", restored):
        print(f"  {path}")
    if hints is None:
        print(f"Correct its colours: python app.py studio {project}")


# -- the real command line -----------------------------------------------------------------------------


def app(*words: str) -> dict[str, Any]:
    """Run one command of ``app.py`` and give what it reports.

    Raises:
        CalledProcessError: it failed; it has said why on stderr.
    """
    command = [sys.executable, str(ROOT / "app.py"), *words, "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    reported: dict[str, Any] = json.loads(done.stdout)
    return reported


def new_project(film: Path, out: Path) -> Path:
    """A fresh project beside what is shown, with the steps that keep size and frame rate."""
    project = out / f"{film.stem}.pochoir"
    if (project / "project.db").exists():
        shutil.rmtree(project)  # of an earlier demonstration; the film and the results are not in it
    app("project", "new", str(project), "--source", str(film), "--recipe", "archive")
    return project


def rendered(name: str, project: Path, film: Path, *more: str) -> Pass:
    """Bring the project up to date and write it without loss."""
    return Pass(name, app("render", str(project), "-o", str(film), *more), film)


# -- the reel ------------------------------------------------------------------------------------------


def write_reel(reel: Reel, out: Path) -> Path:
    """Write the reel as a film file with its sound, lossless."""
    path, sound = out / "reel.mkv", out / "reel.mka"
    write_sound(reel, sound)
    frames = (Frame(n, grey_picture(plane)) for n, plane in enumerate(reel.film))
    times = [Fraction(n) / reel.rate for n in range(reel.count + 1)]
    height, width = reel.film.shape[1:]
    track = AudioTrack(0, "pcm_s16le", 48000, 1, times[-1])
    heard = Clip(
        str(sound.resolve()), "video", "", width, height, reel.rate, 1 / reel.rate, tuple(range(reel.count)),
        reel.count, audio=(track,),
    )  # fmt: skip
    encode(frames, times, (height, width), target_for(path, bit_depth=8), sound_from=heard)
    sound.unlink()
    return path


def grey_picture(plane: Pictures) -> NDArray[np.float32]:
    """A grey plane as a picture  [(h, w, 3) float32 [0, 1]]."""
    return np.repeat(plane[..., None], 3, axis=2).astype(np.float32) / np.float32(255)


def in_two_steps(told: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """All hints but the last, then the last alone: the second step shows how little it costs to change one."""
    many, one = told["hints"][:-1], told["hints"][-1:]
    named = {one[0].get("region")}
    first = [r for r in told["regions"] if r["id"] not in named]
    last = [r for r in told["regions"] if r["id"] in named]
    return [
        (f"{len(many)} hints", {**told, "regions": first, "hints": many}),
        ("1 more hint", {**told, "regions": last, "hints": one}),
    ]


def measured(done: Pass, reel: Reel) -> Pass:
    """The pass with its distance from the truth, mean over all frames."""
    hinted = np.any(list(reel.regions.values()), axis=0)
    rows = []
    for n, rgb in enumerate(pictures_of(done.film)):
        lab, lab_truth = (srgb_to_lab(p.astype(np.float32) / np.float32(255)) for p in (rgb, reel.truth[n]))
        rows.append((psnr(rgb, reel.truth[n]), mean_delta_e(lab, lab_truth), mean_delta_e(lab, lab_truth, hinted[n])))
    means = np.nanmean(np.array(rows), axis=0)
    return replace(done, psnr_db=float(means[0]), delta_e=float(means[1]), delta_e_hinted=float(means[2]))


# -- what is shown -------------------------------------------------------------------------------------


def pictures_of(film: Path, count: int | None = None) -> list[Pictures]:
    """A film's frames as 8-bit pictures."""
    source = open_source(film)
    try:
        span = FrameRange(0, min(count or source.clip.count, source.clip.count))
        return [to_8bit(frame.rgb) for frame in source.frames(span)]
    finally:
        source.close()


def sheet_rows(starts: Sequence[int], count: int) -> list[tuple[str, int]]:
    """Frames worth showing: the first and a late one of each shot, six rows at most."""
    stops = [*starts[1:], count]
    places = []
    for shot, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        for n in dict.fromkeys((start, start + (stop - start) * 4 // 5)):
            places.append((f"shot {shot + 1}, frame {n}", n))
    step = max(1, -(-len(places) // 6))
    return places[::step]


def show_sheet(path: Path, rows: Sequence[tuple[str, Sequence[Pictures]]], titles: Sequence[str]) -> None:
    """Write a contact sheet."""
    Image.fromarray(contact_sheet(rows, titles)).save(path, optimize=True)


def show_video(path: Path, columns: Sequence[Sequence[Pictures]], titles: Sequence[str], film: Path) -> None:
    """Write columns side by side as a film, with the sound of the source."""
    source = open_source(film)
    source.close()
    clip = source.clip
    count = min(len(c) for c in columns)

    def frames() -> Iterator[Frame]:
        for n in range(count):
            row = side_by_side([c[n] for c in columns], titles)
            row = row[: row.shape[0] // 2 * 2, : row.shape[1] // 2 * 2]
            yield Frame(n, row.astype(np.float32) / np.float32(255))

    height, width = (2 * (side // 2) for side in side_by_side([c[0] for c in columns]).shape[:2])
    times = [clip.time(n) for n in range(count + 1)]
    encode(frames(), times, (height, width), target_for(path, bit_depth=8), sound_from=clip)


def table(passes: Sequence[Pass]) -> str:
    """What each pass cost and gave."""
    steps = list(dict.fromkeys(name for p in passes for name in p.facts.get("rendered", {})))
    head = ["", "frames", "seconds", *(f"{s} made/kept" for s in steps)]
    with_truth = passes[0].psnr_db is not None
    head += ["PSNR dB", "ΔE2000", "ΔE hinted"] if with_truth else []
    rows = [head]
    for p in passes:
        made, kept = p.facts.get("rendered", {}), p.facts.get("reused", {})
        row = [p.name, str(p.facts.get("frames", "")), f"{p.facts['seconds']:.1f}" if p.facts else ""]
        row += [f"{made[s]}/{kept[s]}" if s in made else "" for s in steps]
        if with_truth:
            row += [f"{p.psnr_db:.2f}", f"{p.delta_e:.2f}", f"{p.delta_e_hinted:.2f}"]
        rows.append(row)
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n" + "\n".join(lines)


def told_of_hints(
    checked: dict[str, Any], before: list[Pictures], after: list[Pictures], between: list[Pictures]
) -> str:
    """Whether hints got what they asked for, and how many frames the last one left as they were."""
    same = sum(np.array_equal(a, b) for a, b in zip(between, after, strict=True))
    return (
        f"\nasked for against rendered, at {len(checked['hints'])} hints: median ΔE {checked['median']:.2f},"
        f" largest {checked['max']:.2f}\nthe one more hint changed {len(after) - same} of {len(before)} frames;"
        f" the other {same} are bit for bit what they were"
    )


def say(words: str) -> None:
    """Tell what is being done."""
    print(f"· {words}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
