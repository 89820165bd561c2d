"""`bench exemplar`: one coloured frame and a grey clip; how well is the rest of the clip coloured?

Colour clips are made grey (L* kept), their true first frame is a ``reference`` hint, and what is rendered is compared
with the truth on frames 1 and on. Beside it, in the same call: grey, the first frame's chroma copied in place, and the
same chroma warped from frame to frame by DIS flow. Then ours, part by part: ``field`` is what the hints alone carry,
``solver`` what the edge-aware solver makes of it over grey, ``automatic`` the colour without any hint, ``line``
the whole colouring with its network; the summary speaks of the line where there is one.

``warp_error`` is by how much chroma changes along the flow of the true luma, hidden places left out, beside the truth's
own. ``second_keyframe`` tells what a second reference in the middle brings: the same clip with both, on every third
frame, beside what one gave on the very same frames; both keyframes are left out of either.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.baselines import SolverAlone
from bench.clips import TrueClip, clip_names, evenly, read_clip
from bench.metrics import seen_again
from bench.scores import Scores, Steadiness, TrueFrame, mean, mean_of
from core.colourise import Automatic, ColouriseParams, Field, colourise_frame, resized
from core.contract.fingerprint import fingerprint
from core.contract.progress import CancelToken, silent
from core.contract.stage import Timeline
from core.errors import InputError
from core.film.colour import Array, lab_to_hex
from core.film.shot import shots_from_cuts
from core.flow import DisFlow, FlowPair, resize_flow, to_working, warp
from core.models.colouriser import EmbeddedColouriser, Looks, working_size
from core.render.automatic import AutomaticPass
from core.render.motion import CoarseMotion
from hints.hint import RADIUS, Hint, HintSet
from hints.picture import Picture
from hints.source import Carried

METHODS = ("grey", "copy", "chain", "field", "solver", "automatic", "line")
# Which method the summary's plain keys speak of: the best there is.
_SPOKEN = ("line", "field")
SECOND_EVERY = 3  # frames: as many tell what the second keyframe brings
Chroma = Callable[[int], Array]


class ClipMotion:
    """Luma and flow of a clip; fulfils `hints.propagate.Motion`.

    Args:
        clip: whose L* is taken.
        looks: tells what places look like, or None.

    Attributes:
        store: keeps what is carried or coloured along this motion.
    """

    def __init__(self, clip: TrueClip, looks: Looks | None = None) -> None:
        self.clip = clip
        self.looks = looks
        self.estimator = DisFlow()
        self.store = Memory()
        self.seconds = 0.0

    @lru_cache(maxsize=64)  # noqa: B019 - one clip's motion lives as long as its measurement
    def luma(self, n: int) -> Array:
        """L* at working size."""
        return to_working(self.full(n))

    @lru_cache(maxsize=4)  # noqa: B019
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

    @lru_cache(maxsize=4)  # noqa: B019
    def between(self, n: int, later: int) -> tuple[Array, NDArray[np.bool_]]:
        """Flow from frame ``n`` to a later one at the clip's size, and where both show the same."""
        pair = self.pair(n) if later == n + 1 else self.estimator.pair(self.luma(n), self.luma(later))
        size = timeline_of(self.clip).size
        forward = resize_flow(pair.forward, size)
        return forward, seen_again(forward, resize_flow(pair.backward, size))


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
    source = Carried(hints, timeline, timeline.size, motion, motion.store, motion.estimator)
    began, flow_before = time.perf_counter(), motion.seconds
    source.carry(timeline.shots[0], silent, CancelToken())
    return source, time.perf_counter() - began - (motion.seconds - flow_before)


def reference(clip: TrueClip, n: int) -> Hint:
    """The true frame ``n`` as a reference."""
    return Hint(f"frame{n}", n, "reference", image=Picture.of(clip.rgb(n)))


class Line:
    """The whole colouring of a clip: automatic colour steadied along motion, and what hints make of it.

    Args:
        motion: of the clip.
        colouriser: the network.
    """

    def __init__(self, motion: ClipMotion, colouriser: EmbeddedColouriser) -> None:
        self._motion, self._colouriser = motion, colouriser
        coarse = CoarseMotion(motion, motion.estimator, motion.store)
        self._steadied = AutomaticPass(motion, coarse, colouriser, motion.store)
        self._shot = timeline_of(motion.clip).shots[0].range
        self._steadied.expect(self._shot)

    @lru_cache(maxsize=4)  # noqa: B019 - asked once by each method, frame after frame
    def automatic(self, n: int) -> Automatic:
        """The automatic colour of frame ``n``."""
        return self._steadied.at(n, self._shot, ColouriseParams().steady)

    def chroma(self, n: int, said: Field | None = None) -> Array:
        """Frame ``n`` under what is said of it  [(H, W, 2) float32 Lab a* b*]."""
        auto, luma = self.automatic(n), self._motion.luma(n)
        return colourise_frame(self._motion.full(n), auto, self._colouriser, field=said, luma=luma)


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
    cases = [case_of(read_clip(data, name), colouriser) for name in names]
    return {"name": "exemplar", "cases": cases, "summary": summarise(cases)}


def true_point(name: str, n: int, lab: Array, xy: tuple[float, float]) -> Hint:
    """A point that says the mean true colour of what lies under it.

    Args:
        name: its id.
        n: the frame it is on.
        lab: of that frame  [(H, W, 3) float32 Lab]
        xy: where           [px, centres at .5]
    """
    h, w = lab.shape[:2]
    yy, xx = np.ogrid[:h, :w]
    under = (xx + 0.5 - xy[0]) ** 2 + (yy + 0.5 - xy[1]) ** 2 <= RADIUS**2
    return Hint(name, n, "point", colour=lab_to_hex(lab[under].mean(axis=0)), xy=xy, radius=RADIUS)


def case_of(clip: TrueClip, colouriser: EmbeddedColouriser | None) -> dict[str, Any]:
    """One clip by all methods, and what a second keyframe brings."""
    motion = ClipMotion(clip, colouriser)
    case = measure(clip, colouriser, motion=motion)
    return {**case, "second_keyframe": second_keyframe(motion, colouriser, case)}


def measure(
    clip: TrueClip,
    colouriser: EmbeddedColouriser | None,
    keyframes: Sequence[int] = (0,),
    every: int = 1,
    *,
    motion: ClipMotion | None = None,
    only: Sequence[str] = METHODS,
) -> dict[str, Any]:
    """One clip by all methods.

    Args:
        clip: with its truth.
        colouriser: the network of the line; None: the line is left out.
        keyframes: frames given as references.
        every: measure every so many frames only (what compares frames then spans as many more).
        motion: of the clip, with what it keeps already; made here where None.
        only: these methods.
    """
    motion = motion or ClipMotion(clip, colouriser)
    source, seconds = carry(HintSet((), tuple(reference(clip, k) for k in keyframes)), clip, motion)
    methods = {name: chroma for name, chroma in _methods(clip, motion, source, colouriser).items() if name in only}
    scores = {name: Scores(motion.between) for name in methods}
    truth = Steadiness(motion.between)
    measured = [n for n in range(1, len(clip.frames)) if n not in keyframes and n % every == 0]
    for n in measured:
        true = TrueFrame.of(clip, n)
        truth.add(n, true.shown, true.lab)
        for name, method in methods.items():
            scores[name].add(true, method(n))
    rows, own, spoken = {name: s.row for name, s in scores.items()}, truth.row, _spoken(scores)
    return {
        "clip": clip.name,
        "frames": len(measured),
        **{key: {name: row[key] for name, row in rows.items()} for key in ("psnr_db", "delta_e", "cdc", "warp_error")},
        "cdc_truth": own["cdc"],
        "warp_error_truth": own["warp_error"],
        "colourfulness": rows[spoken]["colourfulness"],
        "colourfulness_truth": own["colourfulness"],
        "carry_s_per_frame": seconds / (len(clip.frames) - 1),
        "measured": measured,
        "psnr_db_each": scores[spoken].psnr,
    }


def second_keyframe(motion: ClipMotion, colouriser: EmbeddedColouriser | None, first: dict[str, Any]) -> dict[str, Any]:
    """What the true frame in the middle brings as a second reference.

    Args:
        motion: of the clip, as it was measured with one.
        colouriser: of the line, or None.
        first: what `measure` gave with one.

    Returns:
        ``psnr_db_one`` and ``psnr_db_two`` keyframes over the same frames, neither keyframe among them; ``gain_db``.
    """
    clip, method = motion.clip, _spoken(first["psnr_db"])
    keyframes = (0, len(clip.frames) // 2)
    case = measure(clip, colouriser, keyframes, SECOND_EVERY, motion=motion, only=(method,))
    before = dict(zip(first["measured"], first["psnr_db_each"], strict=True))
    one, two = mean([before[n] for n in case["measured"]]), case["psnr_db"][method]
    return {"psnr_db_one": one, "psnr_db_two": two, "gain_db": two - one}


def summarise(cases: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over the clips. Plain keys speak of the best method; the peers stand beside it."""
    methods = [m for m in METHODS if m in cases[0]["psnr_db"]]
    keys = ("psnr_db", "delta_e", "cdc", "warp_error")
    table = {key: {m: mean_of(cases, key, m) for m in methods} for key in keys}
    spoken = _spoken(table["psnr_db"])
    peers = [m for m in ("copy", "chain") if m in methods]
    return {
        "method": spoken,
        "psnr_db": table["psnr_db"][spoken],
        "delta_e": table["delta_e"][spoken],
        "cdc": table["cdc"][spoken],
        "cdc_truth": mean_of(cases, "cdc_truth"),
        "warp_error": table["warp_error"][spoken],
        "warp_error_truth": mean_of(cases, "warp_error_truth"),
        "clips_steadier_than_truth": sum(c["warp_error"][spoken] < c["warp_error_truth"] for c in cases),
        "colourfulness": mean_of(cases, "colourfulness"),
        "colourfulness_truth": mean_of(cases, "colourfulness_truth"),
        "psnr_db_of": table["psnr_db"],
        "delta_e_of": table["delta_e"],
        "cdc_of": table["cdc"],
        "warp_error_of": table["warp_error"],
        "gain_db_over": {m: table["psnr_db"][spoken] - table["psnr_db"][m] for m in peers},
        "clips_below": {m: sum(c["psnr_db"][spoken] < c["psnr_db"][m] for c in cases) for m in peers},
        "second_keyframe": {
            **{key: mean_of(cases, "second_keyframe", key) for key in ("psnr_db_one", "psnr_db_two", "gain_db")},
            "clips_gained": sum(c["second_keyframe"]["gain_db"] > 0 for c in cases),
        },
    }


def _methods(
    clip: TrueClip, motion: ClipMotion, source: Carried, colouriser: EmbeddedColouriser | None
) -> dict[str, Chroma]:
    first = np.ascontiguousarray(clip.lab(0)[..., 1:])
    chained = _Chained(first, motion)

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
        "chain": chained,
        "field": field,
        "solver": solver,
    }
    if colouriser is None:
        return methods
    whole = Line(motion, colouriser)
    return {**methods, "automatic": whole.chroma, "line": lambda n: whole.chroma(n, source.field(n))}


class _Chained:
    """The first frame's chroma, warped from frame to frame; asked in order."""

    def __init__(self, ab: Array, motion: ClipMotion) -> None:
        self._ab, self._motion, self._n = ab, motion, 0

    def __call__(self, n: int) -> Array:
        while self._n < n:
            self._ab = warp(self._ab, self._motion.pair(self._n).backward)
            self._n += 1
        return self._ab


def embedded_if_there() -> EmbeddedColouriser | None:
    """The embedded network, where its weights are there."""
    try:
        return EmbeddedColouriser()
    except InputError:
        return None


def _spoken(methods: Any) -> str:
    return next(m for m in _SPOKEN if m in methods)
