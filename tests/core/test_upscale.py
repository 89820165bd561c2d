from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core.contract.params import build
from core.contract.registry import Makers
from core.contract.stage import FrameStage, StageContext, Window
from core.errors import ModelMissingError, RecipeError
from core.film.frame import Frame
from core.film.shot import Shot
from core.film.timebase import FrameRange
from core.restore.upscale import Upscale, UpscaleParams
from tests import synth
from tests.pages import builtin_plugins

CONTEXT = StageContext("cpu", Shot(0, FrameRange(0, 1), "start"))
STAGE = Upscale(Makers("upscaler"))


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


class Repeats:
    """An upscaler that repeats pixels, and keeps what it was given."""

    name, scale = "repeats", 4

    def __init__(self, radius: int = 0, strength: float = 0.0) -> None:
        self.radius = radius
        self.fingerprint = f"repeats {strength}"
        self.given: list[tuple[int, int]] = []

    def enlarge(self, frames: Sequence[np.ndarray], centre: int) -> np.ndarray:
        self.given.append((len(frames), centre))
        return np.repeat(np.repeat(frames[centre], 4, 0), 4, 1)


class Family:
    """A family of them."""

    def at(self, denoise: float) -> Repeats:
        return Repeats(strength=denoise)


def stage(**makers: object) -> tuple[Upscale, list[tuple[str, str | None]]]:
    """The stage with these upscalers, and who was made on which device."""
    registry = Makers("upscaler")
    made: list[tuple[str, str | None]] = []
    for name, thing in makers.items():
        registry.add(name, lambda device, n=name, t=thing: made.append((n, device)) or t)  # type: ignore[misc]
    return Upscale(registry), made


def window(count: int, centre: int, size: tuple[int, int] = (6, 10)) -> Window:
    rgb = np.random.default_rng(2).uniform(0, 1, (*size, 3)).astype(np.float32)
    return Window(tuple(Frame(n, rgb.copy()) for n in range(count)), centre)


@pytest.mark.parametrize(
    ("params", "expected"),
    [({"factor": 4.0}, (24, 40)), ({}, (12, 20)), ({"factor": 1.0}, (6, 10)), ({"size": "60x999"}, (36, 60))],
)
def test_a_network_enlarges_by_its_factor_and_the_rest_is_resampled(
    params: dict[str, object], expected: tuple[int, int]
) -> None:
    upscale, _ = stage(repeats=Repeats())
    given = window(1, 0)
    out = upscale.process(given, UpscaleParams(by="repeats", **params), CONTEXT)  # type: ignore[arg-type]
    assert out.shape == (*expected, 3)
    if params.get("factor") == 4.0:
        assert np.array_equal(out[::4, ::4], given.frame.rgb)
    elif "size" not in params:  # means of repeated pixels are the pixels
        step = expected[0] // 6
        np.testing.assert_allclose(out[::step, ::step], given.frame.rgb, atol=1e-6)


def test_a_network_is_given_the_frames_it_asks_for() -> None:
    network = Repeats(radius=2)
    upscale, _ = stage(repeats=network)
    params = UpscaleParams(by="repeats", factor=4.0)
    assert upscale.radius(params) == 2
    assert upscale.radius(UpscaleParams()) == 0
    upscale.process(window(5, 2), params, CONTEXT)
    upscale.process(window(3, 0), params, CONTEXT)  # at the shot's first frame
    assert network.given == [(5, 2), (3, 0)]


def test_a_network_is_made_once_for_a_device_and_lanczos_needs_none() -> None:
    upscale, made = stage(repeats=Repeats())
    assert upscale.key_parts(UpscaleParams(), "cpu") == ()
    assert made == []
    params = UpscaleParams(by="repeats")
    for _ in range(2):
        assert upscale.key_parts(params, "cpu") == ("repeats 0.0",)
        assert upscale.radius(params, "cpu") == 0
        upscale.process(window(1, 0), params, CONTEXT)
    assert made == [("repeats", "cpu")]


def test_denoising_reaches_the_key_by_way_of_the_network() -> None:
    upscale, made = stage(family=Family())
    parts = {upscale.key_parts(UpscaleParams(by="family", denoise=d)) for d in (0.0, 0.5, 1.0)}
    assert parts == {("repeats 0.0",), ("repeats 0.5",), ("repeats 1.0",)}
    assert len(made) == 1


def test_an_unknown_upscaler_is_answered_with_the_known_ones() -> None:
    upscale, _ = stage(repeats=Repeats())
    with pytest.raises(RecipeError, match="lanczos, repeats, got 'nobody'"):
        upscale.key_parts(UpscaleParams(by="nobody"))


def test_the_built_in_networks_are_offered_and_ask_for_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POCHOIR_MODELS", str(tmp_path))
    upscale = builtin_plugins().stages.get("upscale")
    for name, file in (("realesrgan-x4", "RealESRGAN_x4plus.pth"), ("realesr-general", "realesr-general-x4v3.pth")):
        with pytest.raises(ModelMissingError, match=file):
            upscale.key_parts(UpscaleParams(by=name))


def test_a_recipe_of_the_time_when_it_was_called_method_is_understood() -> None:
    assert build(UpscaleParams, {"method": "lanczos", "factor": 3.0}, where="upscale") == UpscaleParams(factor=3.0)
