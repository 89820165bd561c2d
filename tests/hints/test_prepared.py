"""What is found before any hint is placed: a walk finds it there, bit for bit, and asks for nothing anew."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from core.contract.progress import CancelToken, silent
from core.errors import Cancelled
from hints.hint import Hint, HintSet
from hints.picture import Mask
from hints.prepared import Prepared
from hints.source import Carried

sys.path.insert(0, str(Path(__file__).parent))
from film import SIZE, Film, Memory

COUNT = 12


class Looking:
    """Looks that count how often they are asked."""

    together = 4
    fingerprint = "looking"

    def __init__(self):
        self.seen = 0

    def features(self, luma):
        self.seen += 1
        return np.dstack([luma[::2, ::2] / 30, np.gradient(luma[::2, ::2])[0] / 7]).astype(np.float32)

    def features_together(self, lumas):
        return [self.features(luma) for luma in lumas]


@pytest.fixture
def film():
    made = Film(COUNT)
    made.looks = Looking()
    return made


def source(film, store, *hints):
    return Carried(HintSet((), hints), film.timeline, SIZE, film, store)


def region(film, n=5):
    return Hint("h1", n, "region", colour="#a04030", mask=Mask.of(film.mask(n)))


def test_a_hint_in_a_prepared_shot_asks_for_no_flow_and_no_look(film):
    store = Memory()
    source(film, store).prepare(film.timeline.shots[0].range, silent, CancelToken())
    assert (film.pairs, film.looks.seen) == (COUNT - 1, COUNT)
    hinted = source(film, store, region(film))
    hinted.carry(film.timeline.shots[0], silent, CancelToken())
    assert (film.pairs, film.looks.seen) == (COUNT - 1, COUNT)
    other = Film(COUNT)
    other.looks = Looking()
    unprepared = source(other, Memory(), region(other))
    unprepared.carry(other.timeline.shots[0], silent, CancelToken())
    for n in range(COUNT):
        one, two = hinted.field(n), unprepared.field(n)
        np.testing.assert_array_equal(one.weight, two.weight)
        np.testing.assert_array_equal(one.ab, two.ab)


def test_what_is_kept_is_what_is_given_at_first(film):
    prepared = Prepared(film, Memory(), "dis", film.looks)
    for _ in range(2):
        pair, (seen,) = prepared.pair(3), prepared.features([3], 64)
        np.testing.assert_array_equal(pair.forward, pair.forward.astype(np.float16))
        np.testing.assert_array_equal(seen, seen.astype(np.float16))
    again = prepared.pair(3)
    np.testing.assert_array_equal(pair.backward, again.backward)
    np.testing.assert_array_equal(pair.backward_trust, again.backward_trust)
    true = film.estimator.pair(film.luma(3), film.luma(4))
    assert np.abs(pair.forward - true.forward).max() < 0.01
    assert np.abs(pair.forward_trust - true.forward_trust).max() <= 0.5 / 255 + 1e-6


def test_preparing_that_was_stopped_goes_on_where_it_was(film):
    store, token = Memory(), CancelToken()
    prepared = Prepared(film, store, "dis", film.looks)

    def done(n):
        if n == 5:
            token.cancel()

    with pytest.raises(Cancelled):
        prepared.prepare(range(COUNT), 64, token, done)
    assert not prepared.prepared(range(COUNT), 64)
    assert film.pairs < COUNT - 1
    prepared.prepare(range(COUNT), 64, CancelToken())
    assert prepared.prepared(range(COUNT), 64)
    assert (film.pairs, film.looks.seen) == (COUNT - 1, COUNT)


def test_a_fault_while_preparing_is_told(film):
    def broken(lumas):
        raise ValueError("no such network")

    film.looks.features_together = broken
    with pytest.raises(ValueError, match="no such network"):
        Prepared(film, Memory(), "dis", film.looks).prepare(range(COUNT), 64, CancelToken())
