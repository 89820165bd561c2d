"""The models of the shelf beside their authors' own programs: the same picture? and how much sooner?

On the same machine, in the same run and in turn (`bench.part`), from picture to picture: the authors' program, out of
checkouts that the person who measures has made, and ours. Theirs draws weights at random, writes them as its authors
publish a checkpoint, and ours reads that file, so that names and norms are measured too.

Differences are in 8-bit steps of the finished picture. Where the network's answer is cut to 8 bits, what is almost
equal can fall to both sides of a step, and the road back from Y'UV makes up to three of it. So their program's picture
is also compared with itself, memory laid out in another order (``own_difference``): no two that sum in another order
are nearer than that.

Ours is the faithful road, which is there to be compared. The road that colours films, in float and in whatever order is
soonest done, is timed beside both (``house_ratio``), where a model has one.

All compute at float32, on a GPU too (`core.models.device`: no TF32), and the picture comes back to the processor.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data as pictures

from bench.part import Part, in_turn, serve
from core.errors import InputError, PochoirError
from core.film.colour import join, luma_of
from core.models import ddcolor, deoldify, edvr, siggraph17, upscaler
from core.models.device import pick_device
from core.models.shelf import card_of
from core.models.ways import VARIABLE

Array = NDArray[Any]

ROUNDS = 3
RENDER_FACTOR = 21
SIZE = (480, 640)  # of a picture to colour
SMALL, WINDOW = (96, 128), 5  # of a picture to enlarge, and how many in a row
ON_A_GPU = ((480, 640), (1080, 1920))  # of all pictures there, where no size is asked for
LEAST = 64  # side of a picture  [px]
STEP = 1.0  # 8-bit steps by which two pictures may differ anywhere


@dataclass(frozen=True)
class Pair:
    """A model of the shelf and where its authors' program is.

    Attributes:
        model: id of its card.
        folder: name of the checkout.
        published: where it is cloned from.
        goal: by how much ours is to be faster, where there is a goal.
    """

    model: str
    folder: str
    published: str
    goal: float | None = None

    @property
    def file(self) -> str:
        """The name under which its weights are published."""
        return card_of(self.model).files[0].name


_DDCOLOR = "https://github.com/piddnad/DDColor"
_DEOLDIFY = "https://github.com/jantic/DeOldify"
PAIRS = (
    Pair("deoldify", "DeOldify", _DEOLDIFY, goal=1.5),
    Pair("deoldify-artistic", "DeOldify", _DEOLDIFY, goal=1.5),
    Pair("siggraph17", "colorization", "https://github.com/richzhang/colorization"),
    Pair("ddcolor-tiny", "DDColor", _DDCOLOR),
    Pair("ddcolor", "DDColor", _DDCOLOR),
    Pair("edvr", "BasicSR", "https://github.com/XPixelGroup/BasicSR"),
)


def run(
    data: Path | None = None,
    *,
    limit: int | None = None,
    seed: int = 0,
    reference: str | Path | None = None,
    models: Sequence[str] | None = None,
    rounds: int = ROUNDS,
    device: str | None = None,
    size: str | None = None,
) -> dict[str, Any]:
    """Measure every pair.

    Args:
        data: not needed: the pictures come with scikit-image
        limit: at most so many pairs
        seed: of the weights
        reference: folder of checkouts of the authors' repositories
        models: ids of cards; None: all of `PAIRS`
        rounds: how often each is timed; the median counts
        device: where both run; None: the CPU
        size: of the pictures, as ``640x480``; None: on the CPU a small one for each model, else both of `ON_A_GPU`

    Returns:
        ``cases``: one for each pair and size; of one that could not be measured, what is ``missing``. ``summary``:
        ``ratio`` of seconds of processors (theirs by ours; ``clock_ratio``, by the clock, is only right where nothing
        else computes; on a GPU the two are one), ``house_ratio`` and ``same``, by model, and by size where there are
        several.

    Raises:
        InputError: there is no such folder or device, or the size is none.
    """
    place = str(pick_device(device or "cpu"))
    sizes = _sizes(size, place)
    folders = ", ".join(dict.fromkeys(pair.folder for pair in PAIRS))
    if reference is None:
        raise InputError(f"bench beside: say --reference DIR, the folder that holds the authors' checkouts: {folders}")
    root = Path(reference).expanduser()
    if not root.is_dir():
        raise InputError(f"bench beside: no folder {root}; --reference is the one that holds checkouts: {folders}")
    cases = []
    for pair in [p for p in PAIRS if models is None or p.model in models][:limit]:
        checkout = (root / pair.folder).resolve()
        if not checkout.is_dir():
            missing = f"no folder {checkout}; git clone {pair.published} there"
            cases.append({"model": pair.model, "missing": missing})
            continue
        for one in sizes:
            with TemporaryDirectory(prefix="pochoir-beside-") as work:
                cases.append(_of_pair(pair, checkout, Path(work), seed, rounds, place, one))
    about = {"device": place, "cores": os.cpu_count()}
    return {"name": "beside", "cases": cases, "summary": summarise(cases), **about}


def _sizes(asked: str | None, device: str) -> Sequence[tuple[int, int] | None]:
    """(H, W) of pictures; None: of each model's own."""
    if asked is None:
        return (None,) if device == "cpu" else ON_A_GPU
    match = re.fullmatch(r"(\d+)x(\d+)", asked)
    if match is None or min(int(match[1]), int(match[2])) < LEAST:
        raise InputError(f"bench beside: --size {asked}: expected e.g. 640x480, of sides from {LEAST}")
    return ((int(match[2]), int(match[1])),)


def _of_pair(
    pair: Pair, checkout: Path, work: Path, seed: int, rounds: int, device: str, size: tuple[int, int] | None
) -> dict[str, Any]:
    shown = picture(pair.model, size)
    np.save(work / "shown.npy", shown)
    theirs = ["-m", "bench.authors", pair.model, str(checkout), str(work), pair.file, str(RENDER_FACTOR), str(seed)]
    ours = ["-m", "bench.beside", pair.model, str(work), device]
    house = [*ours, "house"] if pair.model not in edvr.VARIANTS else None
    return measure(pair, shown, [*theirs, device], ours, work, rounds, house=house, on_clock=device != "cpu")


def measure(
    pair: Pair,
    shown: Array,
    theirs: Sequence[str],
    ours: Sequence[str],
    work: Path,
    rounds: int,
    *,
    house: Sequence[str] | None = None,
    on_clock: bool = False,
) -> dict[str, Any]:
    """Measure two parts that leave their pictures in a folder, as ``theirs.npy``, ``again.npy`` and ``ours.npy``.

    Args:
        pair: what they are
        shown: what they are shown  [(H, W, 3) uint8, or a few of them]
        theirs: arguments of this Python that make the one; it is ready before the other starts
        ours: the same of the other
        work: the folder
        rounds: how often each is timed
        house: arguments that make a third part, which is timed only
        on_clock: the clock tells the ratios: processors wait for a GPU

    Returns:
        The case; what is ``missing`` where one could not start.
    """
    about = {"model": pair.model, "size": f"{shown.shape[-2]}x{shown.shape[-3]}"}
    with ExitStack() as stack:
        parts = []
        for who, command in (("theirs", theirs), ("ours", ours), *([("house", house)] if house else [])):
            part = Part(f"{pair.model} {who}", command)
            stack.callback(part.close)
            try:
                part.wait()
            except PochoirError as error:
                return about | {"missing": str(error)}
            parts.append(part)
        in_turn(parts, rounds)
        their, our, *others = (part.case() for part in parts)
        note = parts[0].about.get("note", "")
    left = {name: np.load(work / f"{name}.npy") for name in ("theirs", "ours", "again")}
    found = compared(left["theirs"], left["ours"], left["again"], shown)
    by = "s_per_frame" if on_clock else "cpu_s"
    ratios = {"ratio": their[by] / our[by], "clock_ratio": their["s_per_frame"] / our["s_per_frame"]}
    if others:
        ratios["house_ratio"] = their[by] / others[0][by]
    times = {
        f"{who} {what}": case[what]
        for what in ("s_per_frame", "cpu_s", "rss_mb")
        for who, case in (("theirs", their), ("ours", our))
    } | {f"{who} fps": 1 / case["s_per_frame"] for who, case in (("theirs", their), ("ours", our))}
    return about | times | ratios | {"goal": pair.goal, **found, "note": note}


def compared(theirs: Array, ours: Array, again: Array, shown: Array) -> dict[str, Any]:
    """How far two pictures are apart.

    Args:
        theirs: [(H, W, 3) uint8, or float in [0, 1]]
        ours: of the same size
        again: theirs once more, summed in another order
        shown: what both were made from

    Returns:
        In 8-bit steps: ``max_difference``, ``mean_difference``, ``own_difference`` (of ``again``, at most) and ``made``
        (of ``theirs`` from what was shown, on average: near 0 nothing was measured); the share of values that
        differ by half a step or more; and whether they are the ``same``: nowhere further apart than a step.
    """
    their, our, other = (_steps(a) for a in (theirs, ours, again))
    if their.shape != our.shape:
        raise PochoirError(f"bench beside: their picture is {their.shape}, ours {our.shape}")
    apart, own = np.abs(their - our), float(np.abs(their - other).max())
    return {
        "max_difference": float(apart.max()),
        "mean_difference": float(apart.mean()),
        "differing": float((apart >= 0.5).mean()),
        "own_difference": own,
        "made": float(np.abs(their - plain(shown, their.shape[:2])).mean()),
        "same": bool(apart.max() <= STEP),
    }


def _steps(picture: Array) -> NDArray[np.float64]:
    return np.asarray(picture, np.float64) * (1 if picture.dtype == np.uint8 else 255)


def plain(shown: Array, size: tuple[int, int]) -> NDArray[np.float64]:
    """What there would be without a network: a grey picture, or the middle one of a few, enlarged  [8-bit steps]."""
    if shown.ndim == 3:
        return np.asarray(cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY)[..., None], np.float64)
    middle = shown[len(shown) // 2].astype(np.float32)
    return np.asarray(cv2.resize(middle, size[::-1], interpolation=cv2.INTER_LINEAR), np.float64)


def picture(model: str, size: tuple[int, int] | None = None) -> Array:
    """What a model is shown: a photograph, or a few of one that moves  [(H, W, 3) or (N, H, W, 3) uint8 R'G'B'].

    Args:
        model: id of its card
        size: (H, W); None: small for a network that enlarges, `SIZE` for one that colours
    """
    scene = np.asarray(pictures.astronaut(), np.uint8)  # type: ignore[no-untyped-call]
    if model not in edvr.VARIANTS:
        return np.asarray(cv2.resize(scene, (size or SIZE)[::-1], interpolation=cv2.INTER_AREA), np.uint8)
    h, w = size or SMALL
    if size:
        wide = np.asarray(cv2.resize(scene, (w + 2 * WINDOW, h), interpolation=cv2.INTER_AREA), np.uint8)
        return np.stack([wide[:, 2 * n : 2 * n + w] for n in range(WINDOW)])
    half = np.asarray(cv2.resize(scene, (256, 256), interpolation=cv2.INTER_AREA), np.uint8)
    return np.stack([half[20 : 20 + h, 60 + 2 * n : 60 + 2 * n + w] for n in range(WINDOW)])


def summarise(cases: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Ratios and sameness by model, of the pairs that were measured."""
    done = [case for case in cases if "missing" not in case]
    several = len({case["size"] for case in done if case["model"] == done[0]["model"]}) > 1
    named = [(f"{case['model']} {case['size']}" if several else case["model"], case) for case in done]
    return {
        "ratio": {name: case["ratio"] for name, case in named},
        "house_ratio": {name: case["house_ratio"] for name, case in named if "house_ratio" in case},
        "same": {name: case["same"] for name, case in named},
        "missing": sum("missing" in case for case in cases),
    }


# --- our part of a pair -----------------------------------------------------------------------------------------


def ours(model: str, folder: Path, device: str = "cpu", *, house: bool = False) -> Callable[[Array], Array]:
    """A model of the shelf from picture to picture, as `picture` gives it, on the faithful road or on the house's."""
    if model in edvr.VARIANTS:
        network = upscaler.load(edvr.VARIANTS[model], folder, device=device)
        return lambda frames: network.enlarge(list(_unit(frames)), len(frames) // 2)
    colouriser: deoldify.DeOldify | ddcolor.DDColor | siggraph17.SIGGRAPH17
    if model in deoldify.VARIANTS:
        colouriser = deoldify.DeOldify.load(model, folder, render_factor=RENDER_FACTOR, device=device)
    elif model in ddcolor.VARIANTS:
        colouriser = ddcolor.DDColor.load(model, folder, device=device)
    else:
        colouriser = siggraph17.SIGGRAPH17.load(folder, device=device)

    def coloured(frame: Array) -> Array:
        luma = luma_of(frame.astype(np.float32) / np.float32(255))
        return join(luma, colouriser.predict(luma))

    return coloured if house else colouriser.faithful


def _unit(frames: Array) -> Iterator[NDArray[np.float32]]:
    return (frame.astype(np.float32) / np.float32(255) for frame in frames)


def main(model: str, work: str, device: str, road: str = "faithful") -> None:
    """Leave the picture in the folder where the road is the faithful one, then make it as often as told."""
    os.environ[VARIABLE] = "float32"
    folder = Path(work)
    shown = np.load(folder / "shown.npy")
    made = ours(model, folder, device, house=road == "house")
    if road == "faithful":
        np.save(folder / "ours.npy", made(shown))

    def go() -> int:
        made(shown)
        return 1

    serve(go)


if __name__ == "__main__":
    main(*sys.argv[1:])
