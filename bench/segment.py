"""`bench segment`: how many clicks until the object is found, beside OpenCV's GrabCut under the same protocol.

On frames of clips with true masks, cut to 640x480 and seen in luma alone as old film is, clicks are simulated as in the
papers on interactive segmentation: the first in the middle of the object, each next one in the middle of the largest
region that is wrong, inside or outside as that wants it. ``iou`` is told after some clicks, ``noc`` is the number of
clicks to an overlap of 0.85, `CAP` where that is never reached; ``iou_box`` and ``noc_box`` begin with the true box,
counted as one.
Every frame is measured clean, and worn: softened, and under grain.

Source: Xu et al. 2016, "Deep interactive object selection" (the protocol); Rother, Kolmogorov & Blake 2004 (GrabCut).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.clips import evenly, mask_names, read_clip, read_masks
from bench.exemplar import embedded_if_there
from bench.metrics import iou
from core.film.colour import Array
from hints.segment import Box, Click, GeodesicSegmenter, Segmenter, within

Inside = NDArray[np.bool_]
# Picture, clicks so far, box, and the last answer or None: the next answer.
Way = Callable[[Array, Sequence[Click], Box | None, Inside | None], Inside]
SIZE = (480, 640)
FRAMES = (0, 24)  # of each clip: far enough apart for another pose
TOLD = (1, 3, 5, 10)
ENOUGH, CAP = 0.85, 20
GRAIN, BLUR_PX = 4.0, 1.0  # of the worn frame [L*], [px]
PATCH_PX, ROUNDS = 40, 2  # what GrabCut is told of a click's surroundings, and its iterations a click


def run(data: Path, *, limit: int | None = None, seed: int = 0) -> dict[str, Any]:
    """Measure the classical segmenter and GrabCut.

    Args:
        data: folder with ``clips/`` and ``seqmask/``.
        limit: at most so many clips, evenly chosen; None: all.
        seed: of the grain.

    Returns:
        ``{"name", "cases", "summary"}``; the summary has for clean and worn frames, ours and GrabCut's, ``iou`` and
        ``iou_box`` by number of clicks, ``noc``, ``noc_box``, and over all ``ms_p50`` and ``ms_p95`` a click.

    Raises:
        InputError: the folder has no masks.
    """
    rng, looks = np.random.default_rng(seed), embedded_if_there()
    cases = []
    for name in evenly(mask_names(data), limit):
        for n, luma, mask in _frames(data, name):
            for state, picture in (("clean", luma), ("worn", worn(luma, rng))):
                ways: dict[str, Way] = {"ours": asking(GeodesicSegmenter(looks)), "grabcut": grabcut}
                cases.append({"clip": name, "frame": n, "state": state, **measure(picture, mask, ways)})
    return {"name": "segment", "cases": cases, "summary": summarise(cases)}


def measure(picture: Array, mask: Inside, ways: dict[str, Way]) -> dict[str, Any]:
    """All ways of finding one object.

    Args:
        picture: luma  [(H, W) float32 L*]
        mask: the object  [(H, W) bool]
        ways: by name.
    """
    ys, xs = np.nonzero(mask)
    box = (float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1))
    told: dict[str, Any] = {}
    for name, way in ways.items():
        way(picture, [first_click(mask)], None, None)  # what is worked out once for a picture is no part of a click
        overlaps, ms = clicked(way, picture, mask, None)
        boxed, more = clicked(way, picture, mask, box)
        told[name] = {
            "iou": {str(k): overlaps[min(k, len(overlaps)) - 1] for k in TOLD},
            "iou_box": {str(k): boxed[min(k, len(boxed)) - 1] for k in TOLD},
            "noc": clicks_to(overlaps),
            "noc_box": clicks_to(boxed),
            "ms": [*ms, *more],
        }
    return told


def clicked(way: Way, picture: Array, mask: Inside, box: Box | None) -> tuple[list[float], list[float]]:
    """Click until it is found, or `CAP` times; at least as often as is told of.

    Returns:
        Overlap after each click (the box counts as the first one), and what each cost  [ms]
    """
    points: list[Click] = [] if box is not None else [first_click(mask)]
    answer: Inside | None = None
    overlaps: list[float] = []
    ms: list[float] = []
    while len(overlaps) < CAP:
        began = time.perf_counter()
        answer = way(picture, points, box, answer)
        ms.append(1e3 * (time.perf_counter() - began))
        overlaps.append(iou(answer, mask))
        if overlaps[-1] == 1 or (overlaps[-1] >= ENOUGH and len(overlaps) >= (1 if box is not None else max(TOLD))):
            break
        points.append(next_click(answer, mask))
    return overlaps, ms


def clicks_to(overlaps: Sequence[float], enough: float = ENOUGH) -> int:
    """Clicks until an overlap was first reached; `CAP` where it never was."""
    return next((k for k, overlap in enumerate(overlaps, 1) if overlap >= enough), CAP)


def first_click(mask: Inside) -> Click:
    """The middle of the object: where it is farthest to its border."""
    return _middle(mask, inside=True)


def next_click(answer: Inside, mask: Inside) -> Click:
    """The middle of the largest region that is wrong."""
    best, largest, missing = np.zeros_like(mask), 0, True
    for wrong, inside in ((mask & ~answer, True), (answer & ~mask, False)):
        count, parts, facts, _ = cv2.connectedComponentsWithStats(wrong.astype(np.uint8), connectivity=8)
        for part in range(1, count):
            if facts[part, cv2.CC_STAT_AREA] > largest:
                largest, best, missing = int(facts[part, cv2.CC_STAT_AREA]), parts == part, inside
    return _middle(best, inside=missing)


def worn(luma: Array, rng: np.random.Generator) -> Array:
    """A frame as an old print shows it: softened, then under grain  [(H, W) float32 L*]."""
    soft = cv2.GaussianBlur(luma, (0, 0), BLUR_PX)
    return np.asarray(np.clip(soft + rng.normal(0, GRAIN, luma.shape), 0, 100), np.float32)


def asking(segmenter: Segmenter) -> Way:
    """A segmenter as a way: it needs no last answer."""
    return lambda picture, points, box, last: segmenter.segment(picture, points, box)


def grabcut(picture: Array, points: Sequence[Click], box: Box | None, last: Inside | None) -> Inside:
    """OpenCV's GrabCut, going on from its last answer; of what it finds only parts that were clicked count."""
    h, w = picture.shape
    grey = np.rint(np.clip(picture, 0, 100) * 2.55).astype(np.uint8)
    image = cv2.merge([grey] * 3)
    state = np.full((h, w), cv2.GC_PR_BGD, np.uint8)
    if last is not None:
        state[last] = cv2.GC_PR_FGD
    elif box is not None:
        state[within((h, w), box)] = cv2.GC_PR_FGD
    for radius, sides in ((PATCH_PX, (cv2.GC_PR_FGD, cv2.GC_PR_BGD)), (5, (cv2.GC_FGD, cv2.GC_BGD))):
        for x, y, inside in points[-1:] if radius == PATCH_PX else points:
            cv2.circle(state, (int(x), int(y)), radius, int(sides[0 if inside else 1]), -1)
    if box is not None:
        state[~within((h, w), box)] = cv2.GC_BGD
    state[[0, -1]] = cv2.GC_BGD
    cv2.setRNGSeed(0)
    cv2.grabCut(image, state, (0, 0, 1, 1), np.zeros((1, 65)), np.zeros((1, 65)), ROUNDS, cv2.GC_INIT_WITH_MASK)
    found = (state == cv2.GC_FGD) | (state == cv2.GC_PR_FGD)
    clicks = [(int(y), int(x)) for x, y, inside in points if inside]
    if not clicks:
        return np.asarray(found)
    _, parts = cv2.connectedComponents(found.astype(np.uint8))
    return np.asarray(np.isin(parts, [parts[at] for at in clicks]) & found)


def summarise(cases: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over frames, and the spread of the milliseconds."""
    summary: dict[str, Any] = {"frames": len(cases)}
    for way in ("ours", "grabcut"):
        for state in ("clean", "worn"):
            some = [case[way] for case in cases if case["state"] == state]
            summary[f"{way} {state}"] = {
                **{
                    what: {str(k): float(np.mean([c[what][str(k)] for c in some])) for k in TOLD}
                    for what in ("iou", "iou_box")
                },
                "noc": float(np.mean([c["noc"] for c in some])),
                "noc_box": float(np.mean([c["noc_box"] for c in some])),
            }
        ms = np.concatenate([case[way]["ms"] for case in cases])
        summary[way] = {"ms_p50": float(np.percentile(ms, 50)), "ms_p95": float(np.percentile(ms, 95))}
    return summary


def _frames(data: Path, name: str) -> Iterator[tuple[int, Array, Inside]]:
    clip = read_clip(data, name, max_frames=FRAMES[-1] + 1, max_width=10_000)
    masks = read_masks(data, clip)
    for n in FRAMES:
        if n < len(masks) and masks[n].any():
            luma, mask = _cut(np.ascontiguousarray(clip.lab(n)[..., 0]), masks[n])
            if mask.any():
                yield n, luma, mask


def _cut(luma: Array, mask: Inside) -> tuple[Array, Inside]:
    """A frame at 480 lines, and of those the 640 columns about the object."""
    h, w = SIZE
    wide = max(w, round(luma.shape[1] * h / luma.shape[0]))
    grey = np.asarray(cv2.resize(luma, (wide, h), interpolation=cv2.INTER_AREA), np.float32)
    inside = cv2.resize(mask.astype(np.float32), (wide, h), interpolation=cv2.INTER_LINEAR) > 0.5
    left = int(np.clip(np.nonzero(inside.any(axis=0))[0].mean() - w / 2, 0, wide - w))
    return np.ascontiguousarray(grey[:, left : left + w]), np.ascontiguousarray(inside[:, left : left + w])


def _middle(region: Inside, *, inside: bool) -> Click:
    depth = cv2.distanceTransform(np.pad(region.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return float(x) + 0.5, float(y) + 0.5, inside
