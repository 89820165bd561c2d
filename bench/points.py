"""``bench points``: what colour hints are worth on photographs, ours beside the classical solvers.

N patches of 6x6 pixels carry their mean true chroma; the rest is to be guessed. PSNR on uint8 R'G'B' at 256x256.

Source: Zhang et al. 2017, section 4 and its published evaluation (the protocol).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.baselines import bilateral_solver, geodesic_blend
from bench.metrics import mean_delta_e, psnr, to_8bit
from bench.train.data import read_still, zhang_points
from core.colourise import colourise_frame
from core.errors import InputError
from core.film.colour import join, srgb_to_lab
from core.models.colouriser import Colouriser, load_colouriser
from hints.field import HintField

Plane = NDArray[np.float32]

COUNTS = (0, 1, 2, 5, 10, 20, 50, 100, 500)
GEODESIC_UP_TO = 50  # its cost grows with the number of hints, and it loses to the other solver from here on
SIZE = 256
STILLS = ("bsds500", "imagenet")
DEFAULT_LIMIT = 100


def _pictures(data: Path, stills: str, limit: int | None) -> list[Path]:
    """List photographs evenly spread over the folder, the same ones every time."""
    if stills not in STILLS:
        raise InputError(f"stills {stills!r}: expected one of {', '.join(STILLS)}, which no weights were trained on")
    found = sorted((data / "stills" / stills).glob("*.jpg"))
    if not found:
        raise InputError(f"{data / 'stills' / stills} holds no photographs (*.jpg); give the data folder by --data")
    count = min(len(found), DEFAULT_LIMIT if limit is None else max(1, limit))
    return [found[i * len(found) // count] for i in range(count)]


def run(
    data: Path,
    *,
    limit: int | None = None,
    seed: int = 0,
    stills: str = "bsds500",
    counts: tuple[int, ...] = COUNTS,
    colouriser: Colouriser | None = None,
) -> dict[str, Any]:
    """Measure PSNR against the number of hint points.

    Args:
        data: folder with ``stills/``
        limit: photographs at most; None: 100
        seed: of the hints' places
        stills: folder below ``stills/``, one of STILLS
        counts: numbers of points
        colouriser: what is measured; None: the embedded one

    Returns:
        ``name``; ``cases``: one per photograph and number of points, with PSNR in dB of ours and the peers;
        ``summary``: ``psnr_db`` and ``delta_e`` by number of points for ours, ``peers_psnr_db`` likewise for grey, the
        bilateral solver and geodesic blending (None where not run).

    Raises:
        InputError: the photographs are missing.
    """
    ours = colouriser or load_colouriser("embedded")
    cases: list[dict[str, Any]] = []
    for number, path in enumerate(_pictures(data, stills, limit)):
        rgb = np.asarray(cv2.resize(read_still(path), (SIZE, SIZE), interpolation=cv2.INTER_AREA), np.float32)
        truth, lab = to_8bit(rgb), srgb_to_lab(rgb)
        luma, ab = np.ascontiguousarray(lab[..., 0]), np.ascontiguousarray(lab[..., 1:])

        def score(guess: Plane, luma: Plane = luma, truth: NDArray[np.uint8] = truth) -> float:
            return psnr(to_8bit(join(luma, guess)), truth)

        grey = score(np.zeros_like(ab))
        for count in counts:
            hint, weight = zhang_points(ab, count, np.random.default_rng((seed, number, count)))
            coloured = colourise_frame(luma, ours, field=HintField(hint, weight, weight) if count else None)
            shown = srgb_to_lab(join(luma, coloured))
            case: dict[str, Any] = {
                "image": path.name,
                "points": count,
                "ours": score(coloured),
                # Every second pixel each way: a mean over 16,384 is a mean.
                "delta_e": mean_delta_e(shown[::2, ::2], lab[::2, ::2]),
                "grey": grey,
                "bilateral_solver": score(bilateral_solver(luma, hint, weight)) if count else grey,
                "geodesic": None,
            }
            if count <= GEODESIC_UP_TO:
                case["geodesic"] = score(geodesic_blend(luma, hint, weight)) if count else grey
            cases.append(case)
    return {"name": "points", "cases": cases, "summary": _summary(cases, counts, stills)}


def _summary(cases: list[dict[str, Any]], counts: tuple[int, ...], stills: str) -> dict[str, Any]:
    def curve(key: str) -> dict[str, float | None]:
        out: dict[str, float | None] = {}
        for count in counts:
            values = [case[key] for case in cases if case["points"] == count and case[key] is not None]
            out[str(count)] = round(float(np.mean(values)), 3) if values else None
        return out

    return {
        "psnr_db": curve("ours"),
        "delta_e": curve("delta_e"),
        "peers_psnr_db": {name: curve(name) for name in ("grey", "bilateral_solver", "geodesic")},
        "images": len({case["image"] for case in cases}),
        "stills": stills,
    }
