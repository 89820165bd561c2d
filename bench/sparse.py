"""`bench sparse`: a few true points on the first frame; how far into a clip do they hold?

Colour clips are made grey (L* kept). Points on frame 0 say the mean true chroma of what lies under them; the whole line
colours the clip under them, as `bench exemplar` has it, and is measured on all frames but the first and the last. The
same points are given to the same network by other rules too: ``warped``, from frame to frame along the flow and dropped
where it fails its check, which is how SVCNet takes them along; and ``fixed``, on every frame at the place they had on
the first. ``both`` has as many points on the last frame as well. No points at all is the automatic colour.

``delta_e_track`` is CIEDE2000 where the points still are: at the pixels of which the walk from the first frame is sure
(`KNOWN`), by the film's luma alone, that they show what a point was put on. These pixels are the same for every rule;
``delta_e_track_none`` is the automatic colour's there. ``tracked`` is how many there are, as a share of those on the
first frame.

Source of ``warped``: Zhao et al. 2023 (SVCNet). Its published script warps a picture of thin strokes with no check at
all, and their colours fade; here the rule is granted a check, and colours that do not fade.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from bench.clips import TrueClip, clip_names, evenly, read_clip
from bench.exemplar import ClipMotion, Line, carry, embedded_if_there, true_point
from bench.metrics import mean_delta_e
from bench.scores import Scores, Steadiness, TrueFrame, mean, mean_of
from core.errors import WeightsError
from core.film.colour import join, srgb_to_lab
from core.flow import closure, warp
from core.models.colouriser import EmbeddedColouriser
from hints.field import SILENCE, HintField
from hints.hint import RADIUS, Hint, HintSet
from hints.propagate import crisp
from hints.source import Carried

COUNTS = (0, 1, 5, 10, 40)
BOTH = (10, 40)  # counts that are given on the last frame too
RULES = ("carried", "warped", "fixed", "both")
KNOWN = 0.7  # cover times trust from which a pixel is taken to show what its point was put on
METRICS = ("psnr_db", "delta_e", "delta_e_track", "cdc", "warp_error", "colourfulness")
# The forward-backward check as its source has it: squared miss and what is allowed are equal here.
_PASSES = np.float32(np.exp(-1))

Said = Callable[[int], HintField | None]
Inside = NDArray[np.bool_]


def run(data: Path, *, limit: int | None = None, seed: int = 0) -> dict[str, Any]:
    """Measure sparse hints through clips.

    Args:
        data: folder with ``clips/``.
        limit: at most so many clips, evenly chosen; None: all.
        seed: of the points' places.

    Returns:
        ``{"name", "cases", "summary"}``: a case for each clip, number of points and rule; in the summary their means
        (``of``), by how much PSNR rises over each peer, and what the last frame's points add.

    Raises:
        InputError: the folder has no clips.
        WeightsError: the embedded network's weights are missing.
    """
    names = evenly(clip_names(data), limit)
    colouriser = embedded_if_there()
    if colouriser is None:
        raise WeightsError("bench sparse: the embedded network's weights are missing; train them: make weights")
    cases = [c for i, name in enumerate(names) for c in measure(read_clip(data, name), colouriser, seed=(seed, i))]
    return {"name": "sparse", "cases": cases, "summary": summarise(cases)}


def measure(
    clip: TrueClip, colouriser: EmbeddedColouriser, *, counts: Sequence[int] = COUNTS, seed: tuple[int, ...] = (0,)
) -> list[dict[str, Any]]:
    """One clip: a case for each number of points and rule.

    Args:
        clip: with its truth.
        colouriser: the network of the line.
        counts: numbers of points.
        seed: of their places.
    """
    motion = ClipMotion(clip, colouriser)
    line, truth = Line(motion, colouriser), Steadiness(motion.between)
    told = list(_told(clip, motion, counts, seed))
    scores = {(t.points, rule): Scores(motion.between) for t in told for rule in t.rules}
    at_tracks: dict[tuple[int, str], list[float]] = {key: [] for key in scores}
    tracked: dict[int, list[float]] = {t.points: [] for t in told}
    unasked: dict[int, list[float]] = {t.points: [] for t in told}
    for n in range(1, len(clip.frames) - 1):
        true = TrueFrame.of(clip, n)
        truth.add(n, true.shown, true.lab)
        automatic = srgb_to_lab(join(true.luma, line.chroma(n)))
        for one in told:
            places = one.places(n, true.luma.shape)
            tracked[one.points].append(np.count_nonzero(places) / max(1, one.on_first))
            unasked[one.points].append(mean_delta_e(automatic, true.lab, places))
            for rule, said in one.rules.items():
                lab = scores[one.points, rule].add(true, line.chroma(n, said(n)))
                at_tracks[one.points, rule].append(mean_delta_e(lab, true.lab, places))
    return [
        {
            "clip": clip.name,
            "points": points,
            "rule": rule,
            **score.row,
            "warp_error_truth": truth.row["warp_error"],
            "delta_e_track": mean(at_tracks[points, rule]),
            "delta_e_track_none": mean(unasked[points]),
            "tracked": mean(tracked[points]) if points else float("nan"),
        }
        for (points, rule), score in sorted(scores.items(), key=lambda s: (s[0][0], RULES.index(s[0][1])))
    ]


def summarise(cases: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over the clips by rule and number of points, and plain gains in PSNR."""
    counts = sorted({c["points"] for c in cases})
    chosen = {
        (rule, points): [c for c in cases if (c["rule"], c["points"]) == (rule, points)]
        for rule in RULES
        for points in counts
    }
    there = {key: some for key, some in chosen.items() if some}
    of: dict[str, Any] = {}
    for metric in METRICS:
        for (rule, points), some in there.items():
            of.setdefault(metric, {}).setdefault(rule, {})[str(points)] = mean_of(some, metric)

    def gains(rule: str, over: str, points: int, others: int | None = None) -> list[float]:
        ours, theirs = there[rule, points], there[over, points if others is None else others]
        return [a["psnr_db"] - b["psnr_db"] for a, b in zip(ours, theirs, strict=True)]

    hinted = [points for points in counts if points]
    gained: dict[str, dict[str, list[float]]] = {
        "none": {str(p): gains("carried", "carried", p, 0) for p in hinted if 0 in counts},
        "warped": {str(p): gains("carried", "warped", p) for p in hinted},
        "fixed": {str(p): gains("carried", "fixed", p) for p in hinted},
    }
    both = {str(p): gains("both", "carried", p) for p in hinted if ("both", p) in there}
    return {
        "gain_db_over": {peer: {p: mean(g) for p, g in some.items()} for peer, some in gained.items()},
        "clips_below": {peer: {p: sum(x < 0 for x in g) for p, g in some.items()} for peer, some in gained.items()},
        "gain_db_of_both": {p: mean(g) for p, g in both.items()},
        "clips_both_below_forward": {p: sum(x < 0 for x in g) for p, g in both.items()},
        "delta_e_track_none": {str(p): mean_of(there["carried", p], "delta_e_track_none") for p in hinted},
        "tracked": {str(p): mean_of(there["carried", p], "tracked") for p in hinted},
        "warp_error_truth": mean_of(cases, "warp_error_truth"),
        **of,
    }


def true_points(clip: TrueClip, n: int, count: int, seed: tuple[int, ...]) -> tuple[Hint, ...]:
    """True points spread evenly over frame ``n``; fewer are the first of more.

    Args:
        clip: with its truth.
        n: the frame.
        count: how many.
        seed: turns and shifts the pattern.
    """
    lab = clip.lab(n)
    h, w = lab.shape[:2]
    pattern = qmc.Halton(2, seed=np.random.default_rng((*seed, n))).random(count)
    places = RADIUS + pattern * (np.array([w, h]) - 2 * RADIUS)
    return tuple(true_point(f"frame{n}point{i}", n, lab, (float(x), float(y))) for i, (x, y) in enumerate(places))


class Warped:
    """Hints taken along from frame to frame by the flow and dropped where it fails its check; asked in order.

    Args:
        first: what is said of frame 0.
        motion: of the clip.
    """

    def __init__(self, first: HintField, motion: ClipMotion) -> None:
        self._ab, self._cover, self._motion, self._n = first.ab, first.weight, motion, 0

    def __call__(self, n: int) -> HintField | None:
        """What is left of it on frame ``n``."""
        while self._n < n:
            pair = self._motion.pair(self._n)
            told = warp(self._ab * self._cover[..., None], pair.backward)
            cover = warp(self._cover, pair.backward)
            passes = closure(pair.backward, pair.forward) >= _PASSES
            self._ab = np.asarray(told / np.maximum(cover, np.float32(1e-6))[..., None], np.float32)
            self._cover = np.asarray(crisp(cover) * passes, np.float32)
            self._n += 1
        return HintField(self._ab, self._cover, self._cover) if self._cover.max() >= SILENCE else None


@dataclass(frozen=True)
class _Told:
    """Some points of the first frame, as each rule takes them along."""

    points: int
    source: Carried
    rules: dict[str, Said]

    @property
    def on_first(self) -> int:
        said = self.source.field(0)
        return 0 if said is None else int(np.count_nonzero(said.weight >= KNOWN))

    def places(self, n: int, size: tuple[int, ...]) -> Inside:
        """Where frame ``n`` is known to show what the points were put on  [(H, W) bool]."""
        said = self.source.field(n)
        weight = np.zeros(size, np.float32) if said is None else said.weight
        return np.asarray(cv2.resize(weight, (size[1], size[0]), interpolation=cv2.INTER_LINEAR) >= KNOWN)


def _always(first: HintField, n: int) -> HintField:
    return first


def _told(clip: TrueClip, motion: ClipMotion, counts: Sequence[int], seed: tuple[int, ...]) -> Iterator[_Told]:
    last = len(clip.frames) - 1
    for count in sorted(counts, reverse=True):  # the most first: fewer are among them, and are carried with them
        here = true_points(clip, 0, count, seed)
        source, _ = carry(HintSet((), here), clip, motion)
        rules: dict[str, Said] = {"carried": source.field}
        first = source.field(0)
        if first is not None:
            rules |= {"warped": Warped(first, motion), "fixed": partial(_always, first)}
        if count in BOTH:
            there = true_points(clip, last, count, seed)
            rules["both"] = carry(HintSet((), (*here, *there)), clip, motion)[0].field
        yield _Told(count, source, rules)
