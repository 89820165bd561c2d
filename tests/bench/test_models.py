"""Rows of models: every one of the shelf that runs by itself has one, with a network that its checkpoint fits."""

from __future__ import annotations

from bench import shelf, speed
from core.models.card import CARDS
from core.models.checkpoint import fold_norms, read_checkpoint


def test_every_model_that_runs_has_a_row_and_a_network():
    rows = [card.id for card in shelf.models()]
    assert rows == [card.id for card in CARDS if card.task != "segment"]
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


def test_a_model_that_fails_is_a_row_with_its_fault(monkeypatch):
    monkeypatch.setattr(shelf, "command", lambda *_: ["-c", "raise SystemExit('no luck')"])
    result = speed.run(models=True, limit=1)
    case = result["cases"][0]  # others are at half precision, where a machine has units for it
    assert (case["model"], case["way"]) == ("embedded", "float32")
    assert case["fault"].endswith("it said: no luck")
