"""Deformable convolution and the port of EDVR against what the authors' own code gave."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from core.contract.plugins import Plugins
from core.contract.stage import Timeline
from core.errors import ModelMissingError, ShapeError, WeightsError
from core.film.shot import Shot
from core.film.timebase import FrameRange
from core.models import deform, edvr
from core.models.card import CARDS
from core.models.checkpoint import empty
from core.models.deform import deform_conv, plain_deform_conv
from core.models.drawn import QUIET, drawn
from core.models.edvr import VARIANTS
from core.models.edvr_net import EDVR, Layout
from core.models.shelf import card_of
from core.models.tiling import Tiling
from core.models.upscaler import NetworkUpscaler, Upscaler, load, window_of
from core.render.line import Node
from core.restore.upscale import Upscale, UpscaleParams
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


def test_where_a_shot_ends_frames_from_farther_inside_stand_in():
    assert [window_of(n, 2, 5) for n in range(5)] == [
        [4, 3, 0, 1, 2],
        [4, 0, 1, 2, 3],
        [0, 1, 2, 3, 4],
        [1, 2, 3, 4, 0],
        [2, 3, 4, 1, 0],
    ]
    assert window_of(0, 3, 7) == [6, 5, 4, 0, 1, 2, 3]
    assert window_of(6, 3, 7) == [3, 4, 5, 6, 2, 1, 0]
    # a shot of fewer frames than the window is mirrored
    assert [window_of(n, 2, 3) for n in range(3)] == [[2, 1, 0, 1, 2], [1, 0, 1, 2, 1], [0, 1, 2, 1, 0]]
    assert window_of(0, 2, 1) == [0] * 5
    assert window_of(1, 2, 4) == [1, 0, 1, 2, 3]
    made = small(LITTLE, Tiling(64, 32, 4))
    a, b, c, d, e = film(5)
    np.testing.assert_array_equal(made.enlarge([a, b, c, d, e], 0), made.enlarge([e, d, a, b, c], 2))
    np.testing.assert_array_equal(made.enlarge([a, b, c, d, e], 3), made.enlarge([b, c, d, e, a], 2))
    np.testing.assert_array_equal(made.enlarge([a, b, c], 0), made.enlarge([c, b, a, b, c], 2))


def test_at_a_shots_ends_its_window_is_as_long_as_within_and_never_crosses_a_cut():
    plugins = Plugins()
    plugins.upscalers.add("small", lambda device: small(LITTLE, Tiling(64, 32, 4)))
    timeline = Timeline((16, 16), (Shot("a", FrameRange(0, 9)), Shot("b", FrameRange(9, 12))), (), ())
    stage, params = Upscale(plugins.upscalers), UpscaleParams(by="small")
    node = Node(stage, params, timeline, timeline, radius=stage.radius(params, "cpu"))
    looked = [(node.needs(n).start, node.needs(n).stop) for n in range(12)]
    assert looked == [(0, 5)] * 3 + [(1, 6), (2, 7), (3, 8)] + [(4, 9)] * 3 + [(9, 12)] * 3
    lanczos = Node(stage, UpscaleParams(), timeline, timeline)
    assert lanczos.needs(0) == FrameRange(0, 1)


def first_names(name: str) -> str:
    """A part's name in the authors' first repository."""
    for start, old in (
        ("fusion.temporal_attn1", "tsa_fusion.tAtt_2"),
        ("fusion.temporal_attn2", "tsa_fusion.tAtt_1"),
        ("fusion.feat_fusion", "tsa_fusion.fea_fusion"),
        ("fusion.spatial_attn_add", "tsa_fusion.sAtt_add_"),
        ("fusion.spatial_attn_l", "tsa_fusion.sAtt_L"),
        ("fusion.spatial_attn", "tsa_fusion.sAtt_"),
        ("fusion.", "tsa_fusion."),
        ("reconstruction.", "recon_trunk."),
        ("conv_hr.", "HRconv."),
        ("conv_l2_", "fea_L2_conv"),
        ("conv_l3_", "fea_L3_conv"),
        ("predeblur.stride_conv_hr1", "pre_deblur.conv_first_2"),
        ("predeblur.stride_conv_hr2", "pre_deblur.conv_first_3"),
        ("predeblur.stride_conv_l2", "pre_deblur.deblur_L2_conv"),
        ("predeblur.stride_conv_l3", "pre_deblur.deblur_L3_conv"),
        ("predeblur.resblock_l2", "pre_deblur.RB_L2"),
        ("predeblur.resblock_l3", "pre_deblur.RB_L3_1"),
    ):
        if name.startswith(start):
            return old + name.removeprefix(start)
    parts = name.split(".")
    if parts[0] == "predeblur":
        if parts[1] == "resblock_l1":
            return ".".join(["pre_deblur", f"RB_L1_{int(parts[2]) + 1}", *parts[3:]])
        return ".".join(["pre_deblur", "conv_first_1", *parts[2:]])
    if parts[0] == "pcd_align":
        parts = [{"conv_offset": "conv_offset_mask"}.get(part, part) for part in parts]
        kind = parts[1].replace("feat_conv", "fea_conv").replace("dcn_pack", "dcnpack")
        if parts[2] in ("l1", "l2", "l3"):
            return ".".join(["pcd_align", f"{parts[2].upper()}_{kind}", *parts[3:]])
    return ".".join(parts)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_checkpoint_in_its_authors_first_names_is_this_variants(name):
    table = empty(VARIANTS[name].made).state_dict()
    old = {first_names(part): tensor for part, tensor in table.items()}
    assert len(old) == len(table)
    assert "HRconv.weight" in old
    assert "pcd_align.L3_offset_conv1.weight" in old
    assert "pcd_align.cas_dcnpack.conv_offset_mask.bias" in old
    renamed = VARIANTS[name].named(old)
    assert renamed.keys() == table.keys()
    assert all(renamed[part] is tensor for part, tensor in table.items())
    plugins = Plugins()
    edvr.register(plugins)
    plugins.checks.get(name)(old, "x")  # so that an import tells whose it is


def test_in_either_names_a_checkpoint_gives_the_same_picture(tmp_path):
    card = card_of("edvr").files[0].name
    table = drawn(VARIANTS["edvr"].made, 3, QUIET).state_dict()
    pictures = []
    for place, names in enumerate((dict(table), {first_names(part): tensor for part, tensor in table.items()})):
        (folder := tmp_path / str(place)).mkdir()
        torch.save(names, folder / card)
        pictures.append(load(VARIANTS["edvr"], folder, device="cpu").enlarge(film(5, 16, 16), 2))
    assert pictures[0].std() > 0.01
    assert np.array_equal(*pictures)


def test_parts_in_both_names_at_once_are_refused():
    both = {"HRconv.weight": torch.ones(1), "conv_hr.weight": torch.ones(1)}
    with pytest.raises(WeightsError, match="two dialects"):
        VARIANTS["edvr"].named(both)


def test_parts_give_the_whole_where_their_overlap_covers_what_the_network_sees():
    whole, parts = small(LITTLE, Tiling(512, 0, 4)), small(LITTLE, Tiling(60, 96, 4))
    frames = film(5, 8, 260)
    calls = []
    parts._network().register_forward_hook(lambda *_: calls.append(1))
    a, b = whole.enlarge(frames, 2), parts.enlarge(frames, 2)
    assert len(calls) == 5
    assert a.std() > 0.05
    np.testing.assert_allclose(b, a, atol=2e-5)
