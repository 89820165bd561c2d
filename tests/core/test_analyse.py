from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest

from core.analyse import Analysis, analyse, cadence, recommend
from core.contract.progress import CancelToken, Progress
from core.errors import Cancelled
from tests import synth

SIZE = (90, 120)


def film(n: int = 12) -> synth.Film:
    return synth.moving(n=n, size=SIZE, drift=(1.5, 0.3)).grey()


def advice(found: Analysis, step: str) -> bool:
    return next(a.on for a in found.advice if a.step == step)


@pytest.fixture(scope="module")
def spoilt() -> Analysis:
    lit, _ = synth.flicker(film(14).rgb, degree=0.06, local=0.02, seed=1)
    dirty, _ = synth.dust(synth.grain(lit, sigma=0.012), per_frame=8, radius_px=(1.2, 2.5), seed=2)
    return analyse(synth.ArraySource(dirty))


@pytest.fixture(scope="module")
def clean() -> Analysis:
    return analyse(synth.ArraySource(synth.moving(n=14, size=SIZE, drift=(1.5, 0.3)).rgb, 25))


def test_damage_is_seen_and_answered(spoilt: Analysis) -> None:
    assert 2 < spoilt.flicker_percent < 10
    assert spoilt.specks_per_frame >= 2
    assert spoilt.grey
    assert advice(spoilt, "deflicker")
    assert advice(spoilt, "dedust")
    assert advice(spoilt, "colourise")


def test_a_clean_colour_film_is_left_alone(clean: Analysis) -> None:
    assert clean.flicker_percent < 0.8
    assert clean.dirt_percent < 0.05
    assert not clean.grey
    assert not recommend(clean).active


def test_every_step_has_a_reason(spoilt: Analysis, clean: Analysis) -> None:
    for found in (spoilt, clean):
        assert [a.step for a in found.advice] == ["deflicker", "dedust", "colourise", "upscale", "interpolate"]
        assert all(len(a.reason) > 10 for a in found.advice)


def test_the_report_is_plain_json(spoilt: Analysis) -> None:
    told = json.loads(json.dumps(spoilt.to_json()))
    assert told["film"]["frames"] == 14
    assert told["shots"] == [[0, 14]]
    assert set(told["faces"]) == {"seen", "frames"}


def test_shots_and_duplicates_are_counted() -> None:
    joined = synth.join(film(8), synth.moving("coffee", n=8, size=SIZE, drift=(2, 0)).grey())
    found = analyse(synth.ArraySource(synth.duplicates(joined, (1, 1, 1, 2)), 20))
    assert found.shots == ((0, 10), (10, 20))
    assert found.duplicates_percent == 20
    assert found.likely_rate == "16"


@pytest.mark.parametrize(
    ("same", "rate", "share", "pattern", "likely"),
    [
        ([False] * 40, 24, 0, "", Fraction(24)),
        ([False, False, False, True] * 10, 24, 25, "1 of every 4 frames repeats the one before", Fraction(18)),
        ([False, True] * 20, 24, 50, "1 of every 2 frames repeats the one before", Fraction(12)),
        ([False, False, False, False, True] * 8, 30, 20, "1 of every 5 frames repeats the one before", Fraction(24)),
    ],
)
def test_cadence(same: list[bool], rate: int, share: float, pattern: str, likely: Fraction) -> None:
    assert cadence(same, Fraction(rate)) == (share, pattern, likely)


def test_duplicates_without_a_pattern_say_so() -> None:
    same = np.random.default_rng(0).random(60) < 0.3
    assert cadence(same.tolist(), Fraction(24))[1] == "irregular"


@pytest.mark.parametrize("count", [1, 2, 4])
def test_very_short_films_can_be_analysed(count: int) -> None:
    found = analyse(synth.ArraySource(film(count).rgb))
    assert found.shots == ((0, count),)
    assert found.flicker_percent == 0


def test_progress_is_told_and_it_can_be_stopped() -> None:
    told: list[Progress] = []
    analyse(synth.ArraySource(film(5).rgb), told.append)
    assert {"look over", "look closely"} == {p.stage for p in told}
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        analyse(synth.ArraySource(film(5).rgb), token=token)
