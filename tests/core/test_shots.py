from __future__ import annotations

import json
import weakref
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.contract.progress import CancelToken, Progress
from core.errors import Cancelled
from core.film.colour import luma_of
from core.shots import LONG_SIDE, detect_cuts, detect_shots, picture_break
from tests import synth

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SIZE = (72, 96)


def shot(name: str, n: int = 7, **kw: object) -> synth.Film:
    return synth.moving(name, n=n, size=SIZE, **kw).grey()  # type: ignore[arg-type]


THREE = synth.join(shot("astronaut"), shot("coffee", 6, drift=(-3, 0)), shot("chelsea", 8, zoom=1.02))


def lumas(rgb: np.ndarray) -> list[np.ndarray]:
    return [luma_of(f) for f in rgb]


def test_cuts_are_found_where_they_are() -> None:
    assert THREE.cuts == (7, 13)
    assert detect_cuts(THREE.lumas()) == [7, 13]


def test_flicker_makes_no_cut_and_hides_none() -> None:
    lit, _ = synth.flicker(THREE.rgb, degree=0.25, local=0.1, seed=4)
    assert detect_cuts(lumas(lit)) == [7, 13]


def test_grain_dust_and_weave_make_no_cut() -> None:
    damaged, _ = synth.dust(synth.grain(THREE.rgb, sigma=0.04), per_frame=8)
    damaged, _ = synth.weave(damaged)
    assert detect_cuts(lumas(damaged)) == [7, 13]


@pytest.mark.parametrize("level", [0.0, 1.0])
@pytest.mark.parametrize("frames", [1, 2])
def test_a_flash_or_a_lost_frame_is_no_cut(level: float, frames: int) -> None:
    film = shot("astronaut", 12)
    rgb = film.rgb.copy()
    rgb[5 : 5 + frames] = level
    assert detect_cuts(lumas(rgb)) == []


def test_a_burnt_frame_is_no_cut() -> None:
    rgb = shot("astronaut", 12).rgb.copy()
    rgb[6, 20:80, 10:100] = 1.0
    assert detect_cuts(lumas(rgb)) == []


def test_a_fade_out_and_in_of_the_same_picture_is_no_cut() -> None:
    rgb = shot("coffee", 16, drift=(0.5, 0)).rgb
    level = np.abs(np.linspace(1, -1, 16)).astype(np.float32)
    level[7:9] = 0
    assert detect_cuts(lumas(rgb * level[:, None, None, None])) == []


def test_a_fade_through_black_to_another_picture_is_one_cut_in_the_dark() -> None:
    fade = np.concatenate([np.linspace(1, 0, 8), np.linspace(0, 1, 8)]).astype(np.float32)
    rgb = np.concatenate([shot("astronaut", 8).rgb, shot("coffee", 8).rgb]) * fade[:, None, None, None]
    cuts = detect_cuts(lumas(rgb))
    assert len(cuts) == 1
    assert 7 <= cuts[0] <= 8


def test_a_frame_that_mixes_two_shots_is_one_cut() -> None:
    rgb = THREE.rgb.copy()
    rgb[7] = (rgb[6] + rgb[7]) / 2
    assert detect_cuts(lumas(rgb)) == [7, 13]


def test_a_whip_pan_is_no_cut() -> None:
    rgb = synth.moving("brick", n=10, size=SIZE, drift=(18, 0)).rgb
    assert detect_cuts(lumas(rgb)) == []


def test_duplicate_frames_change_nothing_but_numbers() -> None:
    doubled = synth.duplicates(THREE, (2,))
    assert detect_cuts(lumas(doubled)) == [14, 26]


def test_films_too_short_for_a_cut_have_none() -> None:
    for n in (0, 1, 2):
        assert detect_cuts(THREE.lumas()[:n]) == []


def test_memory_does_not_grow_with_the_film() -> None:
    given: list[weakref.ref[np.ndarray]] = []
    most = 0

    def stream() -> Iterator[np.ndarray]:
        nonlocal most
        base = shot("astronaut", 2).lumas()
        for i in range(40):
            frame = base[i % 2].copy()
            given.append(weakref.ref(frame))
            most = max(most, sum(ref() is not None for ref in given))
            yield frame

    detect_cuts(stream())
    assert len(given) == 40
    assert most <= 12


def test_shots_of_a_source_are_told_and_can_be_stopped() -> None:
    source = synth.ArraySource(THREE.rgb)
    told: list[Progress] = []
    shots = detect_shots(source, report=told.append)
    assert [s.range.start for s in shots] == [0, 7, 13]
    assert [s.begins for s in shots] == ["start", "cut", "cut"]
    assert (told[-1].done, told[-1].total) == (21, 21)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        detect_shots(source, token=token)


def test_the_same_picture_under_another_light_is_no_break() -> None:
    luma = THREE.lumas()[0]
    assert picture_break(luma, luma * 0.6 + 10).degree < 0.05
    assert picture_break(luma, THREE.lumas()[8]).degree > 0.4


@pytest.mark.parametrize(
    ("film", "first", "stop"),
    [
        ("clips/bikes_cuts/bikes_cuts.mp4", 24, 36),
        ("clips/bikes_cuts/bikes_cuts.mp4", 70, 84),
        ("old/a_bomb_blast_effects/a_bomb_blast_effects.mp4", 30, 52),
        ("old/a_bomb_blast_effects/a_bomb_blast_effects.mp4", 128, 140),
    ],
)
def test_real_films_are_cut_as_the_eye_cuts_them(film: str, first: int, stop: int) -> None:
    path = DATA / film
    if not path.is_file():
        pytest.skip("the test films are not beside the project")
    truth = [c - first for c in json.loads((DATA / "cuts.json").read_text())[film] if first < c < stop]
    assert detect_cuts(islice(_read(path), first, stop)) == truth


@pytest.mark.parametrize("folder", ["old/within_our_gates", "clips/drift-straight"])
def test_real_shots_with_burns_or_haste_are_not_cut(folder: str) -> None:
    files = sorted([*(DATA / folder).glob("*.png"), *(DATA / folder).glob("*.jpg")])[20:36]
    if not files:
        pytest.skip("the test films are not beside the project")
    pictures = (cv2.imread(str(f), cv2.IMREAD_REDUCED_COLOR_2) for f in files)
    assert detect_cuts(_small(p) for p in pictures) == []


def _read(path: Path) -> Iterator[np.ndarray]:
    video = cv2.VideoCapture(str(path))
    while True:
        ok, bgr = video.read()
        if not ok:
            video.release()
            return
        yield _small(bgr)


def _small(bgr: np.ndarray) -> np.ndarray:
    h, w = bgr.shape[:2]
    scale = LONG_SIDE / max(h, w)
    small = cv2.resize(bgr, (round(w * scale), round(h * scale)), interpolation=cv2.INTER_AREA)
    return luma_of(np.ascontiguousarray(small[..., ::-1]).astype(np.float32) / 255)
