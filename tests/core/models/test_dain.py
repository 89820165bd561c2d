"""The port of DAIN against what the authors' own code gave for the same inputs and weights."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from core.contract.plugins import Plugins
from core.errors import InputError, ModelMissingError, ShapeError, WeightsError
from core.models import dain
from core.models.dain import Dain
from core.models.dain_net import DainNet, Seen
from core.models.dain_ops import correlation, filter_interpolation, project_flow, warp_features
from tests.parity import PARITY, Fixture, needs_parity, warm_up, within


def interpolation(image: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """Bilinear sampling, 0 outside: filter interpolation with every tap 1, in a picture too large to leave."""
    h, w = image.shape[2:]
    more = (0, w + 1, 0, h + 1)
    ones = torch.ones(1, 4, 2 * h + 1, 2 * w + 1)
    got = filter_interpolation(F.pad(image, more, mode="replicate"), F.pad(flow, more), ones)[..., :h, :w]
    x = flow[:, :1] + torch.arange(w)
    y = flow[:, 1:] + torch.arange(h)[:, None]
    return torch.where((x >= 0) & (x < w) & (y >= 0) & (y < h), got, 0.0)


def separable_conv(image: torch.Tensor, vertical: torch.Tensor, horizontal: torch.Tensor) -> torch.Tensor:
    """Without flow only the taps to the left and above count: there lies the product of both kernels."""
    side = vertical.shape[1]
    kernel = F.pad(vertical[:, :, None] * horizontal[:, None], (0, 0, 0, 0, 0, side, 0, side)).flatten(1, 2)
    flow = image.new_zeros(image.shape[0], 2, *image.shape[2:])
    all_over = F.pad(kernel, (side - 1, 0, side - 1, 0))
    return filter_interpolation(image, flow, all_over)[..., side - 1 :, side - 1 :]


def separable_conv_flow(vertical: torch.Tensor, horizontal: torch.Tensor) -> torch.Tensor:
    """Where the middle of each kernel's mass lies: what the convolution makes of a ramp, by what it makes of 1."""

    def middle(kernel: torch.Tensor) -> torch.Tensor:
        side, w = kernel.shape[1], kernel.shape[3]
        first = torch.zeros_like(kernel)
        first[:, 0] = 1
        ones = kernel.new_ones(1, 1, kernel.shape[2] + side - 1, w + side - 1)
        ramp = ones * torch.arange(w + side - 1)
        mass, moment = (separable_conv(image, first, kernel) for image in (ones, ramp))
        return torch.where(mass == 0, -2000.0, moment / mass - torch.arange(w) - (side - 1) / 2)

    across, down = horizontal.double(), vertical.double()
    return torch.cat([middle(across), middle(down.mT).mT], dim=1)


OPS = {
    "flow_projection": lambda a, g: project_flow(g["flow"], g.get("weight"), fill_holes=a["fillhole"]),
    "filter_interpolation": lambda a, g: filter_interpolation(g["image"], g["flow"], g["kernel"]),
    "correlation": lambda a, g: correlation(g["f1"], g["f2"], a["max_displacement"]),
    "pwc_warp": lambda a, g: warp_features(g["image"], g["flow"]),
    # The package holds three more, which the published network never calls: they are no part of the program, and made
    # here of those that are.
    "interpolation": lambda a, g: interpolation(g["image"], g["flow"]),
    "separable_conv": lambda a, g: separable_conv(g["image"], g["vertical"], g["horizontal"]),
    "separable_conv_flow": lambda a, g: separable_conv_flow(g["vertical"], g["horizontal"]),
}


def tensors(arrays: dict[str, np.ndarray], device: str = "cpu") -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}


@pytest.fixture(scope="module")
def recorded() -> Fixture:
    return Fixture("dain_slowmotion")


@pytest.fixture(scope="module")
def model(recorded, device, tmp_path_factory) -> Dain:
    """DAIN with the recorded weights, by way of a file as its authors publish it: bare, of the old kind."""
    warm_up()
    folder = tmp_path_factory.mktemp("models")
    path = folder / "best.pth"
    torch.save(recorded.weights(), path, _use_new_zipfile_serialization=False)
    made = Dain.load(folder, device=device)
    made._network()
    path.unlink()
    return made


@needs_parity
def test_every_recorded_operator_is_compared():
    assert {c["args"]["op"] for c in Fixture("dain_ops").config["cases"]} == set(OPS)


@needs_parity
@pytest.mark.parametrize("op", OPS)
def test_an_operator_gives_the_recorded_numbers(op, device):
    fixture = Fixture("dain_ops")
    cases = [c for c in fixture.config["cases"] if c["args"]["op"] == op]
    assert cases
    for case in cases:
        given, wanted, limits = fixture.case(case["name"])
        got = OPS[op](case["args"], tensors(given, device))
        for name, tensor in zip(wanted, got if isinstance(got, tuple) else (got,), strict=True):
            within(tensor.cpu().numpy(), wanted[name], limits[name])


@needs_parity
def test_names_and_shapes_are_the_published_ones(recorded):
    with torch.device("meta"):
        net = DainNet()
    published = {k["name"]: tuple(k["shape"]) for k in recorded.keys}
    assert {k: tuple(v.shape) for k, v in net.state_dict().items()} == published


@needs_parity
def test_the_network_gives_the_recorded_numbers_from_end_to_end(model, recorded, device):
    given, wanted, limits = recorded.case("t050")
    net, frames = model._network(), tensors(given, device)
    with torch.inference_mode():
        seen = net.look(frames["frame0"], frames["frame1"])
        made = net.make(seen, 0.5)
    got = {
        "log_depth": torch.cat(seen.log_depth),
        "flow01_quarter": seen.flows[0],
        "flow10_quarter": seen.flows[1],
        "kernel0": seen.kernels[0],
        "kernel1": seen.kernels[1],
        "flow01_projected_0": made.flows[0],
        "flow10_projected_0": made.flows[1],
        "warped0_0": made.warped[0],
        "warped1_0": made.warped[1],
        "blend_0": made.blend,
        "rectified_0": made.picture,
    }
    assert set(got) == set(wanted)
    for name, tensor in got.items():
        within(tensor.cpu().numpy(), wanted[name], limits[name])


@needs_parity
@pytest.mark.slow
def test_the_network_gives_the_recorded_numbers_at_any_time(model, recorded, device):
    """From the recorded flow and depth on: a vector that ends a millionth beside a cell's border takes another cell."""
    given, wanted, limits = recorded.case("t025")
    net, frames = model._network(), tensors(given, device)
    with torch.inference_mode():
        seen = net.look(frames["frame0"], frames["frame1"])
        first = {"log_depth": torch.cat(seen.log_depth)}
        first |= {"flow01_quarter": seen.flows[0], "flow10_quarter": seen.flows[1]}
        for name, tensor in first.items():
            within(tensor.cpu().numpy(), wanted[name], limits[name])
        seen = as_recorded(seen, tensors(wanted, device))
        for place, t in enumerate((0.25, 0.5, 0.75)):
            made = net.make(seen, t)
            for name, tensor in (("flow01_projected", made.flows[0]), ("rectified", made.picture)):
                within(tensor.cpu().numpy(), wanted[f"{name}_{place}"], limits[f"{name}_{place}"])


def as_recorded(seen: Seen, wanted: dict[str, torch.Tensor]) -> Seen:
    first, second = wanted["log_depth"].chunk(2)
    return replace(seen, log_depth=(first, second), flows=(wanted["flow01_quarter"], wanted["flow10_quarter"]))


@needs_parity
@pytest.mark.slow
def test_in_double_precision_it_gives_the_recorded_numbers_from_end_to_end(recorded):
    """What float32 leaves to chance at the borders of cells, float64 does not."""
    given, wanted, limits = recorded.case("t025")
    net = DainNet().double()
    net.load_state_dict(recorded.weights())
    frames = {name: tensor.double() for name, tensor in tensors(given).items()}
    with torch.inference_mode():
        got = net(frames["frame0"], frames["frame1"], 0.5)
    within(got.numpy(), wanted["rectified_1"], limits["rectified_1"])


@needs_parity
def test_a_picture_of_any_size_keeps_it(model):
    rgb = np.random.default_rng(1).uniform(0, 1, (37, 53, 3)).astype(np.float32)
    made = model.between(rgb, rgb[::-1], 0.3)
    assert made.shape == rgb.shape
    assert made.dtype == np.float32
    assert 0 <= made.min() <= made.max() <= 1


@pytest.mark.skipif(not (PARITY / "ops_ref.py").is_file(), reason=f"no parity fixtures in {PARITY}")
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (7, 3)])
def test_operators_agree_with_their_definition_on_small_pictures(size, monkeypatch):
    monkeypatch.syspath_prepend(str(PARITY))
    import ops_ref

    rng = np.random.default_rng(3)
    flow = rng.normal(0, 1.5, (2, 2, *size)).astype(np.float32)
    weight = rng.uniform(0.5, 2, (2, 1, *size)).astype(np.float32)
    image = rng.normal(0, 1, (2, 3, *size)).astype(np.float32)
    kernel = rng.normal(0, 1, (2, 16, *size)).astype(np.float32)
    want, mass = ops_ref.flow_projection(flow, weight)
    got, heavy = project_flow(torch.from_numpy(flow), torch.from_numpy(weight))
    np.testing.assert_allclose(got.numpy(), want, atol=1e-5)
    np.testing.assert_allclose(heavy.numpy(), mass, atol=1e-5)
    got = filter_interpolation(*map(torch.from_numpy, (image, flow, kernel)))
    np.testing.assert_allclose(got.numpy(), ops_ref.filter_interpolation(image, flow, kernel), atol=1e-5)


def test_where_two_things_meet_the_nearer_wins():
    flow = torch.zeros(1, 2, 1, 8)
    flow[0, 0, 0, 2] = 3.0  # onto the pixel that stays at 5
    weight = torch.ones(1, 1, 1, 8)
    weight[0, 0, 0, 2] = 1e6
    back, _ = project_flow(flow, weight)
    assert back[0, 0, 0, 5] == pytest.approx(-3.0, abs=1e-3)


def test_a_vector_that_is_no_number_is_dropped():
    flow = torch.full((1, 2, 4, 4), float("nan"))
    assert not project_flow(flow)[0].any()
    image = torch.rand(1, 1, 4, 4)
    assert torch.equal(filter_interpolation(image, flow, torch.rand(1, 16, 4, 4)), image)


@pytest.mark.parametrize("taps", [9, 15])
def test_a_kernel_that_is_no_even_square_is_refused(taps):
    with pytest.raises(ShapeError, match="kernel"):
        filter_interpolation(torch.zeros(1, 3, 4, 4), torch.zeros(1, 2, 4, 4), torch.zeros(1, taps, 4, 4))


def test_training_mode_cannot_be_entered():
    with torch.device("meta"):
        net = DainNet()
    net.train()
    assert not any(m.training for m in net.modules())


class Mix:
    """In place of the network: a plain mix, and the sizes it was asked for."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def look(self, first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.sizes.append((first.shape[2], first.shape[3]))
        return first, second

    def make(self, seen: tuple[torch.Tensor, torch.Tensor], t: float) -> SimpleNamespace:
        return SimpleNamespace(picture=(1 - t) * seen[0] + t * seen[1])


@pytest.mark.parametrize(
    ("size", "seen"),
    [((37, 53), (128, 128)), ((128, 200), (192, 256)), ((768, 300), (832, 384))],
)
def test_pictures_are_padded_as_the_published_program_does(size, seen):
    mix, rng = Mix(), np.random.default_rng(0)
    a, b = rng.uniform(0, 1, (2, *size, 3)).astype(np.float32)
    made = Dain(lambda: mix, weights="x", device="cpu").between(a, b, 0.25)
    assert mix.sizes == [seen]
    np.testing.assert_allclose(made, 0.75 * a + 0.25 * b, atol=1e-6)


def test_tiles_make_one_picture_without_seams(monkeypatch):
    monkeypatch.setattr(dain, "TILES", (192,))
    mix, rng = Mix(), np.random.default_rng(0)
    a, b = rng.uniform(0, 1, (2, 250, 401, 3)).astype(np.float32)
    made = Dain(lambda: mix, weights="x", device="cpu").between(a, b, 0.25)
    assert len(mix.sizes) == 3 * 8
    np.testing.assert_allclose(made, 0.75 * a + 0.25 * b, atol=1e-6)


def test_the_border_of_a_tile_is_not_shown_where_there_is_a_neighbour(monkeypatch):
    monkeypatch.setattr(dain, "TILES", (512,))

    class Marked(Mix):
        def make(self, seen: tuple[torch.Tensor, torch.Tensor], t: float) -> SimpleNamespace:
            made = torch.ones_like(seen[0])
            made[..., dain.BORDER : dain.BORDER + 16] = 0  # the first columns of the tile
            return SimpleNamespace(picture=made)

    black = np.zeros((64, 800, 3), np.float32)
    made = Dain(Marked, weights="x", device="cpu").between(black, black, 0.5)
    assert not made[:, :16].any()
    assert (made[:, 16:] == 1).all()


def test_the_checkpoint_is_read_once_and_not_before_it_is_needed():
    read = []

    def network() -> Mix:
        read.append(1)
        return Mix()

    model = Dain(network, weights="x", device="cpu")
    assert not read
    black = np.zeros((8, 8, 3), np.float32)
    model.between(black, black, 0.5)
    model.between(black, black, 0.5)
    assert read == [1]


def test_pictures_of_two_sizes_are_refused():
    with pytest.raises(ShapeError, match="not of one size"):
        Dain(Mix, weights="x", device="cpu").between(np.zeros((8, 8, 3)), np.zeros((8, 9, 3)), 0.5)


def test_the_fingerprint_holds_the_weights():
    made = [Dain(Mix, weights=w, device="cpu").fingerprint for w in ("x", "y", "x")]
    assert made[0] == made[2] != made[1]


def test_a_missing_checkpoint_says_which_where_and_whence(tmp_path, monkeypatch):
    monkeypatch.setenv("POCHOIR_MODELS", str(tmp_path))
    plugins = Plugins()
    dain.register(plugins)
    with pytest.raises(ModelMissingError) as caught:
        plugins.interpolators.get("dain")("cpu")
    for part in ("best.pth", str(tmp_path), "http://"):
        assert part in str(caught.value)


def test_the_wrong_checkpoint_is_refused_by_name(tmp_path):
    torch.save({"conv1.weight": torch.zeros(3)}, tmp_path / "best.pth")
    model = Dain.load(tmp_path, device="cpu")
    with pytest.raises(WeightsError, match=r"best\.pth: 'conv1\.weight'|best\.pth: 'ctxNet"):
        model.between(np.zeros((8, 8, 3), np.float32), np.zeros((8, 8, 3), np.float32), 0.5)


def test_a_device_that_is_not_there_is_said_before_anything_is_read(tmp_path):
    torch.save({}, tmp_path / "best.pth")
    with pytest.raises(InputError, match="device"):
        Dain.load(tmp_path, device="cuda:99")
