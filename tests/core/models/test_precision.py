"""Precision: bfloat16 where it pays and never otherwise; and it shows no difference."""

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from core.errors import InputError
from core.film.colour import delta_e, join, srgb_to_lab
from core.models import precision
from core.models.colouriser import EmbeddedColouriser

CPU = torch.device("cpu")


def test_no_units_no_choice(monkeypatch):
    monkeypatch.delenv(precision.VARIABLE, raising=False)
    monkeypatch.setattr(precision, "has_units", lambda device: False)
    assert precision.choose(lambda: pytest.fail("nothing need be measured"), CPU) == "float32"


@pytest.mark.parametrize(("half", "chosen"), [(0.2, "bfloat16"), (0.9, "float32"), (3.0, "float32")])
def test_only_a_clear_gain_counts(monkeypatch, half, chosen):
    monkeypatch.delenv(precision.VARIABLE, raising=False)
    monkeypatch.setattr(precision, "has_units", lambda device: True)
    monkeypatch.setattr(precision, "_seconds", lambda work, at, device: half if at == "bfloat16" else 1.0)
    assert precision.choose(lambda: None, CPU) == chosen


def test_work_is_done_at_the_precision_asked_for():
    seen = []
    layer = torch.nn.Linear(4, 4)
    for name in precision.PRECISIONS:
        assert precision._seconds(lambda: seen.append(layer(torch.ones(1, 4)).dtype), name, CPU) >= 0
    assert set(seen[: len(seen) // 2]) == {torch.float32}
    assert set(seen[len(seen) // 2 :]) == {torch.bfloat16}


def test_the_environment_decides(monkeypatch):
    monkeypatch.setenv(precision.VARIABLE, "bfloat16")
    assert precision.choose(lambda: None, CPU) == "bfloat16"
    monkeypatch.setenv(precision.VARIABLE, "int8")
    with pytest.raises(InputError, match="float32 or bfloat16"):
        precision.choose(lambda: None, CPU)


def test_half_precision_is_not_seen(monkeypatch):
    full = EmbeddedColouriser("cpu")
    monkeypatch.setenv(precision.VARIABLE, "bfloat16")
    half = EmbeddedColouriser("cpu")
    assert half.fingerprint != full.fingerprint
    for name in ("astronaut", "coffee"):
        rgb = cv2.resize(getattr(data, name)(), (128, 96), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        lab = srgb_to_lab(rgb)
        luma, truth = np.ascontiguousarray(lab[..., 0]), np.ascontiguousarray(lab[..., 1:])
        weight = np.zeros_like(luma)
        weight[20:26, 30:36] = weight[60:66, 90:96] = 1
        unasked = [one.predict(luma) for one in (full, half)]
        told = [one.carry(luma, unasked[0], truth, weight) for one in (full, half)]
        for a, b in (unasked, told):
            assert not np.array_equal(a, b)
            difference = delta_e(srgb_to_lab(join(luma, a)), srgb_to_lab(join(luma, b)))
            assert difference.mean() < 0.5
