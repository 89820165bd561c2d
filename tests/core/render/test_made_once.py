"""A network is made once for the device that works, and read when the first frame asks for it, not before."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.colourise import Colourise, ColouriseParams
from core.contract.recipe import Recipe, StageSpec
from core.models import deoldify
from core.models.deoldify import DeOldify
from core.render.cache import FrameCache
from core.render.renderer import Renderer
from tests.core.render import fakes

DEVICES = ("cpu", "cuda")  # of which this machine seems to choose the second by itself


class Paints(nn.Module):
    """In place of a generator: the grey it is given, warmer."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.tensor([1.1, 1.0, 0.9]).reshape(1, 3, 1, 1)


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A machine on which `auto` is not the CPU, with DeOldify's checkpoint on its shelf."""
    made = fakes.plugins()
    deoldify.register(made)
    monkeypatch.setattr("core.contract.registry.pick_device", lambda name: torch.device(name or "cuda"))
    return made


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Where colourisers were made, and where their networks were read."""
    log: dict[str, list[str]] = {"made": [], "read": []}

    def make(name: str, device: str | None) -> DeOldify:
        log["made"].append(str(device))

        def read() -> Any:
            log["read"].append(str(device))
            return Paints()

        return DeOldify(read, name=name, weights="x", render_factor=2, device="cpu")

    monkeypatch.setattr(deoldify, "_make", make)
    return log


@pytest.fixture
def lent(told: dict[str, list[str]], plugins: Any) -> Any:
    return plugins


def render(plugins: Any, folder: Any, device: str) -> Renderer:
    recipe = Recipe((StageSpec("colourise", {"colouriser": "deoldify", "steady": 0}),))
    return Renderer(fakes.Film(4), fakes.shots(4), recipe, plugins, FrameCache(folder), device=device)


def test_two_frames_read_it_once_and_where_they_are_made(lent, told, tmp_path):
    renderer = render(lent, tmp_path, "cpu")
    renderer.plan()
    keys = [renderer.line.key(renderer.line.last, n) for n in range(2)]
    assert told == {"made": ["cpu"], "read": []}
    first, second = (renderer.picture(n, after="colourise").rgb for n in range(2))
    assert (first[..., 0] > first[..., 2]).mean() > 0.5  # it was this network that coloured
    assert (second[..., 0] > second[..., 2]).mean() > 0.5
    assert told == {"made": ["cpu"], "read": ["cpu"]}
    again = render(lent, tmp_path / "other", "cpu")  # every edit makes a renderer
    again.picture(2, after="colourise")
    assert [again.line.key(again.line.last, n) for n in range(2)] == keys
    assert told == {"made": ["cpu"], "read": ["cpu"]}


def test_a_key_holds_what_the_device_makes_that_runs(lent):
    """As of the embedded network's precision, which differs from device to device."""
    stage = lent.stages.get("colourise")
    assert isinstance(stage, Colourise)
    lent.colourisers.add("by-device", lambda device: type("Told", (), {"fingerprint": f"on {device}"})())
    parts = [stage.key_parts(ColouriseParams(colouriser="by-device"), device) for device in (*DEVICES, None)]
    assert [p[0] for p in parts] == ["on cpu", "on cuda", "on cuda"]
