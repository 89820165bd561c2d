"""`bench suggestions`: are the colours that are offered for a place the ones it had, and are they there at once?

On photographs never trained on, places drawn by chance; each is asked for its likely colours as the studio asks. How
far the nearest of the first k lies from the true chroma says whether a restorer finds the right one among them; beside
it, in the same call, grey, the automatic colour of the place, and the commonest colours of photographs, whatever the
place.

Source: Zhang et al. 2017, section 3.4 (suggested colours); the figure is ours.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.points import SIZE, pictures
from bench.train.data import read_square
from core.colourise import automatic_size, resized
from core.film.colour import delta_e, srgb_to_lab
from core.models.colouriser import EmbeddedColouriser, automatic_chroma
from core.models.distribution import likeliest
from core.render.automatic import likely_colours

Plane = NDArray[np.float32]

COUNT = 5  # offered at most
PLACES = 8  # asked for in each photograph
ABOUT = 3  # true chroma is the mean over so many pixels to each side: nobody points at a single one


def run(
    data: Path,
    *,
    limit: int | None = None,
    seed: int = 0,
    stills: str = "bsds500",
    colouriser: EmbeddedColouriser | None = None,
) -> dict[str, Any]:
    """Measure suggested colours.

    Args:
        data: folder with ``stills/``
        limit: photographs at most; None: 100
        seed: of the places
        stills: folder below ``stills/``, one of `bench.points.STILLS`
        colouriser: what is measured; None: the embedded one

    Returns:
        ``cases``: one per photograph; ``summary``: ``nearest_ab`` (mean distance in a*b* of the nearest of the first 1,
        3 and 5), ``peers_ab`` (grey, the automatic colour, the five commonest), ``offered`` (how many, on average),
        ``apart_delta_e`` (CIEDE2000 between the two that are most alike: mean, and the least of all; None where
        never two were offered), ``p50_ms`` and ``p95_ms`` of a call.

    Raises:
        InputError: the photographs are missing.
    """
    ours = colouriser or EmbeddedColouriser()
    common = likeliest(ours.prior, COUNT)[:, :2]
    cases: list[dict[str, Any]] = []
    for number, path in enumerate(pictures(data, stills, limit)):
        lab = srgb_to_lab(read_square(path, SIZE))
        luma = resized(np.ascontiguousarray(lab[..., 0]), automatic_size((SIZE, SIZE), ours))
        alone = automatic_chroma(ours, luma)
        rng = np.random.default_rng((seed, number))
        found = [_one(lab, luma, alone, common, rng, ours) for _ in range(PLACES)]
        lists = {key: [each.pop(key) for each in found] for key in ("ms", "apart")}
        cases.append(
            {"image": path.name, **{key: float(np.mean([e[key] for e in found])) for key in found[0]}, **lists}
        )
    mean = {key: float(np.mean([c[key] for c in cases])) for key in cases[0] if key not in ("image", "ms", "apart")}
    times = [ms for case in cases for ms in case["ms"]][1:]  # the first reads the weights
    apart = [delta for case in cases for delta in case["apart"] if delta is not None]
    return {
        "name": "suggestions",
        "cases": cases,
        "summary": {
            "nearest_ab": {str(k): mean[f"nearest_{k}"] for k in (1, 3, COUNT)},
            "peers_ab": {name: mean[name] for name in ("grey", "automatic", "commonest")},
            "offered": mean["offered"],
            "apart_delta_e": {"mean": float(np.mean(apart)), "least": min(apart)} if apart else None,
            "p50_ms": float(np.percentile(times, 50)),
            "p95_ms": float(np.percentile(times, 95)),
        },
    }


def _one(
    lab: Plane, luma: Plane, alone: Plane, common: Plane, rng: np.random.Generator, ours: EmbeddedColouriser
) -> dict[str, Any]:
    """One place: how far what is offered lies from what was there."""
    y, x = (int(v) for v in rng.integers(ABOUT, SIZE - ABOUT, 2))
    true = lab[y - ABOUT : y + ABOUT + 1, x - ABOUT : x + ABOUT + 1, 1:].mean(axis=(0, 1))
    at = y * luma.shape[0] // SIZE, x * luma.shape[1] // SIZE
    began = time.perf_counter()
    found = likely_colours(ours, luma, at, COUNT)
    took = (time.perf_counter() - began) * 1e3
    off = np.hypot(*(found[:, 1:3] - true).T)
    pairs = [delta_e(found[i, :3], found[j, :3]) for i in range(len(found)) for j in range(i)]
    return {
        **{f"nearest_{k}": float(off[:k].min()) for k in (1, 3, COUNT)},
        "grey": float(np.hypot(*true)),
        "automatic": float(np.hypot(*(alone[at] - true))),
        "commonest": float(np.hypot(*(common - true).T).min()),
        "offered": float(len(found)),
        "apart": float(min(pairs)) if pairs else None,
        "ms": took,
    }
