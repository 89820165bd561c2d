"""What every registered interpolator promises, where its weights are at hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.errors import ModelMissingError
from core.interpolate import Interpolator
from tests.contracts.registered import PLUGINS, Film


@pytest.fixture(scope="module", params=sorted(PLUGINS.interpolators))
def interpolator(request: pytest.FixtureRequest) -> Any:
    try:
        return PLUGINS.interpolators.get(request.param)("cpu")
    except ModelMissingError as missing:
        pytest.skip(f"not in the model folder: {missing}")


def test_there_is_one_without_weights_and_the_published_ones() -> None:
    assert {"flow", "dain", "rife"} <= set(PLUGINS.interpolators)


def test_says_what_it_is(interpolator: Any) -> None:
    assert isinstance(interpolator, Interpolator)
    assert interpolator.name in PLUGINS.interpolators
    assert interpolator.fingerprint == PLUGINS.interpolators.get(interpolator.name)("cpu").fingerprint


@pytest.mark.parametrize("t", [0.25, 0.5, 2 / 3])
def test_shape_type_range_and_same_bits(interpolator: Any, t: float) -> None:
    film = Film(3, colour=True)
    a, b = film.frame(0).rgb, film.frame(2).rgb
    before = a.copy(), b.copy()
    made = interpolator.between(a, b, t)
    assert made.shape == a.shape
    assert made.dtype == np.float32
    assert np.isfinite(made).all()
    assert 0 <= made.min() <= made.max() <= 1
    assert np.array_equal(made, interpolator.between(a, b, t))
    assert np.array_equal(a, before[0])
    assert np.array_equal(b, before[1])
