"""From a hint placed to the recoloured frame as encoded bytes, and where the time goes.

The road is the studio's own: a hint is added to the project, `studio.preview` recolours the frame under it, the
picture is encoded as the browser gets it. Hints pile up on one frame as a restorer places them: points, scribbles
and regions in turn, each with a colour of its own. What a frame needs once (decoding, repair, its automatic colour)
is done by the warm-up, as it is when a restorer stops at a frame.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.panning import Panning
from bench.speed import Size, plugins, size_name
from core.contract.recipe import Recipe, StageSpec
from core.film.colour import Array, lab_to_hex
from core.render.cache import FrameCache
from hints.hint import Hint
from hints.picture import Mask
from studio.preview import Preview
from studio.project import Project
from studio.rendering import Machine

SIZES: tuple[Size, ...] = ((480, 640), (1080, 1920))
SCREEN = 960  # longest side of the picture in a browser's window, in pixels: no more are sent at first
HINTS, WARM_UP = 36, 4
KINDS = ("point", "scribble", "region")
# As `studio.ui.convert.jpeg` encodes for the browser; only the browser's side may import that.
JPEG = (cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
# What is timed by itself: label, module or class, name in it.
STEPS = (
    ("which hints speak", "hints.source:Carried", "known"),
    ("field", "hints.source:Carried", "at_once"),
    ("network", "core.models.standing:Standing", "look"),
    ("carrying", "core.models.colouriser:EmbeddedColouriser", "carry"),
    ("solver", "core.colourise", "close_hints"),
    ("upsampling", "core.colourise", "upsample_chroma"),
    ("gamut and R'G'B'", "core.colourise", "join"),
    ("jpeg", "bench.latency", "encode"),
)


def encode(rgb: Array) -> bytes:
    """A picture as the browser gets it: JPEG, 4:4:4."""
    picture = np.asarray(np.rint(np.clip(rgb, 0.0, 1.0) * 255.0), np.uint8)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), JPEG)
    assert done, "OpenCV could not encode a JPEG"
    return data.tobytes()


class Stopwatch:
    """Time spent in functions, each without that of the ones it calls. For one thread.

    Attributes:
        spent: label to seconds since the last `reset`.
    """

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self._inner: list[float] = []

    def reset(self) -> None:
        """Start again."""
        self.spent = {}

    def timed(self, label: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with its time counted under a label."""

        def call(*args: Any, **kwargs: Any) -> Any:
            self._inner.append(0.0)
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                took = time.perf_counter() - began
                inner = self._inner.pop()
                self.spent[label] = self.spent.get(label, 0.0) + took - inner
                if self._inner:
                    self._inner[-1] += took

        return call

    @contextmanager
    def over(self, steps: Sequence[tuple[str, str, str]]) -> Iterator[None]:
        """Count the time of these functions while the block lasts."""
        undo = []
        for label, place, name in steps:
            module, _, owner = place.partition(":")
            holder = import_module(module)
            holder = getattr(holder, owner) if owner else holder
            undo.append((holder, name, getattr(holder, name)))
            setattr(holder, name, self.timed(label, getattr(holder, name)))
        try:
            yield
        finally:
            for holder, name, function in undo:
                setattr(holder, name, function)


def run(
    data: Path | None = None,
    *,
    limit: int | None = None,
    seed: int = 0,
    sizes: Sequence[Size] = SIZES,
    colouriser: str = "embedded",
) -> dict[str, Any]:
    """Place hints one after another and wait for the picture each time.

    Args:
        data: not needed: the frame is a photograph that comes with a library
        limit: at most so many hints; all of 36 where None
        seed: of places and colours
        sizes: (H, W) of the frame
        colouriser: which network is conditioned on them

    Returns:
        ``summary``: ``p50_ms``, ``p95_ms`` by size; of a large frame also as the browser asks for it first, with no
        more pixels than its window has; ``parts_ms``: by size, the mean time of each step. A case has
        ``cpu_ms`` too, of all threads: where others compute at the same time it tells more than the clock.
    """
    cases, parts = [], {}
    for size in sizes:
        for side in (None, SCREEN) if max(size) > SCREEN else (None,):
            case, spent = _one(size, min(limit or HINTS, HINTS), seed, colouriser, side)
            cases.append(case)
            parts[case["size"]] = spent
    return {
        "name": "latency",
        "cases": cases,
        "summary": {
            "p50_ms": {c["size"]: c["p50_ms"] for c in cases},
            "p95_ms": {c["size"]: c["p95_ms"] for c in cases},
            "parts_ms": parts,
        },
    }


def _one(
    size: Size, count: int, seed: int, colouriser: str, side: int | None = None
) -> tuple[dict[str, Any], dict[str, float]]:
    """A case, and the mean milliseconds of each step."""
    folder = Path(tempfile.mkdtemp(prefix="pochoir-latency-"))
    watch = Stopwatch()
    try:
        with watch.over(STEPS):
            times, cpu, parts, payload = _place(size, count, seed, colouriser, folder, watch, side)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    p50, p95 = (float(np.percentile(times, q)) * 1e3 for q in (50, 95))
    case = {
        "size": size_name(size) + (f" shown at {side}" if side else ""),
        "hints": count,
        "p50_ms": p50,
        "p95_ms": p95,
        "cpu_ms": float(np.median(cpu)) * 1e3,
        "bytes": payload,
        "runs_ms": [t * 1e3 for t in times],
    }
    return case, {label: seconds * 1e3 / count for label, seconds in parts.items()}


def _place(
    size: Size, count: int, seed: int, colouriser: str, folder: Path, watch: Stopwatch, side: int | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], dict[str, float], int]:
    """Seconds of each hint by the clock and of processors, seconds by step over all, bytes of the last picture."""
    film = Panning(size, 3, seed)
    machine = Machine(plugins(("core.flow", "core.colourise")), FrameCache(folder), "cpu")
    preview = Preview(lambda: film, machine)
    recipe = Recipe((StageSpec("colourise", {"colouriser": colouriser}),)).checked(machine.plugins.stages)
    project = Project(film.clip, (), recipe)
    rng = np.random.default_rng(seed)
    times, cpu, parts, picture = [], [], {"other": 0.0}, b""
    for number in range(-WARM_UP, count):
        hint = make_hint(number + WARM_UP, size, rng)
        watch.reset()
        began, worked = time.perf_counter(), time.process_time()
        project = replace(project, hints=project.hints.add_hint(hint))
        picture = encode(preview.picture(project, 1, side=side))
        took = time.perf_counter() - began
        if number >= 0:
            times.append(took)
            cpu.append(time.process_time() - worked)
            for label, seconds in watch.spent.items():
                parts[label] = parts.get(label, 0.0) + seconds
            parts["other"] += took - sum(watch.spent.values())
    preview.close()
    return np.array(times), np.array(cpu), parts, len(picture)


def make_hint(number: int, size: Size, rng: np.random.Generator) -> Hint:
    """The next hint a restorer places: point, scribble and region in turn, anywhere, of any colour.

    Args:
        number: which one it is, from 0
        size: (H, W) of the frame
        rng: draws place and colour
    """
    h, w = size
    x, y = float(rng.uniform(0.1, 0.9) * w), float(rng.uniform(0.1, 0.9) * h)
    colour = lab_to_hex(np.array([60, *rng.uniform(-40, 40, 2)], np.float32))
    kind, name = KINDS[number % len(KINDS)], f"h{number}"
    if kind == "point":
        return Hint(name, 1, "point", colour=colour, xy=(x, y), radius=3.0)
    if kind == "scribble":
        path = tuple((x + 0.01 * w * i, y + 0.005 * h * (i % 3)) for i in range(6))
        return Hint(name, 1, "scribble", colour=colour, path=path, width=6.0)
    inside = np.zeros(size, np.uint8)
    axes = (round(0.08 * w), round(0.1 * h))
    cv2.ellipse(inside, (round(x), round(y)), axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    return Hint(name, 1, "region", colour=colour, mask=Mask.of(inside > 0))
