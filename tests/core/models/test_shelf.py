"""The shelf tells the truth about the model folder, and what to do about what is not there."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import InputError, ModelMissingError
from core.models import shelf as room
from core.models.card import CARDS
from core.models.shelf import card_of, find, model_folder, shelf, verify


def by_id(folder):
    return {s.card.id: s for s in shelf(folder)}


def test_the_folder_is_the_variables_or_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("POCHOIR_MODELS", str(tmp_path))
    assert model_folder() == tmp_path
    monkeypatch.setenv("POCHOIR_MODELS", "~/shelf")
    assert model_folder() == Path.home() / "shelf"
    monkeypatch.delenv("POCHOIR_MODELS")
    assert model_folder().parts[-2:] == ("pochoir", "models")


def test_an_empty_folder_has_nothing_and_says_how_to_get_it(tmp_path):
    status = by_id(tmp_path)
    for name in ("deoldify", "deoldify-stable", "deoldify-artistic", "segment-anything-b"):
        assert status[name].state == "missing"
        advice, file = status[name].advice, card_of(name).files[0]
        assert "\n" not in advice
        for part in (file.name, str(tmp_path), file.published, card_of(name).instead):
            assert part in advice


def test_a_folder_that_does_not_exist_is_an_empty_one(tmp_path):
    assert by_id(tmp_path / "none")["deoldify"].state == "missing"


def test_a_file_on_the_shelf_is_found(tmp_path):
    path = tmp_path / "ColorizeVideo_gen.pth"
    path.write_bytes(b"x")
    found = by_id(tmp_path)
    assert (found["deoldify"].state, found["deoldify"].path, found["deoldify"].advice) == ("ready", path, "")
    assert found["deoldify-stable"].state == "missing"
    assert find("deoldify", tmp_path) == path


def test_the_embedded_colouriser_is_ready_where_its_weights_are(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "BUILT_IN", tmp_path)
    assert by_id(tmp_path)["embedded"].state == "missing"
    (tmp_path / "embedded.safetensors").write_bytes(b"x")
    assert by_id(tmp_path / "elsewhere")["embedded"].state == "ready"


def test_asking_for_what_is_not_there_or_not_known(tmp_path):
    with pytest.raises(ModelMissingError, match=r"sam_vit_b_01ec64\.pth"):
        find("segment-anything-b", tmp_path)
    with pytest.raises(InputError, match="known: embedded, deoldify"):
        find("deoldify-2", tmp_path)


def test_a_damaged_file_is_told_from_the_published_one(tmp_path, monkeypatch):
    content = b"the published bytes"
    card = card_of("segment-anything-b")
    file = replace(card.files[0], sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(room, "CARDS", (replace(card, files=(file,)), card_of("deoldify")))
    path = tmp_path / file.name
    path.write_bytes(content)
    assert verify(card.id, tmp_path)[0] is True
    path.write_bytes(content + b"!")
    assert verify(card.id, tmp_path)[0] is False


def test_a_file_without_a_published_checksum_is_neither_right_nor_wrong(tmp_path):
    (tmp_path / "ColorizeVideo_gen.pth").write_bytes(b"x")
    assert verify("deoldify", tmp_path) == (None, hashlib.sha256(b"x").hexdigest())


def test_the_list_is_json(tmp_path):
    rows = json.loads(json.dumps([s.as_json() for s in shelf(tmp_path)]))
    assert [r["id"] for r in rows] == [c.id for c in CARDS]
    assert all(r["licence"] and r["paper"] and r["instead"] for r in rows)


def test_a_file_belongs_to_one_card_only():
    names = [f.name for card in CARDS for f in card.files]
    assert len(set(names)) == len(names)


def test_cards_are_told_apart_and_their_checksums_are_whole():
    assert len({c.id for c in CARDS}) == len(CARDS)
    for card in CARDS:
        assert card.built_in or card.files
        for file in card.files:
            assert file.published.startswith(("https://", "http://"))
            assert file.sha256 is None or len(bytes.fromhex(file.sha256)) == 32
