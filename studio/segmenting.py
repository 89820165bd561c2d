"""The object under a click, by the first of the registered segmenters that can work on this machine."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.contract.plugins import Plugins
from core.errors import InputError, ModelMissingError, PochoirError
from hints.gestures import Path, Stroke, marked
from hints.segment import Prepares

log = logging.getLogger(__name__)
Points = list[tuple[float, float, bool]]
Box = tuple[float, float, float, float]


class Segmenters:
    """Asks segmenters in order of registration; one whose checkpoint is missing is passed over."""

    def __init__(self, plugins: Plugins, device: str | None) -> None:
        self._plugins = plugins
        self._device = device
        self._lock = threading.Lock()
        self._chosen: Any = None
        self._newest: Callable[[], NDArray[np.float32]] | None = None

    def mask(
        self,
        picture: NDArray[np.float32],
        points: Points,
        box: Box | None = None,
        lasso: Path | None = None,
        strokes: Sequence[Stroke] = (),
    ) -> NDArray[np.bool_]:
        """The object  [(H, W) bool].

        Args:
            picture: the frame  [(H, W, 3) float32 [0, 1] R'G'B']
            points: (x, y, whether inside)  [px]
            box: (left, top, right, bottom)  [px]
            lasso: a loop around the object  [px]
            strokes: of the brush, in order.

        Raises:
            InputError: nothing was drawn, or no segmenter is there.
        """
        if not points and box is None and lasso is None and not strokes:
            raise InputError("segment: click on the object, or draw a box or a loop around it")
        with self._lock:
            return marked(self._segmenter(), picture, points, box, lasso, strokes)

    def prepare(self, picture: Callable[[], NDArray[np.float32]]) -> threading.Thread:
        """Let the segmenter look at a picture in the background, so that the first click is answered at once.

        Of pictures that wait their turn only the newest is looked at.

        Args:
            picture: gives the frame  [(H, W, 3) float32 [0, 1] R'G'B']
        """
        self._newest = picture

        def work() -> None:
            with self._lock:
                if self._newest is not picture:
                    return
                try:
                    segmenter = self._segmenter()
                    if isinstance(segmenter, Prepares):
                        segmenter.prepare(picture())
                except PochoirError as error:  # the click itself will say it to the person
                    log.info("segmenter not prepared: %s", error)

        thread = threading.Thread(target=work, name="pochoir-segmenter", daemon=True)
        thread.start()
        return thread

    def _segmenter(self) -> Any:
        if self._chosen is None:
            for name in self._plugins.segmenters:
                try:
                    self._chosen = self._plugins.segmenters.get(name)(self._device)
                    break
                except ModelMissingError as error:
                    log.info("segmenter %s passed over: %s", name, error)
            else:
                raise InputError("segment: no segmenter is registered; draw the region by hand")
        return self._chosen
