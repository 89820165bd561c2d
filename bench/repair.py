"""`bench repair`: damage with known truth laid on real clips, and what the stages make of it.

Dirt: stencils of real dirt, dust, hair, lint and smut (``data/overlays``), dark or bright, new on every
frame, on grey versions of the clips (8 frames of each, at most 480 wide). Flicker: gains over the whole
frame and in parts of it. Scratches and gate weave are left out until there are stages for them.

Flicker has no matte, so no precision or recall; instead the jumps of exposure that are left are told.

PSNR gain is of the restored frames over the damaged ones, against the clean ones. Precision and recall
of dirt are of pixels: found where the matte is above one half, true where the damage is more than six
8-bit steps; a found pixel within two pixels of a true one counts as right (mattes reach over rims).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.clips import clip_names, read_clip
from bench.metrics import Picture8, psnr, to_8bit
from core.contract.stage import StageContext, Window
from core.errors import InputError
from core.film.frame import Frame, on_grid
from core.film.shot import Shot
from core.film.timebase import FrameRange
from core.restore.dedust import Dedust, DedustParams
from core.restore.deflicker import Deflicker, DeflickerParams

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
FRAMES, WIDTH = 8, 480
VISIBLE = 6 / 255
NEAR_PX = 2
# Family of stencils, its long side when laid on a 480-line picture [px, least and most], how many a frame.
_DIRT = (
    ("dots", 6, 26, 2.0),
    ("hair-0", 70, 220, 0.4),
    ("hair-sh", 60, 160, 0.4),
    ("lint", 40, 120, 0.3),
    ("smut", 30, 80, 0.3),
    ("spots", 200, 400, 1.0),
    ("dirt", 200, 480, 0.3),
)


def read_overlays(data: Path) -> dict[str, list[Array]]:
    """Stencils by family, cropped to what they show  [(h, w) float32 [0, 1] each].

    Raises:
        InputError: there are none.
    """
    families: dict[str, list[Array]] = {}
    for family, *_ in _DIRT:
        for path in sorted((data / "overlays").glob(f"{family}*.png")):
            pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            if pixels is None:
                raise InputError(f"{path}: cannot be read")
            ys, xs = np.nonzero(pixels > 32)
            cut = pixels[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
            families.setdefault(family, []).append(np.asarray(cut / 255, np.float32))
    if not families:
        raise InputError(f"{data / 'overlays'}: no stencils; give the data folder with --data")
    return families


def lay_dirt(
    frames: Sequence[Array], overlays: dict[str, list[Array]], rng: np.random.Generator
) -> tuple[list[Array], list[Mask]]:
    """Damage each frame by itself.

    Returns:
        The damaged frames, and where they differ visibly from the clean ones  [(H, W) bool each]
    """
    damaged, masks = [], []
    for clean in frames:
        h, w = clean.shape[:2]
        out = clean.copy()
        for family, least, most, often in _DIRT:
            for _ in range(rng.poisson(often)):
                stencils = overlays[family]
                alpha = _placed(stencils[rng.integers(len(stencils))], rng.uniform(least, most) * h / 480, (h, w), rng)
                alpha = (alpha * rng.uniform(0.7, 1.0))[..., None]
                tone = rng.uniform(0.02, 0.12) if rng.random() < 0.5 else rng.uniform(0.85, 1.0)
                out = out * (1 - alpha) + np.float32(tone) * alpha
        out = on_grid(out)
        damaged.append(out)
        masks.append(np.asarray(np.abs(out - clean).max(axis=-1) > VISIBLE))
    return damaged, masks


def _placed(stencil: Array, long_side: float, size: tuple[int, int], rng: np.random.Generator) -> Array:
    """A stencil scaled, turned and put somewhere on an empty frame."""
    h, w = size
    scale = long_side / max(stencil.shape)
    sh, sw = max(1, round(stencil.shape[0] * scale)), max(1, round(stencil.shape[1] * scale))
    small = cv2.resize(stencil, (sw, sh), interpolation=cv2.INTER_AREA)
    small = np.rot90(np.asarray(small, np.float32), int(rng.integers(4)))
    if rng.random() < 0.5:
        small = small[:, ::-1]
    out = np.zeros(size, np.float32)
    top = int(rng.integers(-small.shape[0] // 2, h - small.shape[0] // 2))
    left = int(rng.integers(-small.shape[1] // 2, w - small.shape[1] // 2))
    y0, x0, y1, x1 = max(0, top), max(0, left), min(h, top + small.shape[0]), min(w, left + small.shape[1])
    out[y0:y1, x0:x1] = small[y0 - top : y1 - top, x0 - left : x1 - left]
    return out


def lay_flicker(frames: Sequence[Array], rng: np.random.Generator) -> list[Array]:
    """Gains over the whole frame (5 %) and in parts of it (3 %), new on every frame."""
    damaged = []
    for clean in frames:
        h, w = clean.shape[:2]
        part = cv2.resize(rng.normal(0, 0.03, (3, 4)).astype(np.float32), (w, h), interpolation=cv2.INTER_CUBIC)
        damaged.append(on_grid(clean * np.exp(rng.normal(0, 0.05) + part)[..., None].astype(np.float32)))
    return damaged


def run(data: Path, *, limit: int | None = None, seed: int = 0) -> dict[str, Any]:
    """Measure the repairing stages.

    Args:
        data: the data folder.
        limit: at most so many clips.
        seed: of the damage.

    Raises:
        InputError: there are no clips or no stencils.
    """
    overlays = read_overlays(data)
    cases: list[dict[str, Any]] = []
    for name in clip_names(data)[:limit]:
        clip = read_clip(data, name, max_frames=FRAMES, max_width=WIDTH)
        clean = [as_grey(f) for f in clip.frames]
        rng = np.random.default_rng([seed, *name.encode()])
        cases.append({"clip": name, "defect": "dirt", **_dirt(clean, overlays, rng)})
        cases.append({"clip": name, "defect": "flicker", **_flicker(clean, rng)})
    return {"name": "repair", "cases": cases, "summary": {d: _means(cases, d) for d in ("dirt", "flicker")}}


def as_grey(pixels: Picture8) -> Array:
    """A frame as black-and-white film would have it: BT.709 weights  [(H, W, 3) float32 [0, 1] R'G'B']."""
    grey = pixels.astype(np.float32) @ np.array([0.2126, 0.7152, 0.0722], np.float32) / np.float32(255)
    return on_grid(np.repeat(grey[..., None], 3, axis=2))


def _dirt(clean: list[Array], overlays: dict[str, list[Array]], rng: np.random.Generator) -> dict[str, float]:
    damaged, masks = lay_dirt(clean, overlays, rng)
    stage, params = Dedust(), DedustParams()
    context = _context(len(clean))
    gains, hits, found, true, true_found = [], 0, 0, 0, 0
    for n, mask in enumerate(masks):
        window = _window(damaged, n, stage.radius(params))
        # The stage itself is asked for both, so that what is measured is what a render does.
        restored = stage.process(window, params, context)
        matte = stage.matte(window, params, context) > 0.5
        side = 2 * NEAR_PX + 1
        near = cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
        hits, found = hits + int((matte & near).sum()), found + int(matte.sum())
        true, true_found = true + int(mask.sum()), true_found + int((matte & mask).sum())
        gains.append(psnr(to_8bit(restored), to_8bit(clean[n])) - psnr(to_8bit(damaged[n]), to_8bit(clean[n])))
    return {
        "psnr_gain_db": float(np.mean(gains)),
        "precision": hits / found if found else float("nan"),
        "recall": true_found / true if true else float("nan"),
    }


def _flicker(clean: list[Array], rng: np.random.Generator) -> dict[str, float]:
    damaged = lay_flicker(clean, rng)
    stage, params = Deflicker(), DeflickerParams()
    context = _context(len(clean))
    frames = [Frame(n, f.copy()) for n, f in enumerate(damaged)]
    states = stage.solve([stage.measure(f, params, context) for f in frames], params)
    restored = [stage.apply(f, s, params, context) for f, s in zip(frames, states, strict=True)]
    gains = [
        psnr(to_8bit(r), to_8bit(c)) - psnr(to_8bit(d), to_8bit(c))
        for r, c, d in zip(restored, clean, damaged, strict=True)
    ]
    before, after = _jumps(damaged, clean), _jumps(restored, clean)
    return {"psnr_gain_db": float(np.mean(gains)), "jumps_before": before, "jumps_after": after}


def _jumps(frames: Sequence[Array], clean: Sequence[Array]) -> float:
    """How far the exposure errs from one frame to the next: standard deviation, in log exposure."""
    error = [float(np.log(f.mean() / c.mean())) for f, c in zip(frames, clean, strict=True)]
    return float(np.std(np.diff(error)) / np.sqrt(2))


def _window(frames: Sequence[Array], n: int, radius: int) -> Window:
    span = FrameRange(0, len(frames)).around(n, radius)
    return Window(tuple(Frame(k, frames[k].copy()) for k in span), n - span.start)


def _context(count: int) -> StageContext:
    return StageContext("cpu", Shot(0, FrameRange(0, count), "start"))


def _means(cases: list[dict[str, Any]], defect: str) -> dict[str, float]:
    rows = [c for c in cases if c["defect"] == defect]
    keys = [k for k in rows[0] if k not in ("clip", "defect")]
    return {key: float(np.nanmean([r[key] for r in rows])) for key in keys}
