"""A checkpoint that was put into the model folder by hand is read by a process that can do nothing else."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from core.errors import InputError, WeightsError
from core.models import checkpoint
from core.models.checkpoint import read_checkpoint, read_network

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
