"""The shelf tells the truth about the model folder, and what to do about what is not there."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from core.contract.params import build
from core.errors import InputError, ModelMissingError
from core.models import edvr, realesrgan
from core.models import shelf as room
from core.models.card import CARDS, ModelCard, ModelFile
from core.models.checkpoint import empty
from core.models.dain_net import DainNet
from core.models.detected import Detected
from core.models.raft_net import LARGE, RAFT, SMALL
from core.models.rife_net import V4_25, IFNet
from core.models.shelf import card_of, find, here, model_folder, shelf
from core.models.uses import USES
from tests.pages import builtin_plugins


def by_id(folder):
    return {s.card.id: s for s in shelf(folder)}


def test_the_folder_is_the_variables_or_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("POCHOIR_MODELS", str(tmp_path))
    assert model_folder() == tmp_path
    monkeypatch.setenv("POCHOIR_MODELS", "~/shelf")
    assert model_folder() == Path.home() / "shelf"
    monkeypatch.delenv("POCHOIR_MODELS")
    assert model_folder().parts[-2:] == ("pochoir", "models")


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("~nobody-of-that-name/x", "model folder ~nobody-of-that-name/x: there is no such home; name another by"),
        ("{}/file", r"model folder .*/file: is no folder; name one by"),
        ("{}/file/x", r"model folder .*/file/x: cannot be read \(Not a directory\); check permissions, or name"),
        ("{}/" + "x" * 300, r"model folder .*xxx: cannot be read \(File name too long\); check permissions, or name"),
    ],
)
def test_what_can_be_no_folder_is_refused_in_one_line(named, said, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("POCHOIR_MODELS", named.format(tmp_path))
    for look in (model_folder, shelf, lambda: find("dain")):
        with pytest.raises(InputError, match=f"^{said}.* POCHOIR_MODELS$") as caught:
            look()
        assert type(caught.value) is InputError


def test_a_folder_that_may_not_be_looked_into_is_told_in_one_line(monkeypatch, tmp_path):
    def refused(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refused)  # root may look into any
    for look in (shelf, partial(find, "dain")):
        with pytest.raises(InputError, match=f"model folder {tmp_path}: cannot be read .Permission denied.; check"):
            look(tmp_path)


def test_an_empty_folder_has_nothing_and_says_how_to_get_it(tmp_path):
    status = by_id(tmp_path)
    for name in ("deoldify", "deoldify-stable", "deoldify-artistic", "segment-anything-b"):
        assert status[name].state == "missing"
        advice, file = status[name].advice, card_of(name).files[0]
        assert "\n" not in advice
        for part in (file.name, str(tmp_path), file.published, card_of(name).instead):
            assert part in advice


@pytest.mark.parametrize("card", [c for c in CARDS if c.task != "segment" and not c.built_in], ids=lambda c: c.id)
def test_without_its_file_a_model_is_refused_and_what_it_says_to_choose_works(card, tmp_path, monkeypatch):
    monkeypatch.setenv("POCHOIR_MODELS", str(tmp_path))
    plugins = builtin_plugins()
    stage = plugins.stages.get(card.task if card.task != "flow" else "colourise")
    parameter, instead = re.fullmatch(r"choose (\w+) '(\w+)' instead", card.instead).groups()
    name = {"realesr-general-wdn": "realesr-general"}.get(card.id, card.id)  # mixed into that one
    with pytest.raises(ModelMissingError) as caught:
        stage.key_parts(build(stage.Params, {parameter: name}, where="test"), "cpu")
    assert str(caught.value).endswith(f"until then {card.instead}")
    stage.key_parts(build(stage.Params, {parameter: instead}, where="test"), "cpu")


def test_of_segmenters_the_best_that_is_here_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv("POCHOIR_MODELS", str(tmp_path))
    plugins = builtin_plugins()
    *networks, classical = plugins.segmenters
    for name in networks:
        with pytest.raises(ModelMissingError, match="until then the classical segmenter is used"):
            plugins.segmenters.get(name)("cpu")
    assert plugins.segmenters.get(classical)("cpu")  # the last one that is asked


def test_a_folder_that_does_not_exist_is_an_empty_one(tmp_path):
    assert by_id(tmp_path / "none")["deoldify"].state == "missing"


def test_a_file_on_the_shelf_is_found(tmp_path):
    path = tmp_path / "ColorizeVideo_gen.pth"
    path.write_bytes(b"x")
    found = by_id(tmp_path)
    assert (found["deoldify"].state, found["deoldify"].path, found["deoldify"].advice) == ("ready", path, "")
    assert found["deoldify-stable"].state == "missing"
    assert find("deoldify", tmp_path) == path


def test_what_can_be_no_whole_checkpoint_is_damaged_and_the_list_says_what_to_do(tmp_path):
    empty, short = tmp_path / "best.pth", tmp_path / "sam_vit_b_01ec64.pth"
    empty.touch()
    short.write_bytes(b"x")
    found = by_id(tmp_path)
    assert (found["dain"].state, found["dain"].path) == ("damaged", None)
    assert found["dain"].advice.startswith(f"{empty}: is empty; move it away; model 'dain': put best.pth into")
    assert found["dain"].advice.endswith("(models fetch dain); until then choose by 'flow' instead")
    assert found["segment-anything-b"].state == "damaged"
    assert f"{short}: has 1 bytes, but 375042383 were published under this name; move" in (
        found["segment-anything-b"].advice
    )
    short.write_bytes(b"")
    short.open("r+b").truncate(375042384)  # longer: nothing was cut away, whatever it is
    assert by_id(tmp_path)["segment-anything-b"].state == "ready"
    short.write_bytes(b"x")  # a rewritten file is not as long as the published one
    (tmp_path / "sam_vit_b_01ec64.safetensors").write_bytes(b"x")
    assert by_id(tmp_path)["segment-anything-b"].state == "ready"


def test_of_a_detected_model_that_is_damaged_no_address_is_made_up(tmp_path):
    found = Detected("own", "SPAN", 2)
    (tmp_path / found.file).touch()
    (status,) = shelf(tmp_path, [found.card])
    assert status.state == "damaged"
    assert status.advice == (
        f"{tmp_path / found.file}: is empty; move it away; model 'own': take its file in again: models import; "
        "until then choose by 'lanczos' instead"
    )


def test_where_a_page_gives_an_archive_that_is_said(tmp_path):
    for name in ("raft-large", "raft-small", "rife"):
        with pytest.raises(ModelMissingError, match=r"at https://[^ ]+, in an archive, which is to be unpacked"):
            find(name, tmp_path)
    assert not any(file.in_archive and file.direct for card in CARDS for file in card.files)


def test_a_card_without_a_file_is_no_card():
    with pytest.raises(InputError, match=r"card of model 'theirs': names no file; give it one, or say built_in=True"):
        ModelCard("theirs", "Theirs", "upscale", "MIT", "", (), "nothing")
    assert not ModelCard("theirs", "Theirs", "upscale", "MIT", "", (), "nothing", built_in=True).files


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


def test_a_rewritten_file_goes_before_the_published_one(tmp_path):
    published, rewritten = tmp_path / "ColorizeVideo_gen.pth", tmp_path / "ColorizeVideo_gen.safetensors"
    rewritten.write_bytes(b"x")
    assert find("deoldify", tmp_path) == rewritten
    published.write_bytes(b"x")
    assert list(here(card_of("deoldify"), tmp_path)) == [rewritten, published]


def test_a_card_of_a_stranger_is_found_by_itself(tmp_path):
    card = ModelCard(
        "theirs", "Theirs", "upscale", "MIT", "", (ModelFile("theirs.pt", "https://a.example/theirs.pt"),), ""
    )
    with pytest.raises(ModelMissingError, match=r"theirs\.pt into"):
        find(card, tmp_path)
    (tmp_path / "theirs.pt").write_bytes(b"x")
    assert find(card, tmp_path) == tmp_path / "theirs.pt"
    assert [s.state for s in shelf(tmp_path, [card])] == ["ready"]


def test_the_list_is_json(tmp_path):
    rows = json.loads(json.dumps([s.as_json() for s in shelf(tmp_path)]))
    assert [r["id"] for r in rows] == [c.id for c in CARDS]
    assert all(r["licence"] and r["paper"] and r["instead"] for r in rows)


def test_a_file_belongs_to_one_card_only():
    for names in zip(*((f.name, f.rewritten) for card in CARDS for f in card.files), strict=True):
        assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("name", "published", "direct", "digest"),
    [
        ("a.pth", "https://x.example/d/a.pth", True, ""),
        ("a.pth", "https://x.example/d/a.pth?dl=1", True, ""),
        ("a.pth", "https://x.example/d/", False, ""),
        ("EDVR_M-32075921.pth", "https://x.example", False, "32075921"),
        ("general-x4v3.pth", "https://x.example/general-x4v3.pth", True, ""),
    ],
)
def test_what_a_files_name_and_address_tell(name, published, direct, digest):
    file = ModelFile(name, published)
    assert (file.direct, file.digest) == (direct, digest)
    assert ModelFile(name, published, "ab" * 32).digest == "ab" * 32


def test_a_hash_on_a_card_does_not_contradict_its_files_name():
    for file in (f for card in CARDS for f in card.files if f.sha256):
        assert file.sha256.startswith(replace(file, sha256=None).digest)


def test_cards_are_told_apart_and_their_checksums_are_whole():
    assert len({c.id for c in CARDS}) == len(CARDS)
    for card in CARDS:
        assert card.built_in or card.files
        for file in card.files:
            assert file.published.startswith(("https://", "http://"))
            assert file.sha256 is None or len(bytes.fromhex(file.sha256)) == 32


def test_every_card_says_what_it_is_for_what_it_takes_and_how_large_it_is():
    assert USES.keys() == {card.id for card in CARDS}
    for card in CARDS:
        use = card.use
        assert all(text and "\n" not in text and len(text) < 160 for text in (use.suited, use.unsuited, use.takes))
        assert use.millions > 0
    rows = {s.card.id: s.as_json() for s in shelf()}
    assert rows["deoldify"]["use"]["takes"].endswith("squeezed to a square of 336 px; only chroma is used")
    assert rows["deoldify"]["use"]["megabytes"] == 874.0


def test_the_sizes_are_those_of_the_files_and_of_the_networks():
    """Four bytes a parameter, within what a file holds besides; half of that where it is published in halves."""
    for card in CARDS:
        for size in (file.size for file in card.files[:1] if file.size):
            assert size / 1e6 == pytest.approx(card.use.megabytes, rel=0.05, abs=0.1), card.id
    made = {name: variant.made for name, variant in edvr.VARIANTS.items()}
    made |= {name: variant.made for name, variant in realesrgan.VARIANTS.items()}
    made |= {
        "dain": DainNet,
        "rife": lambda: IFNet(V4_25),
        "raft-large": partial(RAFT, LARGE),
        "raft-small": partial(RAFT, SMALL),
    }
    for name, make in made.items():
        count = sum(p.numel() for p in empty(make).parameters()) / 1e6
        assert card_of(name).use.millions == pytest.approx(count, abs=0.06), name
