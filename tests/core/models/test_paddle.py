"""PaddleGAN's files: what is read, under which names, and that nothing in them runs."""

from __future__ import annotations

import json
import pickle
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import WeightsError
from core.models.card import CARDS
from core.models.checkpoint import read_checkpoint
from core.models.paddle import NAMES, in_published_names
from core.models.rrdb_net import in_todays_names
from tests.parity import PARITY, Fixture, needs_parity

MAPPING = PARITY / "paddlegan_naming" / "mapping.json"


def written(path: Path, data: object, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(data, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("wrap", [lambda t: t, lambda t: {"generator": t}], ids=["bare", "generator"])
def test_arrays_are_read_to_the_bit(tmp_path, protocol, wrap):
    arrays = {
        "a.weight": np.random.default_rng(1).standard_normal((3, 4, 5)).astype(np.float32),
        "b.weight": np.asfortranarray(np.arange(6, dtype=np.float16).reshape(2, 3)),
        "c.bias": np.arange(4, dtype=">f4"),
        "d.steps": np.array(7, np.int64),
    }
    path = written(tmp_path / "net.pdparams", wrap({**arrays, NAMES: {"a.weight": "conv2d_0.w_0"}}), protocol)
    read = read_checkpoint(path)
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == torch.from_numpy(array.astype(array.dtype.newbyteorder("="))).dtype
        assert np.array_equal(read[name].numpy(), array)


def test_an_array_beside_its_own_name_is_read(tmp_path):
    path = written(tmp_path / "net.pdparams", {"a.weight": ("conv2d_0.w_0", np.ones((2, 2), np.float32))})
    assert torch.equal(read_checkpoint(path)["a.weight"], torch.ones(2, 2))


class Hostile:
    """Unpickled without care, it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_what_would_run_something_is_refused_by_name_and_runs_nothing(tmp_path):
    path = written(tmp_path / "net.pdparams", {"a.weight": np.ones(2), "b": Hostile(tmp_path / "mark")})
    with pytest.raises(WeightsError, match=r"would run (pathlib\.Path\.touch|builtins\.getattr) when read"):
        read_checkpoint(path)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"a": np.array([{}], object)}, "arrays of O8"),
        ({"a": np.zeros(2, [("x", "f4")])}, "arrays of V4"),
        ({"a": 3}, "'a' is no array"),
        ({3: np.ones(2)}, "'3' is no array"),
        ([np.ones(2)], "no table of arrays"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(tmp_path, data, said):
    with pytest.raises(WeightsError, match=said) as caught:
        read_checkpoint(written(tmp_path / "net.pdparams", data))
    assert "\n" not in str(caught.value)


def test_an_array_that_claims_more_than_its_bytes_is_refused(tmp_path):
    raw = pickle.dumps({"a": np.ones((3, 3), np.float32)}, protocol=4)
    path = tmp_path / "net.pdparams"
    path.write_bytes(raw.replace(b"K\x03K\x03\x86", b"K\xffK\xff\x86"))
    with pytest.raises(WeightsError, match="cannot be read"):
        read_checkpoint(path)


def test_a_frozen_graph_is_named_for_what_it_is(tmp_path):
    for name in ("__model__", "__params__"):
        (tmp_path / name).write_bytes(b"x")
    path = tmp_path / "DAIN_weight.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("__model__", "__params__"):
            archive.add(tmp_path / name, f"DAIN/{name}")
    with pytest.raises(WeightsError, match="frozen graph"):
        read_checkpoint(path)


PAIRS = {
    "layers.0.1._mean": "layers.0.1.running_mean",
    "layers.0.1._variance": "layers.0.1.running_var",
    "layers.3.0.0.spectral_norm.weight_u": "layers.3.0.0.weight_u",
    "layers.10.layers.0.0.layer.bias": "layers.10.layers.0.0.bias",
    "TSAModule.tAtt_1.weight": "fusion.temporal_attn2.weight",
    "TSAModule.tAtt_2.weight": "fusion.temporal_attn1.weight",
    "TSAModule.weight": "fusion.weight",
    "PCDModule.PCD_Align_L3_offset_conv1.bias": "pcd_align.offset_conv1.l3.bias",
    "PCDModule.PCD_Align_L1_dcn.conv_offset_mask.weight": "pcd_align.dcn_pack.l1.conv_offset.weight",
    "PCDModule.PCD_Align_L1_dcn.dcn.weight": "pcd_align.dcn_pack.l1.weight",
    "PCDModule.PCD_Align_cascade_dcn.dcn.bias": "pcd_align.cas_dcnpack.bias",
    "pre_deblur.RB_L1_1.conv1.weight": "predeblur.resblock_l1.0.conv1.weight",
    "pre_deblur.RB_L1_5.conv2.weight": "predeblur.resblock_l1.4.conv2.weight",
    "pre_deblur.RB_L3_1.conv1.bias": "predeblur.resblock_l3.conv1.bias",
    "feature_extractor.block4.conv1.weight": "feature_extraction.4.conv1.weight",
    "RRDB_trunk.22.RDB3.conv5.weight": "RRDB_trunk.22.RDB3.conv5.weight",
}


def test_names_follow_the_rules():
    table = {name: torch.full((1,), float(i)) for i, name in enumerate(PAIRS)}
    renamed = in_published_names(table)
    assert {name: float(t) for name, t in renamed.items()} == {by: float(i) for i, by in enumerate(PAIRS.values())}


def test_two_names_of_one_part_are_refused():
    with pytest.raises(WeightsError, match="two networks"):
        in_published_names({"a._mean": torch.ones(1), "a.running_mean": torch.ones(1)})


@needs_parity
@pytest.mark.parametrize("fixture", ["deoldify_artistic", "deoldify_stable_video"])
def test_every_published_name_of_deoldify_is_reached(fixture):
    keys = {k["name"]: k["shape"] for k in Fixture(fixture).keys if not k["name"].endswith("num_batches_tracked")}
    spectral = {name.rpartition(".")[0] for name in keys if name.endswith("weight_orig")}

    def paddles(name: str) -> str:
        stem, _, leaf = name.rpartition(".")
        name = re.sub("running_mean$", "_mean", re.sub("running_var$", "_variance", name))
        if stem in spectral and leaf in ("weight_u", "weight_v"):
            return f"{stem}.spectral_norm.{leaf}"
        return f"{stem}.layer.bias" if stem in spectral and leaf == "bias" else name

    theirs = {
        paddles(name): torch.empty(shape[:1] if name.endswith("weight_g") else shape, device="meta")
        for name, shape in keys.items()
    }
    assert theirs.keys() != keys.keys()
    assert {name: list(tensor.shape) for name, tensor in in_published_names(theirs).items()} == keys


def example(pattern: str) -> str:
    """A name that a rule is for."""
    for part, by in (
        (r"(\d+)", "12"),
        (r"(\d)", "2"),
        ("(u|v)", "v"),
        ("(weight|bias)", "bias"),
        (r"\.", "."),
        ("$", ""),
    ):
        pattern = pattern.replace(part, by)
    name = pattern[1:] if pattern.startswith("^") else f"layers.3.0.0{pattern}"
    return f"{name}weight" if name.endswith(".") else name


def by_rules(name: str, rules: list[list[str]]) -> str:
    for pattern, by in rules:
        before, number, _ = by.partition(".{n-1}.")
        replacement = (lambda m, b=before: f"{b}.{int(m[1]) - 1}.") if number else by
        name = re.sub(pattern, replacement, name)
    return name


@pytest.mark.skipif(not MAPPING.is_file(), reason=f"no parity fixtures in {PARITY}")
@pytest.mark.parametrize("network", ["deoldify", "edvr", "rrdb"])
def test_names_are_those_of_the_recorded_rules(network):
    recorded = json.loads(MAPPING.read_text())[network]
    rules = recorded["rules"]
    names = [example(pattern) for pattern, _ in rules]
    assert len(set(names)) == len(rules)
    for name in names:
        assert by_rules(name, rules) != name
        assert list(in_published_names({name: torch.ones(1)})) == [by_rules(name, rules)]
    # every file it is of, a card names
    cards = {file.name for card in CARDS for file in card.files}
    assert {address.split()[0].rpartition("/")[2] for address in recorded["files"]} <= cards


@pytest.mark.skipif(not MAPPING.is_file(), reason=f"no parity fixtures in {PARITY}")
def test_the_recorded_counts_and_shapes_of_deoldify_are_kept():
    recorded = json.loads(MAPPING.read_text())["deoldify"]
    for fixture, variant in (("deoldify_artistic", "artistic"), ("deoldify_stable_video", "stable")):
        assert fixture in recorded["fixtures"]
        names = [k["name"] for k in Fixture(fixture).keys if not k["name"].endswith(recorded["absent"])]
        assert len(names) == recorded["names"][variant]
    (length,) = recorded["reshape"]
    table = {length: torch.ones(5), length[:-1] + "v": torch.ones(5, 3, 1, 1)}
    assert in_published_names(table)[length].shape == (5, 1, 1, 1)


@needs_parity
def test_realsrs_names_are_esrgans():
    keys = {k["name"]: torch.empty(k["shape"], device="meta") for k in Fixture("esrgan_x4_rrdb_trunk").keys}
    assert in_todays_names(in_published_names(keys)).keys() == in_todays_names(keys).keys()
