from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from core.contract.plugins import Plugins
from core.contract.recipe import Recipe, StageSpec
from core.contract.stage import RetimeStage, StageContext, Timeline, Window
from core.errors import InputError, RecipeError
from core.film.frame import Frame
from core.film.shot import Shot, shots_from_cuts
from core.film.timebase import FrameRange
from core.interpolate import AlongFlow, Interpolate, InterpolateParams, distinct, register
from core.render.cache import FrameCache
from core.render.renderer import Renderer
from tests import synth
from tests.contracts.registered import Film

CONTEXT = StageContext("cpu", Shot(0, FrameRange(0, 9), "start"))
PLUGINS = Plugins()
register(PLUGINS)
STAGE = Interpolate(PLUGINS.interpolators)
FLOW = AlongFlow()


def timeline(count: int, rate: Fraction | int, cuts: tuple[int, ...] = ()) -> Timeline:
    times = tuple(n / Fraction(rate) for n in range(count + 1))
    return Timeline((4, 4), shots_from_cuts(cuts, count), times, tuple(Fraction(n) for n in range(count)))


class Mix:
    """An interpolator that mixes, tints what it makes, and keeps count of who asked for it."""

    name = "mix"
    fingerprint = "mix-1"

    def __init__(self, device: str | None = None) -> None:
        self.device = device

    def between(self, rgb_a: np.ndarray, rgb_b: np.ndarray, t: float) -> np.ndarray:
        mixed = (1 - t) * rgb_a + np.float32(t) * rgb_b
        return mixed + np.float32([0.03, 0.0, 0.0])


def at(rate: str) -> InterpolateParams:
    return InterpolateParams(rate)


def test_it_is_a_retime_stage() -> None:
    assert isinstance(STAGE, RetimeStage)


@pytest.mark.parametrize("source", [Fraction(16), Fraction(18), Fraction(24000, 1001), Fraction(25)])
@pytest.mark.parametrize("target", ["24", "25", "60", "60000/1001", "29.97", "12"])
def test_times_are_exact_and_the_film_lasts_as_long(source: Fraction, target: str) -> None:
    old = timeline(50, source, (17, 33))
    new = STAGE.retime(old, at(target))
    rate = 1 / (new.times[1] - new.times[0])
    assert all(new.times[j] == j / rate for j in range(new.count + 1))
    assert abs(new.times[-1] - old.times[-1]) <= 1 / rate / 2
    for j, place in enumerate(new.sources):
        n = int(place)
        if place != n:
            shown = old.times[n] + (place - n) * (old.times[n + 1] - old.times[n])
            assert shown == new.times[j]
        assert old.times[n] <= new.times[j]


@pytest.mark.parametrize("target", ["60", "60000/1001", "24", "10"])
def test_no_frame_is_made_across_a_cut(target: str) -> None:
    old = timeline(30, 16, (7, 8, 20))
    new = STAGE.retime(old, at(target))
    assert sum(len(s.range) for s in new.shots) == new.count
    for shot in new.shots:
        before = next(s for s in old.shots if s.id == shot.id)
        for j in shot.range:
            assert before.range.start <= new.sources[j] <= before.range.stop - 1
            assert old.times[before.range.start] <= new.times[j] < old.times[before.range.stop]


def test_at_its_own_rate_the_film_is_itself() -> None:
    old = timeline(12, Fraction(24000, 1001), (5,))
    assert STAGE.retime(old, at("23.976")) == old


def test_frames_that_fall_on_source_frames_are_these() -> None:
    new = STAGE.retime(timeline(9, 16), at("48"))
    assert [int(p) for p in new.sources[::3]] == list(range(9))
    assert all(p.denominator == 1 for p in new.sources[::3])


def test_a_film_of_varying_rate_keeps_its_times() -> None:
    old = Timeline((4, 4), shots_from_cuts((), 3), tuple(map(Fraction, (0, 1, 3, 4))), tuple(map(Fraction, (0, 1, 2))))
    assert STAGE.retime(old, at("1")).sources == (0, 1, Fraction(3, 2), 2)


@pytest.mark.parametrize("source", [Fraction(16), Fraction(24000, 1001), Fraction(25)])
@pytest.mark.parametrize(("step", "times"), [(1.0, 1), (0.5, 2), (0.33, 3), (0.25, 4), (0.125, 8)])
def test_a_time_step_makes_a_whole_number_of_frames_of_each(source: Fraction, step: float, times: int) -> None:
    old = timeline(30, source, (7, 20))
    new = STAGE.retime(old, InterpolateParams(time_step=step))
    assert new.count == 30 * times
    assert (new.times[0], new.times[-1]) == (old.times[0], old.times[-1])  # and the sound with them
    assert new.times[1] == 1 / (source * times)
    assert [(s.range.start, s.range.stop) for s in new.shots] == [
        (a * times, b * times) for a, b in ((0, 7), (7, 20), (20, 30))
    ]
    for j, place in enumerate(new.sources):
        # the last frame of each shot is held: nothing is made across a cut
        held = j // times in (6, 19, 29)
        assert place == (j // times if held else Fraction(j, times))


def test_a_time_step_of_a_film_of_uneven_times_keeps_its_length() -> None:
    old = timeline(4, 25)
    times = (Fraction(0), Fraction(1, 10), Fraction(1, 8), Fraction(1, 4), Fraction(1, 2))
    new = STAGE.retime(Timeline(old.size, old.shots, times, old.sources), InterpolateParams(time_step=0.5))
    assert (new.count, new.times[-1]) == (8, Fraction(1, 2))


@pytest.mark.parametrize("step", [0.4, 0.3, 0.7])
def test_a_time_step_that_is_no_whole_part_is_refused(step: float) -> None:
    with pytest.raises(RecipeError, match=rf"'time_step': expected a whole part .* got {step}"):
        STAGE.retime(timeline(5, 16), InterpolateParams(time_step=step))


def test_a_rate_beside_a_time_step_must_be_the_same() -> None:
    old = timeline(10, 24)
    for same in ("48", "60"):  # as asked, and as it stands where nobody asked
        assert STAGE.retime(old, InterpolateParams(same, time_step=0.5)).count == 20
    with pytest.raises(RecipeError, match="makes 48 frames per second of this film, rate asks for 30; give one"):
        STAGE.retime(old, InterpolateParams("30", time_step=0.5))
    assert STAGE.retime(old, InterpolateParams("30")).count == 12  # 10 / 24 s, to the half frame


@pytest.mark.parametrize("rate", ["fast", "0", "-5", "1/0"])
def test_a_rate_that_is_none_is_refused(rate: str) -> None:
    with pytest.raises(RecipeError, match="rate"):
        STAGE.retime(timeline(3, 16), at(rate))


def test_made_frames_are_nearer_the_truth_than_mixing_or_holding() -> None:
    film = synth.moving(n=3, size=(120, 160), drift=(3, 1), figure="coffee", figure_drift=(-3, 1))
    made = FLOW.between(film.rgb[0], film.rgb[2], 0.5)
    assert made.shape == film.rgb[1].shape
    assert synth.psnr(made, film.rgb[1]) > synth.psnr((film.rgb[0] + film.rgb[2]) / 2, film.rgb[1]) + 6
    assert synth.psnr(made, film.rgb[1]) > synth.psnr(film.rgb[0], film.rgb[1]) + 8


def test_motion_goes_on_evenly() -> None:
    film = synth.moving(n=5, size=(96, 128), drift=(2, 0))
    for n in (1, 2, 3):
        made = FLOW.between(film.rgb[0], film.rgb[4], n / 4)
        near = [synth.psnr(made, film.rgb[m]) for m in range(5)]
        assert int(np.argmax(near)) == n


def test_between_frames_that_share_nothing_the_nearer_is_shown() -> None:
    a = synth.moving("astronaut", n=1, size=(96, 128)).rgb[0]
    b = synth.moving("coffee", n=1, size=(96, 128)).rgb[0]
    assert np.array_equal(FLOW.between(a, b, 0.3), a)
    assert np.array_equal(FLOW.between(a, b, 0.7), b)


def test_between_equal_frames_is_that_frame() -> None:
    film = synth.moving(n=1, size=(60, 80))
    made = FLOW.between(film.rgb[0], film.rgb[0], 0.5)
    assert np.abs(made - film.rgb[0]).max() < 1e-3


# -- who makes the frames --------------------------------------------------------------------------------


def pair(a: np.ndarray, b: np.ndarray) -> Window:
    return Window((Frame(0, a), Frame(1, b)), 0)


def test_the_one_asked_for_makes_the_frame_and_is_made_once_for_each_device() -> None:
    made: list[Mix] = []

    def maker(device: str | None) -> Mix:
        made.append(Mix(device))
        return made[-1]

    plugins = Plugins()
    register(plugins)
    plugins.interpolators.add("mix", maker)
    stage = plugins.stages.get("interpolate")
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 0.9, (2, 8, 9, 3)).astype(np.float32)
    for _ in range(2):
        got = stage.blend(pair(a, b), 0.25, InterpolateParams("60", "mix"), CONTEXT)
        np.testing.assert_allclose(got, Mix().between(a, b, 0.25))
    assert [m.device for m in made] == ["cpu"]


def test_its_weights_are_in_the_key_and_no_other_ones() -> None:
    plugins = Plugins()
    register(plugins)
    plugins.interpolators.add("mix", Mix)
    stage = plugins.stages.get("interpolate")
    assert stage.key_parts(InterpolateParams("60", "mix")) == ("mix-1",)
    assert stage.key_parts(InterpolateParams("60")) == (FLOW.fingerprint,)


def test_one_that_is_not_known_is_named_beside_those_that_are() -> None:
    with pytest.raises(InputError, match="unknown interpolator 'film'; known: flow"):
        STAGE.key_parts(InterpolateParams("60", "film"))


def test_what_is_made_of_grey_pictures_is_grey_and_of_coloured_ones_is_left() -> None:
    plugins = Plugins()
    register(plugins)
    plugins.interpolators.add("mix", Mix)
    stage, params = plugins.stages.get("interpolate"), InterpolateParams("60", "mix")
    grey = np.full((6, 7, 3), 0.5, np.float32)
    made = stage.blend(pair(grey, grey), 0.5, params, CONTEXT)
    assert np.array_equal(made[..., 0], made[..., 1])
    assert np.array_equal(made[..., 1], made[..., 2])
    np.testing.assert_allclose(made, 0.5 + 0.299 * 0.03, atol=1e-6)
    coloured = grey.copy()
    coloured[..., 2] = 0.4
    assert stage.blend(pair(coloured, grey), 0.5, params, CONTEXT)[..., 0] == pytest.approx(0.53)


# -- frames that repeat the one before -------------------------------------------------------------------


def shown(*pictures: int, grain: float = 0.0) -> tuple[Frame, ...]:
    """Frames that show these of a moving film's pictures."""
    film = synth.moving(n=max(pictures) + 1, size=(64, 80), drift=(3, 0))
    rng = np.random.default_rng(2)
    noise = [np.float32(grain) * rng.standard_normal(film.rgb[0].shape).astype(np.float32) for _ in pictures]
    return tuple(Frame(n, np.clip(film.rgb[p] + noise[n], 0, 1)) for n, p in enumerate(pictures))


@pytest.mark.parametrize(
    ("pictures", "centre", "t", "expected"),
    [
        ((0, 1, 2, 3), 1, 0.0, (1, 2, 0.0)),  # nothing repeated
        ((0, 1, 2, 3), 1, 0.5, (1, 2, 0.5)),
        ((0, 0, 1, 2), 0, 0.0, (0, 2, 0.0)),  # the first to show its picture is kept
        ((0, 0, 1, 2), 0, 0.5, (0, 2, 0.25)),
        ((0, 0, 1, 2), 1, 0.0, (0, 2, 0.5)),
        ((0, 0, 1, 2), 1, 0.5, (0, 2, 0.75)),
        ((0, 1, 1, 1, 1, 2), 4, 0.0, (1, 5, 0.75)),  # as long as a repeat may be
        ((0, 1, 1, 1, 1, 1, 2), 4, 0.5, (4, 5, 0.5)),  # a still
        ((0, 1, 1), 2, 0.0, (2, 3, 0.0)),  # up to the end of the shot: nothing to go to
    ],
)
def test_a_time_lies_between_two_distinct_pictures(
    pictures: tuple[int, ...], centre: int, t: float, expected: tuple[int, int, float]
) -> None:
    for grain in (0.0, 0.001):
        assert distinct(Window(shown(*pictures, grain=grain), centre), t) == expected


class Repeating(Film):
    """A film each of whose pictures is shown twice."""

    def frame(self, n: int) -> Frame:
        return Frame(n, super().frame(n // 2 * 2).rgb)


def rendered(cache: FrameCache, film: Film, *cuts: int, **params: object) -> Renderer:
    recipe = Recipe((StageSpec("interpolate", {"rate": "24", **params}),))
    return Renderer(film, shots_from_cuts(cuts, film.clip.count), recipe, PLUGINS, cache, device="cpu")


def test_repeated_frames_are_made_anew_and_all_else_stays(tmp_path) -> None:
    film, cache = Repeating(12), FrameCache(tmp_path)
    kept, made = rendered(cache, film, 6), rendered(cache, film, 6, remove_duplicates=True)
    assert made.timeline == kept.timeline  # count, times and shots, and with them the sound's sync
    pictures = [f.rgb for f in made.render()]
    for n, rgb in enumerate(pictures):
        repeats = n % 2 == 1 and n not in (5, 11)  # the last frame of each shot has nothing to go to
        assert np.array_equal(rgb, film.frame(n).rgb) != repeats
        if repeats:
            truth = AlongFlow().between(film.frame(n - 1).rgb, film.frame(n + 1).rgb, 0.5)
            assert np.abs(rgb - truth).max() < 1e-4


def test_where_duplicates_are_removed_the_other_side_of_a_cut_is_not_looked_at(tmp_path) -> None:
    def first_shot(name: str, film: Film) -> list[np.ndarray]:
        made = rendered(FrameCache(tmp_path / name), film, 6, rate="60", remove_duplicates=True)
        return [f.rgb for f in made.render(made.timeline.shots[0].range)]

    clean = first_shot("clean", Repeating(12))
    harmed = first_shot("harmed", Repeating(12, poison=frozenset(range(6, 12))))
    assert all(np.array_equal(a, b) for a, b in zip(clean, harmed, strict=True))


def test_a_key_holds_every_frame_that_was_looked_at(tmp_path) -> None:
    line = rendered(FrameCache(tmp_path), Film(20), remove_duplicates=True).line
    assert line.nodes[1].needs(10) == FrameRange(6, 15)
    assert rendered(FrameCache(tmp_path), Film(20)).line.nodes[1].needs(10) == FrameRange(10, 11)
