"""`bench exemplar`: one coloured frame and a grey clip; how well is the rest of the clip coloured?

Colour clips are made grey (L* kept), their true first frame is a ``reference`` hint, and what is rendered is compared
with the truth on frames 1 and on. Beside it, in the same call: grey, the first frame's chroma copied in place, and the
same chroma warped from frame to frame by DIS flow. Then ours, part by part: ``field`` is what the hints alone carry,
``solver`` what the edge-aware solver makes of it over grey, ``automatic`` the colour without any hint, ``line``
the whole colouring with its network; the summary speaks of the line where there is one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.baselines import SolverAlone
from bench.clips import TrueClip, clip_names, evenly, read_clip
from bench.metrics import cdc, colourfulness, mean_delta_e, psnr, to_8bit
from core.colourise import Automatic, ColouriseParams, colourise_frame, resized
from core.contract.fingerprint import fingerprint
from core.contract.progress import CancelToken, silent
from core.contract.stage import Timeline
from core.errors import InputError
from core.film.colour import Array, join, srgb_to_lab
from core.film.shot import shots_from_cuts
from core.flow import DisFlow, FlowPair, to_working, warp
from core.models.colouriser import EmbeddedColouriser, Looks, working_size
from core.render.automatic import AutomaticPass
from core.render.motion import CoarseMotion
from hints.hint import Hint, HintSet
from hints.picture import Picture
from hints.source import Carried

METHODS = ("grey", "copy", "chain", "field", "solver", "automatic", "line")
# Which method the summary's plain keys speak of: the best there is.
_SPOKEN = ("line", "field")
Chroma = Callable[[int], Array]


class ClipMotion:
    """Luma and flow of a clip; fulfils `hints.propagate.Motion`.

    Args:
        clip: whose L* is taken.
        looks: tells what places look like, or None.
    """

    def __init__(self, clip: TrueClip, looks: Looks | None = None) -> None:
        self.clip = clip
        self.looks = looks
        self.estimator = DisFlow()
        self.seconds = 0.0

    @lru_cache(maxsize=64)  # noqa: B019 - one clip's motion lives as long as its measurement
    def luma(self, n: int) -> Array:
        """L* at working size."""
        return to_working(self.full(n))

    def full(self, n: int) -> Array:
        """L* at the clip's size."""
        return np.ascontiguousarray(self.clip.lab(n)[..., 0])

    @lru_cache(maxsize=64)  # noqa: B019
    def luma_key(self, n: int) -> str:
        """Content key of the luma."""
        return fingerprint(self.luma(n))

    @lru_cache(maxsize=64)  # noqa: B019
    def pair(self, n: int) -> FlowPair:
        """Flow between frames n and n + 1."""
        began = time.perf_counter()
        pair = self.estimator.pair(self.luma(n), self.luma(n + 1))
        self.seconds += time.perf_counter() - began
        return pair


class Memory:
    """A store in memory."""

    def __init__(self) -> None:
        self._held: dict[str, dict[str, NDArray[Any]]] = {}

    def has(self, key: str) -> bool:
        """Whether something was put."""
        return key in self._held

    def get(self, key: str) -> dict[str, NDArray[Any]] | None:
        """What was put, or None."""
        return self._held.get(key)

    def put(self, key: str, arrays: dict[str, NDArray[Any]]) -> None:
        """Keep arrays."""
        self._held[key] = arrays


def timeline_of(clip: TrueClip) -> Timeline:
    """A clip as one shot at 25 frames a second."""
    count = len(clip.frames)
    times = tuple(Fraction(n, 25) for n in range(count + 1))
    sources = tuple(Fraction(n) for n in range(count))
    h, w = clip.frames[0].shape[:2]
    return Timeline((h, w), shots_from_cuts([], count), times, sources)


def carry(hints: HintSet, clip: TrueClip, motion: ClipMotion) -> tuple[Carried, float]:
    """All hints carried through a clip, and the seconds that took without the flow between neighbours."""
    timeline = timeline_of(clip)
    source = Carried(hints, timeline, timeline.size, motion, Memory(), motion.estimator)
    began, flow_before = time.perf_counter(), motion.seconds
    source.carry(timeline.shots[0], silent, CancelToken())
    return source, time.perf_counter() - began - (motion.seconds - flow_before)


def reference(clip: TrueClip, n: int) -> Hint:
    """The true frame ``n`` as a reference."""
    return Hint(f"frame{n}", n, "reference", image=Picture.of(clip.rgb(n)))


@dataclass
class _Score:
    psnr: list[float]
    delta_e: list[float]
    frames: list[NDArray[np.uint8]]


def run(data: Path, *, limit: int | None = None, seed: int = 0) -> dict[str, Any]:
    """Measure propagation from one coloured frame.

    Args:
        data: folder with ``clips/``.
        limit: at most so many clips, evenly chosen; None: all.
        seed: nothing here is drawn by chance.

    Returns:
        ``{"name", "cases", "summary"}``: per clip and method PSNR [dB], ΔE2000, CDC; in the summary their means.
    """
    names = evenly(clip_names(data), limit)
    colouriser = embedded_if_there()
    cases = [measure(read_clip(data, name), colouriser) for name in names]
    return {"name": "exemplar", "cases": cases, "summary": summarise(cases)}


def measure(
    clip: TrueClip, colouriser: EmbeddedColouriser | None, keyframes: Sequence[int] = (0,), every: int = 1
) -> dict[str, Any]:
    """One clip by all methods.

    Args:
        clip: with its truth.
        colouriser: the network of the line; None: the line is left out.
        keyframes: frames given as references.
        every: measure every so many frames only (CDC then spans as many more).
    """
    motion = ClipMotion(clip, colouriser)
    source, seconds = carry(HintSet((), tuple(reference(clip, k) for k in keyframes)), clip, motion)
    methods = _methods(clip, motion, source, colouriser)
    scores = {name: _Score([], [], []) for name in methods}
    truth: list[NDArray[np.uint8]] = []
    for n in range(1, len(clip.frames)):
        guesses = {name: method(n) for name, method in methods.items()}
        if n in keyframes or n % every:
            continue
        true_lab = clip.lab(n)
        luma = np.ascontiguousarray(true_lab[..., 0])
        true_rgb = to_8bit(join(luma, np.ascontiguousarray(true_lab[..., 1:])))
        truth.append(true_rgb)
        for name, ab in guesses.items():
            rgb = join(luma, ab)
            scores[name].frames.append(to_8bit(rgb))
            scores[name].psnr.append(psnr(scores[name].frames[-1], true_rgb))
            scores[name].delta_e.append(mean_delta_e(srgb_to_lab(rgb), true_lab))
    return {
        "clip": clip.name,
        "frames": len(truth),
        "psnr_db": {name: _mean(s.psnr) for name, s in scores.items()},
        "delta_e": {name: _mean(s.delta_e) for name, s in scores.items()},
        "cdc": {name: cdc(s.frames) for name, s in scores.items()},
        "cdc_truth": cdc(truth),
        "colourfulness": _mean([colourfulness(f) for f in scores[_spoken(scores)].frames]),
        "colourfulness_truth": _mean([colourfulness(f) for f in truth]),
        "carry_s_per_frame": seconds / (len(clip.frames) - 1),
    }


def summarise(cases: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over the clips. Plain keys speak of the best method; the peers stand beside it."""
    methods = [m for m in METHODS if m in cases[0]["psnr_db"]]
    table = {key: {m: _mean([c[key][m] for c in cases]) for m in methods} for key in ("psnr_db", "delta_e", "cdc")}
    spoken = _spoken(table["psnr_db"])
    peers = [m for m in ("copy", "chain") if m in methods]
    return {
        "method": spoken,
        "psnr_db": table["psnr_db"][spoken],
        "delta_e": table["delta_e"][spoken],
        "cdc": table["cdc"][spoken],
        "cdc_truth": _mean([c["cdc_truth"] for c in cases]),
        "colourfulness": _mean([c["colourfulness"] for c in cases]),
        "colourfulness_truth": _mean([c["colourfulness_truth"] for c in cases]),
        "psnr_db_of": table["psnr_db"],
        "delta_e_of": table["delta_e"],
        "cdc_of": table["cdc"],
        "gain_db_over": {m: table["psnr_db"][spoken] - table["psnr_db"][m] for m in peers},
        "clips_below": {m: sum(c["psnr_db"][spoken] < c["psnr_db"][m] for c in cases) for m in peers},
    }


def _methods(
    clip: TrueClip, motion: ClipMotion, source: Carried, colouriser: EmbeddedColouriser | None
) -> dict[str, Chroma]:
    first = np.ascontiguousarray(clip.lab(0)[..., 1:])
    chained = _chained(first, motion)

    def field(n: int) -> Array:
        said = source.field(n)
        return said.ab if said is not None else np.zeros_like(first)

    def solver(n: int) -> Array:
        guide = resized(motion.full(n), working_size(*motion.full(n).shape))
        nothing = Automatic(guide, np.zeros((*guide.shape, 2), np.float32))
        return colourise_frame(motion.full(n), nothing, SolverAlone(), field=source.field(n), luma=motion.luma(n))

    methods: dict[str, Chroma] = {
        "grey": lambda n: np.zeros_like(first),
        "copy": lambda n: first,
        "chain": lambda n: next(chained),
        "field": field,
        "solver": solver,
    }
    if colouriser is None:
        return methods
    steadied = AutomaticPass(motion, CoarseMotion(motion, motion.estimator, Memory()), colouriser, Memory())
    shot, radius = timeline_of(clip).shots[0].range, ColouriseParams().steady
    steadied.expect(shot)

    def line(n: int) -> Array:
        auto = steadied.at(n, shot, radius)
        return colourise_frame(motion.full(n), auto, colouriser, field=source.field(n), luma=motion.luma(n))

    def automatic(n: int) -> Array:
        return colourise_frame(motion.full(n), steadied.at(n, shot, radius), colouriser)

    return {**methods, "automatic": automatic, "line": line}


def _chained(ab: Array, motion: ClipMotion) -> Iterator[Array]:
    for n in range(1, len(motion.clip.frames)):
        ab = warp(ab, motion.pair(n - 1).backward)
        yield ab


def embedded_if_there() -> EmbeddedColouriser | None:
    """The embedded network, where its weights are there."""
    try:
        return EmbeddedColouriser()
    except InputError:
        return None


def _spoken(methods: Any) -> str:
    return next(m for m in _SPOKEN if m in methods)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
