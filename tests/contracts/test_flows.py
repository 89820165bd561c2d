"""What every registered flow estimator promises."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest

from core.errors import ModelMissingError, ShapeError
from core.flow import FlowEstimator, FlowPair
from tests.contracts.registered import PLUGINS

SHIFT = (3.0, -2.0)


@pytest.fixture(scope="module", params=sorted(PLUGINS.flows))
def estimator(request: pytest.FixtureRequest) -> Any:
    try:
        return PLUGINS.flows.get(request.param)("cpu")
    except ModelMissingError as missing:
        pytest.skip(f"not in the model folder: {missing}")


def texture(h: int, w: int) -> np.ndarray:
    noise = np.random.default_rng(3).uniform(10, 90, (h // 6 + 1, w // 6 + 1)).astype(np.float32)
    return np.clip(cv2.resize(noise, (w, h), interpolation=cv2.INTER_CUBIC), 0, 100)


def moved(luma: np.ndarray, dx: float, dy: float) -> np.ndarray:
    """What was at (x, y) is at (x + dx, y + dy)."""
    h, w = luma.shape
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    return cv2.warpAffine(luma, matrix, (w, h), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)


def same(a: FlowPair, b: FlowPair) -> bool:
    return all(
        np.array_equal(getattr(a, f), getattr(b, f)) for f in ("forward", "backward", "forward_trust", "backward_trust")
    )


def test_says_what_it_is(estimator: Any) -> None:
    assert isinstance(estimator, FlowEstimator)
    assert estimator.name
    assert estimator.fingerprint


@pytest.mark.parametrize("size", [(37, 53), (20, 20), (120, 160)])
def test_shape_type_and_range(estimator: Any, size: tuple[int, int]) -> None:
    pair = estimator.pair(texture(*size), moved(texture(*size), 1, 0))
    for flow in (pair.forward, pair.backward):
        assert flow.shape == (*size, 2)
        assert flow.dtype == np.float32
        assert np.isfinite(flow).all()
    for trust in (pair.forward_trust, pair.backward_trust):
        assert trust.shape == size
        assert trust.min() >= 0
        assert trust.max() <= 1


def test_finds_a_known_motion_both_ways_and_trusts_it(estimator: Any) -> None:
    a = texture(120, 160)
    pair = estimator.pair(a, moved(a, *SHIFT))
    inner = np.s_[20:-20, 20:-20]
    for flow, sign in ((pair.forward, 1), (pair.backward, -1)):
        error = np.hypot(flow[inner][..., 0] - sign * SHIFT[0], flow[inner][..., 1] - sign * SHIFT[1])
        assert np.median(error) < 0.25
    assert np.median(pair.forward_trust[inner]) > 0.7


def test_flicker_does_not_lead_it(estimator: Any) -> None:
    a = texture(120, 160)
    pair = estimator.pair(a, 0.75 * moved(a, *SHIFT))
    inner = np.s_[20:-20, 20:-20]
    error = np.hypot(pair.forward[inner][..., 0] - SHIFT[0], pair.forward[inner][..., 1] - SHIFT[1])
    assert np.median(error) < 0.5


def test_trust_is_low_where_there_is_no_counterpart(estimator: Any) -> None:
    a = texture(120, 160)
    b = moved(a, *SHIFT)
    b[40:80, 60:100] = np.random.default_rng(9).uniform(0, 100, (40, 40))
    pair = estimator.pair(a, b)
    assert pair.forward_trust[45:75, 62:95].mean() < 0.5 * pair.forward_trust[90:110, 20:140].mean()


def test_a_value_of_its_inputs(estimator: Any) -> None:
    a, b = texture(64, 96), moved(texture(64, 96), 2, 1)
    a.setflags(write=False)
    b.setflags(write=False)
    alone = estimator.pair(a, b)
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda _: estimator.pair(a, b), range(6)))
    assert all(same(alone, other) for other in together)


def test_frames_that_do_not_fit_are_refused(estimator: Any) -> None:
    with pytest.raises(ShapeError):
        estimator.pair(texture(64, 96), texture(64, 95))
