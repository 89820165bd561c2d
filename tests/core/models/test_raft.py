"""The port of RAFT against torchvision's, which was written apart from it and loads the same trained weights.

No output of the authors' own code is recorded; of the published names one of each kind is checked.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from core.contract.plugins import Plugins
from core.errors import ModelMissingError, PochoirError, ShapeError, WeightsError
from core.flow import FlowEstimator
from core.models import raft
from core.models.card import CARDS
from core.models.checkpoint import COUNTER, empty
from core.models.raft import LAYOUTS, RaftFlow
from core.models.shelf import card_of
from core.models.torchvision_shim import ensure_torchvision
from tests.parity import warm_up

PARAMETERS = {"raft-large": 5_257_536, "raft-small": 990_162}  # as torchvision counts those of the authors' weights


def network(name: str) -> torch.nn.Module:
    return empty(lambda: raft.RAFT(LAYOUTS[name]))


def filled(name: str) -> dict[str, torch.Tensor]:
    """Weights of a usual scale for every published name."""
    generator = torch.Generator().manual_seed(3)
    weights = {}
    for key, tensor in network(name).state_dict().items():
        if key.endswith(COUNTER):
            weights[key] = torch.zeros((), dtype=torch.int64)
        elif tensor.ndim > 1:
            weights[key] = torch.randn(tensor.shape, generator=generator) / tensor[0].numel() ** 0.5
        else:
            ones = key.endswith(("running_var", "norm1.weight", "norm2.weight", "norm3.weight", "downsample.1.weight"))
            weights[key] = (1.0 if ones else 0.0) + 0.05 * torch.randn(tensor.shape, generator=generator).abs()
    for key in [k for k in weights if ".norm3." in k and "cnet" in k]:  # one norm under two names
        weights[key] = weights[key.replace(".norm3.", ".downsample.1.")]
    return weights


def in_torchvisions_names(weights: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    rules = [
        (r"^fnet\.", "feature_encoder."),
        (r"^cnet\.", "context_encoder."),
        (r"^(\w+_encoder)\.conv1\.", r"\1.convnormrelu.0."),
        (r"^(\w+_encoder)\.norm1\.", r"\1.convnormrelu.1."),
        (r"^(\w+_encoder)\.conv2\.", r"\1.conv."),
        (r"(layer\d\.\d)\.conv(\d)\.", r"\1.convnormrelu\2.0."),
        (r"(layer\d\.\d)\.norm(\d)\.", r"\1.convnormrelu\2.1."),
        (r"update_block\.encoder\.convc(\d)\.", r"update_block.motion_encoder.convcorr\1.0."),
        (r"update_block\.encoder\.convf(\d)\.", r"update_block.motion_encoder.convflow\1.0."),
        (r"update_block\.encoder\.conv\.", "update_block.motion_encoder.conv.0."),
        (r"gru\.conv([zrq])(\d?)\.", lambda m: f"recurrent_block.convgru{m[2] or 1}.conv{m[1]}."),
        (r"update_block\.mask\.0\.", "mask_predictor.convrelu.0."),
        (r"update_block\.mask\.2\.", "mask_predictor.conv."),
    ]
    renamed = {}
    for key, tensor in weights.items():
        if re.search(r"cnet.*\.norm3\.", key) and name == "raft-large":
            continue  # torchvision knows the shortcut's norm by one name
        for pattern, by in rules:
            key = re.sub(pattern, by, key)
        renamed[key] = tensor
    return renamed


@pytest.mark.parametrize("name", LAYOUTS)
def test_it_has_as_many_parameters_as_the_published_one(name):
    assert sum(p.numel() for p in network(name).parameters()) == PARAMETERS[name]


def test_names_are_the_published_ones():
    """What the authors' classes call their parts, of each kind one."""
    large, small = (network(name).state_dict() for name in ("raft-large", "raft-small"))
    shapes = {
        "fnet.conv1.weight": (64, 3, 7, 7),
        "fnet.layer2.0.downsample.0.weight": (96, 64, 1, 1),
        "fnet.conv2.weight": (256, 128, 1, 1),
        "cnet.norm1.running_mean": (64,),
        "cnet.layer2.0.norm3.weight": (96,),
        "cnet.layer2.0.downsample.1.weight": (96,),
        "cnet.layer3.1.conv2.bias": (128,),
        "update_block.encoder.convc1.weight": (256, 324, 1, 1),
        "update_block.encoder.conv.weight": (126, 256, 3, 3),
        "update_block.gru.convz1.weight": (128, 384, 1, 5),
        "update_block.gru.convq2.weight": (128, 384, 5, 1),
        "update_block.flow_head.conv1.weight": (256, 128, 3, 3),
        "update_block.mask.0.weight": (256, 128, 3, 3),
        "update_block.mask.2.weight": (576, 256, 1, 1),
    }
    assert {k: tuple(large[k].shape) for k in shapes} == shapes
    assert not any("norm" in k or "downsample.1" in k for k in large if k.startswith("fnet"))
    shapes = {
        "fnet.conv1.weight": (32, 3, 7, 7),
        "fnet.layer1.0.conv1.weight": (8, 32, 1, 1),
        "fnet.layer3.0.downsample.0.weight": (96, 64, 1, 1),
        "cnet.conv2.weight": (160, 96, 1, 1),
        "update_block.encoder.convc1.weight": (96, 196, 1, 1),
        "update_block.encoder.conv.weight": (80, 128, 3, 3),
        "update_block.gru.convz.weight": (96, 242, 3, 3),
        "update_block.flow_head.conv1.weight": (128, 96, 3, 3),
    }
    assert {k: tuple(small[k].shape) for k in shapes} == shapes
    assert not any("norm" in k or "mask" in k or "convc2" in k for k in small)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_published_file_gives_what_torchvisions_network_gives(name, tmp_path):
    if ensure_torchvision() == "absent":
        pytest.skip("torchvision is not installed")
    from torchvision.models import optical_flow

    warm_up()
    weights = filled(name)
    torch.save({f"module.{k}": v for k, v in weights.items()}, tmp_path / card_of(name).files[0].name)
    other = {"raft-large": optical_flow.raft_large, "raft-small": optical_flow.raft_small}[name](weights=None).eval()
    other.load_state_dict(in_torchvisions_names(weights, name), strict=True)
    generator = torch.Generator().manual_seed(1)
    a, b = torch.rand(2, 1, 3, 128, 136, generator=generator) * 2 - 1
    ours = RaftFlow(name, tmp_path, device="cpu")._network.network
    with torch.inference_mode():
        wanted, got = other(a, b, num_flow_updates=3)[-1], ours(a, b, 3)
    assert wanted.abs().max() > 0.5
    torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max()))


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> RaftFlow:
    folder = tmp_path_factory.mktemp("models")
    torch.save(filled("raft-small"), folder / "raft-small.pth")
    return RaftFlow("raft-small", folder, device="cpu")


def test_it_is_a_flow_estimator_for_any_size(small, monkeypatch):
    monkeypatch.setattr(raft, "UPDATES", 1)
    assert isinstance(small, FlowEstimator)
    luma = np.random.default_rng(2).uniform(0, 100, (37, 53)).astype(np.float32)
    pair = small.pair(luma, luma[::-1].copy())
    assert pair.forward.shape == (37, 53, 2)
    assert pair.forward.dtype == np.float32
    assert np.isfinite(pair.forward).all()
    assert 0 <= pair.forward_trust.min() <= pair.forward_trust.max() <= 1
    with pytest.raises(ShapeError):
        small.pair(luma, luma[1:])


def test_where_memory_ends_it_goes_on_on_the_cpu_and_there_it_says_so(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(raft, "UPDATES", 1)
    torch.save(filled("raft-small"), tmp_path / "raft-small.pth")
    luma = np.random.default_rng(2).uniform(0, 100, (24, 40)).astype(np.float32)
    usual, short = (RaftFlow("raft-small", tmp_path, device="cpu") for _ in range(2))
    wanted = usual.pair(luma, luma[::-1].copy())
    forward, full = raft.RAFT.forward, {"meta"}

    def within_limits(self, a, b, updates):
        if a.device.type in full:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")
        return forward(self, a, b, updates)

    monkeypatch.setattr(raft.RAFT, "forward", within_limits)
    fallback = short._network._laid
    fallback._place = fallback._on(torch.device("meta"))
    for _ in range(2):
        assert np.array_equal(short.pair(luma, luma[::-1].copy()).forward, wanted.forward)
    assert [r.getMessage() for r in caplog.records] == [
        "raft-small: out of memory on meta; going on on the CPU, more slowly"
    ]
    full.add("cpu")
    with pytest.raises(PochoirError, match=r"^raft-small: out of memory on cpu; close what else uses it$"):
        short.pair(luma, luma)


def test_both_are_offered_and_a_missing_one_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("POCHOIR_MODELS", str(tmp_path))
    plugins = Plugins()
    raft.register(plugins)
    assert set(plugins.flows) == {c.id for c in CARDS if c.task == "flow"}
    with pytest.raises(ModelMissingError, match=r"raft-things\.pth"):
        plugins.flows.get("raft-large")("cpu")


def test_the_wrong_checkpoint_is_refused_by_name(tmp_path):
    torch.save(filled("raft-small"), tmp_path / "raft-things.pth")
    luma = np.zeros((8, 8), np.float32)
    with pytest.raises(WeightsError, match=r"raft-things\.pth: '"):
        RaftFlow("raft-large", tmp_path, device="cpu").pair(luma, luma)
