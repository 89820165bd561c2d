"""Points and strokes: where they are on every frame against where the film's truth has them."""

import cv2
import numpy as np
import pytest

from core.contract.fingerprint import fingerprint
from core.flow import DisFlow
from hints.dots import Dots
from hints.footprint import Line, drawn
from hints.propagate import walk

SIZE = (240, 320)
Y, X = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)


def texture(seed, mean, spread):
    noise = np.random.default_rng(seed).standard_normal((SIZE[0], 2 * SIZE[1])).astype(np.float32)
    fine, coarse = cv2.GaussianBlur(noise, (0, 0), 1.5), cv2.GaussianBlur(noise, (0, 0), 6)
    mix = fine / fine.std() + coarse / coarse.std()
    return np.asarray(np.clip(mean + spread * mix / mix.std(), 5, 95), np.float32)


class Wall:
    """An even wall on the left and a textured one on the right, with grain; the camera pans, something may pass by."""

    def __init__(self, count, *, pan=0.0, passer=None, grain=1.0):
        self.count, self.pan, self.passer, self.grain = count, pan, passer, grain
        self.even = np.where(np.arange(2 * SIZE[1]) < 150, np.float32(62), texture(1, 40, 8))
        self.cloth = texture(2, 20, 5)[:, : SIZE[1]]
        self.estimator = DisFlow()
        self._lumas, self._pairs = {}, {}

    def hidden(self, n):
        """Where the passer is  [(h, w) bool]."""
        at = None if self.passer is None else self.passer(n)
        return np.zeros(SIZE, bool) if at is None else np.abs(X - at) < 30

    def luma(self, n):
        if n not in self._lumas:
            moved = np.float32([[1, 0, -self.pan * n], [0, 1, 0]])
            seen = cv2.warpAffine(self.even, moved, SIZE[::-1], borderMode=cv2.BORDER_REPLICATE)
            grain = np.random.default_rng((7, n)).standard_normal(SIZE) * self.grain
            shown = np.where(self.hidden(n), np.roll(self.cloth, 5 * n, axis=1), seen) + grain
            self._lumas[n] = np.asarray(cv2.GaussianBlur(shown.astype(np.float32), (3, 3), 0), np.float32)
        return self._lumas[n]

    def luma_key(self, n):
        return fingerprint("wall", self.luma(n))

    def pair(self, n):
        if n not in self._pairs:
            self._pairs[n] = self.estimator.pair(self.luma(n), self.luma(n + 1))
        return self._pairs[n]


def carried(film, lines, frames=None):
    """What is told of each line on each frame after the first: (frame, [(cover, trust)])."""
    follower = Dots(lines, film.luma(0), SIZE)
    steps = walk(film, 0, range(1, film.count) if frames is None else frames, film.estimator)
    return [(s.n, [(c[0], t) for c, t in follower.advance(s, film.luma(s.n), None)]) for s in steps]


def point(x, y, radius=3.0):
    return Line(np.float32([[x, y]]), radius)


def centre(cover):
    return np.array([(X + 0.5)[cover > 0].mean(), (Y + 0.5)[cover > 0].mean()])


def test_a_point_on_an_even_wall_stays_there_and_keeps_its_size():
    places = [(40.0, 60.0), (75.0, 180.0), (110.0, 120.0)]
    lines = [point(*xy) for xy in places]
    for n, told in carried(Wall(40), lines):
        for line, (cover, trust) in zip(lines, told, strict=True):
            assert np.hypot(*(centre(cover) - line.path[0])) < 1.0, n
            assert cover.sum() == pytest.approx(drawn(line, SIZE).sum(), rel=0.06)
            assert trust[cover > 0.5].min() > 0.8


def test_a_point_goes_with_the_wall_when_the_camera_pans():
    lines = [point(120, 60), point(250, 120), point(300, 200)]
    for n, told in carried(Wall(24, pan=2.5), lines):
        for line, (cover, _) in zip(lines, told, strict=True):
            assert np.hypot(*(centre(cover) - line.path[0] + [2.5 * n, 0])) < 1.0


@pytest.mark.parametrize("x", [75, 230])
def test_what_passes_before_a_point_is_not_coloured_and_the_point_comes_back(x):
    # It comes at frame 6, stands before the point for longer than a second, and goes at 40.
    film = Wall(56, passer=lambda n: x + 13 * (n - 8) if n < 8 else x if n < 38 else x + 13 * (n - 38))
    told = {n: some[0] for n, some in carried(film, [point(x, 120)])}
    for n, (cover, trust) in told.items():
        inside = np.hypot(X + 0.5 - x, Y + 0.5 - 120) < 5
        if film.hidden(n)[inside].all() and n < 38:
            assert (cover * trust)[film.hidden(n)].max(initial=0) < 0.02, n
    for n in (50, 55):
        cover, trust = told[n]
        assert np.hypot(*(centre(cover) - [x, 120])) < 1.0
        assert trust[cover > 0.5].min() > 0.7


def test_a_stroke_is_open_where_it_is_hidden_and_whole_again_afterwards():
    # Over the textured wall, from 170 to 310; the passer hides its middle.
    stroke = Line(np.float32([[170, 100], [240, 140], [310, 100]]), 2.5)
    film = Wall(30, passer=lambda n: 400 - 16 * n if n < 10 else 240 if n < 20 else 240 + 16 * (n - 20))
    whole = drawn(stroke, SIZE)
    told = {n: some[0][0] for n, some in carried(film, [stroke])}
    middle = told[15]
    assert middle[film.hidden(15) & (np.abs(X - 240) < 24)].max() == 0
    for side in (X < 200, X > 280):
        assert np.minimum(middle, whole)[side].sum() / whole[side].sum() > 0.85
    back = told[29]
    assert np.minimum(back, whole).sum() / np.maximum(back, whole).sum() > 0.8


def test_a_point_that_has_left_the_picture_is_silent_and_comes_back_with_it():
    class ThereAndBack(Wall):
        def luma(self, n):
            return super().luma(n if n <= 15 else 30 - n)

        def luma_key(self, n):
            return super().luma_key(n if n <= 15 else 30 - n)

        def pair(self, n):
            return self.estimator.pair(self.luma(n), self.luma(n + 1))

    told = {n: some[0] for n, some in carried(ThereAndBack(31, pan=12), [point(155, 120)])}
    assert told[14][0].max() == 0
    cover, _ = told[30]
    assert np.hypot(*(centre(cover) - [155, 120])) < 1.0


def test_a_point_is_followed_as_well_at_half_the_size():
    small = Wall(20, pan=1.5)
    follower = Dots([Line(np.float32([[500, 241]]), 6.0)], small.luma(0), (480, 640))
    for step in walk(small, 0, range(1, 20), small.estimator):
        ((cover, _),) = follower.advance(step, np.zeros((480, 640), np.float32), None)
        y, x = np.nonzero(cover[0] > 0.5)
        assert np.hypot(x.mean() + 0.5 - 500 + 3 * step.n, y.mean() + 0.5 - 241) < 1.5
