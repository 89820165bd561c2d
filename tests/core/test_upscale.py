from __future__ import annotations

import numpy as np
import pytest

from core.contract.stage import FrameStage, StageContext, Window
from core.errors import RecipeError
from core.film.frame import Frame
from core.film.shot import Shot
from core.film.timebase import FrameRange
from core.restore.upscale import Upscale, UpscaleParams
from tests import synth

CONTEXT = StageContext("cpu", Shot(0, FrameRange(0, 1), "start"))
STAGE = Upscale()


def scaled(rgb: np.ndarray, **params: object) -> np.ndarray:
    return STAGE.process(Window((Frame(0, rgb.copy()),), 0), UpscaleParams(**params), CONTEXT)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "params", "expected"),
    [
        ((480, 640), {"size": "1920x1080"}, (1080, 1440)),
        ((480, 640), {"size": "1920X1440"}, (1440, 1920)),
        ((368, 480), {"size": "9999x1080"}, (1080, 1408)),
        ((37, 53), {"factor": 2.0}, (74, 106)),
        ((37, 53), {"factor": 1.0}, (37, 53)),
        ((1080, 1920), {"size": "640x480"}, (360, 640)),
        ((480, 640), {"size": "641x481"}, (480, 640)),
        ((37, 53), {"size": "53x37"}, (37, 53)),
        ((480, 640), {"size": "640x480"}, (480, 640)),
    ],
)
def test_the_picture_fits_keeps_its_shape_and_is_even(
    size: tuple[int, int], params: dict[str, object], expected: tuple[int, int]
) -> None:
    assert STAGE.size(size, UpscaleParams(**params)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["1080", "wide", "1920x", "0x0", "-2x5"])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="size"):
        STAGE.size((10, 10), UpscaleParams(size=text))


def test_process_gives_the_promised_size_and_nears_the_truth() -> None:
    assert isinstance(STAGE, FrameStage)
    truth = synth.photo("coffee")[:200, :300]
    small = np.ascontiguousarray(truth.reshape(100, 2, 150, 2, 3).mean(axis=(1, 3)))
    out = scaled(small)
    assert out.shape == (200, 300, 3)
    assert out.dtype == np.float32
    repeated = np.repeat(np.repeat(small, 2, 0), 2, 1)
    assert synth.psnr(out, truth) > synth.psnr(repeated, truth) + 1


def test_the_same_size_is_the_same_picture() -> None:
    rgb = synth.moving(n=1, size=(36, 52)).rgb[0]
    assert np.array_equal(scaled(rgb, factor=1.0), rgb)


def test_edges_do_not_leave_the_range_and_grey_stays_grey() -> None:
    rgb = np.zeros((20, 20, 3), np.float32)
    rgb[:, 10:] = 1
    out = scaled(rgb, factor=3.0)
    assert out.min() >= 0
    assert out.max() <= 1
    assert np.array_equal(out[..., 0], out[..., 2])
