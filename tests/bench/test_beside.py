"""The measurement beside the authors' programs tells what differs, and what is missing. No test asserts a time."""

from __future__ import annotations

import numpy as np
import pytest

from bench.beside import ON_A_GPU, PAIRS, Pair, _sizes, compared, measure, picture, plain, run, summarise
from core.errors import InputError
from core.models.shelf import card_of

# A program that leaves a picture in a folder, as both sides of a pair do, and then waits to be told.
PROGRAM = """
import numpy as np
from bench.part import serve
shown = np.load({folder!r} + "/shown.npy").astype(int)
for name, more in {left!r}.items():
    made = shown.copy()
    made[0, 0, 0] += more
    np.save({folder!r} + "/" + name + ".npy", made.astype(np.uint8))
serve(lambda: 1, note="a stand-in")
"""


@pytest.fixture
def shown(tmp_path):
    picture = np.random.default_rng(0).integers(50, 200, (12, 16, 3), np.uint8)
    np.save(tmp_path / "shown.npy", picture)
    return picture


def program(folder, **left):
    return ["-c", PROGRAM.format(folder=str(folder), left=left)]


@pytest.mark.parametrize(("ours", "own", "same"), [(0, 0, True), (1, 0, True), (2, 0, False), (2, 3, False)])
def test_a_stand_in_with_a_known_difference_is_reported_as_such(tmp_path, shown, ours, own, same):
    pair = Pair("deoldify", "DeOldify", "nowhere")
    case = measure(
        pair, shown, program(tmp_path, theirs=0, again=own), program(tmp_path, ours=ours), tmp_path, rounds=1
    )
    assert (case["max_difference"], case["own_difference"], case["same"]) == (ours, own, same)
    assert case["mean_difference"] == pytest.approx(ours / shown.size)
    assert case["differing"] == pytest.approx(bool(ours) / shown.size)
    assert case["size"] == "16x12"
    assert case["note"] == "a stand-in"
    assert case["ratio"] > 0
    assert case["ours fps"] == pytest.approx(1 / case["ours s_per_frame"])
    assert summarise([case])["same"] == {"deoldify": same}
    assert "house_ratio" not in case


def test_the_house_road_is_timed_and_leaves_no_picture(tmp_path, shown):
    left = program(tmp_path, theirs=0, again=0), program(tmp_path, ours=0)
    case = measure(PAIRS[0], shown, *left, tmp_path, rounds=1, house=program(tmp_path))
    assert case["same"]
    assert summarise([case])["house_ratio"] == {"deoldify": case["house_ratio"]}
    assert case["house_ratio"] > 0


def test_on_a_gpu_the_clock_tells_the_ratio(tmp_path, shown):
    pair = Pair("deoldify", "DeOldify", "nowhere")
    sides = program(tmp_path, theirs=0, again=0), program(tmp_path, ours=0)
    case = measure(pair, shown, *sides, tmp_path, rounds=1, on_clock=True)
    assert case["ratio"] == case["clock_ratio"]
    large = case | {"size": "32x24"}
    assert set(summarise([case, large])["ratio"]) == {"deoldify 16x12", "deoldify 32x24"}


def test_sizes_are_each_models_own_on_a_processor_and_a_films_on_a_gpu(tmp_path):
    assert _sizes(None, "cpu") == (None,)
    assert _sizes(None, "cuda:0") == ON_A_GPU == ((480, 640), (1080, 1920))
    assert _sizes("320x240", "cpu") == ((240, 320),)
    for wrong in ("320", "0x0", "32x240", "axb"):
        with pytest.raises(InputError, match=r"bench beside: --size .*: expected e\.g\. 640x480"):
            run(reference=tmp_path, size=wrong)
    with pytest.raises(InputError, match="device"):
        run(reference=tmp_path, device="cuda:99")


def test_a_side_that_cannot_start_is_missing_with_its_line(tmp_path, shown):
    says = ["-c", "from bench.part import say; say({'missing': 'the package x'})"]
    case = measure(PAIRS[0], shown, says, program(tmp_path, ours=0), tmp_path, rounds=1)
    assert case["missing"] == "the package x"
    case = measure(PAIRS[0], shown, ["-c", "raise SystemExit('no luck')"], says, tmp_path, rounds=1)
    assert case["missing"].endswith("it said: no luck")
    assert summarise([case]) == {"ratio": {}, "house_ratio": {}, "same": {}, "missing": 1}


def test_no_reference_is_one_line_that_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match=r"--reference DIR.*DeOldify, colorization, DDColor, BasicSR") as caught:
        run()
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"no folder .*elsewhere"):
        run(reference=tmp_path / "elsewhere")


def test_a_checkout_that_is_not_there_is_a_row_that_says_so(tmp_path):
    result = run(reference=tmp_path)
    assert [case["model"] for case in result["cases"]] == [pair.model for pair in PAIRS]
    for case, pair in zip(result["cases"], PAIRS, strict=True):
        assert case["missing"] == f"no folder {(tmp_path / pair.folder).resolve()}; git clone {pair.published} there"
    assert result["summary"]["missing"] == len(PAIRS)


def test_a_folder_that_is_no_checkout_is_a_row_that_says_so(tmp_path):
    (tmp_path / "colorization").mkdir()
    (case,) = run(reference=tmp_path, models=["siggraph17"])["cases"]
    assert "has no 'colorizers'; is it a whole checkout" in case["missing"]


def test_pairs_are_models_of_the_shelf():
    for pair in PAIRS:
        assert pair.file == card_of(pair.model).files[0].name


def test_floats_and_bytes_are_compared_in_8_bit_steps():
    theirs = np.full((4, 4, 3), 0.5, np.float32)
    ours = theirs + np.float32(2 / 255)
    found = compared(theirs, ours, theirs, np.full((4, 4, 3), 100, np.uint8))
    assert found["max_difference"] == pytest.approx(2, abs=1e-4)
    assert found["differing"] == 1
    assert found["made"] == pytest.approx(27.5)
    assert not found["same"]


def test_what_is_shown_is_in_colour_and_moves_where_a_few_are_shown():
    one, few = picture("ddcolor"), picture("edvr")
    assert (one.shape, one.dtype) == ((480, 640, 3), np.uint8)
    assert np.ptp(one, axis=2).max() > 50
    assert few.shape == (5, 96, 128, 3)
    np.testing.assert_array_equal(few[1][:, :-2], few[0][:, 2:])
    assert plain(few, (384, 512)).shape == (384, 512, 3)
    assert picture("ddcolor", (90, 160)).shape == (90, 160, 3)
    few = picture("edvr", (90, 160))
    assert few.shape == (5, 90, 160, 3)
    np.testing.assert_array_equal(few[1][:, :-2], few[0][:, 2:])
