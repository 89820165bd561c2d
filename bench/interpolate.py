"""`bench interpolate`: every second frame of a clip is dropped and made again.

Beside two baselines that need no flow: the mean of both neighbours, and holding the one before.
PSNR and SSIM are of 8-bit R'G'B' (SSIM as Wang et al. 2004, Gaussian window). Pairs that are duplicates
are left out: there is nothing to make between them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from skimage.metrics import structural_similarity

from bench.clips import clip_names, read_clip
from bench.metrics import Picture8, psnr, to_8bit
from core.defects import is_duplicate
from core.film.colour import luma_of
from core.interpolate import AlongFlow

# Clips with cuts inside their first frames are no place to measure interpolation.
_PER_CLIP, _FRAMES = 6, 25


def run(data: Path, *, limit: int | None = None, seed: int = 0) -> dict[str, Any]:
    """Measure the stage on the clips.

    Args:
        data: the data folder.
        limit: at most so many clips.
        seed: not used; the frames are fixed.

    Raises:
        InputError: there are no clips.
    """
    cases = [case for name in clip_names(data)[:limit] for case in _clip(data, name)]
    keys = ("psnr_db", "ssim", "mean_psnr_db", "mean_ssim", "hold_psnr_db", "hold_ssim")
    summary = {key: float(np.mean([c[key] for c in cases])) for key in keys}
    return {"name": "interpolate", "cases": cases, "summary": summary}


def _clip(data: Path, name: str) -> list[dict[str, Any]]:
    """One case per clip: means over its dropped frames; none where all are duplicates."""
    clip = read_clip(data, name, max_frames=_FRAMES)
    interpolator = AlongFlow()
    middles = np.linspace(1, len(clip.frames) - 2, _PER_CLIP).astype(int)
    rows: dict[str, list[float]] = {}
    for n in dict.fromkeys(int(m) for m in middles):
        before, truth, after = (clip.frames[k] for k in (n - 1, n, n + 1))
        rgb = [np.asarray(f / 255, np.float32) for f in (before, truth, after)]
        lumas = [luma_of(f) for f in rgb]
        if is_duplicate(lumas[0], lumas[1]) or is_duplicate(lumas[1], lumas[2]):
            continue
        made = to_8bit(interpolator.between(rgb[0], rgb[2], 0.5))
        mean = to_8bit(np.asarray((rgb[0] + rgb[2]) / 2, np.float32))
        for word, picture in (("", made), ("mean_", mean), ("hold_", before)):
            rows.setdefault(f"{word}psnr_db", []).append(psnr(picture, truth))
            rows.setdefault(f"{word}ssim", []).append(_ssim(picture, truth))
    return [{"clip": name, **{key: float(np.mean(v)) for key, v in rows.items()}}] if rows else []


def _ssim(a: Picture8, b: Picture8) -> float:
    return float(
        structural_similarity(  # type: ignore[no-untyped-call]
            a, b, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
    )
