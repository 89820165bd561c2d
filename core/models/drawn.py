"""Networks with weights drawn at random, for measurements: their time and memory do not depend on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import save_file

from core.models.checkpoint import empty

N = TypeVar("N", bound=torch.nn.Module)
QUIET = 0.5  # of He's scale: a flow that is made in twenty steps still stays within the picture
_ONES = ("running_var", "weight", "gamma", "std")


def drawn(make: Callable[[], N], seed: int, gain: float = 1.0) -> N:
    """A network with random weights.

    Args:
        make: makes it
        seed: of the weights
        gain: of their scale; at 1, He's, the signal keeps its size from layer to layer: no overflow, and no slow
            denormals
    """
    network = empty(make).to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if tensor.ndim > 1 and name not in ("mean", "std"):
            tensor.normal_(0.0, gain * math.sqrt(2.0 / tensor[0].numel()), generator=generator)
        else:
            tensor.fill_(1 if name.endswith(_ONES) else 0)
    return network.requires_grad_(False)


def write_drawn(make: Callable[[], torch.nn.Module], path: Path, seed: int) -> None:
    """Write a checkpoint as `core.models.rewrite` leaves it, of quiet random weights."""
    table = drawn(make, seed, QUIET).state_dict()
    # Copies: some networks have one tensor under two names, which safetensors does not write.
    save_file({name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in table.items()}, path)
