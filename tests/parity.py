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

# Which test compares what was recorded: folder, then case (or file where there are no cases), to the test. ``tests/
# test_parity.py`` holds it against what is there.
_MODELS = "tests/core/models/"
_NUMBERS = "::test_the_recorded_numbers"
_FILE = "::test_a_published_file_gives_the_recorded_numbers"
_RIFE = f"{_MODELS}test_rife.py::test_the_network_gives_the_recorded_numbers"
_DDCOLOR = {
    "net*": f"{_MODELS}test_ddcolor.py{_NUMBERS}",
    "pipeline": f"{_MODELS}test_ddcolor.py::test_the_faithful_road_gives_the_recorded_picture",
}
COVERED: dict[str, dict[str, str]] = {
    "dain_ops": {"*": f"{_MODELS}test_dain.py::test_an_operator_gives_the_recorded_numbers"},
    "dain_slowmotion": {
        "t050": f"{_MODELS}test_dain.py::test_the_network_gives_the_recorded_numbers_from_end_to_end",
        "t025": f"{_MODELS}test_dain.py::test_the_network_gives_the_recorded_numbers_at_any_time",
    },
    "dcn_v2_op": {"g?": f"{_MODELS}test_edvr.py::test_deformable_convolution_gives_the_recorded_numbers"},
    "ddcolor_large": _DDCOLOR,
    "ddcolor_tiny": _DDCOLOR,
    "deoldify_artistic": {
        "net*": f"{_MODELS}test_deoldify.py::test_the_artistic_network_gives_the_recorded_numbers",
        "pipeline_*": f"{_MODELS}test_deoldify.py::test_the_faithful_road_gives_the_recorded_picture",
    },
    "deoldify_stable_video": {
        "net*": f"{_MODELS}test_deoldify.py::test_the_video_network_gives_the_recorded_numbers",
        "pipeline_*": f"{_MODELS}test_deoldify.py::test_the_video_networks_faithful_road_gives_the_recorded_picture",
    },
    **{
        name: {"case0": f"{_MODELS}test_edvr.py{_FILE}"}
        for name in ("edvr_l_deblur", "edvr_l_x4_srblur", "edvr_m_x4", "edvr_m_x4_wotsa")
    },
    **{
        name: {"case0": f"{_MODELS}test_realesrgan.py{_FILE}"}
        for name in (
            "esrgan_x4_model_sub",
            "esrgan_x4_rrdb_trunk",
            "realesr_compact16",
            "realesr_compact32",
            "realesrgan_x2plus",
            "realesrgan_x4plus",
        )
    },
    "paddlegan_naming": {"mapping.json": f"{_MODELS}test_paddle.py::test_names_are_those_of_the_recorded_rules"},
    **{name: {"t*": _RIFE} for name in ("rife_eccv2022", "rife_v417", "rife_v425", "rife_v46")},
    "siggraph17": {
        "*hint*": f"{_MODELS}test_siggraph17.py::test_the_network_gives_the_recorded_chroma",
        "pipeline": f"{_MODELS}test_siggraph17.py::test_the_faithful_road_gives_the_recorded_picture",
    },
}


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
