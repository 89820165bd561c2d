"""Proxies: a film at most 640 pixels wide, for a look at the whole before the real render."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from core.contract.fingerprint import fingerprint
from core.contract.params import build
from core.contract.plugins import Plugins
from core.contract.recipe import Recipe
from core.contract.sources import FrameSource
from core.contract.stage import RetimeStage
from core.film.frame import Frame, on_grid
from core.film.timebase import FrameRange

WIDTH = 640
# Any size tells whether a stage changes sizes; this one is no stage's target by chance.
_PROBE = (97, 131)


class Proxy:
    """A film's frames made small by area; a film that is small already stays as it is.

    Its clip has another hash, so that nothing made of proxies is ever taken for the real thing.
    """

    def __init__(self, source: FrameSource) -> None:
        clip = source.clip
        scale = min(1.0, WIDTH / clip.width)
        self._source = source
        self._size = (max(1, round(clip.height * scale)), max(1, round(clip.width * scale)))
        h, w = self._size
        sha256 = clip.sha256 if scale == 1.0 else fingerprint("proxy", clip.sha256, h, w)
        self.clip = replace(clip, width=w, height=h, sha256=sha256)

    def frame(self, n: int) -> Frame:
        """Frame ``n``, small."""
        return self._small(self._source.frame(n))

    def frames(self, span: FrameRange) -> Iterator[Frame]:
        """Frames of a range, small, in order."""
        return (self._small(frame) for frame in self._source.frames(span))

    def close(self) -> None:
        """Let go of the film."""
        self._source.close()

    def _small(self, frame: Frame) -> Frame:
        if frame.size == self._size:
            return frame
        h, w = self._size
        small = np.asarray(cv2.resize(frame.rgb, (w, h), interpolation=cv2.INTER_AREA), np.float32)
        return Frame(frame.index, on_grid(small))


def proxy_recipe(recipe: Recipe, plugins: Plugins) -> Recipe:
    """The recipe without steps that change size or frame rate."""
    kept = []
    for step in recipe.checked(plugins.stages).active:
        stage = plugins.stages.get(step.name)
        params: Any = build(stage.Params, step.params, where=f"stage {step.name}")
        if not isinstance(stage, RetimeStage) and stage.size(_PROBE, params) == _PROBE:
            kept.append(step)
    return replace(recipe, steps=tuple(kept))
