"""`bench regions`: a mask and its colour on one frame; how well does the region keep both through the clip?

The true mask of the first frame with its mean true chroma is a ``region`` hint. On the frames after: CIEDE2000
inside the true mask against the truth, what the hint changed outside it (spill), and the overlap of the carried mask
with the true one. Beside it, in the same call, the mask copied in place and the mask warped from frame to frame by DIS
flow.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.clips import TrueClip, mask_names, read_clip, read_masks
from bench.exemplar import ClipMotion, carry
from bench.metrics import iou, mean_delta_e, spill
from core.colourise import automatic_of, colourise_frame
from core.errors import InputError
from core.film.colour import Array, hex_to_lab, join, lab_to_hex, srgb_to_lab
from core.flow import warp
from core.models.colouriser import EmbeddedColouriser
from hints.field import HintField
from hints.hint import Hint, HintSet
from hints.picture import Mask
from hints.region import Region
from hints.source import Carried

Inside = NDArray[np.bool_]


def run(data: Path, *, limit: int | None = None, seed: int = 0) -> dict[str, Any]:
    """Measure a region's track from its first frame's mask.

    Args:
        data: folder with ``clips/`` and ``seqmask/``.
        limit: at most so many clips, evenly chosen; None: all.
        seed: nothing here is drawn by chance.

    Returns:
        ``{"name", "cases", "summary"}``; the summary has ``delta_e_inside``, ``delta_e_spill`` and ``iou``, and the
        overlap of the peers' masks.

    Raises:
        InputError: the folder has no masks.
    """
    names = mask_names(data)
    if not names:
        raise InputError(f"{data / 'seqmask'}: no masks; give the data folder with --data")
    if limit is not None and limit < len(names):
        names = [names[i * len(names) // limit] for i in range(limit)]
    colouriser = _colouriser()
    cases = [measure(clip, read_masks(data, clip), colouriser) for clip in (read_clip(data, n) for n in names)]
    keys = ("delta_e_inside", "delta_e_flat", "delta_e_spill", "iou", "iou_copy", "iou_chain", "carry_s_per_frame")
    summary = {key: float(np.nanmean([c[key] for c in cases])) for key in keys if key in cases[0]}
    return {"name": "regions", "cases": cases, "summary": summary}


def measure(
    clip: TrueClip,
    masks: Sequence[Inside],
    colouriser: EmbeddedColouriser | None,
    keyframes: Sequence[int] = (0,),
    every: int = 1,
) -> dict[str, Any]:
    """One clip.

    Args:
        clip: with its truth.
        masks: true masks of its frames.
        colouriser: the network of the line; None: hints alone, laid over grey.
        keyframes: frames on which the mask is given.
        every: measure every so many frames only.
    """
    motion = ClipMotion(clip)
    hints = region_hints(clip, masks, keyframes)
    source, seconds = carry(hints, clip, motion)
    copied = chained = masks[0].astype(np.float32)
    found: dict[str, list[float]] = {k: [] for k in ("iou", "iou_copy", "iou_chain", "inside", "flat", "spill")}
    for n in range(1, len(clip.frames)):
        chained = warp(chained, motion.pair(n - 1).backward)
        if n in keyframes or n % every:
            continue
        true_lab, inside = clip.lab(n), masks[n]
        field = source.field(n)
        luma = np.ascontiguousarray(true_lab[..., 0])
        lab = srgb_to_lab(join(luma, _painted(luma, field, motion.luma(n), colouriser)))
        without = srgb_to_lab(join(luma, _painted(luma, None, motion.luma(n), colouriser)))
        found["iou"].append(iou(carried_mask(source, n, inside.shape), inside))
        found["iou_copy"].append(iou(copied > 0.5, inside))
        found["iou_chain"].append(iou(chained > 0.5, inside))
        found["inside"].append(mean_delta_e(lab, true_lab, inside))
        found["flat"].append(mean_delta_e(_flat(hints, luma), true_lab, inside))
        found["spill"].append(spill(lab, without, inside))
    mean = {key: float(np.nanmean(values)) for key, values in found.items()}
    return {
        "clip": clip.name,
        "frames": len(found["iou"]),
        "delta_e_inside": mean["inside"],
        "delta_e_flat": mean["flat"],
        "delta_e_spill": mean["spill"],
        "iou": mean["iou"],
        "iou_copy": mean["iou_copy"],
        "iou_chain": mean["iou_chain"],
        "carry_s_per_frame": seconds / (len(clip.frames) - 1),
    }


def region_hints(clip: TrueClip, masks: Sequence[Inside], keyframes: Sequence[int]) -> HintSet:
    """The true masks of some frames, in the mean true colour of the first."""
    first = keyframes[0]
    mean = clip.lab(first)[masks[first]].mean(axis=0)
    region = Region("object", clip.name, lab_to_hex(mean))
    hints = (Hint(f"frame{k}", k, "region", region="object", mask=Mask.of(masks[k])) for k in keyframes)
    return HintSet((region,), tuple(hints))


def carried_mask(source: Carried, n: int, size: tuple[int, ...]) -> Inside:
    """Where the region was carried to  [(H, W) bool]."""
    cover = np.zeros(source.size, np.float32)
    layer = source.layer_of("object", n)
    if layer is not None:
        cover[layer.box] = layer.cover
    return np.asarray(cv2.resize(cover, (size[1], size[0]), interpolation=cv2.INTER_LINEAR) > 0.5)


def _painted(luma: Array, field: HintField | None, small: Array, colouriser: EmbeddedColouriser | None) -> Array:
    if colouriser is not None:
        return colourise_frame(luma, automatic_of(luma, colouriser), colouriser, field=field, luma=small)
    if field is None:
        return np.zeros((*luma.shape, 2), np.float32)
    ab = field.ab * field.weight[..., None]
    h, w = luma.shape
    return np.asarray(cv2.resize(ab, (w, h), interpolation=cv2.INTER_LINEAR), np.float32).reshape(h, w, 2)


def _flat(hints: HintSet, luma: Array) -> Array:
    """The swatch's chroma as a flat wash at the film's luma: what the derived ramp is measured against."""
    ab = np.broadcast_to(hex_to_lab(hints.regions[0].colour)[1:], (*luma.shape, 2))
    return srgb_to_lab(join(luma, np.ascontiguousarray(ab, np.float32)))


def _colouriser() -> EmbeddedColouriser | None:
    try:
        return EmbeddedColouriser()
    except InputError:
        return None
