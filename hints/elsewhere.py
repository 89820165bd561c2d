"""A reference that does not show its keyframe: a photograph, another take, another shot, a scan framed differently.

First it is asked whether the picture shows the very frame it is given on: whether its luma has the same detail in the
same places, whatever grain, JPEG, fading or retouching lie between them. If so, nothing here has a say.

If not, it is matched twice. What motion can tie (the same place from nearly the same view, mirrored or reframed) is
warped, and believed where the lumas agree in detail. The rest is told by what places look like, on the keyframe and on
every frame: the mean of what looks alike in the picture. How far that is to be believed is learned from films with
truth, of three things: how far even the likest differs, how much those alike differ in chroma, and how many of the
matches lead back to where they came from. By the last, pictures of another scene are known, and say nothing at all.

Source: Lowe 2004 (SIFT); Barath et al. 2020, "MAGSAC++"; Nadaraya 1964, Watson 1964; Li et al. 2010 and Kalal et al.
2010 (matches that lead back).
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from core.film.colour import Array
from core.flow import FlowEstimator, tone_of, toned, working_size
from core.guided import upsample_chroma
from core.models.colouriser import Looks
from hints.likeness import ALIKE, Remembered, asking_grid, thinned
from hints.outline import look_of
from hints.picture import Picture
from hints.propagate import Place, Step, resized

VERSION = 1

# Detail is compared between these two scales [shares of the longer side], over windows of the third.
FINEST, COARSEST, WINDOW = 1 / 500, 1 / 40, 1 / 40
CONTRAST = 2.0  # of detail: what is fainter than this is no evidence either way [L*]
# Correlation from which a window agrees; the share of the detail that must agree in a picture of this very frame, and
# the share of the picture that must have any detail, or else the picture cannot be told from a painter's flat layer.
AGREES, SAME, TELLING = 0.5, 0.9, 0.005
# Features in common from which a view is worth trying; share of the detail that must then agree.
IN_COMMON, TIED = 20, 0.35
SHARPEST = 0.75  # ratio of the best to the next best match of a feature
# Correlation between which the detail around a place ties it.
TIES = (0.4, 0.8)

PLACES = 3000  # of the picture that are remembered, and of the keyframe that are asked to lead back
# Expected squared error of what is found [(a*b*)²], natural logarithm: a constant, and for the logarithm of the spread
# of those alike, for how far the likest differs, and for the share that leads back. Fitted on clips with truth.
ERROR, OF_SPREAD, OF_STRANGE, OF_BACK = 2.23, 0.87, 1.39, -3.05
LEAST_SPREAD, STRANGEST = 10.0, 1.5
OF_AUTOMATIC = 250.0  # what the automatic colour is expected to err by, by which trust is measured
BACK = 0.06  # of the width: what comes back nearer than this has led back
# Share that must lead back, or else the picture is of something else: of 16 pictures of other films, 0.39 at most.
OF_THIS = 0.45
# Trust below which nothing is said: a whole frame of faint hints is heard as loud as one clear one.
FAINT = 0.3
# Trust from which what was carried needs nothing more, and below which it is asked for anew; and the share of what is
# found on each frame against what was gathered before it.
KNOWN, UNKNOWN, GATHERED = 0.5, 0.35, 0.3

Inside = NDArray[np.bool_]


class Elsewhere:
    """What one picture from elsewhere says of a keyframe, and of what follows it to one side.

    Args:
        picture: the coloured still.
        luma: the keyframe's  [(h, w) float32 L*]
        estimator: finds flow.
        looks: tells what places look like; None: only what is tied geometrically is known.

    Attributes:
        planes: cover, chroma and trust on the keyframe  [(4, h, w) float32]

    Cost: 1 to 2 s at 640x480 on two cores.
    """

    def __init__(self, picture: Picture, luma: Array, estimator: FlowEstimator, looks: Looks | None) -> None:
        told, ab, alpha = picture.chroma(working_size(*picture.size))
        self._memory = None
        chroma, trust = np.zeros((2, *luma.shape), np.float32), np.zeros(luma.shape, np.float32)
        if looks is not None:
            look = look_of(luma, looks.features(luma))
            self._memory = _Memory.of(told, ab, alpha, luma, look, looks)
            if self._memory is not None:
                chroma, trust = self._memory.ask(luma, look)
        view = _tie(luma, told, alpha, estimator)
        if view is not None:
            tied = np.stack([view.of(np.ascontiguousarray(plane)) for plane in cv2.split(ab)])
            chroma += np.clip(view.trust / np.float32(KNOWN), 0, 1) * (tied - chroma)
            trust = np.maximum(trust, view.trust)
        self.planes = np.stack([np.ones_like(trust), *chroma, trust])

    def advance(self, step: Step, carried: Array, look: Array | None) -> tuple[Array, Array]:
        """Follow the picture to the walk's next frame.

        Args:
            step: of the walk.
            carried: ``planes`` as motion and filling have them  [(4, h, w) float32]
            look: the frame's, as of `hints.outline.look_of`; None where nothing tells what places look like

        Returns:
            The planes to carry on  [(4, h, w) float32], and trust  [(h, w) float32 [0, 1]]
        """
        trust = np.clip(carried[3], 0, 1) * step.trust
        lack = np.clip((np.float32(KNOWN) - trust) / np.float32(KNOWN - UNKNOWN), 0, 1)
        if self._memory is None or look is None or not lack.any():
            return carried, trust
        found, sure = self._memory.ask(step.luma, look, lack)
        # What was seen before is corrected a little on each frame, what has just come into view at once.
        anew = np.maximum(np.float32(GATHERED), 1 - step.before.trust)
        share = lack * anew * sure / np.maximum(sure + trust, np.float32(1e-6))
        kept = carried.copy()
        kept[1:3] += share * (found - carried[1:3])
        return kept, np.maximum(trust, lack * sure)


def shows(picture: Picture, luma: Array) -> bool:
    """Whether a picture shows this very frame; one in which there is no detail to tell it by is taken to.

    Args:
        picture: the coloured still; only what is given of it is compared.
        luma: the frame's  [(h, w) float32 L*]

    Cost: about 20 ms at 640x480 on two cores.
    """
    told, _, alpha = picture.chroma((luma.shape[0], luma.shape[1]))
    agreement, weight = agreements(luma, told)
    weight = weight * alpha * (alpha > 0.99)
    mine = _window(np.abs(_detail(told)) * (alpha > 0.99)).sum() / max(1.0, float(alpha.sum()))
    if mine < CONTRAST * TELLING or weight.sum() <= 0:
        return True
    return float(weight[agreement > AGREES].sum() / weight.sum()) >= SAME


def agreements(one: Array, other: Array) -> tuple[Array, Array]:
    """How well two lumas agree in detail, place by place, whatever their tone.

    Args:
        one: [(h, w) float32 L*]
        other: of the same size  [(h, w) float32 L*]

    Returns:
        Correlation  [(h, w) float32 [-1, 1]], and by how much detail that is known  [(h, w) float32 [0, 1]]
    """
    a, b = _detail(one), _detail(other)
    cross, of_a, of_b = _window(a * b), _window(a * a), _window(b * b)
    length = np.sqrt(of_a * of_b)
    correlation = cross / np.maximum(length, np.float32(1e-6))
    # Where either has detail there is something to compare: what one shows and the other does not is a difference.
    much = np.maximum(of_a, of_b)
    weight = np.asarray(much / (much + np.float32(CONTRAST**2)), np.float32)
    return np.clip(correlation, -1, 1), weight


def _tie(luma: Array, told: Array, alpha: Array, estimator: FlowEstimator) -> Place | None:
    """The view by which most of the detail agrees; None where nothing ties the picture to the frame."""
    best: Place | None = None
    most = TIED
    for x, y in _coarse(luma, told, alpha):
        h, w = told.shape
        inside = ((x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1)).astype(np.float32)
        seen = _seen(told, x, y)
        pair = estimator.pair(luma, toned(seen, tone_of(seen), tone_of(luma)))
        grid_y, grid_x = np.mgrid[0 : luma.shape[0], 0 : luma.shape[1]].astype(np.float32)
        flow = pair.forward
        u, v = grid_x + flow[..., 0], grid_y + flow[..., 1]
        inside = _seen(inside, u, v)
        x, y = _seen(x, u, v), _seen(y, u, v)
        correlation, weight = agreements(luma, _seen(told, x, y))
        weight = weight * inside
        agreeing = float((weight * (correlation > AGREES)).sum() / max(1e-6, float(weight.sum())))
        agreeing *= min(1.0, 4 * float(inside.mean()))  # a scrap of the frame is no view of it
        if agreeing > most:
            around = _wide(weight * np.maximum(correlation, 0)) / np.maximum(_wide(weight), np.float32(1e-6))
            here = np.where(weight > 0.2, np.minimum(correlation, around), around)
            ties = np.clip((here - np.float32(TIES[0])) / np.float32(TIES[1] - TIES[0]), 0, 1)
            trust = pair.forward_trust * ties * inside * _seen(alpha, x, y)
            best, most = Place(x, y, np.asarray(trust, np.float32)), agreeing
    return best


def _coarse(luma: Array, told: Array, alpha: Array) -> Iterator[tuple[Array, Array]]:
    """First guesses where the frame is found in the picture: filling it, and by features it has in common with it."""
    h, w = luma.shape
    tall, wide = told.shape
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    yield (x + 0.5) * np.float32(wide / w) - 0.5, (y + 0.5) * np.float32(tall / h) - 0.5
    points, features = _features(luma)
    for mirrored in (False, True):
        shown = np.ascontiguousarray(told[:, ::-1]) if mirrored else told
        given = np.ascontiguousarray(alpha[:, ::-1]) if mirrored else alpha
        theirs, others = _features(shown, given)
        if min(len(points), len(theirs)) < IN_COMMON:
            continue
        pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(features, others, k=2)
        good = [p[0] for p in pairs if len(p) == 2 and p[0].distance < SHARPEST * p[1].distance]
        if len(good) < IN_COMMON:
            continue
        here, there = points[[m.queryIdx for m in good]], theirs[[m.trainIdx for m in good]]
        found, agree = cv2.findHomography(here, there, cv2.USAC_MAGSAC, 3.0, maxIters=5000, confidence=0.999)
        if found is None or int(agree.sum()) < IN_COMMON:
            continue
        at = found @ np.stack([x.ravel(), y.ravel(), np.ones(h * w, np.float32)])
        at = (at[:2] / np.where(np.abs(at[2]) > 1e-6, at[2], 1e-6)).astype(np.float32).reshape(2, h, w)
        yield (np.float32(wide - 1) - at[0] if mirrored else at[0]), at[1]


def _features(luma: Array, given: Array | None = None) -> tuple[Array, Array]:
    """Points [(P, 2) px] and what they look like  [(P, 128)], float32."""
    low, high = np.percentile(luma, (1, 99))
    even = np.clip((luma - low) * (255 / max(1.0, high - low)), 0, 255).astype(np.uint8)
    mask = None if given is None else (given > 0.99).astype(np.uint8)
    points, features = cv2.SIFT.create(nfeatures=3000, contrastThreshold=0.02).detectAndCompute(even, mask)
    if features is None:
        return np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32)
    return np.array([p.pt for p in points], np.float32), np.asarray(features, np.float32)


class _Memory:
    """Places of a picture with their chroma, asked by what they look like."""

    def __init__(self, seen: Array, ab: Array) -> None:
        chosen = np.random.default_rng(0).permutation(len(seen))[:PLACES]
        self._places = Remembered(seen, seen[chosen], ab[chosen])
        self._back = 0.0

    @staticmethod
    def of(told: Array, ab: Array, alpha: Array, luma: Array, look: Array, looks: Looks) -> _Memory | None:
        """The memory of a picture, as a frame asks it; None where the picture has nothing to say of that frame.

        Args:
            told: luma of the picture  [(h', w') float32 L*]
            ab: its chroma  [(h', w', 2) float32 a* b*]
            alpha: what is given of it  [(h', w') float32 [0, 1]]
            luma: the keyframe's  [(h, w) float32 L*]
            look: the keyframe's, as of `hints.outline.look_of`
            looks: tells what places look like.
        """
        # Light differs from picture to picture; of one of which only a part is given, nobody knows by how much.
        plain = told if (alpha < 1).any() else np.clip(toned(told, tone_of(told), tone_of(luma)), 0, 100)
        grid = asking_grid(told)
        given = resized(alpha, grid).ravel() > 0.5
        if not given.any():
            return None
        seen = thinned(look_of(plain, looks.features(plain)), told)[given]
        memory = _Memory(seen, np.stack([resized(ab[..., c], grid).ravel()[given] for c in range(2)], axis=1))
        return memory if memory._meet(luma, look) else None

    def _meet(self, luma: Array, look: Array) -> bool:
        """Whether enough of the frame leads back to itself through the picture."""
        w, h = asking_grid(luma)
        chosen = np.random.default_rng(0).permutation(w * h)[:PLACES]
        far = self._places.far(thinned(look, luma)[chosen])
        returned = chosen[far.argmin(axis=0)[far.argmin(axis=1)]]
        distance = np.hypot(chosen % w - returned % w, chosen // w - returned // w)
        self._back = float((distance < BACK * w).mean())
        return self._back >= OF_THIS

    def ask(self, luma: Array, look: Array, lack: Array | None = None) -> tuple[Array, Array]:
        """Chroma of what looks alike, and trust in it.

        Args:
            luma: of the frame  [(h, w) float32 L*]
            look: the frame's, as of `hints.outline.look_of`
            lack: where it is asked, above 0; None: everywhere  [(h, w) float32]

        Returns:
            [(2, h, w) float32 a* b*] and [(h, w) float32 [0, 1]]
        """
        grid = asking_grid(luma)
        asking = np.flatnonzero(resized(lack, grid).ravel() > 0) if lack is not None else np.arange(grid[0] * grid[1])
        told = np.zeros((grid[1] * grid[0], 3), np.float32)
        looking = thinned(look, luma)[asking]
        for first in range(0, len(asking), 2048):  # all at once would take as much memory as the film
            told[asking[first : first + 2048]] = self._answer(looking[first : first + 2048])
        planes = told.reshape(grid[1], grid[0], 3)
        h, w = luma.shape
        up = upsample_chroma(resized(luma, grid), np.ascontiguousarray(planes[..., :2]), luma)
        trust = cv2.resize(np.ascontiguousarray(planes[..., 2]), (w, h), interpolation=cv2.INTER_LINEAR)
        return np.ascontiguousarray(up.transpose(2, 0, 1)), np.asarray(trust, np.float32)

    def _answer(self, looking: Array) -> Array:
        """a*, b* and trust of each place  [(P, 3) float32]."""
        far = self._places.far(looking)
        likest = np.maximum(far.min(axis=1), 0)
        say = np.exp(likest[:, None] - far)
        mean = (say @ self._places.told) / say.sum(axis=1)[:, None]
        spread = np.maximum(mean[:, 2] - np.square(mean[:, :2]).sum(axis=1), 0)
        strange = np.minimum(np.float32(ALIKE) * likest, np.float32(STRANGEST))
        error = np.exp(ERROR + OF_SPREAD * np.log(spread + LEAST_SPREAD) + OF_STRANGE * strange + OF_BACK * self._back)
        trust = np.float32(OF_AUTOMATIC) / (np.float32(OF_AUTOMATIC) + error)
        return np.column_stack([mean[:, :2], np.where(trust < FAINT, 0, trust)]).astype(np.float32)


def _detail(luma: Array) -> Array:
    """What is neither grain nor smooth  [(h, w) float32 L*]."""
    longest = max(luma.shape)
    fine = cv2.GaussianBlur(luma, (0, 0), max(0.8, FINEST * longest))
    return np.asarray(fine - cv2.GaussianBlur(luma, (0, 0), max(2.0, COARSEST * longest)), np.float32)


def _window(plane: Array) -> Array:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), max(2.0, WINDOW * max(plane.shape))), np.float32)


def _wide(plane: Array) -> Array:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), max(4.0, 2 * WINDOW * max(plane.shape))), np.float32)


def _seen(plane: Array, x: Array, y: Array) -> Array:
    return np.asarray(cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)
