"""What a person may choose of a published colouriser: its render factor, and its authors' own road."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.colourise import ColouriseParams, resized
from core.contract.recipe import Recipe, StageSpec
from core.errors import InputError
from core.film.colour import join, luma_of, srgb_to_lab
from core.film.frame import on_grid
from core.film.timebase import FrameRange
from core.models.ddcolor import DDColor
from core.models.deoldify import DeOldify
from core.models.siggraph17 import SIGGRAPH17
from core.render.cache import FrameCache
from core.render.renderer import Renderer
from tests.core.render import fakes
from tests.core.render.test_whole_frames import Film


class Warms(nn.Module):
    """In place of a network: reddish where it is bright, and it tells at which size it was asked."""

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.planes, self.sides = planes, []

    def forward(self, x: Tensor) -> Tensor:
        self.sides.append(x.shape[-1])
        if self.planes == 3:
            return x * torch.tensor([1.1, 1.0, 0.8]).reshape(1, 3, 1, 1)
        return torch.cat([20 * x[:, :1], 30 * x[:, :1]], dim=1)


@pytest.fixture
def networks() -> list[Warms]:
    """Those that were read, in order."""
    return []


@pytest.fixture
def plugins(networks: list[Warms]) -> Any:
    def reads(planes: int) -> Any:
        return lambda: networks.append(Warms(planes)) or networks[-1]

    made = fakes.plugins()
    for name, maker in {
        "deoldify": lambda device: DeOldify(reads(3), name="deoldify", weights="x", render_factor=21, device=device),
        "ddcolor": lambda device: DDColor(reads(2), name="ddcolor", weights="x", size=64, device=device),
        "siggraph17": lambda device: SIGGRAPH17(reads(2), weights="x", device=device),
    }.items():
        made.colourisers.add(name, maker)
    return made


def renderer(plugins: Any, folder: Any, **params: Any) -> Renderer:
    recipe = Recipe((StageSpec("colourise", {"steady": 0, **params}),))
    return Renderer(Film((90, 160)), fakes.shots(2), recipe, plugins, FrameCache(folder), device="cpu")


def key(plugins: Any, folder: Any, **params: Any) -> str:
    line = renderer(plugins, folder, **params).line
    return line.key(line.last, 0)


def test_render_factors_share_one_reading_of_the_weights(plugins, networks, tmp_path):
    for factor, side in ((0, 336), (10, 160), (35, 560), (21, 336)):
        renderer(plugins, tmp_path / str(factor), colouriser="deoldify", render_factor=factor).picture(
            0, after="colourise"
        )
        assert networks[0].sides[-1] == side
    assert len(networks) == 1
    with pytest.raises(InputError, match="deoldify: render factor 1 is outside 2 to 128"):
        renderer(plugins, tmp_path, colouriser="deoldify", render_factor=1)


def test_a_render_factor_is_in_the_keys_of_those_who_have_one(plugins, tmp_path):
    keys = [key(plugins, tmp_path, colouriser="deoldify", render_factor=f) for f in (0, 21, 35, 10)]
    assert keys[0] == keys[1]  # the authors' own, asked for by its number
    assert len(set(keys)) == 3


def test_the_published_road_is_in_the_keys_of_those_who_have_one(plugins, tmp_path):
    for name in ("deoldify", "ddcolor", "siggraph17"):
        assert len({key(plugins, tmp_path, colouriser=name, faithful=f) for f in (False, True)}) == 2
    assert key(plugins, tmp_path, colouriser="deoldify", faithful=True) != key(
        plugins, tmp_path, colouriser="deoldify", faithful=True, render_factor=10
    )


def test_what_a_colouriser_has_not_is_refused_and_not_left_aside(plugins, tmp_path):
    for name in ("embedded", "ddcolor", "siggraph17"):
        with pytest.raises(
            InputError, match=rf"^colourise: render_factor 21 is of DeOldify, not of '{name}'; set it to 0"
        ):
            renderer(plugins, tmp_path, colouriser=name, render_factor=21)
    with pytest.raises(
        InputError, match=r"^colourise: faithful is of DeOldify, DDColor and siggraph17, not of 'embedded'"
    ):
        renderer(plugins, tmp_path, faithful=True)


@pytest.mark.parametrize("name", ["deoldify", "ddcolor", "siggraph17"])
def test_on_the_published_road_the_automatic_pass_is_the_published_picture(name, plugins, networks, tmp_path):
    usual = renderer(plugins, tmp_path / "usual", colouriser=name)
    published = renderer(plugins, tmp_path / "published", colouriser=name, faithful=True)
    film = Film((90, 160))
    rgb = plugins.colourisers.made(name, "cpu").faithful(film.bytes)
    unit = rgb.astype(np.float32) / 255 if rgb.dtype == np.uint8 else rgb
    wanted = srgb_to_lab(unit)[..., 1:]
    found = published.side.alone(0)
    assert np.array_equal(found.ab, resized(wanted, found.ab.shape[:2]).astype(np.float16).astype(np.float32))
    assert np.abs(wanted).mean() > 1  # there is something to agree on
    assert not np.array_equal(usual.side.alone(0).ab, found.ab)
    (frame,) = published.render(FrameRange(0, 1))
    assert np.array_equal(frame.rgb, on_grid(join(luma_of(film.bytes.astype(np.float32) / 255), found.ab)))
    assert len(networks) == 1


def test_who_carries_hints_goes_on_to_on_the_published_road(plugins):
    stage = plugins.stages.get("colourise")
    assert stage.carrier("siggraph17", "cpu") is plugins.colourisers.made("siggraph17", "cpu")
    assert stage.colouriser(ColouriseParams(colouriser="siggraph17", faithful=True), "cpu").of is stage.carrier(
        "siggraph17", "cpu"
    )
