"""What every registered colouriser promises: L and hints in, chroma out, a value of its inputs alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from core.errors import ModelMissingError, ShapeError
from tests.contracts.registered import PLUGINS

COLOURISERS = sorted(PLUGINS.colourisers)
SIZES = [(37, 53), (64, 96)]


@pytest.fixture(scope="module", params=COLOURISERS)
def colouriser(request: pytest.FixtureRequest) -> Any:
    try:
        return PLUGINS.colourisers.get(request.param)("cpu")
    except ModelMissingError as missing:
        pytest.skip(f"not in the model folder: {missing}")


def luma(size: tuple[int, int]) -> np.ndarray:
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    return (50 + 25 * np.sin(x / 5) + 20 * np.cos(y / 7)).astype(np.float32)


def hints(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    ab = np.zeros((*size, 2), np.float32)
    weight = np.zeros(size, np.float32)
    ab[5:15, 5:15] = (45, 30)
    weight[5:15, 5:15] = 1
    return ab, weight


def test_there_is_one_that_needs_no_download() -> None:
    assert "embedded" in COLOURISERS
    assert PLUGINS.colourisers.get("embedded")("cpu").fingerprint


@pytest.mark.parametrize("size", SIZES)
def test_any_size(colouriser: Any, size: tuple[int, int]) -> None:
    ab = colouriser.predict(luma(size), None, None)
    assert ab.shape == (*size, 2)
    assert ab.dtype == np.float32
    assert np.isfinite(ab).all()
    assert np.abs(ab).max() < 200


def test_a_value_of_its_inputs(colouriser: Any) -> None:
    size = SIZES[0]
    plain = colouriser.predict(luma(size), None, None)
    colouriser.predict(luma(SIZES[1]), *hints(SIZES[1]))
    assert np.array_equal(plain, colouriser.predict(luma(size), None, None))


def test_inputs_are_left_alone(colouriser: Any) -> None:
    size = SIZES[0]
    given = (luma(size), *hints(size))
    for plane in given:
        plane.setflags(write=False)
    before = [plane.copy() for plane in given]
    colouriser.predict(*given)
    assert all(np.array_equal(a, b) for a, b in zip(given, before, strict=True))


def test_a_hint_without_weight_says_nothing(colouriser: Any) -> None:
    size = SIZES[0]
    ab, weight = hints(size)
    silent = colouriser.predict(luma(size), ab, np.zeros_like(weight))
    assert np.abs(silent - colouriser.predict(luma(size), None, None)).max() < 0.05


def test_threads_do_not_disturb_each_other(colouriser: Any) -> None:
    size = SIZES[0]
    cases = [(luma(size), None, None), (luma(size), *hints(size)), (luma(size)[::-1].copy(), None, None)] * 3
    alone = [colouriser.predict(*case) for case in cases]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda case: colouriser.predict(*case), cases))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_planes_that_do_not_fit_are_refused(colouriser: Any) -> None:
    ab, weight = hints(SIZES[1])
    with pytest.raises(ShapeError):
        colouriser.predict(luma(SIZES[0]), ab, weight)
