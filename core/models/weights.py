"""Weights on disk: safetensors only, checked by sha256, by name and by shape, before a network sees them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse
from torch import Tensor, nn

from core.errors import WeightsError


def load_weights(path: Path, *, sha256: str | None = None) -> dict[str, Tensor]:
    """Read a safetensors file.

    Args:
        path: the file
        sha256: what it must hash to; None accepts any

    Returns:
        Tensors by name, on the CPU, floating ones as float32.

    Raises:
        WeightsError: the file is missing, damaged, not the one expected, or holds NaN or infinity.
    """
    try:
        raw = path.read_bytes()
    except OSError as fault:
        raise WeightsError(f"{path}: cannot be read ({fault.strerror}); put the weights there") from fault
    found = hashlib.sha256(raw).hexdigest()
    if sha256 is not None and found != sha256.lower():
        raise WeightsError(f"{path}: sha256 is {found[:16]}…, expected {sha256.lower()[:16]}…; fetch the file again")
    try:
        tensors = parse(raw)
    except SafetensorError as fault:
        raise WeightsError(f"{path}: not a whole safetensors file ({fault}); fetch it again") from fault
    out = {}
    for name, tensor in tensors.items():
        out[name] = tensor.to(torch.float32) if tensor.is_floating_point() else tensor
        if not torch.isfinite(out[name]).all():
            raise WeightsError(f"{path}: {name} holds NaN or infinity; export the weights again")
    return out


def fill(network: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Put weights into a network, every one of them and no other.

    Args:
        network: what is filled
        weights: tensors by name
        source: what the message calls them

    Raises:
        WeightsError: a name is missing or unknown, or a shape differs.
    """
    wanted = network.state_dict()
    missing, unknown = sorted(wanted.keys() - weights.keys()), sorted(weights.keys() - wanted.keys())
    if missing or unknown:
        raise WeightsError(
            f"{source}: not this network: {len(missing)} weights missing {missing[:3]}, "
            f"{len(unknown)} unknown {unknown[:3]}"
        )
    for name, tensor in wanted.items():
        if tensor.shape != weights[name].shape:
            raise WeightsError(f"{source}: {name} is {tuple(weights[name].shape)}, expected {tuple(tensor.shape)}")
    network.load_state_dict(dict(weights))
