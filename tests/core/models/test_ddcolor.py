"""The port of DDColor against what the authors' own code gave for the same inputs and weights."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from core.contract.plugins import Plugins
from core.errors import InputError, ModelMissingError, ShapeError, WeightsError
from core.film.colour import luma_of
from core.models import ddcolor
from core.models.ddcolor import DDColor, squeeze
from core.models.ddcolor_net import DualDecoder, _places
from core.models.drawn import drawn
from core.models.shelf import find
from tests.parity import Fixture, needs_parity, warm_up, within

# ImageNet's classifier, which published files may hold and the network has not.
HEAD = {"encoder.arch.head_cls.weight": torch.zeros(1000, 8), "encoder.arch.head_cls.bias": torch.zeros(1000)}
KINDS = [
    pytest.param("tiny", "ddcolor-tiny", "ddcolor_paper_tiny.pth", id="tiny"),
    pytest.param("large", "ddcolor", "ddcolor_modelscope.pth", id="large", marks=pytest.mark.slow),
]


def loaded(kind: str, name: str, file: str, folder: Path, device: str) -> DDColor:
    """The recorded weights, by way of a file as the authors publish it."""
    warm_up()
    recorded = Fixture(f"ddcolor_{kind}")
    torch.save({"params": recorded.weights() | HEAD}, folder / file)
    size = next(c for c in recorded.config["cases"] if c["name"] == "pipeline")["args"]["input_size"]
    model = DDColor.load(name, folder, size=size, device=device)
    assert model._network.network
    (folder / file).unlink()
    return model


@pytest.fixture(scope="module")
def model(request, device, tmp_path_factory) -> tuple[Fixture, DDColor]:
    kind, name, file = request.param
    return Fixture(f"ddcolor_{kind}"), loaded(kind, name, file, tmp_path_factory.mktemp(kind), device)


@pytest.fixture(scope="module")
def small() -> DDColor:
    """Random weights, for what needs no truth."""
    return DDColor.random_init("ddcolor-tiny", seed=5, size=64, device="cpu")


each_kind = pytest.mark.parametrize(
    "model",
    [pytest.param(p.values, id=p.id, marks=p.marks) for p in KINDS],
    indirect=True,
)


@needs_parity
@pytest.mark.parametrize("kind", ["tiny", "large"])
def test_names_and_shapes_are_the_published_ones(kind):
    plain = {}
    for key in Fixture(f"ddcolor_{kind}").keys:
        stem, _, leaf = key["name"].rpartition(".")
        if leaf not in ("weight_u", "weight_v"):
            plain[f"{stem}.weight" if leaf == "weight_orig" else key["name"]] = tuple(key["shape"])
    with torch.device("meta"):
        net = DualDecoder(kind)
    assert {k: tuple(v.shape) for k, v in net.state_dict().items()} == plain


@needs_parity
@each_kind
def test_the_recorded_numbers(model, device):
    recorded, colouriser = model
    for case in ("net64", "net64x96"):
        given, wanted, limits = recorded.case(case)
        with torch.inference_mode():
            got = colouriser._network(torch.from_numpy(given["x"]).to(device)).cpu().numpy()
        within(got, wanted["y"], limits["y"])


@needs_parity
@each_kind
def test_the_faithful_road_gives_the_recorded_picture(model):
    recorded, colouriser = model
    given, wanted, limits = recorded.case("pipeline")
    rgb = np.ascontiguousarray(given["bgr"][..., ::-1])
    small = squeeze(rgb, colouriser.size)
    within(small.transpose(2, 0, 1)[None], wanted["net_input"], limits["net_input"])
    within(colouriser.faithful_chroma(small).transpose(2, 0, 1)[None], wanted["ab"], limits["ab"])
    within(colouriser.faithful(rgb)[..., ::-1], wanted["final_bgr"], limits["final_bgr"])


@needs_parity
@pytest.mark.parametrize("model", [KINDS[0].values], ids=["tiny"], indirect=True)
def test_both_roads_agree_on_chroma(model):
    """Where nothing is resized they differ by OpenCV's coarse Lab alone."""
    _, colouriser = model
    rng = np.random.default_rng(1)
    blocks = rng.uniform(0.2, 0.8, (8, 8, 1)).repeat(32, 0).repeat(32, 1).repeat(3, 2)
    grey = np.round(blocks * 255).astype(np.uint8)
    ab = colouriser.predict(luma_of(grey.astype(np.float32) / 255))
    published = colouriser.faithful_chroma(squeeze(grey, colouriser.size))
    assert np.abs(published).mean() > 1  # there is something to agree on
    assert np.abs(ab - published).mean() < 0.1


def test_any_size_gives_chroma_of_that_size(small):
    luma = np.linspace(0, 100, 37 * 53, dtype=np.float32).reshape(37, 53)
    luma.setflags(write=False)
    ab = small.predict(luma)
    assert ab.shape == (37, 53, 2)
    assert ab.dtype == np.float32
    assert np.isfinite(ab).all()
    assert np.array_equal(ab, small.predict(luma))


def test_what_is_no_plane_is_refused(small):
    with pytest.raises(ShapeError):
        small.predict(np.zeros((8, 8, 3), np.float32))


def test_places_tell_rows_from_columns_whatever_the_size():
    cpu = torch.device("cpu")
    place = _places(4, 6, device=cpu).reshape(4, 6, 256)
    assert torch.equal(place[:, :1, :128].expand(4, 6, 128), place[..., :128])
    assert torch.equal(place[:1, :, 128:].expand(4, 6, 128), place[..., 128:])
    # The last cell is one whole turn on, in a picture of any size.
    torch.testing.assert_close(place[-1, -1], _places(9, 2, device=cpu)[-1], atol=1e-5, rtol=0)


def test_training_mode_cannot_be_entered():
    with torch.device("meta"):
        net = DualDecoder("tiny").train()
    assert not any(m.training for m in net.modules())


def test_the_fingerprint_holds_weights_and_size():
    made = [
        DDColor(lambda: None, name=n, weights=w, size=s, device="cpu").fingerprint
        for n, w, s in [("ddcolor", "x", 512), ("ddcolor", "x", 256), ("ddcolor", "y", 512), ("ddcolor", "x", 512)]
    ]
    assert len(set(made)) == 3
    assert made[0] == made[3]


def test_weights_are_read_at_first_use_and_once():
    calls = []

    def make() -> DualDecoder:
        calls.append(1)
        return drawn(partial(DualDecoder, "tiny"), 0)

    model = DDColor(make, name="ddcolor-tiny", weights="x", size=32, device="cpu")
    assert not calls
    model.predict(np.full((8, 8), 50, np.float32))
    model.predict(np.full((9, 8), 50, np.float32))
    assert len(calls) == 1


@pytest.mark.parametrize("size", [0, 100, 4096])
def test_a_size_out_of_bounds_is_refused(size):
    with pytest.raises(InputError, match=f"size {size}"):
        DDColor.random_init("ddcolor-tiny", size=size, device="cpu")


def test_a_missing_checkpoint_says_which_where_and_whence(tmp_path, monkeypatch):
    monkeypatch.setenv("POCHOIR_MODELS", str(tmp_path))
    plugins = Plugins()
    ddcolor.register(plugins)
    assert set(plugins.colourisers) == {"ddcolor", "ddcolor-artistic", "ddcolor-paper", "ddcolor-tiny"}
    with pytest.raises(ModelMissingError) as caught:
        plugins.colourisers.get("ddcolor-tiny")("cpu")
    for part in ("ddcolor_paper_tiny.pth", str(tmp_path), "https://"):
        assert part in str(caught.value)


def test_the_shared_file_is_found_under_both_of_its_names(tmp_path):
    (tmp_path / "pytorch_model.pt").write_bytes(b"x")
    assert find("ddcolor", tmp_path).name == "pytorch_model.pt"


def test_the_wrong_checkpoint_is_refused_by_name(tmp_path):
    torch.save({"params": {"encoder.arch.norm.weight": torch.zeros(768)}}, tmp_path / "ddcolor_paper_tiny.pth")
    model = DDColor.load("ddcolor-tiny", tmp_path, size=32, device="cpu")
    with pytest.raises(WeightsError, match=r"ddcolor_paper_tiny\.pth: '"):
        model.predict(np.full((8, 8), 50, np.float32))
