"""The points protocol: hints as published, peers in the same call, grey at nothing."""

import cv2
import numpy as np
import pytest
from skimage import data

from bench.baselines import bilateral_solver, geodesic_blend
from bench.points import run
from bench.train.data import zhang_points
from core.errors import InputError
from core.film.colour import srgb_to_lab
from core.models.device import set_threads


class TrueColours:
    """A colouriser that cannot err by more than it is told to."""

    name, fingerprint = "true", "true"

    def __init__(self, error):
        self.error = error

    def predict(self, luma):
        return np.full((*luma.shape, 2), self.error, np.float32)

    def carry(self, luma, ab, hint_ab, hint_weight):
        return ab


@pytest.fixture(autouse=True)
def _one_thread():
    before = set_threads()
    set_threads(1)
    yield
    set_threads(before)


@pytest.fixture
def folder(tmp_path):
    stills = tmp_path / "stills" / "bsds500"
    stills.mkdir(parents=True)
    for name in ("astronaut", "coffee"):
        bgr = cv2.resize(getattr(data, name)()[..., ::-1], (240, 160), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(stills / f"{name}.jpg"), bgr)
    return tmp_path


def test_protocol_reports_ours_and_the_peers(folder):
    result = run(folder, counts=(0, 10), limit=2)
    assert result["name"] == "points"
    assert len(result["cases"]) == 4
    summary = result["summary"]
    assert set(summary["psnr_db"]) == {"0", "10"}
    assert set(summary["peers_psnr_db"]) == {"grey", "solver", "bilateral_solver", "geodesic"}
    grey = summary["peers_psnr_db"]["grey"]["0"]
    assert summary["peers_psnr_db"]["bilateral_solver"]["0"] == grey
    for name in ("bilateral_solver", "geodesic"):
        assert summary["peers_psnr_db"][name]["10"] > grey + 1.0
    assert summary["psnr_db"]["10"] > summary["psnr_db"]["0"] + 1.0
    assert summary["delta_e"]["10"] < summary["delta_e"]["0"]


def test_a_colouriser_that_gives_grey_scores_grey(folder):
    result = run(folder, counts=(0,), limit=1, colouriser=TrueColours(0.0))
    assert result["summary"]["psnr_db"]["0"] == result["summary"]["peers_psnr_db"]["grey"]["0"]


def test_same_seed_same_numbers(folder):
    one, two, three = (run(folder, counts=(5,), limit=1, seed=seed, colouriser=TrueColours(0.0)) for seed in (0, 0, 1))
    assert one == two
    assert one["summary"] != three["summary"]


def test_a_folder_without_photographs_is_refused(tmp_path):
    with pytest.raises(InputError, match="no photographs"):
        run(tmp_path)
    with pytest.raises(InputError, match="no weights"):
        run(tmp_path, stills="nips17")


def test_hint_patches_carry_their_mean_true_chroma():
    ab = np.random.default_rng(0).normal(0, 30, (64, 80, 2)).astype(np.float32)
    hint, weight = zhang_points(ab, 1, np.random.default_rng(3))
    ys, xs = np.nonzero(weight)
    assert len(ys) == 36
    inside = ab[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    assert np.allclose(hint[ys, xs], inside.mean(axis=(0, 1)), atol=1e-4)
    assert not hint[weight == 0].any()


def test_hint_places_gather_about_the_middle():
    ab = np.zeros((256, 256, 2), np.float32)
    _, weight = zhang_points(ab, 300, np.random.default_rng(0))
    ys, xs = np.nonzero(weight)
    assert abs(ys.mean() - 127.5) < 8
    assert abs(xs.mean() - 127.5) < 8
    assert 45 < ys.std() < 75


@pytest.mark.parametrize("solver", [bilateral_solver, geodesic_blend])
def test_classical_solvers_keep_to_lumas_borders(solver):
    luma = np.full((64, 64), 30, np.float32)
    luma[:, 32:] = 70
    truth = np.where(luma[..., None] > 50, (40.0, 10.0), (-20.0, -30.0)).astype(np.float32)
    weight = np.zeros_like(luma)
    weight[30:34, 4:8] = weight[30:34, 56:60] = 1
    out = solver(luma, truth * weight[..., None], weight)
    assert np.abs(out - truth).mean() < 2.0


def test_bilateral_solver_on_a_photograph_is_worth_what_its_paper_class_gives():
    rgb = cv2.resize(data.coffee(), (256, 256), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    lab = srgb_to_lab(rgb)
    hint, weight = zhang_points(lab[..., 1:], 50, np.random.default_rng(0))
    out = bilateral_solver(np.ascontiguousarray(lab[..., 0]), hint, weight)
    gain_db = 10 * np.log10(np.square(lab[..., 1:]).mean() / np.square(out - lab[..., 1:]).mean())
    assert gain_db > 6.0
