"""A little film with known truth for the tests of hints: a textured ground, a patch that moves across it."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np

from core.contract.fingerprint import fingerprint
from core.contract.stage import Timeline
from core.film.shot import shots_from_cuts
from core.flow import DisFlow

SIZE = (96, 128)


class Film:
    """Luma, true masks and flow; fulfils `Motion`."""

    def __init__(self, count=12, *, step=2.0, cuts=(), seed=0, ground_step=0.0):
        rng = np.random.default_rng(seed)
        self.count = count
        self.ground = texture(rng, 35, 8)
        self.patch = texture(rng, 56, 6)
        self.step, self.ground_step = step, ground_step
        self.cuts = tuple(cuts)
        self.estimator = DisFlow()
        self.pairs = 0
        self._made = {}
        shots = shots_from_cuts(cuts, count)
        self.timeline = Timeline(
            SIZE, shots, tuple(Fraction(n, 24) for n in range(count + 1)), tuple(Fraction(n) for n in range(count))
        )

    def mask(self, n):
        """Where the patch is  [(h, w) bool]."""
        yy, xx = np.mgrid[: SIZE[0], : SIZE[1]]
        x = 30 + self.step * n
        return ((xx - x) / 18) ** 2 + ((yy - 48) / 22) ** 2 <= 1

    def luma(self, n):
        return self._once(("luma", n), lambda: self._luma(n))

    def _luma(self, n):
        shot = sum(c <= n for c in self.cuts)
        ground = np.roll(self.ground, 17 * shot, axis=0)
        ground = shifted(ground, self.ground_step * n)
        patch = shifted(self.patch, self.step * n)
        soft = cv2.GaussianBlur(self.mask(n).astype(np.float32), (3, 3), 0)
        return (ground + soft * (patch - ground)).astype(np.float32)

    def luma_key(self, n):
        return self._once(("key", n), lambda: fingerprint("test luma", self.luma(n)))

    def pair(self, n):
        self.pairs += 1
        return self._once(("pair", n), lambda: self.estimator.pair(self.luma(n), self.luma(n + 1)))

    def _once(self, what, make):
        if what not in self._made:
            self._made[what] = make()
        return self._made[what]


def texture(rng, mean, spread):
    noise = rng.standard_normal(SIZE).astype(np.float32)
    fine, coarse = cv2.GaussianBlur(noise, (0, 0), 1.5), cv2.GaussianBlur(noise, (0, 0), 6)
    mix = fine / fine.std() + coarse / coarse.std()
    return np.clip(mean + spread * mix / mix.std(), 5, 95).astype(np.float32)


def shifted(image, dx):
    h, w = image.shape
    m = np.float32([[1, 0, dx], [0, 1, 0]])
    return cv2.warpAffine(image, m, (w, h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


class Memory(dict):
    """A store in memory that counts what is put into it."""

    def __init__(self):
        super().__init__()
        self.puts = []

    def has(self, key):
        return key in self

    def put(self, key, arrays):
        self.puts.append(key)
        self[key] = {k: v.copy() for k, v in arrays.items()}
