"""`bench across`: is a region found again in another shot, and does its score tell right from wrong?

A clip with true masks is cut into two "shots": its first third, with the region's mask on the middle frame, and its
last third, as it is, mirrored, darker, and brighter. What `hints.propose` finds there is compared with the true mask
(``iou``, DAVIS' J), beside the keyframe's mask copied in place. The last third of the next clip in the list is a shot
in which the region is not: whatever is found there is wrong. ``auc`` is the area under the receiver operating
characteristic of the score over all these proposals, right ones being those with J of 0.5 and more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.clips import evenly, mask_names, read_clip, read_masks
from bench.exemplar import embedded_if_there
from bench.metrics import auc, iou
from core.errors import WeightsError
from core.film.colour import Array
from core.flow import to_working
from core.models.colouriser import Looks
from hints.propose import LEAST_SCORE, Appearance, Found

RIGHT = 0.5  # J from which a proposal is right: a person would confirm it and mend its border
FRAMES = 3  # of the second shot that are looked at
SHOTS: dict[str, Callable[[Array], Array]] = {
    "same": lambda luma: luma,
    "mirrored": lambda luma: np.ascontiguousarray(luma[:, ::-1]),
    "darker": lambda luma: luma * np.float32(0.7),
    "brighter": lambda luma: np.clip(luma * np.float32(1.15) + 8, 0, 100),
}

Inside = NDArray[np.bool_]


def run(data: Path, *, limit: int | None = None, seed: int = 0) -> dict[str, Any]:
    """Measure proposals across shots.

    Args:
        data: folder with ``clips/`` and ``seqmask/``.
        limit: at most so many clips, evenly chosen; None: all.
        seed: nothing here is drawn by chance.

    Returns:
        ``{"name", "cases", "summary"}``; the summary has per kind of second shot the mean ``iou`` and the share of
        proposals that are ``right``, and over all the ``auc`` of the score, and how many are right among those shown.

    Raises:
        InputError: the folder has no masks.
        WeightsError: the embedded network's weights are missing.
    """
    names = evenly(mask_names(data), limit)
    looks = embedded_if_there()
    if looks is None:
        raise WeightsError("bench across: the embedded network's weights are missing; train them: make weights")
    clips = [_parts(data, name) for name in names]
    cases = []
    for i, (name, first, second) in enumerate(clips):
        elsewhere = clips[(i + 1) % len(clips)][2] if len(clips) > 1 else ()
        cases += measure(name, first, second, elsewhere, looks)
    return {"name": "across", "cases": cases, "summary": summarise(cases)}


def measure(
    clip: str,
    keyframe: tuple[Array, Inside],
    second: Sequence[tuple[Array, Inside]],
    elsewhere: Sequence[tuple[Array, Inside]],
    looks: Looks,
) -> list[dict[str, Any]]:
    """One clip: a case for each kind of second shot, and one for a shot without the region.

    Args:
        clip: its name.
        keyframe: luma and mask.
        second: luma and true mask of the frames of the other shot.
        elsewhere: frames of a shot without the region.
        looks: tells what places look like.
    """
    appearance = Appearance([(keyframe[0], keyframe[1].astype(np.float32))], looks)
    cases = []
    for kind, change in SHOTS.items():
        lumas = [change(luma) for luma, _ in second]
        masks = [np.ascontiguousarray(mask[:, ::-1]) if kind == "mirrored" else mask for _, mask in second]
        at, found = _best(appearance, lumas)
        cases.append(_case(clip, kind, found.score, iou(found.inside, masks[at]), iou(keyframe[1], masks[at])))
    if elsewhere:
        _, found = _best(appearance, [luma for luma, _ in elsewhere])
        cases.append(_case(clip, "absent", found.score, 0.0, 0.0))
    return cases


def summarise(cases: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means by kind of second shot, and whether the score tells right from wrong."""
    kinds = list(dict.fromkeys(case["shot"] for case in cases))
    right = np.array([case["iou"] >= RIGHT for case in cases])
    score = np.array([case["score"] for case in cases])
    shown = score >= LEAST_SCORE
    table: dict[str, Any] = {
        kind: {
            "iou": float(np.mean([c["iou"] for c in cases if c["shot"] == kind])),
            "iou_copy": float(np.mean([c["iou_copy"] for c in cases if c["shot"] == kind])),
            "right": float(np.mean([c["iou"] >= RIGHT for c in cases if c["shot"] == kind])),
            "score": float(np.mean([c["score"] for c in cases if c["shot"] == kind])),
        }
        for kind in kinds
    }
    return {
        **table,
        "auc": auc(score, right),
        "shown": int(shown.sum()),
        "right_of_shown": float(right[shown].mean()) if shown.any() else float("nan"),
        "right_not_shown": int((right & ~shown).sum()),
    }


def _best(appearance: Appearance, lumas: Sequence[Array]) -> tuple[int, Found]:
    found = [appearance.find(luma) for luma in lumas]
    at = max(range(len(found)), key=lambda i: found[i].score)
    return at, found[at]


def _case(clip: str, shot: str, score: float, overlap: float, copied: float) -> dict[str, Any]:
    return {"clip": clip, "shot": shot, "score": score, "iou": overlap, "iou_copy": copied}


def _parts(data: Path, name: str) -> tuple[str, tuple[Array, Inside], list[tuple[Array, Inside]]]:
    """A clip's keyframe, and frames spread over its last third, each with its true mask."""
    clip = read_clip(data, name)
    masks, count = read_masks(data, clip), len(clip.frames)

    def at(n: int) -> tuple[Array, Inside]:
        return to_working(np.ascontiguousarray(clip.lab(n)[..., 0])), masks[n]

    last = range(2 * count // 3, count)
    return name, at(count // 6), [at(last[(2 * i + 1) * len(last) // (2 * FRAMES)]) for i in range(FRAMES)]
