"""The port of RIFE against what the authors' own code gave for the same inputs and weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from core.contract.plugins import Plugins
from core.errors import ModelMissingError, ShapeError, WeightsError
from core.models import rife
from core.models.checkpoint import read_checkpoint
from core.models.rife import Rife, network_for
from core.models.rife_net import V4_6, V4_17, V4_25, IFNet, PaperNet, warp
from tests.parity import Fixture, needs_parity, warm_up, within

VERSIONS = ["rife_v46", "rife_v417", "rife_v425", "rife_eccv2022"]
ONLY_FOR_TRAINING = "block_tea."


def published(fixture: Fixture, folder: Path) -> Path:
    """A file as the authors publish it: every name begins with ``module.``."""
    path = folder / "flownet.pkl"
    torch.save(fixture.weights(), path, _use_new_zipfile_serialization=False)
    return path


def by_chance(network: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.5 / max(1, parameter[0].numel()) ** 0.5)
    return network.requires_grad_(False)


@needs_parity
@pytest.mark.parametrize("version", VERSIONS)
def test_names_and_shapes_are_the_published_ones(version):
    names = {k["name"].removeprefix("module."): tuple(k["shape"]) for k in Fixture(version).keys}
    names = {name: shape for name, shape in names.items() if not name.startswith(ONLY_FOR_TRAINING)}
    net = network_for({name: torch.empty(shape, device="meta") for name, shape in names.items()}, where="fixture")
    assert {k: tuple(v.shape) for k, v in net.state_dict().items()} == names


@needs_parity
@pytest.mark.parametrize("version", VERSIONS)
def test_the_network_gives_the_recorded_numbers(version, device, tmp_path):
    warm_up()
    fixture = Fixture(version)
    published(fixture, tmp_path)
    network = Rife.load(tmp_path, device=device)._network()
    for case in fixture.config["cases"]:
        given, wanted, limits = fixture.case(case["name"])
        first, second = (torch.from_numpy(given[name]).to(device) for name in ("frame0", "frame1"))
        with torch.inference_mode():
            if isinstance(network, PaperNet):
                scale = 4 / case["args"]["scale_list"][0]
                got = {"y": network(first, second, scale), "flow": network.estimate(first, second, scale)[2]}
            else:
                got = {"y": network(first, second, case["args"]["timestep"], case["args"]["scale"])}
        assert set(got) == set(wanted)
        for name, tensor in got.items():
            within(tensor.cpu().numpy(), wanted[name], limits[name])


@needs_parity
def test_a_picture_is_padded_below_and_right_and_cut_again(tmp_path):
    """The recorded picture, less a row and a column: the same numbers as with these left black."""
    fixture = Fixture("rife_v46")
    published(fixture, tmp_path)
    model = Rife.load(tmp_path, device="cpu")
    given, _, _ = fixture.case("t025")
    black = {name: array.copy() for name, array in given.items()}
    for array in black.values():
        array[..., 63:, :] = array[..., 95:] = 0
    with torch.inference_mode():
        whole = model._network()(*map(torch.from_numpy, black.values()), 0.25)
    a, b = (array[0].transpose(1, 2, 0)[:63, :95] for array in given.values())
    made = model.between(a, b, 0.25)
    assert made.shape == (63, 95, 3)
    np.testing.assert_allclose(made, whole[0].permute(1, 2, 0).clamp(0, 1)[:63, :95].numpy(), atol=1e-6)


@pytest.mark.parametrize("make", [lambda: IFNet(V4_6), lambda: IFNet(V4_17), lambda: IFNet(V4_25), PaperNet])
def test_a_picture_of_any_size_keeps_it(make):
    model = Rife(lambda: by_chance(make()), weights="x", device="cpu")
    rgb = np.random.default_rng(1).uniform(0, 1, (37, 53, 3)).astype(np.float32)
    made = model.between(rgb, rgb[::-1], 0.3)
    assert made.shape == rgb.shape
    assert made.dtype == np.float32
    assert 0 <= made.min() <= made.max() <= 1


def test_large_pictures_have_their_flow_estimated_at_half_the_size(monkeypatch):
    asked = []

    class Spy(IFNet):
        def make(self, one, two, t, scale):
            asked.append((tuple(one.shape[2:]), scale))
            return one[:, :3]

    monkeypatch.setattr(rife, "LARGE", 100)
    model = Rife(lambda: Spy(V4_25), weights="x", device="cpu")
    for width in (100, 101):
        picture = np.zeros((70, width, 3), np.float32)
        assert model.between(picture, picture, 0.5).shape == picture.shape
    assert asked == [((128, 128), 1.0), ((128, 128), 0.5)]


@pytest.mark.parametrize("t", [0.5, 0.25, 0.3, 1 / 3, 0.01, 0.995])
def test_the_papers_network_comes_to_any_time_by_halving(t):
    class Middle(PaperNet):
        def forward(self, first, second, scale=1.0):
            return (first + second) / 2

    model = Rife(Middle, weights="x", device="cpu")
    a, b = np.zeros((32, 32, 3), np.float32), np.ones((32, 32, 3), np.float32)
    assert np.abs(model.between(a, b, t) - t).max() <= rife.NEAR + 1e-6


def test_warping_follows_the_flow_and_repeats_the_border():
    planes = torch.arange(8.0).expand(1, 1, 4, 8).contiguous()
    flow = torch.zeros(1, 2, 4, 8)
    flow[:, 0] = 2.0
    torch.testing.assert_close(warp(planes, flow)[0, 0, 0], torch.tensor([2.0, 3, 4, 5, 6, 7, 7, 7]))


def test_the_checkpoint_is_read_once_and_not_before_it_is_needed(tmp_path):
    path = tmp_path / "flownet_v4.6.pkl"
    torch.save({f"module.{k}": v for k, v in by_chance(IFNet(V4_6)).state_dict().items()}, path)
    model = Rife.load(tmp_path, device="cpu")
    rgb = np.random.default_rng(1).uniform(0, 1, (32, 32, 3)).astype(np.float32)
    made = model.between(rgb, rgb[::-1], 0.5)
    path.unlink()
    assert np.array_equal(model.between(rgb, rgb[::-1], 0.5), made)


def test_what_only_training_asks_is_left_out(tmp_path):
    path = tmp_path / "flownet.pkl"
    weights = {**by_chance(IFNet(V4_25)).state_dict(), "teacher.conv.weight": torch.ones(3, 3)}
    torch.save({f"module.{k}": v for k, v in weights.items()}, path)
    assert isinstance(Rife.load(tmp_path, device="cpu")._network(), IFNet)
    assert "teacher.conv.weight" in read_checkpoint(path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda w: {"conv.weight": torch.ones(3)}, "none of RIFE's versions"),
        (lambda w: {k: v for k, v in w.items() if k != "block1.conv0.0.0.bias"}, "'block1.conv0.0.0.bias' is missing"),
        (lambda w: {**w, "block1.more": torch.ones(3)}, "'block1.more' is not of this network"),
        (lambda w: {**w, "block0.lastconv.0.bias": torch.ones(3)}, "'block0.lastconv.0.bias' is"),
    ],
)
def test_the_wrong_checkpoint_is_refused_by_name(tmp_path, spoil, message):
    torch.save(spoil(dict(by_chance(IFNet(V4_6)).state_dict())), tmp_path / "flownet.pkl")
    model = Rife.load(tmp_path, device="cpu")
    picture = np.zeros((32, 32, 3), np.float32)
    with pytest.raises(WeightsError, match=message):
        model.between(picture, picture, 0.5)


def test_pictures_of_two_sizes_are_refused():
    with pytest.raises(ShapeError, match="not of one size"):
        Rife(PaperNet, weights="x", device="cpu").between(np.zeros((8, 8, 3)), np.zeros((8, 9, 3)), 0.5)


def test_the_fingerprint_holds_the_weights():
    made = [Rife(PaperNet, weights=w, device="cpu").fingerprint for w in ("x", "y", "x")]
    assert made[0] == made[2] != made[1]


def test_a_missing_checkpoint_says_which_where_and_whence(tmp_path, monkeypatch):
    monkeypatch.setenv("POCHOIR_MODELS", str(tmp_path))
    plugins = Plugins()
    rife.register(plugins)
    with pytest.raises(ModelMissingError) as caught:
        plugins.interpolators.get("rife")("cpu")
    for part in ("flownet.pkl", str(tmp_path), "https://"):
        assert part in str(caught.value)
