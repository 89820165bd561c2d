"""One frame recoloured at once: what a restorer sees a moment after placing a hint.

Nothing is carried for it. Hints on this very frame speak by their footprint; hints from elsewhere speak
where they have been carried already. What a preview needs of a frame besides hints (its repaired luma, the
automatic colour) is made once and kept, so that the next hint on the frame costs one run of the network.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.contract.sources import FrameSource
from hints.hint import Hint, HintSet
from hints.track import frame_of
from studio.project import Project
from studio.rendering import Machine, Unhinted, colouring_takes, colours


class Preview:
    """Recolours single frames. Thread-safe; one frame at a time.

    Args:
        film: opens the film.
        machine: plugins, cache and device.
    """

    def __init__(self, film: Callable[[], FrameSource], machine: Machine) -> None:
        self._lock = threading.Lock()
        self._unhinted = Unhinted(film, machine)

    def picture(
        self, project: Project, n: int, extra: Hint | None = None, side: int | None = None
    ) -> NDArray[np.float32]:
        """Frame ``n`` of the source, recoloured.

        Args:
            project: what is said.
            n: source frame.
            extra: a hint more, or one said differently.
            side: longest side in pixels, where the screen shows no more of them; None: the film's own.

        Returns:
            [(H, W, 3) float32 [0, 1] R'G'B']
        """
        with self._lock:
            renderer = self._unhinted.renderer(project)
            place = frame_of(n, colouring_takes(renderer))
            if not colours(project.recipe):
                return renderer.before_colour(place).rgb
            said: Any = self._unhinted.carried(_with(project.hints, extra)).at_once(place)
            return renderer.recolour(place, said, side)

    def suggest(self, project: Project, n: int, xy: tuple[float, float], count: int) -> NDArray[np.float32]:
        """Likely colours of a place (shares of width and height) of frame ``n``: L*, a*, b*, share  [(m, 4) float32].

        Raises:
            RecipeError: the recipe does not colour.
        """
        with self._lock:
            renderer = self._unhinted.renderer(project)
            return renderer.suggest(frame_of(n, colouring_takes(renderer)), xy, count)

    def close(self) -> None:
        """Let go of what is kept."""
        with self._lock:
            self._unhinted.close()


def _with(hints: HintSet, extra: Hint | None) -> HintSet:
    """The hints and one more, or one of them said differently."""
    if extra is None:
        return hints
    known = any(hint.id == extra.id for hint in hints)
    return hints.replace_hint(extra) if known else hints.add_hint(extra)
