"""Where hints reach: told from the hints alone, never past a cut, held between keyframes of one region."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.contract.stage import Timeline
from core.film.shot import shots_from_cuts
from core.film.timebase import FrameRange
from hints.hint import Hint, HintSet
from hints.picture import Mask, Picture
from hints.region import Region
from hints.track import BEHIND, frame_of, tracks_of

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


def test_a_span_bounds_others_on_its_own_frames_alone():
    hints = [mask("x", 10), mask("y", 20, span=FrameRange(15, 30))]
    x, y = tracks_of(HintSet(REGIONS, tuple(hints)), timeline([50]))
    assert (x.reach, y.reach) == (FrameRange(0, 50), FrameRange(15, 30))
    assert [n for n in range(COUNT) if x.speaks(n)] == [*range(20), *range(30, 50)]
    assert [n for n in range(COUNT) if y.speaks(n)] == list(range(15, 30))
    # Before the span begins nothing is blended with what comes.
    assert [x.nearness(n) for n in (14, 15, 19, 30)] == [1.0, 0.5, 1 - 9 / 10, 1.0]


def test_what_has_no_strength_bounds_nobody_and_speaks_nowhere():
    x, y = tracks_of(HintSet(REGIONS, (mask("x", 10), mask("y", 20, strength=0.0))), timeline())
    assert x.reach == FrameRange(0, COUNT)
    assert all(x.speaks(n) and x.nearness(n) == 1 for n in range(COUNT))
    assert not any(y.speaks(n) for n in range(COUNT))


def test_a_reference_from_elsewhere_bounds_nobody():
    whole = Picture.of(np.zeros((4, 4, 3), np.float32))
    hints = HintSet((), tuple(Hint(f"r{n}", n, "reference", image=whole) for n in (5, 15, 25, 35)))
    tracks = tracks_of(hints, timeline(), elsewhere={1, 2})
    assert [(t.reach.start, t.reach.stop) for t in tracks] == [(0, 35), (0, 60), (0, 60), (6, 60)]
    assert all(t.speaks(n) for t in tracks[1:3] for n in range(60))
    assert [tracks[1].nearness(n) for n in (0, 15, 20)] == [1.0, 1.0, 0.5]
    assert tracks[1].nearness(25) == tracks[1].nearness(50) == tracks[2].nearness(0) == BEHIND


def drawn(data, name):
    frame = data.draw(st.integers(0, COUNT - 1))
    span = data.draw(st.none() | st.tuples(st.integers(0, frame), st.integers(frame + 1, COUNT)))
    strength = data.draw(st.sampled_from([1.0, 1.0, 0.5, 0.0]))
    where = data.draw(st.sampled_from("ab"))
    return mask(name, frame, where, span=FrameRange(*span) if span else None, strength=strength)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_reach_holds_the_keyframe_and_never_crosses_a_cut(data):
    cuts = data.draw(st.sets(st.integers(1, COUNT - 1), max_size=5))
    hints = tuple(drawn(data, f"h{i}") for i in range(data.draw(st.integers(1, 6))))
    tracks = tracks_of(HintSet(REGIONS, hints), timeline(cuts))
    for track in tracks:
        assert track.keyframe == track.hint.frame
        assert track.keyframe in track.reach
        assert track.reach.intersect(track.shot.range) == track.reach
        if track.hint.span:
            assert track.reach.intersect(track.hint.span) == track.reach
        said = [n for n in range(COUNT) if track.speaks(n)]
        assert bool(said) == (track.hint.strength > 0)
        if said:
            assert track.reach == FrameRange(said[0], said[-1] + 1)
        assert all(0 < track.nearness(n) <= 1 for n in said)
        for other in tracks:
            same = other.hint.region == track.hint.region and other.keyframe != track.keyframe
            assert not (same and other.hint.strength > 0 and other.keyframe in said)
    # On each frame a region's keyframes share one say, and every frame of a span is spoken for.
    for n in range(COUNT):
        for region in "ab":
            shot = [t for t in tracks if t.hint.region == region and n in t.span and t.hint.strength > 0]
            shares = {t.keyframe: t.nearness(n) for t in shot if t.speaks(n)}
            assert bool(shot) == bool(shares)
            if shares:
                assert sum(shares.values()) == pytest.approx(1)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_hint_changes_nothing_outside_its_span_and_its_stretch(data):
    cuts = data.draw(st.sets(st.integers(1, COUNT - 1), max_size=2))
    hints = tuple(drawn(data, f"h{i}") for i in range(data.draw(st.integers(1, 5))))
    new = drawn(data, "new")
    line = timeline(cuts)
    before = tracks_of(HintSet(REGIONS, hints), line)
    *after, added = tracks_of(HintSet(REGIONS, (*hints, new)), line)
    for old, now in zip(before, after, strict=True):
        for n in range(COUNT):
            if not added.speaks(n):
                assert old.speaks(n) == now.speaks(n)
                assert not now.speaks(n) or old.nearness(n) == now.nearness(n)
