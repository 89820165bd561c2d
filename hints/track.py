"""Tracks: where and when each hint speaks, told from the hints and the sequence alone.

A region's mask, or a reference, says anew what its region looks like: it holds to the neighbouring keyframes of the
same region, and between two keyframes both speak. Points and scribbles restate nothing; each goes as far as its span.
Nothing crosses a cut.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from core.contract.stage import Timeline
from core.film.shot import Shot, shot_of
from core.film.timebase import FrameRange
from hints.hint import Hint, HintSet


@dataclass(frozen=True)
class Track:
    """One hint over its shot. Frames are those of the sequence that is coloured, not of the source.

    Attributes:
        hint: what is said.
        shot: the shot it is said in.
        place: of the hint in its set; of two that say something of one place, the later one counts.
        keyframe: where it is said.
        reach: frames it may touch, holding its keyframe.
        before, after: keyframes of its region to both sides between which it is blended, or None.
    """

    hint: Hint
    shot: Shot
    place: int
    keyframe: int
    reach: FrameRange
    before: int | None = None
    after: int | None = None

    @property
    def forward(self) -> range:
        """Frames after the keyframe, going away from it."""
        return range(self.keyframe + 1, self.reach.stop)

    @property
    def backward(self) -> range:
        """Frames before the keyframe, going away from it."""
        return range(self.keyframe - 1, self.reach.start - 1, -1)

    def nearness(self, n: int) -> float:
        """How near frame ``n`` lies to this keyframe on the way to the region's next one  (0, 1]."""
        other = self.after if n > self.keyframe else self.before
        if other is None or n == self.keyframe:
            return 1.0
        return 1.0 - abs(n - self.keyframe) / abs(other - self.keyframe)


def tracks_of(hints: HintSet, timeline: Timeline) -> tuple[Track, ...]:
    """All hints as tracks, in the order of the hints."""
    placed = [(hint, frame_of(hint.frame, timeline)) for hint in hints]
    keyframes: dict[tuple[str, ...], list[int]] = {}
    for hint, keyframe in placed:
        group = group_of(hint)
        if group is not None:
            keyframes.setdefault(group, []).append(keyframe)
    return tuple(
        _track(hint, place, keyframe, keyframes.get(group_of(hint) or (), ()), timeline)
        for place, (hint, keyframe) in enumerate(placed)
    )


def group_of(hint: Hint) -> tuple[str, ...] | None:
    """What a hint restates, together with others of the same answer; None: it stands for itself."""
    if hint.kind in ("region", "neutral") and hint.mask is not None and hint.region is not None:
        return hint.kind, hint.region
    if hint.kind == "reference" and hint.image is not None and not hint.image.partial:
        return (hint.kind,)
    return None


def frame_of(source_frame: int, timeline: Timeline) -> int:
    """The frame of a sequence nearest to a source frame; the later one of two."""
    sources = timeline.sources
    at = bisect_left(sources, source_frame)
    if at == len(sources):
        return at - 1
    if at > 0 and source_frame - sources[at - 1] < sources[at] - source_frame:
        return at - 1
    return at


def _track(hint: Hint, place: int, keyframe: int, siblings: Sequence[int], timeline: Timeline) -> Track:
    shot = shot_of(timeline.shots, keyframe)
    inside = [k for k in siblings if k in shot.range]
    before = max((k for k in inside if k < keyframe), default=None)
    after = min((k for k in inside if k > keyframe), default=None)
    start, stop = shot.range.start, shot.range.stop
    if hint.span is not None:
        start = max(start, bisect_left(timeline.sources, hint.span.start))
        stop = min(stop, bisect_left(timeline.sources, hint.span.stop))
    start = max(start, before + 1) if before is not None else start
    stop = min(stop, after) if after is not None else stop
    # Where the sequence has no frame of the span, the keyframe itself still stands.
    reach = FrameRange(min(start, keyframe), max(stop, keyframe + 1))
    return Track(hint, shot, place, keyframe, reach, before, after)
