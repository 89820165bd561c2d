"""Strangers' checkpoints: what is read, what is refused, and that norms fold to the weights torch would use."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from core.errors import WeightsError
from core.models.checkpoint import check_whole, fold_norms, load_into, read_checkpoint
from core.models.packed import MOST
from core.models.pickled import would_run

# The published files were made with torch's old weight norm; so is the one here.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning"),
]


@pytest.fixture
def normed() -> nn.Sequential:
    """A convolution under spectral norm, one under weight norm, a batch norm; trained a little, then at rest."""
    torch.manual_seed(3)
    net = nn.Sequential(
        torch.nn.utils.spectral_norm(nn.Conv2d(3, 8, 3, bias=False)),
        nn.BatchNorm2d(8),
        torch.nn.utils.weight_norm(nn.Conv2d(8, 4, 1)),
    )
    for _ in range(3):
        net(torch.randn(2, 3, 9, 9))  # in training mode: moves u and v, and the batch norm's statistics
    return net.eval()


def plain() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1)).eval()


def test_folded_norms_give_what_torch_gives(normed):
    net = plain()
    load_into(net, normed.state_dict(), where="memory")
    x = torch.randn(1, 3, 17, 13)
    with torch.no_grad():
        torch.testing.assert_close(net(x), normed(x), rtol=0, atol=0)  # to the bit: the faithful roads count on it


def test_a_network_without_memory_takes_the_weights(normed):
    with torch.device("meta"):
        net = plain()
    load_into(net, normed.state_dict(), where="memory")
    assert {p.device.type for p in net.parameters()} == {"cpu"}
    assert not any(p.requires_grad for p in net.parameters())


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "before torch 1.6"])
def test_a_file_saved_with_its_optimiser_is_read(tmp_path, normed, legacy):
    path = tmp_path / "gen.pth"
    # As the published files have it: the optimiser's state beside the model's, with a slice of learning rates.
    data = {"model": normed.state_dict(), "opt": {"lr": slice(1e-6, 1e-3, None), "m": torch.ones(2)}}
    torch.save(data, path, _use_new_zipfile_serialization=not legacy)
    read = read_checkpoint(path)
    assert list(read) == list(normed.state_dict())
    assert all(torch.equal(read[k], v) for k, v in normed.state_dict().items())


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "before torch 1.6"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda t: {"params": t},
        lambda t: {"params": {"other": torch.ones(1)}, "params_ema": t},
        lambda t: {"epoch": 3, "state_dict": t, "optimizer": {"state": {}, "lr": 1e-4}},
        lambda t: {"state_dict": OrderedDict((f"module.{k}", v) for k, v in t.items())},
        lambda t: {"model": {"params": t}},
        lambda t: {"model_state_dict": t, "epoch": 3},
        lambda t: {"generator": t, "discriminator": {"other": torch.ones(1)}},
        lambda t: {"net_g": t},
    ],
    ids=["params", "params_ema", "state_dict", "module.", "nested", "model_state_dict", "generator", "net_g"],
)
def test_a_wrapped_network_is_unwrapped(tmp_path, normed, wrap, legacy):
    path = tmp_path / "net.pth"
    torch.save(wrap(normed.state_dict()), path, _use_new_zipfile_serialization=not legacy)
    read = read_checkpoint(path)
    assert list(read) == list(normed.state_dict())
    assert all(torch.equal(read[k], v) for k, v in normed.state_dict().items())


def test_names_that_look_like_wrappers_are_names(tmp_path):
    path = tmp_path / "net.pth"
    weights = {"model": torch.ones(2), "module.a": torch.ones(1), "params": torch.zeros(1)}
    torch.save(weights, path)
    assert read_checkpoint(path).keys() == weights.keys()


def test_a_table_that_holds_itself_is_refused(tmp_path):
    path, table = tmp_path / "net.pth", {}
    table["model"] = table
    torch.save(table, path)
    with pytest.raises(WeightsError, match="no table of tensors"):
        read_checkpoint(path)


@pytest.mark.parametrize("data", [{}, {"params": {}}, {"params": {"w": 1}}, {"params": {0: torch.ones(1)}}, [1]])
def test_a_wrapper_around_no_table_is_refused(tmp_path, data):
    path = tmp_path / "net.pth"
    torch.save(data, path)
    with pytest.raises(WeightsError, match="no table of tensors"):
        read_checkpoint(path)


class Hostile:
    """Unpickled without care, it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"echo > {self.mark}",)


HOSTILE = {
    "zip": lambda h, p: torch.save({"model": h, "opt": 0}, p),
    "zip, protocol 4": lambda h, p: torch.save({"model": h}, p, pickle_protocol=4),
    "before torch 1.6": lambda h, p: torch.save({"model": h}, p, _use_new_zipfile_serialization=False),
    "pickle": lambda h, p: p.write_bytes(pickle.dumps({"model": h}, protocol=2)),
    "pickle, protocol 5": lambda h, p: p.write_bytes(pickle.dumps(h, protocol=5)),
}


@pytest.mark.parametrize("write", HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_would_run_something_is_refused_by_its_name_and_runs_nothing(tmp_path, write):
    path, mark = tmp_path / "gen.pth", tmp_path / "mark"
    write(Hostile(mark), path)
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(path)
    assert str(caught.value) == (
        f"{path}: would run {os.system.__module__}.system when read, so it is no plain checkpoint; do not use this file"
    )
    assert not mark.exists()


def test_of_what_a_file_would_run_the_first_thing_no_table_needs_is_told(tmp_path):
    path = tmp_path / "net.pth"
    table = OrderedDict(a=torch.ones(2), b=torch.ones(3))
    for legacy in (False, True):
        torch.save(table, path, _use_new_zipfile_serialization=not legacy)
        assert would_run(path) == ""
        torch.save({"state_dict": table, "args": types.SimpleNamespace(a=1)}, path)
        assert would_run(path) == "types.SimpleNamespace"
    # The names of module and function come from the memo the second time.
    path.write_bytes(pickle.dumps([OrderedDict, types.SimpleNamespace, types.SimpleNamespace], protocol=4))
    assert would_run(path) == "types.SimpleNamespace"
    path.write_bytes(b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x30\x30h\x00h\x01\x93.")
    assert would_run(path) == "os.system"
    path.write_bytes(b"\x80\x02cos\n" + b"x" * 200 + b"\n.")
    assert would_run(path) == "os." + "x" * 77
    for content in (b"", b"PK", b"\x80", b"garbage"):
        path.write_bytes(content)
        assert would_run(path) == ""


@pytest.mark.parametrize("protocol", [2, 4])
def test_no_word_of_torchs_on_how_to_let_it_run_is_passed_on(tmp_path, protocol):
    """A damaged pickle of torch's, and one of a protocol that it does not read."""
    path = tmp_path / "net.pth"
    torch.save({"a": torch.ones(2)}, path, pickle_protocol=protocol, _use_new_zipfile_serialization=protocol == 4)
    if protocol == 2:
        path.write_bytes(path.read_bytes().replace(b"ctorch._utils\n", b"\xffdamaged.....\n", 1))
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(path)
    assert str(caught.value) == (
        f"{path}: cannot be read as a checkpoint (its pickle is damaged, or holds more than a table of tensors); "
        "fetch it again"
    )


def test_a_packed_file_is_refused_before_it_is_unpacked(tmp_path):
    path, bomb = tmp_path / "gen.pth", tmp_path / "bomb.pth"
    torch.save({"w": torch.zeros(1 << 20)}, path)
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        for entry in source.infolist():
            packed.writestr(entry.filename, source.read(entry))
    with pytest.raises(WeightsError, match="packed"):
        read_checkpoint(bomb)


@pytest.mark.parametrize("part", ["data.pkl", "data/0"])
def test_a_part_that_is_no_longer_what_was_written_is_refused(tmp_path, part):
    """torch reads such files as if nothing were: finite numbers, and wrong ones."""
    path, table = tmp_path / "gen.pth", {"w": torch.arange(1000.0)}
    torch.save(table, path)
    with zipfile.ZipFile(path) as archive:
        content = archive.read(f"gen/{part}")
    changed = content.replace(b"FloatStorage", b"LongStorage\n") if part == "data.pkl" else content[:-1] + b"\x40"
    assert changed != content
    path.write_bytes(path.read_bytes().replace(content, changed))
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(path)
    assert str(caught.value) == f"{path}: its parts do not match their check sums; fetch it again"


def test_a_file_that_was_saved_without_check_sums_is_read(tmp_path):
    path, table = tmp_path / "gen.pth", {"w": torch.arange(1000.0)}
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(table, path)
    finally:
        torch.serialization.set_crc32_options(True)
    with zipfile.ZipFile(path) as archive:
        assert {entry.CRC for entry in archive.infolist()} == {0}
    assert torch.equal(read_checkpoint(path)["w"], table["w"])


def packed(path: Path, kind: str, entries: dict[str, bytes]) -> None:
    """An archive, as zip, deflated or stored, or as tar, packed or not."""
    if kind in ("stored", "deflated"):
        how = zipfile.ZIP_STORED if kind == "stored" else zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(path, "w", how) as archive:
            for name, content in entries.items():
                archive.writestr(name, content)
        return
    with tarfile.open(path, f"w:{kind}") as tar:
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


ARCHIVES = ("stored", "deflated", "", "gz", "bz2", "xz")


@pytest.mark.parametrize("kind", ARCHIVES)
def test_of_an_archive_the_first_checkpoint_in_it_is_named(tmp_path, kind):
    inner = io.BytesIO()
    torch.save({"w": torch.ones(3)}, inner)
    content = inner.getvalue()
    entries = {
        "models/": b"",
        "models/README.md": b"read me",
        "__MACOSX/models/._raft-things.pth": b"what macOS adds",
        "models/raft-things.pth": content,
        "models/raft-small.pth": content,  # it is the last of a tar archive, which so ends as a zip archive does
    }
    path = tmp_path / "models.pth"
    packed(path, kind, entries)
    for look in (read_checkpoint, check_whole):
        with pytest.raises(WeightsError) as caught:
            look(path)
        assert str(caught.value) == f"{path}: is an archive; unpack it and import models/raft-things.pth"


def test_a_name_in_an_archive_is_neither_obeyed_nor_told_at_length(tmp_path):
    path = tmp_path / "models.zip"
    packed(path, "deflated", {"a\x1b\n" + "x" * 9000 + ".pkl": b""})
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(path)
    assert str(caught.value) == f"{path}: is an archive; unpack it and import a\\x1b\\n{'x' * 77}"


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_of_other_things_is_refused_as_ever(tmp_path, kind):
    path = tmp_path / "models.zip"
    packed(path, kind, {"a.txt": b"x" * 1000, "b.py": b""})
    with pytest.raises(WeightsError, match=r"cannot be read as a checkpoint|packed as no|is not a checkpoint"):
        read_checkpoint(path)


def test_a_damaged_archive_is_refused_in_one_line(tmp_path):
    path, rng = tmp_path / "models.tar.gz", torch.Generator().manual_seed(1)
    noise = torch.randint(0, 256, (1 << 16,), generator=rng, dtype=torch.uint8).numpy().tobytes()
    packed(path, "gz", {"a.txt": noise, "b.txt": noise})
    whole = path.read_bytes()
    for content in (whole[:40000], whole[:40000] + bytes(1000) + whole[41000:]):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=r"cannot be read as a checkpoint|is not a checkpoint") as caught:
            read_checkpoint(path)
        assert "\n" not in str(caught.value)


def test_of_a_tar_archive_without_end_only_the_beginning_is_unpacked(tmp_path):
    path = tmp_path / "models.tar"
    packed(path, "", {**{f"{n}.txt": b"" for n in range(MOST)}, "a.pth": b""})
    with pytest.raises(WeightsError, match="is not a checkpoint"):
        read_checkpoint(path)


def test_a_tensor_larger_than_its_file_is_refused(tmp_path):
    path = tmp_path / "gen.pth"
    torch.save({"w": torch.zeros(1).expand(100_000, 100_000)}, path)
    with pytest.raises(WeightsError, match="'w' claims"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not a checkpoint: neither safetensors nor what torch or Paddle saves"),
        (b"garbage", "is not a checkpoint: neither safetensors nor what torch or Paddle saves"),
        (b"PK\x03\x04 cut short", "cannot be read as a checkpoint (PytorchStreamReader failed reading zip archive: "),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, content, said):
    path = tmp_path / "gen.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: {said}")


def test_what_a_stranger_named_is_shown_without_being_obeyed(tmp_path):
    path = tmp_path / "two\nlines\x1b[1m.pth"
    path.write_bytes(b"garbage")
    with pytest.raises(WeightsError, match=r"/two\\nlines\\x1b\[1m\.pth: is not a checkpoint"):
        read_checkpoint(path)
    torch.save({"a\x1b[31m\udcff é": torch.ones(1).expand(1 << 20)}, path)
    with pytest.raises(WeightsError, match=r"'a\\x1b\[31m\\udcff é' claims"):
        read_checkpoint(path)


@pytest.mark.parametrize("content", [{"epoch": 3}, {"model": {"epoch": 3}}, {"model": 3}, {7: torch.ones(1)}])
def test_a_table_of_something_else_is_refused(tmp_path, content):
    path = tmp_path / "gen.pth"
    torch.save(content, path)
    with pytest.raises(WeightsError, match="no table of tensors"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"epoch": 3, "other": {"a": torch.ones(1)}}, " but 'epoch' (int), 'other' (dict)"),
        ({"params": {"a": torch.ones(1), "info": "x"}}, " but 'info' (str)"),
        ({str(n): n for n in range(7)}, " but '0' (int), '1' (int), '2' (int), '3' (int), '4' (int) …"),
        ([1], " but list"),
        ({}, ""),
    ],
)
def test_what_a_file_holds_in_place_of_a_table_is_named(tmp_path, content, said):
    path = tmp_path / "gen.pth"
    torch.save(content, path)
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(path)
    assert str(caught.value) == f"{path}: holds no table of tensors{said}; it is not a checkpoint of a network"


ODD_TENSORS = {
    "float8": (lambda t: t.to(torch.float8_e4m3fn), "float8_e4m3fn"),
    "complex": (lambda t: t.to(torch.complex64), "complex64"),
    "quantised": (lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), "qint8"),
    "sparse": (lambda t: t.to_sparse(), "sparse or ragged (sparse_coo)"),
    "meta": (lambda t: t.to("meta"), "without numbers (meta)"),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("make", "kind"), ODD_TENSORS.values(), ids=ODD_TENSORS)
def test_tensors_that_are_no_plain_arrays_are_refused_by_name(tmp_path, make, kind):
    path = tmp_path / "gen.pth"
    torch.save({"params": {"a": torch.ones(2), "b": make(torch.ones(3))}}, path)
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(path)
    assert str(caught.value) == f"{path}: 'b' is {kind}, which no network here is made of; take the plain checkpoint"


def test_float8_in_safetensors_is_refused_by_name(tmp_path):
    path = tmp_path / "gen.safetensors"
    save_file({"b": torch.ones(3).to(torch.float8_e4m3fn)}, path)
    with pytest.raises(WeightsError, match="'b' is float8_e4m3fn, which"):
        read_checkpoint(path)


def test_a_program_of_torchscript_is_called_one(tmp_path):
    path = tmp_path / "gen.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:  # laid out as torch.jit.save does
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py", "version"):
            archive.writestr(f"gen/{name}", b"x" * 100)
    with pytest.raises(WeightsError, match=r"gen\.pt: is a TorchScript program, not a checkpoint"):
        read_checkpoint(path)


def spoil(weights: dict[str, torch.Tensor], how: str) -> None:
    if how == "missing":
        del weights["1.running_var"]
    elif how == "extra":
        weights["7.weight"] = torch.zeros(1)
    elif how == "shape":
        weights["2.bias"] = torch.zeros(5)
    elif how == "kind":
        weights["2.bias"] = torch.zeros(4, dtype=torch.int64)
    elif how == "nan":
        weights["2.bias"][2] = float("nan")
    elif how == "zero norm":
        weights["0.weight_u"] = torch.zeros(8)
    elif how == "lost vector":
        del weights["0.weight_v"]
    elif how == "short vector":
        weights["0.weight_v"] = torch.zeros(5)


@pytest.mark.parametrize(
    ("how", "named"),
    [
        ("missing", "1.running_var"),
        ("extra", "7.weight"),
        ("shape", "2.bias"),
        ("kind", "2.bias"),
        ("nan", "2.bias"),
        ("zero norm", "0"),
        ("lost vector", "0.weight_v"),
        ("short vector", "0.weight_orig"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(normed, how, named):
    weights = OrderedDict((k, v.clone()) for k, v in normed.state_dict().items())
    spoil(weights, how)
    net = plain()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    with pytest.raises(WeightsError, match=f"'{named}'"):
        load_into(net, weights, where="gen.pth")
    assert all(torch.equal(net.state_dict()[k], v) for k, v in before.items())


def test_norms_stored_as_halves_are_folded_as_float32(normed):
    """What is left is what storing lost; the arithmetic of halves would lose as much again, or overflow."""
    halves = {name: t.half() if t.is_floating_point() else t for name, t in normed.state_dict().items()}
    halves["0.weight_orig"] *= 1e4
    folded = fold_norms(halves)
    wanted = fold_norms({name: t.float() if t.is_floating_point() else t for name, t in halves.items()})
    for name in ("0.weight", "2.weight"):
        assert folded[name].dtype == torch.float32
        assert torch.equal(folded[name], wanted[name])
        assert torch.isfinite(folded[name]).all()


def test_folding_leaves_its_input_alone(normed):
    before = {k: v.clone() for k, v in normed.state_dict().items()}
    fold_norms(normed.state_dict())
    assert all(torch.equal(normed.state_dict()[k], v) for k, v in before.items())
