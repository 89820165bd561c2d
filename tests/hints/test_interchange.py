"""`hints.json`: what is written comes back, and what breaks a rule is refused whole, naming the hint."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import HintError
from core.film.shot import shots_from_cuts
from core.film.timebase import FrameRange
from hints.hint import Hint, HintSet
from hints.interchange import dump, load
from hints.picture import Mask, Picture
from hints.region import Evidence, Region

SIZE, COUNT = (48, 64), 40


def disc(y=24, x=32, r=9):
    yy, xx = np.mgrid[: SIZE[0], : SIZE[1]]
    return (yy - y) ** 2 + (xx - x) ** 2 <= r * r


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "stills").mkdir()
    for name, box in (("coat", disc()), ("wall", disc(10, 10, 5)), ("sky", disc(5, 40, 4))):
        (tmp_path / "masks" / f"{name}.png").write_bytes(Mask.of(box).png)
    still = np.zeros((*SIZE, 3), np.uint8)
    still[..., 2] = 200
    cv2.imwrite(str(tmp_path / "stills" / "frame0.png"), still)
    return tmp_path


def example():
    """The example of the contract, on a smaller film."""
    return {
        "version": 1,
        "regions": [
            {
                "id": "coat",
                "name": "Officer's coat",
                "colour": "#4b5a3c",
                "evidence": {"source": "…", "certainty": "documented", "author": "…"},
            }
        ],
        "hints": [
            {"id": "h1", "frame": 12, "kind": "point", "region": "coat", "xy": [32.5, 18.0], "radius": 3},
            {"id": "h2", "frame": 12, "kind": "scribble", "colour": "#7a2a20", "path": [[10, 20], [40, 22]],
             "width": 6},
            {"id": "h3", "frame": 12, "kind": "region", "region": "coat", "mask": "masks/coat.png"},
            {"id": "h4", "frame": 0, "kind": "reference", "image": "stills/frame0.png"},
            {"id": "h5", "frame": 30, "kind": "neutral", "mask": "masks/wall.png"},
            {"id": "h6", "frame": 30, "kind": "lock", "mask": "masks/sky.png"},
        ],
    }  # fmt: skip


def read(data, folder):
    path = folder / "hints.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return load(path, size=SIZE, count=COUNT)


def test_the_example_of_the_contract_is_read(folder):
    hints = read(example(), folder)
    assert [h.id for h in hints] == ["h1", "h2", "h3", "h4", "h5", "h6"]
    assert hints.region("coat").evidence == Evidence("…", "documented", "…")
    assert hints.colour_of(hints.hint("h1")) == "#4b5a3c"
    assert hints.colour_of(hints.hint("h2")) == "#7a2a20"
    assert hints.hint("h1").xy == (32.5, 18.0)
    assert hints.hint("h1").strength == 1.0
    assert hints.hint("h1").span is None
    assert (hints.hint("h3").mask.inside == disc()).all()
    assert hints.hint("h4").image.rgba[0, 0].tolist() == pytest.approx([200 / 255, 0, 0, 1])


def test_a_hints_own_colour_overrides_its_regions(folder):
    data = example()
    data["hints"][0]["colour"] = "#ff0000"
    hints = read(data, folder)
    assert hints.colour_of(hints.hint("h1")) == "#ff0000"


def test_options_are_read(folder):
    data = example()
    data["hints"][0] |= {"strength": 0.25, "span": [10, 20], "ramp": ["#101010", "#808000", "#ffffff"]}
    hint = read(data, folder).hint("h1")
    assert hint.strength == 0.25
    assert hint.span == FrameRange(10, 20)
    assert hint.ramp == ("#101010", "#808000", "#ffffff")


def test_spread_is_read_kept_and_refused_where_it_is_no_truth_value(folder, tmp_path):
    data = example()
    assert read(data, folder).hint("h1").spread is None
    data["hints"][0]["spread"] = False
    hints = read(data, folder)
    assert hints.hint("h1").spread is False
    dump(hints, tmp_path / "h.json")
    assert load(tmp_path / "h.json", size=SIZE, count=COUNT) == hints
    data["hints"][0]["spread"] = "yes"
    with pytest.raises(HintError, match=r"hint h1: 'spread' must be true or false, found 'yes'"):
        read(data, folder)


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_export_import_export_is_byte_equal_and_keeps_unknown_keys(folder, tmp_path):
    data = example() | {"made_with": {"tool": "x", "n": [1, 2.5, None, True]}}
    data["regions"][0]["evidence"]["page"] = 12
    data["regions"][0]["shelf"] = "B"
    data["hints"][2]["note"] = "ärmel"
    data["hints"][0] |= {"span": [10, 20], "ramp": ["#101010", "#808000", "#ffffff"], "strength": 0.5}
    hints = read(data, folder)
    one, two = tmp_path / "one", tmp_path / "two"
    dump(hints, one / "h.json")
    again = load(one / "h.json", size=SIZE, count=COUNT)
    dump(again, two / "h.json")
    assert tree(one) == tree(two)
    assert again == hints
    written = json.loads((one / "h.json").read_text(encoding="utf-8"))
    assert written["made_with"] == {"tool": "x", "n": [1, 2.5, None, True]}
    assert written["regions"][0]["evidence"]["page"] == 12
    assert written["regions"][0]["shelf"] == "B"
    assert written["hints"][2]["note"] == "ärmel"


def edit(key, value, hint=0):
    def change(data):
        data["hints"][hint][key] = value

    return change


def drop(key, hint=0):
    def change(data):
        del data["hints"][hint][key]

    return change


FAULTS = {
    "frame after the end": (edit("frame", COUNT), "h1", "outside the film"),
    "frame before the start": (edit("frame", -1), "h1", "outside the film"),
    "frame not whole": (edit("frame", 1.5), "h1", "whole number"),
    "frame true": (edit("frame", True), "h1", "whole number"),
    "frame missing": (drop("frame"), "h1", "whole number"),
    "kind unknown": (edit("kind", "spray"), "h1", "unknown kind 'spray'"),
    "kind missing": (drop("kind"), "h1", "unknown kind"),
    "region unknown": (edit("region", "cape"), "h1", "no region 'cape'"),
    "region of wrong type": (edit("region", 3), "h1", "text"),
    "no colour at all": (drop("colour", 1), "h2", "needs 'region', 'colour' or 'ramp'"),
    "bad hex": (edit("colour", "#12345"), "h1", "sRGB hex"),
    "hex with alpha": (edit("colour", "#11223344"), "h1", "sRGB hex"),
    "colour by name": (edit("colour", "red"), "h1", "sRGB hex"),
    "point without place": (drop("xy"), "h1", "needs 'xy'"),
    "point right of the picture": (edit("xy", [64.5, 10]), "h1", "outside the picture"),
    "point above the picture": (edit("xy", [10, -0.5]), "h1", "outside the picture"),
    "point of three": (edit("xy", [1, 2, 3]), "h1", "[x, y]"),
    "point of text": (edit("xy", ["1", 2]), "h1", "number"),
    "radius zero": (edit("radius", 0), "h1", "radius"),
    "radius text": (edit("radius", "3"), "h1", "number"),
    "path outside": (edit("path", [[1, 1], [1, 99]], 1), "h2", "outside the picture"),
    "path empty": (edit("path", [], 1), "h2", "path"),
    "width negative": (edit("width", -2, 1), "h2", "width"),
    "mask missing": (edit("mask", "masks/none.png", 2), "h3", "no such file"),
    "mask not given": (drop("mask", 2), "h3", "needs 'mask'"),
    "mask escapes": (edit("mask", "../coat.png", 2), "h3", "stay in its folder"),
    "mask absolute": (edit("mask", "/etc/passwd", 2), "h3", "stay in its folder"),
    "mask is a folder": (edit("mask", "masks", 2), "h3", "cannot be read"),
    "image unreadable": (edit("image", "hints.json", 3), "h4", "cannot be read"),
    "strength above one": (edit("strength", 1.01), "h1", "outside 0-1"),
    "strength below zero": (edit("strength", -0.1), "h1", "outside 0-1"),
    "strength text": (edit("strength", "1"), "h1", "number"),
    "span without its frame": (edit("span", [0, 12]), "h1", "does not hold its frame"),
    "span backwards": (edit("span", [20, 10]), "h1", "does not lie in the film"),
    "span beyond the film": (edit("span", [0, COUNT + 1]), "h1", "does not lie in the film"),
    "span of fractions": (edit("span", [0, 12.5]), "h1", "whole frames"),
    "ramp of two": (edit("ramp", ["#000000", "#ffffff"]), "h1", "three colours"),
    "ramp with a bad colour": (edit("ramp", ["#000000", "#fff", "#ffffff"]), "h1", "sRGB hex"),
    "id twice": (edit("id", "h2"), "h2", "comes twice"),
    "id empty": (edit("id", ""), "number 0", "'id'"),
    "id a number": (edit("id", 7), "number 0", "'id'"),
    "frozen on a point": (edit("frozen", []), "h1", "only a lock"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_broken_rule_is_refused_naming_the_hint(case, folder):
    change, who, why = FAULTS[case]
    data = example()
    change(data)
    with pytest.raises(HintError) as error:
        read(data, folder)
    message = str(error.value)
    assert who in message
    assert why in message
    assert "\n" not in message


def test_the_first_fault_is_named(folder):
    data = example()
    data["hints"][1]["frame"] = 99
    data["hints"][2]["kind"] = "spray"
    with pytest.raises(HintError, match="hint h2: "):
        read(data, folder)


def grey(folder, name, pixels):
    cv2.imwrite(str(folder / "masks" / name), pixels)


def test_masks_must_be_8_bit_grey_of_the_sources_size_and_not_empty(folder):
    inside = np.full(SIZE, 255, np.uint8)
    grey(folder, "small.png", inside[:-1])
    grey(folder, "deep.png", inside.astype(np.uint16) * 257)
    grey(folder, "colour.png", np.dstack([inside] * 3))
    grey(folder, "empty.png", np.full(SIZE, 127, np.uint8))
    cv2.imwrite(str(folder / "masks" / "photo.jpg"), inside)
    whole = Mask.of(disc()).png
    (folder / "masks" / "torn.png").write_bytes(whole[: len(whole) // 2])
    words = {"small": "64x47", "deep": "16-bit", "colour": "RGB", "empty": "empty"}
    for name, word in {**words, "torn": "cut short"}.items():
        data = example()
        data["hints"][2]["mask"] = f"masks/{name}.png"
        with pytest.raises(HintError, match=f"hint h3: .*({word})"):
            read(data, folder)
    data = example()
    data["hints"][2]["mask"] = "masks/photo.jpg"
    with pytest.raises(HintError, match=r"hint h3: .*not a PNG"):
        read(data, folder)


def test_a_mask_begins_above_127(folder):
    pixels = np.zeros(SIZE, np.uint8)
    pixels[3, 4], pixels[3, 5] = 127, 128
    grey(folder, "edge.png", pixels)
    data = example()
    data["hints"][2]["mask"] = "masks/edge.png"
    inside = read(data, folder).hint("h3").mask.inside
    assert inside.sum() == 1
    assert inside[3, 5]


def test_a_link_out_of_the_folder_is_refused(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "m.png"
    outside.write_bytes(Mask.of(disc()).png)
    (folder / "masks" / "link.png").symlink_to(outside)
    data = example()
    data["hints"][2]["mask"] = "masks/link.png"
    with pytest.raises(HintError, match=r"hint h3: .*stay in its folder"):
        read(data, folder)


@pytest.mark.parametrize("version", [2, 0, "1", None, 1.0, True])
def test_another_version_is_refused(version, folder):
    with pytest.raises(HintError, match="version"):
        read(example() | {"version": version}, folder)


@pytest.mark.parametrize(
    "text",
    ["", "not json", "[]", "{", '{"version": 1}', '{"version": 1, "hints": {}}', "{" * 5000,
     '{"version": 1, "hints": [7]}', '{"version": 1, "version": 1, "hints": []}',
     '{"version": 1, "regions": [3], "hints": []}', '{"version": 1, "regions": [{"id": "a"}], "hints": []}'],
)  # fmt: skip
def test_what_is_no_hints_file_is_refused(text, folder):
    with pytest.raises(HintError):
        read(text, folder)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 400])
def test_numbers_that_are_none_are_refused(word, folder):
    text = json.dumps(example()).replace('"radius": 3', f'"radius": {word}')
    with pytest.raises(HintError):
        read(text, folder)


def test_regions_break_rules_by_name(folder):
    data = example()
    data["regions"].append(dict(data["regions"][0]))
    with pytest.raises(HintError, match="region coat: its id comes twice"):
        read(data, folder)
    data = example()
    data["regions"][0]["evidence"]["certainty"] = "sure"
    with pytest.raises(HintError, match="region coat: certainty 'sure'"):
        read(data, folder)


def test_binary_and_missing_files_are_refused_in_one_line(tmp_path):
    (tmp_path / "h.json").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "h.json", tmp_path / "none.json"):
        with pytest.raises(HintError) as error:
            load(path, size=SIZE, count=COUNT)
        assert "\n" not in str(error.value)


def test_text_is_read_without_a_file_but_names_no_files():
    data = example()
    data["hints"] = data["hints"][:2]
    assert len(load(json.dumps(data), size=SIZE, count=COUNT)) == 2
    with pytest.raises(HintError, match=r"hint h3: .*no folder"):
        load(json.dumps(example()), size=SIZE, count=COUNT)


def test_a_span_over_a_cut_is_warned_of(folder, caplog):
    data = example()
    data["hints"][0]["span"] = [5, 30]
    path = folder / "hints.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    load(path, size=SIZE, count=COUNT, shots=shots_from_cuts([20], COUNT))
    assert "hint h1" in caplog.text
    assert "5:20" in caplog.text


def test_a_lock_keeps_the_hints_before_it_through_export(folder, tmp_path):
    hints = read(example(), folder)
    lock = hints.hint("h6")
    assert [h.id for h in lock.frozen] == ["h1", "h2", "h3", "h4", "h5"]
    assert lock.frozen[0].colour == "#4b5a3c"
    later = hints.replace_region(replace(hints.region("coat"), colour="#ff0000")).remove_hint("h2")
    assert later.hint("h6") == lock
    dump(later, tmp_path / "out" / "h.json")
    again = load(tmp_path / "out" / "h.json", size=SIZE, count=COUNT)
    assert again == later
    assert again.hint("h6").frozen_set.hints == lock.frozen


def test_a_lock_that_keeps_what_stands_before_it_writes_nothing_of_it(folder, tmp_path):
    dump(read(example(), folder), tmp_path / "o" / "h.json")
    assert "frozen" not in (tmp_path / "o" / "h.json").read_text(encoding="utf-8")


names = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
colours = st.integers(0, 0xFFFFFF).map(lambda v: f"#{v:06x}")
xs = st.floats(0, SIZE[1], allow_nan=False)
ys = st.floats(0, SIZE[0], allow_nan=False)
extras = st.dictionaries(names.map("x-{}".format), st.none() | st.integers() | names, max_size=2)


@st.composite
def any_hint(draw):
    kind = draw(st.sampled_from(["point", "scribble", "region", "reference", "neutral", "lock"]))
    frame = draw(st.integers(0, COUNT - 1))
    span = draw(st.none() | st.tuples(st.integers(0, frame), st.integers(frame + 1, COUNT)))
    shape = {
        "point": lambda: {"xy": (draw(xs), draw(ys)), "radius": draw(st.floats(0.5, 60))},
        "scribble": lambda: {"path": tuple(draw(st.lists(st.tuples(xs, ys), min_size=1, max_size=4))),
                             "width": draw(st.floats(0.5, 60))},
        "reference": lambda: {"image": Picture.of(np.full((*SIZE, 3), draw(st.floats(0, 1)), np.float32))},
    }.get(kind, lambda: {"mask": Mask.of(disc(r=draw(st.integers(1, 20))))})()  # fmt: skip
    coloured = kind in ("point", "scribble", "region")
    return Hint(
        id="-",
        frame=frame,
        kind=kind,
        region=draw(st.sampled_from(["a", "b"])) if coloured else None,
        colour=draw(st.none() | colours) if coloured else None,
        strength=draw(st.floats(0, 1)),
        span=FrameRange(*span) if span else None,
        ramp=draw(st.none() | st.tuples(colours, colours, colours)) if coloured else None,
        spread=draw(st.sampled_from([None, True, False])),
        extra=draw(extras),
        **shape,
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(any_hint(), max_size=6), colours, colours, extras, st.integers(0, 5))
def test_any_set_survives_export_and_import(tmp_path, drawn, one, two, extra, gone):
    regions = (Region("a", "A", one, Evidence("book", "inferred")), Region("b", "B", two))
    hints = HintSet(regions, tuple(replace(h, id=f"h{i}") for i, h in enumerate(drawn)), extra)
    if gone < len(drawn):
        hints = hints.remove_hint(f"h{gone}")
    dump(hints, tmp_path / "a.json")
    again = load(Path(tmp_path / "a.json"), size=SIZE, count=COUNT)
    assert again == hints
    dump(again, tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
