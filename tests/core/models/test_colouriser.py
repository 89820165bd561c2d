"""The embedded colouriser: obeys hints, guesses plausibly, refuses what is not its own."""

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from skimage import data

from core.contract.fingerprint import sha256_of
from core.errors import InputError, PochoirError, ShapeError, WeightsError
from core.film.colour import srgb_to_lab
from core.models import colouriser
from core.models.colouriser import (
    WEIGHTS,
    WORKING_LONG_SIDE,
    EmbeddedColouriser,
    load_colouriser,
    working_size,
)
from core.models.device import pick_device, set_threads
from core.models.network import ColourNet, input_planes
from core.models.standing import fold_norms
from core.models.weights import fill, load_weights
from core.solver import close_hints

STILLS = Path(__file__).parents[4] / "shared" / "data" / "stills" / "bsds500"


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Two threads that wait for each other crawl on a machine where other tests run beside."""
    before = set_threads()
    set_threads(1)
    yield
    set_threads(before)


@pytest.fixture(scope="module")
def ours():
    return load_colouriser("embedded", "cpu")


def photograph(name, h=128, w=128):
    rgb = cv2.resize(getattr(data, name)(), (w, h), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    lab = srgb_to_lab(rgb)
    return np.ascontiguousarray(lab[..., 0]), np.ascontiguousarray(lab[..., 1:])


def one_point(shape, y, x, colour, size=6):
    ab, weight = np.zeros((*shape, 2), np.float32), np.zeros(shape, np.float32)
    ab[y : y + size, x : x + size] = colour
    weight[y : y + size, x : x + size] = 1
    return ab, weight


@pytest.mark.parametrize("shape", [(37, 53), (1, 1), (16, 16), (64, 17), (144, 192)])
def test_any_size_gives_finite_chroma_of_that_size(ours, shape):
    luma = np.random.default_rng(0).uniform(0, 100, shape).astype(np.float32)
    ab = ours.predict(luma)
    assert ab.shape == (*shape, 2)
    assert ab.dtype == np.float32
    assert np.isfinite(ab).all()


def test_prediction_is_deterministic_and_leaves_its_inputs(ours):
    luma, _ = photograph("coffee")
    hint, weight = one_point(luma.shape, 60, 60, (40, 20))
    before = ours.predict(luma)
    for array in (luma, hint, weight, before):
        array.setflags(write=False)
    told = ours.carry(luma, before, hint, weight)
    assert np.array_equal(told, ours.carry(luma, before, hint, weight))
    assert np.array_equal(before, ours.predict(luma))
    assert np.allclose(told, EmbeddedColouriser("cpu").carry(luma, before, hint, weight), atol=1e-3)


def test_calls_from_many_threads_agree():
    fresh = EmbeddedColouriser("cpu")
    luma, _ = photograph("chelsea", 64, 64)
    found = [None] * 4

    def work(i):
        found[i] = fresh.predict(luma)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.allclose(found[0], other, atol=1e-3) for other in found[1:])


@pytest.mark.parametrize("colour", [(55.0, 35.0), (-40.0, 35.0), (10.0, -50.0)])
def test_one_point_tints_its_surface_and_not_what_lies_about_it(ours, colour):
    luma = np.full((128, 128), 25, np.float32)
    luma[32:96, 32:96] = 60  # a flat square on a flat ground
    hint, weight = one_point(luma.shape, 60, 60, colour)
    asked = np.array(colour, np.float32)
    before = ours.predict(luma)
    after = close_hints(luma, ours.carry(luma, before, hint, weight), hint, weight)
    square = after[36:92, 36:92].reshape(-1, 2)
    assert np.linalg.norm(square - asked, axis=1).mean() < 0.45 * np.linalg.norm(asked)
    assert np.linalg.norm(after[50:76, 50:76] - asked, axis=2).mean() < 0.3 * np.linalg.norm(asked)
    moved = np.linalg.norm(after - before, axis=2)
    assert moved[:24].mean() < 0.2 * moved[36:92, 36:92].mean()


@pytest.mark.parametrize(("picture", "at"), [("astronaut", (100, 60)), ("coffee", (30, 20)), ("chelsea", (90, 64))])
def test_one_strange_point_is_one_thing_s_colour(ours, picture, at):
    luma, _ = photograph(picture)
    before = ours.predict(luma)
    hint, weight = one_point(luma.shape, *at, (10, -55))
    moved = np.linalg.norm(ours.carry(luma, before, hint, weight) - before, axis=2)
    assert moved[at[0] + 1 : at[0] + 5, at[1] + 1 : at[1] + 5].mean() > 40
    assert (moved > 15).mean() < 0.25
    assert np.median(moved) < 6


@pytest.mark.parametrize("picture", ["astronaut", "coffee", "chelsea"])
def test_hints_bring_the_truth_nearer(ours, picture):
    luma, truth = photograph(picture)
    rng = np.random.default_rng(0)
    weight = np.zeros_like(luma)
    for y, x in rng.integers(0, 122, (20, 2)):
        weight[y : y + 6, x : x + 6] = 1
    before = ours.predict(luma)
    after = ours.carry(luma, before, truth, weight)
    assert np.square(after - truth).mean() < 0.6 * np.square(before - truth).mean()


def test_automatic_chroma_is_nearer_the_truth_than_grey_and_not_grey(ours):
    if not STILLS.is_dir():
        pytest.skip("the photographs of ../shared/data are not here")
    found = sorted(STILLS.glob("*.jpg"))
    grey, guess, chroma = [], [], []
    for path in found[:: len(found) // 16][:16]:
        bgr = cv2.resize(cv2.imread(str(path)), (192, 128), interpolation=cv2.INTER_AREA)
        lab = srgb_to_lab(bgr[..., ::-1].astype(np.float32) / 255)
        ab = ours.predict(np.ascontiguousarray(lab[..., 0]))
        grey.append(np.square(lab[..., 1:]).mean())
        guess.append(np.square(ab - lab[..., 1:]).mean())
        chroma.append(np.linalg.norm(ab, axis=2).mean())
    assert np.mean(guess) < 0.95 * np.mean(grey)
    assert np.mean(chroma) > 5.0


def test_folding_changes_nothing():
    torch.manual_seed(0)
    network = ColourNet().eval()
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.3)
            part.running_var.uniform_(0.5, 2)
    torch.nn.init.normal_(network.head.weight, std=0.1)
    luma = torch.randn(1, 1, 32, 48)
    with torch.inference_mode():
        for whole, folded in zip(network(luma), fold_norms(network)(luma), strict=True):
            assert torch.allclose(whole, folded, atol=1e-4)


def test_luma_is_scaled_as_the_network_was_taught():
    shown = input_planes(np.array([[[0, 50, 100]]], np.float32))
    assert shown.tolist() == [[[[-1, 0, 1]]]]


def test_working_size_keeps_the_shape():
    assert working_size(480, 640) == (WORKING_LONG_SIDE * 3 // 4, WORKING_LONG_SIDE)
    assert working_size(1080, 608)[0] == WORKING_LONG_SIDE
    assert working_size(30, 40) == (30, 40)
    assert working_size(1, 5000) == (1, WORKING_LONG_SIDE)


def test_fingerprint_follows_the_weights(tmp_path):
    tensors = load_file(WEIGHTS)
    tensors["head.bias"] = tensors["head.bias"] + 0.01
    save_file(tensors, tmp_path / "other.safetensors")
    one, two = EmbeddedColouriser("cpu"), EmbeddedColouriser("cpu", tmp_path / "other.safetensors")
    assert one.fingerprint == EmbeddedColouriser("cpu").fingerprint != two.fingerprint


def test_model_card_names_the_weights_that_are_there():
    assert sha256_of(WEIGHTS) in WEIGHTS.with_suffix(".md").read_text(encoding="utf-8")


def _missing(tensors):
    del tensors["head.bias"]


def _unknown(tensors):
    tensors["head.more"] = torch.zeros(1)


def _misshapen(tensors):
    tensors["head.bias"] = torch.zeros(9)


def _nan(tensors):
    tensors["head.bias"] = torch.full((8,), float("nan"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [(_missing, "missing"), (_unknown, "unknown"), (_misshapen, r"\(9,\)"), (_nan, "NaN")],
)
def test_spoiled_weights_are_refused(tmp_path, spoil, message):
    tensors = load_file(WEIGHTS)
    spoil(tensors)
    save_file(tensors, tmp_path / "spoiled.safetensors")
    with pytest.raises(WeightsError, match=message):
        EmbeddedColouriser("cpu", tmp_path / "spoiled.safetensors").predict(np.zeros((16, 16), np.float32))


def test_torn_and_missing_files_are_refused(tmp_path):
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(WEIGHTS.read_bytes()[:5000])
    with pytest.raises(WeightsError, match="whole"):
        load_weights(torn)
    with pytest.raises(WeightsError, match="read"):
        EmbeddedColouriser("cpu", tmp_path / "none.safetensors")
    with pytest.raises(WeightsError, match="sha256"):
        load_weights(WEIGHTS, sha256="0" * 64)


def test_weights_fill_exactly():
    network = ColourNet()
    weights = load_weights(WEIGHTS)
    fill(network, weights, "embedded")
    assert all(torch.equal(v, weights[k]) for k, v in network.state_dict().items())


def test_misfitting_arrays_are_refused(ours):
    luma = np.zeros((20, 30), np.float32)
    ab = np.zeros((20, 30, 2), np.float32)
    with pytest.raises(ShapeError, match="one size"):
        ours.carry(luma, ab, np.zeros((20, 31, 2), np.float32), luma)
    with pytest.raises(ShapeError, match="one size"):
        ours.deviation(luma, ab, np.zeros((21, 30), np.float32))
    with pytest.raises(ShapeError, match="expected"):
        ours.predict(np.zeros((20, 30, 3), np.float32))


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="known"):
        load_colouriser("sepia")
    for name in ("tpu", "cuda:x", "cpu:1", "cuda:99"):
        with pytest.raises(InputError, match="device"):
            pick_device(name)
    with pytest.raises(InputError, match="threads"):
        set_threads(0)
    assert pick_device("cpu").type == "cpu"
    assert pick_device(None).type == pick_device("auto").type


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
def test_gpu_gives_the_cpus_colours(ours):
    luma, truth = photograph("astronaut")
    weight = np.zeros_like(luma)
    weight[40:50, 40:50] = 1
    there, before = load_colouriser("embedded", "cuda"), ours.predict(luma)
    assert np.abs(there.predict(luma) - before).max() < 0.5
    assert np.abs(there.carry(luma, before, truth, weight) - ours.carry(luma, before, truth, weight)).max() < 0.5


def test_what_is_seen_is_kept_for_a_few_frames_only(ours, monkeypatch):
    fresh, looks = EmbeddedColouriser("cpu"), []
    standing = fresh._standing(lambda there: there)
    network = standing.network
    monkeypatch.setattr(standing, "network", lambda shown: looks.append(1) or network(shown))
    frames = [np.full((16, 16), n, np.float32) for n in range(40)]
    fresh.predict(frames[0])
    fresh.predict(frames[0].copy())
    assert len(looks) == 1
    for frame in frames:
        fresh.predict(frame)
    assert len(looks) == 40
    assert len(standing._sights) < 40
    fresh.predict(frames[0])
    assert len(looks) == 41


ASKED = {
    "predict": lambda one, luma, ab, hint, weight: one.predict(luma),
    "predict_together": lambda one, luma, ab, hint, weight: one.predict_together(luma[None]),
    "carry": lambda one, luma, ab, hint, weight: one.carry(luma, ab, hint, weight),
    "deviation": lambda one, luma, ab, hint, weight: one.deviation(luma, hint, weight),
    "features": lambda one, luma, ab, hint, weight: one.features(luma),
    "features_together": lambda one, luma, ab, hint, weight: one.features_together(luma[None])[0],
    "suggest": lambda one, luma, ab, hint, weight: one.suggest(luma, (20, 20)),
}


@pytest.mark.parametrize("asked", ASKED)
def test_where_memory_ends_every_call_goes_on_on_the_cpu(ours, asked, caplog, monkeypatch):
    luma, ab = photograph("coffee", 48, 64)
    said = (luma, ab, *one_point(luma.shape, 20, 20, (40, 20)))
    wanted = ASKED[asked](ours, *said)
    short = EmbeddedColouriser("cpu")
    fallback = short._standing
    fallback._place = fallback._on(torch.device("meta"))
    full = {"meta"}

    def within_limits(place: str) -> None:
        if place in full:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    understood = ColourNet._understood
    monkeypatch.setattr(
        ColourNet, "_understood", lambda self, shown: within_limits(shown.device.type) or understood(self, shown)
    )
    for _ in range(2):
        assert np.array_equal(ASKED[asked](short, *said), wanted)
    assert [r.getMessage() for r in caplog.records] == [
        "embedded: out of memory on meta; going on on the CPU, more slowly"
    ]
    full.add("cpu")
    with pytest.raises(PochoirError, match=r"^embedded: out of memory on cpu; close what else uses it$"):
        ASKED[asked](short, luma[::-1].copy(), *said[1:])


def test_where_memory_ends_while_the_clock_decides_it_runs_at_float32(monkeypatch):
    def full(*asked):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    monkeypatch.setattr(colouriser, "choose", full)
    assert EmbeddedColouriser("cpu").way == "float32"


def test_one_of_a_network_at_hand_speaks_as_that_one_does_now():
    torch.manual_seed(3)
    network = ColourNet((8, 8, 16, 16))
    torch.nn.init.normal_(network.head.weight, std=0.05)
    speaker, luma = EmbeddedColouriser.around(network, "cpu"), np.full((32, 32), 50, np.float32)
    torch.nn.init.zeros_(network.head.weight)  # the next step of training
    assert np.abs(speaker.predict(luma)).max() > 0
    assert np.array_equal(EmbeddedColouriser.around(network, "cpu").predict(luma), np.zeros((32, 32, 2)))


def test_doubt_is_less_near_a_hint_and_more_where_the_error_is(ours):
    near, errors, doubts = [], [], []
    for name in ("astronaut", "coffee", "chelsea"):
        luma, truth = photograph(name)
        hint, weight = one_point(luma.shape, 60, 60, truth[60:66, 60:66].mean(axis=(0, 1)))
        before, after = ours.deviation(luma), ours.deviation(luma, hint, weight)
        assert before.shape == luma.shape
        assert (after > 0).all()
        assert (after < before + 1e-3).all()
        near.append((after[61:65, 61:65] / before[61:65, 61:65]).mean())
        errors.append(np.linalg.norm(ours.predict(luma) - truth, axis=2).ravel())
        doubts.append(before.ravel())
    assert np.mean(near) < 0.75
    assert np.corrcoef(np.concatenate(errors), np.concatenate(doubts))[0, 1] > 0.2


# --- suggestions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(128, 96), (37, 53), (1, 1)])
def test_suggestions_are_few_distinct_and_in_order(ours, shape):
    luma = cv2.resize(photograph("astronaut")[0], shape[::-1], interpolation=cv2.INTER_AREA)
    for at in ((0, 0), (shape[0] - 1, shape[1] - 1), (shape[0] // 2, shape[1] // 3)):
        found = ours.suggest(luma, at)
        assert 1 <= len(found) <= 5
        assert np.isfinite(found).all()
        assert (np.diff(found[:, 2]) <= 0).all()
        assert 0 < found[:, 2].sum() <= 1.01
        for i, one in enumerate(found):
            assert all(np.hypot(*(one[:2] - other[:2])) > 15 for other in found[:i])
    assert len(ours.suggest(luma, (0, 0), 1)) == 1


def test_suggestions_at_an_odd_size_are_those_of_the_size_the_network_takes(ours):
    luma = cv2.resize(photograph("coffee")[0], (104, 90), interpolation=cv2.INTER_AREA)
    whole = np.pad(luma, ((0, 6), (0, 8)), mode="edge")
    for at in ((5, 100), (88, 50), (60, 60)):
        assert ours.suggest(luma, at) == pytest.approx(ours.suggest(whole, at), abs=1e-3)


def test_one_of_five_suggestions_is_nearer_the_truth_than_the_automatic_colour(ours):
    """Chosen by a person who knows, that is: else five guesses would be worth no more than one."""
    automatic, suggested = [], []
    for name in ("astronaut", "coffee", "chelsea"):
        luma, ab = photograph(name)
        said = ours.predict(luma)
        for y, x in ((30, 30), (64, 64), (90, 40), (40, 100), (100, 100)):
            true = ab[y - 2 : y + 3, x - 2 : x + 3].mean(axis=(0, 1))
            automatic.append(float(np.hypot(*(said[y, x] - true))))
            suggested.append(min(float(np.hypot(*(one[:2] - true))) for one in ours.suggest(luma, (y, x))))
    assert np.mean(suggested) < 0.75 * np.mean(automatic)


@pytest.mark.parametrize("at", [(-1, 0), (0, 128), (128, 0)])
def test_a_place_outside_the_picture_is_refused(ours, at):
    with pytest.raises(ShapeError, match="outside"):
        ours.suggest(photograph("coffee")[0], at)
