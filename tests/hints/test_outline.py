"""Outlines: a region is found by what it looks like where motion loses it, and left alone where motion holds it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench.clips import read_clip, read_masks
from bench.exemplar import ClipMotion, Memory, timeline_of
from bench.metrics import iou
from bench.regions import carried_mask, region_hints
from core.contract.progress import CancelToken, silent
from core.models.colouriser import EmbeddedColouriser
from hints.hint import Hint, HintSet
from hints.picture import Mask
from hints.region import Region
from hints.source import Carried

sys.path.insert(0, str(Path(__file__).parent))
from film import SIZE, Film, shifted, texture

DATA = Path(os.environ.get("POCHOIR_DATA", Path(__file__).parents[3] / "shared" / "data"))


class Barred(Film):
    """The patch passes behind an upright bar and comes out on the other side."""

    bar = np.s_[:, 60:104]

    def mask(self, n):
        mask = super().mask(n)
        mask[self.bar] = False
        return mask

    def _luma(self, n):
        soft = cv2.GaussianBlur(super().mask(n).astype(np.float32), (3, 3), 0)
        luma = self.ground + soft * (shifted(self.patch, self.step * n) - self.ground)
        luma[self.bar] = 20
        return luma.astype(np.float32)


class Tones:
    """Looks that see tone alone."""

    def __init__(self, fingerprint="tones"):
        self.fingerprint = fingerprint

    def features(self, luma):
        return np.dstack([cv2.GaussianBlur(luma, (0, 0), s) / 20 for s in (1.0, 3.0)]).astype(np.float32)


def masked(film, n=0):
    return Hint("h1", n, "region", colour="#a04030", mask=Mask.of(film.mask(n)))


def carried(film, hint, looks):
    film.looks = looks
    source = Carried(HintSet((), (hint,)), film.timeline, SIZE, film, Memory())
    source.carry(film.timeline.shots[0], silent, CancelToken())
    return source


def covers(source, track, n):
    kept, whole = source._tracks.at(track, n), np.zeros(SIZE, np.float32)
    if kept is not None:
        whole[kept.box] = kept.cover
    return whole


def overlap(film, source, frames):
    return float(np.mean([iou(covers(source, source.tracks[0], n) > 0.5, film.mask(n)) for n in frames]))


def test_what_moves_too_fast_for_flow_is_found_again():
    film = Film(7, step=13.0)
    by_motion, by_looks = (overlap(film, carried(film, masked(film), looks), range(1, 7)) for looks in (None, Tones()))
    assert by_motion < 0.7
    assert by_looks > by_motion + 0.1


def test_what_passes_in_front_is_not_coloured_and_what_was_hidden_is_found_again():
    film = Barred(22, step=4.0)
    source = carried(film, masked(film), Tones())
    found = [covers(source, source.tracks[0], n) > 0.5 for n in range(22)]
    going, hidden, back = range(5, 10), range(12, 15), range(18, 22)
    assert np.mean([iou(found[n], film.mask(n)) for n in going]) > 0.8
    assert not any(found[n][film.bar].any() for n in going)
    assert found[12].mean() < 0.006  # its last sliver goes a frame late
    assert not any(found[n].any() for n in hidden[1:])
    assert np.mean([iou(found[n], film.mask(n)) for n in back]) > 0.85
    by_motion = carried(film, masked(film), None)
    assert min(covers(by_motion, by_motion.tracks[0], n).mean() for n in hidden) > 0.01


class Crossed(Film):
    """Something wide stands in front of a patch at rest for some frames."""

    def __init__(self, hidden):
        super().__init__(hidden + 8, step=0.0)
        self.hidden = range(3, 3 + hidden)
        self.front = texture(np.random.default_rng(9), 20, 3)

    def _luma(self, n):
        luma = super()._luma(n)
        if n in self.hidden:
            luma[:, 5:70] = self.front[:, 5:70]
        return luma


@pytest.mark.parametrize("hidden", [22, 30, 60])
def test_what_was_hidden_is_found_again_however_long_it_was(hidden):
    film = Crossed(hidden)
    source = carried(film, masked(film), Tones())
    back = film.hidden.stop
    assert not any(covers(source, source.tracks[0], n).any() for n in film.hidden[3:])
    assert min(overlap(film, source, [n]) for n in range(back + 1, film.count)) > 0.9


def test_what_motion_carries_well_is_hardly_changed_and_never_for_the_worse():
    film = Film(7, step=1.5)
    plain, looked = (carried(film, masked(film), looks) for looks in (None, Tones()))
    assert overlap(film, looked, range(1, 7)) > max(0.95, overlap(film, plain, range(1, 7)))
    for n in range(1, 7):
        assert np.abs(covers(looked, looked.tracks[0], n) - covers(plain, plain.tracks[0], n)).mean() < 0.008


@pytest.mark.parametrize(("pan", "kept"), [(0.0, 0.65), (3.0, 0.8)])
def test_what_looks_the_same_and_moves_with_the_camera_is_not_the_regions(pan, kept):
    """Patch and ground of one texture's tones: looks cannot tell them, only that the patch moves by itself."""
    film = Film(12, step=4.0, ground_step=pan)
    film.patch = film.patch - film.patch.mean() + film.ground.mean()
    by_motion, all_told = (overlap(film, carried(film, masked(film), looks), range(1, 12)) for looks in (None, Tones()))
    assert all_told > max(kept, by_motion + 0.07)


def oval(x):
    """The patch's shape with its middle in column ``x``  [(h, w) bool]."""
    yy, xx = np.mgrid[: SIZE[0], : SIZE[1]]
    return ((xx - x) / 18) ** 2 + ((yy - 48) / 22) ** 2 <= 1


class Twins(Film):
    """The patch passes in front of another that looks the same and stands still."""

    way = 1

    def mask(self, n):
        return oval(30 + self.way * self.step * n)

    def other(self, n):
        """What is seen of the one that stands  [(h, w) bool]."""
        return oval(74) & ~self.mask(n)

    def _luma(self, n):
        luma = self.ground
        for mask, dx in ((oval(74), 44.0), (self.mask(n), self.way * self.step * n)):
            soft = cv2.GaussianBlur(mask.astype(np.float32), (3, 3), 0)
            luma = luma + soft * (shifted(self.patch, dx) - luma)
        return luma.astype(np.float32)


def test_of_two_that_look_alike_and_cross_each_keeps_its_colour():
    film = Twins(16, step=4.0)
    film.looks = Tones()
    hints = tuple(
        Hint(name, 0, "region", region=name, mask=Mask.of(inside))
        for name, inside in (("walks", film.mask(0)), ("stands", film.other(0)))
    )
    regions = (Region("walks", "walks", "#a04030"), Region("stands", "stands", "#3050a0"))
    source = Carried(HintSet(regions, hints), film.timeline, SIZE, film, Memory())
    source.carry(film.timeline.shots[0], silent, CancelToken())
    for n in range(1, 16):
        field = source.field(n)
        warm, said = field.ab[..., 1] > 0, field.weight > 0.3
        if n <= 5 or n >= 14:  # before they meet, and when they have parted
            assert (warm & said)[film.mask(n)].mean() > 0.6
            assert (~warm & said)[film.other(n)].mean() > 0.6


class Leaving(Twins):
    """The patch goes out of the picture, away from the one that looks the same."""

    way = -1


def test_what_has_left_the_picture_is_not_taken_for_what_looks_like_it():
    film = Leaving(26, step=2.5)
    source = carried(film, masked(film), Tones())
    assert overlap(film, source, range(1, 15)) > 0.85
    assert not film.mask(20).any()
    assert not any(covers(source, source.tracks[0], n).any() for n in range(20, 26))


def test_the_same_film_gives_the_same_outline_to_the_bit():
    film = Film(5, step=6.0)
    one, two = (carried(film, masked(film), Tones()) for _ in range(2))
    assert all(np.array_equal(covers(one, one.tracks[0], n), covers(two, two.tracks[0], n)) for n in range(5))


def test_keys_hold_who_looked_for_masks_alone():
    film = Film(4)
    point = Hint("p", 0, "point", colour="#a04030", xy=(30.0, 48.0), radius=3.0)
    keys = {}
    for hint in (masked(film), point):
        for looks in (None, Tones(), Tones("others")):
            film.looks = looks
            source = Carried(HintSet((), (hint,)), film.timeline, SIZE, film, Memory())
            keys[hint.kind, looks and looks.fingerprint] = source._tracks.key(source.tracks[0], 2)
    assert len({key for (kind, _), key in keys.items() if kind == "region"}) == 3
    assert len({key for (kind, _), key in keys.items() if kind == "point"}) == 1


def test_a_mask_of_nothing_is_carried_as_nothing():
    film = Film(3)
    empty = np.zeros(SIZE, bool)
    empty[0, 0] = True  # one pixel of the source, lost at half the size
    source = carried(film, Hint("h1", 0, "region", colour="#a04030", mask=Mask.of(empty)), Tones())
    assert covers(source, source.tracks[0], 2).max() <= 1


@pytest.mark.skipif(not (DATA / "seqmask").is_dir(), reason="the test films are not beside the project")
def test_a_runner_is_kept_where_motion_alone_loses_him():
    clip = read_clip(DATA, "parkour", max_frames=20, max_width=320)
    masks = read_masks(DATA, clip)
    found = {}
    for looks in (None, EmbeddedColouriser("cpu")):
        motion, timeline = ClipMotion(clip, looks), timeline_of(clip)
        source = Carried(region_hints(clip, masks, (0,)), timeline, timeline.size, motion, Memory(), motion.estimator)
        source.carry(timeline.shots[0], silent, CancelToken())
        found[looks is None] = np.mean([iou(carried_mask(source, n, masks[n].shape), masks[n]) for n in range(1, 20)])
    assert found[False] > 0.55
    assert found[False] > found[True] + 0.1
