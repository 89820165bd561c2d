"""The port of the user-guided colouriser against what the authors' own code gave for the same inputs and weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from core.contract.plugins import Plugins
from core.errors import ModelMissingError, ShapeError, WeightsError
from core.film.colour import delta_e, fit_gamut, lab_to_srgb, srgb_to_lab
from core.models import siggraph17
from core.models.colouriser import Carries, Suggests
from core.models.shelf import card_of
from core.models.siggraph17 import CENTRES, SIGGRAPH17, SOFTNESS, snap, squeeze
from core.models.siggraph17_net import BINS, UserGuided, planes
from tests.parity import Fixture, needs_parity, warm_up, within


@pytest.fixture(scope="module")
def recorded() -> Fixture:
    return Fixture("siggraph17")


@pytest.fixture(scope="module")
def published(recorded, tmp_path_factory) -> Path:
    """The recorded weights in a file as the authors publish it: bare, pickled the old way, without step counters."""
    warm_up()
    path = tmp_path_factory.mktemp("models") / "siggraph17-df00044c.pth"
    weights = {k: v for k, v in recorded.weights().items() if not k.endswith("num_batches_tracked")}
    torch.save(weights, path, _use_new_zipfile_serialization=False)
    return path


@pytest.fixture(scope="module")
def model(published, device) -> SIGGRAPH17:
    return SIGGRAPH17.load(published.parent, device=device)


@pytest.fixture(scope="module")
def retrained(published, device, tmp_path_factory) -> SIGGRAPH17:
    """The same weights under the name of the retrained file."""
    path = tmp_path_factory.mktemp("retrained") / "pytorch.pth"
    path.hardlink_to(published)
    return SIGGRAPH17.load(path.parent, device=device)


@pytest.fixture(scope="module")
def drawn() -> SIGGRAPH17:
    """Random weights, for what needs no truth."""
    torch.manual_seed(4)
    return SIGGRAPH17(UserGuided, weights="drawn", device="cpu")


def scene(h: int, w: int) -> np.ndarray:
    y, x = np.mgrid[:h, :w].astype(np.float32)
    return (50 + 25 * np.sin(x / 5) + 20 * np.cos(y / 7)).astype(np.float32)


@needs_parity
def test_names_and_shapes_are_the_published_ones(recorded):
    with torch.device("meta"):
        net = UserGuided()
    published = {k["name"]: tuple(k["shape"]) for k in recorded.keys}
    assert {k: tuple(v.shape) for k, v in net.state_dict().items()} == published


def shown(given: dict[str, np.ndarray], centre: float, device: str) -> torch.Tensor:
    return planes(*(torch.from_numpy(given[k]).to(device) for k in ("L", "ab_hint", "mask")), centre=centre)


@needs_parity
@pytest.mark.parametrize("case", ["nohint", "hint", "hint_72x104", "hint_maskcent05"])
def test_the_network_gives_the_recorded_chroma(model, retrained, recorded, device, case):
    given, wanted, limits = recorded.case(case)
    speaker = retrained if case == "hint_maskcent05" else model
    with torch.inference_mode():
        got = speaker._network(shown(given, speaker.centre, device)).cpu().numpy()
    within(got, wanted["ab"], limits["ab"])


@needs_parity
def test_the_network_gives_the_recorded_distribution(model, recorded, device):
    given, wanted, limits = recorded.case("hint")
    with torch.inference_mode():
        logits = model._network.run(lambda network, x: network.odds(x), shown(given, 0.0, device)).cpu()
    within(logits.numpy(), wanted["class_logits"], limits["class_logits"])
    within(torch.softmax(SOFTNESS * logits, 1).numpy(), wanted["dist_quarter"], limits["dist_quarter"])


@needs_parity
def test_the_faithful_road_gives_the_recorded_picture(model, recorded):
    given, wanted, limits = recorded.case("pipeline")
    small = squeeze(given["rgb"])
    within(small[None, None], wanted["L_small"], limits["L_small"])
    # At the size it was trained at, the house's road is the same one.
    within(model.predict(small).transpose(2, 0, 1)[None], wanted["ab_small"], limits["ab_small"])
    within(model.faithful(given["rgb"]), wanted["final"], limits["final"])


@needs_parity
@pytest.mark.parametrize("case", ["hint", "hint_72x104", "hint_maskcent05"])
def test_hints_are_carried_as_the_authors_carry_them(model, retrained, recorded, case):
    given, wanted, limits = recorded.case(case)
    speaker = retrained if case == "hint_maskcent05" else model
    luma, asked, weight = given["L"][0, 0], given["ab_hint"][0].transpose(1, 2, 0), given["mask"][0, 0]
    own = speaker.predict(luma)
    within(speaker.carry(luma, own, asked, weight).transpose(2, 0, 1)[None], wanted["ab"], limits["ab"])


def hint(h: int, w: int) -> tuple[np.ndarray, np.ndarray]:
    ab, weight = np.zeros((h, w, 2), np.float32), np.zeros((h, w), np.float32)
    ab[5:9, 6:11], weight[5:9, 6:11] = (45, 30), 1
    return ab, weight


def test_what_a_hint_changes_does_not_depend_on_what_it_is_added_to(drawn):
    """Chroma steadied elsewhere, and hints that ask for as much more, are changed by the same."""
    luma, (asked, weight) = scene(40, 56), hint(40, 56)
    own = drawn.predict(luma)
    shift = np.float32((7, -12))
    change = drawn.carry(luma, own, asked, weight) - own
    elsewhere = drawn.carry(luma, own + shift, asked + shift, weight) - (own + shift)
    assert np.abs(change).max() > 1e-3  # there is something to agree on
    np.testing.assert_allclose(change, elsewhere, atol=1e-3)


def test_a_hint_without_weight_changes_nothing(drawn):
    luma, (asked, weight) = scene(40, 56), hint(40, 56)
    ab = np.full((40, 56, 2), 9, np.float32)
    assert drawn.carry(luma, ab, asked, 0 * weight) is ab


@pytest.mark.parametrize("size", [(37, 53), (8, 8), (1, 3), (300, 420)])
def test_any_size_gives_chroma_of_that_size(drawn, size):
    luma = scene(*size)
    luma.setflags(write=False)
    ab = drawn.predict(luma)
    weight = np.ones(size, np.float32)
    carried = drawn.carry(luma, ab, ab + np.float32(5), weight)
    for found in (ab, carried):
        assert found.shape == (*size, 2)
        assert found.dtype == np.float32
        assert np.isfinite(found).all()
    assert np.abs(ab).max() < 110


def test_what_does_not_fit_is_refused(drawn):
    luma, (asked, weight) = scene(16, 16), hint(16, 16)
    with pytest.raises(ShapeError):
        drawn.predict(np.zeros((8, 8, 3), np.float32))
    with pytest.raises(ShapeError, match="bring all to one size"):
        drawn.carry(luma, asked[:8], asked, weight)
    with pytest.raises(ShapeError, match="outside"):
        drawn.suggest(luma, (16, 0))


def test_it_carries_and_suggests(drawn):
    assert isinstance(drawn, Carries)
    assert isinstance(drawn, Suggests)


class Told(nn.Module):
    """Finds likely what it is told, and two colours where it is told nothing; in one of the two orders of bins."""

    UNASKED = (((-10.0, 30.0), 30.0), ((40.0, 20.0), 27.0))

    def __init__(self, *, b_first: bool) -> None:
        super().__init__()
        self.order = [1, 0] if b_first else [0, 1]
        steps = torch.arange(-110.0, 111.0, 10.0)
        self.bins = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1).reshape(BINS, 2)

    def odds(self, x: torch.Tensor) -> torch.Tensor:
        said = x[0, 1:3].mean((1, 2)) * 110
        tops = [(said.tolist(), 30.0)] if said.abs().sum() else self.UNASKED
        logits = torch.zeros(BINS)
        for ab, height in tops:
            off = (self.bins - torch.tensor(ab)[self.order]).square().sum(1)
            logits = torch.maximum(logits, height / SOFTNESS * torch.exp(-off / 400))
        return logits[None, :, None, None].expand(1, BINS, x.shape[2] // 4, x.shape[3] // 4)


@pytest.mark.parametrize("b_first", [False, True], ids=["a outermost", "b outermost"])
def test_suggestions_are_the_likely_colours_whatever_the_order_of_bins(b_first):
    model = SIGGRAPH17(lambda: Told(b_first=b_first), weights="told", device="cpu")
    found = model.suggest(np.full((20, 30), 60, np.float32), (19, 29), 2)
    np.testing.assert_allclose(found[:, :2], [ab for ab, _ in Told.UNASKED], atol=2.0)
    assert found[0, 2] > found[1, 2] > 0
    assert found[:, 2].sum() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("level", [0.0, 12.0, 55.0, 97.0, 100.0])
def test_suggestions_are_distinct_and_shown_at_their_luma(drawn, level):
    found = drawn.suggest(np.full((37, 53), level, np.float32), (36, 52))
    assert 1 <= len(found) <= 5
    assert found.dtype == np.float32
    assert (np.diff(found[:, 2]) <= 0).all()
    for i, one in enumerate(found):
        assert all(np.hypot(*(one[:2] - other[:2])) >= 10 for other in found[:i])
    lab = np.column_stack([np.full(len(found), level), found[:, :2]]).astype(np.float32)
    back = srgb_to_lab(lab_to_srgb(lab[None]))[0]
    assert delta_e(lab, back).max() < 1.0


def test_a_colour_that_is_shown_is_not_snapped(drawn):
    ab = np.array([(20, 30), (-30, 20), (0, 0)], np.float32)
    np.testing.assert_allclose(snap(60.0, ab), ab, atol=0.3)


def test_snapping_keeps_luma_and_more_colour_than_fading():
    ab = np.array([(90, -90), (-100, -40), (10, 100)], np.float32)
    snapped = snap(60.0, ab)
    lab = np.column_stack([np.full(3, 60.0), snapped]).astype(np.float32)
    assert np.abs(srgb_to_lab(lab_to_srgb(lab[None]))[0] - lab).sum(axis=1).max() < 1.0
    faded = fit_gamut(np.full(3, 60, np.float32), ab)
    assert np.hypot(*snapped.T).sum() > np.hypot(*faded.T).sum()


def test_the_mask_follows_from_the_files_name(tmp_path):
    made = {}
    for file in card_of("siggraph17").files:
        folder = tmp_path / file.name
        folder.mkdir()
        (folder / file.name).write_bytes(b"the same")
        made[file.name] = SIGGRAPH17.load(folder, device="cpu")
    assert {name: m.centre for name, m in made.items()} == {
        "siggraph17-df00044c.pth": 0.0,
        "caffemodel.pth": 0.0,
        "pytorch.pth": 0.5,
    }
    assert CENTRES.keys() <= {Path(name).stem for name in made}
    assert made["pytorch.pth"].fingerprint != made["caffemodel.pth"].fingerprint


def test_weights_are_read_at_first_use_and_once():
    calls = []
    model = SIGGRAPH17(lambda: calls.append(1) or UserGuided(), weights="x", device="cpu")
    assert model.fingerprint
    assert not calls
    model.predict(scene(8, 8))
    model.predict(scene(8, 16))
    assert len(calls) == 1


def test_training_mode_cannot_be_entered():
    with torch.device("meta"):
        net = UserGuided().train()
    assert not any(m.training for m in net.modules())


def test_a_missing_checkpoint_says_which_where_and_whence(tmp_path, monkeypatch):
    monkeypatch.setenv("POCHOIR_MODELS", str(tmp_path))
    plugins = Plugins()
    siggraph17.register(plugins)
    with pytest.raises(ModelMissingError) as caught:
        plugins.colourisers.get("siggraph17")("cpu")
    for part in ("siggraph17-df00044c.pth", str(tmp_path), "https://"):
        assert part in str(caught.value)


def test_the_wrong_checkpoint_is_refused_by_name(tmp_path):
    torch.save({"model1.0.weight": torch.zeros(64, 4, 3, 3)}, tmp_path / "caffemodel.pth")
    model = SIGGRAPH17.load(tmp_path, device="cpu")
    with pytest.raises(WeightsError, match=r"caffemodel\.pth: 'model"):
        model.predict(scene(8, 8))
