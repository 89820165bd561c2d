"""Stills as training pairs: luma as old film has it, and hints as restorers and optical flow give them.

Everything is drawn from ``numpy.random.Generator`` seeded by (seed, step), so that any step's batch can be made again
and a resumed run sees exactly what an uninterrupted one would have seen.

Source: Zhang et al. 2017 section 3.2 (simulated points); the other kinds are ours, after ``hints/``.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from core.film.colour import srgb_to_lab
from core.models.network import AB_SCALE, input_planes

Plane = NDArray[np.float32]
Rng = np.random.Generator

NEVER_TRAINED = ("stills/bsds500/", "stills_full/")  # the evaluation set of bench points


@dataclass(frozen=True)
class Still:
    """One photograph and how often it is drawn, relative to others."""

    path: Path
    weight: float


def shippable_stills(data: Path, source_weights: dict[str, float]) -> list[Still]:
    """List the stills that shipped weights may be trained on.

    Args:
        data: folder with ``SOURCES.csv`` and ``stills/``
        source_weights: how often a folder below ``stills/`` is drawn, 1 where not named

    Returns:
        Stills marked ship=yes, without the evaluation set, in the order of their paths.
    """
    with (data / "SOURCES.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["ship"].strip() == "yes"]
    paths = sorted(row["path"] for row in rows if row["path"].startswith("stills/"))
    paths = [path for path in paths if not path.startswith(NEVER_TRAINED)]
    return [Still(data / path, source_weights.get(path.split("/")[1], 1.0)) for path in paths]


# --- luma as old film has it ------------------------------------------------------------------------------------


def old_luma(rgb: Plane, rng: Rng) -> Plane:
    """Make luma as an old emulsion, lens, print and scan would have it.

    Args:
        rgb: the photograph  [(H, W, 3) float32 [0, 1] R'G'B']
        rng: source of chance

    Returns:
        Luma  [(H, W) float32 [0, 100] L*]
    """
    h, w = rgb.shape[:2]
    if rng.random() < 0.5:  # orthochromatic stock: red hardly seen, blue seen well
        seen = np.array([rng.uniform(0.02, 0.3), rng.uniform(0.4, 0.7), rng.uniform(0.15, 0.5)], np.float32)
        grey = rgb @ (seen / seen.sum())
        luma = srgb_to_lab(np.repeat(grey[..., None], 3, axis=2))[..., 0]
    else:
        luma = srgb_to_lab(rgb)[..., 0]
    luma = luma / 100.0
    if rng.random() < 0.6:  # contrast and fading
        low, high = rng.uniform(-0.05, 0.2), rng.uniform(0.75, 1.1)
        luma = low + (high - low) * np.clip(luma, 0, 1) ** np.float32(rng.uniform(0.65, 1.5))
    if rng.random() < 0.3:  # lens and projector fall off towards the corners
        y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j].astype(np.float32)
        luma = luma * (1 - rng.uniform(0.1, 0.5) * (x * x + y * y) / 2)
    if rng.random() < 0.5:
        luma = np.asarray(cv2.GaussianBlur(luma.astype(np.float32), (0, 0), rng.uniform(0.3, 1.3)), np.float32)
    if rng.random() < 0.6:
        grain = rng.standard_normal((h, w), np.float32)
        if rng.random() < 0.6:
            grain = np.asarray(cv2.GaussianBlur(grain, (0, 0), rng.uniform(0.4, 1.0)), np.float32)
            grain /= grain.std() + 1e-6
        luma = luma + grain * np.float32(rng.uniform(0.005, 0.07))
    luma = np.clip(luma, 0, 1)
    if rng.random() < 0.3:
        quality = int(rng.integers(30, 95))
        coded = cv2.imencode(".jpg", (luma * 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        luma = np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.float32) / np.float32(255)
    return np.ascontiguousarray(luma * 100, np.float32)


# --- hints ------------------------------------------------------------------------------------------------------


def segments(lab: Plane, rng: Rng, count: int, place: tuple[float, float] = (20, 120)) -> NDArray[np.uint8]:
    """Cut the picture into surfaces with ragged borders: the nearest of a few random pixels in place and colour.

    Args:
        lab: the picture  [(H, W, 3) float32 Lab]
        rng: source of chance
        count: how many pixels
        place: between what the picture's whole width may count, in units of Lab

    Returns:
        Labels  [(H, W) uint8, below ``count``]
    """
    h, w = lab.shape[:2]
    small = cv2.resize(cv2.GaussianBlur(lab, (0, 0), 1.5), (max(1, w // 2), max(1, h // 2)))
    sh, sw = small.shape[:2]
    y, x = np.mgrid[0:sh, 0:sw].astype(np.float32)
    scale = np.float32(rng.uniform(*place) / max(sh, sw))
    feature = np.dstack([small, x * scale, y * scale]).reshape(-1, 5)
    seeds = feature[rng.integers(0, len(feature), count)]
    # |f - s|^2 without the |f|^2 that is the same for all seeds.
    labels = np.argmin((seeds**2).sum(1) - 2 * feature @ seeds.T, axis=1).astype(np.uint8).reshape(sh, sw)
    return np.asarray(cv2.resize(labels, (w, h), interpolation=cv2.INTER_NEAREST))


def _smooth_noise(h: int, w: int, rng: Rng, cell: int) -> Plane:
    """Draw smooth noise [(h, w) float32, about unit variance] with features of about ``cell`` pixels."""
    coarse = rng.standard_normal((h // cell + 3, w // cell + 3), np.float32)
    return np.asarray(cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC), np.float32)


def _points(ab: Plane, lab: Plane, rng: Rng) -> tuple[Plane, Plane]:
    h, w = ab.shape[:2]
    out, weight = np.zeros_like(ab), np.zeros((h, w), np.float32)
    count = int(rng.geometric(1 / 8)) if rng.random() < 0.6 else int(np.exp(rng.uniform(0, np.log(150))))
    central = rng.random() < 0.5
    trust = 1.0 if rng.random() < 0.8 else rng.uniform(0.3, 1.0)
    for _ in range(count):
        size = int(rng.integers(1, 10))
        if central:
            y = int(np.clip(rng.normal((h - size + 1) / 2, (h - size + 1) / 4), 0, h - size))
            x = int(np.clip(rng.normal((w - size + 1) / 2, (w - size + 1) / 4), 0, w - size))
        else:
            y, x = int(rng.integers(0, h - size + 1)), int(rng.integers(0, w - size + 1))
        out[y : y + size, x : x + size] = ab[y : y + size, x : x + size].mean(axis=(0, 1))
        weight[y : y + size, x : x + size] = trust
    return out, weight


def zhang_points(ab: Plane, count: int, rng: Rng, patch: int = 6) -> tuple[Plane, Plane]:
    """Draw hint points by the protocol: patches of their mean true chroma, placed normally about the centre.

    Args:
        ab: truth  [(H, W, 2) float32 a* b*]
        count: how many
        rng: source of chance
        patch: side of a hint in pixels

    Returns:
        Hint chroma  [(H, W, 2) float32] and weight  [(H, W) float32, 0 or 1]

    Source: Zhang et al. 2017, section 3.2 and its published evaluation.
    """
    h, w = ab.shape[:2]
    out, weight = np.zeros(ab.shape, np.float32), np.zeros((h, w), np.float32)
    for _ in range(count):
        y = int(np.clip(rng.normal((h - patch + 1) / 2, (h - patch + 1) / 4), 0, h - patch))
        x = int(np.clip(rng.normal((w - patch + 1) / 2, (w - patch + 1) / 4), 0, w - patch))
        out[y : y + patch, x : x + patch] = ab[y : y + patch, x : x + patch].mean(axis=(0, 1))
        weight[y : y + patch, x : x + patch] = 1.0
    return out, weight


def _strokes(ab: Plane, lab: Plane, rng: Rng) -> tuple[Plane, Plane]:
    h, w = ab.shape[:2]
    out, weight = np.zeros_like(ab), np.zeros((h, w), np.float32)
    labels = segments(lab, rng, int(rng.integers(5, 25)))
    for _ in range(int(rng.integers(1, 9))):
        y, x = int(rng.integers(0, h)), int(rng.integers(0, w))
        angle, path = rng.uniform(0, 2 * np.pi), [(x, y)]
        for _ in range(int(rng.integers(2, 9))):
            angle += rng.normal(0, 0.5)
            step = rng.uniform(3, 10)
            path.append((int(path[-1][0] + step * np.cos(angle)), int(path[-1][1] + step * np.sin(angle))))
        mask = np.zeros((h, w), np.uint8)
        cv2.polylines(mask, [np.array(path, np.int32)], False, 1, int(rng.integers(1, 6)))
        inside = mask > 0
        if rng.random() < 0.8:  # people keep their strokes on one surface
            inside &= labels == labels[y, x]
        if inside.any():
            out[inside], weight[inside] = ab[inside].mean(axis=0), 1.0
    return out, weight


def _ragged(mask: NDArray[np.bool_], rng: Rng) -> NDArray[np.bool_]:
    """Displace a mask's border as a hasty outline would."""
    size = 2 * int(rng.integers(0, 3)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    displace = cv2.erode if rng.random() < 0.5 else cv2.dilate
    return np.asarray(displace(mask.astype(np.uint8), kernel) > 0)


def _regions(ab: Plane, lab: Plane, rng: Rng) -> tuple[Plane, Plane]:
    h, w = ab.shape[:2]
    out, weight = np.zeros_like(ab), np.zeros((h, w), np.float32)
    count = int(rng.integers(3, 20))
    labels = segments(lab, rng, count)
    chosen = rng.permutation(count)[: int(rng.integers(1, 5)) if rng.random() < 0.8 else count]
    for label in chosen:
        inside = _ragged(labels == label, rng)
        if not inside.any():
            continue
        kind = rng.random()
        if kind < 0.5:  # one swatch
            out[inside] = ab[inside].mean(axis=0)
        elif kind < 0.8:  # a ramp over luma: straight line fitted through the region's own chroma
            luma = lab[inside, 0]
            centred = luma - luma.mean()
            slope = (centred[:, None] * ab[inside]).sum(0) / (np.square(centred).sum() + 1.0)
            out[inside] = ab[inside].mean(axis=0) + centred[:, None] * slope
        else:  # an approved frame's own chroma
            out[inside] = ab[inside]
        weight[inside] = 1.0 if rng.random() < 0.7 else rng.uniform(0.3, 1.0)
    return out, weight


def _carried(ab: Plane, lab: Plane, rng: Rng) -> tuple[Plane, Plane]:
    """Chroma as optical flow leaves it: displaced, ghosted, holed, of fading trust."""
    h, w = ab.shape[:2]
    cell = int(rng.choice([8, 16, 32]))
    amount = rng.uniform(0, 3.0)
    dx, dy = _smooth_noise(h, w, rng, cell) * amount, _smooth_noise(h, w, rng, cell) * amount
    labels = segments(lab, rng, int(rng.integers(4, 16)))
    lost = labels == labels[rng.integers(0, h), rng.integers(0, w)]
    if rng.random() < 0.4:  # one surface went elsewhere: its ghost lies beside it
        dx, dy = dx + lost * rng.normal(0, 8), dy + lost * rng.normal(0, 8)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    from_x, from_y = (x + dx).astype(np.float32), (y + dy).astype(np.float32)
    out = np.asarray(cv2.remap(ab, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101), np.float32)
    # Trust tells of the error, but not all of it.
    error = np.abs(out - ab).sum(axis=2)
    trust = np.exp(-error / rng.uniform(8, 60)) * (1 - 0.3 * rng.random() * rng.random((h, w), np.float32))
    trust = cv2.GaussianBlur(trust.astype(np.float32), (0, 0), rng.uniform(0.5, 3)) * rng.uniform(0.4, 1.0)
    holes = _smooth_noise(h, w, rng, int(rng.choice([8, 16, 32]))) > rng.uniform(-0.5, 2.0)
    trust[holes] = 0
    if rng.random() < 0.4:
        trust[lost] = 0  # never seen before: disoccluded
    if rng.random() < 0.3:  # only some regions were hinted at all
        kept = rng.random(16) < 0.5
        trust[~kept[labels]] = 0
    return out, np.clip(trust, 0, 1).astype(np.float32)


Simulated = Callable[[Plane, Plane, Rng], tuple[Plane, Plane]]
SOME_OBJECTS = 0.4  # share of pairs in which a few surfaces alone are hinted at, and differ from what they were
RECOLOURED = 0.3  # share of the others in which hues are turned: strange colours are carried as common ones are
KINDS: tuple[tuple[float, Simulated], ...] = ((0.25, _points), (0.2, _strokes), (0.25, _regions), (0.3, _carried))


def simulate_hints(lab: Plane, rng: Rng) -> tuple[Plane, Plane]:
    """Draw hints of one kind, or of two laid over each other.

    Args:
        lab: the truth  [(H, W, 3) float32 Lab]
        rng: source of chance

    Returns:
        Hint chroma  [(H, W, 2) float32 a* b*] and weight  [(H, W) float32 [0, 1]]
    """
    ab = lab[..., 1:]
    kind = KINDS[rng.choice(len(KINDS), p=[share for share, _ in KINDS])][1]
    out, weight = kind(ab, lab, rng)
    if rng.random() < 0.15:  # a person's points over what flow carried, and the like
        over = (_points, _strokes, _regions)[rng.integers(0, 3)]
        more, more_weight = over(ab, lab, rng)
        here = more_weight > 0
        out[here], weight[here] = more[here], more_weight[here]
    if rng.random() < 0.3:  # low weight means unsure: the colour is off by more, the less it is trusted
        h, w = weight.shape
        off = np.dstack([_smooth_noise(h, w, rng, 16), _smooth_noise(h, w, rng, 16)])
        out = out + off * (1 - weight[..., None]) * rng.uniform(0, 20)
    return out.astype(np.float32), weight


def _turned(lab: Plane, rng: Rng) -> Plane:
    """Turn all hues, change their strength, and sometimes shift them  [(H, W, 3) float32 Lab]."""
    angle, gain = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1.4)
    turn = gain * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    shift = rng.normal(0, 15, 2) if rng.random() < 0.4 else np.zeros(2)
    changed = lab.copy()
    changed[..., 1:] = np.clip(lab[..., 1:] @ turn + shift, -100, 100)
    return changed


def _within(lab: Plane, changed: Plane, inside: NDArray[np.bool_]) -> Plane:
    """Take the changed colours on one surface only  [(H, W, 3) float32 Lab]."""
    soft = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 0.7)[..., None]
    return np.asarray(lab + (changed - lab) * soft, np.float32)


def recolour(lab: Plane, rng: Rng) -> Plane:
    """Turn hues, of everything or of one surface, so that hints are obeyed rather than guessed.

    Returns:
        Lab with the same luma  [(H, W, 3) float32]
    """
    changed = _turned(lab, rng)
    if rng.random() < 0.5:
        return changed
    labels = segments(lab, rng, int(rng.integers(3, 12)))
    return _within(lab, changed, labels == labels[rng.integers(0, lab.shape[0]), rng.integers(0, lab.shape[1])])


def some_objects(lab: Plane, rng: Rng) -> tuple[Plane, Plane, Plane]:
    """Give one or a few connected surfaces other colours, and hint at nothing else: each colour ends at its border.

    A network that only ever sees hints that are true of the whole picture learns to tint all of it by the first one.

    Args:
        lab: the photograph  [(H, W, 3) float32 Lab]
        rng: source of chance

    Returns:
        The truth  [(H, W, 3) float32 Lab], hint chroma  [(H, W, 2) float32 a* b*] and weight  [(H, W) float32 [0, 1]]
    """
    h, w = lab.shape[:2]
    # Place hardly counts: borders are to lie where the picture has some, not across a sky.
    labels = segments(lab, rng, int(rng.integers(3, 12)), (0, 20))
    truth, objects = lab, []
    for _ in range(1 + int(rng.random() < 0.4) + int(rng.random() < 0.2)):
        for _ in range(8):
            seed = int(rng.integers(0, h)), int(rng.integers(0, w))
            parts = cv2.connectedComponents((labels == labels[seed]).astype(np.uint8), connectivity=4)[1]
            inside = parts == parts[seed]
            if 0.01 < inside.mean() < 0.5:
                break
        changed = _turned(lab, rng)
        changed[..., 1:] = np.clip(changed[..., 1:] + rng.normal(0, 20, 2), -100, 100)
        truth = _within(truth, changed, inside)
        objects.append(inside)
    ab = truth[..., 1:]
    out, weight = np.zeros((h, w, 2), np.float32), np.zeros((h, w), np.float32)
    for inside in objects:
        for asked in _marks(inside, rng):
            if asked.any():
                out[asked], weight[asked] = ab[asked].mean(axis=0), 1.0
    return truth, out, weight


def _marks(inside: NDArray[np.bool_], rng: Rng) -> list[NDArray[np.bool_]]:
    """Mark one surface as a person does: by its outline, or a few dots and strokes within it  [(H, W) bool each]."""
    if rng.random() < 0.15:
        return [_ragged(inside, rng)]
    core = cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1) > 0
    ys, xs = np.nonzero(core if core.any() else inside)
    marks = []
    for _ in range(int(rng.integers(1, 6))):
        mark, i = np.zeros(inside.shape, np.uint8), rng.integers(0, len(ys))
        j = i if rng.random() < 0.7 else rng.integers(0, len(ys))  # a dot, or a stroke
        ends = (int(xs[i]), int(ys[i])), (int(xs[j]), int(ys[j]))
        cv2.line(mark, *ends, 1, int(rng.integers(1, 8)))
        marks.append((mark > 0) & inside)
    return marks


# --- samples ----------------------------------------------------------------------------------------------------


def read_still(path: Path) -> Plane:
    """Read a photograph  [(H, W, 3) float32 [0, 1] R'G'B']."""
    return _decoded(path).astype(np.float32) / np.float32(255)


def read_square(path: Path, size: int) -> Plane:
    """Read a photograph, as the protocol of points has it  [(size, size, 3) float32 [0, 1] R'G'B']."""
    return np.asarray(cv2.resize(read_still(path), (size, size), interpolation=cv2.INTER_AREA), np.float32)


@lru_cache(maxsize=8192)  # small photographs are drawn again and again; decoding them costs more than all the rest
def _decoded(path: Path) -> NDArray[np.uint8]:
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise FileNotFoundError(f"{path} cannot be read as a picture")
    return np.ascontiguousarray(bgr[..., ::-1], np.uint8)


def frame_still(rgb: Plane, h: int, w: int, rng: Rng) -> Plane:
    """Take nearly the whole photograph at (h, w): context is what colour is guessed from."""
    ih, iw = rgb.shape[:2]
    cover = max(h / ih, w / iw) * rng.uniform(1.0, 1.5)
    stretch = rng.uniform(0.92, 1.08)
    sh, sw = max(h, round(ih * cover)), max(w, round(iw * cover * max(stretch, 1.0)))
    y, x = int(rng.integers(0, sh - h + 1)), int(rng.integers(0, sw - w + 1))
    scaled = cv2.resize(rgb, (sw, sh), interpolation=cv2.INTER_AREA if sh < ih else cv2.INTER_LINEAR)
    cut = scaled[y : y + h, x : x + w]
    return np.ascontiguousarray(cut[:, ::-1] if rng.random() < 0.5 else cut)


class Pair(NamedTuple):
    """What is learned from one photograph, or from a batch of them. Chroma is in units of AB_SCALE.

    Attributes:
        luma: as the network is shown it        [(1, H, W) float32]
        truth: the photograph's chroma          [(2, H, W) float32]
        wanted: chroma under hints, twice       [(2, 2, H, W) float32]; the first is ``truth`` under points
        asked: what the hints say, twice        [(2, 2, H, W) float32]
        weight: trust in it, twice              [(2, 1, H, W) float32 [0, 1]]
        settled: whether all is right already but for what the hints change, twice  [(2,) bool]
    """

    luma: Tensor
    truth: Tensor
    wanted: Tensor
    asked: Tensor
    weight: Tensor
    settled: Tensor


def make_pair(rgb: Plane, rng: Rng, *, hinted: bool = True) -> Pair:
    """Make one training pair: points on the photograph as it is, and hints of any kind, perhaps of other colours.

    Args:
        rgb: the photograph  [(H, W, 3) float32 [0, 1] R'G'B']
        rng: source of chance
        hinted: whether anything is hinted at; without it, only the colour unasked is learned, at half the cost
    """
    lab = srgb_to_lab(rgb)
    luma = old_luma(rgb, rng) if rng.random() < 0.5 else np.ascontiguousarray(lab[..., 0])
    nothing = np.zeros_like(lab[..., 1:]), np.zeros_like(luma)
    points, points_weight = _points(lab[..., 1:], lab, rng) if hinted else nothing
    settled = hinted and bool(rng.random() < SOME_OBJECTS)
    other, (hint, weight) = lab, nothing
    if settled:
        other, hint, weight = some_objects(lab, rng)
    elif hinted:
        other = recolour(lab, rng) if rng.random() < RECOLOURED else lab
        hint, weight = simulate_hints(other, rng)

    def planes(*chroma: Plane) -> Tensor:
        return torch.from_numpy(np.stack([c[..., -2:].transpose(2, 0, 1) for c in chroma]) * np.float32(1 / AB_SCALE))

    return Pair(
        torch.from_numpy(input_planes(luma[None])[0]),
        planes(lab)[0],
        planes(lab, other),
        planes(points, hint),
        torch.from_numpy(np.stack([points_weight, weight])[:, None]),
        torch.tensor([False, settled]),
    )


@dataclass(frozen=True)
class Phase:
    """What is drawn from a step on.

    Attributes:
        from_step: the first
        shapes: each (h, w) a multiple of 16; one is drawn for each step
        hints_every: of so many steps one has hints; the others teach the colour unasked alone
    """

    from_step: int
    shapes: list[tuple[int, int]]
    hints_every: int = 1


class Batches(Dataset[Pair]):
    """Whole batches by step number, the same for the same seed.

    Args:
        stills: the photographs
        batch: pairs per batch at 128x128; larger shapes get fewer, for about the same cost
        phases: in the order of their first steps
        seed: of everything drawn
        part: which replica this is, of how many: each makes its own rows of the batch
    """

    def __init__(
        self,
        stills: list[Still],
        batch: int,
        phases: list[Phase],
        seed: int,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        self.stills, self.batch, self.phases, self.seed = stills, batch, phases, seed
        self.replica, self.replicas = part
        weights = np.array([s.weight for s in stills])
        self.share = weights / weights.sum()

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, step: int) -> Pair:
        """Make this replica's part of the batch of ``step``, stacked along a new first dimension."""
        cv2.setNumThreads(1)
        rng = np.random.default_rng((self.seed, step))
        phase = [phase for phase in self.phases if phase.from_step <= step][-1]
        h, w = phase.shapes[rng.integers(0, len(phase.shapes))]
        hinted = step % phase.hints_every == 0
        count = max(2 * self.replicas, round(self.batch * 128 * 128 / (h * w)))
        pairs = [self._pair(h, w, step, row, hinted) for row in range(self.replica, count, self.replicas)]
        return Pair(*(torch.stack(parts) for parts in zip(*pairs, strict=True)))

    def _pair(self, h: int, w: int, step: int, row: int, hinted: bool) -> Pair:
        rng = np.random.default_rng((self.seed, step, row))
        while True:
            still = self.stills[rng.choice(len(self.stills), p=self.share)]
            pair = make_pair(frame_still(read_still(still.path), h, w, rng), rng, hinted=hinted)
            # Photographs without colour teach the network to give none: only a few of them are let in.
            if float(pair.truth.square().sum(0).sqrt().mean()) * AB_SCALE >= 4.0 or rng.random() < 0.1:
                return pair
