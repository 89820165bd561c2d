"""What crosses a quarter of the picture between two frames, or half of it with the camera, keeps its hint."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench.metrics import iou
from core.contract.progress import CancelToken, silent
from hints.hint import Hint, HintSet
from hints.picture import Mask
from hints.source import Carried

sys.path.insert(0, str(Path(__file__).parent))
from film import Film, Memory

SIZE = (240, 320)


class Wide(Film):
    """A ground that the camera passes over, and a patch that moves across it."""

    def __init__(self, count, *, step=0, pan=0):
        super().__init__(count)
        self.step, self.pan = step, pan
        self.looks = None
        self.timeline = replace(self.timeline, size=SIZE)
        noise = np.random.default_rng(2).standard_normal((2, 240, 960)).astype(np.float32)
        fine, coarse = (np.stack([cv2.GaussianBlur(n, (0, 0), s) for n in noise]) for s in (2, 8))
        self.ground, self.patch = np.float32([[[40]], [[65]]]) + 5 * (fine / fine.std() + coarse / coarse.std())

    def mask(self, n):
        yy, xx = np.mgrid[: SIZE[0], : SIZE[1]]
        return ((xx - 60 - self.step * n) / 36) ** 2 + ((yy - 120) / 44) ** 2 <= 1

    def _luma(self, n):
        ground = self.ground[:, self.pan * n : self.pan * n + 320]
        patch = self.patch[:, 400 - self.step * n : 720 - self.step * n]
        return np.where(self.mask(n) & (self.step > 0), patch, ground).astype(np.float32)


def _covers(film, hint):
    source = Carried(HintSet((), (hint,)), film.timeline, SIZE, film, Memory())
    source.carry(film.timeline.shots[0], silent, CancelToken())
    for n in range(1, film.count):
        kept, whole = source._tracks.at(source.tracks[0], n), np.zeros(SIZE, np.float32)
        if kept is not None:
            whole[kept.box] = kept.cover
        yield n, whole > 0.5


def test_a_region_that_moves_far_in_one_frame_keeps_its_mask():
    film = Wide(4, step=70)
    hint = Hint("h", 0, "region", colour="#a04030", mask=Mask.of(film.mask(0)))
    assert min(iou(cover, film.mask(n)) for n, cover in _covers(film, hint)) > 0.8


@pytest.mark.parametrize("pan", [75, 130])
def test_a_point_under_a_fast_pan_stays_on_what_it_was_put_on(pan):
    film = Wide(3, pan=pan)
    hint = Hint("p", 0, "point", colour="#a04030", xy=(290.0, 120.0), radius=4.0)
    for n, cover in _covers(film, hint):
        y, x = np.nonzero(cover)
        assert x.size
        assert abs(x.mean() - (290 - pan * n)) < 1.5
        assert abs(y.mean() - 120) < 1.5
