"""Strangers' checkpoints on their way into the model folder: whose they are, what is refused, what is kept."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import subprocess
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from app import BUILTINS
from core import lock
from core.contract.plugins import load_plugins
from core.contract.registry import Registry
from core.errors import InputError, ModelMissingError, WeightsError
from core.models import admit as door
from core.models import apart, ddcolor, deoldify, edvr, raft, realesrgan, sam2
from core.models.admit import Admitted, admit, recognised, verified
from core.models.card import ModelCard, ModelFile
from core.models.checkpoint import COUNTER, ORIGIN, Check, check_for, empty, identity_of, read_checkpoint
from core.models.compact_net import CompactNet
from core.models.dain_net import DainNet
from core.models.ddcolor_net import DualDecoder
from core.models.deoldify_net import Generator
from core.models.pins import NAME, pin, pinned
from core.models.rewrite import ROOT
from core.models.rife_net import V4_25, IFNet
from core.models.shelf import find
from core.models.siggraph17_net import UserGuided
from hints import sam
from tests.contracts.registered import PLUGINS
from tests.parity import Fixture, needs_parity

CARDS = PLUGINS.cards.values()
# The two larger ones are of the same code, and of gigabytes.
TOO_LARGE = {"segment-anything-l", "segment-anything-h"}


def net() -> torch.nn.Sequential:
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))


def card(name: str, *files: ModelFile) -> ModelCard:
    files = files or (ModelFile(f"{name}.pth", f"https://a.example/{name}.pth"),)
    return ModelCard(name, name, "upscale", "MIT", "", files, "nothing")


def shelf_of(*cards: ModelCard) -> tuple[tuple[ModelCard, ...], Registry[Check]]:
    checks: Registry[Check] = Registry("check")
    for one in cards:
        checks.add(one.id, check_for(net))
    return cards, checks


SMALL = shelf_of(card("small"))


@pytest.fixture
def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(2)
    return {name: torch.rand_like(t) if t.is_floating_point() else t for name, t in net().state_dict().items()}


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a)


@pytest.fixture
def read_here(monkeypatch) -> None:
    """Reading apart costs a start of torch for each file; where it is not what is tried, files are read here."""

    def rewrite(source: Path, target: Path, digest: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(apart, "limit", lambda size: None)
            patch.setattr(apart, "confine", lambda: None)
            said = io.StringIO()
            patch.setattr(sys, "stderr", said)
            if apart.main(source, target, digest):
                raise WeightsError(said.getvalue().strip())

    monkeypatch.setattr(door, "rewrite", rewrite)


# -- what is taken -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "write",
    [
        lambda w, p: torch.save(w, p),
        lambda w, p: torch.save({"params-ema": {f"module.{k}": v for k, v in w.items()}}, p),
        lambda w, p: torch.save({"model": w, "opt": {}}, p, _use_new_zipfile_serialization=False),
        lambda w, p: save_file(w, p),
        lambda w, p: p.write_bytes(pickle.dumps({k: v.numpy() for k, v in w.items()}, protocol=4)),
    ],
    ids=["zip", "params-ema, module.", "before torch 1.6", "safetensors", "pdparams"],
)
def test_a_file_of_any_kind_is_rewritten_and_pinned(tmp_path, weights, write, read_here):
    source, folder = tmp_path / "found on a disk.bin", tmp_path / "models"
    write(weights, source)
    before = source.read_bytes()
    taken = admit(source, *SMALL, folder)
    path = folder / "small.safetensors"
    digest = hashlib.sha256(before).hexdigest()
    assert taken == Admitted(SMALL[0][0], path, digest_of(path), digest, None)
    assert same(load_file(path), weights)
    assert pinned(folder) == {path.name: taken.sha256}
    assert source.read_bytes() == before
    assert sorted(p.name for p in folder.iterdir()) == [NAME, path.name]
    assert find(taken.card, folder) == path
    assert admit(source, *SMALL, folder) == taken  # once more changes nothing


def test_a_file_is_read_in_a_process_of_its_own(tmp_path, weights):
    torch.save(weights, tmp_path / "net.pth")
    assert same(load_file(admit(tmp_path / "net.pth", *SMALL, tmp_path / "models").path), weights)


def test_views_of_one_memory_become_tensors_of_their_own(tmp_path, weights, read_here):
    source, folder = tmp_path / "net.pth", tmp_path / "models"
    both = torch.arange(12.0)
    weights["1.weight"], weights["1.bias"] = both[:4], both[4:8]
    weights["1.running_mean"] = weights["1.running_var"]
    weights["0.weight"] = weights["0.weight"].transpose(2, 3)
    torch.save(weights, source)
    assert same(load_file(admit(source, *SMALL, folder).path), weights)


def test_another_checkpoint_of_the_model_is_not_overwritten(tmp_path, weights, read_here):
    source, folder = tmp_path / "net.pth", tmp_path / "models"
    torch.save(weights, source)
    taken = admit(source, *SMALL, folder)
    weights["0.bias"] += 1
    torch.save(weights, source)
    with pytest.raises(InputError, match="is there already; move it away"):
        admit(source, *SMALL, folder)
    assert digest_of(taken.path) == taken.sha256
    assert sorted(p.name for p in folder.iterdir()) == [NAME, taken.path.name]


def test_the_same_weights_have_one_identity_in_both_forms(tmp_path, weights, read_here):
    """It is in every cache key: taking a checkpoint in must not have the film rendered once more."""
    source, folder = tmp_path / "small.pth", tmp_path / "models"
    torch.save(weights, source)
    path = admit(source, *SMALL, folder).path
    assert identity_of(path) == identity_of(source) == digest_of(source)
    # What is no longer as it was taken in is known by its own bytes, whatever it says it was made from.
    (tmp_path / "moved.safetensors").write_bytes(path.read_bytes())
    assert identity_of(tmp_path / "moved.safetensors") == digest_of(path)
    weights["0.bias"] += 1
    save_file(weights, path, {ORIGIN: digest_of(source)})
    assert identity_of(path) == digest_of(path) != digest_of(source)
    # Safetensors that were taken in have an origin too; ones put there by hand have none.
    save_file(weights, tmp_path / "hand.safetensors")
    assert identity_of(tmp_path / "hand.safetensors") == digest_of(tmp_path / "hand.safetensors")
    with pytest.raises(WeightsError, match=r"none\.pth: cannot be read \(No such file"):
        identity_of(tmp_path / "none.pth")


def test_a_file_of_which_nothing_can_be_noted_is_not_taken_in(tmp_path, weights, read_here):
    """Else it would be ready for use, and nobody could tell whether it is still as it came."""
    folder = tmp_path / "models"
    (folder / NAME).mkdir(parents=True)
    torch.save(weights, tmp_path / "net.pth")
    for act in (lambda: admit(tmp_path / "net.pth", *SMALL, folder), lambda: verified(*SMALL, folder)):
        with pytest.raises(InputError) as caught:
            act()
        said = f"{folder / NAME}: cannot be read (Is a directory); check permissions, or move it away"
        assert str(caught.value) == said
    assert [p.name for p in folder.iterdir()] == [NAME]


@pytest.mark.parametrize("at", ["replace", "chmod"])
def test_a_file_that_cannot_be_put_into_its_place_leaves_a_note_that_harms_nothing(
    tmp_path, weights, read_here, monkeypatch, at
):
    folder, real = tmp_path / "models", getattr(Path, at)
    torch.save(weights, tmp_path / "net.pth")

    def full(self: Path, *args: object) -> object:
        if self.suffix == ".part":
            raise OSError(28, "No space left on device")
        return real(self, *args)

    monkeypatch.setattr(Path, at, full)
    with pytest.raises(InputError, match=r"small\.safetensors: cannot be written \(No space left on device\)"):
        admit(tmp_path / "net.pth", *SMALL, folder)
    assert [p.name for p in folder.iterdir()] == [NAME]
    assert verified(*SMALL, folder) == []
    monkeypatch.undo()
    assert verified(*SMALL, folder) == []


def test_a_note_that_cannot_be_written_is_said_in_one_line(tmp_path):
    with pytest.raises(InputError, match=rf"none/{NAME}: cannot be written \(No such file or directory\)"):
        pin(tmp_path / "none", "a.safetensors", "ab" * 32)


def test_what_is_in_the_files_place_and_no_file_is_not_written_over(tmp_path, weights, read_here):
    folder = tmp_path / "models"
    (folder / "small.safetensors").mkdir(parents=True)
    torch.save(weights, tmp_path / "net.pth")
    with pytest.raises(InputError, match=r"is there already and cannot be read \(Is a directory\); move it away"):
        admit(tmp_path / "net.pth", *SMALL, folder)
    assert [p.name for p in folder.iterdir()] == ["small.safetensors"]


# -- whose it is ---------------------------------------------------------------------------------------


NETWORKS = {
    **{name: partial(Generator, v.kind) for name, v in deoldify.VARIANTS.items()},
    **{name: partial(DualDecoder, v.kind) for name, v in ddcolor.VARIANTS.items()},
    **{name: v.made for name, v in edvr.VARIANTS.items()},
    **{name: v.made for name, v in realesrgan.VARIANTS.items()},
    **{name: partial(raft.RAFT, layout) for name, layout in raft.LAYOUTS.items()},
    **{name: partial(sam._network, kind) for name, kind in sam.MODELS if name not in TOO_LARGE},
    **{name: partial(sam2.network, layout) for name, layout in sam2.LAYOUTS.items()},
    realesrgan.GENERAL: partial(CompactNet, 32),
    "siggraph17": UserGuided,
    "dain": DainNet,
    "rife": partial(IFNet, V4_25),
}


@cache
def shapes_of(name: str) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in empty(NETWORKS[name]).state_dict().items()}


def filled(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """A table of these shapes that takes no memory."""
    counter = torch.zeros((), dtype=torch.int64)
    return {k: counter if k.endswith(COUNTER) else torch.full((1,), 0.5).expand(s) for k, s in shapes.items()}


def test_every_card_with_a_network_is_tried_here():
    assert set(PLUGINS.checks) == NETWORKS.keys() | TOO_LARGE == {c.id for c in CARDS if not c.built_in}


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_table_is_recognised_by_its_tensors_whatever_it_is_called(name):
    table = filled(shapes_of(name))
    alike = [c.id for c in CARDS if c.id in NETWORKS and shapes_of(c.id) == shapes_of(name)]
    if len(alike) == 1 and name != "siggraph17":
        found, file = recognised(table, "0" * 64, "x.bin", CARDS, PLUGINS.checks, where="x.bin")
        assert (found.id, file) == (name, found.files[0])
    else:
        with pytest.raises(InputError, match=f"fits {', '.join(alike) if alike[1:] else 'siggraph17-df'}") as caught:
            recognised(table, "0" * 64, "x.bin", CARDS, PLUGINS.checks, where="x.bin")
        assert "--as" in str(caught.value)
    for file in next(c for c in CARDS if c.id == name).files:
        for called in (file.name, file.rewritten):
            found, kept = recognised(table, "0" * 64, called, CARDS, PLUGINS.checks, where=called)
            assert (found.id, kept) == (name, file)
        found, kept = recognised(table, "0" * 64, "x", CARDS, PLUGINS.checks, model=file.name, where="x")
        assert (found.id, kept) == (name, file)
        if file.digest:
            digest = file.digest.ljust(64, "0")
            found, kept = recognised(table, digest, "flownet.pkl", CARDS, PLUGINS.checks, where="x")
            assert (found.id, kept) == (name, file)


def test_of_two_models_of_one_network_the_hash_decides_before_the_name(weights):
    cards, checks = shelf_of(
        card("one", ModelFile("one-0123abcd.pth", "https://a.example")),
        card("two", ModelFile("two.pth", "https://a.example", "cd" * 32)),
    )
    for digest, name, id_ in [
        ("0123abcd".ljust(64, "0"), "two.pth", "one"),
        ("cd" * 32, "one-0123abcd.pth", "two"),
        ("00" * 32, "one-0123abcd.pth", "one"),
        ("00" * 32, "two.safetensors", "two"),
    ]:
        assert recognised(weights, digest, name, cards, checks, where="x")[0].id == id_
    with pytest.raises(InputError, match="x: fits one, two alike; say which it is: --as one"):
        recognised(weights, "00" * 32, "x", cards, checks, where="x")
    assert recognised(weights, "00" * 32, "x", cards, checks, model="two", where="x")[0].id == "two"


def test_files_that_are_read_differently_are_not_taken_for_one_another(weights):
    cards, checks = shelf_of(
        card("one", ModelFile("a.pth", "https://a.example"), ModelFile("b.pth", "https://a.example", reading="other"))
    )
    with pytest.raises(InputError, match=r"fits a\.pth, b\.pth alike; say which it is: --as a\.pth"):
        recognised(weights, "00" * 32, "x", cards, checks, where="x")
    assert recognised(weights, "00" * 32, "x", cards, checks, model="b.pth", where="x")[1].name == "b.pth"


def test_a_model_that_is_asked_for_says_what_does_not_fit(weights):
    del weights["0.bias"]
    with pytest.raises(WeightsError, match=r"x: '0\.bias' is missing"):
        recognised(weights, "00" * 32, "x", *SMALL, model="small", where="x")
    with pytest.raises(WeightsError, match=r"none of the 1 models .* its 6 tensors are '0\.weight'"):
        recognised(weights, "00" * 32, "x", *SMALL, where="x")
    with pytest.raises(InputError, match="'embedded' is no model that is imported"):
        recognised(weights, "00" * 32, "x", CARDS, PLUGINS.checks, model="embedded", where="x")


def test_a_package_that_is_not_installed_hinders_only_its_own_models_files(monkeypatch):
    for library in ("segment_anything", "transformers"):
        monkeypatch.setitem(sys.modules, library, None)
    fresh = load_plugins([import_module(name) for name in BUILTINS], discover=False)  # nobody's network is made yet
    found, _ = recognised(filled(shapes_of("edvr")), "0" * 64, "x", fresh.cards.values(), fresh.checks, where="x")
    assert found.id == "edvr"
    for name, needed in (
        ("image_encoder.patch_embed.proj.weight", "segment-anything needs the segment_anything library"),
        ("image_encoder.trunk.patch_embed.proj.weight", r"SAM 2\.1 needs the transformers library"),
    ):
        with pytest.raises(ModelMissingError, match=f"^x: {needed}; install what .*; it is no other model's file$"):
            recognised({name: torch.ones(1)}, "0" * 64, "x", CARDS, fresh.checks, where="x")
    with pytest.raises(WeightsError, match=f"is none of the {len(list(fresh.checks))} models"):
        recognised({"a": torch.ones(1)}, "0" * 64, "x", CARDS, fresh.checks, where="x")


# What each fixture's network is published as; the file's own layout is of its config.
PUBLISHED = {
    "deoldify_artistic": ("deoldify-artistic", lambda w: {"model": w, "opt": {"lr": slice(1e-6, 1e-3, None)}}),
    "siggraph17": ("siggraph17", lambda w: w),
    "ddcolor_tiny": ("ddcolor-tiny", lambda w: {"params": {**w, "encoder.arch.head_cls.bias": torch.zeros(1000)}}),
    "dain_slowmotion": ("dain", lambda w: w),
    "edvr_m_x4": ("edvr", lambda w: {"params": w}),
    "edvr_m_x4_wotsa": ("edvr-wotsa", lambda w: {"params": w}),
    "edvr_l_deblur": ("edvr-deblur", lambda w: {"params": {f"module.{k}": t for k, t in w.items()}}),
    "edvr_l_x4_srblur": ("edvr-srblur", lambda w: {"params_ema": w}),
    "esrgan_x4_model_sub": ("esrgan", lambda w: w),
    "esrgan_x4_rrdb_trunk": ("esrgan", lambda w: w),
    "realesrgan_x4plus": ("realesrgan-x4", lambda w: {"params_ema": w}),
    "realesrgan_x2plus": ("realesrgan-x2", lambda w: {"params_ema": w}),
    "realesr_compact16": ("realesr-animevideo", lambda w: {"params": w}),
    "realesr_compact32": ("realesr-general", lambda w: {"params": w}),
    "rife_eccv2022": ("rife", lambda w: w),
    "rife_v46": ("rife", lambda w: w),
    "rife_v417": ("rife", lambda w: w),
    "rife_v425": ("rife", lambda w: {**w, "module.teacher.0.weight": torch.zeros(1)}),
}


@needs_parity
@pytest.mark.parametrize("fixture", sorted(PUBLISHED))
def test_a_file_of_every_published_name_is_taken_for_what_it_is(tmp_path, fixture, read_here):
    name, layout = PUBLISHED[fixture]
    spec = Fixture(fixture)
    shapes = {k["name"]: tuple(k["shape"]) for k in spec.keys}
    half = {k: t.to(torch.float16) if t.is_floating_point() else t for k, t in filled(shapes).items()}
    source = tmp_path / "found.bin"
    torch.save(layout({k: t.clone() for k, t in half.items()}), source)
    asked = {"siggraph17": "caffemodel.pth"}.get(name, name)  # of its three files one is read differently
    taken = admit(source, CARDS, PLUGINS.checks, tmp_path / "models", model=asked)
    assert (taken.card.id, taken.path) == (name, find(name, tmp_path / "models"))
    kept = {k.removeprefix("module.") for k in shapes}
    assert kept <= read_checkpoint(taken.path).keys()
    (one,) = verified(CARDS[1:], PLUGINS.checks, tmp_path / "models")
    assert (one.card.id, one.as_taken_in, one.fault) == (name, True, "")


# -- what is refused -----------------------------------------------------------------------------------


class Hostile:
    """Unpickled without care, it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def bomb(path: Path) -> None:
    """A few kilobytes that unpack to a hundred megabytes."""
    inner = path.with_suffix(".inner")
    torch.save({"w": torch.zeros(25 << 20)}, inner)
    with zipfile.ZipFile(inner) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for entry in source.infolist():
            packed.writestr(entry.filename, source.read(entry))
    inner.unlink()


def cut(weights: dict[str, torch.Tensor], path: Path) -> None:
    torch.save(weights, path)
    path.write_bytes(path.read_bytes()[:-600])


def rotten(weights: dict[str, torch.Tensor], path: Path) -> None:
    torch.save(weights, path)
    content = weights["0.weight"].numpy().tobytes()
    path.write_bytes(path.read_bytes().replace(content, content[4:] + content[:4]))


def archive(weights: dict[str, torch.Tensor], path: Path) -> None:
    inner = io.BytesIO()
    torch.save(weights, inner)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("train_log/IFNet.py", "")
        packed.writestr("train_log/flownet.pkl", inner.getvalue())


def spoilt(weights: dict[str, torch.Tensor], path: Path, value: float) -> None:
    weights["0.weight"][1, 2, 0, 1] = value
    torch.save(weights, path)


REFUSED = {
    "runs something, zip": (lambda w, p: torch.save({"a": Hostile(p.parent / "mark")}, p), "would run"),
    "runs something, before torch 1.6": (
        lambda w, p: torch.save({"a": Hostile(p.parent / "mark")}, p, _use_new_zipfile_serialization=False),
        "would run",
    ),
    "runs something, pickle": (lambda w, p: p.write_bytes(pickle.dumps(Hostile(p.parent / "mark"))), "would run"),
    "neither": (lambda w, p: p.write_bytes(b"garbage"), "is not a checkpoint"),
    "cut off": (cut, "cannot be read"),
    "not a number": (lambda w, p: spoilt(w, p, np.nan), r"'0\.weight' holds numbers that are not finite"),
    "infinite": (lambda w, p: spoilt(w, p, np.inf), r"'0\.weight' holds numbers that are not finite"),
    "another network": (lambda w, p: torch.save({"a.weight": torch.ones(3)}, p), "none of the 1 models"),
    "a header without end": (
        lambda w, p: p.write_bytes((1 << 40).to_bytes(8, "little") + b"{}"),
        "header claims 109951",
    ),
    "a bomb": (lambda w, p: bomb(p), "packed as no checkpoint is"),
    "claims more than it holds": (lambda w, p: torch.save({"w": torch.zeros(1).expand(1 << 40)}, p), "claims"),
    "damaged on its disk": (rotten, "its parts do not match their check sums"),
    "an archive": (archive, r"is an archive; unpack it and import train_log/flownet\.pkl"),
    "empty": (lambda w, p: p.touch(), "is empty"),
    "a folder": (lambda w, p: p.mkdir(), "is a folder"),
    "nothing": (lambda w, p: None, "no such file"),
    "a pipe": (lambda w, p: os.mkfifo(p), "is a pipe or a device"),
    "a link to nothing": (lambda w, p: p.symlink_to("nowhere"), "leads to no file"),
    "a link to itself": (lambda w, p: p.symlink_to(p), r"cannot be read \("),
    "float8": (
        lambda w, p: save_file({k: t.to(torch.float8_e4m3fn) for k, t in w.items()}, p),
        "is float8_e4m3fn",
    ),
    "a web page": (lambda w, p: p.write_text("<!DOCTYPE html><html>"), "a web page"),
    "a pointer": (lambda w, p: p.write_text("version https://git-lfs.github.com/spec/v1\noid"), "Git LFS"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_checkpoint_is_refused_in_one_line_and_leaves_nothing(tmp_path, weights, kind, request):
    if not kind.startswith("runs"):
        request.getfixturevalue("read_here")
    source, folder = tmp_path / "net.pth", tmp_path / "models"
    folder.mkdir()
    write, said = REFUSED[kind]
    write(weights, source)
    with pytest.raises(InputError, match=said) as caught:
        admit(source, *SMALL, folder)
    assert "\n" not in str(caught.value)
    assert str(source) in str(caught.value)
    assert not (tmp_path / "mark").exists()
    assert list(folder.iterdir()) == []


def test_what_never_ends_is_ended(tmp_path, monkeypatch):
    # Sixty tuples, each of the one before twice, as the key of a table: its hash takes an age of the world.
    monkeypatch.setattr("core.models.rewrite.TIMEOUT", 8)
    knot = b"(t" + b"".join(b"q%c2\x86" % i for i in range(60))
    (tmp_path / "net.pth").write_bytes(b"\x80\x04}" + knot + b"K\x01s.")
    with pytest.raises(InputError, match="not read within 8 s"):
        admit(tmp_path / "net.pth", *SMALL, tmp_path / "models")


def in_child(code: str) -> str:
    """What a process says in which reading is confined."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    return (done.stdout.strip() + "\n" + done.stderr.strip()).strip().splitlines()[-1]


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="memory is limited on Linux only")
def test_the_process_that_reads_has_no_more_memory_than_a_checkpoint_needs():
    code = "from core.models.apart import limit; limit({}); print(len(bytearray(1 << 30)))"
    assert in_child(code.format(1 << 20)) == "MemoryError"
    assert in_child(code.format(1 << 30)) == str(1 << 30)


def test_the_process_that_reads_does_nothing_else():
    acts = (
        "open('mark', 'w')",
        "open('app.py', 'r+')",
        "os.open('mark', os.O_WRONLY | os.O_CREAT)",
        "os.system('touch mark')",
        "subprocess.run(['touch', 'mark'])",
        "os.remove('app.py')",
        "os.rename('app.py', 'mark')",
        "socket.socket()",
        "urllib.request.urlopen('http://127.0.0.1:1')",
    )
    code = f"""
import os, socket, subprocess, urllib.request
from core.models.apart import confine
confine()
assert open('app.py').read()
stopped = []
for act in {acts!r}:
    try:
        eval(act)
    except PermissionError as error:
        stopped += [act] if 'it tried' in str(error) else []
print(stopped)
"""
    assert in_child(code) == str(list(acts))
    assert not (ROOT / "mark").exists()


# -- what is kept --------------------------------------------------------------------------------------


def test_pins_are_lines_that_sha256sum_reads(tmp_path):
    pin(tmp_path, "b.safetensors", "ab" * 32)
    pin(tmp_path, "a name.safetensors", "cd" * 32)
    pin(tmp_path, "b.safetensors", "ef" * 32)
    assert (tmp_path / NAME).read_text() == f"{'cd' * 32}  a name.safetensors\n{'ef' * 32}  b.safetensors\n"
    assert pinned(tmp_path) == {"a name.safetensors": "cd" * 32, "b.safetensors": "ef" * 32}
    assert [p.name for p in tmp_path.iterdir()] == [NAME]
    (tmp_path / NAME).write_text("no line of sums\n")
    assert pinned(tmp_path) == {}


def test_pins_of_many_at_once_are_all_noted(tmp_path):
    if lock.fcntl is None:
        pytest.skip("this system knows no such lock")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: pin(tmp_path, f"{n}.safetensors", f"{n:064x}"), range(64)))
    assert pinned(tmp_path) == {f"{n}.safetensors": f"{n:064x}" for n in range(64)}
    assert [p.name for p in tmp_path.iterdir()] == [NAME]


def test_what_a_killed_program_left_goes_and_what_another_is_at_stays(tmp_path, weights, read_here, monkeypatch):
    if lock.fcntl is None:
        pytest.skip("this system knows no such lock")
    source, folder = tmp_path / "net.pth", tmp_path / "models"
    torch.save(weights, source)
    folder.mkdir()
    (folder / ".admit-left.part").write_bytes(b"half")
    (folder / ".admit.lock").touch()
    begun, here, read = [], threading.Barrier(2, timeout=30), door.rewrite

    def slowly(*args) -> None:
        """The first is at it while the second comes; the second then finds nothing of the first's."""
        if not begun:
            begun.append(sorted(p.name for p in folder.glob(".admit-*")))
            here.wait()
            time.sleep(0.3)
        else:
            begun.append(sorted(p.name for p in folder.glob(".admit-*")))
        read(*args)

    monkeypatch.setattr(door, "rewrite", slowly)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(admit, source, *SMALL, folder)
        here.wait()
        second = pool.submit(admit, source, *SMALL, folder)
        assert first.result(30) == second.result(30)
    assert [len(names) for names in begun] == [1, 1]
    assert ".admit-left.part" not in begun[0]
    assert sorted(p.name for p in folder.iterdir()) == [NAME, "small.safetensors"]


def test_one_file_s_fault_does_not_hide_the_others(tmp_path, weights):
    cards, checks = shelf_of(card("good"), card("bad"), card("float8"))
    for name in ("good", "bad"):
        save_file(weights, tmp_path / f"{name}.safetensors")
    save_file({"a": torch.ones(3).to(torch.float8_e4m3fn)}, tmp_path / "float8.safetensors")

    def broken(table, where):
        raise NotImplementedError("not\nfor these")

    checks._things["bad"] = broken
    faults = {one.card.id: one.fault for one in verified(cards, checks, tmp_path)}
    assert faults["good"] == ""
    assert "'a' is float8_e4m3fn" in faults["float8"]
    bad = tmp_path / "bad.safetensors"
    assert faults["bad"].startswith(f"{bad}: cannot be looked through (NotImplementedError: not\\nfor these)")


def test_looking_through_the_folder_finds_what_is_wrong(tmp_path, weights, read_here):
    folder = tmp_path / "models"
    folder.mkdir()
    torch.save(weights, tmp_path / "net.pth")
    digest = digest_of(tmp_path / "net.pth")
    cards, checks = shelf_of(
        card("good", ModelFile("good.pth", "https://a.example", digest)),
        card("changed"),
        card("other"),
        card("nan"),
        card("wrong", ModelFile("wrong.pth", "https://a.example", "00" * 32)),
        card("plain"),
    )
    admit(tmp_path / "net.pth", cards, checks, folder, model="good")
    torch.save({**weights, "0.bias": weights["0.bias"] + 1}, tmp_path / "more.pth")
    path = admit(tmp_path / "more.pth", cards, checks, folder, model="changed").path
    table = load_file(path)
    save_file({**table, "0.bias": table["0.bias"] + 1}, path)
    torch.save({"a": torch.ones(1)}, folder / "other.pth")
    torch.save({**weights, "0.bias": torch.full((4,), np.nan)}, folder / "nan.pth")
    torch.save(weights, folder / "wrong.pth")
    torch.save(weights, folder / "plain.pth")
    found = {one.card.id: one for one in verified(cards, checks, folder)}
    assert {name: (one.as_published, one.as_taken_in) for name, one in found.items()} == {
        "good": (True, True),
        "changed": (None, False),
        "other": (None, None),
        "nan": (None, None),
        "wrong": (False, None),
        "plain": (None, None),
    }
    said = {name: one.fault for name, one in found.items()}
    assert (said["good"], said["plain"]) == ("", "")
    assert "has changed since it was taken in" in said["changed"]
    assert "'0.bias' is missing" in said["other"] or "'a' is not of this network" in said["other"]
    assert "'0.bias' holds numbers that are not finite" in said["nan"]
    assert "differs from what is published" in said["wrong"]


def test_whose_word_a_file_gives_for_itself_is_not_believed(tmp_path, weights, read_here):
    """What it was made from is a note in the file, which anybody can write."""
    folder, source = tmp_path / "models", tmp_path / "small.pth"
    torch.save(weights, source)
    shelf = shelf_of(card("small", ModelFile("small.pth", "https://a.example", digest_of(source))))
    path = admit(source, *shelf, folder).path
    whole = path.read_bytes()

    def told() -> tuple[bool | None, bool | None, str]:
        (one,) = verified(*shelf, folder)
        return one.as_published, one.as_taken_in, one.fault

    assert told() == (True, True, "")
    save_file({**weights, "0.bias": weights["0.bias"] + 1}, path, {ORIGIN: digest_of(source)})
    assert told() == (
        False, False, f"{path}: has changed since it was taken in; move it away, and fetch or import it again"
    )  # fmt: skip
    (folder / NAME).unlink()
    assert told() == (False, None, "")
    path.write_bytes(whole)  # what this program wrote elsewhere cannot be told from what anybody else did
    assert told() == (False, None, "")
