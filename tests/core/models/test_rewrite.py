"""A checkpoint that was put into the model folder by hand is read by a process that can do nothing else."""

from __future__ import annotations

import errno
import pickle
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from core.errors import InputError, WeightsError
from core.models import apart, checkpoint
from core.models.checkpoint import read_checkpoint, read_network
from core.models.rewrite import REFUSED, UNDONE, rewrite

READ_APART = checkpoint._read_apart


@pytest.fixture
def here(monkeypatch, tmp_path) -> list[Path]:
    """Files whose tensors are read in this process; files are read apart, in a folder that the test may look into."""
    seen: list[Path] = []
    reader = checkpoint.read_tensors
    monkeypatch.setattr(checkpoint, "_read_apart", READ_APART)
    monkeypatch.setattr(checkpoint, "read_tensors", lambda path: seen.append(path) or reader(path))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    return seen


def net() -> torch.nn.Conv2d:
    return torch.nn.Conv2d(3, 4, 3)


def test_a_pickle_is_never_opened_here_and_gives_the_same_network(here, tmp_path):
    weights = net().state_dict()
    torch.save({"state_dict": {f"module.{k}": v for k, v in weights.items()}}, tmp_path / "net.pth")
    made = read_network(net, tmp_path / "net.pth")
    assert all(torch.equal(made.state_dict()[k], v) for k, v in weights.items())
    assert [path.name for path in here] == ["tensors.safetensors"]
    assert not list((tmp_path / "temporary").iterdir())


def test_safetensors_are_read_at_once(here, tmp_path):
    path = tmp_path / "net.safetensors"
    save_file({"weight": torch.ones(2)}, path)
    assert torch.equal(read_checkpoint(path)["weight"], torch.ones(2))
    assert here == [path]


class Mischief:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_what_is_refused_there_is_one_line_here(here, tmp_path):
    path = tmp_path / "net.pth"
    path.write_bytes(pickle.dumps(Mischief(tmp_path / "mark"), protocol=2))
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(f"{path}: would run ")
    assert "\n" not in str(caught.value)
    assert here == []
    assert not (tmp_path / "mark").exists()
    with pytest.raises(WeightsError, match=r"none\.pth: cannot be read as a checkpoint \(No such file"):
        read_checkpoint(tmp_path / "none.pth")


def test_without_a_folder_for_temporary_files_one_line_says_what_to_do(here, tmp_path):
    (tmp_path / "temporary").rmdir()
    (tmp_path / "net.pth").write_bytes(b"\x80\x02.")
    with pytest.raises(InputError, match=r"net\.pth: no folder for temporary files .* name one by TMPDIR"):
        read_checkpoint(tmp_path / "net.pth")


# -- what is no word on the file -----------------------------------------------------------------------


@pytest.fixture
def reads(monkeypatch, tmp_path, capsys) -> Callable[[], tuple[int, str]]:
    """The process that reads, in this one: its status for a sound file, and what it says."""
    torch.save(net().state_dict(), tmp_path / "net.pth")
    monkeypatch.setattr(apart, "limit", lambda size: None)
    monkeypatch.setattr(apart, "confine", lambda: None)

    def main() -> tuple[int, str]:
        status = apart.main(tmp_path / "net.pth", tmp_path / "net.safetensors", "")
        return status, capsys.readouterr().err

    return main


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (f"No space left on device (os error {errno.ENOSPC})", "where there is no room; make room and try again"),
        (f"Disk quota exceeded (os error {errno.EDQUOT})", "where there is no room; make room and try again"),
        ("File too large (os error 27)", "which cannot be written (File too large (os error 27)); check the folder"),
    ],
)
def test_a_disk_that_does_not_take_it_is_no_fault_of_the_file(reads, monkeypatch, tmp_path, fault, said):
    def save(table: object, target: Path, notes: object) -> None:
        raise SafetensorError(f"Error while serializing: I/O error: {fault}")

    monkeypatch.setattr(apart, "save_file", save)
    assert reads() == (UNDONE, f"{tmp_path / 'net.pth'}: needs 0 MB in {tmp_path}, {said}\n")


def no_memory(path: Path) -> None:
    raise MemoryError


def no_memory_for_torch(path: Path) -> None:
    raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory")


def no_memory_on_the_way(path: Path) -> None:
    try:
        no_memory_for_torch(path)
    except RuntimeError:
        raise WeightsError(f"{path}: cannot be read as a checkpoint; fetch it again") from None


@pytest.mark.parametrize("reader", [no_memory, no_memory_for_torch, no_memory_on_the_way])
def test_memory_that_runs_out_is_no_fault_of_the_file(reads, monkeypatch, tmp_path, reader):
    monkeypatch.setattr(apart, "read_tensors", reader)
    status, said = reads()
    assert status == UNDONE
    assert said.startswith(f"{tmp_path / 'net.pth'}: there is not the memory to read it; close other programs and try")


def test_what_is_refused_is_refused_for_what_it_is(reads, tmp_path):
    assert reads() == (0, "")
    (tmp_path / "net.pth").write_bytes(b"garbage")
    status, said = reads()
    assert (status, "is not a checkpoint" in said) == (REFUSED, True)


def test_where_nothing_can_be_written_it_is_said_where(tmp_path):
    torch.save(net().state_dict(), tmp_path / "net.pth")
    with pytest.raises(
        InputError, match=r"net\.pth: needs 0 MB in .*/none, which cannot be written \(No such"
    ) as caught:
        rewrite(tmp_path / "net.pth", tmp_path / "none" / "net.safetensors", "")
    assert type(caught.value) is InputError


@pytest.mark.parametrize(
    ("status", "stderr", "said"),
    [
        (UNDONE, "net.pth: needs 9 MB in /tmp, where there is no room\n", "net.pth: needs 9 MB in /tmp"),
        (-signal.SIGKILL, "", "reading it was ended (Killed); close other programs and try again"),
        (1, "Traceback\nImportError: no torch\n", "reading it was ended (ImportError: no torch)"),
        (9, "", "reading it was ended (status 9)"),
    ],
)
def test_how_its_process_ended_is_no_fault_of_the_file(here, monkeypatch, tmp_path, status, stderr, said):
    (tmp_path / "net.pth").write_bytes(b"\x80\x02.")
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: subprocess.CompletedProcess(a, status, "", stderr))
    with pytest.raises(InputError) as caught:
        read_checkpoint(tmp_path / "net.pth")
    assert type(caught.value) is InputError
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
