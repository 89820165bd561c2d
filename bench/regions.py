"""`bench regions`: a mask and its colour on one frame; how well does the region keep both through the clip?

The true mask of the first frame with its mean true chroma is a ``region`` hint. On the frames after: CIEDE2000
inside the true mask against the truth, what the hint changed outside it (spill), and the overlap of the carried mask
with the true one. Beside it, in the same call, the mask copied in place and the mask warped from frame to frame by DIS
flow; and ours part by part, as `bench exemplar` has them: ``field`` lays what the hints alone carry over grey,
``solver`` spreads it by the edge-aware solver, ``line`` is the whole colouring with its network. The summary speaks of
the line where there is one.

``second_keyframe`` is what a person does next: the worst frame gets its true mask too, and the overlap of all other
frames is told before and after. ``flips`` is how unsteady the carried mask's border is: pixels that are not what the
mask of the frame before, moved along the flow of the true luma, says, as a share of the mask; beside it the true
mask's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.baselines import SolverAlone
from bench.clips import TrueClip, evenly, mask_names, read_clip, read_masks
from bench.exemplar import ClipMotion, carry, embedded_if_there
from bench.metrics import flips, iou, mean_delta_e, psnr, spill, to_8bit
from bench.scores import mean, mean_of
from core.colourise import Automatic, automatic_of, colourise_frame
from core.film.colour import Array, hex_to_lab, join, lab_to_hex, srgb_to_lab
from core.flow import resize_flow, warp
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
KEYS = (
    "delta_e_inside", "delta_e_flat", "delta_e_spill",
    "iou", "iou_copy", "iou_chain", "flips", "flips_truth", "carry_s_per_frame",
)  # fmt: skip


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
    cases = [case_of(clip, read_masks(data, clip), colouriser) for clip in (read_clip(data, n) for n in names)]
    return {"name": "regions", "cases": cases, "summary": summarise(cases)}


def summarise(cases: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over the clips. Plain keys speak of the best method."""
    methods = [m for m in METHODS if m in cases[0]["of"]]
    return {
        "method": methods[-1],
        **{key: mean_of(cases, key) for key in KEYS},
        "second_keyframe": {
            **{key: mean_of(cases, "second_keyframe", key) for key in ("iou", "iou_corrected")},
            "clips_gained": sum(c["second_keyframe"]["iou_corrected"] > c["second_keyframe"]["iou"] for c in cases),
        },
        "of": {m: {key: mean_of(cases, "of", m, key) for key in cases[0]["of"][m]} for m in methods},
    }


def case_of(clip: TrueClip, masks: Sequence[Inside], colouriser: EmbeddedColouriser | None) -> dict[str, Any]:
    """One clip, and what the mask of its worst frame brings."""
    motion = ClipMotion(clip, colouriser)
    case = measure(clip, masks, colouriser, motion=motion)
    return {**case, "second_keyframe": second_keyframe(motion, masks, case)}


def measure(
    clip: TrueClip,
    masks: Sequence[Inside],
    colouriser: EmbeddedColouriser | None,
    keyframes: Sequence[int] = (0,),
    every: int = 1,
    *,
    motion: ClipMotion | None = None,
) -> dict[str, Any]:
    """One clip, without what a second keyframe brings.

    Args:
        clip: with its truth.
        masks: true masks of its frames.
        colouriser: the network of the line; None: the line is left out.
        keyframes: frames on which the mask is given.
        every: measure every so many frames only.
        motion: of the clip, with what it keeps already; made here where None.
    """
    motion = motion or ClipMotion(clip, colouriser)
    hints = region_hints(clip, masks, keyframes)
    source, seconds = carry(hints, clip, motion)
    copied = chained = masks[0].astype(np.float32)
    found: dict[str, list[float]] = {k: [] for k in ("iou", "iou_copy", "iou_chain", "flips", "flips_truth", "flat")}
    measured = [n for n in range(1, len(clip.frames)) if n not in keyframes and n % every == 0]
    painters = _painters(colouriser)
    of: dict[str, dict[str, list[float]]] = {m: {k: [] for k in ("inside", "psnr", "spill")} for m in painters}
    for n in range(1, len(clip.frames)):
        chained = warp(chained, motion.pair(n - 1).backward)
        if n not in measured:
            continue
        true_lab, inside = clip.lab(n), masks[n]
        field = source.field(n)
        luma = np.ascontiguousarray(true_lab[..., 0])
        carried = carried_mask(source, n, inside.shape)
        found["iou"].append(iou(carried, inside))
        back = resize_flow(motion.pair(n - 1).backward, (inside.shape[0], inside.shape[1]))
        found["flips"].append(flips(carried_mask(source, n - 1, inside.shape), carried, back))
        found["flips_truth"].append(flips(masks[n - 1], inside, back))
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
    means = {key: mean(values) for key, values in found.items()}
    table = {
        method: {
            "delta_e_inside": mean(values["inside"]),
            "psnr_db_inside": mean(values["psnr"]),
            "delta_e_spill": mean(values["spill"]),
        }
        for method, values in of.items()
    }
    spoken = [m for m in METHODS if m in table][-1]
    return {
        "clip": clip.name,
        "frames": len(found["iou"]),
        "delta_e_inside": table[spoken]["delta_e_inside"],
        "delta_e_flat": means["flat"],
        "delta_e_spill": table[spoken]["delta_e_spill"],
        **{key: means[key] for key in ("iou", "iou_copy", "iou_chain", "flips", "flips_truth")},
        "carry_s_per_frame": seconds / (len(clip.frames) - 1),
        "of": table,
        "measured": measured,
        "iou_each": found["iou"],
    }


def second_keyframe(motion: ClipMotion, masks: Sequence[Inside], first: Mapping[str, Any]) -> dict[str, Any]:
    """What the true mask of the worst frame brings to all others: tracks alone, nothing is painted.

    Args:
        motion: of the clip, as it was measured with one keyframe.
        masks: true masks of its frames.
        first: what `measure` gave with the first frame's mask.

    Returns:
        ``frame``: the worst one; ``iou`` before and ``iou_corrected`` after, of the frames that are no keyframe.
    """
    before = dict(zip(first["measured"], first["iou_each"], strict=True))
    worst = min(before, key=lambda n: before[n])
    source, _ = carry(region_hints(motion.clip, masks, (0, worst)), motion.clip, motion)
    others = [n for n in before if n != worst]
    after = [iou(carried_mask(source, n, masks[n].shape), masks[n]) for n in others]
    return {"frame": worst, "iou": mean([before[n] for n in others]), "iou_corrected": mean(after)}


def region_hints(clip: TrueClip, masks: Sequence[Inside], keyframes: Sequence[int]) -> HintSet:
    """The true masks of some frames, in the mean true colour of the first."""
    first = keyframes[0]
    mean = clip.lab(first)[masks[first]].mean(axis=0)
    region = Region("object", clip.name, lab_to_hex(mean))
    hints = (Hint(f"frame{k}", k, "region", region="object", mask=Mask.of(masks[k])) for k in keyframes)
    return HintSet((region,), tuple(hints))


def carried_mask(source: Carried, n: int, size: tuple[int, ...], region: str = "object") -> Inside:
    """Where a region was carried to  [(H, W) bool]."""
    cover = np.zeros(source.size, np.float32)
    layer = source.layer_of(region, n)
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
