"""A network that sees squares is shown the whole frame, as its authors' program shows it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor, nn

from core.colourise import automatic_of
from core.contract.recipe import Recipe, StageSpec
from core.film.clip import Clip
from core.film.colour import luma_of
from core.film.frame import Frame, on_grid
from core.film.timebase import FrameRange
from core.models.ddcolor import DDColor
from core.models.deoldify import STEP, DeOldify, squeeze
from core.render.cache import FrameCache
from core.render.renderer import Renderer
from tests.core.render import fakes

SIZE = (720, 1280)
MEAN, STD = (np.array(v, np.float32) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))


class Film:
    """One grey frame, twice, of fine lines, steps and noise: what is averaged in another way looks otherwise."""

    def __init__(self, size: tuple[int, int] = SIZE) -> None:
        h, w = size
        y, x = np.mgrid[:h, :w]
        rng = np.random.default_rng(3)
        plane = 0.5 + 0.2 * np.sin(y / 1.7) + 0.15 * np.sin(x / 2.3) + 0.1 * rng.standard_normal(size)
        plane = np.where((x // 90 + y // 60) % 3 == 0, 1 - plane, plane)
        self.bytes = np.repeat(np.rint(np.clip(plane, 0, 1) * 255).astype(np.uint8)[..., None], 3, axis=2)
        self.clip = Clip(
            path="film", kind="video", sha256="film", width=w, height=h, rate=Fraction(24),
            time_base=Fraction(1, 24), pts=(0, 1), end_pts=2,
        )  # fmt: skip

    def frames(self, span: FrameRange) -> Any:
        return (Frame(n, on_grid(self.bytes.astype(np.float32) / 255)) for n in span)

    def close(self) -> None:
        """Nothing to let go of."""


class Looks(nn.Module):
    """Keeps what it is shown, and colours nothing."""

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.planes, self.seen = planes, []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x[0].clone())
        return x[:, : self.planes]


def coloured(colouriser: Any, film: Film, folder: Any) -> np.ndarray:
    plugins = fakes.plugins()
    plugins.colourisers.add("looks", lambda device: colouriser)
    recipe = Recipe((StageSpec("colourise", {"colouriser": "looks", "steady": 0}),))
    return (
        Renderer(film, fakes.shots(2), recipe, plugins, FrameCache(folder), device="cpu")
        .picture(0, after="colourise")
        .rgb
    )


@pytest.mark.parametrize("factor", [7, 21, 35])  # 35: more than the size at which motion is found
def test_deoldify_is_shown_the_published_squeeze_of_the_whole_frame(factor, tmp_path):
    film, net = Film(), Looks(3)
    made = DeOldify(lambda: net, name="deoldify", weights="x", render_factor=factor, device="cpu")
    coloured(made, film, tmp_path)
    (seen,) = net.seen
    shown = (seen.permute(1, 2, 0).numpy() * STD + MEAN) * 255
    published = squeeze(film.bytes, factor * STEP).astype(np.float32)
    assert shown.shape == published.shape
    # Pillow rounds after each of its two passes, and once more to grey.
    assert np.abs(shown - published).max() < 1.5
    assert np.abs(shown - published).mean() < 0.4
    assert published.std() > 10


def test_ddcolor_is_shown_the_whole_frame_averaged_once(tmp_path):
    film, net = Film(), Looks(2)
    coloured(DDColor(lambda: net, name="ddcolor", weights="x", device="cpu"), film, tmp_path)
    shown = net.seen[0].permute(1, 2, 0).numpy() * 255
    small = Image.fromarray(film.bytes).resize((512, 512), Image.Resampling.BILINEAR)
    assert np.abs(shown - np.asarray(small, np.float32)).max() < 1.5


def test_what_is_smaller_than_the_square_is_handed_on_as_it_is(tmp_path):
    film, net = Film((100, 480)), Looks(3)
    made = DeOldify(lambda: net, name="deoldify", weights="x", render_factor=21, device="cpu")
    coloured(made, film, tmp_path)
    shown = (net.seen[0].permute(1, 2, 0).numpy() * STD + MEAN) * 255
    assert np.abs(shown - squeeze(film.bytes, 336).astype(np.float32)).max() < 1.5


def test_one_frame_by_itself_is_asked_about_in_the_same_way():
    film, net = Film(), Looks(3)
    made = DeOldify(lambda: net, name="deoldify", weights="x", render_factor=21, device="cpu")
    found = automatic_of(luma_of(film.bytes.astype(np.float32) / 255), made)
    assert found.ab.shape == (*found.luma.shape, 2) == (144, 256, 2)
    shown = (net.seen[0].permute(1, 2, 0).numpy() * STD + MEAN) * 255
    assert np.abs(shown - squeeze(film.bytes, 336).astype(np.float32)).max() < 1.5
    assert np.abs(found.ab).max() < 0.5  # grey in, grey out
