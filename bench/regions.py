"""`bench regions`: a mask and its colour on one frame; how well does the region keep both through the clip?

The true mask of the first frame with its mean true chroma is a ``region`` hint. On the frames after: CIEDE2000
inside the true mask against the truth, what the hint changed outside it (spill), and the overlap of the carried mask
with the true one. Beside it, in the same call, the mask copied in place and the mask warped from frame to frame by DIS
flow; and ours part by part, as `bench exemplar` has them: ``field`` lays what the hints alone carry over grey,
``solver`` spreads it by the edge-aware solver, ``line`` is the whole colouring with its network. The summary speaks of
the line where there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.baselines import SolverAlone
from bench.clips import TrueClip, evenly, mask_names, read_clip, read_masks
from bench.exemplar import ClipMotion, carry, embedded_if_there
from bench.metrics import iou, mean_delta_e, psnr, spill, to_8bit
from core.colourise import Automatic, automatic_of, colourise_frame
from core.film.colour import Array, hex_to_lab, join, lab_to_hex, srgb_to_lab
from core.flow import warp
from core.models.colouriser import EmbeddedColouriser
from hints.field import HintField
from hints.hint import Hint, HintSet
from hints.picture import Mask
from hints.region import Region
from hints.source import Carried

Inside = NDArray[np.bool_]
# Chroma (H, W, 2) of a frame's luma under a field of hints, or none, and its luma at the field's size.
Painter = Callable[[Array, HintField | None, Array], Array]
METHODS = ("field", "solver", "line")


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
    names = evenly(mask_names(data), limit)
    colouriser = embedded_if_there()
    cases = [measure(clip, read_masks(data, clip), colouriser) for clip in (read_clip(data, n) for n in names)]
    keys = ("delta_e_inside", "delta_e_flat", "delta_e_spill", "iou", "iou_copy", "iou_chain", "carry_s_per_frame")
    summary: dict[str, Any] = {key: float(np.nanmean([c[key] for c in cases])) for key in keys}
    methods = [m for m in METHODS if m in cases[0]["of"]]
    summary["of"] = {
        m: {key: float(np.nanmean([c["of"][m][key] for c in cases])) for key in cases[0]["of"][m]} for m in methods
    }
    return {"name": "regions", "cases": cases, "summary": {"method": methods[-1], **summary}}


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
        colouriser: the network of the line; None: the line is left out.
        keyframes: frames on which the mask is given.
        every: measure every so many frames only.
    """
    motion = ClipMotion(clip, colouriser)
    hints = region_hints(clip, masks, keyframes)
    source, seconds = carry(hints, clip, motion)
    copied = chained = masks[0].astype(np.float32)
    found: dict[str, list[float]] = {k: [] for k in ("iou", "iou_copy", "iou_chain", "flat")}
    painters = _painters(colouriser)
    of: dict[str, dict[str, list[float]]] = {m: {k: [] for k in ("inside", "psnr", "spill")} for m in painters}
    for n in range(1, len(clip.frames)):
        chained = warp(chained, motion.pair(n - 1).backward)
        if n in keyframes or n % every:
            continue
        true_lab, inside = clip.lab(n), masks[n]
        field = source.field(n)
        luma = np.ascontiguousarray(true_lab[..., 0])
        found["iou"].append(iou(carried_mask(source, n, inside.shape), inside))
        found["iou_copy"].append(iou(copied > 0.5, inside))
        found["iou_chain"].append(iou(chained > 0.5, inside))
        found["flat"].append(mean_delta_e(_flat(hints, luma), true_lab, inside))
        true_rgb = to_8bit(join(luma, np.ascontiguousarray(true_lab[..., 1:])))[inside]
        for method, paint in painters.items():
            rgb = join(luma, paint(luma, field, motion.luma(n)))
            lab = srgb_to_lab(rgb)
            without = srgb_to_lab(join(luma, paint(luma, None, motion.luma(n))))
            of[method]["inside"].append(mean_delta_e(lab, true_lab, inside))
            if len(true_rgb):
                of[method]["psnr"].append(psnr(to_8bit(rgb)[inside], true_rgb))
            of[method]["spill"].append(spill(lab, without, inside))
    mean = {key: float(np.nanmean(values)) for key, values in found.items()}
    table = {
        method: {
            "delta_e_inside": float(np.nanmean(values["inside"])),
            "psnr_db_inside": float(np.mean(values["psnr"])),
            "delta_e_spill": float(np.nanmean(values["spill"])),
        }
        for method, values in of.items()
    }
    spoken = [m for m in METHODS if m in table][-1]
    return {
        "clip": clip.name,
        "frames": len(found["iou"]),
        "delta_e_inside": table[spoken]["delta_e_inside"],
        "delta_e_flat": mean["flat"],
        "delta_e_spill": table[spoken]["delta_e_spill"],
        "iou": mean["iou"],
        "iou_copy": mean["iou_copy"],
        "iou_chain": mean["iou_chain"],
        "carry_s_per_frame": seconds / (len(clip.frames) - 1),
        "of": table,
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


def _painters(colouriser: EmbeddedColouriser | None) -> dict[str, Painter]:
    """How a frame is painted under a field of hints, by method."""

    def field(luma: Array, said: HintField | None, small: Array) -> Array:
        h, w = luma.shape
        if said is None:
            return np.zeros((h, w, 2), np.float32)
        ab = said.ab * said.weight[..., None]
        return np.asarray(cv2.resize(ab, (w, h), interpolation=cv2.INTER_LINEAR), np.float32).reshape(h, w, 2)

    def solver(luma: Array, said: HintField | None, small: Array) -> Array:
        nothing = Automatic(small, np.zeros((*small.shape, 2), np.float32))
        return colourise_frame(luma, nothing, SolverAlone(), field=said, luma=small)

    painters: dict[str, Painter] = {"field": field, "solver": solver}
    if colouriser is not None:
        painters["line"] = lambda luma, said, small: colourise_frame(
            luma, automatic_of(luma, colouriser), colouriser, field=said, luma=small
        )
    return painters


def _flat(hints: HintSet, luma: Array) -> Array:
    """The swatch's chroma as a flat wash at the film's luma: what the derived ramp is measured against."""
    ab = np.broadcast_to(hex_to_lab(hints.regions[0].colour)[1:], (*luma.shape, 2))
    return srgb_to_lab(join(luma, np.ascontiguousarray(ab, np.float32)))
