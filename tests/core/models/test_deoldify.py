"""The port of DeOldify against what the authors' own code gave for the same inputs and weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from core.contract.plugins import Plugins
from core.errors import InputError, ModelMissingError, ShapeError, WeightsError
from core.film.colour import luma_of, srgb_to_lab
from core.models import deoldify
from core.models.checkpoint import load_into
from core.models.deoldify import DeOldify, squeeze, transplant
from core.models.deoldify_net import Generator, _Attention, _Bottom, _Enlarge
from tests.parity import Fixture, needs_parity, warm_up, within

FIXTURES = {"wide": "deoldify_stable_video", "deep": "deoldify_artistic"}


@pytest.fixture(scope="module")
def recorded() -> Fixture:
    return Fixture(FIXTURES["deep"])


@pytest.fixture(scope="module")
def artistic(recorded, device, tmp_path_factory) -> DeOldify:
    """The artistic generator with the recorded weights, by way of a file as its authors publish it."""
    warm_up()
    folder = tmp_path_factory.mktemp("models")
    path = folder / "ColorizeArtistic_gen.pth"
    torch.save(
        {"model": recorded.weights(), "opt": {"lr": slice(0.1, 0.2)}}, path, _use_new_zipfile_serialization=False
    )
    made = DeOldify.load("deoldify-artistic", folder, render_factor=8, device=device)
    assert made._network.network.training is False  # read now, before its file is gone
    path.unlink()
    return made


@pytest.fixture(scope="module")
def small() -> DeOldify:
    """Random weights, for what needs no truth."""
    return DeOldify.random_init("deoldify-artistic", seed=5, render_factor=2, device="cpu")


@needs_parity
@pytest.mark.parametrize("kind", ["wide", "deep"])
def test_names_and_shapes_are_the_published_ones(kind):
    published = {k["name"]: tuple(k["shape"]) for k in Fixture(FIXTURES[kind]).keys}
    plain = {}
    for name, shape in published.items():
        stem, _, leaf = name.rpartition(".")
        if leaf == "weight_g":
            plain[f"{stem}.weight"] = published[f"{stem}.weight_v"]
        elif leaf not in ("weight_u", "weight_v"):
            plain[f"{stem}.weight" if leaf == "weight_orig" else name] = shape
    with torch.device("meta"):
        net = Generator(kind)
    assert {k: tuple(v.shape) for k, v in net.state_dict().items()} == plain


@needs_parity
@pytest.mark.parametrize("case", ["net112", "net128", "net96x128"])
def test_the_artistic_network_gives_the_recorded_numbers(artistic, recorded, device, case):
    given, wanted, limits = recorded.case(case)
    with torch.inference_mode():
        got = artistic._network(torch.from_numpy(given["x"]).to(device)).cpu().numpy()
    within(got, wanted["y"], limits["y"])


@needs_parity
@pytest.mark.parametrize("factor", [8, 7])
def test_the_faithful_road_gives_the_recorded_picture(artistic, recorded, factor):
    the_faithful_road_is_the_recorded_one(artistic, recorded, factor)


def the_faithful_road_is_the_recorded_one(made: DeOldify, recorded: Fixture, factor: int) -> None:
    given, wanted, limits = recorded.case(f"pipeline_rf{factor}")
    model = made.at(factor)
    small = squeeze(given["rgb"], factor * 16)
    within(small, wanted["model_input_rgb"], limits["model_input_rgb"])
    within(model.faithful_colour(small), wanted["model_image"], limits["model_image"])
    within(model.faithful(given["rgb"]), wanted["final"], limits["final"])
    # The last step by itself, from the recorded colour.
    np.testing.assert_array_equal(transplant(given["rgb"], wanted["raw_color"]), wanted["final"])


@pytest.fixture(scope="module")
def video(device) -> DeOldify:
    """The video generator with the recorded weights."""
    warm_up()
    with torch.device("meta"):
        net = Generator("wide")
    load_into(net, Fixture(FIXTURES["wide"]).weights(), where="fixture")
    return DeOldify(lambda: net, name="deoldify", weights="fixture", render_factor=8, device=device)


@needs_parity
@pytest.mark.slow
@pytest.mark.parametrize("case", ["net112", "net128", "net96x128"])
def test_the_video_network_gives_the_recorded_numbers(video, device, case):
    given, wanted, limits = Fixture(FIXTURES["wide"]).case(case)
    with torch.inference_mode():
        got = video._network(torch.from_numpy(given["x"]).to(device)).cpu().numpy()
    within(got, wanted["y"], limits["y"])


@needs_parity
@pytest.mark.slow
@pytest.mark.parametrize("factor", [8, 7])
def test_the_video_networks_faithful_road_gives_the_recorded_picture(video, factor):
    the_faithful_road_is_the_recorded_one(video, Fixture(FIXTURES["wide"]), factor)


@needs_parity
def test_both_roads_agree_on_chroma(artistic, recorded):
    """Float and 8-bit differ by their roundings and by where the picture is clipped, not by more."""
    rgb = recorded.case("pipeline_rf8")[0]["rgb"]
    grey = np.repeat(squeeze(rgb, 128)[..., :1], 3, axis=-1)
    ab = artistic.predict(luma_of(grey.astype(np.float32) / 255))
    eight = srgb_to_lab(artistic.faithful(grey).astype(np.float32) / 255)[..., 1:]
    assert np.abs(eight).mean() > 5  # there is something to agree on
    assert np.abs(ab - eight).mean() < 1.0


def test_any_size_gives_chroma_of_that_size(small):
    luma = np.linspace(0, 100, 37 * 53, dtype=np.float32).reshape(37, 53)
    ab = small.predict(luma)
    assert ab.shape == (37, 53, 2)
    assert ab.dtype == np.float32
    assert np.isfinite(ab).all()
    assert np.abs(ab).max() < 128


def test_what_is_no_plane_is_refused(small):
    with pytest.raises(ShapeError):
        small.predict(np.zeros((8, 8, 3), np.float32))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_bottoms_product_is_a_convolution(layout):
    torch.manual_seed(0)
    product = _Bottom(24, 16, 3, padding=1, bias=False).requires_grad_(False).to(memory_format=layout)
    x = torch.randn(2, 24, 5, 7).to(memory_format=layout)
    wanted = F.conv2d(x.double(), product.weight.double(), padding=1)
    torch.testing.assert_close(product(x).double(), wanted, atol=1e-5, rtol=0)


def test_laid_out_plainly_every_sum_is_the_published_one():
    """What the network computes in an order of its own, it computes in the published order where memory is plain."""
    torch.manual_seed(0)
    x = torch.randn(1, 64, 18, 22)
    bottom, enlarge, attention = _Bottom(64, 48, 3, padding=1, bias=False), _Enlarge(64, 12, norm=False), _Attention(64)
    attention.gamma.data.fill_(0.3)
    with torch.inference_mode():
        assert torch.equal(bottom(x), F.conv2d(x, bottom.weight, padding=1))
        blur = nn.Sequential(nn.PixelShuffle(2), nn.ReplicationPad2d((1, 0, 1, 0)), nn.AvgPool2d(2, stride=1))
        assert torch.equal(enlarge(x), blur(F.relu(enlarge.conv(x))))
        flat = x.view(1, 64, -1)
        query, key, value = attention.query(flat), attention.key(flat), attention.value(flat)
        seen = torch.bmm(value, F.softmax(torch.bmm(query.permute(0, 2, 1).contiguous(), key), dim=1))
        assert torch.equal(attention(x), (attention.gamma * seen + flat).view(x.shape))


def test_one_road_does_not_change_what_the_other_gives(small):
    rgb = np.random.default_rng(2).integers(0, 256, (24, 30, 3), np.uint8)
    luma = luma_of(rgb.astype(np.float32) / 255)
    first = small.faithful(rgb), small.predict(luma)
    np.testing.assert_array_equal(small.faithful(rgb), first[0])
    np.testing.assert_array_equal(small.predict(luma), first[1])


def test_training_mode_cannot_be_entered(small):
    net = small._network.network
    net.train()
    assert not any(m.training for m in net.modules())


def test_the_fingerprint_holds_weights_and_render_factor(small):
    net = small._network.network
    made = [
        DeOldify(lambda: net, name=n, weights=w, render_factor=f, device="cpu").fingerprint
        for n, w, f in [("deoldify", "x", 21), ("deoldify", "x", 22), ("deoldify", "y", 21)]
    ]
    assert len(set(made)) == 3
    assert made[0] == DeOldify(lambda: net, name="deoldify", weights="x", render_factor=21, device="cpu").fingerprint


@pytest.mark.parametrize("factor", [0, 1, 500])
def test_a_render_factor_out_of_bounds_is_refused(small, factor):
    with pytest.raises(InputError, match=f"render factor {factor}"):
        DeOldify(lambda: small._network.network, name="deoldify", weights="x", render_factor=factor, device="cpu")


def test_a_missing_checkpoint_says_which_where_and_whence(tmp_path, monkeypatch):
    monkeypatch.setenv("POCHOIR_MODELS", str(tmp_path))
    plugins = Plugins()
    deoldify.register(plugins)
    assert set(plugins.colourisers) == {"deoldify", "deoldify-stable", "deoldify-artistic"}
    with pytest.raises(ModelMissingError) as caught:
        plugins.colourisers.get("deoldify")("cpu")
    message = str(caught.value)
    assert "\n" not in message
    for part in ("ColorizeVideo_gen.pth", str(tmp_path), "https://"):
        assert part in message


def test_the_wrong_checkpoint_is_refused_by_name(tmp_path):
    path = tmp_path / "ColorizeArtistic_gen.pth"
    torch.save({"layers.0.0.weight": torch.zeros(64, 3, 7, 7)}, path)
    made = DeOldify.load("deoldify-artistic", tmp_path, render_factor=2, device="cpu")
    with pytest.raises(WeightsError, match=r"ColorizeArtistic_gen\.pth: 'layers\."):
        made.predict(np.zeros((8, 8), np.float32))
