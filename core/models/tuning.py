"""Measure every way in which the embedded network can run here, and keep the fastest that shows no difference."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import InputError
from core.film.colour import delta_e
from core.models.colouriser import AUTOMATIC_LONG_SIDE, TOGETHER, WEIGHTS, WORKING_LONG_SIDE, EmbeddedColouriser
from core.models.device import pick_device
from core.models.ways import WAYS, has_units, is_compiled, remember

Plane = NDArray[np.float32]
MOST_OFF = 0.5  # mean CIEDE2000 by which a way's colours may differ from plain float32's
ROUNDS = 12
FASTER, COMPILED_FASTER = 1.1, 1.4  # what a way must gain: compiled code costs up to half a minute for every size


@dataclass(frozen=True)
class Measured:
    """One way, measured.

    Attributes:
        way: one of ``core.models.ways.WAYS``
        alone_ms: one look at the size at which hints are carried, or None where it does not run here
        together_ms: automatic colour of one frame among ``TOGETHER``, or None
        ready_s: seconds until the first such call was done
        delta_e: mean difference from plain float32  [CIEDE2000]
        fault: why it does not run here, or empty
    """

    way: str
    alone_ms: float | None = None
    together_ms: float | None = None
    ready_s: float | None = None
    delta_e: float | None = None
    fault: str = ""

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def tune(device: str | None = None, weights: Path = WEIGHTS) -> tuple[list[Measured], str, Path]:
    """Measure all ways there are, and remember the best.

    Args:
        device: where networks run; None chooses
        weights: of the embedded network, or another file of such a network

    Returns:
        What was measured, the way that is used from now on, and the file that remembers it.

    Raises:
        InputError: no such device, or the choice cannot be kept.
        WeightsError: the weights are missing or damaged.
    """
    place = pick_device(device)
    scenes = np.stack([_scene(seed, (96, AUTOMATIC_LONG_SIDE)) for seed in range(TOGETHER)])
    made = [_ready(device, weights, way, place, scenes) for way in WAYS]
    plain = made[0].ab
    assert plain is not None  # float32 runs everywhere, or has raised
    took = _raced([one.colouriser for one in made if one.colouriser], scenes)
    found = []
    for one in made:
        if one.colouriser is None or one.ab is None:
            found.append(Measured(one.way, fault=one.fault))
            continue
        off = float(delta_e(_lab(scenes, one.ab), _lab(scenes, plain)).mean())
        alone, together = took[one.way]
        found.append(Measured(one.way, alone * 1e3, together / TOGETHER * 1e3, one.seconds, off))
    chosen = best(found)
    return found, chosen, remember(chosen, place, EmbeddedColouriser(device, weights, chosen).identity)


def best(found: Sequence[Measured]) -> str:
    """The fastest way that shows no difference; the plainer where two are nearly alike."""
    able = {m.way: m for m in found if m.alone_ms and m.together_ms and (m.delta_e or 0.0) <= MOST_OFF}
    way = "float32"
    if "bfloat16" in able and _faster(able["float32"].alone_ms, able["bfloat16"].alone_ms, FASTER):
        way = "bfloat16"
    compiled = f"{way}-compiled"
    if compiled in able and _faster(able[way].together_ms, able[compiled].together_ms, COMPILED_FASTER):
        return compiled
    return way


def _faster(plain: float | None, other: float | None, by: float) -> bool:
    return plain is not None and other is not None and other * by < plain


@dataclass(frozen=True, eq=False)
class _Made:
    """A colouriser that has answered once, what it said and how long that took; or why there is none."""

    way: str
    colouriser: EmbeddedColouriser | None = None
    ab: Plane | None = None
    seconds: float = 0.0
    fault: str = ""


def _ready(device: str | None, weights: Path, way: str, place: torch.device, scenes: Plane) -> _Made:
    if way.startswith("bfloat16") and not has_units(place):
        return _Made(way, fault="the device has no units for bfloat16")
    colouriser = EmbeddedColouriser(device, weights, way)
    began = time.perf_counter()
    try:
        ab = colouriser.predict_together(scenes)
    except InputError as error:
        if not is_compiled(way):
            raise
        return _Made(way, fault=str(error))
    return _Made(way, colouriser, ab, time.perf_counter() - began)


def _raced(ways: Sequence[EmbeddedColouriser], scenes: Plane) -> dict[str, tuple[float, float]]:
    """Least time of a look, and of a call about all scenes  [s]; in turns, so that a busy machine wrongs nobody."""
    took: dict[str, tuple[list[float], list[float]]] = {one.way: ([], []) for one in ways}
    for turn in range(1 + ROUNDS):
        unseen = _scene(1000 + turn, (192, WORKING_LONG_SIDE))  # what was seen is kept
        for one in ways:
            calls = ((one.predict, unseen), (one.predict_together, scenes))
            for (call, shown), times in zip(calls, took[one.way], strict=True):
                began = time.perf_counter()
                call(shown)
                times.append(time.perf_counter() - began)
    return {way: (min(alone[1:]), min(together[1:])) for way, (alone, together) in took.items()}


def _lab(scenes: Plane, ab: Plane) -> Plane:
    return np.dstack([scenes.reshape(-1, 1), ab.reshape(-1, 1, 2)])


def _scene(seed: int, size: tuple[int, int]) -> Plane:
    """Something with large and small things in it  [(h, w) float32 [0, 100] L*]."""
    rng = np.random.default_rng(seed)
    planes = (rng.normal(0, 12, (max(1, size[0] // cell), max(1, size[1] // cell))) for cell in (2, 8, 24, 64))
    scene = sum(cv2.resize(p.astype(np.float32), size[::-1], interpolation=cv2.INTER_CUBIC) for p in planes)
    return np.asarray(np.clip(50 + scene, 0, 100), np.float32)
