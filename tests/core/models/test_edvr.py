"""Deformable convolution and the port of EDVR against what the authors' own code gave."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from core.contract.plugins import Plugins
from core.errors import ModelMissingError, ShapeError
from core.models import deform, edvr
from core.models.card import CARDS
from core.models.checkpoint import empty
from core.models.deform import deform_conv, plain_deform_conv
from core.models.edvr import VARIANTS
from core.models.edvr_net import EDVR, Layout
from core.models.shelf import card_of
from core.models.tiling import Tiling
from core.models.upscaler import NetworkUpscaler, Upscaler, load, mirrored
from tests.parity import Fixture, needs_parity, warm_up, within

# Fixture to the variants whose keys it lists.
LISTED = {
    "edvr_m_x4": ("edvr",),
    "edvr_m_x4_wotsa": ("edvr-wotsa",),
    "edvr_l_x4_srblur": ("edvr-srblur",),
    "edvr_l_deblur": ("edvr-deblur", "edvr-deblurcomp"),
}


@needs_parity
@pytest.mark.parametrize("case", ["g1", "g8"])
def test_deformable_convolution_gives_the_recorded_numbers(case, device):
    given, wanted, limits = Fixture("dcn_v2_op").case(case)
    parts = [torch.from_numpy(given[k]).to(device) for k in ("x", "offset", "mask", "weight", "bias")]
    for convolve in (deform_conv, plain_deform_conv):
        within(convolve(*parts).cpu().numpy(), wanted["y"], limits["y"])


def random_parts(groups: int = 2, reach: float = 3.0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(8)
    shapes = [(2, 4, 7, 9), (2, 18 * groups, 7, 9), (2, 9 * groups, 7, 9), (5, 4, 3, 3), (5,)]
    parts = [torch.randn(shape, generator=generator) for shape in shapes]
    parts[1] *= reach
    return parts


def test_without_offset_and_at_full_weight_it_is_a_convolution():
    x, offset, mask, weight, bias = random_parts()
    got = plain_deform_conv(x, torch.zeros_like(offset), torch.ones_like(mask), weight, bias)
    torch.testing.assert_close(got, F.conv2d(x, weight, bias, padding=1), rtol=1e-5, atol=1e-5)


def test_offsets_however_far_out_read_nothing():
    x, offset, mask, weight, bias = random_parts(reach=0.0)
    for far in (50.0, -50.0, 1e20, float("inf")):
        got = plain_deform_conv(x, offset + far, mask, weight, bias)
        torch.testing.assert_close(got, bias.reshape(1, -1, 1, 1).expand_as(got))


def test_it_is_torchvisions_where_that_has_its_kernel():
    native = deform._native()
    if native is None:
        pytest.skip("torchvision's native library does not load beside this torch")
    x, offset, mask, weight, bias = random_parts()
    torch.testing.assert_close(
        plain_deform_conv(x, offset, mask, weight, bias),
        native(x, offset, weight, bias, padding=1, mask=mask),
        rtol=1e-5,
        atol=1e-5,
    )


def test_parts_that_do_not_fit_are_refused():
    x, offset, mask, weight, bias = random_parts()
    for wrong in (
        (x, offset[:, :-1], mask, weight, bias),
        (x, offset, mask[..., :-1], weight, bias),
        (x[:, :3], offset, mask, weight, bias),
    ):
        with pytest.raises(ShapeError, match="deformable"):
            deform_conv(*wrong)


@needs_parity
@pytest.mark.parametrize("name", LISTED)
def test_names_and_shapes_are_the_published_ones(name):
    published = {k["name"]: tuple(k["shape"]) for k in Fixture(name).keys}
    for variant in LISTED[name]:
        net = empty(VARIANTS[variant].made)
        assert {k: tuple(v.shape) for k, v in net.state_dict().items()} == published


@needs_parity
@pytest.mark.parametrize("name", ["edvr-large", "edvr-vimeo"])
def test_the_large_ones_differ_from_the_medium_one_as_their_authors_say(name):
    """No fixture of their own: width 128 for 64, 40 blocks for 10, seven frames for five."""
    frames = VARIANTS[name].layout.frames
    medium = {k["name"]: tuple(k["shape"]) for k in Fixture("edvr_m_x4").keys}
    large = {k: tuple(v.shape) for k, v in empty(VARIANTS[name].made).state_dict().items()}
    blocks = {k for k in large if k.startswith("reconstruction.")}
    assert len(blocks) == 40 * 4
    assert {k for k in large if k not in blocks} == {k for k in medium if not k.startswith("reconstruction.")}
    assert large["conv_first.weight"] == (128, 3, 3, 3)
    assert large["fusion.feat_fusion.weight"] == (128, 128 * frames, 1, 1)
    assert large["pcd_align.cas_dcnpack.conv_offset.weight"] == (216, 128, 3, 3)
    assert large["upconv2.weight"] == (256, 128, 3, 3)


@needs_parity
@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("edvr_m_x4", "edvr"),
        ("edvr_m_x4_wotsa", "edvr-wotsa"),
        ("edvr_l_x4_srblur", "edvr-srblur"),
        ("edvr_l_deblur", "edvr-deblur"),
    ],
)
def test_a_published_file_gives_the_recorded_numbers(name, variant, device, tmp_path):
    warm_up()
    fixture = Fixture(name)
    torch.save({"params": fixture.weights()}, tmp_path / card_of(variant).files[0].name)
    given, wanted, limits = fixture.case("case0")
    made = load(VARIANTS[variant], tmp_path, device=device)
    with torch.inference_mode():
        got = made._network()(torch.from_numpy(given["x"]).to(device)).cpu().numpy()
    within(got, wanted["y"], limits["y"])
    # The whole road: frames as the program holds them, the answer clipped to its range.
    frames = [np.ascontiguousarray(frame.transpose(1, 2, 0)) for frame in given["x"][0]]
    road = made.enlarge(frames, len(frames) // 2).transpose(2, 0, 1)[None]
    within(road, wanted["y"].clip(0, 1), limits["y"])


def test_all_seven_are_offered_each_with_its_card_and_a_missing_one_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("POCHOIR_MODELS", str(tmp_path))
    plugins = Plugins()
    edvr.register(plugins)
    cards = {c.id for c in CARDS if c.id.startswith("edvr")}
    assert set(plugins.upscalers) == cards == set(VARIANTS)
    assert len(cards) == 7
    with pytest.raises(ModelMissingError, match=r"EDVR_M_x4_SR_REDS_official-32075921\.pth"):
        plugins.upscalers.get("edvr")("cpu")


def small(layout: Layout, tiling: Tiling) -> NetworkUpscaler:
    torch.manual_seed(4)
    net = EDVR(layout)
    for tensor in net.state_dict().values():
        tensor.normal_(0, 0.05)
    return NetworkUpscaler(
        "small",
        lambda: net,
        fingerprint="x",
        scale=layout.scale,
        tiling=tiling,
        radius=layout.frames // 2,
        device="cpu",
    )


def film(count: int, h: int = 13, w: int = 18) -> list[np.ndarray]:
    return list(np.random.default_rng(5).uniform(0, 1, (count, h, w, 3)).astype(np.float32))


LITTLE = Layout(width=8, rebuild=1)


@pytest.mark.parametrize("layout", [LITTLE, Layout(8, 1, 7), Layout(8, 1, deblurs=True, full_size=True)])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_any_size_and_any_shot_gives_a_picture(layout, count):
    made = small(layout, Tiling(64, 32, layout.multiple))
    assert isinstance(made, Upscaler)
    for centre in {0, count - 1}:
        out = made.enlarge(film(count), centre)
        assert out.shape == (13 * layout.scale, 18 * layout.scale, 3)
        assert np.isfinite(out).all()


def test_where_a_shot_ends_the_other_side_stands_in():
    made = small(LITTLE, Tiling(64, 32, 4))
    a, b, c, d, e = film(5)
    np.testing.assert_array_equal(made.enlarge([a, b, c], 0), made.enlarge([c, b, a, b, c], 2))
    np.testing.assert_array_equal(made.enlarge([a, b, c, d], 2), made.enlarge([a, b, c, d, c], 2))
    assert not np.array_equal(made.enlarge([a, b, c, d, e], 2), made.enlarge([a, b, c, d, c], 2))
    assert [mirrored(n, 3) for n in range(-3, 6)] == [1, 2, 1, 0, 1, 2, 1, 0, 1]
    assert [mirrored(n, 1) for n in (-2, 0, 2)] == [0, 0, 0]


def test_parts_give_the_whole_where_their_overlap_covers_what_the_network_sees():
    whole, parts = small(LITTLE, Tiling(512, 0, 4)), small(LITTLE, Tiling(60, 96, 4))
    frames = film(5, 8, 260)
    calls = []
    parts._network().register_forward_hook(lambda *_: calls.append(1))
    a, b = whole.enlarge(frames, 2), parts.enlarge(frames, 2)
    assert len(calls) == 5
    assert a.std() > 0.05
    np.testing.assert_allclose(b, a, atol=2e-5)
