"""How the network runs: bfloat16 and compiled code where they pay, never otherwise; and nothing shows of it."""

import json
import shutil

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from skimage import data

from core.errors import InputError
from core.film.colour import delta_e, join, srgb_to_lab
from core.models import tuning, ways
from core.models.colouriser import EmbeddedColouriser
from core.models.network import ColourNet
from core.models.tuning import Measured, best, tune

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def own_settings(monkeypatch, tmp_path):
    monkeypatch.delenv(ways.VARIABLE, raising=False)
    monkeypatch.setenv(ways.FOLDER_VARIABLE, str(tmp_path / "settings"))


@pytest.fixture
def narrow(tmp_path):
    """Weights of a network small enough to be compiled in a test."""
    torch.manual_seed(1)
    network = ColourNet((8, 8, 16, 16)).eval()
    torch.nn.init.normal_(network.head.weight, std=0.05)
    path = tmp_path / "narrow.safetensors"
    save_file(network.state_dict(), path)
    return path


def test_no_units_no_choice(monkeypatch):
    monkeypatch.setattr(ways, "has_units", lambda device: False)
    assert ways.choose(lambda: pytest.fail("nothing need be measured"), CPU, "w") == "float32"


@pytest.mark.parametrize(("half", "chosen"), [(0.2, "bfloat16"), (0.9, "float32"), (3.0, "float32")])
def test_only_a_clear_gain_counts(monkeypatch, half, chosen):
    monkeypatch.setattr(ways, "has_units", lambda device: True)
    monkeypatch.setattr(ways, "_seconds", lambda work, at, device: half if at == "bfloat16" else 1.0)
    assert ways.choose(lambda: None, CPU, "w") == chosen


def test_work_is_done_at_the_precision_asked_for():
    seen = []
    layer = torch.nn.Linear(4, 4)
    for name in ways.WAYS:
        assert ways._seconds(lambda: seen.append(layer(torch.ones(1, 4)).dtype), name, CPU) >= 0
    half = [name.startswith("bfloat16") for name in ways.WAYS for _ in range(1 + ways.ROUNDS)]
    assert seen == [torch.bfloat16 if is_half else torch.float32 for is_half in half]


def test_the_environment_decides(monkeypatch):
    ways.remember("float32-compiled", CPU, "w")
    monkeypatch.setenv(ways.VARIABLE, "bfloat16")
    assert ways.choose(lambda: None, CPU, "w") == "bfloat16"
    monkeypatch.setenv(ways.VARIABLE, "int8")
    with pytest.raises(InputError, match="float32-compiled or bfloat16-compiled"):
        ways.choose(lambda: None, CPU, "w")


def test_what_won_is_remembered_for_this_machine_and_these_weights():
    file = ways.remember("float32-compiled", CPU, "weights a")
    ways.remember("float32", CPU, "weights b")
    unmeasured = lambda: pytest.fail("it was measured before")  # noqa: E731
    assert ways.choose(unmeasured, CPU, "weights a") == "float32-compiled"
    assert ways.remembered(CPU, "weights b") == "float32"
    assert ways.remembered(CPU, "weights c") is None
    held = json.loads(file.read_text())
    file.write_text(json.dumps({key.replace(torch.__version__, "1.0"): way for key, way in held.items()}))
    assert ways.remembered(CPU, "weights a") is None


def test_a_machine_is_measured_once_for_the_embedded_network_too(monkeypatch, narrow):
    measured = []
    seconds = {"float32": 1.0, "bfloat16": 0.2}
    monkeypatch.setattr(ways, "has_units", lambda device: True)
    monkeypatch.setattr(ways, "_seconds", lambda work, way, device: measured.append(way) or seconds[way])
    first = EmbeddedColouriser("cpu", narrow)
    seconds["bfloat16"] = 2.0  # under load it would be chosen otherwise
    again = EmbeddedColouriser("cpu", narrow)
    assert (first.way, again.fingerprint) == ("bfloat16", first.fingerprint)
    assert measured == ["float32", "bfloat16"]
    ways.remember("float32-compiled", CPU, first.identity)  # as `doctor --tune` does
    assert EmbeddedColouriser("cpu", narrow).way == "float32-compiled"


def test_of_two_that_measure_at_once_the_first_decides(monkeypatch):
    monkeypatch.setattr(ways, "has_units", lambda device: True)

    def seconds(work, way, device):
        if way == "bfloat16":
            ways.remember("float32", CPU, "w")  # another process is done now
        return {"float32": 1.0, "bfloat16": 0.2}[way]

    monkeypatch.setattr(ways, "_seconds", seconds)
    assert ways.choose(lambda: None, CPU, "w") == ways.remembered(CPU, "w") == "float32"


def test_where_nothing_can_be_kept_each_start_measures(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(ways.FOLDER_VARIABLE, str(tmp_path / "file" / "below"))
    measured = []
    monkeypatch.setattr(ways, "has_units", lambda device: True)
    monkeypatch.setattr(ways, "_seconds", lambda work, way, device: measured.append(way) or len(measured))
    for _ in range(2):
        assert ways.choose(lambda: None, CPU, "w") == "float32"
    assert len(measured) == 4


@pytest.mark.parametrize("text", ["", "{", "[]", '{"x": 1}', "null"])
def test_a_damaged_record_is_as_none(text):
    file = ways.record_file()
    file.parent.mkdir()
    file.write_text(text)
    assert ways.remembered(CPU, "w") is None
    ways.remember("float32", CPU, "w")
    assert ways.remembered(CPU, "w") == "float32"


def test_a_record_that_cannot_be_kept_is_said(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(ways.FOLDER_VARIABLE, str(tmp_path / "file" / "below"))
    with pytest.raises(InputError, match="POCHOIR_PRECISION=bfloat16 instead"):
        ways.remember("bfloat16", CPU, "w")


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        ({"bfloat16": (50, 5, 0.1), "float32-compiled": (100, 5, 0.0), "bfloat16-compiled": (50, 2, 0.1)},
         "bfloat16-compiled"),
        ({"bfloat16": (50, 5, 0.1), "bfloat16-compiled": (50, 4.5, 0.1)}, "bfloat16"),
        ({"bfloat16": (50, 5, 0.7), "bfloat16-compiled": (50, 1, 0.7)}, "float32"),
        ({"float32-compiled": (100, 4, 0.0)}, "float32-compiled"),
        ({"float32-compiled": (100, 9, 0.0)}, "float32"),
        ({"bfloat16": None, "float32-compiled": None}, "float32"),
    ],
)  # fmt: skip
def test_the_fastest_that_shows_no_difference_wins(rows, chosen):
    found = [Measured("float32", 100, 10, 1, 0.0)]
    for way, row in rows.items():
        found.append(Measured(way, fault="no") if row is None else Measured(way, row[0], row[1], 1, row[2]))
    assert best(found) == chosen


@pytest.mark.skipif(
    shutil.which("c++") is None and shutil.which("g++") is None, reason="no C++ compiler to compile with"
)
def test_compiled_code_sees_the_same_colours(narrow, monkeypatch):
    monkeypatch.setattr("torch._inductor.config.compile_threads", 1)  # more would be kept for the life of the process
    monkeypatch.setattr(tuning, "ROUNDS", 1)
    found, chosen, kept_in = tune("cpu", narrow)
    by_way = {m.way: m for m in found}
    assert [m.way for m in found] == list(ways.WAYS)
    compiled = by_way["float32-compiled"]
    assert compiled.fault == ""
    assert compiled.delta_e < 0.01
    assert compiled.together_ms > 0
    assert kept_in == ways.record_file()
    # What was found is what the next start takes.
    assert EmbeddedColouriser("cpu", narrow).way == chosen
    a, b = (EmbeddedColouriser("cpu", narrow, way) for way in ("float32", "float32-compiled"))
    frames = np.stack([tuning._scene(seed, (48, 64)) for seed in range(3)])
    assert a.fingerprint != b.fingerprint
    assert np.abs(a.predict_together(frames)).max() > 1
    assert np.abs(a.predict_together(frames) - b.predict_together(frames)).max() < 0.01


def test_where_nothing_can_be_compiled_a_person_is_told(narrow, monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("no working C++ compiler\nmore of it")

    monkeypatch.setattr(torch, "compile", lambda call, **kwargs: broken)
    colouriser = EmbeddedColouriser("cpu", narrow, "float32-compiled")
    with pytest.raises(InputError, match=r"no working C\+\+ compiler\); set POCHOIR_PRECISION=float32, or run: python"):
        colouriser.predict_together(np.full((1, 32, 32), 50, np.float32))
    monkeypatch.setattr(tuning, "ROUNDS", 1)
    found, chosen, _ = tune("cpu", narrow)
    assert "C++ compiler" in {m.way: m.fault for m in found}["float32-compiled"]
    assert not ways.is_compiled(chosen)


def test_half_precision_is_not_seen():
    full, half = (EmbeddedColouriser("cpu", way=way) for way in ("float32", "bfloat16"))
    assert half.fingerprint != full.fingerprint
    for name in ("astronaut", "coffee"):
        rgb = cv2.resize(getattr(data, name)(), (128, 96), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        lab = srgb_to_lab(rgb)
        luma, truth = np.ascontiguousarray(lab[..., 0]), np.ascontiguousarray(lab[..., 1:])
        weight = np.zeros_like(luma)
        weight[20:26, 30:36] = weight[60:66, 90:96] = 1
        unasked = [one.predict(luma) for one in (full, half)]
        told = [one.carry(luma, unasked[0], truth, weight) for one in (full, half)]
        together = [one.predict_together(luma[None])[0] for one in (full, half)]
        for a, b in (unasked, told, together):
            assert not np.array_equal(a, b)
            difference = delta_e(srgb_to_lab(join(luma, a)), srgb_to_lab(join(luma, b)))
            assert difference.mean() < 0.5
