"""The same region in other shots: proposed by what it looks like, for a person to confirm.

No motion leads from one shot to another; what is left is appearance. From the keyframes of a region a classifier learns
which places look like it (`hints.outline` follows outlines by the same one). A frame of another shot is first brought
to the keyframe's mean and contrast, for light changes from shot to shot and the region's own tone is not to be lost for
it; what is most like the region there is proposed. Whether it is the region is told by going back: a classifier that
has learned the proposal must find the region on its keyframe. A chance likeness finds something else there.

Source of the way back: Kalal, Mikolajczyk & Matas 2010, "Forward-backward error" (here from mask to mask).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.contract.progress import CancelToken
from core.contract.stage import Timeline
from core.film.colour import Array
from core.film.shot import Shot, shot_of
from core.flow import tone_of, toned
from core.models.colouriser import Looks
from hints.footprint import footprint
from hints.hint import Hint, HintSet
from hints.outline import Classifier, look_of
from hints.propagate import Motion, walking_size
from hints.track import frame_of

CANDIDATES = 4  # frames of a shot that are looked at
LEAST_SCORE = 0.4  # what scores less is not worth a person's look
_SAMPLES = (3000, 3000, 3000)  # inside, near the region, anywhere outside
_NEAR = 61 / 320  # of the longer side: what counts as near
_SMOOTH = 2.0  # px: neighbours are of one thing
_SMALLEST = 1 / 12  # of the keyframe's area: what is smaller is not the region but a scrap of something like it

Inside = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Example:
    """A region on one of its keyframes.

    Attributes:
        look: the frame's, as of `hints.outline.look_of`
        inside: where the region is, at the size of looks  [(h', w') bool]
        tone: mean and deviation of the frame's luma       [L*]
    """

    look: Array
    inside: Inside
    tone: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Found:
    """What looks like a region on a frame where nobody has marked it.

    Attributes:
        inside: where it is           [(h, w) bool at the size of the frame's luma]
        score: how likely that is it  [0, 1]: the overlap (J) with the region after going back to its keyframe
    """

    inside: Inside
    score: float


@dataclass(frozen=True, eq=False)
class Proposal:
    """A region in another shot.

    Attributes:
        shot: where it is proposed.
        frame: of the sequence that is coloured.
        found: what was found there.
    """

    shot: Shot
    frame: int
    found: Found


class Appearance:
    """What a region looks like.

    Args:
        keyframes: luma [(h, w) float32 L*] and cover [(h, w) float32 [0, 1]] of each.
        looks: tells what places look like.
    """

    def __init__(self, keyframes: Sequence[tuple[Array, Array]], looks: Looks) -> None:
        self._looks = looks
        made = (self._example(luma, cover > 0.5) for luma, cover in keyframes)
        self.examples = tuple(example for example in made if example.inside.any())
        self._classifier = _learned(self.examples) if self.examples else None

    def find(self, luma: Array) -> Found:
        """Look for the region on a frame of another shot  [(h, w) float32 L*].

        Cost: about 0.3 s at 640x480 on two cores.
        """
        nothing = Found(np.zeros(luma.shape, bool), 0.0)
        if self._classifier is None:
            return nothing
        best = nothing
        for tone in dict.fromkeys(example.tone for example in self.examples):
            shown = np.clip(toned(luma, tone_of(luma), tone), 0, 100)
            look = look_of(shown, self._looks.features(shown))
            w, h = walking_size(luma)
            inside = _largest(self._classifier.odds(look).reshape(h, w), self._least())
            if not inside.any():
                continue
            score = self._back(Example(look, inside, tone))
            if score > best.score:
                best = Found(_enlarged(inside, luma.shape), score)
        return best

    def _back(self, proposed: Example) -> float:
        """J of the region and what a classifier that knows the proposal alone finds on its keyframe: the best one."""
        classifier = _learned((proposed,))
        return max(_overlap(classifier, example) for example in self.examples)

    def _least(self) -> float:
        return _SMALLEST * min(int(example.inside.sum()) for example in self.examples)

    def _example(self, luma: Array, inside: Inside) -> Example:
        small = cv2.resize(inside.astype(np.float32), walking_size(luma), interpolation=cv2.INTER_AREA) > 0.5
        return Example(look_of(luma, self._looks.features(luma)), np.asarray(small), tone_of(luma))


def propose(
    motion: Motion,
    looks: Looks,
    hints: HintSet,
    region: str,
    timeline: Timeline,
    source_size: tuple[int, int],
    token: CancelToken,
) -> Iterator[Proposal | Shot]:
    """Look for a region in the shots in which it has no hint.

    Args:
        motion: luma of the sequence.
        looks: tells what places look like.
        hints: those of ``region`` that have a mask are its keyframes.
        region: its id.
        timeline: of the sequence that is coloured.
        source_size: (H, W) that hints' coordinates are of.
        token: checked between frames.

    Yields:
        For each shot in order, the proposal, or the shot itself where nothing in it looks like the region.

    Raises:
        Cancelled: the token was set.
    """
    known = keyframes_of(hints, region)
    frames = [frame_of(hint.frame, timeline) for hint in known]
    lumas = [motion.luma(n) for n in frames]
    covers = [
        footprint(hint, source_size, (luma.shape[0], luma.shape[1])) for hint, luma in zip(known, lumas, strict=True)
    ]
    appearance = Appearance(list(zip(lumas, covers, strict=True)), looks)
    spoken = {shot_of(timeline.shots, n).id for n in (frame_of(h.frame, timeline) for h in hints if h.region == region)}
    for shot in timeline.shots:
        if shot.id in spoken:
            continue
        best: Proposal | None = None
        for n in candidates(shot):
            token.check()
            found = appearance.find(motion.luma(n))
            if found.score >= LEAST_SCORE and (best is None or found.score > best.found.score):
                best = Proposal(shot, n, found)
        yield best or shot


def keyframes_of(hints: HintSet, region: str) -> list[Hint]:
    """The hints that show what a region looks like."""
    return [hint for hint in hints if hint.kind == "region" and hint.region == region and hint.mask is not None]


def candidates(shot: Shot) -> list[int]:
    """Frames of a shot that are looked at: evenly spread, not its very ends."""
    return shot.range.spread(CANDIDATES)


def _learned(examples: Sequence[Example]) -> Classifier:
    first, *more = examples
    chosen = _samples(first.inside)
    classifier = Classifier(first.look[chosen], first.inside.ravel()[chosen])
    for example in more:
        chosen = _samples(example.inside)
        classifier.learn(example.look[chosen], example.inside.ravel()[chosen])
    return classifier


def _samples(inside: Inside) -> NDArray[np.intp]:
    """Places to learn from: of the region, near it, and anywhere else."""
    chance = np.random.default_rng(0)
    side = max(3, round(_NEAR * max(inside.shape)) // 2 * 2 + 1)
    near = cv2.dilate(inside.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    chosen = []
    for which, count in zip((inside, near & ~inside, ~inside), _SAMPLES, strict=True):
        places = np.flatnonzero(which)
        chosen.append(chance.choice(places, min(count, len(places)), replace=False))
    return np.concatenate(chosen)


def _overlap(classifier: Classifier, example: Example) -> float:
    inside = _largest(classifier.odds(example.look).reshape(example.inside.shape), 1)
    union = int(np.count_nonzero(inside | example.inside))
    return float(np.count_nonzero(inside & example.inside) / union)


def _largest(odds: Array, least: float) -> Inside:
    """The connected place that speaks loudest for the region, if it is of some size  [(h', w') bool]."""
    smooth = np.asarray(cv2.GaussianBlur(odds, (0, 0), _SMOOTH), np.float32)
    count, labels, facts, _ = cv2.connectedComponentsWithStats((smooth > 0).astype(np.uint8), connectivity=8)
    loud = np.bincount(labels.ravel(), np.maximum(smooth, 0).ravel(), count)
    loud[0] = 0
    loud[facts[:, cv2.CC_STAT_AREA] < least] = 0
    return np.asarray(labels == loud.argmax()) if loud.any() else np.zeros(odds.shape, bool)


def _enlarged(inside: Inside, size: tuple[int, ...]) -> Inside:
    soft = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 1.0)
    return np.asarray(cv2.resize(soft, (size[1], size[0]), interpolation=cv2.INTER_LINEAR) > 0.5)
