"""Between two masks of a region the side that lost it is not believed."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from bench.metrics import iou
from core.contract.progress import CancelToken, silent
from hints.hint import Hint, HintSet
from hints.layers import Kept
from hints.meet import Meetings
from hints.picture import Mask
from hints.region import Region
from hints.source import Carried
from hints.track import tracks_of

sys.path.insert(0, str(Path(__file__).parent))
from film import SIZE, Film, Memory

LAST = 10


def masks(film, frames):
    hints = (Hint(f"h{n}", n, "region", region="coat", mask=Mask.of(film.mask(n))) for n in frames)
    return HintSet((Region("coat", "Coat", "#a04030"),), tuple(hints))


def carried(film, frames):
    source = Carried(masks(film, frames), film.timeline, SIZE, film, Memory())
    source.carry(film.timeline.shots[0], silent, CancelToken())
    return source


def overlaps(film, frames):
    source, found = carried(film, frames), []
    for n in range(1, LAST):
        cover, layer = np.zeros(SIZE, np.float32), source.layer_of("coat", n)
        if layer is not None:
            cover[layer.box] = layer.cover
        found.append(iou(cover > 0.5, film.mask(n)))
    return np.array(found)


class Told:
    """Tracks that are where they are said to be: the first one leaks ever more, the last one is right."""

    def __init__(self, film, leak):
        self.film, self.leak = film, leak
        self.tracks = tracks_of(masks(film, (0, LAST)), film.timeline)

    def at(self, track, n):
        cover = self.film.mask(n).astype(np.float32)
        if track.keyframe == 0 and n and self.leak:
            side = 2 * self.leak * n + 1
            cover = cv2.dilate(cover, np.ones((side, side), np.uint8))
        return Kept(0, 0, cover, np.ones(SIZE, np.float32), None)

    def meetings(self):
        return Meetings(self.at, lambda track, n: f"{track.keyframe} {n} {self.leak}", SIZE)

    def loudness(self, which, n, known=True):
        track = self.tracks[which]
        area = float(self.at(track, n).cover.sum())
        return self.meetings().loudness(track, n, area, self.tracks if known else None)


def test_of_two_that_hold_the_nearer_is_louder():
    told = Told(Film(LAST + 1), leak=0)
    assert told.loudness(0, 5) == told.loudness(1, 5)
    assert told.loudness(0, 0) == told.loudness(1, LAST) == 1
    early = Told(Film(LAST + 1), leak=0)
    assert early.loudness(0, 2, known=False) > 3 * early.loudness(1, 2, known=False)


def test_the_side_that_leaks_is_not_believed_even_beside_its_keyframe():
    told = Told(Film(LAST + 1), leak=2)
    for n in range(3, LAST):
        assert told.loudness(1, n) > 10 * told.loudness(0, n)


def test_what_loudness_hangs_on_are_both_sides_where_they_arrive():
    told = Told(Film(LAST + 1), leak=1)
    keys = told.meetings().depends_on(told.tracks[0], 4, told.tracks)
    assert keys == [f"0 {LAST - 1} 1", f"{LAST} {LAST - 1} 1"]
    assert told.meetings().depends_on(told.tracks[0], 0, told.tracks) == []


def test_a_span_that_ends_before_the_next_mask_leaves_that_one_to_speak():
    told = Told(Film(LAST + 1), leak=0)
    short = [replace(told.tracks[0], span=replace(told.tracks[0].span, stop=6)), told.tracks[1]]
    loud = [told.meetings().loudness(t, 4, float(told.film.mask(4).sum()), short) for t in short]
    assert loud[1] > loud[0]


def test_two_masks_are_never_much_worse_than_the_better_of_one():
    film = Film(LAST + 1, step=9.0)
    forward, backward, both = (overlaps(film, frames) for frames in ((0,), (LAST,), (0, LAST)))
    assert both.mean() > max(forward.mean(), backward.mean()) + 0.1
    assert (both - np.maximum(forward, backward)).min() > -0.1
