"""Hints carried through a film: they follow what moves, stop where they must, and touch nothing else."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.metrics import iou
from core.contract.progress import CancelToken, silent
from core.errors import Cancelled
from core.film.colour import hex_to_lab
from core.film.timebase import FrameRange
from hints.hint import Hint, HintSet
from hints.picture import Mask, Picture
from hints.region import Region
from hints.source import Carried

sys.path.insert(0, str(Path(__file__).parent))
from film import SIZE, Film, Memory

SMALL, KEPT = Film(8, step=1.5), Memory()  # of which much is said, and carried once
RED, BLUE = Region("red", "Coat", "#8a4a3c"), Region("blue", "Wall", "#3c4a8a")


def said(*hints):
    return HintSet((RED, BLUE), hints)


def region(film, frame, hint_id="h", region_id="red", **more):
    return Hint(hint_id, frame, "region", region=region_id, mask=Mask.of(film.mask(frame)), **more)


def point(frame, hint_id="p", xy=(110.0, 20.0), **more):
    return Hint(hint_id, frame, "point", region="blue", xy=xy, radius=3.0, **more)


def carried(film, hints, store=None):
    source = Carried(hints, film.timeline, SIZE, film, store if store is not None else Memory())
    for shot in film.timeline.shots:
        source.carry(shot, silent, CancelToken())
    return source


def keys(source):
    return [source.key(n) for n in range(source.timeline.count)]


@pytest.fixture(scope="module")
def film():
    return Film(10, step=1.5, ground_step=0.25)


@pytest.fixture(scope="module")
def one(film):
    return carried(film, said(region(film, 3)))


def cover(source, n):
    """Where a field gives the region's colour with some weight."""
    return source.field(n).weight > 0.5


def test_a_region_is_carried_both_ways(film, one):
    found = [iou(cover(one, n), film.mask(n)) for n in range(10)]
    assert found[3] == 1.0
    assert np.mean(found) > 0.85
    assert min(found) > 0.75


def test_a_still_film_keeps_its_mask_to_the_pixel():
    film = Film(8, step=0.0)
    source = carried(film, said(region(film, 0)))
    for n in range(8):
        assert iou(cover(source, n), film.mask(0)) > 0.99
        assert source.field(n).weight[film.mask(0)].mean() > 0.98


def test_the_field_asks_for_the_swatch_on_its_keyframe(film, one):
    field = one.field(3)
    inside = field.weight > 0.99
    assert field.ab[inside].mean(axis=0) == pytest.approx(hex_to_lab(RED.colour)[1:], abs=0.3)
    assert (field.ab[field.weight == 0] == 0).all()


def test_hints_stop_at_cuts_and_at_their_span():
    film = Film(12, cuts=(5,))
    source = carried(film, said(region(film, 2, span=FrameRange(1, 12)), point(8)))
    spoken = [key is not None for key in keys(source)]
    assert spoken == [False] + [True] * 11
    first, second = film.timeline.shots
    assert source.reach(first) == FrameRange(1, 5)
    assert source.reach(second) == FrameRange(5, 12)
    assert source.field(0) is None
    # The region of the first shot is nowhere in the second.
    assert source.field(5).weight[:, :90].max() == 0


def test_a_shot_without_hints_has_an_empty_reach_and_is_ready():
    film = Film(6, cuts=(3,))
    source = Carried(said(point(0)), film.timeline, SIZE, film, Memory())
    assert len(source.reach(film.timeline.shots[1])) == 0
    assert source.ready(film.timeline.shots[1])
    assert not source.ready(film.timeline.shots[0])


def test_a_new_keyframe_changes_only_the_stretch_between_its_neighbours():
    film = Film(16, step=1.0)
    before = said(region(film, 2, "a"), region(film, 8, "b"), region(film, 13, "c"))
    moved = replace(before.hint("b"), mask=Mask.of(np.roll(film.mask(8), 3, axis=0)))
    store = Memory()
    old = keys(carried(film, before, store))
    new = keys(carried(film, before.replace_hint(moved), store))
    changed = [n for n in range(16) if old[n] != new[n]]
    assert changed == list(range(3, 13))


def mixed(data, film, name):
    """Any hint on any frame, with or without a span, at any strength."""
    n = data.draw(st.integers(0, film.count - 1))
    span = data.draw(st.none() | st.tuples(st.integers(0, n), st.integers(n + 1, film.count)))
    more = {
        "span": FrameRange(*span) if span else None,
        "strength": data.draw(st.sampled_from([1.0, 1.0, 0.5, 0.0])),
    }
    aside = np.roll(film.mask(n), data.draw(st.sampled_from([0, 0, -15, 30])), axis=1)
    kind = data.draw(st.sampled_from(["region"] * 4 + ["neutral", "lock", "point"]))
    if kind == "point":
        return point(n, name, (data.draw(st.integers(5, 120)), 40.0), **more)
    where = data.draw(st.sampled_from(["red", "blue"])) if kind == "region" else None
    return Hint(name, n, kind, region=where, mask=Mask.of(aside), **more)


def alike(one, other, n):
    """Whether two sources say the same of a frame, to the bit."""
    a, b = one.field(n), other.field(n)
    if a is None or b is None:
        fields = a is b
    else:
        fields = all(np.array_equal(getattr(a, p), getattr(b, p)) for p in ("ab", "weight", "spreads"))
    mine, theirs = one.locks(n), other.locks(n)
    return (
        fields
        and len(mine) == len(theirs)
        and all(np.array_equal(m, q) and alike(s, t, n) for (m, s), (q, t) in zip(mine, theirs, strict=True))
    )


@settings(max_examples=10, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_no_frame_that_a_hint_changes_keeps_its_key_and_only_where_it_speaks_do_keys_change(data):
    """A hint that others hide wholly may change a key and not the field (decision 0004): no picture is ever stale."""
    film, store = SMALL, KEPT
    hints = said(*(mixed(data, film, f"h{i}") for i in range(data.draw(st.integers(1, 3)))))
    new = mixed(data, film, "new")
    one, other = carried(film, hints, store), carried(film, hints.add_hint(new), store)
    track = other.tracks[-1]
    for n in range(film.count):
        same_key = one.key(n) == other.key(n)
        assert alike(one, other, n) or not same_key
        assert same_key or track.speaks(n)


def test_a_correction_with_a_span_leaves_the_frames_beyond_it_alone():
    film = Film(16, step=1.0)
    store = Memory()
    alone = said(region(film, 2, "a"))
    old = keys(carried(film, alone, store))
    moved = Mask.of(np.roll(film.mask(8), 3, axis=0))
    new = keys(carried(film, alone.add_hint(replace(region(film, 8, "b", span=FrameRange(7, 10)), mask=moved)), store))
    assert [n for n in range(16) if old[n] != new[n]] == [7, 8, 9]
    nothing = keys(carried(film, alone.add_hint(region(film, 8, "b", strength=0.0)), store))
    assert nothing == old


def test_between_two_keyframes_both_speak():
    film = Film(13, step=2.5)
    alone = carried(film, said(region(film, 0, "a")))
    both = carried(film, said(region(film, 0, "a"), region(film, 12, "b")))
    later = range(6, 12)
    gain = [iou(cover(both, n), film.mask(n)) - iou(cover(alone, n), film.mask(n)) for n in later]
    assert np.mean(gain) > 0.02


def test_changing_a_colour_carries_nothing_again(film):
    store = Memory()
    hints = said(region(film, 3))
    old = carried(film, hints, store)
    flows, layers = film.pairs, len(store)
    old_keys = keys(old)
    made = len(store) - layers
    new = carried(film, hints.replace_region(replace(RED, colour="#224466")), store)
    assert film.pairs == flows
    assert new.ready(film.timeline.shots[0])
    assert all(a != b for a, b in zip(old_keys, keys(new), strict=True))
    assert len(store) == layers + 2 * made


def test_a_new_hint_leaves_other_tracks_and_far_frames_alone(film):
    store = Memory()
    alone = carried(film, said(region(film, 3)), store)
    old = keys(alone)
    store.puts.clear()
    both = carried(film, said(region(film, 3), point(6, span=FrameRange(5, 8))), store)
    changed = [n for n, (a, b) in enumerate(zip(old, keys(both), strict=True)) if a != b]
    assert changed == [5, 6, 7]
    kept = [store[k] for k in store.puts if "cover" in store[k]]
    assert len(kept) == 2


def test_undo_finds_the_old_keys_again(film):
    store = Memory()
    hints = said(region(film, 3))
    old = keys(carried(film, hints, store))
    keys(carried(film, hints.add_hint(point(3)), store))
    assert keys(carried(film, hints, store)) == old


def test_same_inputs_give_the_same_bits_whatever_was_carried_beside():
    film = Film(6, step=1.5)
    alone = carried(film, said(region(film, 2)))
    beside = Memory()
    carried(film, said(region(film, 2), point(2), region(film, 2, "x", "blue")), beside)
    from_cache = carried(film, said(region(film, 2)), beside)
    for n in range(6):
        a, b = alone.field(n), from_cache.field(n)
        assert (a.ab == b.ab).all()
        assert (a.weight == b.weight).all()
        assert alone.key(n) == from_cache.key(n)


def test_equal_keys_mean_equal_fields_and_none_means_silence(film, one):
    for n in range(10):
        assert (one.key(n) is None) == (one.field(n) is None)
    silent_set = carried(film, said(replace(region(film, 3), strength=0.0)))
    assert keys(silent_set) == [None] * 10


def test_a_layer_that_was_lost_is_carried_again(film):
    store = Memory()
    source = carried(film, said(region(film, 3)), store)
    whole = source.field(6)
    store.clear()
    again = Carried(said(region(film, 3)), film.timeline, SIZE, film, store).field(6)
    assert (again.weight == whole.weight).all()


def test_carrying_can_be_stopped_and_goes_on():
    film = Film(8)
    store, token, seen = Memory(), CancelToken(), []
    source = Carried(said(region(film, 0)), film.timeline, SIZE, film, store)

    def report(progress):
        seen.append((progress.done, progress.total))
        if progress.done == 3:
            token.cancel()

    with pytest.raises(Cancelled):
        source.carry(film.timeline.shots[0], report, token)
    assert seen == [(1, 7), (2, 7), (3, 7)]
    assert not source.ready(film.timeline.shots[0])
    source.carry(film.timeline.shots[0], silent, CancelToken())
    assert source.ready(film.timeline.shots[0])


def still(film, n, ab, **more):
    from core.film.colour import join

    luma = film.luma(n)
    return Hint(f"r{n}", n, "reference", image=Picture.of(join(luma, np.broadcast_to(ab, (*SIZE, 2)))), **more)


class FallingLight(Film):
    """The same film while the light falls to a third: XYZ scale together, and (L* + 16) by the cube root."""

    def light(self, n):
        return np.float32((1 - 2 / 3 * n / (self.count - 1)) ** (1 / 3))

    def _luma(self, n):
        return np.asarray((super()._luma(n) + 16) * self.light(n) - 16, np.float32)


def test_a_stills_colours_go_with_the_light():
    film, ab = FallingLight(10, step=1.0), np.float32([8, 20])
    source = carried(film, said(still(film, 0, ab)))
    for n in (0, 5, 9):
        field = source.field(n)
        asked_for = np.linalg.norm(field.ab[field.weight > 0.6], axis=-1) / np.linalg.norm(ab)
        assert np.median(asked_for) == pytest.approx(film.light(n), abs=0.03), n


def test_a_reference_lies_beneath_all_other_hints_whatever_the_order(film):
    ground = still(film, 3, np.float32([8, 20]))
    for hints in (said(ground, region(film, 3)), said(region(film, 3), ground)):
        field = carried(film, hints).field(3)
        inside, outside = film.mask(3), ~film.mask(3)
        assert field.ab[inside].mean(axis=0) == pytest.approx(hex_to_lab(RED.colour)[1:], abs=0.5)
        assert field.ab[outside].mean(axis=0) == pytest.approx([8, 20], abs=1.0)
        assert field.weight.min() > 0.99


def test_the_later_of_two_hints_counts(film):
    first, second = region(film, 3, "a"), region(film, 3, "b", "blue")
    field = carried(film, said(first, second)).field(3)
    assert field.ab[film.mask(3)].mean(axis=0) == pytest.approx(hex_to_lab(BLUE.colour)[1:], abs=0.3)


def test_two_masks_of_one_region_on_one_frame_are_one(film):
    left, right = film.mask(3).copy(), film.mask(3).copy()
    left[:, 36:], right[:, :36] = False, False
    parts = said(replace(region(film, 3, "a"), mask=Mask.of(left)), replace(region(film, 3, "b"), mask=Mask.of(right)))
    assert iou(cover(carried(film, parts), 3), film.mask(3)) == 1.0


def test_a_mask_says_where_its_object_ends_and_a_point_does_not(film):
    field = carried(film, said(region(film, 3), point(3))).field(3)
    assert field.spreads[film.mask(3)].max() == 0
    dot = field.spreads > 0
    assert dot[20, 110]
    assert field.spreads[dot] == pytest.approx(field.weight[dot], abs=1e-6)
    ground = carried(film, said(still(film, 3, np.float32([8, 20])), region(film, 3))).field(3)
    assert ground.spreads[film.mask(3)].max() == 0
    assert ground.spreads[~film.mask(3)].min() > 0.99


class Dimming(Film):
    """The light goes out: at frame 10 it is half of what it was."""

    def _luma(self, n):
        return (super()._luma(n) * (1 - 0.05 * n)).astype(np.float32)


def chromas(source, frames):
    fields = [source.field(n) for n in frames]
    return np.array([np.hypot(*field.ab[field.weight > 0.5].mean(axis=0)) for field in fields])


def test_a_second_mask_of_one_colour_corrects_the_outline_and_leaves_the_light():
    film, store, frames = Dimming(12, step=0.0), Memory(), range(12)
    first, second = region(film, 0, "a"), region(film, 10, "b")
    alone = chromas(carried(film, said(first), store), frames)
    swatch = np.hypot(*hex_to_lab(RED.colour)[1:])
    assert alone[0] == pytest.approx(swatch, abs=0.3)
    assert alone[10] < 0.65 * swatch
    both = chromas(carried(film, said(first, second), store), frames)
    assert both == pytest.approx(alone, abs=0.3)
    assert np.diff(both).max() < 0  # no step anywhere
    # Whichever was said first names the light in which it was seen.
    late = chromas(carried(film, said(second, first), store), frames)
    assert late[10] == pytest.approx(swatch, abs=0.3)
    assert late[0] > 1.3 * swatch


def test_another_colour_on_a_later_mask_is_that_colour_on_its_frame():
    film = Dimming(12, step=0.0)
    first, other = region(film, 0, "a"), region(film, 10, "b", colour=BLUE.colour)
    field = carried(film, said(first, other)).field(10)
    assert field.ab[film.mask(10)].mean(axis=0) == pytest.approx(hex_to_lab(BLUE.colour)[1:], abs=0.3)


def test_an_anchor_holds_inside_its_span_and_later_hints_never_move_it():
    film, store = Dimming(12, step=0.0), Memory()
    brief, whole = region(film, 0, "a", span=FrameRange(0, 4)), region(film, 10, "b")
    alone, both = carried(film, said(whole), store), carried(film, said(brief, whole), store)
    assert [alone.key(n) != both.key(n) for n in range(12)] == [True] * 4 + [False] * 8
    after = carried(film, said(whole, brief), store)
    assert [alone.key(n) == after.key(n) for n in range(4, 12)] == [True] * 8


def test_neutral_asks_for_grey(film):
    hints = said(region(film, 3), Hint("n", 3, "neutral", mask=Mask.of(film.mask(3))))
    field = carried(film, hints).field(3)
    assert np.abs(field.ab[film.mask(3)]).max() < 0.01
    assert field.weight[film.mask(3)].min() > 0.99


def test_what_passes_in_front_of_a_region_is_not_coloured():
    film = Film(9, step=4.0)
    wall = np.zeros(SIZE, bool)
    wall[:, 60:] = True
    source = carried(film, HintSet((BLUE,), (Hint("w", 0, "region", region="blue", mask=Mask.of(wall)),)))
    patch = film.mask(8)
    inside, around = patch & wall, wall & ~patch
    weight = source.field(8).weight
    assert inside.sum() > 500
    assert weight[around].mean() > 0.8
    assert weight[inside].mean() < 0.35


# -- locks -------------------------------------------------------------------------------------------------


def lock(film, frame, **more):
    return Hint("lock", frame, "lock", mask=Mask.of(film.mask(frame)), **more)


def test_a_lock_that_keeps_all_that_is_said_changes_nothing(film):
    store = Memory()
    hints = said(region(film, 3))
    old = keys(carried(film, hints, store))
    locked = carried(film, hints.add_hint(lock(film, 3)), store)
    assert keys(locked) == old
    assert all(not locked.locks(n) for n in range(10))


def test_a_lock_keeps_the_field_before_it_whatever_comes_after(film):
    store = Memory()
    hints = said(region(film, 3)).add_hint(lock(film, 3))
    kept = {n: carried(film, said(region(film, 3)), store).field(n) for n in range(10)}
    changes = (
        hints.add_hint(region(film, 5, "late", "blue")),
        hints.replace_region(replace(RED, colour="#11aa11")),
        hints.remove_hint("h"),
        hints.add_hint(point(3)).remove_hint("h").remove_region("red"),
    )
    for changed in changes:
        source = carried(film, changed, store)
        for n in range(10):
            ((mask, frozen),) = source.locks(n)
            assert iou(mask, film.mask(n)) > 0.7
            assert (frozen.field(n).ab == kept[n].ab).all()
            assert (frozen.field(n).weight == kept[n].weight).all()
            assert source.key(n) is not None


def test_a_locks_mask_is_exact_on_its_keyframe(film):
    source = carried(film, said(region(film, 3)).add_hint(lock(film, 3)).add_hint(point(3)))
    ((mask, _),) = source.locks(3)
    assert (mask == film.mask(3)).all()


def test_the_earlier_of_two_locks_has_its_way_where_they_overlap(film):
    everything = Mask.of(np.ones(SIZE, bool))
    hints = (
        said(region(film, 3))
        .add_hint(lock(film, 3))
        .add_hint(region(film, 3, "late", "blue"))
        .add_hint(Hint("all", 3, "lock", mask=everything))
        .remove_hint("late")
    )
    source = carried(film, hints)
    painted = source.field(3).ab.copy()
    for mask, frozen in source.locks(3):
        painted[mask] = frozen.field(3).ab[mask]
    red = hex_to_lab(RED.colour)[1:]
    assert painted[film.mask(3)].mean(axis=0) == pytest.approx(red, abs=0.3)


class Counted(Film):
    """A film that counts how often its luma's key is asked for, which every field's key does once."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.asked = 0

    def luma_key(self, n):
        self.asked += 1
        return super().luma_key(n)


def strip(k, width=3):
    """A mask of a few columns, the k-th from the left."""
    inside = np.zeros(SIZE, bool)
    inside[:, width * k : width * (k + 1)] = True
    return Mask.of(inside)


def locked_again_and_again(film, frames):
    """A set in which a lock and a point follow each other on these frames, each lock keeping those before it."""
    hints = said(region(film, 0))
    for k, n in enumerate(frames):
        hints = hints.add_hint(Hint(f"l{k}", n, "lock", mask=strip(k)))
        hints = hints.add_hint(point(n, f"p{k}", (3.0 * k + 1.5, 10.0), colour="#c02020"))
    return hints


def test_many_locks_in_one_shot_are_each_asked_once():
    film = Counted(2, step=0.0)
    hints = locked_again_and_again(film, [0] * 40)
    source = Carried(hints, film.timeline, SIZE, film, Memory())
    source.carry(film.timeline.shots[0], silent, CancelToken())
    film.asked = 0
    areas = source.locks(0)
    assert source.key(0) is not None
    # One key of a field for each of the 40 sets that a lock keeps and for the whole, and a new track's for each hint.
    assert film.asked <= 41 + len(hints)
    assert np.sum([mask for mask, _ in areas], axis=0).max() == 1
    for k in (1, 5, 39):  # each strip shows what was said when it was locked, and no point that came later
        rules = [s for mask, s in areas if mask[50, 3 * k + 1]]
        assert [len(s.hints) for s in rules] == [1 + 2 * k]


def test_many_locks_across_shots_are_each_hashed_once(monkeypatch):
    film = Film(80, step=0.0, cuts=range(2, 80, 2))
    hints = locked_again_and_again(film, range(0, 80, 2))
    made = []
    content = Hint.content.func
    counted = cached_property(lambda hint: made.append(hint.id) or content(hint))
    counted.__set_name__(Hint, "content")
    monkeypatch.setattr(Hint, "content", counted)
    assert hash(hints.hints[-1]) is not None
    for lock in (h for h in hints if h.kind == "lock"):
        assert hash(lock) == hash(replace(lock))
    # A lock's own copies of coloured hints are values of their own; locks within it are not.
    assert made.count("l0") == 2
    assert max(made.count(h.id) for h in hints) <= 40
    source = Carried(hints, film.timeline, SIZE, film, Memory())
    assert not source.ready(film.timeline.shots[-1])


def test_locks_within_locks_show_what_was_approved_first(film):
    hints = said(region(film, 3))
    kept = carried(film, hints).field(3)
    for k, colour in enumerate(("#11aa11", "#aa11aa", "#1111aa")):
        hints = hints.add_hint(Hint(f"l{k}", 3, "lock", mask=Mask.of(film.mask(3))))
        hints = hints.add_hint(region(film, 3, f"late{k}", "blue", colour=colour))
    for changed in (hints, hints.remove_hint("h"), hints.remove_hint("l0")):
        ((mask, source),) = carried(film, changed).locks(3)
        assert (mask == film.mask(3)).all()
        assert (source.field(3).ab[mask] == kept.ab[mask]).all()


def test_keys_are_told_without_the_film(film):
    store = Memory()
    hints = said(region(film, 3), point(6), region(film, 8, "again")).add_hint(lock(film, 3))
    rendered = carried(film, hints, store)
    recoloured = hints.replace_region(replace(RED, colour="#224466"))
    known = keys(carried(film, recoloured, store))

    class Facts:
        """A film of which nothing is open but its keys."""

        estimator = film.estimator
        luma_key = film.luma_key

    told = Carried(recoloured, film.timeline, SIZE, Facts(), store)
    assert told.ready(film.timeline.shots[0])
    assert keys(told) == known
    assert all(a != b for a, b in zip(known, keys(rendered), strict=True))


@pytest.mark.parametrize("of_another_frame", [False, True])
def test_a_reference_on_a_shot_of_one_frame_is_ready_only_once_it_was_looked_at(of_another_frame):
    film = Film(6, step=1.5, cuts=(3, 4))
    luma = film.luma(0 if of_another_frame else 3)
    grey = np.repeat((luma / 100)[..., None], 3, axis=2)
    still = Picture.of(np.clip(grey * np.float32([1.0, 0.9, 0.7]), 0, 1))
    hints, store = said(Hint("r", 3, "reference", image=still)), Memory()
    source = Carried(hints, film.timeline, SIZE, film, store)
    (shot,) = (s for s in film.timeline.shots if s.range.start == 3)
    assert not source.ready(shot)
    source.carry(shot, silent, CancelToken())
    assert source.ready(shot)

    class Facts:
        estimator = film.estimator
        luma_key = film.luma_key

    told = Carried(hints, film.timeline, SIZE, Facts(), store)
    assert told.ready(shot)
    assert told.key(3) == source.key(3) is not None


# -- previews and other sizes ---------------------------------------------------------------------------------


def test_at_once_tells_what_needs_no_carrying(film):
    source = Carried(said(region(film, 3), point(6)), film.timeline, SIZE, film, Memory())
    pairs = film.pairs
    field = source.at_once(3)
    assert film.pairs == pairs
    assert (cover_of(field) == film.mask(3)).all()
    assert source.at_once(4) is None


def cover_of(field):
    return field.weight > 0.5


def test_coordinates_are_of_the_source_whatever_size_is_coloured(film):
    # The colouring's input is half the source's size: a point at (220, 40) of the source is at (110, 20) here.
    hint = Hint("p", 3, "point", region="blue", xy=(220.0, 40.0), radius=6.0)
    source = Carried(said(hint), film.timeline, (2 * SIZE[0], 2 * SIZE[1]), film, Memory())
    ys, xs = np.nonzero(source.at_once(3).weight > 0.5)
    assert (xs.mean() + 0.5, ys.mean() + 0.5) == (pytest.approx(110, abs=0.2), pytest.approx(20, abs=0.2))
