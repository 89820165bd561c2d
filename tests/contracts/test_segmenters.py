"""What every registered segmenter promises: clicks in, the mask of the object that is meant out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from core.errors import InputError, ModelMissingError
from hints.segment import Segmenter
from tests.contracts.registered import PLUGINS


@pytest.fixture(scope="module", params=list(PLUGINS.segmenters))
def segmenter(request: pytest.FixtureRequest) -> Any:
    try:
        return PLUGINS.segmenters.get(request.param)("cpu")
    except ModelMissingError as missing:
        pytest.skip(f"not in the model folder: {missing}")


def disc(h: int = 96, w: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """A bright textured disc on darker ground, and where it is."""
    y, x = np.mgrid[:h, :w] + 0.5
    inside = np.hypot(x - 0.4 * w, y - 0.55 * h) < 0.28 * h
    noise = np.random.default_rng(5).normal(0, 0.015, (h, w))
    grey = np.where(inside, 0.68, 0.3) + noise
    return np.repeat(grey[..., None], 3, axis=2).astype(np.float32), inside


def middle(h: int = 96, w: int = 128) -> tuple[float, float, bool]:
    return 0.4 * w, 0.55 * h, True


def test_one_always_works() -> None:
    assert isinstance(PLUGINS.segmenters.get("geodesic")("cpu"), Segmenter)


@pytest.mark.parametrize("size", [(37, 53), (96, 128), (200, 90)])
def test_mask_is_of_the_pictures_size(segmenter: Any, size: tuple[int, int]) -> None:
    picture, _ = disc(*size)
    mask = segmenter.segment(picture, [middle(*size)])
    assert mask.shape == size
    assert mask.dtype == np.bool_
    x, y, _ = middle(*size)
    assert mask[int(y), int(x)]


def test_one_click_finds_what_is_plain_to_see(segmenter: Any) -> None:
    picture, inside = disc()
    mask = segmenter.segment(picture, [middle()])
    assert (mask & inside).sum() / (mask | inside).sum() > 0.85


def test_grey_plane_and_picture_are_both_taken(segmenter: Any) -> None:
    picture, inside = disc()
    mask = segmenter.segment((100 * picture[..., 0]).astype(np.float32), [middle()])
    assert (mask & inside).sum() / (mask | inside).sum() > 0.8


def test_a_box_does_too(segmenter: Any) -> None:
    picture, inside = disc()
    ys, xs = np.nonzero(inside)
    box = (xs.min() - 3.0, ys.min() - 3.0, xs.max() + 4.0, ys.max() + 4.0)
    mask = segmenter.segment(picture, [], box)
    assert (mask & inside).sum() / (mask | inside).sum() > 0.8


def test_a_click_outside_takes_away(segmenter: Any) -> None:
    picture, _ = disc()
    x, y = 100.0, 20.0
    mask = segmenter.segment(picture, [middle(), (x, y, False)])
    assert not mask[int(y), int(x)]
    assert mask[int(middle()[1]), int(middle()[0])]


def test_a_value_of_its_inputs(segmenter: Any) -> None:
    first, _ = disc()
    other = np.ascontiguousarray(first[:, ::-1])
    first.setflags(write=False)
    clicks = [middle()]
    mask = segmenter.segment(first, clicks)
    segmenter.segment(other, clicks)
    assert np.array_equal(mask, segmenter.segment(first, clicks))
    with ThreadPoolExecutor(3) as pool:
        pictures = [first, other] * 3
        together = list(pool.map(lambda p: segmenter.segment(p, clicks), pictures))
    for picture, found in zip(pictures, together, strict=True):
        assert np.array_equal(found, mask if picture is first else segmenter.segment(other, clicks))


def test_what_means_nothing_is_refused(segmenter: Any) -> None:
    picture, _ = disc()
    with pytest.raises(InputError):
        segmenter.segment(picture, [])
    with pytest.raises(InputError):
        segmenter.segment(picture, [(500.0, 10.0, True)])
