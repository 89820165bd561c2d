"""Where memory ends, interpolators go on with what takes less, and say so in one line."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.contract.stage import StageContext, Window
from core.errors import PochoirError
from core.film.shot import Shot
from core.film.timebase import FrameRange
from core.interpolate import FallsShort, Interpolate, InterpolateParams
from core.models import dain
from core.models.dain import Dain
from core.models.rife import Rife
from core.models.rife_net import V4_25, IFNet, PaperNet
from tests.contracts.registered import PLUGINS, Film

OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate\nmore"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried 9 bytes"),
]
every_kind = pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=["device", "processor"])


class Mix:
    """In place of DAIN's network: a plain mix, as far as the picture has no more pixels than there is memory for."""

    def __init__(self, most: int, error: RuntimeError) -> None:
        self.most, self.error = most, error
        self.sides: list[tuple[int, int]] = []

    def __call__(self, first: torch.Tensor, second: torch.Tensor, t: float) -> torch.Tensor:
        h, w = first.shape[2:]
        self.sides.append((h, w))
        if h * w > self.most:
            raise self.error
        return (1 - t) * first + t * second


class AtHalf(IFNet):
    """In place of RIFE's network: the first picture, once the flow is estimated at no more than a part of its size."""

    def __init__(self, most: float, error: RuntimeError) -> None:
        super().__init__(V4_25)
        self.most, self.error = most, error
        self.scales: list[float] = []

    def forward(self, first, second, t, scale=1.0):
        self.scales.append(scale)
        if scale > self.most:
            raise self.error
        return first


def pair(h: int, w: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 1, (2, h, w, 3)).astype(np.float32)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records]


@every_kind
def test_dains_tiles_become_smaller_and_the_picture_is_the_same(error, caplog, monkeypatch):
    monkeypatch.setattr(dain, "TILES", (768, 256, 192))
    mix = Mix(320 * 320, error)
    model = Dain(lambda: mix, weights="x", device="cpu")
    a, b = pair(300, 420)
    made = model.between(a, b, 0.25)
    np.testing.assert_allclose(made, 0.75 * a + 0.25 * b, atol=1e-6)
    assert mix.sides == [(384, 512)] + [(320, 320)] * 6
    line = "dain: out of memory on cpu for 420 x 300 in parts of 768 px; going on in parts of 256 px"
    assert said(caplog) == [line]

    mix.sides.clear()
    model.between(a, b, 0.25)  # what was learnt is kept,
    assert mix.sides == [(320, 320)] * 6
    mix.sides.clear()
    model.between(*pair(128, 128), 0.25)  # for pictures of that size
    assert mix.sides == [(192, 192)]
    assert said(caplog) == [line]


def test_tiles_that_would_not_cut_a_picture_are_not_tried():
    model = Dain(lambda: Mix(0, OUT_OF_MEMORY[0]), weights="x", device="cpu")
    ways = {w: model.ways(200, w) for w in (384, 385, 512, 600, 4096)}
    assert ways == {384: (768,), 385: (768, 384), 512: (768, 384), 600: (768, 512, 384), 4096: (768, 512, 384)}


@every_kind
def test_rifes_flow_is_estimated_at_half_the_size(error, caplog):
    net = AtHalf(0.5, error)
    model = Rife(lambda: net, weights="x", device="cpu")
    a, b = pair(70, 90)
    assert np.array_equal(model.between(a, b, 0.5), a)
    assert np.array_equal(model.between(a, b, 0.5), a)
    assert net.scales == [1.0, 0.5, 0.5]
    assert said(caplog) == [
        "rife: out of memory on cpu for 90 x 70 with the flow at full size; going on with the flow at half the size"
    ]
    net.most = 1.0
    model.between(*pair(64, 90), 0.5)
    assert net.scales[3:] == [1.0]


def test_a_picture_made_in_another_way_says_which(monkeypatch):
    """The fingerprint is that of the usual way, so that whoever keeps pictures by it must know."""
    monkeypatch.setattr(dain, "TILES", (768, 256, 192))
    a, b = pair(300, 420)
    for model, usual, less in (
        (Dain(lambda: Mix(320 * 320, OUT_OF_MEMORY[0]), weights="x", device="cpu"), (100, 100), "in parts of 256 px"),
        (
            Rife(lambda: AtHalf(0.5, OUT_OF_MEMORY[0]), weights="x", device="cpu"),
            None,
            "with the flow at half the size",
        ),
    ):
        assert isinstance(model, FallsShort)
        for _ in range(2):  # when memory ends, and when that is known
            made, instead = model.between_or_less(a, b, 0.25)
            assert instead == less
            assert np.array_equal(made, model.between(a, b, 0.25))
        if usual:
            assert model.between_or_less(*pair(*usual), 0.25)[1] == ""
    able = Rife(lambda: AtHalf(1.0, OUT_OF_MEMORY[0]), weights="x", device="cpu")
    assert able.between_or_less(a, b, 0.25)[1] == ""


def test_the_stage_passes_it_on():
    told: list[str] = []
    film = Film(2)
    stage = Interpolate(PLUGINS.interpolators)
    net = AtHalf(0.5, OUT_OF_MEMORY[0])
    stage._made["rife", "cpu"] = Rife(lambda: net, weights="x", device="cpu")
    window = Window((film.frame(0), film.frame(1)), 0)
    shot = Shot("s", FrameRange(0, 2))
    for t in (0.5, 0.0):  # between two frames, and at one
        stage.blend(window, t, InterpolateParams(by="rife"), StageContext("cpu", shot, None, told.append))
    assert told == ["with the flow at half the size"]


@every_kind
def test_where_there_is_no_memory_at_all_one_line_says_so(error):
    models = [
        (Dain(lambda: Mix(0, error), weights="x", device="cpu"), "in parts of 384 px"),
        (Rife(lambda: AtHalf(0, error), weights="x", device="cpu"), "with the flow at half the size"),
    ]
    for model, way in models:
        with pytest.raises(PochoirError) as caught:
            model.between(*pair(40, 400), 0.5)
        assert str(caught.value) == (
            f"{model.name}: out of memory on cpu for 400 x 40 even {way}; close what else uses it, or choose another "
            "--device, or by 'flow'"
        )


def test_other_faults_are_not_taken_for_a_lack_of_memory():
    fault = RuntimeError("shapes do not fit")
    for model in (
        Dain(lambda: Mix(0, fault), weights="x", device="cpu"),
        Rife(lambda: AtHalf(0, fault), weights="x", device="cpu"),
    ):
        with pytest.raises(RuntimeError, match="shapes"):
            model.between(*pair(8, 8), 0.5)


def test_fingerprints_are_those_of_frames_in_caches():
    """The hash of name, version and weights, as frames were kept under it before."""
    from core.contract.fingerprint import fingerprint

    assert Dain(lambda: Mix(0, OUT_OF_MEMORY[0]), weights="x", device="cpu").fingerprint == fingerprint("dain", 1, "x")
    assert Rife(PaperNet, weights="x", device="cpu").fingerprint == fingerprint("rife", 2, "x")
