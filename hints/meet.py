"""Two keyframes of a region meet on the way: which of them is to be believed there.

Each side's masks are carried without knowing of the other's. But where a walk arrives, the other keyframe tells where
the region is; so a side that has lost it, or has leaked, is found out, however sure of itself it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from core.contract.fingerprint import fingerprint
from hints.layers import Kept
from hints.track import Track

# What a side is taken to have missed at the least: keyframes agree to about a pixel along their border. And for each
# factor e by which the region's size is off.
LEAST_MISSED, OFF_SIZE = 0.03, 0.5

Inside = NDArray[np.bool_]


class Meetings:
    """Tells how loud a region's keyframes speak between each other; where they meet is worked out once.

    Args:
        at: gives a track on a frame of its reach; None where nothing of it is there.
        key: of a track on a frame, holding all that its mask there depends on.
        size: (h, w) of the frame.
    """

    def __init__(
        self, at: Callable[[Track, int], Kept | None], key: Callable[[Track, int], str], size: tuple[int, int]
    ) -> None:
        self._at, self._key, self._size = at, key, size
        self._arrivals: dict[str, float] = {}

    def loudness(self, track: Track, n: int, area: float, known: Sequence[Track] | None) -> float:
        """How loud one keyframe of a region speaks on a frame on the way to the region's next keyframe.

        What a side misses where it arrives, it is taken to have lost evenly on the way; and a side on which the region
        is much larger or smaller than on the way from one keyframe to the other it should be, has lost it sooner.

        Args:
            track: one of the keyframe's.
            n: the frame.
            area: of the region there, as this side has it  [px]
            known: all tracks of the shot; None: nothing may be carried for the answer.
        """
        nearness = track.nearness(n)
        if nearness == 1 or track.hint.mask is None:
            return nearness
        missed = 1 - nearness
        if known is not None:
            mine, others = _sides(track, n, known)
            missed *= 1 - self._arrival(mine, others)
            own, other = (max(1, int(self._cover(some, some[0].keyframe).sum())) for some in (mine, others))
            due = np.log(own) * nearness + np.log(other) * (1 - nearness)
            missed += OFF_SIZE * abs(float(np.log(max(1.0, area)) - due))
        return 1 / (missed + LEAST_MISSED) ** 2

    def depends_on(self, track: Track, n: int, known: Sequence[Track]) -> list[str]:
        """Keys of all that loudness hangs on beside the track on that frame itself."""
        if track.nearness(n) == 1 or track.hint.mask is None:
            return []
        mine, others = _sides(track, n, known)
        return self._keys((*mine, *others), _beside(mine[0], others[0]))

    def _arrival(self, mine: Sequence[Track], others: Sequence[Track]) -> float:
        """Overlap of one side's masks with the other's on the frame beside the other's keyframe  [0, 1]."""
        n = _beside(mine[0], others[0])
        key = fingerprint("arrival", [self._keys(some, n) for some in (mine, others)])
        if key not in self._arrivals:
            one, other = self._cover(mine, n), self._cover(others, n)
            either = int((one | other).sum())
            self._arrivals[key] = int((one & other).sum()) / either if either else 1.0
        return self._arrivals[key]

    def _keys(self, tracks: Sequence[Track], n: int) -> list[str]:
        """Of tracks on a frame; of one whose span does not hold it, that it is not there."""
        return [self._key(t, n) if n in t.span else "" for t in tracks]

    def _cover(self, tracks: Sequence[Track], n: int) -> Inside:
        """Where tracks of one keyframe see their region on a frame  [(h, w) bool]."""
        cover = np.zeros(self._size, np.bool_)
        for track in tracks:
            kept = self._at(track, n) if n in track.span else None
            if kept is not None:
                cover[kept.box] |= kept.cover > 0.5
        return cover


def _sides(track: Track, n: int, known: Sequence[Track]) -> tuple[list[Track], list[Track]]:
    """All tracks of a region that speak of a frame from one keyframe, and from its next one beyond the frame."""
    alike = [t for t in known if t.group == track.group and t.speaks(n)]
    return [t for t in alike if t.keyframe == track.keyframe], [t for t in alike if t.keyframe == track.other(n)]


def _beside(mine: Track, other: Track) -> int:
    """The frame beside another keyframe, on the way to it."""
    return other.keyframe - 1 if other.keyframe > mine.keyframe else other.keyframe + 1
