"""`bench flow`: endpoint error of each preset against true flow, and its cost.

Pairs are read from ``data/flow/<name>/img0.png img1.png gt.flo``. Flow is estimated as the house does:
at working size, and carried up. Cost counts both directions and the trust, on one call after a warm-up.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.film.colour import luma_of
from core.flow import DisFlow, FlowEstimator, resize_flow, to_working

Array = NDArray[np.float32]
_MAGIC = 202021.25  # "PIEH", the first four bytes of a .flo file read as a float


def run(
    data: Path, *, limit: int | None = None, seed: int = 0, estimators: Sequence[FlowEstimator] | None = None
) -> dict[str, Any]:
    """Measure the estimators.

    Args:
        data: the data folder.
        limit: at most so many pairs.
        seed: not used; the pairs are fixed.
        estimators: default, DIS with each preset; the last one gives the summary.

    Raises:
        InputError: there are no pairs.
    """
    pairs = sorted(p.parent for p in (data / "flow").glob("*/gt.flo"))[:limit]
    if not pairs:
        raise InputError(f"{data / 'flow'}: no pairs with gt.flo; give the data folder with --data")
    tried = estimators or (DisFlow("ultrafast"), DisFlow("fast"), DisFlow("medium"))
    cases = [_case(folder, estimator) for estimator in tried for folder in pairs]
    last = [c for c in cases if c["estimator"] == tried[-1].fingerprint]
    summary = {key: float(np.mean([c[key] for c in last])) for key in ("epe", "epe_trusted", "trusted", "s_per_mpx")}
    return {"name": "flow", "cases": cases, "summary": {**summary, "estimator": tried[-1].fingerprint}}


def read_flo(path: Path) -> Array:
    """A Middlebury ``.flo`` file  [(h, w, 2) float32 px].

    Raises:
        InputError: it is none.
    """
    raw = path.read_bytes()
    if len(raw) < 12 or np.frombuffer(raw, np.float32, 1)[0] != np.float32(_MAGIC):
        raise InputError(f"{path}: not a .flo file")
    w, h = (int(x) for x in np.frombuffer(raw, np.int32, 2, 4))
    if len(raw) < 12 + 8 * w * h:
        raise InputError(f"{path}: cut short; expected {w}x{h} vectors")
    return np.frombuffer(raw, np.float32, 2 * w * h, 12).reshape(h, w, 2).copy()


def _case(folder: Path, estimator: FlowEstimator) -> dict[str, Any]:
    a, b = (_luma(folder / name) for name in ("img0.png", "img1.png"))
    truth = read_flo(folder / "gt.flo")
    small_a, small_b = to_working(a), to_working(b)
    estimator.pair(small_a, small_b)
    begun = time.perf_counter()
    pair = estimator.pair(small_a, small_b)
    seconds = time.perf_counter() - begun
    h, w = a.shape
    error = np.linalg.norm(resize_flow(pair.forward, (h, w)) - truth, axis=-1)
    trusted = cv2.resize(pair.forward_trust, (w, h)) > 0.5
    return {
        "pair": folder.name,
        "estimator": estimator.fingerprint,
        "epe": float(error.mean()),
        "epe_trusted": float(error[trusted].mean()) if trusted.any() else float("nan"),
        "trusted": float(trusted.mean()),
        "s_per_mpx": seconds / (small_a.size / 1e6),
    }


def _luma(path: Path) -> Array:
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise InputError(f"{path}: cannot be read")
    return luma_of(np.asarray(pixels[..., ::-1] / 255, np.float32))
