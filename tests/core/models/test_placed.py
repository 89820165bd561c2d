"""Where a device's memory ends, a colouriser's network goes on on the CPU: the same picture, one line in the log."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.errors import PochoirError
from core.models import placed
from core.models.ddcolor import DDColor
from core.models.deoldify import DeOldify
from core.models.device import set_threads
from core.models.placed import Placed
from core.models.siggraph17 import SIGGRAPH17
from core.models.tiling import is_out_of_memory

ONE = torch.ones(1, 1, 1, 1)
ELSEWHERE = torch.device("meta")  # a device that holds no numbers: whatever is asked of it there fails
PLAIN, FAST = torch.contiguous_format, torch.channels_last
SAID = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
]
every_error = pytest.mark.parametrize("error", SAID, ids=["cuda", "cublas", "cudnn", "mps"])


class Doubles(nn.Module):
    """Twice what it is given; fails where it is not on the CPU, and there too if it is told to."""

    made: ClassVar[int] = 0

    def __init__(self, error: RuntimeError, always: bool = False) -> None:
        super().__init__()
        self.two = nn.Parameter(torch.full((1,), 2.0), requires_grad=False)
        self.error, self.always = error, always

    def forward(self, x: Tensor) -> Tensor:
        if self.always or self.two.device.type != "cpu":
            raise self.error
        return self.two * x

    def odds(self, x: Tensor) -> Tensor:
        return self(x) + 1


@every_error
def test_from_where_memory_ends_it_runs_on_the_cpu_and_says_so_once(error, caplog):
    made: list[Doubles] = []

    def make() -> Doubles:
        made.append(Doubles(error))
        return made[-1]

    network = Placed("thing", make, ELSEWHERE)
    assert made == []
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    for _ in range(3):
        assert torch.equal(network(x), 2 * x)
        assert torch.equal(network.run(lambda net, shown: net.odds(shown), x), 2 * x + 1)
    assert len(made) == 2  # on the device, then on the CPU
    assert [r.getMessage() for r in caplog.records] == [
        "thing: out of memory on meta; going on on the CPU, more slowly"
    ]


def test_it_runs_in_the_way_asked_for_and_at_float32_on_the_cpu_it_fell_back_to(monkeypatch):
    ran: list[tuple[str, str]] = []

    def running(way, device):
        ran.append((way, device.type))
        return nullcontext()

    monkeypatch.setattr(placed, "running", running)
    network = Placed("thing", lambda: Doubles(SAID[0]), ELSEWHERE)
    for _ in range(2):
        assert torch.equal(network(ONE, way="bfloat16"), 2 * ONE)
    Placed("thing", lambda: Doubles(SAID[0]), torch.device("cpu"))(ONE, way="bfloat16")
    network(ONE)
    assert ran == [
        ("bfloat16", "meta"),
        ("float32", "cpu"),
        ("float32", "cpu"),
        ("bfloat16", "cpu"),
        ("float32", "cpu"),
    ]


def test_at_half_precision_it_answers_at_float32():
    network = Placed("thing", lambda: nn.Linear(4, 4).requires_grad_(False), torch.device("cpu"))
    x = torch.linspace(0, 1, 4).reshape(1, 1, 1, 4)
    full, half = network(x), network(x, way="bfloat16")
    assert half.dtype == torch.float32
    assert not torch.equal(full, half)
    assert torch.equal(half, half.bfloat16().float())
    assert torch.equal(network(x, layout=PLAIN), full)


def test_the_device_may_lack_memory_for_the_weights_themselves():
    class Heavy(Doubles):
        def to(self, device, **kwargs):
            if device == ELSEWHERE:
                raise self.error
            return super().to(device, **kwargs)

    assert torch.equal(Placed("thing", lambda: Heavy(SAID[0]), ELSEWHERE)(ONE), 2 * ONE)


@every_error
def test_where_the_cpu_has_none_either_one_line_says_so(error):
    with pytest.raises(PochoirError) as caught:
        Placed("thing", lambda: Doubles(error, always=True), ELSEWHERE)(ONE)
    assert str(caught.value) == "thing: out of memory on cpu; close what else uses it"


def test_another_fault_is_none_of_memory(caplog):
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        Placed("thing", lambda: Doubles(RuntimeError("shapes do not fit")), ELSEWHERE)(ONE)
    assert caplog.records == []
    assert all(map(is_out_of_memory, SAID))


class Paints(nn.Module):
    """A colouriser's network: its input's planes, as many as are asked for; fails until it is on the CPU."""

    def __init__(self, planes: int, on: torch.device) -> None:
        super().__init__()
        self.planes, self.on = planes, on

    def to(self, device, **kwargs):
        self.on = torch.device(device)
        return super().to(device, **kwargs)

    def forward(self, x: Tensor) -> Tensor:
        if self.on.type != "cpu":
            raise SAID[0]
        return x[:, : self.planes] * torch.linspace(0.5, 1, self.planes)[:, None, None]


def test_weights_and_planes_lie_as_is_asked():
    seen = []

    def work(network: nn.Module, x: Tensor) -> Tensor:
        seen.append([[t.is_contiguous(memory_format=way) for way in (PLAIN, FAST)] for t in (network.weight, x)])
        return network(x)

    network = Placed("thing", lambda: nn.Conv2d(3, 4, 3), torch.device("cpu"))
    x = torch.rand(1, 3, 8, 8)
    for layout in (FAST, PLAIN, FAST):
        with torch.inference_mode():
            network.run(work, x, layout=layout)
    assert seen == [[[False, True]] * 2, [[True, False]] * 2, [[False, True]] * 2]


def until(so) -> None:
    """Wait for what another thread is about to do."""
    last = time.monotonic() + 30
    while not so():
        assert time.monotonic() < last, "it never came to that"
        time.sleep(0.001)


def test_calls_of_one_layout_run_beside_each_other_and_none_lays_the_weights_out_under_another():
    network = Placed("thing", lambda: nn.Conv2d(3, 4, 3).requires_grad_(False), torch.device("cpu"))
    x = torch.rand(1, 3, 8, 8)
    network(x)
    asking = network._laid(lambda laid: laid._asking)
    both, leave, entered = threading.Barrier(3), threading.Event(), []

    def stays(net: nn.Module, x: Tensor) -> Tensor:
        both.wait(30)
        leave.wait(30)
        return notes(net, x)

    def notes(net: nn.Module, x: Tensor) -> Tensor:
        entered.append([net.weight.is_contiguous(memory_format=way) for way in (PLAIN, FAST)])
        return net(x)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(2):
            pool.submit(network.run, stays, x, layout=PLAIN)
        both.wait(30)  # two are within at once
        other = pool.submit(network.run, notes, x, layout=FAST)
        until(lambda: asking[FAST])
        late = pool.submit(network.run, notes, x, layout=PLAIN)
        until(lambda: asking[PLAIN])
        assert entered == []  # who comes late does not pass who waits
        leave.set()
        assert torch.allclose(other.result(), late.result(), atol=1e-5)
    assert entered[:2] == [[True, False]] * 2
    assert sorted(entered[2:]) == [[False, True], [True, False]]


def test_both_roads_of_one_network_give_beside_each_other_what_they_give_alone():
    threads = set_threads()
    set_threads(1)
    try:
        speaker = DeOldify.random_init("deoldify-artistic", render_factor=2, device="cpu")
        rng = np.random.default_rng(0)
        grey = np.repeat(rng.integers(0, 256, (32, 32, 1), dtype=np.uint8), 3, axis=2)
        luma = rng.uniform(0, 100, (24, 40)).astype(np.float32)
        roads = [lambda: speaker.faithful_colour(grey), lambda: speaker.predict(luma)]
        with ThreadPoolExecutor(2) as pool:
            alone = [pool.submit(road).result() for road in roads]
            beside = [[pool.submit(road) for road in roads] for _ in range(6)]
            for calls in beside:
                assert all(np.array_equal(call.result(), one) for call, one in zip(calls, alone, strict=True))
    finally:
        set_threads(threads)


@pytest.mark.parametrize("name", ["deoldify", "ddcolor", "siggraph17"])
def test_every_published_colouriser_gives_the_same_picture_on_the_cpu(name, caplog):
    def made() -> object:
        paints: dict[str, object] = {"device": "cpu", "weights": "x"}
        if name == "deoldify":
            return DeOldify(lambda: Paints(3, ELSEWHERE), name=name, render_factor=2, **paints)
        if name == "ddcolor":
            return DDColor(lambda: Paints(2, ELSEWHERE), name=name, size=32, **paints)
        return SIGGRAPH17(lambda: Paints(2, ELSEWHERE), **paints)

    luma = np.linspace(0, 100, 40 * 48, dtype=np.float32).reshape(40, 48)
    usual, short = made(), made()
    fallback = short._network._laid
    fallback._place = fallback._on(ELSEWHERE)  # a device whose memory has ended
    assert np.array_equal(usual.predict(luma), short.predict(luma))
    assert [r.getMessage() for r in caplog.records] == [
        f"{name}: out of memory on meta; going on on the CPU, more slowly"
    ]
