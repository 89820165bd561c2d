"""The same region in another shot: found where it is, and told from what merely looks a little like it."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench.metrics import iou
from core.contract.progress import CancelToken
from core.errors import Cancelled
from core.film.shot import Shot, shots_from_cuts
from core.film.timebase import FrameRange
from hints.hint import Hint, HintSet
from hints.picture import Mask
from hints.propose import CANDIDATES, Appearance, Proposal, candidates, propose
from hints.region import Region

sys.path.insert(0, str(Path(__file__).parent))
from film import SIZE, Film

COAT, WALL = Region("coat", "Coat", "#8a4a3c"), Region("wall", "Wall", "#3c4a8a")


class Tones:
    """Looks that see tone alone."""

    fingerprint = "tones"

    def features(self, luma):
        return np.dstack([cv2.GaussianBlur(luma, (0, 0), s) / 20 for s in (1.0, 3.0)]).astype(np.float32)


class Shots(Film):
    """Three shots: the coat; the coat elsewhere, in other light; the ground alone."""

    def __init__(self):
        super().__init__(18, step=1.0, cuts=(6, 12))

    def mask(self, n):
        if n < 6:
            return super().mask(n)
        there = np.zeros(SIZE, bool)
        if n < 12:
            there[:, 20:] = super().mask(n)[:, :-20]
        return there

    def _luma(self, n):
        ground = np.roll(self.ground, 17 * (n // 6), axis=0)
        mask = self.mask(n)
        soft = cv2.GaussianBlur(mask.astype(np.float32), (3, 3), 0)
        light = 0.75 if 6 <= n < 12 else 1.0
        return ((ground + soft * (self.patch + 20 - ground)) * light).astype(np.float32)


@pytest.fixture(scope="module")
def film():
    return Shots()


def said(film, *frames):
    marks = tuple(Hint(f"h{n}", n, "region", region="coat", mask=Mask.of(film.mask(n))) for n in frames)
    return HintSet((COAT, WALL), marks)


def found(film, hints, token=None, region="coat"):
    return list(propose(film, Tones(), hints, region, film.timeline, SIZE, token or CancelToken()))


def test_the_region_is_found_in_the_shot_that_has_it_and_in_no_other(film):
    second, third = found(film, said(film, 2))
    assert isinstance(second, Proposal)
    assert second.shot.id == 1
    assert 6 <= second.frame < 12
    assert iou(second.found.inside, film.mask(second.frame)) > 0.8
    assert second.found.score > 0.6
    assert isinstance(third, Shot) or third.found.score < second.found.score - 0.2


def test_shots_that_have_a_hint_of_the_region_are_left_out(film):
    assert [p.shot.id if isinstance(p, Proposal) else p.id for p in found(film, said(film, 2, 8))] == [2]
    assert len(found(film, said(film))) == 3  # no keyframe: nothing to look for, everywhere
    assert all(isinstance(p, Shot) for p in found(film, said(film)))


def test_the_same_film_gives_the_same_proposal_to_the_bit(film):
    one, two = (found(film, said(film, 2))[0] for _ in range(2))
    assert one.found.score == two.found.score
    assert np.array_equal(one.found.inside, two.found.inside)


def test_looking_is_stopped_between_frames(film):
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        found(film, said(film, 2), token)


def test_a_mask_of_nothing_is_like_nothing(film):
    appearance = Appearance([(film.luma(0), np.zeros(SIZE, np.float32))], Tones())
    assert appearance.examples == ()
    assert appearance.find(film.luma(8)).score == 0


def test_candidates_are_spread_over_the_shot():
    (shot,) = shots_from_cuts([], 100)
    assert candidates(shot) == [12, 37, 62, 87]
    assert candidates(Shot(0, FrameRange(7, 8))) == [7]
    assert len(candidates(Shot(0, FrameRange(7, 10)))) == 3 < CANDIDATES
