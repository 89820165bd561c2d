"""The film of the browser tests, a project of it, and the app around it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import cv2

from core import colourise, flow, restore
from core.contract.params import NoParams
from core.contract.plugins import Plugins, load_plugins
from core.contract.recipe import Recipe, StageSpec
from core.contract.stage import Array, StageBase, StageContext, Window
from hints import segment
from studio.session import Session
from studio.ui.convert import to_8bit
from studio.ui.server import build_app
from tests.studio.ui.fake import COUNT, picture

SLOW_SECONDS = 0.15


class Slow(StageBase):
    """Changes nothing and takes its time, so that a render lasts long enough to be stopped."""

    name: ClassVar[str] = "slow"
    version: ClassVar[int] = 1
    help: ClassVar[str] = "Takes its time."
    Params: ClassVar[type] = NoParams

    def radius(self, params: Any, device: str | None = None) -> int:
        return 0

    def process(self, window: Window, params: Any, context: StageContext) -> Array:
        time.sleep(SLOW_SECONDS)
        return window.frame.rgb


def plugins() -> Plugins:
    made = load_plugins([restore, flow, colourise, segment], discover=False)
    made.stages.add("slow", Slow())
    return made


RECIPE = Recipe((StageSpec("colourise"), StageSpec("slow")), "slow")


def write_film(folder: Path) -> Path:
    """The synthetic film as a folder of PNG frames."""
    folder.mkdir()
    for n in range(COUNT):
        cv2.imwrite(str(folder / f"{n:06d}.png"), to_8bit(picture(n)))
    return folder


def make_app(folder: Path, hosts: Iterable[str]) -> Any:
    """The studio over a new project of the film."""
    made = plugins()
    project = folder / "film.pochoir"
    session = Session.create(project, write_film(folder / "film"), rate="25", recipe=RECIPE, plugins=made)
    # The worker is there before any test begins, so that no test is blamed for its thread.
    session.cancel(session.start_render(shot=0))
    return build_app(session, plugins=made, hosts=hosts, browse=True, recent_file=folder / "recent.json")
