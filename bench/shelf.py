"""Seconds and memory of the models of the shelf, each as the program loads and runs it, with random weights.

Those of a published checkpoint would take the same time: no network here asks what its numbers are.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from bench.panning import Panning
from bench.part import ROOT, Go, serve
from core import colourise
from core.contract.plugins import Plugins, load_plugins
from core.film.colour import luma_of
from core.models import dain, ddcolor, deoldify, edvr, raft, realesrgan, rife, siggraph17
from core.models import sam2 as sam2_net
from core.models.card import CARDS, ModelCard
from core.models.dain_net import DainNet
from core.models.ddcolor_net import DualDecoder
from core.models.deoldify_net import Generator
from core.models.device import pick_device, taken_mb
from core.models.drawn import write_drawn
from core.models.raft_net import RAFT
from core.models.rife_net import V4_25, IFNet
from core.models.shelf import VARIABLE, card_of
from core.models.siggraph17_net import UserGuided
from core.models.ways import VARIABLE as PRECISION
from core.models.ways import has_units
from hints import sam, sam2

MODULES = (deoldify, ddcolor, siggraph17, edvr, realesrgan, dain, rife, raft, sam, sam2)
# Of a frame, by what a model is for: what two cores answer within seconds. Most colourisers bring it to their own size.
# Segmenters bring it to their own too: a picture that is new to them, and one click on it.
SIZES = {
    "colourise": (480, 640),
    "segment": (480, 640),
    "flow": (192, 256),
    "interpolate": (192, 256),
    "upscale": (48, 64),
}
FRAMES = 16  # of the film, from which it begins again: no model is to have seen a frame just before


def networks() -> dict[str, Callable[[], Any]]:
    """What makes the network of each model whose checkpoint is not part of the program, by its card's id."""
    compact = realesrgan.VARIANTS[realesrgan.GENERAL_WEAK]
    return {
        **{name: partial(Generator, v.kind) for name, v in deoldify.VARIANTS.items()},
        **{name: partial(DualDecoder, v.kind) for name, v in ddcolor.VARIANTS.items()},
        siggraph17.SIGGRAPH17.name: UserGuided,
        **{name: v.made for name, v in edvr.VARIANTS.items()},
        **{name: v.made for name, v in realesrgan.VARIANTS.items()},
        realesrgan.GENERAL: compact.made,
        dain.Dain.name: DainNet,
        rife.Rife.name: partial(IFNet, V4_25),
        **{name: partial(RAFT, layout) for name, layout in raft.LAYOUTS.items()},
        **{name: partial(sam._network, kind) for name, kind in sam.MODELS},
        **{name: partial(sam2_net.network, layout) for name, layout in sam2_net.LAYOUTS.items()},
    }


def models() -> list[ModelCard]:
    """Every model of the shelf."""
    return [card for card in CARDS if card.task in SIZES]


def ways_of(card: ModelCard, device: str) -> list[str]:
    """How a model is measured there: at float32, and at the half precision that it would take by its card."""
    place = pick_device(device)
    return ["float32", *[half for half in card.halves if has_units(place, half)][:1]]


def command(name: str, way: str, device: str, seed: int) -> list[str]:
    """Arguments of Python that make the part of a model."""
    return ["-m", "bench.shelf", "run", name, way, device, str(seed)]


def make_go(card: ModelCard, device: str, seed: int) -> Go:
    """One frame after another through a model, whose checkpoint lies in the model folder."""
    made, size = _made(card, device), SIZES[card.task]
    film = Panning(size, FRAMES, seed)
    work = partial(_asked, made, card.task, film)
    places = _there_and_back()

    def go() -> int:
        work(next(places))
        return 1

    return go


def _there_and_back() -> Iterator[int]:
    return (n % FRAMES for n in count())


def _plugins() -> Plugins:
    return load_plugins([colourise, *MODULES], discover=False)


def _made(card: ModelCard, device: str) -> Any:
    """The model, as the program makes it."""
    known = _plugins()
    if card.task == "colourise":
        return known.colourisers.get(card.id)(device)
    if card.task == "segment":
        return known.segmenters.get("sam2.1" if card.id in sam2_net.LAYOUTS else "segment-anything")(device)
    if card.task == "flow":
        return known.flows.get(card.id)(device)
    if card.task == "interpolate":
        return known.interpolators.get(card.id)(device)
    if card.id == realesrgan.GENERAL_WEAK:  # reached through the general net
        return known.upscalers.get(realesrgan.GENERAL)(device).at(0.0)
    made = known.upscalers.get(card.id)(device)
    return made.at(1.0) if card.id == realesrgan.GENERAL else made


def _asked(made: Any, task: str, film: Panning, n: int) -> object:
    """Ask a model once, about frame ``n`` and those after it."""
    frames = [film.frame((n + k) % FRAMES).rgb for k in range(2 * getattr(made, "radius", 0) + 1)]
    if task == "upscale":
        return made.enlarge(frames, made.radius)
    if task == "colourise":
        return made.predict(luma_of(frames[0]))
    if task == "segment":
        h, w = frames[0].shape[:2]
        return made.segment(frames[0], [(w / 2, h / 2, True)])
    second = film.frame((n + 1) % FRAMES).rgb
    if task == "flow":
        return made.pair(luma_of(frames[0]), luma_of(second))
    return made.between(frames[0], second, 0.5)


def _run(name: str, way: str, device: str, seed: int) -> None:
    card, place = card_of(name), pick_device(device)
    with tempfile.TemporaryDirectory(prefix="pochoir-shelf-") as folder:
        if not card.built_in:
            # In a process of its own, so that its memory is not taken for the model's.
            draw = [sys.executable, "-m", "bench.shelf", "draw", name, folder, str(seed)]
            subprocess.run(draw, cwd=ROOT, check=True)
            os.environ[VARIABLE] = folder
        os.environ[PRECISION] = way
        serve(make_go(card, device, seed), also=lambda: taken_mb(place))


def _draw(name: str, folder: str, seed: int) -> None:
    write_drawn(networks()[name], Path(folder) / card_of(name).files[0].rewritten, seed)


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "draw":
        _draw(rest[0], rest[1], int(rest[2]))
    else:
        _run(rest[0], rest[1], rest[2], int(rest[3]))
