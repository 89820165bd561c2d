"""The colour contract, measured: what each hint asks for against what is on screen on its keyframe.

Where a later hint, or a lock, has its way over an earlier one, only what is left of the earlier one is measured; a hint
of which nothing is left is named as overruled. Locks ask for no colour of their own. A reference that does not show its
keyframe asks for what was matched to it, where that is believed; one of which nothing was found is named.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from core.colourise import resized
from core.errors import InputError
from core.film.colour import Array, delta_e, srgb_to_lab
from core.flow import to_working
from core.render.renderer import Renderer
from hints.colour_rule import anchor_of, anchoring, asked
from hints.footprint import footprint
from hints.hint import HintSet
from hints.layers import Kept
from hints.source import FOUND, Carried
from hints.track import Track, tracks_of

STAGE = "colourise"


def check(hints: HintSet, renderer: Renderer) -> dict[str, Any]:
    """Measure every hint on its keyframe.

    Args:
        hints: what was asked for.
        renderer: gives the coloured frames.

    Returns:
        ``{"hints": [{"id", "frame", "delta_e"}], "median", "max", "overruled": [id], "not_found": [id]}``, CIEDE2000;
        median and max are None where nothing is measured. Of a reference from elsewhere also ``found``: the share of
        its keyframe that was found in it.

    Raises:
        InputError: the recipe does not colour.
    """
    at = renderer.line.index(STAGE)
    if at is None:
        raise InputError("the recipe does not colour, so there is nothing to check; switch on 'colourise'")
    rows: list[dict[str, Any]] = []
    overruled: list[str] = []
    not_found: list[str] = []
    source = renderer.hint_source if isinstance(renderer.hint_source, Carried) else None
    tracks = tracks_of(hints, renderer.line.nodes[at].takes)
    for track in tracks:
        if track.hint.kind == "lock":
            continue
        lab = srgb_to_lab(renderer.picture(track.keyframe, after=STAGE).rgb)
        found = source.found(track) if source is not None else None
        if found == 0:
            not_found.append(track.hint.id)
            continue
        kept = source.on_keyframe(track) if source is not None and found is not None else None
        anchor = _anchor(anchoring(track, tracks, hints, track.keyframe), renderer)
        measured = measure(track, tracks, hints, lab, renderer.source.clip.size, kept, anchor)
        if measured is None:
            overruled.append(track.hint.id)
            continue
        row = {"id": track.hint.id, "frame": track.hint.frame, "delta_e": round(measured, 4)}
        rows.append(row if found is None else {**row, "found": round(found, 4)})
    values = [row["delta_e"] for row in rows]
    return {
        "hints": rows,
        "median": float(np.median(values)) if values else None,
        "max": max(values, default=None),
        "overruled": overruled,
        "not_found": not_found,
    }


def measure(
    track: Track,
    tracks: tuple[Track, ...],
    hints: HintSet,
    lab: Array,
    source_size: tuple[int, int],
    kept: Kept | None = None,
    anchor: float | None = None,
) -> float | None:
    """ΔE2000 between what one hint asks for and what is on its keyframe.

    Of a reference, the median over its pixels; of all others the difference of the mean colours over the footprint, at
    the mean L* that is on screen.

    Args:
        track: the hint.
        tracks: all hints, for those that have their way over it.
        hints: the set, for its regions' colours.
        lab: the rendered keyframe  [(H, W, 3) float32 Lab]
        source_size: (H, W) that hints' coordinates are of.
        kept: what was matched of a reference from elsewhere.
        anchor: of a region, as the field has it  [L*]

    Returns:
        The difference, or None where later hints leave nothing of it.
    """
    size = (lab.shape[0], lab.shape[1])
    cover = footprint(track.hint, source_size, size) if kept is None else _matched(kept, size)[0]
    for other in tracks:
        if _overrules(other, track):
            cover = np.where(footprint(other.hint, source_size, size) > 0, 0, cover)
    inside = cover > 0.5
    if not inside.any():
        return None
    luma = np.ascontiguousarray(lab[..., 0])
    if track.hint.image is not None:
        ab = track.hint.image.chroma(size)[1] if kept is None else _matched(kept, size)[1]
        wanted = np.dstack([luma, ab])
        return float(np.median(delta_e(wanted[inside], lab[inside])))
    ab = asked(track.hint, hints, luma, anchor).ab
    wanted = np.array([luma[inside].mean(), *ab[inside].mean(axis=0)], np.float32)
    return float(delta_e(wanted, lab[inside].mean(axis=0)))


def _matched(kept: Kept, size: tuple[int, int]) -> tuple[Array, Array]:
    """Where a picture from elsewhere is believed, and the chroma it gives there, over the whole keyframe."""
    small = to_working(np.zeros(size, np.float32))
    ab, trust = np.zeros((*small.shape, 2), np.float32), np.zeros_like(small)
    trust[kept.box] = kept.trust * kept.cover
    if kept.ab is not None:
        ab[kept.box] = kept.ab
    cover = (resized(trust, size) >= FOUND).astype(np.float32)
    return cover, resized(ab, size)


def _overrules(other: Track, track: Track) -> bool:
    """Whether another hint has its way where both lie on this track's keyframe."""
    if other.keyframe != track.keyframe or other.hint.id == track.hint.id:
        return False
    if track.hint.kind == "reference":
        return other.hint.kind != "reference"
    if other.hint.kind == "lock":
        return track.hint.id not in {h.id for h in other.hint.frozen or ()}
    return other.hint.kind != "reference" and other.place > track.place


def _anchor(first: Track | None, renderer: Renderer) -> float | None:
    """The region's anchor as the field has it: from luma and footprint at working size, where its colour was named."""
    if first is None:
        return None
    lab = srgb_to_lab(renderer.picture(first.keyframe, after=STAGE).rgb)
    small = to_working(np.ascontiguousarray(lab[..., 0]))
    return anchor_of(small, footprint(first.hint, renderer.source.clip.size, (small.shape[0], small.shape[1])))
