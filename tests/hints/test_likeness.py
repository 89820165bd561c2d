"""Likeness: what comes into view takes the colour of what looks like it, and what motion knows is left alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.clips import read_clip
from bench.exemplar import measure
from core.contract.progress import CancelToken, silent
from core.film.colour import join
from core.models.colouriser import EmbeddedColouriser
from hints.hint import Hint, HintSet
from hints.likeness import KNOWN, Likeness
from hints.picture import Picture
from hints.source import Carried

sys.path.insert(0, str(Path(__file__).parent))
from film import SIZE, Film, Memory
from test_outline import Tones

DATA = Path(os.environ.get("POCHOIR_DATA", Path(__file__).parents[3] / "shared" / "data"))
RED, BLUE = (45.0, 25.0), (5.0, -40.0)


class Shuffled(Film):
    """Dark and bright tiles that lie elsewhere on every frame, beside a patch that moves as in any film."""

    def tiles(self, n):
        dark = np.random.default_rng(n).random((6, 8)) < 0.5
        dark = np.kron(dark, np.ones((16, 16), bool))
        dark[:, :48] = np.arange(SIZE[0])[:, None] < 48
        return dark

    def _luma(self, n):
        luma = np.where(self.tiles(n), 20.0, 75.0) + 0.6 * (self.ground - self.ground.mean())
        return np.where(self.mask(n), self.patch, luma).astype(np.float32)

    def mask(self, n):
        y, x = np.mgrid[: SIZE[0], : SIZE[1]]
        return (abs(y - 48) < 24) & (abs(x - 16 - self.step * n) < 12)

    def chroma(self, n):
        ab = np.where(self.tiles(n)[..., None], RED, BLUE)
        return np.where(self.mask(n)[..., None], (0.0, 30.0), ab).astype(np.float32)


def coloured(film, looks):
    film.looks = looks
    still = Picture.of(join(film.luma(0), film.chroma(0)))
    source = Carried(HintSet((), (Hint("r", 0, "reference", image=still),)), film.timeline, SIZE, film, Memory())
    source.carry(film.timeline.shots[0], silent, CancelToken())
    return source


def error(film, source, n, where):
    return float(np.sqrt(np.square(source.field(n).ab - film.chroma(n)).sum(axis=-1)[where].mean()))


def test_what_comes_into_view_takes_the_colour_of_what_looks_like_it():
    film = Shuffled(6, step=1.0)
    new = np.s_[:, 52:]
    by_motion, by_looks = (coloured(film, looks) for looks in (None, Tones()))
    for n in range(1, 6):
        assert error(film, by_looks, n, new) < 0.92 * error(film, by_motion, n, new)
        assert by_looks.field(n).weight[new].mean() > by_motion.field(n).weight[new].mean() + 0.05


def test_what_motion_knows_is_left_to_the_bit():
    film = Shuffled(5, step=1.0)
    plain, looked = (coloured(film, looks).field(1) for looks in (None, Tones()))
    known = plain.weight >= KNOWN + 1 / 255  # trust is kept in steps
    assert 0.2 < known.mean() < 0.8
    assert np.array_equal(plain.ab[known], looked.ab[known])
    assert np.array_equal(plain.weight[known], looked.weight[known])
    assert (looked.weight >= plain.weight).all()


def test_the_same_film_gives_the_same_colours_to_the_bit():
    one, two = (coloured(Shuffled(4, step=1.0), Tones()) for _ in range(2))
    assert all(np.array_equal(one.field(n).ab, two.field(n).ab) for n in range(4))


def test_those_that_look_alike_and_differ_are_believed_less():
    rng = np.random.default_rng(0)
    h, w = 64, 96
    look = np.zeros((h * w, 2), np.float32)
    left = np.tile(np.arange(w) < w // 2, h)
    look[:, 0] = np.where(left, -1, 1)
    look[:, 1] = rng.normal(0, 1e-3, len(look))
    ab = np.zeros((2, h, w), np.float32)
    ab[0] = np.where(np.arange(w) < w // 2, 30, np.where(np.arange(h)[:, None] % 16 < 8, -40, 40))
    asked = Likeness(ab, np.ones((h, w), np.float32), look)._asked
    (sure, doubtful), (little, much) = asked(np.array([[-1, 0], [1, 0]], np.float32), np.zeros((2, 2), np.float32))
    assert sure == pytest.approx([30, 0], abs=0.5)
    assert abs(doubtful[0]) < 5
    assert little < 30 < 600 < much
    strange = asked(np.array([[9, 0]], np.float32), np.zeros((1, 2), np.float32))[1]
    assert strange > much
    # Of two colours that look alike, the one that is there already is believed.
    beside = asked(np.array([[1, 0], [1, 0]], np.float32), np.array([[25, 0], [-25, 0]], np.float32))[0]
    assert beside[0][0] > 30
    assert beside[1][0] < -30


@pytest.mark.skipif(not (DATA / "clips").is_dir(), reason="the films with truth are not beside this checkout")
def test_on_real_film_it_is_worth_a_decibel(monkeypatch):
    clip = read_clip(DATA, "tennis")
    looks = EmbeddedColouriser()
    with_it = measure(clip, looks, every=8)["psnr_db"]["field"]
    monkeypatch.setattr("hints.likeness.KNOWN", 0.0)
    monkeypatch.setattr("hints.likeness.UNKNOWN", -1.0)
    assert with_it > measure(clip, looks, every=8)["psnr_db"]["field"] + 1.0
