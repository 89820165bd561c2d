"""``bench points``: what colour hints are worth on photographs, ours beside the classical solvers.

N patches of 6x6 pixels carry their mean true chroma; the rest is to be guessed. PSNR on uint8 R'G'B' at 256x256.

Source: Zhang et al. 2017, section 4 and its published evaluation (the protocol).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.baselines import SolverAlone, bilateral_solver, geodesic_blend
from bench.clips import evenly
from bench.metrics import colourfulness, mean_delta_e, psnr, to_8bit
from bench.train.data import read_square, zhang_points
from core.colourise import Automatic, automatic_of, colourise_frame
from core.errors import InputError
from core.film.colour import join, srgb_to_lab
from core.models.colouriser import EmbeddedColouriser
from hints.field import HintField

Plane = NDArray[np.float32]

COUNTS = (0, 1, 2, 5, 10, 20, 50, 100, 500)
GEODESIC_UP_TO = 50  # its cost grows with the number of hints, and it loses to the other solver from here on
SIZE = 256
STILLS = ("bsds500", "imagenet")
DEFAULT_LIMIT = 100


def pictures(data: Path, stills: str, limit: int | None) -> list[Path]:
    """List photographs evenly spread over the folder, the same ones every time."""
    if stills not in STILLS:
        raise InputError(f"stills {stills!r}: expected one of {', '.join(STILLS)}, which no weights were trained on")
    found = sorted((data / "stills" / stills).glob("*.jpg"))
    if not found:
        raise InputError(f"{data / 'stills' / stills} holds no photographs (*.jpg); give the data folder by --data")
    return evenly(found, DEFAULT_LIMIT if limit is None else max(1, limit))


def run(
    data: Path,
    *,
    limit: int | None = None,
    seed: int = 0,
    stills: str = "bsds500",
    counts: tuple[int, ...] = COUNTS,
    colouriser: EmbeddedColouriser | None = None,
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
        ``summary``: ``psnr_db``, ``delta_e`` and ``colourfulness`` by number of points for ours, ``peers_psnr_db``
        likewise for grey, our own solver without the network, the bilateral solver and geodesic blending (None where
        not run); ``colourfulness_truth``.

    Raises:
        InputError: the photographs are missing.
    """
    ours = colouriser or EmbeddedColouriser()
    cases: list[dict[str, Any]] = []
    for number, path in enumerate(pictures(data, stills, limit)):
        rgb = read_square(path, SIZE)
        truth, lab = to_8bit(rgb), srgb_to_lab(rgb)
        luma, ab = np.ascontiguousarray(lab[..., 0]), np.ascontiguousarray(lab[..., 1:])

        def score(guess: Plane, luma: Plane = luma, truth: NDArray[np.uint8] = truth) -> float:
            return psnr(to_8bit(join(luma, guess)), truth)

        grey, automatic = score(np.zeros_like(ab)), automatic_of(luma, ours)
        nothing = Automatic(automatic.luma, np.zeros_like(automatic.ab))
        for count in counts:
            hint, weight = zhang_points(ab, count, np.random.default_rng((seed, number, count)))
            field = HintField(hint, weight, weight) if count else None
            coloured = colourise_frame(luma, automatic, ours, field=field)
            shown = srgb_to_lab(join(luma, coloured))
            case: dict[str, Any] = {
                "image": path.name,
                "points": count,
                "ours": score(coloured),
                # Every second pixel each way: a mean over 16,384 is a mean.
                "colourfulness": colourfulness(to_8bit(join(luma, coloured))),
                "colourfulness_truth": colourfulness(truth),
                "delta_e": mean_delta_e(shown[::2, ::2], lab[::2, ::2]),
                "grey": grey,
                "solver": score(colourise_frame(luma, nothing, SolverAlone(), field=field)),
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
        "colourfulness": curve("colourfulness"),
        "colourfulness_truth": round(float(np.mean([case["colourfulness_truth"] for case in cases])), 3),
        "peers_psnr_db": {name: curve(name) for name in ("grey", "solver", "bilateral_solver", "geodesic")},
        "images": len({case["image"] for case in cases}),
        "stills": stills,
    }
