"""What a distribution over bins says: its peaks."""

import numpy as np
import pytest
import torch

from bench.train.train import bins_loss
from core.models.distribution import APART, PRIOR_TAKEN_OFF, likeliest, sharpened
from core.models.network import AB_SCALE, BIN_SIDE, bin_centres

FLAT = np.full(BIN_SIDE**2, BIN_SIDE**-2.0, np.float32)


def heap(*peaks):
    """Logits with Gaussian heaps about some chroma, each (a, b, height)."""
    out = np.full(BIN_SIDE**2, -8.0, np.float32)
    for a, b, height in peaks:
        far = np.square(bin_centres() - (a, b)).sum(axis=1)
        out = np.maximum(out, height - far / (2 * 12.0**2)).astype(np.float32)
    return out


def test_bins_cover_all_of_srgb():
    centres = bin_centres()
    assert centres.shape == (BIN_SIDE**2, 2)
    assert centres.min() <= -108
    assert centres.max() >= 99
    assert (centres[BIN_SIDE**2 // 2] == 0).all()


def test_a_true_chroma_is_shared_by_the_four_bins_about_it():
    truth = torch.empty(1, 2, 4, 4)
    truth[:, 0], truth[:, 1] = 21.0 / AB_SCALE, -37.0 / AB_SCALE
    logits = torch.zeros(1, BIN_SIDE**2, 1, 1, requires_grad=True)
    loss, seen = bins_loss(logits, truth)
    assert float(loss.detach()) == pytest.approx(np.log(BIN_SIDE**2), abs=1e-5)
    assert seen[0].numpy() @ bin_centres() == pytest.approx([21.0, -37.0], abs=1e-3)
    loss.backward()
    assert int((logits.grad < 0).sum()) == 4


def test_what_is_merely_common_is_partly_taken_off():
    prior = np.exp(heap((0, 0, 5.0)))
    prior /= prior.sum()
    logits = np.log(prior)
    with_prior, without = sharpened(logits, prior), sharpened(logits, FLAT)
    middle = BIN_SIDE**2 // 2
    assert PRIOR_TAKEN_OFF > 0
    assert with_prior[middle] < without[middle]


def test_suggestions_are_the_peaks_the_likeliest_first():
    peaks = [(50, 30, 2.0), (-40, 40, 1.5), (0, -60, 1.0)]
    found = likeliest(sharpened(heap(*peaks), FLAT), 5)
    assert len(found) == 3
    assert (np.diff(found[:, 2]) <= 0).all()
    for (a, b, _), row in zip(peaks, found, strict=True):
        assert np.hypot(row[0] - a, row[1] - b) < 6


def test_suggestions_are_few_and_apart():
    rng = np.random.default_rng(0)
    found = likeliest(sharpened(rng.normal(0, 2, BIN_SIDE**2).astype(np.float32), FLAT), 4)
    assert 1 <= len(found) <= 4
    for i, one in enumerate(found):
        assert all(np.hypot(*(one[:2] - other[:2])) >= APART for other in found[:i])
