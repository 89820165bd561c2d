"""Where memory ends, interpolators go on with what takes less, and say so in one line."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core.contract.registry import Makers
from core.contract.stage import StageContext, Window
from core.errors import PochoirError
from core.film.shot import Shot
from core.film.timebase import FrameRange
from core.interpolate import FallsShort, Interpolate, InterpolateParams
from core.models import dain, ways
from core.models.dain import Dain
from core.models.dain_net import DainNet
from core.models.drawn import QUIET, drawn
from core.models.rife import Rife
from core.models.rife_net import V4_17, V4_25, IFNet, PaperNet
from tests.contracts.registered import Film

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

    def look(self, first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return first, second

    def make(self, seen: tuple[torch.Tensor, torch.Tensor], t: float) -> SimpleNamespace:
        first, second = seen
        h, w = first.shape[2:]
        self.sides.append((h, w))
        if h * w > self.most:
            raise self.error
        return SimpleNamespace(picture=(1 - t) * first + t * second)


class AtHalf(IFNet):
    """In place of RIFE's network: the first picture, once the flow is estimated at no more than a part of its size."""

    def __init__(self, most: float, error: RuntimeError) -> None:
        super().__init__(V4_25)
        self.most, self.error = most, error
        self.scales: list[float] = []

    def look(self, picture):
        return picture

    def make(self, one, two, t, scale):
        self.scales.append(scale)
        if scale > self.most:
            raise self.error
        return one


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
    assert mix.sides == [(384, 512)] * 2 + [(320, 320)] * 6  # once more with nothing kept, then smaller
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
    assert net.scales == [1.0, 1.0, 0.5, 0.5]
    assert said(caplog) == [
        "rife: out of memory on cpu for 90 x 70 with the flow at full size; going on with the flow at half the size"
    ]
    net.most = 1.0
    model.between(*pair(64, 90), 0.5)
    assert net.scales[4:] == [1.0]


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
    makers = Makers("interpolator")
    net = AtHalf(0.5, OUT_OF_MEMORY[0])
    makers.add("rife", lambda device: Rife(lambda: net, weights="x", device=device))
    stage = Interpolate(makers)
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


def counted(network: torch.nn.Module, *names: str) -> dict[str, int]:
    """How often each of these parts of a network has been called since."""
    calls = dict.fromkeys(names, 0)
    for name in names:
        network.get_submodule(name).register_forward_hook(lambda *_, name=name: calls.update({name: calls[name] + 1}))
    return calls


def planes(rgb: np.ndarray, multiple: int) -> torch.Tensor:
    h, w = rgb.shape[:2]
    x = torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))[None]
    return torch.nn.functional.pad(x, (0, -w % multiple, 0, -h % multiple))


def test_dain_looks_once_at_two_pictures_for_all_times_between_them(monkeypatch):
    monkeypatch.setattr(dain, "BLOCK", 64)
    net = drawn(DainNet, 0, QUIET)
    calls = counted(net, "depthNet", "flownets", "initScaleNets_filter", "rectifyNet")
    a, b = pair(10, 12)
    kept = Dain(lambda: net, weights="x", device="cpu")
    made = [kept.between(a, b, t) for t in (0.25, 0.75)]
    assert calls == {"depthNet": 1, "flownets": 2, "initScaleNets_filter": 1, "rectifyNet": 2}
    assert not np.array_equal(*made)
    # to the bit as one who was never asked before makes it
    assert np.array_equal(made[1], Dain(lambda: net, weights="x", device="cpu").between(a, b, 0.75))
    assert calls["depthNet"] == 2
    found = kept.found(a, b)
    assert kept.found(a.copy(), b) is found
    a[0, 0, 0] += 0.1  # pictures are told by what they show, not by where they lie
    assert kept.found(a, b) is not found


@pytest.mark.parametrize("build", [V4_17, V4_25])
def test_rife_looks_once_at_each_of_two_pictures(build):
    net = drawn(lambda: IFNet(build), 0)
    calls = counted(net, "encode", "block0")
    a, b = pair(30, 40)
    model = Rife(lambda: net, weights="x", device="cpu")
    made = [model.between(a, b, t) for t in (0.25, 0.5, 0.75)]
    assert calls == {"encode": 2, "block0": 3}
    with torch.inference_mode():
        for t, picture in zip((0.25, 0.5, 0.75), made, strict=True):
            anew = net(planes(a, build.multiple), planes(b, build.multiple), t)[0, :, :30, :40].clamp(0, 1)
            assert np.array_equal(picture, anew.permute(1, 2, 0).numpy())


def test_halving_comes_back_to_pictures_it_has_made():
    net = drawn(PaperNet, 0)
    calls = counted(net, "unet")
    a, b = pair(30, 40)
    model = Rife(lambda: net, weights="x", device="cpu")
    made = [model.between(a, b, t) for t in (0.25, 0.5, 0.75)]
    assert calls["unet"] == 3  # the middle, and one to each side of it
    for t, picture in zip((0.25, 0.5, 0.75), made, strict=True):
        assert np.array_equal(picture, Rife(lambda: net, weights="x", device="cpu").between(a, b, t))
    assert calls["unet"] == 3 + 2 + 1 + 2


def test_what_the_clock_is_shown_is_looked_at_anew_each_time_and_not_kept(monkeypatch):
    """Else the second way would be timed on what the first found."""
    monkeypatch.delenv(ways.VARIABLE, raising=False)
    monkeypatch.setattr(ways, "has_units", lambda device, half="bfloat16": half == "bfloat16")
    monkeypatch.setattr(ways, "remembered", lambda device, model: None)
    monkeypatch.setattr(ways, "remember", lambda way, device, model: None)
    net = drawn(lambda: IFNet(V4_25), 0)
    calls = counted(net, "encode")
    model = Rife(lambda: net, weights="x", device="cpu")
    assert calls == {"encode": 2 * 2 * (1 + ways.ROUNDS)}
    assert model._pair is None
    a, b = pair(30, 40)
    calls["encode"] = 0
    model.between(a, b, 0.25), model.between(a, b, 0.75)
    assert calls == {"encode": 2}


def test_pairs_that_alternate_and_threads_get_their_own_pictures():
    model = Rife(lambda: drawn(lambda: IFNet(V4_25), 0), weights="x", device="cpu")
    pairs = [pair(30, 40), pair(30, 40)[::-1]]
    wanted = [model.between(*p, 0.25) for p in pairs]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda n: model.between(*pairs[n % 2], 0.25), range(12)))
    assert all(np.array_equal(picture, wanted[n % 2]) for n, picture in enumerate(got))


def test_what_is_kept_gives_way_before_a_picture_is_made_lesser(monkeypatch):
    """The second of two parts finds no memory while what was seen of the first is kept."""
    monkeypatch.setattr(dain, "TILES", (192, 160))
    mix = Mix(1 << 20, OUT_OF_MEMORY[0])
    model = Dain(lambda: mix, weights="x", device="cpu")
    make = mix.make

    def tight(seen, t):
        if len(model._found._values) > 1:
            raise OUT_OF_MEMORY[0]
        return make(seen, t)

    monkeypatch.setattr(mix, "make", tight)
    a, b = pair(100, 200)
    made, instead = model.between_or_less(a, b, 0.25)
    assert instead == ""
    np.testing.assert_allclose(made, 0.75 * a + 0.25 * b, atol=1e-6)
    mix.sides.clear()
    model.between(a[::-1], b, 0.25)  # what was learnt is kept: nothing is, and nothing is tried in vain
    assert len(mix.sides) == 2
