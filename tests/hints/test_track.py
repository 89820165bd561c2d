"""Where hints reach: told from the hints alone, never past a cut, held between keyframes of one region."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.contract.stage import Timeline
from core.film.shot import shots_from_cuts
from core.film.timebase import FrameRange
from hints.hint import Hint, HintSet
from hints.picture import Mask, Picture
from hints.region import Region
from hints.track import frame_of, tracks_of

COUNT = 60
MASK = Mask.of(np.ones((4, 4), bool))
REGIONS = (Region("a", "A", "#aa0000"), Region("b", "B", "#00aa00"))


def timeline(cuts=(), sources=None):
    sources = tuple(Fraction(s) for s in sources or range(COUNT))
    times = tuple(Fraction(n, 25) for n in range(len(sources) + 1))
    return Timeline((4, 4), shots_from_cuts(cuts, len(sources)), times, sources)


def mask(hint_id, frame, region="a", **more):
    return Hint(hint_id, frame, "region", region=region, mask=MASK, **more)


def reaches(hints, line):
    return {t.hint.id: (t.reach.start, t.reach.stop) for t in tracks_of(HintSet(REGIONS, tuple(hints)), line)}


def test_a_region_reaches_to_its_neighbouring_keyframes():
    found = reaches([mask("x", 10), mask("y", 20), mask("z", 40), mask("other", 15, "b")], timeline([50]))
    assert found == {"x": (0, 20), "y": (11, 40), "z": (21, 50), "other": (0, 50)}


def test_points_restate_nothing_and_go_as_far_as_their_span():
    points = [Hint(f"p{n}", n, "point", region="a", xy=(1, 1)) for n in (10, 20)]
    spanned = Hint("s", 30, "point", region="a", xy=(1, 1), span=FrameRange(25, 35))
    assert reaches([*points, spanned], timeline([50])) == {"p10": (0, 50), "p20": (0, 50), "s": (25, 35)}


def test_references_hold_to_each_other_unless_partial():
    whole = Picture.of(np.zeros((4, 4, 3), np.float32))
    found = reaches([Hint("r", 5, "reference", image=whole), Hint("q", 25, "reference", image=whole)], timeline())
    assert found == {"r": (0, 25), "q": (6, 60)}


def test_source_frames_are_found_in_a_sequence_of_another_pace():
    # Every second source frame was dropped, and the rest doubled: 0, 1/2, 2, 5/2 …
    line = timeline(sources=(Fraction(n // 2 * 2) + Fraction(n % 2, 2) for n in range(20)))
    assert frame_of(0, line) == 0
    assert frame_of(4, line) == 4
    assert frame_of(3, line) == 3
    assert frame_of(99, line) == 19
    assert reaches([mask("x", 4, span=FrameRange(2, 8))], line) == {"x": (2, 8)}


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_reach_holds_the_keyframe_and_never_crosses_a_cut(data):
    cuts = data.draw(st.sets(st.integers(1, COUNT - 1), max_size=5))
    line = timeline(cuts)
    hints = []
    for i in range(data.draw(st.integers(1, 6))):
        frame = data.draw(st.integers(0, COUNT - 1))
        span = data.draw(st.none() | st.tuples(st.integers(0, frame), st.integers(frame + 1, COUNT)))
        hints.append(mask(f"h{i}", frame, data.draw(st.sampled_from("ab")), span=FrameRange(*span) if span else None))
    for track in tracks_of(HintSet(REGIONS, tuple(hints)), line):
        assert track.keyframe == track.hint.frame
        assert track.keyframe in track.reach
        assert track.reach.intersect(track.shot.range) == track.reach
        if track.hint.span:
            assert track.reach.intersect(track.hint.span) == track.reach
        for other in tracks_of(HintSet(REGIONS, tuple(hints)), line):
            same = other.hint.region == track.hint.region and other.keyframe != track.keyframe
            assert not (same and other.keyframe in track.reach)
        assert all(0 < track.nearness(n) <= 1 for n in track.reach)
