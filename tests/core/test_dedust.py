from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from core.contract.stage import FrameStage, ShowsMatte, StageContext, Window
from core.defects import carried_in, find_specks, gather, is_duplicate
from core.film.frame import Frame
from core.film.shot import Shot
from core.film.timebase import FrameRange
from core.restore.dedust import Dedust, DedustParams
from tests import synth

CONTEXT = StageContext("cpu", Shot(0, FrameRange(0, 5), "start"))
STAGE = Dedust()
FILM = synth.moving(n=5, size=(120, 160), drift=(2, 0.5), figure="coffee", figure_drift=(-2, 0)).grey()
CLEAN = synth.grain(FILM.rgb, sigma=0.012)
DIRTY, MASKS = synth.dust(CLEAN, per_frame=6, radius_px=(1.5, 3.5), seed=3)


def window(rgb: Sequence[np.ndarray] | np.ndarray, n: int) -> Window:
    span = FrameRange(0, len(rgb)).around(n, STAGE.radius(DedustParams()))
    return Window(tuple(Frame(k, np.array(rgb[k])) for k in span), n - span.start)


def mended(rgb: Sequence[np.ndarray] | np.ndarray, n: int, **params: Any) -> tuple[np.ndarray, np.ndarray]:
    chosen = DedustParams(**{"max_size": 15.0, **params})  # of these small pictures' height
    return STAGE.process(window(rgb, n), chosen, CONTEXT), STAGE.matte(window(rgb, n), chosen, CONTEXT)


@pytest.fixture(scope="module")
def middle() -> tuple[np.ndarray, np.ndarray]:
    return mended(DIRTY, 2)


def speck(rgb: np.ndarray, frame: int, y: int, x: int, tone: float, r: int = 2) -> np.ndarray:
    out = rgb.copy()
    out[frame, y - r : y + r + 1, x - r : x + r + 1] = tone
    return out


def test_it_is_a_frame_stage_that_shows_its_matte() -> None:
    assert isinstance(STAGE, FrameStage)
    assert isinstance(STAGE, ShowsMatte)


def test_specks_are_found_and_little_else(middle: tuple[np.ndarray, np.ndarray]) -> None:
    found = middle[1] > 0.5
    grown = np.asarray(np.kron(MASKS[2], [[1]]), bool)
    for axis in (0, 1):
        grown = grown | np.roll(grown, 1, axis) | np.roll(grown, -1, axis)
    assert (found & MASKS[2]).sum() / MASKS[2].sum() > 0.6
    assert (found & grown).sum() / found.sum() > 0.75


def test_the_picture_is_nearer_the_truth(middle: tuple[np.ndarray, np.ndarray]) -> None:
    assert synth.psnr(middle[0], CLEAN[2]) > synth.psnr(DIRTY[2], CLEAN[2]) + 4


def test_outside_the_matte_nothing_changes_by_a_bit(middle: tuple[np.ndarray, np.ndarray]) -> None:
    out, matte = middle
    assert np.array_equal(out[matte == 0], DIRTY[2][matte == 0])
    assert not np.array_equal(out[matte > 0], DIRTY[2][matte > 0])
    assert 0 <= matte.min() <= matte.max() <= 1
    assert 0 <= out.min() <= out.max() <= 1


def test_a_clean_film_with_grain_and_motion_is_left_alone() -> None:
    for n in (0, 2, 4):
        out, matte = mended(CLEAN, n)
        assert (matte > 0).mean() < 0.002
        assert synth.psnr(out, CLEAN[n]) > 45


def test_the_fill_brings_its_grain() -> None:
    flat = np.full((5, 80, 80, 3), 0.5, np.float32)
    grainy = synth.grain(flat, sigma=0.02, seed=2)
    out, matte = mended(speck(grainy, 2, 40, 40, 0.0, r=3), 2)
    inside = matte == 1
    assert inside.sum() > 40
    assert 0.01 < out[inside].std() < 0.03


@pytest.mark.parametrize(
    ("kind", "dark", "bright"), [("both", True, True), ("dark", True, False), ("bright", False, True)]
)
def test_only_the_kind_asked_for_is_taken_out(kind: str, dark: bool, bright: bool) -> None:
    film = speck(speck(np.full((5, 80, 80, 3), 0.5, np.float32), 2, 20, 20, 0.0), 2, 60, 60, 1.0)
    out, _ = mended(synth.grain(film, sigma=0.01), 2, kind=kind)
    assert (abs(out[20, 20, 0] - 0.5) < 0.1) == dark
    assert (abs(out[60, 60, 0] - 0.5) < 0.1) == bright


def test_what_is_larger_than_asked_for_is_left() -> None:
    film = speck(synth.grain(np.full((5, 100, 100, 3), 0.5, np.float32), sigma=0.01), 2, 50, 50, 1.0, r=5)
    assert np.array_equal(mended(film, 2, max_size=5)[0], film[2])
    assert abs(mended(film, 2, max_size=30)[0][50, 50, 0] - 0.5) < 0.1


def test_a_thing_in_flight_is_no_dust() -> None:
    ground = synth.grain(np.full((5, 120, 160, 3), 0.4, np.float32), sigma=0.008)
    film = ground.copy()
    for n in range(5):
        film = speck(film, n, 60, 60 + 9 * n, 0.95, r=3)
    out, _ = mended(film, 2)
    assert np.array_equal(out[57:64, 75:82], film[2, 57:64, 75:82])


def test_what_stays_on_two_frames_is_no_dust() -> None:
    film = synth.grain(np.full((5, 80, 80, 3), 0.5, np.float32), sigma=0.01)
    film = speck(speck(film, 2, 40, 40, 0.0), 3, 40, 40, 0.0)
    assert mended(film, 2)[0][40, 40, 0] < 0.1


def test_a_duplicate_is_no_witness() -> None:
    film = speck(synth.grain(np.full((4, 80, 80, 3), 0.5, np.float32), sigma=0.01), 1, 40, 40, 0.0)
    doubled = [film[0], film[1], film[1], film[2], film[3]]
    for n in (1, 2):
        assert abs(mended(doubled, n)[0][40, 40, 0] - 0.5) < 0.1


@pytest.mark.parametrize("n", [0, 4])
def test_at_the_ends_of_a_shot_two_frames_on_one_side_bear_witness(n: int) -> None:
    film = speck(synth.grain(np.full((5, 80, 80, 3), 0.5, np.float32), sigma=0.01), n, 40, 40, 0.0)
    assert abs(mended(film, n)[0][40, 40, 0] - 0.5) < 0.1


@pytest.mark.parametrize("count", [1, 2])
def test_a_shot_without_two_neighbours_is_left_alone(count: int) -> None:
    out, matte = mended(DIRTY[:count], 0)
    assert np.array_equal(out, DIRTY[0])
    assert not matte.any()


def test_higher_sensitivity_finds_more() -> None:
    evidence = gather([Frame(k, DIRTY[k].copy()) for k in range(5)], 2)
    assert evidence is not None
    found = [int(find_specks(evidence, sensitivity=s, max_size=15).mask.sum()) for s in (0.0, 0.5, 1.0)]
    assert found[0] < found[2]
    assert found[1] <= found[2]


def test_duplicates_are_told_from_frames_that_only_look_alike() -> None:
    luma = FILM.lumas()[2]
    rng = np.random.default_rng(0)
    coded = luma + rng.normal(0, 0.3, luma.shape).astype(np.float32)
    assert is_duplicate(luma, coded)
    assert not is_duplicate(luma, FILM.lumas()[3])
    spoilt = coded.copy()
    spoilt[50:56, 50:56] = 0
    assert not is_duplicate(luma, spoilt)


def test_what_is_carried_into_a_hole_comes_from_its_rim() -> None:
    plane = np.full((40, 60), 3.0, np.float32)
    plane[:, 30:] = 7.0
    hole = np.zeros((40, 60), bool)
    hole[10:20, 5:15] = hole[10:20, 45:55] = True
    damaged = np.where(hole, np.float32(99), plane)
    assert np.allclose(carried_in(damaged, hole), plane, atol=0.01)
    assert np.array_equal(carried_in(damaged, np.zeros_like(hole)), damaged)
