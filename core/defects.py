"""Where a frame is damaged: specks that stand on it alone. Finding only; filling is the stage's.

A pixel is suspect where it lies outside everything its two neighbours show there after motion, on the
same side of both (a spike). Suspects become specks only where the evidence is temporal and the
registration can be believed: the neighbours agree with each other, the speck's surroundings match in
both, and nothing like it moves nearby (a ball, a hand). What fails any of these is left alone: too
little repair is the default, for what was eaten wrongly is not noticed.

A speck disturbs the flow under it, so whether flow closes there says nothing; instead the flow under
suspects is first replaced by the flow around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from core.film.colour import luma_of
from core.film.frame import Frame
from core.flow import DisFlow, resize_flow, to_working, warp

Array = NDArray[np.float32]
Bool = NDArray[np.bool_]
Labels = NDArray[np.int32]

# Coding leaves this much between two copies of one picture: on average, and over 5 × 5 pixels  [L*].
_COPY_MEAN, _COPY_MOST = 0.25, 4.0
# Spikes below this are grain, whatever the film's noise  [L*].
_LEAST_SPIKE = 5.0
# How far a speck's core stands out, in units of the film's noise, at sensitivity 0 and 1.
_DULL, _KEEN = 12.0, 4.0
# A speck reaches from its core to where it stands out this much of the core's threshold.
_GROW = 0.45
# Share of a speck's height by which neighbours and surroundings may disagree, at sensitivity 0 and 1.
_STRICT, _LENIENT = 0.25, 0.55
# Both neighbours on one side are weaker evidence, for something may just have gone away: the core must
# stand out more, and less may disagree.
_ONE_SIDED = 0.6
# How far away a moving thing that looks like a speck is sought  [share of the picture's height],
# from which area on, and how alike it must be  [share of the speck's height].
_SEARCH, _SOUGHT_PX, _ALIKE = 0.08, 16, 0.35
# A suspect larger than a square of this side disturbs the flow far around it  [share of the picture's height].
_LARGE = 0.05
# What stands this near in a neighbour is the same thing badly registered  [px]; a speck must stand out
# beyond it by this share of its height.
_NEAR_PX, _BEYOND = 3, 0.3
# Share of a speck that may lie on the outermost pixels of the picture.
_BORDER_PX, _ALONG_BORDER = 2, 0.2
_flow = DisFlow("fast")


@dataclass(frozen=True, repr=False, eq=False)
class Neighbour:
    """A neighbouring frame as the frame in question sees it, at full size.

    Attributes:
        frame: the neighbour itself.
        still: its luma, not moved                        [(H, W) float32 L*]
        luma: moved along the flow and matched in gain    [(H, W) float32 L*]
        flow: from the frame to the neighbour             [(H, W, 2) float32 px]
    """

    frame: Frame
    still: Array
    luma: Array
    flow: Array


@dataclass(frozen=True, repr=False, eq=False)
class Evidence:
    """A frame between two independent neighbours.

    Attributes:
        luma: the frame's                       [(H, W) float32 L*]
        before, after: its neighbours; both lie on one side where the shot ends.
        one_sided: whether they do.
        noise: standard deviation of what differs between frames without reason (grain)  [L*]
    """

    luma: Array
    before: Neighbour
    after: Neighbour
    one_sided: bool
    noise: float


@dataclass(frozen=True, repr=False, eq=False)
class Specks:
    """Specks of a frame.

    Attributes:
        labels: 0 = whole, k = k-th speck  [(H, W) int32]
        count: number of specks.
        evidence: with the flow under suspects replaced by the flow around them, to fill from.
    """

    labels: Labels
    count: int
    evidence: Evidence

    @property
    def mask(self) -> Bool:
        """Where there is a speck  [(H, W) bool]."""
        return np.asarray(self.labels > 0)


def gather(frames: Sequence[Frame], centre: int) -> Evidence | None:
    """Find two neighbours that are other pictures than the frame itself, and move them onto it.

    Args:
        frames: consecutive frames of one shot; duplicates among them are passed over.
        centre: which of them is in question.

    Returns:
        The evidence, or None where there are not two such neighbours.
    """
    luma = luma_of(frames[centre].rgb)
    before = _others(frames[:centre][::-1], [luma])
    after = _others(frames[centre + 1 :], [luma])
    chosen = [*before[:1], *after[:1]]
    one_sided = len(chosen) < 2
    if one_sided:
        chosen = (before or after)[:2]
    if len(chosen) < 2:
        return None
    calm = _without_specks(luma)
    first, second = (_neighbour(luma, calm, frame, still) for frame, still in chosen)
    rest = np.abs(luma - (first.luma + second.luma) / 2)
    noise = 1.4826 * float(np.median(rest)) / np.sqrt(1.5)
    return Evidence(luma, first, second, one_sided, noise)


def find_specks(evidence: Evidence, *, sensitivity: float = 0.5, max_size: float = 10.0, kind: str = "both") -> Specks:
    """Find what stands on this frame alone.

    Args:
        evidence: the frame and its neighbours.
        sensitivity: 0 finds only what is plain, 1 also faint dirt, at the risk of detail.
        max_size: greatest diameter of a disc of the speck's area  [% of the picture's height]
        kind: ``dark``, ``bright`` or ``both``.

    Source: Kokaram 1998 (spike detection, SDIa); Nadenau & Mitra 1997 (rank-ordered differences).
    """
    core = max(_LEAST_SPIKE, (_DULL + (_KEEN - _DULL) * sensitivity) * evidence.noise)
    if evidence.one_sided:
        core /= _ONE_SIDED
    labels, height, count = _suspects(evidence, core, kind)
    if not count:
        return Specks(labels, 0, evidence)
    evidence = _with_calm_flow(evidence, labels > 0)
    labels, height, count = _suspects(evidence, core, kind)
    keep = _believed(evidence, labels, count, height, sensitivity, max_size)
    for k in np.flatnonzero(keep):
        if _moves(evidence, labels, int(k), height):
            keep[k] = False
    renumber = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    return Specks(renumber[labels], int(keep.sum()), evidence)


def carried_in(plane: Array, hole: Bool) -> Array:
    """Values around holes carried into them, near ones first (normalised convolution of growing reach).

    Args:
        plane: [(H, W) or (H, W, C) float32]
        hole: what is not known  [(H, W) bool]

    Returns:
        The plane, replaced inside the holes; smoothed nowhere else  [same shape, float32]
    """
    out = plane.copy()
    left = hole.copy()
    known = (~hole).astype(np.float32)
    values = plane * (known if plane.ndim == 2 else known[..., None])
    side = 9
    while left.any() and side < 4 * max(hole.shape):
        weight = cv2.boxFilter(known, -1, (side, side), borderType=cv2.BORDER_REFLECT_101)
        mean = cv2.boxFilter(values, -1, (side, side), borderType=cv2.BORDER_REFLECT_101)
        new = left & (weight > 0.1)
        out[new] = mean[new] / (weight[new] if plane.ndim == 2 else weight[new][:, None])
        left &= ~new
        side = side * 2 + 1
    return out


def is_duplicate(luma_a: Array, luma_b: Array) -> bool:
    """Whether two frames are one picture, up to what coding did to it  [(H, W) float32 L* each]."""
    apart = np.abs(cv2.blur(luma_a - luma_b, (5, 5)))
    return bool(apart.max() < _COPY_MOST and apart.mean() < _COPY_MEAN)


def _others(frames: Sequence[Frame], seen: list[Array]) -> list[tuple[Frame, Array]]:
    """Frames that are no duplicates of one another nor of those seen, with their lumas."""
    out: list[tuple[Frame, Array]] = []
    for frame in frames:
        luma = luma_of(frame.rgb)
        if not any(is_duplicate(luma, other) for other in [*seen, *(s for _, s in out)]):
            out.append((frame, luma))
    return out


def _neighbour(luma: Array, calm: Array, frame: Frame, still: Array) -> Neighbour:
    h, w = luma.shape
    flow = resize_flow(_flow.pair(calm, _without_specks(still)).forward, (h, w))
    return _moved(luma, frame, still, flow)


def _moved(luma: Array, frame: Frame, still: Array, flow: Array, hole: Bool | None = None) -> Neighbour:
    h, w = luma.shape
    moved = warp(still, flow, interpolation=cv2.INTER_CUBIC)
    # Flicker that is left: differences that are smooth over an eighth of the frame, specks held back.
    rest = np.clip(luma - moved, -20, 20)
    eighth = (w // 8 * 2 + 1, h // 8 * 2 + 1)
    known = np.ones((h, w), np.float32) if hole is None else (~hole).astype(np.float32)
    mean = cv2.boxFilter(rest * known, -1, eighth, borderType=cv2.BORDER_REFLECT_101)
    share = cv2.boxFilter(known, -1, eighth, borderType=cv2.BORDER_REFLECT_101)
    moved += mean / np.maximum(share, 0.05)
    return Neighbour(frame, still, moved, flow)


def _with_calm_flow(evidence: Evidence, suspect: Bool) -> Evidence:
    """The same evidence, the flow under the suspects replaced by the flow around them.

    Where a suspect is large (a burn) there is no flow around it to speak of: then the flow is found anew,
    on a frame in which what lies between its neighbours stands for the suspects.
    """
    hole = np.asarray(cv2.dilate(suspect.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0)
    luma, sides = evidence.luma, (evidence.before, evidence.after)
    if _largest(hole) > (_LARGE * luma.shape[0]) ** 2:
        whole = np.where(hole, _between(evidence), luma)
        calm = _without_specks(whole)
        before, after = (
            _moved(luma, s.frame, s.still, _neighbour(whole, calm, s.frame, s.still).flow, hole) for s in sides
        )
    else:
        before, after = (_moved(luma, s.frame, s.still, carried_in(s.flow, hole), hole) for s in sides)
    return replace(evidence, before=before, after=after)


def _largest(mask: Bool) -> int:
    """Area of the largest component  [px]."""
    n, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    return int(stats[1:, cv2.CC_STAT_AREA].max()) if n > 1 else 0


def _between(evidence: Evidence) -> Array:
    """Luma halfway between the neighbours, along the flow from one to the other  [(H, W) float32 L*]."""
    p, q = evidence.before.still, evidence.after.still
    pair = _flow.pair(_without_specks(p), _without_specks(q))
    middle = (pair.forward - pair.backward) / 4
    half = resize_flow(np.asarray(middle, np.float32), (p.shape[0], p.shape[1]))
    return np.asarray((warp(p, -half) + warp(q, half)) / 2, np.float32)


def _suspects(evidence: Evidence, core: float, kind: str) -> tuple[Labels, Array, int]:
    """Spikes, numbered; how far each pixel of them stands out [L*]; how many."""
    c, p, q = evidence.luma, evidence.before.luma, evidence.after.luma
    labels = np.zeros(c.shape, np.int32)
    height = np.zeros(c.shape, np.float32)
    count = 0
    shown = _shown(evidence.before.flow) & _shown(evidence.after.flow)
    for sign, word in ((1.0, "bright"), (-1.0, "dark")):
        if kind not in ("both", word):
            continue
        plain = np.minimum(sign * (c - p), sign * (c - q)) * shown
        envelope = np.maximum(_dilated(sign * p), _dilated(sign * q))
        found, n = _grown(plain > _GROW * core, sign * c - envelope > core)
        new = found > 0
        labels[new] = found[new] + count
        height[new] = plain[new]
        count += n
    return labels, height, count


def _shown(flow: Array) -> Bool:
    """Where a neighbour shows the place at all, to within a pixel and a half  [(H, W) bool]."""
    h, w = flow.shape[:2]
    x = np.arange(w, dtype=np.float32)[None, :] + flow[..., 0]
    y = np.arange(h, dtype=np.float32)[:, None] + flow[..., 1]
    return np.asarray((x > -1.5) & (x < w + 0.5) & (y > -1.5) & (y < h + 0.5))


def _without_specks(luma: Array) -> Array:
    """Luma at working size with small specks taken out, so that they do not lead the flow."""
    return np.asarray(cv2.medianBlur(to_working(luma), 5), np.float32)


def _dilated(plane: Array) -> Array:
    return np.asarray(cv2.dilate(plane, np.ones((3, 3), np.uint8)), np.float32)


def _grown(wide: Bool, core: Bool) -> tuple[Labels, int]:
    """Components of ``wide`` that hold a pixel of ``core``, holes closed, numbered from 1."""
    closed = cv2.morphologyEx(wide.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    n, labels = cv2.connectedComponents(closed, connectivity=8)
    hit = np.bincount(labels[core & wide], minlength=n) > 0
    hit[0] = False
    renumber = np.where(hit, np.cumsum(hit), 0).astype(np.int32)
    return renumber[labels], int(hit.sum())


def _believed(
    evidence: Evidence, labels: Labels, count: int, height: Array, sensitivity: float, max_size: float
) -> Bool:
    """Which specks have the evidence  [(count + 1,) bool], entry 0 is False."""
    c, p, q = evidence.luma, evidence.before.luma, evidence.after.luma
    share = _STRICT + (_LENIENT - _STRICT) * sensitivity
    if evidence.one_sided:
        share *= _ONE_SIDED
    numbers = labels.astype(np.float32)
    around = _dilated(numbers)
    # A ring of three pixels, one off the speck (its soft edge).
    ring = np.where(around == 0, cv2.dilate(numbers, np.ones((9, 9), np.uint8)), 0).astype(np.int32)
    tall = _mean(labels, height, count)
    apart = _mean(labels, np.abs(p - q), count)
    outside = _mean(ring, np.maximum(np.abs(c - p), np.abs(c - q)), count)
    beyond = _mean(labels, _beyond(evidence, labels), count)
    area = np.bincount(labels.ravel(), minlength=count + 1)
    # Grain alone makes neighbours differ by 1.13 and surroundings by 1.4 times the noise, on average.
    keep = (
        (area <= np.pi / 4 * (max_size / 100 * c.shape[0]) ** 2)
        & (apart - 1.13 * evidence.noise <= share * tall)
        & (beyond >= _BEYOND * tall)
        & (outside - 1.4 * evidence.noise <= share * tall)
    )
    # What lies along the border is the edge of the gate, seen where the film jumped.
    edge = np.ones(c.shape, np.float32)
    edge[_BORDER_PX:-_BORDER_PX, _BORDER_PX:-_BORDER_PX] = 0
    keep &= (_mean(labels, edge, count) <= _ALONG_BORDER) | (area < _SOUGHT_PX)
    keep[0] = False
    return np.asarray(keep)


def _beyond(evidence: Evidence, labels: Labels) -> Array:
    """How far suspects stand out beyond everything near them in both neighbours  [(H, W) float32 L*]."""
    c, p, q = evidence.luma, evidence.before.luma, evidence.after.luma
    near = np.ones((2 * _NEAR_PX + 1, 2 * _NEAR_PX + 1), np.uint8)
    bright = c - cv2.dilate(np.maximum(p, q), near)
    dark = cv2.erode(np.minimum(p, q), near) - c
    return np.asarray(np.clip(np.where(c > p, bright, dark), 0, None) * (labels > 0), np.float32)


def _mean(labels: Labels, plane: Array, count: int) -> NDArray[np.float64]:
    """Mean of a plane over each label; 0 for labels that have no pixel."""
    flat = labels.ravel()
    total = np.bincount(flat, weights=plane.ravel(), minlength=count + 1)
    return np.asarray(total / np.maximum(np.bincount(flat, minlength=count + 1), 1))


def _moves(evidence: Evidence, labels: Labels, k: int, height: Array) -> bool:
    """Whether something like speck k stands displaced in both neighbours, as a thing in flight does."""
    where = labels == k
    if int(where.sum()) < _SOUGHT_PX:
        return False
    ys, xs = np.nonzero(where)
    top, left, bottom, right = ys.min() - 2, xs.min() - 2, ys.max() + 3, xs.max() + 3
    h, w = where.shape
    if top < 0 or left < 0 or bottom > h or right > w:
        return False
    shape = _dilated(where[top:bottom, left:right].astype(np.float32))
    patch = evidence.luma[top:bottom, left:right]
    tall = float(height[where].mean())
    found = [
        _like(evidence, side, patch, shape, (int(top), int(left)), tall) for side in (evidence.before, evidence.after)
    ]
    # Displaced either way: ahead and behind in flight, to the same side where the gate jumped.
    return all(place is not None for place in found)


def _like(
    evidence: Evidence, side: Neighbour, patch: Array, shape: Array, corner: tuple[int, int], tall: float
) -> tuple[int, int] | None:
    """How far a look-alike of the patch has moved in a neighbour  [(dy, dx) px], or None."""
    h, w = evidence.luma.shape
    ph, pw = patch.shape
    reach = max(4, round(_SEARCH * h))
    top, left = max(0, corner[0] - reach), max(0, corner[1] - reach)
    bottom, right = min(h, corner[0] + ph + reach), min(w, corner[1] + pw + reach)
    there = side.still[top:bottom, left:right]
    # Only what the frame itself does not show at that place can be the thing that moved.
    new = np.abs(there - evidence.luma[top:bottom, left:right])
    squared = cv2.matchTemplate(there, patch, cv2.TM_SQDIFF, mask=shape) / float(shape.sum())
    fresh = cv2.matchTemplate(new, shape, cv2.TM_CCORR) / float(shape.sum())
    squared[fresh < tall / 2] = np.inf
    y, x = np.unravel_index(int(np.argmin(squared)), squared.shape)
    if squared[y, x] > (_ALIKE * tall) ** 2:
        return None
    return int(y) + top - corner[0], int(x) + left - corner[1]
