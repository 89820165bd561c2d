"""Tracks: where and when each hint speaks, told from the hints and the sequence alone.

A region's mask, or a reference, says anew what its region looks like: it holds to the neighbouring keyframes of the
same region, and between two keyframes both speak. Points and scribbles restate nothing; each goes as far as its span.
Nothing crosses a cut. A keyframe bounds others only on frames of its own span: beyond it they speak as if it were not
there, so that a hint changes nothing outside its span. One without strength bounds nobody.

A reference from elsewhere may show little of its keyframe, or nothing. So it bounds nobody and is bounded by nobody;
where others like it know more, or lie nearer, they are heard above it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from core.contract.stage import Timeline
from core.film.shot import Shot, shot_of
from core.film.timebase import FrameRange
from hints.hint import Hint, HintSet

Group = tuple[str, ...]
REFERENCES: Group = ("reference",)
ELSEWHERE: Group = ("reference", "elsewhere")
# How loud a reference from elsewhere speaks beyond another one's keyframe: only where that one knows nothing.
BEHIND = 1e-6


@dataclass(frozen=True)
class Track:
    """One hint over its shot. Frames are those of the sequence that is coloured, not of the source.

    Attributes:
        hint: what is said.
        shot: the shot it is said in.
        place: of the hint in its set; of two that say something of one place, the later one counts.
        keyframe: where it is said.
        span: frames it may speak of by itself, holding its keyframe.
        reach: from the first to the last frame of which it speaks; between them it may be silent.
        group: what it restates, together with others of the same answer; None: it stands for itself.
        siblings: the other keyframes of its group with their spans, in order of the keyframes.
    """

    hint: Hint
    shot: Shot
    place: int
    keyframe: int
    span: FrameRange
    reach: FrameRange
    group: Group | None = None
    siblings: tuple[tuple[int, FrameRange], ...] = ()

    @property
    def forward(self) -> range:
        """Frames after the keyframe, going away from it."""
        return range(self.keyframe + 1, self.reach.stop)

    @property
    def backward(self) -> range:
        """Frames before the keyframe, going away from it."""
        return range(self.keyframe - 1, self.reach.start - 1, -1)

    def speaks(self, n: int) -> bool:
        """Whether it has a say on frame ``n``."""
        if n not in self.reach or not counts(self.hint):
            return False
        return self.group == ELSEWHERE or not self._behind(n)

    def other(self, n: int) -> int | None:
        """The nearest keyframe of its group beyond frame ``n`` that speaks there too, or None."""
        if n > self.keyframe:
            return next((k for k, span in self.siblings if k > n and n in span), None)
        return next((k for k, span in reversed(self.siblings) if k < n and n in span), None)

    def nearness(self, n: int) -> float:
        """How near frame ``n`` lies to this keyframe on the way to the group's next one  (0, 1]."""
        if n == self.keyframe:
            return 1.0
        if self._behind(n):
            return BEHIND
        other = self.other(n)
        return 1.0 if other is None else 1.0 - abs(n - self.keyframe) / abs(other - self.keyframe)

    def _behind(self, n: int) -> bool:
        """Whether another keyframe of its group lies on the way to frame ``n``, or on it, and speaks there."""
        first, last = min(n, self.keyframe), max(n, self.keyframe)
        return any(first <= k <= last and n in span for k, span in self.siblings)


def tracks_of(hints: HintSet, timeline: Timeline, elsewhere: Collection[int] = ()) -> tuple[Track, ...]:
    """All hints as tracks, in the order of the hints.

    Args:
        hints: what is said.
        timeline: the sequence that is coloured.
        elsewhere: places in the set of references that do not show their keyframe.
    """
    placed = [(hint, frame_of(hint.frame, timeline)) for hint in hints]
    shots = [shot_of(timeline.shots, keyframe) for _, keyframe in placed]
    spans = [_span(hint, keyframe, shot, timeline) for (hint, keyframe), shot in zip(placed, shots, strict=True)]
    groups = [_group_of(hint, place in elsewhere) for place, hint in enumerate(hints)]
    together: dict[tuple[Group, int], set[tuple[int, FrameRange]]] = {}
    for (hint, keyframe), shot, span, group in zip(placed, shots, spans, groups, strict=True):
        if group is not None and counts(hint):
            together.setdefault((group, shot.range.start), set()).add((keyframe, span))
    ordered = {which: sorted(some, key=_in_order) for which, some in together.items()}
    tracks = []
    for place, (hint, keyframe) in enumerate(placed):
        shot, span, group = shots[place], spans[place], groups[place]
        others = ordered.get((group, shot.range.start), []) if group is not None else []
        siblings = tuple(said for said in others if said[0] != keyframe)
        reach = _reach(keyframe, span, () if group == ELSEWHERE else siblings)
        if not counts(hint):
            reach = FrameRange(keyframe, keyframe + 1)
        tracks.append(Track(hint, shot, place, keyframe, span, reach, group, siblings))
    return tuple(tracks)


def counts(hint: Hint) -> bool:
    """Whether a hint says anything: one without strength does not; a lock has none."""
    return hint.kind == "lock" or hint.strength > 0


def _group_of(hint: Hint, elsewhere: bool) -> Group | None:
    if hint.kind in ("region", "neutral") and hint.mask is not None and hint.region is not None:
        return hint.kind, hint.region
    if hint.kind == "reference" and hint.image is not None and not hint.image.partial:
        return ELSEWHERE if elsewhere else REFERENCES
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


def _in_order(said: tuple[int, FrameRange]) -> tuple[int, int, int]:
    keyframe, span = said
    return keyframe, span.start, span.stop


def _span(hint: Hint, keyframe: int, shot: Shot, timeline: Timeline) -> FrameRange:
    start, stop = shot.range.start, shot.range.stop
    if hint.span is not None:
        start = max(start, bisect_left(timeline.sources, hint.span.start))
        stop = min(stop, bisect_left(timeline.sources, hint.span.stop))
    # Where the sequence has no frame of the span, the keyframe itself still stands.
    return FrameRange(min(start, keyframe), max(stop, keyframe + 1))


def _reach(keyframe: int, span: FrameRange, siblings: Sequence[tuple[int, FrameRange]]) -> FrameRange:
    """From the first to the last frame of a span that no sibling stands before; each does on its own span alone."""
    start, free = keyframe, keyframe - 1  # the next frame that nobody met so far stands before
    for k, other in [*reversed([s for s in siblings if s[0] < keyframe]), (span.start - 1, span)]:
        start = max(k + 1, span.start) if max(k + 1, span.start) <= free else start
        free = min(free, other.start - 1)
    stop, free = keyframe + 1, keyframe + 1
    for k, other in [*(s for s in siblings if s[0] > keyframe), (span.stop, span)]:
        stop = min(k, span.stop) if free < min(k, span.stop) else stop
        free = max(free, other.stop)
    return FrameRange(start, stop)
