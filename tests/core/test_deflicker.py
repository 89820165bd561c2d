from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.contract.stage import ShotStage, StageContext
from core.film.shot import Shot
from core.film.timebase import FrameRange
from core.restore.deflicker import Deflicker, DeflickerParams
from tests import synth

CONTEXT = StageContext("cpu", Shot(0, FrameRange(0, 16), "start"))
FILM = synth.moving(n=16, size=(72, 96), drift=(1, 0.4), figure="coffee").grey()
STAGE = Deflicker()


def deflickered(rgb: np.ndarray, **params: Any) -> np.ndarray:
    chosen = DeflickerParams(**params)
    frames = FILM.with_rgb(rgb).frames()
    states = STAGE.solve([STAGE.measure(f, chosen, CONTEXT) for f in frames], chosen)
    return np.stack([STAGE.apply(f, s, chosen, CONTEXT) for f, s in zip(frames, states, strict=True)])


def jumps(rgb: np.ndarray) -> float:
    """How far exposure errs against the clean film from frame to frame, in log exposure."""
    error = np.log(rgb.mean((1, 2, 3)) / FILM.rgb.mean((1, 2, 3)))
    return float(np.diff(error).std())


def test_it_is_a_shot_stage() -> None:
    assert isinstance(STAGE, ShotStage)


def test_flicker_is_mostly_gone_and_the_picture_nearer_the_truth() -> None:
    lit, _ = synth.flicker(FILM.rgb, degree=0.06, seed=3)
    steady = deflickered(lit)
    assert jumps(steady) < jumps(lit) / 4
    assert synth.psnr(steady, FILM.rgb) > synth.psnr(lit, FILM.rgb) + 5


def test_flicker_in_parts_of_the_picture_is_taken_out_too() -> None:
    lit, _ = synth.flicker(FILM.rgb, degree=0.03, local=0.08, seed=5)
    overall, both = deflickered(lit, local=0.0), deflickered(lit)
    assert synth.psnr(both, FILM.rgb) > synth.psnr(overall, FILM.rgb) + 1.5


def test_a_steady_film_is_left_alone() -> None:
    assert synth.psnr(deflickered(FILM.rgb), FILM.rgb) > 60


def test_a_steady_film_with_grain_is_left_alone() -> None:
    grainy = synth.grain(FILM.rgb, sigma=0.03)
    assert synth.psnr(deflickered(grainy), grainy) > 55


def test_strength_nought_is_the_film_itself() -> None:
    lit, _ = synth.flicker(FILM.rgb, degree=0.1)
    assert np.array_equal(deflickered(lit, strength=0.0), lit)


def test_half_the_strength_takes_about_half() -> None:
    lit, _ = synth.flicker(FILM.rgb, degree=0.06, seed=3)
    assert 0.3 < jumps(deflickered(lit, strength=0.5)) / jumps(lit) < 0.7


@pytest.mark.parametrize("kind", ["fade", "step"])
def test_what_light_does_for_good_is_kept(kind: str) -> None:
    n = np.arange(16)
    level = np.linspace(1, 0.3, 16) if kind == "fade" else np.where(n < 8, 1.0, 0.6)
    scene = synth.on_grid(FILM.rgb * level.astype(np.float32)[:, None, None, None])
    assert synth.psnr(deflickered(scene), scene) > 42


def test_black_and_white_stay_and_nothing_clips() -> None:
    rgb = FILM.rgb.copy()
    rgb[:, :20, :30], rgb[:, 50:, 60:] = 0.0, 1.0
    lit, _ = synth.flicker(rgb * 0.9, degree=0.1, seed=1)
    steady = deflickered(lit)
    assert steady.min() >= 0
    assert steady.max() <= 1
    assert steady[:, 2:18, 2:28].max() < 0.01
    below = lit < 1
    assert (steady[below] < 1).all()


def test_colour_keeps_its_hue() -> None:
    film = synth.moving(n=8, size=(72, 96))
    lit, _ = synth.flicker(film.rgb * 0.8, degree=0.08, seed=2)
    chosen = DeflickerParams()
    frames = film.with_rgb(lit).frames()
    states = STAGE.solve([STAGE.measure(f, chosen, CONTEXT) for f in frames], chosen)
    out = STAGE.apply(frames[3], states[3], chosen, CONTEXT)
    before, after = lit[3].reshape(-1, 3), out.reshape(-1, 3)
    strong = before.max(1) > 0.2
    ratio = after[strong] / np.maximum(before[strong], 1e-3)
    assert np.abs(states[3]).max() > 0.01
    assert (ratio.max(1) - ratio.min(1))[before[strong].min(1) > 0.05].max() < 0.02


@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_short_shots_are_left_alone_or_finite(count: int) -> None:
    lit, _ = synth.flicker(FILM.rgb[:count], degree=0.1)
    assert np.isfinite(deflickered(lit)).all()
    if count < 3:
        assert np.array_equal(deflickered(lit), lit)
