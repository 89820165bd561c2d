"""Propagation: better than a copy and than plain warping, on a film whose truth is known."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from core.flow import warp
from hints.propagate import Carrier, Place, _excused, crisp, walk

sys.path.insert(0, str(Path(__file__).parent))
from film import Film

GROUND_AB, PATCH_AB = np.float32([-12, 25]), np.float32([30, 10])


def truth(film, n):
    """Chroma of frame ``n``  [(2, h, w)]."""
    return np.where(film.mask(n)[None], PATCH_AB[:, None, None], GROUND_AB[:, None, None]).astype(np.float32)


def error(found, true):
    return float(np.sqrt(np.mean(np.sum((found - true) ** 2, axis=0))))


@pytest.fixture(scope="module")
def moving():
    return Film(10, step=2.5, ground_step=0.5)


def carried(film, planes, frames, keyframe=0, estimator=True):
    carrier = Carrier(planes)
    return [
        (step, carrier.advance(step)) for step in walk(film, keyframe, frames, film.estimator if estimator else None)
    ]


def test_it_beats_a_copy_and_a_chain_of_warps(moving):
    ours = copied = chained = 0.0
    chain = truth(moving, 0).transpose(1, 2, 0)
    for step, planes in carried(moving, truth(moving, 0), range(1, 10)):
        chain = warp(chain, moving.pair(step.n - 1).backward)
        true = truth(moving, step.n)
        ours += error(planes, true)
        copied += error(truth(moving, 0), true)
        chained += error(chain.transpose(2, 0, 1), true)
    assert ours < 0.5 * copied
    assert ours < 0.9 * chained


def test_it_goes_backwards_as_well(moving):
    steps = carried(moving, truth(moving, 9), range(8, -1, -1), keyframe=9)
    assert [step.n for step, _ in steps] == list(range(8, -1, -1))
    last = steps[-1][1]
    assert error(last, truth(moving, 0)) < 0.6 * error(truth(moving, 9), truth(moving, 0))


def test_trust_tells_where_it_errs(moving):
    step, planes = carried(moving, truth(moving, 0), range(1, 8))[-1]
    wrong = np.sqrt(np.sum((planes - truth(moving, 7)) ** 2, axis=0)) > 10
    assert wrong.any()
    assert step.trust[wrong].mean() < step.trust[~wrong].mean() - 0.2


def test_static_film_is_carried_without_loss():
    film = Film(6, step=0.0)
    for step, planes in carried(film, truth(film, 0), range(1, 6)):
        assert np.abs(planes - truth(film, 0)).max() < 0.05
        assert step.trust.min() > 0.98


def test_flicker_does_not_wear_trust_down():
    film = Film(6, step=0.0)
    steady = film.luma
    film.luma = lambda n: (steady(n) * (1 + 0.1 * (n % 2)) + 3 * (n % 2)).astype(np.float32)
    for step, _ in carried(film, truth(film, 0), range(1, 6)):
        assert step.trust.mean() > 0.85


def test_planes_do_not_depend_on_those_beside_them(moving):
    both = carried(moving, np.concatenate([truth(moving, 0), moving.mask(0)[None].astype(np.float32)]), range(1, 5))
    alone = carried(moving, moving.mask(0)[None].astype(np.float32), range(1, 5))
    for (_, a), (_, b) in zip(both, alone, strict=True):
        assert (a[2] == b[0]).all()


def test_it_works_without_direct_flow_and_at_odd_sizes(moving):
    steps = carried(moving, truth(moving, 0), range(1, 4), estimator=False)
    assert error(steps[-1][1], truth(moving, 3)) < error(truth(moving, 0), truth(moving, 3))


def test_shares_sum_to_one_and_everything_stays_finite(moving):
    for step, planes in carried(moving, truth(moving, 0), range(1, 6)):
        total = sum(place.trust for place in step.sources)
        assert np.abs(total - 1).max() < 1e-4
        for plane in (*planes, step.trust, step.hold, step.anew):
            assert np.isfinite(plane).all()
        assert 0 <= step.trust.min() <= step.trust.max() <= 1


def test_crisp_steepens_and_keeps_the_half():
    soft = np.linspace(0, 1, 11, dtype=np.float32)
    assert crisp(soft)[5] == pytest.approx(0.5)
    assert (crisp(soft)[:3] == 0).all()
    assert (crisp(soft)[-3:] == 1).all()


def test_only_the_same_surface_excuses_a_vector_that_fails_its_check():
    size = (96, 128)
    here, there = np.full(size, 70, np.float32), np.full(size, 70, np.float32)
    there[40:52, 50:62] = 30  # an even thing lay there, on an even ground that has come into view
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    place = Place(x, y, np.full(size, 0.1, np.float32))
    excused = _excused(place, np.ones(size, np.float32), here, there).trust
    assert excused[44:48, 54:58].max() < 0.15
    assert excused[70:, :].min() > 0.85
