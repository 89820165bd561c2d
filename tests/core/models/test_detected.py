"""Upscalers whose architecture is detected: taken in, chosen by name; their pictures are the architecture's own."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import app
from core.contract.plugins import Plugins
from core.contract.stage import StageContext, Window
from core.errors import InputError, ModelMissingError, PochoirError, RecipeError, WeightsError
from core.film.frame import Frame
from core.film.shot import Shot
from core.film.timebase import FrameRange
from core.models import admit as door
from core.models import detected
from core.models.admit import Admitted, admit, recognised, verified
from core.models.checkpoint import read_tensors
from core.models.compact_net import CompactNet
from core.models.detected import Detected, load, parsed, register, word
from core.models.device import pick_device
from core.models.pins import pinned
from core.models.rrdb_net import RRDBNet
from core.models.shelf import shelf
from core.models.tiling import Tiling
from core.models.torchvision_shim import ensure_torchvision
from core.models.upscaler import Upscaler
from core.restore.upscale import Upscale, UpscaleParams
from tests.contracts.registered import PLUGINS
from tests.parity import warm_up

CARDS = PLUGINS.cards.values()
CONTEXT = StageContext("cpu", Shot(0, FrameRange(0, 1), "start"))

ensure_torchvision()
spandrel = pytest.importorskip("spandrel", reason="no spandrel here, which detects architectures")
from spandrel import architectures as known  # noqa: E402 - it imports torchvision

Table = dict[str, torch.Tensor]


def swin(**other: Any) -> torch.nn.Module:
    return known.SwinIR.SwinIR(
        embed_dim=12, depths=[2], num_heads=[2], window_size=8, mlp_ratio=2, upscale=2, upsampler="pixelshuffledirect",
        **other,
    )  # fmt: skip


# One of each kind: the word it is to be known by, the architecture's own class made small, and its scale.
MADE: dict[str, tuple[str, int, Callable[[], torch.nn.Module]]] = {
    "2x-compact": ("Compact", 2, lambda: known.Compact.Compact(num_feat=8, num_conv=2, upscale=2)),
    "4x_span": ("SPAN", 4, lambda: known.SPAN.SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=4)),
    "windows": ("SwinIR", 2, swin),
    "denoise": (
        "NAFNet", 1, lambda: known.NAFNet.NAFNet(width=8, middle_blk_num=1, enc_blk_nums=[1, 1], dec_blk_nums=[1, 1])
    ),
    "scratches": ("SCUNet", 1, lambda: known.SCUNet.SCUNet(config=[1] * 7, dim=64)),
    "4x-Sharp": ("ESRGAN", 4, lambda: known.ESRGAN.ESRGAN(num_filters=8, num_blocks=3, scale=4)),
    "8x.dense": ("ESRGAN", 8, lambda: known.ESRGAN.ESRGAN(num_filters=8, num_blocks=1, scale=8)),
    "2x fold": ("ESRGAN", 2, lambda: known.ESRGAN.ESRGAN(in_nc=12, num_filters=8, num_blocks=1, shuffle_factor=2)),
    "rain": (
        "Uformer", 1,
        lambda: known.Uformer.Uformer(embed_dim=8, depths=[1] * 9, num_heads=[1, 1, 1, 1, 1, 1, 1, 1, 1]),
    ),
}  # fmt: skip


def drawn(network: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """A network with weights under which its answer is about its input's size, and hangs on all of it."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            size = 0.5 / max(1, weight[0].numel()) ** 0.5 if weight.ndim > 1 else 0.05
            weight.add_(torch.randn(weight.shape, generator=generator) * size)
    return network.eval()


def picture(h: int, w: int, *, grey: bool = False) -> np.ndarray[Any, np.dtype[np.float32]]:
    rgb = np.random.default_rng(h + w).uniform(0.2, 0.8, (h, w, 1 if grey else 3)).astype(np.float32)
    rgb = np.repeat(rgb, 3, axis=-1) if grey else rgb
    rgb.setflags(write=False)
    return rgb


def by_itself(table: Table, rgb: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """What the library makes of a whole picture."""
    planes = torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None]
    return spandrel.ModelLoader("cpu").load_from_state_dict(dict(table)).eval()(planes)[0].permute(1, 2, 0).numpy()


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Networks draw their first weights when they are made."""
    torch.manual_seed(1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POCHOIR_MODELS", str(tmp_path / "models"))
    warm_up()
    return tmp_path / "models"


@pytest.fixture
def read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read in this process: what another one costs is tried once for each kind of file."""

    def rewrite(source: Path, target: Path, digest: str) -> None:
        save_file({k: t.detach().clone() for k, t in read_tensors(source).items()}, target, {"source_sha256": digest})

    monkeypatch.setattr(door, "rewrite", rewrite)


def taken(path: Path, table: Table) -> Admitted:
    torch.save(table, path)
    return admit(path, CARDS, PLUGINS.checks)


def upscaled(
    name: str, rgb: np.ndarray[Any, np.dtype[np.float32]], scale: int
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A frame through the stage, as the program registers it."""
    plugins = Plugins()
    register(plugins)
    params = UpscaleParams(by=name, factor=float(scale))
    return Upscale(plugins.upscalers).process(Window((Frame(0, rgb),), 0), params, CONTEXT)


# -- what is taken in ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MADE)
def test_the_stage_gives_the_architectures_own_picture(name, folder, tmp_path, read_here):
    architecture, scale, make = MADE[name]
    table = drawn(make()).state_dict()
    done = taken(tmp_path / f"{name}.pth", table)
    called = name.replace(" ", "-")
    assert done.card.id == called
    assert done.path == folder / f"{called}.{architecture}-x{scale}.safetensors"
    assert pinned(folder) == {done.path.name: done.sha256}
    rgb = picture(66, 72)  # even: the stage gives no other sizes
    out = upscaled(called, rgb, scale)
    own = by_itself(table, rgb)
    assert out.shape == own.shape == (66 * scale, 72 * scale, 3)
    assert np.abs(out - own).max() < 1e-5
    assert own.std() > 0.01


@pytest.mark.parametrize("name", ["2x-compact", "windows", "denoise", "2x fold"])
@pytest.mark.parametrize("size", [(37, 53), (17, 90)])
def test_odd_sizes_are_the_architectures_own_too(name, size, folder, tmp_path, read_here):
    _, scale, make = MADE[name]
    table = drawn(make()).state_dict()
    path = taken(tmp_path / f"{name}.pth", table).path
    found = parsed(path.name)
    assert found is not None
    made = load(found, device="cpu")
    assert isinstance(made, Upscaler)
    rgb = picture(*size)
    own = by_itself(table, rgb)
    assert own.shape == (size[0] * scale, size[1] * scale, 3)
    assert np.abs(made.enlarge([rgb], 0) - own).max() < 1e-5
    grey = made.enlarge([picture(*size, grey=True)], 0)
    assert np.array_equal(grey[..., 0], grey[..., 1])
    assert np.array_equal(grey[..., 0], grey[..., 2])
    assert not np.array_equal(own[..., 0], own[..., 1])


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
def test_a_picture_smaller_than_the_network_can_do_is_brought_to_its_size_and_back(size, folder, tmp_path, read_here):
    taken(tmp_path / "scratches.pth", drawn(MADE["scratches"][2]()).state_dict())
    out = load(Detected("scratches", "SCUNet", 1), device="cpu").enlarge([picture(*size)], 0)
    assert out.shape == (*size, 3)
    assert np.isfinite(out).all()


@pytest.mark.parametrize("form", ["legacy", "safetensors", "wrapped"])
def test_every_form_is_taken_in_with_its_tensors_as_they_were(form, folder, tmp_path):
    table = drawn(MADE["4x-Sharp"][2]()).state_dict()
    source = tmp_path / f"one.{'safetensors' if form == 'safetensors' else 'pth'}"
    if form == "safetensors":
        save_file({k: t.clone() for k, t in table.items()}, source)
    elif form == "wrapped":
        table = {k: t.half() for k, t in table.items()}
        torch.save({"iter": 7, "net": {f"module.{k}": t for k, t in table.items()}}, source)
    else:
        torch.save(table, source, _use_new_zipfile_serialization=False)
    kept = load_file(admit(source, CARDS, PLUGINS.checks).path)
    assert kept.keys() == table.keys()
    assert all(torch.equal(kept[name], table[name]) for name in table)
    rgb = picture(20, 31)
    out = load(Detected("one", "ESRGAN", 4), device="cpu").enlarge([rgb], 0)
    assert np.abs(out - by_itself(table, rgb)).max() < 1e-5


def test_the_commands_take_it_in_list_it_verify_it_and_use_it(folder, tmp_path, capsys):
    table = drawn(MADE["4x-Sharp"][2]()).state_dict()
    source = tmp_path / "4x-Sharp.pth"
    torch.save(table, source)
    assert app.main(["models", "import", str(source)]) == 0
    path = folder / "4x-Sharp.ESRGAN-x4.safetensors"
    assert capsys.readouterr().out == f"4x-Sharp: ESRGAN x4; upscale takes it as by=4x-Sharp; it is {path}\n"
    assert app.main(["models", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("4x-Sharp "))
    assert lines[at].split()[1:4] == ["ready", "ESRGAN", "x4"]
    assert lines[at + 1].strip() == str(path)
    assert app.main(["models", "verify"]) == 0
    assert "good: no published hash to compare with, as it was taken in" in capsys.readouterr().out
    assert app.main(["models", "import", str(source)]) == 0  # once more changes nothing
    assert sorted(p.name for p in folder.iterdir()) == [path.name, "SHA256SUMS"]
    rgb = picture(20, 31)
    out = app.builtins().upscalers.get("4x-Sharp")("cpu").enlarge([rgb], 0)
    assert np.abs(out - by_itself(table, rgb)).max() < 1e-5


@pytest.mark.parametrize("dialect", ["model.1.sub.0.RDB1.conv1.0.weight", "RRDB_trunk.0.RDB1.conv1.weight"])
def test_every_dialect_of_esrgan_is_read(dialect, folder, tmp_path, read_here):
    """The same weights under the oldest names and those of the repository: one picture."""
    old = drawn(MADE["4x-Sharp"][2]()).state_dict()
    table = dict(old)
    if dialect.startswith("RRDB"):
        ends = {
            "0": "conv_first",
            "1.sub.3": "trunk_conv",
            "3": "upconv1",
            "6": "upconv2",
            "8": "HRconv",
            "10": "conv_last",
        }
        table = {}
        for name, tensor in old.items():
            stem, leaf = name.removeprefix("model.").rpartition(".")[::2]
            new = ends.get(stem) or stem.replace("1.sub.", "RRDB_trunk.").removesuffix(".0")
            table[f"{new}.{leaf}"] = tensor
    assert dialect in table
    taken(tmp_path / "one.pth", table)
    rgb = picture(23, 17)
    out = load(Detected("one", "ESRGAN", 4), device="cpu").enlarge([rgb], 0)
    assert np.abs(out - by_itself(old, rgb)).max() < 1e-5


def test_of_one_network_a_cards_file_is_the_cards_and_any_other_is_its_own(folder, tmp_path, read_here):
    """Community upscalers are mostly ESRGAN or its compact net, as large as the cards' own."""
    dense = {k: t.expand(t.shape).clone() for k, t in RRDBNet(4, 6).state_dict().items()}
    compact = CompactNet(16).state_dict()
    assert taken(tmp_path / "RealESRGAN_x4plus_anime_6B.pth", dense).card.id == "realesrgan-anime"
    assert taken(tmp_path / "4x-Drawn.pth", dense).card.id == "4x-Drawn"
    assert taken(tmp_path / "4x-Nomos.pth", compact).card == Detected("4x-Nomos", "Compact", 4).card
    table = {k: t[:1].expand(t.shape) if t.ndim else t for k, t in RRDBNet(4, 23, 64, 32).state_dict().items()}
    with pytest.raises(InputError, match="fits realesrgan-x4, realesrnet-x4"):  # five cards: as it was without it
        recognised(table, "0" * 64, "x.pth", CARDS, PLUGINS.checks, where="x.pth")
    own = Detected("4x-UltraSharp", "ESRGAN", 4)
    card, file = recognised(table, "0" * 64, "x.pth", CARDS, PLUGINS.checks, where="x.pth", detect=lambda: own)
    assert (card, file.name) == (own.card, "4x-UltraSharp.ESRGAN-x4.safetensors")
    torch.save(compact, tmp_path / "mine.pth")
    asked = admit(tmp_path / "mine.pth", CARDS, PLUGINS.checks, model="realesr-animevideo")
    assert (asked.card.id, asked.card.detected) == ("realesr-animevideo", False)


# -- what its name says --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("4x-UltraSharp.pth", "4x-UltraSharp"),
        ("my model (v2).safetensors", "my-model-v2"),
        ("2x_Größe.pth", "2x_Gr-e"),
        ("a.b.ESRGAN-x4.safetensors", "a.b"),
        ("-.2x.pth", "2x"),
        ("€.pth", "upscaler"),
    ],
)
def test_the_word_is_the_files_name_without_what_cannot_stand_in_one(file, expected):
    assert word(file) == expected
    found = Detected(word(file), "SwinIR", 3)
    assert parsed(found.file) == found


@pytest.mark.parametrize(
    "file", ["RealESRGAN_x4plus.safetensors", "a.ESRGAN-x5.safetensors", ".ESRGAN-x4.safetensors", "a.ESRGAN-x4.pth"]
)
def test_other_files_of_the_folder_are_none_of_these(file):
    assert parsed(file) is None


def test_only_the_folders_listing_is_read_when_the_program_starts(folder, caplog):
    folder.mkdir()
    for name in ("b.HAT-x4", "a.DAT-x2", "a.ESRGAN-x4", "esrgan.ESRGAN-x4", "lanczos.SPAN-x2", "RealESRGAN_x4plus"):
        (folder / f"{name}.safetensors").write_bytes(b"not even read")
    plugins = Plugins()
    for card in CARDS:
        plugins.cards.add(card.id, card)
    register(plugins)
    assert list(plugins.upscalers) == ["a", "b"]
    assert plugins.cards.get("a").title == "DAT x2"
    left = [record.getMessage() for record in caplog.records]
    assert [line.split("'")[1] for line in left] == ["a", "esrgan", "lanczos"]
    assert all("rename the file" in line for line in left)


def test_a_folder_that_is_not_there_brings_nothing(tmp_path):
    plugins = Plugins()
    register(plugins, tmp_path / "none")
    assert len(plugins.upscalers) == 0


def test_a_name_that_is_taken_is_refused(folder, tmp_path, read_here):
    table = drawn(MADE["2x-compact"][2]()).state_dict()
    for name in ("esrgan", "lanczos"):
        with pytest.raises(InputError, match=f"'{name}' is another model's name already; give the file another one"):
            taken(tmp_path / f"{name}.pth", table)
    first = taken(tmp_path / "one.pth", table)
    other = drawn(MADE["2x-compact"][2](), 1).state_dict()
    with pytest.raises(InputError, match="another checkpoint of 'one' is there already; move it away"):
        taken(tmp_path / "one.pth", other)
    torch.save(drawn(MADE["4x_span"][2]()).state_dict(), tmp_path / "one.pth")
    with pytest.raises(InputError, match="'one' is another model's name already"):
        admit(tmp_path / "one.pth", (*CARDS, first.card), PLUGINS.checks)
    assert sorted(p.name for p in folder.iterdir()) == ["SHA256SUMS", "one.Compact-x2.safetensors"]


# -- what is refused -----------------------------------------------------------------------------------


REFUSED: dict[str, tuple[Callable[[], Table], str]] = {
    "grey": (
        lambda: known.Compact.Compact(num_in_ch=1, num_out_ch=1, num_feat=8, num_conv=2, upscale=2).state_dict(),
        r"is RealESRGAN Compact, which takes 1 and gives 1 channels, not R'G'B'; what enlarges or restores",
    ),
    "sixteen": (
        lambda: known.ESRGAN.ESRGAN(num_filters=4, num_blocks=1, scale=16).state_dict(),
        "is ESRGAN, which enlarges by 16, not by 1, 2, 3, 4, 8",
    ),
    "damaged": (
        lambda: {k: t for k, t in drawn(MADE["4x_span"][2]()).state_dict().items() if k != "conv_cat.bias"},
        r"looks like SPAN, but is not whole \('conv_cat\.bias' is missing\)",
    ),
    "more": (
        lambda: {**drawn(MADE["4x_span"][2]()).state_dict(), "own.bias": torch.zeros(3)},
        r"looks like SPAN, but is not whole \('own\.bias' is not of this network\)",
    ),
    "another shape": (
        lambda: {**drawn(MADE["4x_span"][2]()).state_dict(), "conv_cat.bias": torch.zeros(3)},
        r"looks like SPAN, but is not whole \('conv_cat\.bias' is of another shape\)",
    ),
    "infinite": (
        lambda: {k: t * float("inf") for k, t in MADE["2x-compact"][2]().state_dict().items()},
        "'body.0.bias' holds numbers that are not finite",
    ),
    "unknown": (lambda: {"a.weight": torch.zeros(1)}, r"is none of the \d+ models that can be imported"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_upscaler_of_pictures_is_refused_in_one_line(name, folder, tmp_path, read_here):
    make, said = REFUSED[name]
    torch.save(make(), tmp_path / f"{name}.pth")
    with pytest.raises(WeightsError, match=said) as caught:
        admit(tmp_path / f"{name}.pth", CARDS, PLUGINS.checks)
    assert "\n" not in str(caught.value)
    assert [p.name for p in folder.iterdir()] == []


@pytest.mark.parametrize(
    ("kind", "purpose", "architecture", "said"),
    [
        ("MaskedImageModelDescriptor", "Inpainting", "LaMa", "fills in what a mask leaves out"),
        ("ImageModelDescriptor", "FaceSR", "GFPGAN", "makes faces anew"),
        ("ImageModelDescriptor", "SR", "AuraSR", "draws noise"),
    ],
)
def test_what_is_made_for_something_else_is_refused(
    kind, purpose, architecture, said, folder, tmp_path, read_here, monkeypatch
):
    """Their networks are of hundreds of megabytes: a small one stands for them, under their purpose."""
    small = MADE["2x-compact"][2]()
    options = {"scale": 2} if kind == "ImageModelDescriptor" else {}

    class Stand:
        id = name = architecture

        def load(self, table):
            return getattr(spandrel, kind)(
                small, table, self, purpose, [], supports_half=True, supports_bfloat16=True, input_channels=3,
                output_channels=3, **options,
            )  # fmt: skip

    only = spandrel.ArchRegistry()
    only.add(spandrel.ArchSupport(Stand(), lambda table: True))
    monkeypatch.setattr(spandrel, "MAIN_REGISTRY", only)
    with pytest.raises(WeightsError, match=f"is {architecture}, which {said}"):
        taken(tmp_path / "x.pth", drawn(small).state_dict())


def test_without_the_library_one_line_says_what_to_install(folder, tmp_path, read_here, monkeypatch):
    table = drawn(MADE["2x-compact"][2]()).state_dict()
    path = taken(tmp_path / "one.pth", table).path
    real = importlib.util.find_spec
    monkeypatch.setattr(detected, "find_spec", lambda name: None if name == "spandrel" else real(name))
    install = "install spandrel: python -m pip install -r requirements.txt"
    with pytest.raises(WeightsError, match=f"is none of .* for upscalers of other architectures {install}"):
        taken(tmp_path / "two.pth", table)
    plugins = Plugins()
    register(plugins)
    assert list(plugins.upscalers) == ["one"]
    with pytest.raises(ModelMissingError, match=f"model 'one' cannot run yet; {install}"):
        plugins.upscalers.get("one")("cpu")
    (row,) = verified(plugins.cards.values(), plugins.checks)
    assert (row.path, row.as_taken_in, row.fault) == (path, True, "")
    with pytest.raises(RecipeError, match="expected one of lanczos, one, got 'two'"):
        Upscale(plugins.upscalers).upscaler(UpscaleParams(by="two"))
    # What belongs to a card is recognised as ever.
    assert taken(tmp_path / "any.pth", CompactNet(16).state_dict()).card.id == "realesr-animevideo"


# -- what is kept, and what it hangs on ----------------------------------------------------------------


def test_verify_looks_at_the_network_and_the_name(folder, tmp_path, read_here):
    path = taken(tmp_path / "one.pth", drawn(MADE["2x-compact"][2]()).state_dict()).path
    plugins = Plugins()
    path.rename(folder / "two.Compact-x4.safetensors")
    (folder / "three.SPAN-x2.safetensors").write_bytes(b"damaged")
    save_file({"a.weight": torch.zeros(2)}, folder / "four.SPAN-x2.safetensors")
    register(plugins)
    found = {row.card.id: row for row in verified(plugins.cards.values(), plugins.checks)}
    assert "is Compact x2, not Compact x4 as its name says" in found["two"].fault
    assert "is not a checkpoint" in found["three"].fault
    assert "is none that the spandrel library knows, not SPAN x2 as its name says" in found["four"].fault
    assert {status.card.id: status.state for status in shelf(cards=plugins.cards.values())} == dict.fromkeys(
        found, "ready"
    )
    with pytest.raises(WeightsError, match="is Compact x2, not Compact x4"):
        plugins.upscalers.get("two")("cpu").enlarge([picture(8, 8)], 0)


def test_a_key_holds_the_weights_and_the_librarys_version(folder, tmp_path, read_here, monkeypatch):
    table = drawn(MADE["2x-compact"][2]()).state_dict()
    taken(tmp_path / "one.pth", table)
    found = Detected("one", "Compact", 2)
    first = load(found, device="cpu").fingerprint
    shutil.copy(tmp_path / "one.pth", tmp_path / "two.pth")
    admit(tmp_path / "two.pth", CARDS, PLUGINS.checks)
    assert load(Detected("two", "Compact", 2), device="cpu").fingerprint == first
    table["body.0.bias"][0] += 0.01
    taken(tmp_path / "three.pth", table)
    assert load(Detected("three", "Compact", 2), device="cpu").fingerprint != first
    monkeypatch.setattr(detected.importlib.metadata, "version", lambda name: "0.0")
    assert load(found, device="cpu").fingerprint != first
    upscale, params = Upscale(PLUGINS.upscalers), UpscaleParams(by="one")
    with pytest.raises(RecipeError):
        upscale.key_parts(params)
    plugins = Plugins()
    register(plugins)
    assert Upscale(plugins.upscalers).key_parts(params) == (load(found, device="cpu").fingerprint,)


def test_reading_waits_for_the_first_picture(folder, tmp_path, read_here):
    path = taken(tmp_path / "one.pth", drawn(MADE["2x-compact"][2]()).state_dict()).path
    made = load(Detected("one", "Compact", 2), device="cpu")
    whole = path.read_bytes()
    path.write_bytes(b"gone")
    with pytest.raises(WeightsError, match="is not a checkpoint"):
        made.enlarge([picture(8, 8)], 0)
    path.write_bytes(whole)
    assert made.enlarge([picture(8, 8)], 0).shape == (16, 16, 3)


# -- large pictures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "side", "overlap"), [("2x-compact", 24, 8), ("8x.dense", 12, 20), ("2x fold", 24, 40)]
)
def test_in_parts_a_network_of_convolutions_gives_the_whole(name, side, overlap, folder, tmp_path, read_here):
    """The overlap is all that these small networks can see."""
    _, _, make = MADE[name]
    path = taken(tmp_path / f"{name}.pth", drawn(make()).state_dict()).path
    found = parsed(path.name)
    assert found is not None
    whole, parts = (load(found, device="cpu") for _ in range(2))
    rgb = picture(side + 2 * overlap + 5, 9)
    expected = whole.enlarge([rgb], 0)
    parts._tiling = parts._usual = Tiling(side, overlap, parts._network().tiling.multiple)
    calls = []
    parts._network().register_forward_hook(lambda *_: calls.append(1))
    made = parts.enlarge([rgb], 0)
    assert len(calls) >= 2
    assert np.abs(made - expected).max() < 1e-5
    assert expected.std() > 5e-3


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("2x-compact", Tiling(512, 64)),
        ("4x_span", Tiling(256, 32)),
        ("8x.dense", Tiling(128, 32)),
        ("denoise", Tiling(512, 64)),
        ("2x fold", Tiling(512, 64, 4)),
        ("windows", Tiling(2048, 128)),
        ("scratches", Tiling(2048, 128)),
        ("rain", Tiling(512, 128, 128)),
    ],
)
def test_pictures_are_cut_as_the_architecture_allows(name, expected, folder, tmp_path, read_here):
    _, _, make = MADE[name]
    path = taken(tmp_path / f"{name}.pth", make().state_dict()).path
    found = parsed(path.name)
    assert found is not None
    assert load(found, device="cpu")._network().tiling == expected


def test_where_memory_ends_parts_become_smaller_and_then_it_says_so(folder, tmp_path, read_here, caplog):
    taken(tmp_path / "one.pth", drawn(MADE["windows"][2]()).state_dict())
    made = load(Detected("one", "SwinIR", 2), device="cpu")
    whole, limit = made._network().forward, 400 * 200
    rgb = picture(64, 700)
    small = rgb[:, :96].copy()
    expected = made.enlarge([small], 0)

    def narrow(planes: torch.Tensor) -> torch.Tensor:
        if planes.shape[-2] * planes.shape[-1] > limit:
            raise torch.OutOfMemoryError("out of memory")
        return torch.nn.functional.interpolate(planes, scale_factor=2)

    network = made._network()
    network.forward = narrow  # type: ignore[method-assign]
    limit = 64 * 600
    out = made.enlarge([rgb], 0)
    assert out.shape == (128, 1400, 3)
    assert np.array_equal(out[::2, ::2], rgb)
    assert [record.getMessage().rpartition("of ")[2] for record in caplog.records] == ["1024 px", "512 px", "256 px"]
    limit = 0
    with pytest.raises(PochoirError, match="one: out of memory on cpu even in parts of 128 px"):
        made.enlarge([rgb], 0)
    network.forward = whole  # type: ignore[method-assign]
    assert np.array_equal(made.enlarge([small], 0), expected)


def test_it_runs_where_it_is_told_to(folder, tmp_path, read_here):
    taken(tmp_path / "one.pth", drawn(MADE["2x-compact"][2]()).state_dict())
    made = load(Detected("one", "Compact", 2))
    out = made.enlarge([picture(9, 9)], 0)
    assert {p.device.type for p in made._network().parameters()} == {pick_device(None).type}
    assert out.shape == (18, 18, 3)
    with pytest.raises(InputError, match="expected one of"):
        load(Detected("one", "Compact", 2), device="abacus")
