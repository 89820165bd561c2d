from __future__ import annotations

import numpy as np
import pytest

from core.contract.progress import CancelToken
from core.contract.recipe import Recipe, StageSpec
from core.errors import Cancelled, InputError, ModelMissingError, RecipeError, StageError
from core.film.colour import srgb_to_lab
from core.film.timebase import FrameRange
from core.flow import FlowPair
from core.models import raft
from core.render.cache import FrameCache
from core.render.renderer import Renderer
from tests.core.render import fakes

STEADY = {"steady": 1}


def recipe(*steps):
    return Recipe(tuple(StageSpec(*s) if isinstance(s, tuple) else StageSpec(s) for s in steps))


def renderer(tmp_path, steps, *, count=12, cuts=(6,), hints=None, film=None, colouriser=None):
    return Renderer(
        film or fakes.Film(count), fakes.shots(count, *cuts), recipe(*steps), fakes.plugins(colouriser),
        FrameCache(tmp_path), hints=hints.factory() if hints else None, device="cpu",
    )  # fmt: skip


def pictures(r, span=None):
    return [f.rgb for f in r.render(span)]


def test_a_second_run_makes_nothing_and_gives_the_same_bits(tmp_path):
    steps = ("level", ("blur", {"radius": 2}), ("colourise", STEADY))
    first = renderer(tmp_path, steps)
    a = pictures(first)
    assert first.tally.rendered == {"level": 12, "blur": 12, "colourise": 12}
    second = renderer(tmp_path, steps)
    assert second.plan().work == 0
    b = pictures(second)
    assert second.tally.rendered == {"level": 0, "blur": 0, "colourise": 0}
    assert second.tally.reused == {"level": 12, "blur": 12, "colourise": 12}
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_the_plan_is_what_then_runs(tmp_path):
    steps = ("level", ("blur", {"radius": 1}), ("colourise", STEADY), "double")
    pictures(renderer(tmp_path, steps), FrameRange(2, 5))
    r = renderer(tmp_path, steps)
    plan = r.plan()
    pictures(r)
    assert r.tally.rendered == plan.missing
    assert {k: r.tally.rendered[k] + r.tally.reused[k] for k in plan.total} == plan.total


def test_changing_a_step_remakes_only_it_and_what_follows(tmp_path):
    pictures(renderer(tmp_path, ("level", ("blur", {"radius": 1}), ("colourise", STEADY))))
    r = renderer(tmp_path, ("level", ("blur", {"radius": 2}), ("colourise", STEADY)))
    pictures(r)
    assert r.tally.rendered == {"level": 0, "blur": 12, "colourise": 12}


def test_windows_never_cross_a_cut(tmp_path):
    # The frames of shot 2 must not know what shot 1 holds: change shot 1 alone, compare shot 2.
    film = fakes.Film(12)
    other = fakes.Film(12)
    other._texture = other._texture.copy()
    other._texture[:, :6] += 0.1  # seen by frames 0..5 alone, up to the window's left edge
    other.frame = lambda n: (fakes.Film.frame(other, n) if n < 6 else film.frame(n))  # type: ignore[method-assign]
    steps = (("blur", {"radius": 3}), "level", ("colourise", {"steady": 3}))
    a = pictures(renderer(tmp_path / "a", steps, film=film))
    b = pictures(renderer(tmp_path / "b", steps, film=other))
    assert any(not np.array_equal(x, y) for x, y in zip(a[:6], b[:6], strict=True))
    assert all(np.array_equal(x, y) for x, y in zip(a[6:], b[6:], strict=True))


def test_moving_a_cut_rekeys_only_around_it(tmp_path):
    steps = (("blur", {"radius": 2}),)
    pictures(renderer(tmp_path, steps, cuts=(6,)))
    r = renderer(tmp_path, steps, cuts=(7,))
    pictures(r)
    assert r.tally.rendered == {"blur": 5}  # 4, 5, 6, 7, 8: windows that the cut at 6 or at 7 bounds


def test_hints_remake_exactly_the_frames_they_reach(tmp_path):
    steps = ("level", ("colourise", STEADY), "double")
    before = pictures(renderer(tmp_path, steps))
    r = renderer(tmp_path, steps, hints=fakes.Hints({2, 3, 4}))
    assert r.plan().at_most
    after = pictures(r)
    # Output 2n and 2n+1 are made of n, n+1: frames 2..4 reach outputs 3..9 (9 lies between 4 and 5).
    changed = [j for j, (x, y) in enumerate(zip(before, after, strict=True)) if not np.array_equal(x, y)]
    assert changed == [3, 4, 5, 6, 7, 8, 9]
    assert r.tally.rendered == {"level": 0, "colourise": 3, "double": 4}
    moved = renderer(tmp_path, steps, hints=fakes.Hints({3, 4, 5}))
    pictures(moved)
    assert moved.tally.rendered["colourise"] == 1  # frame 5 alone: 3 and 4 are told the same as before
    undone = renderer(tmp_path, steps)
    assert all(np.array_equal(x, y) for x, y in zip(before, pictures(undone), strict=True))
    assert undone.plan().work == 0


def test_a_hint_is_what_it_asks_and_luma_is_the_films(tmp_path):
    film = fakes.Film(4)
    r = renderer(tmp_path, (("colourise", STEADY),), count=4, cuts=(), film=film,
                 hints=fakes.Hints({1}, hue=30.0))  # fmt: skip
    lab = srgb_to_lab(pictures(r)[1])
    grey = srgb_to_lab(film.frame(1).rgb)
    assert np.abs(lab[..., 0] - grey[..., 0]).max() < 0.05
    assert np.abs(lab[4:12, 4:12, 1:] - [30.0, 15.0]).max() < 0.2


def test_steadying_takes_out_the_networks_flicker(tmp_path):
    def spread(steady):
        r = renderer(tmp_path, (("colourise", {"steady": steady}),), count=14, cuts=())
        ab = np.stack([srgb_to_lab(p)[..., 1:].mean(axis=(0, 1)) for p in pictures(r)])
        return np.abs(np.diff(ab[3:-3], axis=0)).mean()

    assert spread(4) < 0.45 * spread(0)


def test_a_cancelled_render_keeps_what_is_finished(tmp_path):
    steps = ("level", ("colourise", STEADY))
    token = CancelToken()
    stopped = renderer(tmp_path, steps)
    stream = stopped.render(token=token)
    for _ in range(5):
        next(stream)
    token.cancel()
    with pytest.raises(Cancelled):
        next(stream)
    assert stopped.picture(11, after="level").index == 11  # looking goes on
    resumed = renderer(tmp_path, steps)
    pictures(resumed)
    assert resumed.tally.rendered["colourise"] == 12 - 5
    whole = pictures(renderer(tmp_path / "fresh", steps))
    assert all(np.array_equal(x, y) for x, y in zip(whole, pictures(resumed), strict=True))


def test_a_failing_stage_is_named_with_shot_and_frame(tmp_path, monkeypatch):
    def broken(self, window, params, context):
        raise ValueError("no")

    monkeypatch.setattr(fakes.Blur, "process", broken)
    with pytest.raises(StageError, match=r"stage blur failed on frame 7, shot 1"):
        pictures(renderer(tmp_path, ("blur",)), FrameRange(7, 8))


def test_progress_counts_to_its_total(tmp_path):
    seen = []
    r = renderer(tmp_path, ("level", ("colourise", STEADY)))
    list(r.render(report=seen.append))
    assert [p.done for p in seen] == list(range(1, 25))
    assert {p.total for p in seen} == {24}
    assert seen[-1].seconds_left == 0
    assert {p.shot for p in seen} == {0, 1}


def test_pictures_are_streamed(tmp_path):
    film = fakes.Film(200)
    r = renderer(tmp_path, ("blur",), count=200, cuts=(), film=film)
    stream = r.render()
    for _ in range(3):
        next(stream)
    assert max(film.decoded) <= 30  # nothing is read far ahead of what is asked for
    assert len(r._decoded) <= 24


def test_frames_are_looked_at_together_and_give_the_same_bits_as_one_by_one(tmp_path):
    steps = ("level", ("colourise", STEADY))
    together = fakes.Sociable()
    whole = pictures(renderer(tmp_path / "whole", steps, colouriser=together))
    assert together.calls == [4, 4, 4]
    for n in (0, 5, 7):
        alone = fakes.Sociable()
        one = renderer(tmp_path / str(n), steps, colouriser=alone)
        assert np.array_equal(pictures(one, FrameRange(n, n + 1))[0], whole[n])
        assert alone.calls == [len(one.line.nodes[-1].needs(n))]  # its neighbours steady it, nobody else is looked at


def test_no_frame_is_looked_at_that_is_not_asked_for(tmp_path):
    steps = (("blur", {"radius": 0}), ("colourise", STEADY))
    film = fakes.Film(60)
    r = renderer(tmp_path, steps, count=60, cuts=(), film=film, colouriser=fakes.Sociable())
    pictures(r, FrameRange(20, 23))
    assert sorted(set(film.decoded)) == list(range(19, 24))
    again = fakes.Sociable()
    pictures(renderer(tmp_path, steps, count=60, cuts=(), colouriser=again), FrameRange(18, 26))
    assert sum(again.calls) == 10 - 5  # 17 to 26 are wanted, 19 to 23 are known


def test_who_stopped_has_no_frames_looked_at_any_more(tmp_path):
    colouriser = fakes.Sociable()
    r = renderer(tmp_path, (("colourise", STEADY),), colouriser=colouriser)
    stream = r.render()
    next(stream)
    stream.close()
    colouriser.calls.clear()
    r.picture(9, after="colourise")
    assert colouriser.calls == [3]  # the frame and the two that steady it


def test_what_a_person_waits_for_is_looked_at_alone(tmp_path):
    colouriser = fakes.Sociable()
    r = renderer(tmp_path, (("colourise", STEADY),), colouriser=colouriser)
    r.recolour(3, None)
    assert colouriser.calls == []


def test_matte_of_a_stage_that_has_none_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="shows no matte"):
        renderer(tmp_path, ("blur",)).matte(0, "blur")


def test_hints_without_colouring_are_refused(tmp_path):
    with pytest.raises(RecipeError, match="colourise"):
        renderer(tmp_path, ("blur",), hints=fakes.Hints({1}))


def test_recolouring_at_once_agrees_with_the_render(tmp_path):
    hints = fakes.Hints({1})
    r = renderer(tmp_path, (("colourise", STEADY),), count=4, cuts=(), hints=hints)
    truth = pictures(r)[1]
    # The neighbours are rendered by now, so what is shown at once is what the render gives.
    assert np.abs(r.recolour(1, hints.field(1)) - truth).max() <= 0.5 / 65535 + 1e-7
    assert not np.array_equal(r.recolour(1, None), r.recolour(1, hints.field(1)))


class Still:
    """A stranger's: finds no motion anywhere, and believes itself."""

    def __init__(self, weights: str) -> None:
        self.name = "still"
        self.fingerprint = f"still {weights}"

    def pair(self, luma_a, luma_b):
        flow, trust = np.zeros((*luma_a.shape, 2), np.float32), np.ones(luma_a.shape, np.float32)
        return FlowPair(flow, flow, trust, trust)


def flowing(tmp_path, flow, weights="first"):
    """A film coloured with that choice of flow, all in one cache."""
    made = fakes.plugins()
    made.flows.add("still", lambda device: Still(weights))
    recipe = Recipe((StageSpec("colourise", {"flow": flow, "steady": 2}),))
    return Renderer(fakes.Film(6), fakes.shots(6), recipe, made, FrameCache(tmp_path), device="cpu")


def test_the_flow_that_is_chosen_finds_the_motion_and_its_weights_are_in_every_key(tmp_path):
    """Frames, and what is steadied along the flow, are of one estimator and one checkpoint of it."""
    by_dis = [f.rgb for f in flowing(tmp_path, "dis").render()]
    by_other = [f.rgb for f in flowing(tmp_path, "still").render()]
    assert not all(np.array_equal(a, b) for a, b in zip(by_dis, by_other, strict=True))
    for flow, weights, missing in (("dis", "", 0), ("still", "first", 0), ("still", "second", 6)):
        assert flowing(tmp_path, flow, weights).plan().missing["colourise"] == missing
    alone = [f.rgb for f in flowing(tmp_path / "alone", "still").render()]
    assert all(np.array_equal(a, b) for a, b in zip(by_other, alone, strict=True))


def test_an_unknown_flow_is_one_line_that_names_the_known(tmp_path):
    with pytest.raises(InputError, match=r"^unknown flow estimator 'sltill'; known: dis, still$"):
        flowing(tmp_path, "sltill")


def test_a_flow_whose_checkpoint_is_not_there_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("POCHOIR_MODELS", str(tmp_path / "none"))
    made = fakes.plugins()
    raft.register(made)
    recipe = Recipe((StageSpec("colourise", {"flow": "raft-large"}),))
    with pytest.raises(ModelMissingError, match=r"raft-things\.pth into") as caught:
        Renderer(fakes.Film(2), fakes.shots(2), recipe, made, FrameCache(tmp_path), device="cpu")
    assert "\n" not in str(caught.value)


def test_what_memory_made_less_is_delivered_and_counted_but_not_kept(tmp_path, monkeypatch):
    """Two frames are made otherwise, and six about them from those: all are in the film, none on disk."""
    enough = False
    double = type(fakes.plugins().stages.get("double"))
    usual = double.blend

    def blend(self, window, t, params, context):
        made = usual(self, window, t, params, context)
        if enough or t == 0 or window.frame.index not in (2, 9):
            return made
        context.fell_short("in small parts")
        return made * np.float32(0.5)

    monkeypatch.setattr(double, "blend", blend)
    steps = ("double", ("blur", {"radius": 1}))
    first = renderer(tmp_path, steps)
    a = pictures(first)
    assert first.tally.fell_short == {"double in small parts": 2}
    assert (
        sum(not first.cache.has(first.line.key(2, n)) or not first.cache.lasts(first.line.key(2, n)) for n in range(24))
        == 6
    )

    here = renderer(tmp_path, steps)
    here.cache = first.cache  # once more in this session: they are counted again, not passed over
    assert all(np.array_equal(x, y) for x, y in zip(a, pictures(here), strict=True))
    assert here.tally.fell_short == {"double in small parts": 2}

    enough = True
    later = renderer(tmp_path, steps)
    b = pictures(later)
    assert later.tally.fell_short == {}
    assert later.tally.rendered == {"double": 2, "blur": 6}
    other = [n for n, (x, y) in enumerate(zip(a, b, strict=True)) if not np.array_equal(x, y)]
    assert other == [4, 5, 6, 18, 19, 20]
    last = renderer(tmp_path, steps)
    pictures(last)
    assert last.tally.rendered == {"double": 0, "blur": 0}
