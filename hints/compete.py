"""Neighbouring regions compete for pixels, so that the one that leaks does not colour the other.

Tracks are carried without knowing of each other. Where the carried masks of two regions claim one pixel, the later hint
lies on top if it was painted upon the earlier one (a badge on a coat); if the two lay side by side on their keyframes
(coat and face), one of them has leaked, and the pixel goes to the one that claims it more surely. Which of the two it
is, the keyframes tell alone; in what order carried neighbours were said makes no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from core.film.colour import Array
from core.solver import smooth
from hints.field import Box, Layer
from hints.layers import Kept
from hints.track import Group, Track

# Masks said on one keyframe that share at least this of the smaller one lie upon each other; painted by hand, even
# neighbours overlap by a brush's border.
PAINTED_UPON = 0.1
# The same where one of the two was carried to the other's keyframe, and may have leaked on its way.
CARRIED_UPON = 0.5
# How far what a region holds alone speaks for the same surface: the luma step that halts it [L*], and its reach [px²].
# Of contested pixels between real objects and their background (two clips) the surer one was right in 0.66 so, in 0.52
# by cover and trust alone: a carried mask is as sure of its leak as of itself.
SIGMA_LUMA, SMOOTHNESS = 2.0, 400.0
# What others claim too counts this little beside what is held alone.
DOUBTFUL = np.float32(0.02)
# Power of tenure in the claims, and the least that counts: who was there before, by the film's motion, has the better
# claim, for of two dark coats that cross each looks to the other's outline like its own.
BY_TENURE, LEAST_TENURE = np.float32(8), np.float32(0.02)
# Power of the claims: the surer one takes nearly all, two equal ones share.
DECIDED = 4
# Logarithm by which a mask painted on this very frame outweighs what was carried there, or was painted before it.
PAINTED = 60.0
NO_CLAIM = np.float32(-1e6)

Pairs = Collection[tuple[int, int]]
Lookup = Callable[[Track, int], Kept | None]


class Neighbours:
    """Tells which regions lie side by side; what two keyframes have in common is worked out once.

    Args:
        key: of a track on a frame, holding all that its mask there depends on.
        size: (h, w) of the frame.
    """

    def __init__(self, key: Callable[[Track, int], str], size: tuple[int, int]) -> None:
        self._key, self._size = key, size
        self._shared: dict[tuple[tuple[str, ...], tuple[str, ...]], float | None] = {}

    def among(self, n: int, speaking: Sequence[Track], lookup: Lookup) -> list[tuple[Group, Group]]:
        """Pairs of groups that are neighbours, by what the tracks that speak of one frame show.

        No other track is asked, so that a hint changes nothing where it does not reach.

        Args:
            n: the frame.
            speaking: of it, in order.
            lookup: finds a track on a frame; None where that is not known yet, or nothing is there.
        """
        masks: dict[Group, list[Track]] = {}
        for track in speaking:
            if track.hint.mask is not None:
                masks.setdefault(name_of(track), []).append(track)
        return [
            (one, other)
            for (one, mine), (other, theirs) in combinations(masks.items(), 2)
            if self._side_by_side(n, mine, theirs, lookup)
        ]

    def _side_by_side(self, n: int, mine: Sequence[Track], theirs: Sequence[Track], lookup: Lookup) -> bool:
        own, others = {t.keyframe for t in mine}, {t.keyframe for t in theirs}
        frames, limit = (own & others, PAINTED_UPON) if own & others else (own | others, CARRIED_UPON)
        there = {k: (_there(mine, k), _there(theirs, k)) for k in sorted(frames)}
        telling = [k for k, both in there.items() if all(both)]
        # What was carried over a keyframe on its way to this frame tells; only without that is more carried to tell it.
        passed = [k for k in telling if all(_passes(t, k, n) for some in there[k] for t in some)]
        shares = [self._share(k, *there[k], lookup) for k in passed or telling]
        known = [share for share in shares if share is not None]
        # Where no frame tells, the later lies on top, as two hints do that are no masks.
        return bool(known) and sum(known) / len(known) < limit

    def _share(self, k: int, mine: Sequence[Track], theirs: Sequence[Track], lookup: Lookup) -> float | None:
        """Share of the smaller region on frame ``k`` that the other one covers too; None: that cannot be told."""
        keys = tuple(tuple(self._key(t, k) for t in tracks) for tracks in (mine, theirs))
        what = keys[0], keys[1]
        if what not in self._shared:
            kept = [[lookup(t, k) for t in tracks] for tracks in (mine, theirs)]
            if any(layer is None for some in kept for layer in some):
                return None  # perhaps it is known the next time
            first, second = (self._united(some) for some in kept)
            smaller = min(float(first.sum()), float(second.sum()))
            self._shared[what] = float(np.minimum(first, second).sum()) / smaller if smaller > 0 else None
        return self._shared[what]

    def _united(self, kept: Sequence[Kept | None]) -> Array:
        cover = np.zeros(self._size, np.float32)
        for layer in kept:
            if layer is not None and not layer.empty:
                np.maximum(cover[layer.box], layer.cover, out=cover[layer.box])
        return cover


def name_of(track: Track) -> Group:
    """What a track speaks for: its region, or itself where it stands alone."""
    return track.group or (track.hint.kind, "", str(track.place))


def contested(layers: Sequence[Layer], beside: Pairs, painted: Collection[int], luma: Array) -> list[Layer]:
    """The layers with every pixel shared out among neighbours: their covers sum to 1 at most.

    What neighbours claim beyond the whole pixel is given up, most by those whose claim is weakest; where they claim no
    more than that, as soft borders that meet do, nothing changes. A region's claim is what it holds alone, for as much
    as that is known, spread along the surfaces that the luma shows.

    Args:
        layers: in order.
        beside: places of those that are neighbours, the smaller one first.
        painted: places of those that were painted on this very frame: there a person has said it, the later one last.
        luma: of the frame  [(h, w) float32 [0, 100] L*]

    Returns:
        As many layers, in the same boxes.
    """
    rivals = [sorted(sum(pair) - i for pair in beside if i in pair) for i in range(len(layers))]
    meeting = [i for i, others in enumerate(rivals) if others]
    covers = {i: _over(layers[i].box, layers[i].cover, luma.shape) for i in meeting}
    won = list(layers)
    excess = {i: np.maximum(_sum(np.stack([covers[j] for j in (i, *rivals[i])])) - 1, 0) for i in meeting}
    if not any(over.any() for over in excess.values()):
        return won
    claims = _claims(layers, covers, rivals, painted, luma)
    for i in meeting:
        those = (i, *rivals[i])
        cover, claim = np.stack([covers[j] for j in those]), np.stack([claims[j] for j in those])
        claim[cover == 0] = NO_CLAIM  # who is not there outweighs nobody, however sure elsewhere
        share = np.exp(claim - claim.max(axis=0))
        lost = cover * (1 - share / _sum(share))
        giving = _sum(lost)
        given = np.divide(excess[i] * lost[0], giving, out=np.zeros_like(giving), where=giving > 0)
        left = np.clip(covers[i] - given, 0, 1)[layers[i].box]
        won[i] = replace(layers[i], cover=np.asarray(left, np.float32))
    return won


def _claims(
    layers: Sequence[Layer],
    covers: Mapping[int, Array],
    rivals: Sequence[Sequence[int]],
    painted: Collection[int],
    luma: Array,
) -> dict[int, Array]:
    """Logarithm of how surely each region claims each pixel  [(h, w) float32 each]."""
    alone = []
    for i, cover in covers.items():
        others = np.max(np.stack([covers[j] for j in rivals[i]]), axis=0)
        trust = _over(layers[i].box, layers[i].trust, luma.shape)
        alone.append((np.maximum(cover - others, 0) + DOUBTFUL * cover) * trust)
    spread = smooth(luma, np.stack(alone), sigma_luma=SIGMA_LUMA, smoothness=SMOOTHNESS, sweeps=2)
    claims = DECIDED * np.log(np.maximum(spread, np.float32(1e-6)))
    tenure = np.stack([_over(layers[i].box, layers[i].since_keyframe, luma.shape) for i in covers])
    claims += BY_TENURE * np.log(np.maximum(tenure, LEAST_TENURE))
    return {
        i: np.full(luma.shape, PAINTED * (i + 1), np.float32) if i in painted else claim
        for i, claim in zip(covers, claims, strict=True)
    }


def _over(box: Box, plane: Array, size: tuple[int, ...]) -> Array:
    whole = np.zeros(size, np.float32)
    whole[box] = plane
    return whole


def _sum(planes: Array) -> Array:
    """The sum of planes, to the bit the same in whatever order they come."""
    return np.asarray(np.sum(np.sort(planes, axis=0), axis=0), np.float32)


def _there(tracks: Sequence[Track], k: int) -> list[Track]:
    """Those of a region's tracks that would speak of frame ``k`` if there were no others."""
    near = [t for t in tracks if k in t.span]
    return [t for t in near if not any(_passes(t, o.keyframe, k) and o.keyframe != t.keyframe for o in near)]


def _passes(track: Track, k: int, n: int) -> bool:
    """Whether a track is carried over frame ``k`` on its way to ``n``."""
    return min(track.keyframe, n) <= k <= max(track.keyframe, n)
