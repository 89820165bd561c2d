"""What colour a place has by what it looks like: a coloured keyframe teaches frames that motion cannot tie to it.

Where something comes into view, or turns, or runs too fast for any flow, a reference's chroma used to be filled from
beside it, and four fifths of all error lay there. But much of what comes into view looks like something the keyframe
shows. So places of the keyframe are remembered with their chroma, and a place of which motion knows little asks those
that look like it: their mean is its colour, and how much they differ among themselves tells how far to believe it.

What is found is carried on along the motion, beside what motion and filling have by themselves, and found again a
little on every frame: answers gather evidence instead of flickering, and never feed on themselves.

Source: Nadaraya 1964, Watson 1964 (kernel regression); Zhang et al. 2019, "Deep exemplar-based video colorization"
(correspondence by features beside motion).
"""

from __future__ import annotations

import cv2
import numpy as np

from core.film.colour import Array
from core.guided import upsample_chroma
from hints.propagate import Step, resized, walking_size

VERSION = 4

COARSER = 2  # places ask on every so many rows and columns of the looks
PLACES = 1500  # of the keyframe that are remembered
ALIKE = 0.03  # squared difference of looks (per feature, in deviations of the keyframe's) that leaves a say of 1/e
# Trust in motion above which it has the only say, and below which likeness has its whole share.
KNOWN, UNKNOWN = 0.6, 0.45
# Expected squared error of chroma [(a*b*)²], as measured on nine clips with truth: of what was filled or carried on; of
# what looks alike; what is added for every unit of `far` by which even the likest differs; and of grey. Of the spread
# among those that look alike, a share is error.
OF_CARRIED, OF_ALIKE, OF_STRANGE, OF_GREY = 200.0, 20.0, 200.0, 1500.0
SPREAD = 0.75
LEAST_SAY = -40.0  # natural logarithm: what is less is nothing, and numbers too small to be kept whole are slow
NEAR_CHROMA = 400.0  # of chroma from what is there already: twice this squared distance leaves a say of 1/e
GATHERED = 0.3  # share of what is found on each frame anew, against what was gathered before it
NO_TRUST, MOST_TRUST = 16.0, 0.6  # error that leaves no trust [a*b*], and the most that likeness is believed


class Likeness:
    """Colours of one reference by what places look like, followed to one side of its keyframe.

    Args:
        ab: chroma of the keyframe     [(2, h, w) float32 a* b*]
        cover: where it says anything  [(h, w) float32 [0, 1]]
        look: the keyframe's, as of `hints.outline.look_of`
    """

    def __init__(self, ab: Array, cover: Array, look: Array) -> None:
        grid, seen = asking_grid(cover), thinned(look, cover)
        places = np.flatnonzero(resized(cover, grid).ravel() > 0.5)
        chosen = np.random.default_rng(0).permutation(places)[:PLACES]
        told = np.stack([resized(plane, grid).ravel()[chosen] for plane in ab], axis=1)
        self._places = Remembered(seen, seen[chosen], told)

    def advance(self, step: Step, carried: Array, gathered: Array, look: Array) -> tuple[Array, Array, Array]:
        """Colour what motion knows little of.

        Args:
            step: of the walk.
            carried: chroma as motion and filling have it        [(2, h, w) float32 a* b*]
            gathered: as this gave it on the frame before, carried here  [(2, h, w) float32 a* b*]
            look: the frame's, as of `hints.outline.look_of`

        Returns:
            Chroma to carry on as ``gathered``, chroma to show  [(2, h, w) float32 a* b* each], and trust
            [(h, w) float32 [0, 1]]
        """
        grid = asking_grid(step.luma)
        lack = np.clip((np.float32(KNOWN) - step.trust) / np.float32(KNOWN - UNKNOWN), 0, 1)
        asking = np.flatnonzero(resized(lack, grid).ravel() > 0)
        if len(asking) == 0 or len(self._places) == 0:
            return carried, carried, step.trust
        before = np.stack([resized(plane, grid).ravel()[asking] for plane in carried], axis=1)
        found, error = self._asked(thinned(look, step.luma)[asking], before)
        certain = 1 / error + np.float32(1 / OF_CARRIED)
        told = np.zeros((grid[1] * grid[0], 4), np.float32)
        told[asking, :2] = (1 / (error * certain))[:, None] * (found - before)
        told[asking, 2] = 1 / (1 + OF_GREY * certain)
        told[asking, 3] = MOST_TRUST * np.clip(1 - 1 / (NO_TRUST * np.sqrt(certain)), 0, 1)
        planes = told.reshape(grid[1], grid[0], 4)
        change = upsample_chroma(resized(step.luma, grid), np.ascontiguousarray(planes[..., :2]), step.luma)
        now = carried + lack * change.transpose(2, 0, 1)
        kept = now + (1 - np.float32(GATHERED)) * lack * (gathered - now)
        h, w = step.luma.shape
        # Where both know little, chroma is drawn towards grey: what is wrong is less wrong when it is pale.
        pale, trust = cv2.split(cv2.resize(np.ascontiguousarray(planes[..., 2:]), (w, h)))
        return kept, kept * (1 - lack * pale), np.maximum(step.trust, lack * trust)

    def _asked(self, look: Array, before: Array) -> tuple[Array, Array]:
        """Chroma of what looks alike, and its expected squared error.

        Of those that look alike, the ones whose chroma is near to what is there already have more say: of two colours
        that look alike, the one that lies beside the place is its own.

        Args:
            look: of the places that ask          [(P, C) float32]
            before: chroma that is there already  [(P, 2) float32 a* b*]

        Returns:
            [(P, 2) float32 a* b*] and [(P,) float32]
        """
        far, told = self._places.far(look), self._places.told
        likest = far.min(axis=1)
        all_alike = np.exp(np.maximum(likest[:, None] - far, LEAST_SAY))
        mean = (all_alike @ told) / all_alike.sum(axis=1)[:, None]
        spread = np.maximum(mean[:, 2] - np.square(mean[:, :2]).sum(axis=1), 0)
        error = OF_ALIKE + SPREAD * spread + OF_STRANGE * ALIKE * np.maximum(likest, 0)
        far += _apart(before, told[:, :2]) / np.float32(2 * NEAR_CHROMA)
        say = np.exp(np.maximum(far.min(axis=1)[:, None] - far, LEAST_SAY))
        return (say @ told[:, :2]) / say.sum(axis=1)[:, None], np.asarray(error, np.float32)


class Remembered:
    """Places that are remembered by what they look like, with their chroma.

    Args:
        every: looks of all places of their picture, by whose deviations looks are compared  [(N, C) float32]
        look: of those that are remembered  [(P, C) float32]
        ab: their chroma                    [(P, 2) float32 a* b*]

    Attributes:
        told: chroma and its square  [(P, 3) float32]
    """

    def __init__(self, every: Array, look: Array, ab: Array) -> None:
        self._mean = every.mean(axis=0)
        self._scale = (every.std(axis=0) + np.float32(1e-3)) * np.float32(np.sqrt(every.shape[1] * ALIKE))
        self._seen = self._plain(look)
        self.told = np.column_stack([ab, np.square(ab).sum(axis=1)])

    def __len__(self) -> int:
        return len(self._seen)

    def far(self, look: Array) -> Array:
        """Squared distance of looks [(Q, C)] to those remembered, in units of `ALIKE`  [(Q, P) float32]."""
        return _apart(self._plain(look), self._seen)

    def _plain(self, look: Array) -> Array:
        return np.asarray((look - self._mean) / self._scale, np.float32)


def _apart(ones: Array, others: Array) -> Array:
    """Squared distances of all rows of one to all rows of the other  [(P, Q) float32]."""
    squares = np.square(ones).sum(axis=1)[:, None] + np.square(others).sum(axis=1)
    return np.asarray(squares - 2 * ones @ others.T, np.float32)


def asking_grid(plane: Array) -> tuple[int, int]:
    """(w, h) at which places ask in a frame of this plane's size."""
    w, h = walking_size(plane)
    return -(-w // COARSER), -(-h // COARSER)


def thinned(look: Array, plane: Array) -> Array:
    """Looks of the places that ask, row by row  [(P, C) float32]."""
    w, h = walking_size(plane)
    return np.ascontiguousarray(look.reshape(h, w, -1)[::COARSER, ::COARSER]).reshape(-1, look.shape[1])
