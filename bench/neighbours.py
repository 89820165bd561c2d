"""`bench neighbours`: do regions that lie side by side on their keyframe bleed into each other on the frames after?

Drawn films first, whose truth is known to the pixel: two, and three, textured neighbours that move past each other.
Then clips with true masks: the object is one region, a band of background around it on the keyframe the other. A pixel
bleeds where it is coloured as another region than its own, farther from their border than a soft edge reaches; ``kept``
is the share that has its own colour. ``stacked`` is the same tracks with the later hint laid on top, the mean of both
orders; ``competing`` is what the program does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.clips import TrueClip, evenly, mask_names, read_clip, read_masks
from bench.exemplar import ClipMotion, carry, embedded_if_there
from core.film.colour import Array, hex_to_lab
from core.models.colouriser import Looks
from hints.field import HintField, compose
from hints.footprint import mask_coverage
from hints.hint import Hint, HintSet
from hints.picture import Mask
from hints.region import Region

Inside = NDArray[np.bool_]
SWATCHES = ("#a03c3c", "#3c50a0", "#3c8c46")
BAND_PX = 40  # width of the band of background around a real object [px at 640 wide]
SOFT_PX = 3  # a border is as soft as this to each side [px at working size]
SPOKEN = 0.3  # weight from which a colour is seen as such
MAX_FRAMES = 24


@dataclass(frozen=True, eq=False)
class Scene:
    """A clip whose regions are known on every frame.

    Attributes:
        clip: its pictures.
        painted: masks that are hinted on the first frame      [(H, W) bool each]
        truth: of each frame, where each region truly is       [(H, W) bool each]
    """

    clip: TrueClip
    painted: tuple[Inside, ...]
    truth: tuple[tuple[Inside, ...], ...]


def run(data: Path, *, limit: int | None = None, seed: int = 0) -> dict[str, Any]:
    """Measure bleeding between neighbours.

    Args:
        data: folder with ``clips/`` and ``seqmask/``.
        limit: at most so many clips, evenly chosen; None: all. The drawn films are always measured.
        seed: of the drawn films' textures.

    Returns:
        ``{"name", "cases", "summary"}``; the summary has ``bleed`` and ``kept`` for drawn films and clips, stacked and
        competing  [share of pixels].

    Raises:
        InputError: the folder has no masks.
    """
    looks = embedded_if_there()
    cases = [measure(scene, looks, "drawn") for scene in (passing(2, seed), passing(3, seed))]
    for name in evenly(mask_names(data), limit):
        clip = read_clip(data, name, max_frames=MAX_FRAMES)
        cases.append(measure(banded(clip, read_masks(data, clip)), looks, "clip"))
    kinds = {kind: [c for c in cases if c["kind"] == kind] for kind in ("drawn", "clip")}
    return {
        "name": "neighbours",
        "cases": cases,
        "summary": {
            kind: {
                way: {key: float(np.mean([c[way][key] for c in some])) for key in ("bleed", "kept")}
                for way in ("stacked", "competing")
            }
            for kind, some in kinds.items()
        },
    }


def passing(count: int, seed: int = 0, frames: int = 16, size: tuple[int, int] = (240, 320)) -> Scene:
    """Textured neighbours that move past each other: blocks, each sliding against the next, on a still ground."""
    rng = np.random.default_rng(seed)
    h, w = size
    ground, *skins = (_texture(rng, mean, size) for mean in (35, 52, 58, 49)[: count + 1])
    width = w // (count + 2)
    pictures, truth = [], []
    for n in range(frames):
        luma, left = ground.copy(), width
        masks = []
        for i in range(count):
            shift = (1 if i % 2 else -1) * 3.0 * n
            top = round(0.3 * h + shift)
            inside = np.zeros(size, bool)
            inside[max(0, top) : top + round(0.4 * h), left + i * width : left + (i + 1) * width] = True
            moved = cv2.warpAffine(
                skins[i], np.array([[1, 0, 0], [0, 1, shift]]), (w, h), borderMode=cv2.BORDER_REFLECT_101
            )
            soft = cv2.GaussianBlur(inside.astype(np.float32), (3, 3), 0)
            luma += soft * (moved - luma)
            masks.append(inside)
        grain = rng.normal(0, 1.5, size)
        grey = np.clip((luma + grain) * 2.55, 0, 255)
        pictures.append(np.repeat(grey[..., None], 3, axis=2).astype(np.uint8))
        truth.append(tuple(masks))
    clip = TrueClip(f"{count} passing", tuple(pictures), tuple(range(frames)))
    return Scene(clip, truth[0], tuple(truth))


def banded(clip: TrueClip, masks: Sequence[Inside]) -> Scene:
    """A real object, and the background that lay around it."""
    band = [_grown(mask, round(BAND_PX * mask.shape[1] / 640)) & ~mask for mask in masks]
    return Scene(clip, (masks[0], band[0]), tuple(zip(masks, band, strict=True)))


def measure(scene: Scene, looks: Looks | None, kind: str = "drawn") -> dict[str, Any]:
    """One scene, its regions said in one order and in the other.

    Args:
        scene: with its truth.
        looks: what follows outlines; None: motion alone.
        kind: told with the case.
    """
    motion = ClipMotion(scene.clip, looks)
    count = len(scene.painted)
    found: dict[str, list[tuple[float, float]]] = {"stacked": [], "competing": []}
    for order in (range(count), range(count)[::-1]):
        source, _ = carry(_hints(scene, order), scene.clip, motion)
        for n in range(1, len(scene.clip.frames)):
            layers = [source.layer_of(str(i), n) for i in order]
            stacked = compose([], [layer for layer in layers if layer is not None], source.size)
            truth = [mask_coverage(mask, source.size) > 0.5 for mask in scene.truth[n]]
            found["stacked"].append(_bleed(stacked, truth))
            found["competing"].append(_bleed(source.field(n), truth))
    told = {
        way: dict(zip(("bleed", "kept"), map(float, np.mean(values, axis=0)), strict=True))
        for way, values in found.items()
    }
    return {"scene": scene.clip.name, "kind": kind, **told}


def _hints(scene: Scene, order: Sequence[int]) -> HintSet:
    regions = tuple(Region(str(i), str(i), SWATCHES[i]) for i in range(len(scene.painted)))
    return HintSet(
        regions, tuple(Hint(f"h{i}", 0, "region", region=str(i), mask=Mask.of(scene.painted[i])) for i in order)
    )


def _bleed(field: HintField | None, truth: Sequence[Inside]) -> tuple[float, float]:
    """Share of the regions' pixels away from borders that have another's colour, and that have their own."""
    swatches = np.stack([hex_to_lab(s)[1:] for s in SWATCHES[: len(truth)]]).astype(np.float32)
    wrong = right = total = 0
    for i, inside in enumerate(truth):
        deep = inside & ~_grown(~inside, SOFT_PX)
        total += int(deep.sum())
        if field is None:
            continue
        spoken = deep & (field.weight >= SPOKEN)
        whose = np.argmin(np.linalg.norm(field.ab[spoken][:, None] - swatches, axis=2), axis=1)
        right += int((whose == i).sum())
        wrong += int((whose != i).sum())
    return wrong / max(1, total), right / max(1, total)


def _grown(inside: Inside, px: int) -> Inside:
    side = 2 * px + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(cv2.dilate(inside.astype(np.uint8), kernel) > 0)


def _texture(rng: np.random.Generator, mean: float, size: tuple[int, int]) -> Array:
    noise = rng.standard_normal(size).astype(np.float32)
    fine, coarse = cv2.GaussianBlur(noise, (0, 0), 1.5), cv2.GaussianBlur(noise, (0, 0), 8)
    mix = fine / fine.std() + coarse / coarse.std()
    return np.asarray(np.clip(mean + 6 * mix / mix.std(), 5, 95), np.float32)
