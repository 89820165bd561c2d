"""What every registered colouriser promises: L in, chroma out, a value of its input alone; some carry hints."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from core.errors import ModelMissingError, ShapeError
from core.models.colouriser import Carries, PredictsTogether
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


@pytest.fixture
def carrier(colouriser: Any) -> Any:
    if not isinstance(colouriser, Carries):
        pytest.skip(f"{colouriser.name} colours, and leaves hints to others")
    return colouriser


def plain(size: tuple[int, int]) -> np.ndarray:
    return np.full((*size, 2), (4.0, 12.0), np.float32)


@pytest.mark.parametrize("size", SIZES)
def test_any_size(colouriser: Any, size: tuple[int, int]) -> None:
    ab = colouriser.predict(luma(size))
    assert ab.shape == (*size, 2)
    assert ab.dtype == np.float32
    assert np.isfinite(ab).all()
    assert np.abs(ab).max() < 200


def test_a_value_of_its_input(colouriser: Any) -> None:
    size = SIZES[0]
    first = colouriser.predict(luma(size))
    colouriser.predict(luma(SIZES[1]))
    assert np.array_equal(first, colouriser.predict(luma(size)))


def test_inputs_are_left_alone(colouriser: Any) -> None:
    given = luma(SIZES[0])
    given.setflags(write=False)
    before = given.copy()
    colouriser.predict(given)
    assert np.array_equal(given, before)


def test_threads_do_not_disturb_each_other(colouriser: Any) -> None:
    cases = [luma(SIZES[0]), luma(SIZES[1]), luma(SIZES[0])[::-1].copy()] * 3
    alone = [colouriser.predict(case) for case in cases]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(colouriser.predict, cases))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_what_is_no_plane_is_refused(colouriser: Any) -> None:
    with pytest.raises(ShapeError):
        colouriser.predict(np.zeros((8, 8, 3), np.float32))


@pytest.mark.parametrize("size", SIZES)
def test_hints_are_carried_at_any_size_and_inputs_are_left_alone(carrier: Any, size: tuple[int, int]) -> None:
    given = (luma(size), plain(size), *hints(size))
    for plane in given:
        plane.setflags(write=False)
    before = [plane.copy() for plane in given]
    ab = carrier.carry(*given)
    assert ab.shape == (*size, 2)
    assert ab.dtype == np.float32
    assert np.isfinite(ab).all()
    assert all(np.array_equal(a, b) for a, b in zip(given, before, strict=True))
    assert np.array_equal(ab, carrier.carry(*given))


def test_a_hint_without_weight_says_nothing(carrier: Any) -> None:
    size = SIZES[0]
    ab, weight = hints(size)
    assert np.array_equal(carrier.carry(luma(size), plain(size), ab, np.zeros_like(weight)), plain(size))


def test_a_hint_that_asks_for_what_is_there_changes_little(carrier: Any) -> None:
    size = SIZES[0]
    _, weight = hints(size)
    assert np.abs(carrier.carry(luma(size), plain(size), plain(size), weight) - plain(size)).max() < 3.0


def test_planes_that_do_not_fit_are_refused(carrier: Any) -> None:
    ab, weight = hints(SIZES[1])
    with pytest.raises(ShapeError):
        carrier.carry(luma(SIZES[0]), plain(SIZES[0]), ab, weight)


@pytest.fixture
def together(colouriser: Any) -> Any:
    if not isinstance(colouriser, PredictsTogether):
        pytest.skip(f"{colouriser.name} looks at one frame at a time")
    return colouriser


@pytest.mark.parametrize("size", SIZES)
def test_a_frame_does_not_depend_on_its_company(together: Any, size: tuple[int, int]) -> None:
    frames = np.stack([np.roll(luma(size), 3 * i, axis=1) * (1 - i / 40) for i in range(together.together + 3)])
    whole = together.predict_together(frames)
    assert whole.shape == (*frames.shape, 2)
    assert whole.dtype == np.float32
    for some in ([0], [2, 1, 0], [len(frames) - 1, 4], list(range(together.together))[::-1]):
        assert np.array_equal(together.predict_together(frames[some]), whole[some])


def test_together_or_alone_is_no_difference_to_be_seen(together: Any) -> None:
    frames = np.stack([luma(SIZES[1]), luma(SIZES[1])[::-1]])
    alone = np.stack([together.predict(frame) for frame in frames])
    assert np.abs(together.predict_together(frames) - alone).max() < 0.01


def test_what_are_no_frames_is_refused(together: Any) -> None:
    for wrong in (np.zeros((4, 5), np.float32), np.zeros((0, 4, 5), np.float32)):
        with pytest.raises(ShapeError, match="expected"):
            together.predict_together(wrong)
