"""What a hint asks for at a given luma: a colour asks for chroma, and chroma follows luma as real surfaces do.

Under changing illumination a surface's XYZ scale together, and Lab, being built on cube roots, scales with them:
(L* + 16), a* and b* all change by one factor. So a region's chroma is its swatch's times (L* + 16) / (anchor + 16),
where the anchor is such that the region's mean chroma on its keyframe is the swatch's. A region has one anchor for each
colour in a shot, that of the keyframe that names the colour first: a further mask corrects its outline, not its light.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from core.film.colour import Array, fit_gamut, hex_to_lab
from hints.hint import Hint, HintSet
from hints.track import Track, counts

# How far a derived ramp may weaken or strengthen its swatch: deep shadow keeps a tint, highlights stay sane.
LEAST_FACTOR, MOST_FACTOR = 0.3, 1.5
# What changes over this share of the longer side is light; where little is known, it is taken not to have changed.
LIGHT_SPAN, _UNCHANGED = 1 / 16, 0.02
# Only what is known nearly for certain tells of light: where matches are merely likely, luma differs by their errors.
_CERTAINTY = 16
_LIGHT_SHRINK = 8
# A smaller change than the first is exposure or chance, a larger one than the second is light altogether.
_NOTICED = 0.05, 0.15


@dataclass(frozen=True, eq=False)
class Asked:
    """What a hint asks for.

    Attributes:
        ab: chroma that sRGB can show at this luma                [(h, w, 2) float32 Lab a* b*]
        limited: where that is less than the colour itself says   [(h, w) bool]
    """

    ab: Array
    limited: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def asked(hint: Hint, hints: HintSet, luma: Array, anchor: float | None = None) -> Asked:
    """Chroma that a hint asks for at each pixel's luma, wherever it may lie.

    Args:
        hint: of any kind but reference and lock.
        hints: the set it belongs to, for its region's colour.
        luma: the film's own L*             [(h, w) float32 [0, 100]]
        anchor: of a region (`anchor_of`)   [L*]; None: the swatch's chroma at every luma

    Returns:
        Chroma and where the gamut limited it; of a neutral, zero.
    """
    if hint.kind == "neutral":
        return Asked(np.zeros((*luma.shape, 2), np.float32), np.zeros(luma.shape, bool))
    if hint.ramp is not None:
        ab = ramp_chroma(hint.ramp, luma)
    else:
        swatch = hex_to_lab(hints.colour_of(hint) or "#808080")[1:]
        ab = np.broadcast_to(swatch, (*luma.shape, 2)).astype(np.float32)
        if anchor is not None and hint.kind == "region":
            ab *= factor(luma, anchor)[..., None]
    fitted = fit_gamut(luma, ab)
    return Asked(fitted, np.any(fitted != ab, axis=-1))


def ramp_chroma(ramp: tuple[str, str, str], luma: Array) -> Array:
    """Chroma of a ramp of three colours, interpolated in Lab between their own L*.

    Args:
        ramp: shadow, mid, highlight, sRGB hex; they are put in order of their L*.
        luma: [(h, w) float32 [0, 100] L*]

    Returns:
        [(h, w, 2) float32 Lab a* b*]; beyond the darkest and the lightest, theirs
    """
    stops = sorted((hex_to_lab(colour) for colour in ramp), key=lambda lab: float(lab[0]))
    at = np.array([lab[0] for lab in stops])
    planes = [np.interp(luma, at, [lab[i] for lab in stops]) for i in (1, 2)]
    return np.stack(planes, axis=-1).astype(np.float32)


def factor(luma: Array, anchor: float) -> Array:
    """By how much a region's chroma differs from its swatch's at a luma  [(h, w) float32]."""
    ratio = (luma + np.float32(16)) / np.float32(anchor + 16)
    return np.asarray(np.clip(ratio, LEAST_FACTOR, MOST_FACTOR), np.float32)


def changed_light(luma: Array, told: Array, trust: Array) -> Array:
    """By how much chroma changes with the light since it was told, place by place.

    Only what changes over a large part of the frame is light; within less, luma differs because something else is seen.

    Args:
        luma: of the frame                                      [(h, w) float32 [0, 100] L*]
        told: of the keyframe, at which chroma was told, as it was carried to the frame  [(h, w) float32 [0, 100] L*]
        trust: how far that is known to show the same surfaces  [(h, w) float32 [0, 1]]

    Returns:
        A factor  [(h, w) float32 LEAST_FACTOR to MOST_FACTOR]
    """
    h, w = luma.shape
    size = max(1, w // _LIGHT_SHRINK), max(1, h // _LIGHT_SHRINK)

    def wide(plane: Array) -> Array:
        small = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.GaussianBlur(small, (0, 0), max(LIGHT_SPAN * max(size), 0.5)), np.float32)

    known = np.asarray(trust**_CERTAINTY, np.float32)
    unchanged = np.float32(_UNCHANGED * 50)
    change = (wide(known * (luma + 16)) + unchanged) / (wide(known * (told + 16)) + unchanged) - 1
    noticed, surely = _NOTICED
    ratio = 1 + change * np.clip((np.abs(change) - noticed) / (surely - noticed), 0, 1)
    whole = cv2.resize(np.clip(ratio, LEAST_FACTOR, MOST_FACTOR), (w, h), interpolation=cv2.INTER_LINEAR)
    return np.asarray(whole, np.float32)


def anchoring(track: Track, tracks: Sequence[Track], hints: HintSet, n: int) -> Track | None:
    """The track whose keyframe a region's chroma is anchored on; None: its chroma follows no anchor.

    Of those of the same region, colour and shot whose spans hold the frame, the one that was said first: what is
    said later never changes the colour of what was there.

    Args:
        track: whose chroma is asked for.
        tracks: of its shot, in order, itself among them.
        hints: the set they are of.
        n: the frame it is asked for.
    """
    if track.hint.kind != "region" or track.hint.ramp is not None:
        return None
    if track.group is None:
        return track
    colour = hints.colour_of(track.hint)
    alike = (t for t in tracks if t.group == track.group and t.shot == track.shot and counts(t.hint) and n in t.span)
    return next((t for t in alike if t.hint.ramp is None and hints.colour_of(t.hint) == colour), track)


def anchor_of(luma: Array, footprint: Array) -> float:
    """The L* at which a region has exactly its swatch's chroma, so that its mean does on the keyframe.

    Args:
        luma: of the keyframe        [(h, w) float32 [0, 100] L*]
        footprint: of the region     [(h, w) float32 [0, 1]]; somewhere above 0

    Returns:
        An L* near the region's mean luma; clipping of the factor is allowed for.
    """
    inside = footprint > 0.5
    if not inside.any():
        inside = footprint >= footprint.max()
    values = luma[inside].astype(np.float64)
    anchor = float(values.mean())
    for _ in range(8):
        mean = float(np.clip((values + 16) / (anchor + 16), LEAST_FACTOR, MOST_FACTOR).mean())
        anchor = (anchor + 16) * mean - 16
    return anchor
