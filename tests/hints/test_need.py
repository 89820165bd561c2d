"""Where a hint is needed: what speaks for a wrong colour raises the need, what speaks for a right one lowers it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.colourise import Automatic
from hints.field import HintField
from hints.need import REASSURING, SIGNS, Doubts, Signs, need, signs_of

SIZE = (24, 32)


class Half:
    """Carries hints to the left half of the frame; doubts where none was given."""

    fingerprint = "half"

    def carry(self, luma, ab, hint_ab, hint_weight):
        out = ab.copy()
        out[:, : SIZE[1] // 2] = hint_ab[hint_weight > 0].mean(axis=0)
        return out

    def deviation(self, luma, hint_ab=None, hint_weight=None):
        return np.full(luma.shape, 20.0 if hint_weight is None or not hint_weight.any() else 5.0, np.float32)


def automatic():
    luma = np.full(SIZE, 50, np.float32)
    luma[:, SIZE[1] // 2 :] = 80
    return Automatic(luma, np.zeros((*SIZE, 2), np.float32))


def pointed(weight=1.0):
    """A red point in the left half."""
    told = np.zeros(SIZE, np.float32)
    told[10:13, 6:9] = weight
    ab = np.zeros((*SIZE, 2), np.float32)
    ab[told > 0] = (40, 20)
    return HintField(ab, told, told)


def read(said, age=0.0):
    return signs_of(automatic(), said, np.full(SIZE, age, np.float32), Half(), Half())


def test_the_half_that_a_hint_reaches_is_in_less_need():
    before, after = need(read(None)), need(read(pointed()))
    assert before.shape == after.shape == SIZE
    assert 0 <= min(before.min(), after.min()) <= max(before.max(), after.max()) <= 1
    left, right = after[:, :14], after[:, 18:]
    assert left.mean() < before[:, :14].mean()
    assert left.mean() < right.mean()
    assert after[11, 7] < 0.1  # it was said


def test_signs_are_what_they_are_called():
    signs = read(pointed(0.5), age=7)
    assert signs.trust[11, 7] == 0.5
    assert signs.trust.sum() == pytest.approx(9 * 0.5)
    assert (signs.age == 7).all()
    assert signs.apart[5, 5] == pytest.approx(np.hypot(40, 20))
    assert signs.apart[5, 25] == 0
    assert signs.reach[11, 7] > 10 * signs.reach[11, 28]
    assert signs.divided[signs.reach > 0.05].max() < 1  # one colour is not divided
    assert signs.texture[:, 2:14].max() == 0 < signs.texture[5, 15:17].max()


def test_two_colours_side_by_side_are_divided():
    said = pointed()
    said.weight[18:21, 6:9] = 1
    said.ab[18:21, 6:9] = (-40, 20)
    signs = signs_of(automatic(), said, np.zeros(SIZE, np.float32), Half(), Half())
    assert signs.divided[15, 7] > 20


def planes(**values):
    usual = {"trust": 0.6, "age": 5, "deviation": 10, "apart": 10, "torn": 6, "divided": 4, "reach": 0.5, "texture": 3}
    return Signs(**{name: np.full(SIZE, {**usual, **values}[name], np.float32) for name in SIGNS})


@pytest.mark.parametrize(("name", "more"), [("trust", 0.9), ("age", 30), ("reach", 0.9)])
def test_more_of_a_sign_moves_need_its_way(name, more):
    by = need(planes(**{name: more})).mean() - need(planes()).mean()
    assert by < 0 if name in REASSURING else by > 0


def test_what_cannot_doubt_is_told_from_what_can():
    assert isinstance(Half(), Doubts)
    assert not isinstance(object(), Doubts)
    assert set(SIGNS) >= REASSURING
    assert replace(planes(), trust=np.ones(SIZE, np.float32)).trust.min() == 1
