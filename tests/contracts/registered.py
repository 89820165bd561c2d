"""Everything that is registered, and small films on which its promises are tried.

With ``POCHOIR_INSTALLED=1`` that is what installed packages offer too, as docs/add-a-model.md says.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from app import BUILTINS
from core.contract.plugins import GROUP, Plugins, load_plugins
from core.contract.recipe import Recipe, StageSpec
from core.film.clip import Clip
from core.film.frame import Frame, on_grid
from core.film.shot import shots_from_cuts
from core.film.timebase import FrameRange
from core.render.cache import FrameCache
from core.render.renderer import Renderer

VARIABLE = "POCHOIR_INSTALLED"


def registered() -> Plugins:
    """What comes with the house, and where a person asks for it what is installed: all of it, or none is tried.

    The program leaves out a package that fails to load; here it is to be found out.
    """
    plugins = load_plugins([import_module(name) for name in BUILTINS], discover=False)
    if os.environ.get(VARIABLE):
        points = entry_points(group=GROUP)
        assert points, f"{VARIABLE} is set, but no package with an entry point of {GROUP} is installed here"
        for point in points:
            point.load()(plugins)
    return plugins


PLUGINS = registered()
ODD = (37, 53)

# Parameters under which a stage that is a no-op by default does something on a film of `ODD` at 24 fps.
ACTING: dict[str, dict[str, Any]] = {
    "upscale": {"size": "80x60"},
    "interpolate": {"rate": "60"},
}


class Film:
    """A textured picture that pans, with flicker and specks: every stage finds something to do.

    Frames named in ``poison`` are all NaN: what so much as looks at them is found out.
    """

    def __init__(
        self,
        count: int,
        *,
        size: tuple[int, int] = ODD,
        colour: bool = False,
        poison: frozenset[int] = frozenset(),
        level: float | None = None,
    ) -> None:
        h, w = size
        self.clip = Clip(
            path="film", kind="video", sha256="0" * 64, width=w, height=h, rate=Fraction(24),
            time_base=Fraction(1, 24), pts=tuple(range(count)), end_pts=count, grey=not colour,
        )  # fmt: skip
        self.colour, self.poison, self.level = colour, poison, level
        rng = np.random.default_rng(7)
        noise = rng.uniform(0, 1, (h // 4 + 2, w // 4 + count // 2 + 2, 3)).astype(np.float32)
        wide = cv2.resize(noise, (4 * noise.shape[1], 4 * noise.shape[0]), interpolation=cv2.INTER_CUBIC)
        self._texture = 0.15 + 0.6 * np.clip(wide, 0, 1)
        self._gains = 1 + 0.08 * rng.standard_normal(count)
        self._specks = rng.integers(2, min(h, w) - 4, (count, 2))

    def frame(self, n: int) -> Frame:
        h, w = self.clip.size
        if n in self.poison:
            return Frame(n, np.full((h, w, 3), np.nan, np.float32))
        if self.level is not None:
            return Frame(n, np.full((h, w, 3), self.level, np.float32))
        rgb = self._texture[:h, n : n + w] * np.float32(self._gains[n])
        if not self.colour:
            rgb = np.repeat(rgb[..., :1], 3, axis=2)
        y, x = self._specks[n]
        rgb = rgb.copy()
        rgb[y : y + 3, x : x + 3] = 0.98
        return Frame(n, on_grid(rgb))

    def frames(self, span: FrameRange) -> Iterator[Frame]:
        return (self.frame(n) for n in span)

    def close(self) -> None:
        """Nothing to let go of."""


def renderer(stage: str, film: Film, cache: Path, *cuts: int, **params: Any) -> Renderer:
    """A line of this one stage."""
    recipe = Recipe((StageSpec(stage, {**ACTING.get(stage, {}), **params}),))
    shots = shots_from_cuts(cuts, film.clip.count)
    return Renderer(film, shots, recipe, PLUGINS, FrameCache(cache), device="cpu")


def pictures(made: Renderer, span: FrameRange | None = None) -> list[np.ndarray]:
    return [f.rgb for f in made.render(span)]
