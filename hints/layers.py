"""What is kept of a track: its geometry on each frame, never its colour.

So a change of colour carries nothing again, and a new hint leaves the others' tracks as they are. Arrays are rounded
before they are kept and used rounded, so that a field does not depend on whether its layers came from the cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.contract.fingerprint import fingerprint
from core.film.colour import Array
from hints.footprint import footprint
from hints.hint import Hint
from hints.propagate import box_about, crisp

VERSION = 3
_STEPS = np.float32(255)
_AB_STEPS = np.float32(64)
# Around a mask this much is kept as well, so that its neighbour keyframe can say where it is not [px].
_MARGIN = 16
# Cover and trust below these count as nothing, so that a track ends instead of fading for ever.
_LEAST_COVER, _LEAST_TRUST = 0.02, 0.06

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Kept:
    """A track on one frame, within a box.

    Attributes:
        top, left: of the box in the frame.
        cover: share of each pixel that is meant  [(bh, bw) float32 [0, 1] in steps of 1/255]
        trust: how far that is known              [(bh, bw) float32 [0, 1] in steps of 1/255]
        ab: chroma of a reference                 [(bh, bw, 2) float32 Lab a* b* in steps of 1/64], or None
        tenure: how far a mask's place goes back to the keyframe  [(bh, bw) float32 [0, 1] in steps of 1/255]; None: all
    """

    top: int
    left: int
    cover: Array
    trust: Array
    ab: Array | None
    tenure: Array | None = None

    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns of the frame."""
        h, w = self.cover.shape
        return slice(self.top, self.top + h), slice(self.left, self.left + w)

    @property
    def empty(self) -> bool:
        """Whether nothing of the track is on this frame."""
        return self.cover.size == 0


NOTHING = Kept(0, 0, np.zeros((0, 0), np.float32), np.zeros((0, 0), np.float32), None)


def geometry_key(hint: Hint, source_size: tuple[int, int], size: tuple[int, int]) -> str:
    """Key of where a hint lies on its keyframe (of a reference, also what it shows); colour is no part of it."""
    return fingerprint(
        "hint geometry",
        VERSION,
        hint.kind if hint.kind in ("reference", "point", "scribble") else "mask",
        hint.xy,
        hint.radius,
        hint.path,
        hint.width,
        hint.mask.sha256 if hint.mask is not None else None,
        hint.image.sha256 if hint.image is not None else None,
        source_size,
        size,
    )


def planes_of(hint: Hint, source_size: tuple[int, int], size: tuple[int, int]) -> Array:
    """What is carried of a hint: its cover; of a reference also its chroma  [(1 or 3, h, w) float32]."""
    if hint.image is not None:
        _, ab, alpha = hint.image.chroma(size)
        return np.stack([alpha, ab[..., 0], ab[..., 1]])
    return footprint(hint, source_size, size)[None]


def on_keyframe(hint: Hint, planes: Array) -> Arrays:
    """A track on its keyframe, where it is fully known."""
    return _pack(hint, planes[0], planes[1:], np.ones_like(planes[0]))


def on_frame(hint: Hint, planes: Array, trust: Array) -> Arrays:
    """A track as it was carried to a frame.

    Args:
        hint: what is carried.
        planes: as `hints.follow.Follower` tells them    [(1 to 3, h, w) float32]: cover; then a reference's chroma,
            or a mask's tenure where it has one
        trust: as the walk gives it                      [(h, w) float32 [0, 1]]
    """
    cover = np.clip(planes[0], 0, 1)
    if hint.mask is not None:
        cover = crisp(cover)
    elif hint.image is not None:
        cover = _full_within(cover)
    return _pack(hint, cover, planes[1:], trust)


def unpack(arrays: Arrays) -> Kept:
    """What `on_keyframe` and `on_frame` packed."""
    top, left = (int(v) for v in arrays["at"])
    cover, trust = (arrays[name].astype(np.float32) / _STEPS for name in ("cover", "trust"))
    ab = arrays["ab"].astype(np.float32) / _AB_STEPS if "ab" in arrays else None
    tenure = arrays["tenure"].astype(np.float32) / _STEPS if "tenure" in arrays else None
    return Kept(top, left, cover, trust, ab, tenure)


def _full_within(cover: Array) -> Array:
    """Bring a carried still's cover back to full at its core, which resampling wears down."""
    return np.asarray(np.clip(cover * np.float32(1.5) - np.float32(0.1), 0, 1), np.float32)


def _pack(hint: Hint, cover: Array, others: Array, trust: Array) -> Arrays:
    meant = (cover >= _LEAST_COVER) & (trust >= _LEAST_TRUST)
    box = box_about(meant, _MARGIN) or (slice(0, 0), slice(0, 0))
    cover = np.where(meant, cover, 0)[box]
    packed: Arrays = {
        "at": np.array([box[0].start, box[1].start], np.int32),
        "cover": np.rint(cover * _STEPS).astype(np.uint8),
        "trust": np.rint(np.clip(trust[box], 0, 1) * _STEPS).astype(np.uint8),
    }
    if hint.image is not None:
        steps = np.rint(np.clip(others[(slice(None), *box)], -200, 200) * _AB_STEPS)
        packed["ab"] = np.ascontiguousarray(steps.astype(np.int16).transpose(1, 2, 0))
    elif len(others):
        packed["tenure"] = np.rint(np.clip(others[0][box], 0, 1) * _STEPS).astype(np.uint8)
    return packed
