"""Which way the embedded network runs on a machine: at which precision, and compiled or not.

Plain float32 always works. Where a processor has units for bfloat16, a moment's measuring at the start tells whether
that is clearly faster. To compile takes up to half a minute for every size of picture and gains little on some machines
(a fifth on two cores without such units), so it is measured only when a person asks for it (``app.py doctor --tune``,
``core.models.tuning``), and what won is remembered for that machine, device, version of torch and set of weights.

The way is part of the colouriser's fingerprint, and with it of every cache key: pictures made in two ways differ by
less than half a ΔE, but they differ. So only machines with such units are measured at all, and the gain asked for is
far above what a clock's moods amount to: on one machine the choice is always the same.

``POCHOIR_PRECISION`` names a way and decides instead; ``POCHOIR_SETTINGS`` names the folder of what is remembered.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import platformdirs
import torch

from core.errors import InputError

WAYS = ("float32", "bfloat16", "float32-compiled", "bfloat16-compiled")
VARIABLE = "POCHOIR_PRECISION"
FOLDER_VARIABLE = "POCHOIR_SETTINGS"
WORTH_IT = 1.5  # by how much bfloat16 must be faster
ROUNDS = 3


def has_units(device: torch.device) -> bool:
    """Whether the device computes with bfloat16 itself, instead of by way of float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def is_compiled(way: str) -> bool:
    """Whether frames that are looked at together are looked at by compiled code."""
    return way.endswith("-compiled")


def running(way: str, device: torch.device) -> AbstractContextManager[object]:
    """Within it, convolutions and products run at the precision of that way."""
    return torch.autocast(device.type, torch.bfloat16) if way.startswith("bfloat16") else nullcontext()


def choose(work: Callable[[], object], device: torch.device, weights: str) -> str:
    """Choose by what was remembered, else by the clock where there is a choice.

    Args:
        work: a typical call of the network
        device: where it runs
        weights: what tells these weights, and the code around them, from others

    Returns:
        One of ``WAYS``

    Raises:
        InputError: the environment asks for a way that is not known.
    """
    asked = os.environ.get(VARIABLE, "auto").lower()
    if asked in WAYS:
        return asked
    if asked != "auto":
        raise InputError(f"{VARIABLE}={asked}: expected auto, {', '.join(WAYS[:-1])} or {WAYS[-1]}")
    known = remembered(device, weights)
    if known is not None:
        return known
    if not has_units(device):
        return "float32"
    full, half = (_seconds(work, way, device) for way in WAYS[:2])
    return "bfloat16" if half * WORTH_IT < full else "float32"


def remembered(device: torch.device, weights: str) -> str | None:
    """The way that won when this machine was tuned, or None where it was not, or has changed since."""
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
