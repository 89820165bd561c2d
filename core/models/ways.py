"""Which way a network runs on a machine: at which precision, and compiled or not.

Plain float32 always works, and is what it says: a GPU's TF32 is off (`core.models.device`). A card says which half
precisions its model stands (`core.models.card`). On a GPU with units for it the first of them is used. On a processor
with units for bfloat16, a moment's measuring at the first use tells whether that is clearly faster.

To compile takes up to half a minute for every size of picture and gains little on some machines (a fifth on two cores
without such units), so only the embedded network is, and it is measured only when a person asks for it (``app.py
doctor --tune``, ``core.models.tuning``), and what won is remembered for that machine, device, version of torch and set
of weights. Published models see whole pictures and parts of many sizes, of which torch compiles the first eight in a
process and runs the others plainly: a picture would hang on what was made before it. Where compiled code is asked of
one, a line says that it runs plainly.

The way is part of a model's fingerprint, and with it of every cache key: pictures made in two ways differ by less than
half a ΔE, but they differ. So only machines with such units are measured at all, and once: what was measured is
remembered, in the same place as what ``doctor --tune`` found, and on one machine the choice is always the same.

``POCHOIR_PRECISION`` names a way and decides instead; ``POCHOIR_SETTINGS`` names the folder of what is remembered.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

import platformdirs
import torch
from torch import Tensor

from core.errors import InputError, PochoirError
from core.models.tensors import exact

log = logging.getLogger(__name__)
WAYS = ("float32", "bfloat16", "float32-compiled", "bfloat16-compiled")  # of the embedded network
HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
VARIABLE = "POCHOIR_PRECISION"
FOLDER_VARIABLE = "POCHOIR_SETTINGS"
WORTH_IT = 1.5  # by how much bfloat16 must be faster
ROUNDS = 3
_FAST_FLOAT16 = (7, 0)  # compute capability from which a GPU has units for products of float16


def has_units(device: torch.device, half: str = "bfloat16") -> bool:
    """Whether the device computes at a half precision itself, instead of by way of float32."""
    if device.type == "cuda":
        if half == "float16":
            return torch.cuda.get_device_capability(device) >= _FAST_FLOAT16
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    units = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return device.type == "cpu" and half == "bfloat16" and bool(units)


def is_compiled(way: str) -> bool:
    """Whether frames that are looked at together are looked at by compiled code."""
    return way.endswith("-compiled")


def running(way: str, device: torch.device) -> AbstractContextManager[object]:
    """Within it, convolutions and products run at the precision of that way."""
    half = HALVES.get(_precision(way))
    return nullcontext() if half is None else torch.autocast(device.type, half)


def _precision(way: str) -> str:
    return way.removesuffix("-compiled")


def in_way(fingerprint: str, way: str) -> str:
    """A model's fingerprint with the way it runs; at float32, which needs no telling, as it is."""
    return fingerprint if way == "float32" else f"{fingerprint}-{way}"


def held(answer: Tensor, way: str, name: str) -> Tensor:
    """A network's answer at float32, where the way's numbers reached as far as the network's.

    Args:
        answer: as the network gave it
        way: in which it ran
        name: of the model, for the message

    Raises:
        PochoirError: at half precision it came to what is no number.
    """
    if way in HALVES and not torch.isfinite(answer).all():
        raise PochoirError(f"{name}: its numbers leave the range of {way}; set {VARIABLE}=float32 and do it again")
    return exact(answer)


def choose(work: Callable[[], object], device: torch.device, weights: str) -> str:
    """Choose for the embedded network: by what was remembered, else by the clock where there is a choice.

    Args:
        work: a typical call of the network; asked only where the clock decides
        device: where it runs
        weights: what tells these weights, and the code around them, from others

    Returns:
        One of ``WAYS``

    Raises:
        InputError: the environment asks for a way that is not known.
    """
    said = asked()
    if said is not None:
        return said if said in WAYS else "float32"
    return remembered(device, weights) or (_measured(work, device, weights) if has_units(device) else "float32")


def choose_published(halves: Sequence[str], work: Callable[[], object], device: torch.device, model: str) -> str:
    """Choose for a published model, by its card; by the clock only on a processor, and once on a machine.

    Args:
        halves: which half precisions it stands, the one to be taken first in front
        work: a typical call of it, at float32; asked only where the clock decides
        device: where it runs
        model: its name, which with the machine tells what was measured

    Returns:
        ``"float32"`` or one of ``halves``

    Raises:
        InputError: the environment asks for a way that is not known.
    """
    said = asked()
    if said is not None:
        way = _precision(said) if _precision(said) in halves else "float32"
        if is_compiled(said):
            log.warning("%s: runs at %s, not compiled: of all networks only the embedded one is", model, way)
        return way
    able = [half for half in halves if has_units(device, half)]
    if not able:
        return "float32"
    if device.type == "cuda":
        return able[0]
    return remembered(device, model) or _measured(work, device, model)


def asked() -> str | None:
    """The way that the environment asks of every model, or None.

    Raises:
        InputError: it is not known.
    """
    said = os.environ.get(VARIABLE, "auto").lower()
    if said in (*WAYS, *HALVES):
        return said
    if said != "auto":
        raise InputError(f"{VARIABLE}={said}: expected auto, float16, {', '.join(WAYS[:-1])} or {WAYS[-1]}")
    return None


def _measured(work: Callable[[], object], device: torch.device, weights: str) -> str:
    """bfloat16 where it is clearly faster, else float32; remembered where that can be kept."""
    full, half = (_seconds(work, way, device) for way in WAYS[:2])
    way = remembered(device, weights)  # another process may have measured meanwhile: all are to go the same way
    if way is None:
        way = "bfloat16" if half * WORTH_IT < full else "float32"
        with suppress(InputError):  # where nothing can be kept, the next start measures again
            remember(way, device, weights)
    return way


def remembered(device: torch.device, weights: str) -> str | None:
    """The way that won when this machine was measured, or None where it was not, or has changed since."""
    try:
        way = json.loads(record_file().read_text("utf-8"))[_machine(device, weights)]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return way if way in WAYS else None


def remember(way: str, device: torch.device, weights: str) -> Path:
    """Keep what won for this machine.

    Returns:
        The file it is kept in.

    Raises:
        InputError: it cannot be written.
    """
    place = record_file()
    part = place.with_name(f"{place.name}.{os.getpid()}.part")
    try:
        held = json.loads(place.read_text("utf-8"))
    except (OSError, ValueError):
        held = {}
    held = (held if isinstance(held, dict) else {}) | {_machine(device, weights): way}
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(held, indent=1, sort_keys=True) + "\n", "utf-8")
        part.replace(place)
    except OSError as error:
        raise InputError(
            f"{place}: {error.strerror}; the choice cannot be kept, set {VARIABLE}={way} instead"
        ) from None
    return place


def record_file() -> Path:
    """Where what was measured is kept: with the user's settings, for a cache may be deleted at any time."""
    named = os.environ.get(FOLDER_VARIABLE, "").strip()
    folder = Path(named).expanduser() if named else platformdirs.user_config_path("pochoir", appauthor=False)
    return folder / "ways.json"


def _machine(device: torch.device, weights: str) -> str:
    """What must be the same for a measurement to hold."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    return f"{device.type} {name}, {torch.get_num_threads()} threads, torch {torch.__version__}, {weights}"


def _seconds(work: Callable[[], object], way: str, device: torch.device) -> float:
    """The least time of a few calls, after one that warms up  [s]."""
    took = []
    with torch.inference_mode(), running(way, device):
        for _ in range(1 + ROUNDS):
            began = time.perf_counter()
            work()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            took.append(time.perf_counter() - began)
    return min(took[1:])
