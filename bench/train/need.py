"""Fit the weights of the need map: ``python -m bench.train.need --data DIR``.

Pixels of all clips of ``bench need`` under all its kinds of hints, every clip and kind weighing the same; logistic
regression by Newton's method, with a little ridge. Before the weights are fitted on all clips they are fitted with each
clip left out and judged on it: those areas under the curve are what a film never seen may expect. What is printed last
belongs into `hints.need.WEIGHTS`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.clips import clip_names, read_clip
from bench.metrics import auc
from bench.need import CASES, Sampled, sample
from hints.need import SIGNS, Signs, shares, terms

RIDGE = 1e-4  # against the mean loss of a pixel
ROUNDS = 30
PIXELS = 4000  # of each clip and kind of hints that are fitted
# Signs that each row of weights hears. Where a place is told by a hint, more than these makes no clip better that was
# left out; where nobody has said anything, the others are silent.
HEARD = (("trust", "age"), tuple(name for name in SIGNS if name != "trust"), ("deviation", "texture"))
_COLUMNS = np.array([[True, *(name in row for name in SIGNS)] for row in HEARD]).ravel()

Real = NDArray[np.float64]


def design(sampled: Sampled) -> Real:
    """What the weights are multiplied with, of the signs that are heard  [(P, K) float64]."""
    signs = Signs(*np.ascontiguousarray(sampled.signs.T))
    told = shares(signs)[..., None] * terms(signs)[..., None, :]
    return told.reshape(len(told), -1)[:, _COLUMNS].astype(np.float64)


def fit(told: Sequence[Real], wrong: Sequence[NDArray[np.bool_]]) -> Real:
    """Weights under which what happened is likeliest, each set of pixels weighing the same  [(K,) float64].

    Source: Hastie, Tibshirani & Friedman 2009, "The elements of statistical learning", section 4.4.
    """
    x, y = np.concatenate(told), np.concatenate(wrong).astype(np.float64)
    share = np.concatenate([np.full(len(t), 1 / (len(t) * len(told))) for t in told])
    weights = np.zeros(x.shape[1])
    for _ in range(ROUNDS):
        p = 1 / (1 + np.exp(-x @ weights))
        slope = x.T @ (share * (p - y)) + RIDGE * weights
        bend = (x.T * (share * p * (1 - p))) @ x + RIDGE * np.eye(len(weights))
        step = np.linalg.solve(bend, slope)
        weights -= step
        if np.abs(step).max() < 1e-6:
            break
    return weights


def collect(data: Path, kept: Path | None) -> list[Sampled]:
    """Pixels of all clips; read from ``kept`` where that is there, and written to it where not."""
    if kept is not None and kept.exists():
        with np.load(kept) as held:
            rows = zip(held["clip"], held["case"], held["begin"], held["stop"], strict=True)
            return [
                Sampled(str(clip), str(case), held["signs"][a:b], held["error"][a:b], held["frame"][a:b])
                for clip, case, a, b in rows
            ]
    found: list[Sampled] = []
    for i, name in enumerate(clip_names(data)):
        found += sample(read_clip(data, name), seed=(0, i))
        print(name, flush=True)
    if kept is not None:
        stop = np.cumsum([len(s.error) for s in found])
        np.savez(
            kept,
            clip=[s.clip for s in found],
            case=[s.case for s in found],
            begin=[0, *stop[:-1]],
            stop=stop,
            signs=np.concatenate([s.signs for s in found]),
            error=np.concatenate([s.error for s in found]),
            frame=np.concatenate([s.frame for s in found]),
        )
    return found


def main() -> None:
    """Fit, judge, print."""
    parser = argparse.ArgumentParser(description="fit the weights of the need map")
    parser.add_argument("--data", type=Path, required=True, help="folder with clips/")
    parser.add_argument("--keep", type=Path, help="file to keep the sampled pixels in, so that a second fit is quick")
    args = parser.parse_args()
    found = collect(args.data, args.keep)
    chance = np.random.default_rng(0)
    some = [chance.choice(len(s.error), min(PIXELS, len(s.error)), replace=False) for s in found]
    told = [design(s)[i] for s, i in zip(found, some, strict=True)]
    wrong = [s.wrong[i] for s, i in zip(found, some, strict=True)]
    areas: dict[str, list[float]] = {case: [] for case in CASES}
    for clip in dict.fromkeys(s.clip for s in found):
        others = [i for i, s in enumerate(found) if s.clip != clip]
        weights = fit([told[i] for i in others], [wrong[i] for i in others])
        for i, s in enumerate(found):
            if s.clip == clip:
                areas[s.case].append(auc(told[i] @ weights, wrong[i]))
    for case, values in areas.items():
        print(f"{case}: area with the clip left out {np.nanmean(values):.3f}, least {np.nanmin(values):.3f}")
    print("one", *SIGNS)
    weights = np.zeros(_COLUMNS.size)
    weights[_COLUMNS] = fit(told, wrong)
    for line in weights.reshape(3, -1):
        print("[" + ", ".join(f"{w:.3f}" for w in line) + "],")


if __name__ == "__main__":
    main()
