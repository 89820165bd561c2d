"""At which precision a network runs: float32, unless this machine has units that make bfloat16 clearly faster.

What is chosen is part of the colouriser's fingerprint, and with it of every cache key: pictures of two precisions
differ by less than half a ΔE, but they differ. So only machines with such units are measured at all, and the gain
asked for is far above what a clock's moods amount to: on one machine the choice is always the same.

``POCHOIR_PRECISION=float32`` (or ``bfloat16``) decides instead.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch

from core.errors import InputError

PRECISIONS = ("float32", "bfloat16")
VARIABLE = "POCHOIR_PRECISION"
WORTH_IT = 1.5  # by how much bfloat16 must be faster
ROUNDS = 3


def has_units(device: torch.device) -> bool:
    """Whether the device computes with bfloat16 itself, instead of by way of float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def running_at(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Within it, convolutions and products run at that precision."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else nullcontext()


def choose(work: Callable[[], object], device: torch.device) -> str:
    """Choose by the clock, where there is a choice.

    Args:
        work: a typical call of the network
        device: where it runs

    Returns:
        ``float32`` or ``bfloat16``

    Raises:
        InputError: the environment asks for a precision that is not known.
    """
    asked = os.environ.get(VARIABLE, "auto").lower()
    if asked in PRECISIONS:
        return asked
    if asked != "auto":
        raise InputError(f"{VARIABLE}={asked}: expected auto, {' or '.join(PRECISIONS)}")
    if not has_units(device):
        return "float32"
    full, half = (_seconds(work, precision, device) for precision in PRECISIONS)
    return "bfloat16" if half * WORTH_IT < full else "float32"


def _seconds(work: Callable[[], object], precision: str, device: torch.device) -> float:
    """The least time of a few calls, after one that warms up  [s]."""
    took = []
    with torch.inference_mode(), running_at(precision, device):
        for _ in range(1 + ROUNDS):
            began = time.perf_counter()
            work()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            took.append(time.perf_counter() - began)
    return min(took[1:])
