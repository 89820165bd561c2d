"""The ports of ESRGAN and Real-ESRGAN against what the authors' own code gave for the same inputs and weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.contract.plugins import Plugins
from core.contract.registry import Makers
from core.contract.stage import StageContext, Window
from core.errors import ModelMissingError, PochoirError, WeightsError
from core.film.frame import Frame
from core.film.shot import Shot
from core.film.timebase import FrameRange
from core.models import checkpoint, edvr, realesrgan
from core.models.card import CARDS
from core.models.checkpoint import empty
from core.models.compact_net import CompactNet, mixed
from core.models.realesrgan import GENERAL, GENERAL_WEAK, VARIANTS, General
from core.models.rrdb_net import RRDBNet, in_todays_names
from core.models.shelf import card_of
from core.models.tiling import Tiling
from core.models.upscaler import Denoises, NetworkUpscaler, Upscaler, load
from core.restore.upscale import Upscale, UpscaleParams
from tests.parity import Fixture, needs_parity, warm_up, within

# Fixture to the upscaler it is of, the file it is published as, and how that file is laid out.
PUBLISHED = {
    "realesrgan_x4plus": ("realesrgan-x4", "RealESRGAN_x4plus.pth", lambda w: {"params_ema": w}),
    "realesrgan_x2plus": ("realesrgan-x2", "RealESRGAN_x2plus.pth", lambda w: {"params_ema": w}),
    "esrgan_x4_rrdb_trunk": ("esrgan", "RRDB_ESRGAN_x4.pth", lambda w: w),
    "esrgan_x4_model_sub": (
        "esrgan",
        "RRDB_ESRGAN_x4_old_arch.pth",
        lambda w: {f"module.{k}": v for k, v in w.items()},
    ),
    "realesr_compact16": ("realesr-animevideo", "realesr-animevideov3.pth", lambda w: {"params": w}),
    "realesr_compact32": (GENERAL_WEAK, "realesr-general-wdn-x4v3.pth", lambda w: {"params": w}),
}


@needs_parity
@pytest.mark.parametrize("name", PUBLISHED)
def test_names_and_shapes_are_the_published_ones(name):
    keys = {k["name"]: torch.empty(k["shape"], device="meta") for k in Fixture(name).keys}
    published = {k: tuple(v.shape) for k, v in in_todays_names(keys).items()}
    net = empty(VARIANTS[PUBLISHED[name][0]].made)
    assert {k: tuple(v.shape) for k, v in net.state_dict().items()} == published


@needs_parity
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_file_gives_the_recorded_numbers(name, device, tmp_path):
    warm_up()
    fixture = Fixture(name)
    upscaler, file, layout = PUBLISHED[name]
    torch.save(layout(fixture.weights()), tmp_path / file)
    given, wanted, limits = fixture.case("case0")
    made = load(VARIANTS[upscaler], tmp_path, device=device)
    with torch.inference_mode():
        got = made._network()(torch.from_numpy(given["x"]).to(device)).cpu().numpy()
    within(got, wanted["y"], limits["y"])
    # The whole road: a picture as the program holds it, the answer clipped to its range.
    picture = np.ascontiguousarray(given["x"][0].transpose(1, 2, 0))
    road = made.enlarge([picture], 0).transpose(2, 0, 1)[None]
    within(road, wanted["y"].clip(0, 1), limits["y"])


@needs_parity
def test_denoising_is_the_mixture_of_two_checkpoints(tmp_path):
    strong = Fixture("realesr_compact32").weights()
    weak = {k: v.flip(0) for k, v in strong.items()}
    torch.save({"params": strong}, tmp_path / "realesr-general-x4v3.pth")
    torch.save({"params": weak}, tmp_path / "realesr-general-wdn-x4v3.pth")
    general = General(tmp_path, device="cpu")
    assert isinstance(general, Denoises)
    made = general.at(0.25)
    for name, tensor in made._network().state_dict().items():
        torch.testing.assert_close(tensor, 0.25 * strong[name] + 0.75 * weak[name])
    assert general.at(0.25) is made
    prints = {general.at(d).fingerprint for d in (0.0, 0.25, 0.5, 1.0)}
    assert len(prints) == 4
    for denoise, table in ((1.0, strong), (0.0, weak)):
        assert all(torch.equal(v, table[k]) for k, v in general.at(denoise)._network().state_dict().items())


def test_at_the_ends_of_denoising_one_checkpoint_is_enough(tmp_path):
    torch.save({"params": {}}, tmp_path / "realesr-general-x4v3.pth")
    general = General(tmp_path, device="cpu")
    assert general.at(1.0).scale == 4
    with pytest.raises(ModelMissingError, match=r"realesr-general-wdn-x4v3\.pth"):
        general.at(0.5)


def test_only_weights_of_one_network_are_mixed():
    with pytest.raises(WeightsError, match="mixed"):
        mixed({"body.0.weight": torch.zeros(3)}, {"body.0.weight": torch.zeros(4)}, 0.5)


def test_two_dialects_in_one_file_are_refused():
    with pytest.raises(WeightsError, match="dialects"):
        in_todays_names({"trunk_conv.bias": torch.zeros(1), "conv_body.bias": torch.zeros(1)})


@pytest.mark.parametrize("name", [*VARIANTS, GENERAL])
def test_every_upscaler_has_its_card(name):
    card = card_of(name)
    assert card.task == "upscale"


def test_all_are_offered_and_a_missing_checkpoint_says_which_where_and_whence(tmp_path, monkeypatch):
    monkeypatch.setenv("POCHOIR_MODELS", str(tmp_path))
    plugins = Plugins()
    realesrgan.register(plugins)
    ids = {c.id for c in CARDS if c.task == "upscale" and not c.id.startswith("edvr")}
    assert {*plugins.upscalers, GENERAL_WEAK} == ids
    with pytest.raises(ModelMissingError) as caught:
        plugins.upscalers.get("realesrgan-x2")("cpu")
    for part in ("RealESRGAN_x2plus.pth", str(tmp_path), "https://"):
        assert part in str(caught.value)


def test_a_checkpoint_is_read_when_a_picture_is_asked_for_and_only_once(tmp_path, monkeypatch):
    path = tmp_path / "realesr-animevideov3.pth"
    torch.save({"params": CompactNet(16).state_dict()}, path)
    reads = []
    reader = checkpoint.read_checkpoint
    monkeypatch.setattr(checkpoint, "read_checkpoint", lambda p: reads.append(p) or reader(p))
    made = load(VARIANTS["realesr-animevideo"], tmp_path, device="cpu")
    assert isinstance(made, Upscaler)
    assert reads == []
    for _ in range(2):
        assert made.enlarge([np.zeros((5, 7, 3), np.float32)], 0).shape == (20, 28, 3)
    assert reads == [path]


def test_the_wrong_checkpoint_is_refused_by_name(tmp_path):
    path = tmp_path / "RealESRGAN_x2plus.pth"
    torch.save({"params_ema": {"conv_first.weight": torch.zeros(64, 3, 3, 3)}}, path)
    made = load(VARIANTS["realesrgan-x2"], tmp_path, device="cpu")
    with pytest.raises(WeightsError, match=r"RealESRGAN_x2plus\.pth: '"):
        made.enlarge([np.zeros((4, 4, 3), np.float32)], 0)


def small(net: torch.nn.Module, tiling: Tiling) -> NetworkUpscaler:
    torch.manual_seed(4)
    for tensor in net.state_dict().values():
        tensor.normal_(0, 0.1)
    return NetworkUpscaler("small", lambda: net, fingerprint="x", scale=net.scale, tiling=tiling, device="cpu")


def texture(h: int, w: int) -> np.ndarray:
    return np.random.default_rng(6).uniform(0, 1, (h, w, 3)).astype(np.float32)


@pytest.mark.parametrize(
    "net",
    [CompactNet(2, width=8), RRDBNet(4, 1, 8, 4), RRDBNet(2, 1, 8, 4)],
    ids=["compact", "dense x4", "dense x2"],
)
def test_parts_whose_overlap_covers_what_the_network_sees_give_the_whole(net):
    whole = small(net, Tiling(512, 0, net.scale % 4 or 1))
    parts = small(net, Tiling(24, net.receptive_radius, net.scale % 4 or 1))
    picture = torch.from_numpy(texture(140, 122)).permute(2, 0, 1)[None]
    calls = []
    parts._network().register_forward_hook(lambda *_: calls.append(1))
    a, b = whole._run(picture), parts._run(picture)
    assert len(calls) > 1 + 20
    np.testing.assert_allclose(b.numpy(), a.numpy(), atol=1e-5 * float(a.abs().max()))


def test_the_receptive_radius_is_what_the_network_really_sees():
    for net in (CompactNet(2, width=8), RRDBNet(4, 1, 8, 4), RRDBNet(2, 1, 8, 4)):
        made = small(net, Tiling(512, 0))
        x = torch.zeros(1, 3, 96, 96, requires_grad=True)
        y = made._network()(x)
        middle = y.shape[-1] // 2
        (gradient,) = torch.autograd.grad(y[0, :, middle, middle].abs().sum(), x)
        seen = gradient[0].abs().sum(dim=(0, 1)).nonzero().flatten()
        radius = max(48 - int(seen[0]), int(seen[-1]) - 48)
        assert radius <= net.receptive_radius <= radius + 2 * getattr(net, "fold", 1)


@pytest.mark.parametrize("size", [(37, 53), (1, 3)])
def test_odd_sizes_are_mirrored_to_even_ones_and_cut_again(size):
    made = small(RRDBNet(2, 1, 8, 4), Tiling(64, 16, multiple=2))
    out = made.enlarge([texture(*size)], 0)
    assert out.shape == (2 * size[0], 2 * size[1], 3)
    assert out.dtype == np.float32
    assert out.min() >= 0
    assert out.max() <= 1


def test_grey_stays_grey_and_colour_does_not_become_it():
    made = small(CompactNet(1, width=8), Tiling(64, 3))
    colour = texture(12, 9)
    grey = np.repeat(colour[..., :1], 3, axis=-1)
    out = made.enlarge([grey], 0)
    assert np.array_equal(out[..., 0], out[..., 1])
    assert np.array_equal(out[..., 1], out[..., 2])
    assert out.std() > 0
    assert not np.array_equal(made.enlarge([colour], 0)[..., 0], made.enlarge([colour], 0)[..., 1])


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory")])
def test_where_memory_ends_parts_become_smaller_and_one_line_says_so(error, caplog):
    net = CompactNet(1, width=8)
    made, whole = small(net, Tiling(64, 3)), small(net, Tiling(512, 3))
    picture = texture(60, 90)
    expected = whole.enlarge([picture], 0)

    def refuse(module, args):
        if args[0].shape[-1] > 40:
            raise error

    handle = made._network().register_forward_pre_hook(refuse)
    got = made.enlarge([picture], 0)
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert [r.getMessage() for r in caplog.records] == [
        "small: out of memory on cpu in parts of 64 px; going on in parts of 32 px"
    ]
    made.enlarge([picture], 0)
    assert len(caplog.records) == 1  # what was learnt is kept
    handle.remove()


@pytest.mark.parametrize(("exact", "told"), [(False, "in parts of 32 px"), (True, "")])
def test_smaller_parts_are_told_of_where_they_may_show(exact, told):
    made = small(CompactNet(1, width=8), Tiling(64, 3, exact=exact))
    picture, little = texture(60, 90), texture(20, 30)

    def refuse(module, args):
        if args[0].shape[-1] > 40:
            raise torch.OutOfMemoryError("CUDA out of memory")

    assert made.enlarge_or_less([picture], 0)[1] == ""
    made._network().register_forward_pre_hook(refuse)
    for _ in range(2):  # when memory ends, and when that is known
        assert made.enlarge_or_less([picture], 0)[1] == told
    assert made.enlarge_or_less([little], 0)[1] == ""  # one part either way


def test_the_stage_passes_it_on():
    makers, said = Makers("upscaler"), []
    made = small(CompactNet(1, width=8), Tiling(64, 3))
    makers.add("small", lambda device: made)

    def refuse(module, args):
        if args[0].shape[-1] > 40:
            raise torch.OutOfMemoryError("CUDA out of memory")

    made._network().register_forward_pre_hook(refuse)
    context = StageContext("cpu", Shot(0, FrameRange(0, 1), "start"), None, said.append)
    for size, told in (((20, 30), []), ((60, 90), ["in parts of 32 px"])):
        Upscale(makers).process(Window((Frame(0, texture(*size)),), 0), UpscaleParams(by="small"), context)
        assert said == told


def test_only_compact_nets_are_the_same_in_any_parts():
    for variant in (*realesrgan.VARIANTS.values(), *edvr.VARIANTS.values()):
        assert variant.tiling.exact == variant.tiling.halved().exact == isinstance(variant, realesrgan.Compact)
        if variant.tiling.exact:
            assert variant.tiling.overlap >= empty(variant.made).receptive_radius


def test_where_there_is_no_memory_for_the_weights_one_line_says_so():
    def heavy():
        raise torch.OutOfMemoryError("CUDA out of memory")

    made = NetworkUpscaler("small", heavy, fingerprint="x", scale=4, tiling=Tiling(64, 3), device="cpu")
    with pytest.raises(PochoirError) as caught:
        made.enlarge([texture(8, 8)], 0)
    assert str(caught.value) == (
        "small: out of memory on cpu for its weights; close what else uses it, or choose another --device"
    )


def test_where_there_is_no_memory_at_all_one_line_says_so():
    made = small(CompactNet(1, width=8), Tiling(64, 3))

    def refuse(module, args):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate\nmore")

    made._network().register_forward_pre_hook(refuse)
    with pytest.raises(PochoirError, match="small: out of memory on cpu even in parts of 4 px; close") as caught:
        made.enlarge([texture(60, 90)], 0)
    assert "\n" not in str(caught.value)


def test_other_faults_are_not_taken_for_a_lack_of_memory():
    made = small(CompactNet(1, width=8), Tiling(64, 3))

    def fail(module, args):
        raise RuntimeError("shapes do not fit")

    made._network().register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="shapes"):
        made.enlarge([texture(8, 8)], 0)
