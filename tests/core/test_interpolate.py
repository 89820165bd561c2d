from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from core.contract.stage import RetimeStage, StageContext, Timeline
from core.errors import RecipeError
from core.film.frame import Frame
from core.film.shot import Shot, shots_from_cuts
from core.film.timebase import FrameRange
from core.interpolate import Interpolate, InterpolateParams
from tests import synth

CONTEXT = StageContext("cpu", Shot(0, FrameRange(0, 9), "start"))
STAGE = Interpolate()


def timeline(count: int, rate: Fraction | int, cuts: tuple[int, ...] = ()) -> Timeline:
    times = tuple(n / Fraction(rate) for n in range(count + 1))
    return Timeline((4, 4), shots_from_cuts(cuts, count), times, tuple(Fraction(n) for n in range(count)))


def at(rate: str) -> InterpolateParams:
    return InterpolateParams(rate)


def test_it_is_a_retime_stage() -> None:
    assert isinstance(STAGE, RetimeStage)


@pytest.mark.parametrize("source", [Fraction(16), Fraction(18), Fraction(24000, 1001), Fraction(25)])
@pytest.mark.parametrize("target", ["24", "25", "60", "60000/1001", "29.97", "12"])
def test_times_are_exact_and_the_film_lasts_as_long(source: Fraction, target: str) -> None:
    old = timeline(50, source, (17, 33))
    new = STAGE.retime(old, at(target))
    rate = 1 / (new.times[1] - new.times[0])
    assert all(new.times[j] == j / rate for j in range(new.count + 1))
    assert abs(new.times[-1] - old.times[-1]) <= 1 / rate / 2
    for j, place in enumerate(new.sources):
        n = int(place)
        if place != n:
            shown = old.times[n] + (place - n) * (old.times[n + 1] - old.times[n])
            assert shown == new.times[j]
        assert old.times[n] <= new.times[j]


@pytest.mark.parametrize("target", ["60", "60000/1001", "24", "10"])
def test_no_frame_is_made_across_a_cut(target: str) -> None:
    old = timeline(30, 16, (7, 8, 20))
    new = STAGE.retime(old, at(target))
    assert sum(len(s.range) for s in new.shots) == new.count
    for shot in new.shots:
        before = next(s for s in old.shots if s.id == shot.id)
        for j in shot.range:
            assert before.range.start <= new.sources[j] <= before.range.stop - 1
            assert old.times[before.range.start] <= new.times[j] < old.times[before.range.stop]


def test_at_its_own_rate_the_film_is_itself() -> None:
    old = timeline(12, Fraction(24000, 1001), (5,))
    assert STAGE.retime(old, at("23.976")) == old


def test_frames_that_fall_on_source_frames_are_these() -> None:
    new = STAGE.retime(timeline(9, 16), at("48"))
    assert [int(p) for p in new.sources[::3]] == list(range(9))
    assert all(p.denominator == 1 for p in new.sources[::3])


def test_a_film_of_varying_rate_keeps_its_times() -> None:
    old = Timeline((4, 4), shots_from_cuts((), 3), tuple(map(Fraction, (0, 1, 3, 4))), tuple(map(Fraction, (0, 1, 2))))
    assert STAGE.retime(old, at("1")).sources == (0, 1, Fraction(3, 2), 2)


@pytest.mark.parametrize("rate", ["fast", "0", "-5", "1/0"])
def test_a_rate_that_is_none_is_refused(rate: str) -> None:
    with pytest.raises(RecipeError, match="rate"):
        STAGE.retime(timeline(3, 16), at(rate))


def test_made_frames_are_nearer_the_truth_than_mixing_or_holding() -> None:
    film = synth.moving(n=3, size=(120, 160), drift=(3, 1), figure="coffee", figure_drift=(-3, 1))
    made = STAGE.blend(film.frame(0), film.frame(2), 0.5, at("60"), CONTEXT)
    assert made.shape == film.rgb[1].shape
    assert synth.psnr(made, film.rgb[1]) > synth.psnr((film.rgb[0] + film.rgb[2]) / 2, film.rgb[1]) + 6
    assert synth.psnr(made, film.rgb[1]) > synth.psnr(film.rgb[0], film.rgb[1]) + 8


def test_motion_goes_on_evenly() -> None:
    film = synth.moving(n=5, size=(96, 128), drift=(2, 0))
    for n in (1, 2, 3):
        made = STAGE.blend(film.frame(0), film.frame(4), n / 4, at("60"), CONTEXT)
        near = [synth.psnr(made, film.rgb[m]) for m in range(5)]
        assert int(np.argmax(near)) == n


def test_between_frames_that_share_nothing_the_nearer_is_shown() -> None:
    a = synth.moving("astronaut", n=1, size=(96, 128)).rgb[0]
    b = synth.moving("coffee", n=1, size=(96, 128)).rgb[0]
    assert np.array_equal(STAGE.blend(Frame(0, a), Frame(1, b), 0.3, at("60"), CONTEXT), a)
    assert np.array_equal(STAGE.blend(Frame(0, a), Frame(1, b), 0.7, at("60"), CONTEXT), b)


def test_between_equal_frames_is_that_frame() -> None:
    film = synth.moving(n=1, size=(60, 80))
    made = STAGE.blend(film.frame(0), film.frame(0), 0.5, at("60"), CONTEXT)
    assert np.abs(made - film.rgb[0]).max() < 1e-3
