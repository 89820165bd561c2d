"""Dust, dirt and hairs that stand on one frame only, filled from the frames beside it.

What counts as a speck: `core.defects`. Filling takes the neighbour whose surroundings match best, moved
along the flow, its tone brought to the speck's rim; its own grain comes with it. Outside the matte the
frame is unchanged, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from core.contract.params import choice, number
from core.contract.stage import StageBase, StageContext, Window
from core.defects import Evidence, Neighbour, Specks, carried_in, find_specks, gather
from core.flow import warp

Array = NDArray[np.float32]

# Frames looked at to each side: the second stands in where the first is a duplicate or beyond a cut.
_RADIUS = 2


@dataclass(frozen=True)
class DedustParams:
    """What is repaired, and how plain it must be."""

    sensitivity: float = number(
        0.5, 0.0, 1.0, help="How little dirt may stand out; higher finds fainter specks and risks detail"
    )
    max_size: float = number(
        10.0, 0.5, 50.0, unit="% of picture height", help="Greatest speck: diameter of a disc of its area"
    )
    kind: str = choice(
        "both", ("both", "dark", "bright"), help="Dark dirt (on the print), bright (on the negative), or both"
    )
    rim: float = number(1.5, 0.0, 6.0, unit="px", help="How far the matte reaches beyond a speck, for its soft edge")


class Dedust(StageBase):
    """Take out specks that stand on one frame only.

    Window: two frames to each side; one of each is used, the second where the first is a duplicate.
    Identity: where nothing is found; frames without two neighbours.
    Cost: about 200 ms for a 640×480 frame on two cores.
    """

    name: ClassVar[str] = "dedust"
    version: ClassVar[int] = 1
    help: ClassVar[str] = (
        "Finds dust, dirt and hairs that stand on a single frame, and fills them from the frames beside"
    )
    Params: ClassVar[type] = DedustParams

    def radius(self, params: DedustParams, device: str | None = None) -> int:
        """Frames needed to each side."""
        return _RADIUS

    def process(self, window: Window, params: DedustParams, context: StageContext) -> Array:
        """The frame with its specks filled  [(H, W, 3) float32 [0, 1] R'G'B']."""
        rgb = window.frame.rgb
        evidence = gather(window.frames, window.centre)
        if evidence is None:
            return rgb
        specks = _specks(evidence, params)
        if not specks.count:
            return rgb
        matte = _matte(specks, params.rim)
        filled = _filled(rgb, specks.evidence, matte)
        out = rgb + matte[..., None] * (filled - rgb)
        return np.asarray(np.where(matte[..., None] > 0, np.clip(out, 0, 1), rgb), np.float32)

    def matte(self, window: Window, params: DedustParams, context: StageContext) -> Array:
        """Where and how far the frame will be replaced  [(H, W) float32 [0, 1]]."""
        evidence = gather(window.frames, window.centre)
        if evidence is None:
            return np.zeros(window.frame.size, np.float32)
        return _matte(_specks(evidence, params), params.rim)


def _specks(evidence: Evidence, params: DedustParams) -> Specks:
    return find_specks(evidence, sensitivity=params.sensitivity, max_size=params.max_size, kind=params.kind)


def _matte(specks: Specks, rim_px: float) -> Array:
    """1 on the specks, falling to 0 over the rim and one more pixel."""
    if not specks.count:
        return np.zeros(specks.labels.shape, np.float32)
    far = cv2.distanceTransform((~specks.mask).astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(np.clip(rim_px + 1.0 - far, 0.0, 1.0), np.float32)


def _filled(rgb: Array, evidence: Evidence, matte: Array) -> Array:
    """The whole frame from its neighbours: at each place the better matching one, tone brought to the rim."""
    hole = np.asarray(matte > 0)
    sides = [_toned(rgb, side, hole) for side in (evidence.before, evidence.after)]
    misfit = [carried_in(np.abs(evidence.luma - s.luma), hole) for s in (evidence.before, evidence.after)]
    return np.where((misfit[0] <= misfit[1])[..., None], sides[0], sides[1])


def _toned(rgb: Array, side: Neighbour, hole: NDArray[np.bool_]) -> Array:
    """A neighbour's picture, moved, with the difference at the rims of the holes carried into them."""
    moved = warp(side.frame.rgb, side.flow, interpolation=cv2.INTER_CUBIC)
    return np.asarray(moved + carried_in(rgb - moved, hole), np.float32)
