"""Seconds per frame and peak memory of each stage, of whole lines, and of DeOldify beside them.

Every part runs in a process of its own, and those that are compared run in turn (`bench.part`).

What is timed: a stage or line through the renderer as `restore` runs it, from frames in memory to frames in the
cache (decoding and encoding are left out; the disk is not); DeOldify from luma to chroma, at render factor 21, with
random weights, on which its speed does not depend. Its network is our port (`core.models.deoldify`) on the sooner of
its two roads, which is faster than the original (`bench beside`).
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.panning import Panning
from bench.part import Go, Part, in_turn, serve
from core.contract.plugins import Plugins, load_plugins
from core.contract.recipe import Recipe, StageSpec
from core.errors import InputError, PochoirError
from core.film.colour import luma_of
from core.film.shot import shots_from_cuts
from core.film.timebase import FrameRange
from core.models.card import ModelCard
from core.models.deoldify import DeOldify
from core.render.cache import FrameCache
from core.render.renderer import Renderer

Size = tuple[int, int]

SIZES: tuple[Size, ...] = ((480, 640), (1080, 1920))
ROUNDS = 3
FRAMES = 12  # of a line per round: more than the colouring's window is wide
PEER, COLOUR, FILM = "deoldify", "line colour", "film"
RENDER_FACTOR = 21
ROOMS = ("core.restore", "core.flow", "core.colourise", "core.interpolate")
LINES = {"colour": ("colourise",), "archive": ("deflicker", "dedust", "colourise")}
# What a stage must be told to do anything at all.
PARAMS: dict[str, dict[str, Any]] = {"interpolate": {"rate": "48"}}


# --- the parts: what one process of this measurement does ------------------------------------------------------


def plugins(rooms: Sequence[str] = ROOMS) -> Plugins:
    """The house's own stages, of these rooms."""
    return load_plugins([import_module(room) for room in rooms], discover=False)


def part_names() -> list[str]:
    """Every part there is: the peer, whole lines, single stages, and the film itself, which all of ours contain."""
    stages = list(plugins().stages)
    lines = [f"line {name}" for name, steps in LINES.items() if all(s in stages for s in steps)]
    return [PEER, *lines, *(f"stage {name}" for name in stages if name != "colourise"), FILM]


def make_part(name: str, size: Size, seed: int) -> Go:
    """What a part does at each go.

    Raises:
        InputError: no such part.
    """
    if name == PEER:
        return _peer(size, seed)
    if name == FILM:
        film = Panning(size, FRAMES, seed)
        return lambda: sum(1 for _ in film.frames(FrameRange(0, FRAMES)))
    kind, _, what = name.partition(" ")
    if kind == "line" and what in LINES:
        return _line(LINES[what], size, seed)
    if kind == "stage" and what in plugins().stages:
        return _line((what,), size, seed)
    raise InputError(f"bench speed: unknown part '{name}'; known: deoldify, film, line NAME, stage NAME")


def _peer(size: Size, seed: int) -> Go:
    model = DeOldify.random_init("deoldify", seed, render_factor=RENDER_FACTOR, device="cpu")
    luma = luma_of(Panning(size, 1, seed).frame(0).rgb)

    def go() -> int:
        model.predict(luma)
        return 1

    return go


def _line(steps: Sequence[str], size: Size, seed: int) -> Go:
    """A shot through some stages, each go with an empty cache."""
    film = Panning(size, FRAMES, seed)
    recipe = Recipe(tuple(StageSpec(s, _params(s, size)) for s in steps))
    known = plugins()

    def go() -> int:
        folder = tempfile.mkdtemp(prefix="pochoir-speed-")
        try:
            renderer = Renderer(
                film, shots_from_cuts([], FRAMES), recipe, known, FrameCache(Path(folder)), device="cpu"
            )
            span = FrameRange(0, renderer.timeline.count)
            return sum(1 for _ in renderer.render(span))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    return go


def _params(stage: str, size: Size) -> dict[str, Any]:
    if stage == "upscale":
        return {"size": f"{size[1] * 2}x{size[0] * 2}"}
    return PARAMS.get(stage, {})


def run(
    data: Path | None = None,
    *,
    limit: int | None = None,
    seed: int = 0,
    sizes: Sequence[Size] = SIZES,
    parts: Sequence[str] | None = None,
    rounds: int = ROUNDS,
    models: bool = False,
    device: str | None = None,
) -> dict[str, Any]:
    """Measure every part at every size; or, instead, the models of the shelf.

    Args:
        data: not needed: speed does not hang on what is in the picture
        limit: at most so many parts, the peer and the colouring first
        seed: of films and weights
        sizes: (H, W) of frames
        parts: by name; None: all there are
        rounds: how often each is timed; the median counts
        models: measure those of the shelf, each at a size of its own
        device: where those run; None: the CPU

    Returns:
        Of models: ``cases`` with ``s_per_mp``, seconds for a million pixels of the frame that comes in; a model that
        could not be measured has a ``fault``. Else ``summary``: ``s_per_frame`` and ``rss_mb`` by size and part;
        ``ratio``: by size, DeOldify's seconds per frame by those of our whole automatic colouring (line ``colour``),
        steadied along motion and cached.
    """
    if models:
        return _of_models(device or "cpu", limit, seed, rounds)
    if device is not None:
        raise InputError("bench speed: --device is for --models; stages and lines are measured on the CPU")
    names = list(parts if parts is not None else part_names())[:limit]
    load = os.getloadavg() if hasattr(os, "getloadavg") else None
    cases: list[dict[str, Any]] = []
    for size in sizes:
        # The two that are compared, in turn; then each of the others by itself, so that few hold memory at once.
        pair = [n for n in names if n in (PEER, COLOUR)]
        for together in ([pair] if pair else []) + [[n] for n in names if n not in pair]:
            cases += _together(together, size, seed, rounds)
    return {
        "name": "speed",
        "cases": cases,
        "summary": summarise(cases),
        "peer": f"DeOldify video, render factor {RENDER_FACTOR}, our port, random weights",
        "load_before": load,
        "cores": os.cpu_count(),
    }


def _of_models(device: str, limit: int | None, seed: int, rounds: int) -> dict[str, Any]:
    """Every model of the shelf, at float32 and at the half precision it would take there, if any."""
    shelf = import_module("bench.shelf")  # brings all networks
    chosen = [(card, way) for card in shelf.models()[:limit] for way in shelf.ways_of(card, device)]
    cases = [_of_model(shelf, card, way, device, seed, rounds) for card, way in chosen]
    return {"name": "speed", "cases": cases, "summary": {"device": device}, "cores": os.cpu_count()}


def _of_model(shelf: Any, card: ModelCard, way: str, device: str, seed: int, rounds: int) -> dict[str, Any]:
    h, w = shelf.SIZES[card.task]
    about = {"model": card.id, "task": card.task, "size": size_name((h, w)), "way": way}
    part = Part(card.id, shelf.command(card.id, way, device, seed))
    try:
        part.wait()
        in_turn([part], rounds)
    except PochoirError as error:
        return about | {"fault": str(error)}
    finally:
        part.close()
    case = part.case()
    del case["part"]
    return about | {"s_per_mp": case["s_per_frame"] / (h * w) * 1e6} | case


def _together(names: Sequence[str], size: Size, seed: int, rounds: int) -> Iterator[dict[str, Any]]:
    with ExitStack() as stack:
        running = []
        for name in names:
            part = Part(name, ["-m", "bench.speed", name, str(size[0]), str(size[1]), str(seed)])
            stack.callback(part.close)
            running.append(part)
        for part in running:
            part.wait()
        in_turn(running, rounds)
        yield from [{"size": size_name(size), **part.case()} for part in running]


def summarise(cases: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Seconds, memory and ratio by size, from cases of part and size."""
    seconds: dict[str, dict[str, float]] = {}
    memory: dict[str, dict[str, float]] = {}
    for case in cases:
        seconds.setdefault(case["size"], {})[case["part"]] = case["s_per_frame"]
        memory.setdefault(case["size"], {})[case["part"]] = case["rss_mb"]
    ratio = {size: parts[PEER] / parts[COLOUR] for size, parts in seconds.items() if PEER in parts and COLOUR in parts}
    return {"s_per_frame": seconds, "rss_mb": memory, "ratio": ratio}


def size_name(size: Size) -> str:
    """(H, W) as people say it: ``640x480``."""
    return f"{size[1]}x{size[0]}"


if __name__ == "__main__":
    serve(make_part(sys.argv[1], (int(sys.argv[2]), int(sys.argv[3])), int(sys.argv[4])))
