"""Recorded inputs and outputs of the authors' reference code, and the weights they were recorded with."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

PARITY = Path(__file__).resolve().parents[2] / "shared" / "parity"
# Whoever asks for the fixture `device` (tests/core/models/conftest.py) runs on each of them.
DEVICES = (
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device"),
        ],
    ),
)
needs_parity = pytest.mark.skipif(not (PARITY / "weights_rule.py").is_file(), reason=f"no parity fixtures in {PARITY}")


class Fixture:
    """One folder of recorded inputs and outputs."""

    def __init__(self, name: str) -> None:
        folder = PARITY / name
        self.config = json.loads((folder / "config.json").read_text())
        names = folder / "keys.json"  # operators have no weights
        self.keys = json.loads(names.read_text())["keys"] if names.is_file() else []
        self.inputs = np.load(folder / "input.npz")
        self.outputs = np.load(folder / "output.npz")

    def weights(self) -> dict[str, torch.Tensor]:
        spec = importlib.util.spec_from_file_location("weights_rule", PARITY / "weights_rule.py")
        assert spec is not None
        assert spec.loader is not None
        rule = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(rule)
        keys = [(k["name"], k["shape"], k["dtype"]) for k in self.keys]
        fixed = {
            k["name"]: torch.tensor(k["value"], dtype=getattr(torch, k["dtype"])) for k in self.keys if "value" in k
        }
        return rule.make_weights(keys, self.config["weights"], fixed)

    def case(self, name: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, Any]]:
        spec = next(c for c in self.config["cases"] if c["name"] == name)
        given = {k: self.inputs[f"{name}.{k}"] for k in spec["inputs"]}
        return given, {k: self.outputs[f"{name}.{k}"] for k in spec["outputs"]}, spec["outputs"]


def warm_up() -> None:
    """The first parallel transcendental of a process may be wrong by 1e-4 on one thread; have it done."""
    x = torch.rand(1 << 17) + 0.1
    for name in ("exp", "sqrt", "tanh", "sigmoid", "rsqrt"):
        getattr(torch, name)(x)


def within(got: np.ndarray, wanted: np.ndarray, limits: dict[str, Any]) -> None:
    """Compare with what was recorded, within the tolerance recorded beside it.

    After a step that is not continuous a share of the elements may lie anywhere, where the record says so.
    """
    assert got.shape == wanted.shape
    apart = np.abs(got.astype(np.float64) - wanted.astype(np.float64))
    assert (apart > limits["max_abs"]).mean() <= limits.get("allow_frac", 0.0)
    assert apart.mean() <= limits.get("mean_abs", np.inf)
