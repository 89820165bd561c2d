"""`bench need`: does the map of where a hint is needed tell where the colour is wrong?

Colour clips are made grey (L* kept). Their true first frame is a ``reference`` hint; by itself, ten true points of it
are ``points``; and with no hint at all they are ``unasked``. Each frame is coloured by the whole line, and every pixel
whose colour is off by more than CIEDE2000 5 is wrong. What is measured is how well the need map of `hints.need` tells
these pixels from the others: the area under the receiver operating characteristic over all pixels of a clip; beside it,
in the same call, every one of its signs alone. ``share_off`` is by how much the share of wrong pixels that a clip is
expected to have is off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.clips import TrueClip, clip_names, evenly, read_clip
from bench.exemplar import ClipMotion, Memory, carry, embedded_if_there, reference, timeline_of, true_point
from bench.metrics import auc
from core.colourise import ColouriseParams, colourise_frame
from core.errors import WeightsError
from core.film.colour import Array, delta_e, join, srgb_to_lab
from core.models.colouriser import EmbeddedColouriser
from core.render.automatic import AutomaticPass
from core.render.motion import CoarseMotion
from hints.hint import RADIUS, Hint, HintSet
from hints.need import REASSURING, SIGNS, WRONG, Signs, need, signs_of

CASES = ("reference", "points", "unasked")
POINTS = 10
EVERY = 6  # frames: neighbours are too much alike to tell more
STRIDE = 6  # pixels, each way, at the clip's size
_LEAST = 200  # pixels of either kind below which a clip says nothing about telling them apart


@dataclass(frozen=True, eq=False)
class Sampled:
    """Pixels of one clip under one kind of hints.

    Attributes:
        clip, case: which.
        signs: of each pixel                     [(P, len(SIGNS)) float32]
        error: of its colour                     [(P,) float32 CIEDE2000]
        frame: it is of                          [(P,) int]
    """

    clip: str
    case: str
    signs: Array
    error: Array
    frame: NDArray[np.int64]

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Which of them are wrong."""
        return np.asarray(self.error > WRONG)


def run(data: Path, *, limit: int | None = None, seed: int = 0) -> dict[str, Any]:
    """Measure the need map.

    Args:
        data: folder with ``clips/``.
        limit: at most so many clips, evenly chosen; None: all.
        seed: of the points' places.

    Returns:
        ``{"name", "cases", "summary"}``; per case the mean over clips of ``auc`` of the map, of each sign alone, and
        the same over the pixels of all clips together (``auc_pooled``); ``together`` is over all three kinds of hints.

    Raises:
        WeightsError: the embedded network's weights are missing.
    """
    names = evenly(clip_names(data), limit)
    found = [s for i, name in enumerate(names) for s in sample(read_clip(data, name), seed=(seed, i))]
    return {"name": "need", "cases": [row(s) for s in found], "summary": summarise(found)}


def sample(clip: TrueClip, *, seed: tuple[int, ...] = (0,), every: int = EVERY) -> Iterator[Sampled]:
    """Pixels of a clip with their signs and errors, under each kind of hints.

    Raises:
        WeightsError: the embedded network's weights are missing.
    """
    colouriser = embedded_if_there()
    if colouriser is None:
        raise WeightsError("bench need: the embedded network's weights are missing; train them: make weights")
    motion, store = ClipMotion(clip, colouriser), Memory()
    automatic = AutomaticPass(motion, CoarseMotion(motion, motion.estimator, store), colouriser, store)
    hints = {"reference": (reference(clip, 0),), "points": points(clip, POINTS, seed), "unasked": ()}
    for case in CASES:
        yield _sampled(clip, case, HintSet((), hints[case]), motion, automatic, colouriser, every)


def points(clip: TrueClip, count: int, seed: tuple[int, ...]) -> tuple[Hint, ...]:
    """True points of the first frame, anywhere on it: each says the mean colour of what lies under it."""
    chance, lab = np.random.default_rng(seed), clip.lab(0)
    h, w = lab.shape[:2]
    places = [(chance.uniform(RADIUS, w - RADIUS), chance.uniform(RADIUS, h - RADIUS)) for _ in range(count)]
    return tuple(true_point(f"p{i}", 0, lab, xy) for i, xy in enumerate(places))


def _sampled(
    clip: TrueClip,
    case: str,
    hints: HintSet,
    motion: ClipMotion,
    automatic: AutomaticPass,
    colouriser: EmbeddedColouriser,
    every: int,
) -> Sampled:
    shot, radius = timeline_of(clip).shots[0].range, ColouriseParams().steady
    source = carry(hints, clip, motion)[0]
    signs, errors, frames = [], [], []
    for n in range(1, len(clip.frames), every):
        auto, said, truth = automatic.at(n, shot, radius), source.field(n), clip.lab(n)
        luma = np.ascontiguousarray(truth[..., 0])
        shown = colourise_frame(luma, auto, colouriser, field=said, luma=motion.luma(n))
        error = delta_e(srgb_to_lab(join(luma, shown)), truth)
        read = signs_of(auto, said, source.age(n), colouriser, colouriser)
        planes = [_at_size(getattr(read, name), error.shape)[_PIXELS].ravel() for name in SIGNS]
        signs.append(np.stack(planes, axis=1))
        errors.append(np.asarray(error[_PIXELS], np.float32).ravel())
        frames.append(np.full(len(errors[-1]), n))
    return Sampled(clip.name, case, np.concatenate(signs), np.concatenate(errors), np.concatenate(frames))


_PIXELS = np.s_[STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE]


def _at_size(plane: Array, size: tuple[int, ...]) -> Array:
    return np.asarray(cv2.resize(plane, (size[1], size[0]), interpolation=cv2.INTER_LINEAR), np.float32)


def need_of(sampled: Sampled) -> Array:
    """The need map's answer for sampled pixels  [(P,) float32 [0, 1]]."""
    return need(Signs(*np.ascontiguousarray(sampled.signs.T)))


def row(sampled: Sampled) -> dict[str, Any]:
    """One clip under one kind of hints."""
    expected, wrong = need_of(sampled), sampled.wrong
    return {
        "clip": sampled.clip,
        "case": sampled.case,
        "auc": _auc(expected, wrong),
        "wrong": float(wrong.mean()),
        "expected": float(expected.mean()),
        "frames_off": _frames_off(sampled, expected),
        "of": {name: _auc(_sign(sampled, i), wrong) for i, name in enumerate(SIGNS)},
    }


def summarise(found: Sequence[Sampled]) -> dict[str, Any]:
    """Means over the clips, case by case, and all pixels pooled."""
    table: dict[str, Any] = {}
    for case in CASES:
        mine = [s for s in found if s.case == case]
        rows = [row(s) for s in mine]
        pooled = np.concatenate([need_of(s) for s in mine]), np.concatenate([s.wrong for s in mine])
        table[case] = {
            "auc": _mean([r["auc"] for r in rows]),
            "auc_least": min((r["auc"] for r in rows if not np.isnan(r["auc"])), default=float("nan")),
            "auc_pooled": auc(*pooled),
            "wrong": _mean([r["wrong"] for r in rows]),
            "share_off": _mean([abs(r["wrong"] - r["expected"]) for r in rows]),
            "of": {name: _mean([r["of"][name] for r in rows]) for name in SIGNS},
        }
    return {**table, "together": _together(found)}


def _together(found: Sequence[Sampled]) -> dict[str, float]:
    """How well pixels of all kinds of hints are told apart: whether a frame that was hinted shows less need."""

    def pooled(some: Sequence[Sampled]) -> float:
        return _auc(np.concatenate([need_of(s) for s in some]), np.concatenate([s.wrong for s in some]))

    clips = dict.fromkeys(s.clip for s in found)
    return {
        "auc": _mean([pooled([s for s in found if s.clip == clip]) for clip in clips]),
        "auc_pooled": pooled(found),
    }


def _sign(sampled: Sampled, i: int) -> Array:
    column = sampled.signs[:, i]
    return -column if SIGNS[i] in REASSURING else column


def _auc(score: Array, wrong: NDArray[np.bool_]) -> float:
    """NaN where hardly any pixel is wrong, or hardly any right: then there is nothing to tell apart."""
    few = min(np.count_nonzero(wrong), np.count_nonzero(~wrong)) < _LEAST
    return float("nan") if few else auc(score, wrong)


def _frames_off(sampled: Sampled, expected: Array) -> float:
    """By how much the expected share of a frame is off, in the mean over frames."""
    frames = np.unique(sampled.frame)
    return _mean([abs(float(expected[at].mean() - sampled.wrong[at].mean())) for at in _each(sampled.frame, frames)])


def _each(values: NDArray[np.int64], of: NDArray[np.int64]) -> Iterator[NDArray[np.bool_]]:
    return (values == one for one in of)


def _mean(values: Sequence[float]) -> float:
    kept = [v for v in values if not np.isnan(v)]
    return float(np.mean(kept)) if kept else float("nan")
