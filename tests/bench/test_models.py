"""Rows of models: every one of the shelf has one, with a network that its checkpoint fits."""

from __future__ import annotations

import numpy as np
import pytest

from bench import shelf, speed
from bench.panning import Panning
from core.models.card import CARDS
from core.models.checkpoint import fold_norms, read_checkpoint
from core.models.shelf import card_of


def test_every_model_that_runs_has_a_row_and_a_network():
    rows = [card.id for card in shelf.models()]
    assert rows == [card.id for card in CARDS]
    assert set(shelf.networks()) == {card.id for card in shelf.models() if not card.built_in}
    known = shelf._plugins()
    for registry in (known.colourisers, known.upscalers, known.interpolators, known.flows):
        assert set(registry) - {"dis"} <= set(rows)


def test_what_is_drawn_is_a_checkpoint_of_its_model(tmp_path):
    checks = shelf._plugins().checks
    for name in ("realesr-animevideo", "raft-large", "siggraph17"):
        shelf._draw(name, str(tmp_path), 0)
    paths = sorted(tmp_path.iterdir())
    assert [p.name for p in paths] == [
        "raft-things.safetensors", "realesr-animevideov3.safetensors", "siggraph17-df00044c.safetensors",
    ]  # fmt: skip
    for name, path in zip(("raft-large", "realesr-animevideo", "siggraph17"), paths, strict=True):
        checks.get(name)(fold_norms(read_checkpoint(path)), name)


@pytest.mark.parametrize(
    ("name", "units", "ways"),
    [
        ("edvr", {"float16", "bfloat16"}, ["float32", "float16"]),
        ("rife", {"bfloat16"}, ["float32", "bfloat16"]),
        ("edvr", {"bfloat16"}, ["float32"]),
        ("sam2.1-tiny", {"float16", "bfloat16"}, ["float32"]),
    ],
)
def test_a_model_is_measured_at_the_half_precision_it_would_take(monkeypatch, name, units, ways):
    monkeypatch.setattr(shelf, "has_units", lambda device, half: half in units)
    assert shelf.ways_of(card_of(name), "cpu") == ways


def test_a_segmenter_is_asked_about_a_new_picture_by_one_click():
    asked = []

    class Segmenter:
        def segment(self, picture, points):
            asked.append((picture.copy(), points))

    film = Panning(shelf.SIZES["segment"], shelf.FRAMES, 0)
    for n in (0, 1):
        shelf._asked(Segmenter(), "segment", film, n)
    (one, points), (other, _) = asked
    assert points == [(320.0, 240.0, True)]
    assert not np.array_equal(one, other)


def test_a_model_that_fails_is_a_row_with_its_fault(monkeypatch):
    monkeypatch.setattr(shelf, "has_units", lambda device, half: False)
    monkeypatch.setattr(shelf, "command", lambda *_: ["-c", "raise SystemExit('no luck')"])
    result = speed.run(models=True, limit=1)
    case = result["cases"][0]  # others are at half precision, where a machine has units for it
    assert (case["model"], case["way"]) == ("embedded", "float32")
    assert case["fault"].endswith("it said: no luck")
