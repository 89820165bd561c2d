"""What every registered stage promises, built in or a stranger's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.contract.params import build, describe, values_of
from core.contract.recipe import Recipe, StageSpec
from core.contract.stage import FrameStage, RetimeStage
from core.errors import InputError, ModelMissingError, RecipeError
from core.film.timebase import FrameRange
from tests.contracts.registered import ACTING, ODD, PLUGINS, Film, pictures, renderer

STAGES = sorted(PLUGINS.stages)
every_stage = pytest.mark.parametrize("name", STAGES)
PARAMETERS = [(s, p["name"]) for s in STAGES for p in describe(PLUGINS.stages.get(s).Params)]


def params_of(name: str) -> Any:
    return build(PLUGINS.stages.get(name).Params, ACTING.get(name, {}), where=name)


def radius_of(name: str) -> int:
    stage = PLUGINS.stages.get(name)
    return stage.radius(params_of(name)) if isinstance(stage, FrameStage) else 0


def test_the_line_has_its_stages() -> None:
    assert {"deflicker", "dedust", "colourise", "upscale", "interpolate"} <= set(STAGES)


@every_stage
def test_says_what_it_is(name: str) -> None:
    stage = PLUGINS.stages.get(name)
    assert stage.name == name
    assert stage.version >= 1
    assert len(stage.help.split()) >= 3
    assert type(stage).__doc__


@pytest.mark.parametrize(("name", "parameter"), PARAMETERS)
def test_every_parameter_has_help_and_bounds(name: str, parameter: str) -> None:
    stage = PLUGINS.stages.get(name)
    declared = next(p for p in describe(stage.Params) if p["name"] == parameter)
    assert len(declared["help"].split()) >= 2
    if declared["kind"] in ("int", "float"):
        low, high = declared["low"], declared["high"]
        assert low < high
        assert low <= declared["default"] <= high
        for edge in (low, high):
            assert values_of(build(stage.Params, {parameter: edge}, where=name))[parameter] == edge
        for beyond in (low - 1, high + 1, "much", None, True, float("nan")):
            with pytest.raises(RecipeError, match=parameter):
                build(stage.Params, {parameter: beyond}, where=name)
    elif declared["kind"] == "choice":
        assert declared["default"] in declared["options"]
        with pytest.raises(RecipeError, match=parameter):
            build(stage.Params, {parameter: "no such word"}, where=name)
    elif declared["kind"] == "registered":
        assert declared["default"] in {*declared["options"], *getattr(PLUGINS, declared["registry"])}
        with pytest.raises(RecipeError, match=parameter):
            build(stage.Params, {parameter: 3}, where=name)


@every_stage
def test_a_recipe_keeps_it_through_json(name: str) -> None:
    recipe = Recipe((StageSpec(name, ACTING.get(name, {})),)).checked(PLUGINS.stages)
    assert Recipe.from_json(recipe.to_json()).checked(PLUGINS.stages) == recipe


@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
@every_stage
def test_shape_type_and_range(name: str, colour: bool, tmp_path: Path) -> None:
    made = renderer(name, Film(5, colour=colour), tmp_path, 3)
    expected = PLUGINS.stages.get(name).size(ODD, params_of(name))
    given = pictures(made)
    assert len(given) == made.timeline.count
    for rgb in given:
        assert rgb.shape == (*expected, 3)
        assert rgb.dtype == np.float32
        assert np.isfinite(rgb).all()
        assert rgb.min() >= 0
        assert rgb.max() <= 1


@every_stage
def test_same_input_same_bits(name: str, tmp_path: Path) -> None:
    """Nothing but the input decides: not what was done before, not the order of frames."""
    forward = renderer(name, Film(5), tmp_path / "a", 3)
    backward = renderer(name, Film(5), tmp_path / "b", 3)
    first = pictures(forward)
    again = {n: backward.picture(n, after=name).rgb for n in reversed(range(backward.timeline.count))}
    assert all(np.array_equal(rgb, again[n]) for n, rgb in enumerate(first))


@every_stage
def test_threads_do_not_disturb_each_other(name: str, tmp_path: Path) -> None:
    def run(k: int) -> list[np.ndarray]:
        return pictures(renderer(name, Film(4), tmp_path / str(k)))

    with ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(run, range(3)))
    assert all(np.array_equal(a, b) for other in runs[1:] for a, b in zip(runs[0], other, strict=True))


@every_stage
def test_input_is_left_alone(name: str, tmp_path: Path) -> None:
    film = Film(5)
    kept = {n: film.frame(n) for n in range(5)}
    before = {n: f.rgb.copy() for n, f in kept.items()}
    film.frame = kept.__getitem__  # type: ignore[method-assign]
    pictures(renderer(name, film, tmp_path))
    assert all(np.array_equal(kept[n].rgb, before[n]) for n in kept)


@every_stage
def test_the_other_side_of_a_cut_is_never_looked_at(name: str, tmp_path: Path) -> None:
    clean = renderer(name, Film(8), tmp_path / "clean", 4)
    harmed = renderer(name, Film(8, poison=frozenset(range(4, 8))), tmp_path / "harmed", 4)
    own = harmed.timeline.shots[0].range
    a, b = pictures(clean, own), pictures(harmed, own)
    assert len(a) >= 4
    assert all(np.isfinite(rgb).all() for rgb in b)
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@every_stage
def test_nothing_outside_the_window_is_looked_at(name: str, tmp_path: Path) -> None:
    """Frames outside the declared window are NaN, and the result is bit for bit what it was."""
    radius, stage = radius_of(name), PLUGINS.stages.get(name)
    if not isinstance(stage, FrameStage | RetimeStage):
        pytest.skip("looks at the whole shot, as it declares")
    count = 2 * radius + 5
    clean = renderer(name, Film(count), tmp_path / "clean")
    for n in (0, clean.timeline.count // 2, clean.timeline.count - 1):
        if isinstance(stage, RetimeStage):
            at = clean.timeline.sources[n]
            window = {int(at), min(int(at) + (at != int(at)), count - 1)}
        else:
            window = set(range(n - radius, n + radius + 1))
        poison = frozenset(range(count)) - window
        harmed = renderer(name, Film(count, poison=poison), tmp_path / f"harmed{n}")
        (rgb,) = pictures(harmed, FrameRange(n, n + 1))
        assert np.isfinite(rgb).all()
        assert np.array_equal(rgb, clean.picture(n, after=name).rgb)


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0], ids=["black", "grey", "white"])
@every_stage
def test_an_empty_picture_stays_a_picture(name: str, level: float, tmp_path: Path) -> None:
    """Leader, fades and burnt-out frames: nothing to measure, nothing divided by nothing."""
    for rgb in pictures(renderer(name, Film(3, level=level), tmp_path)):
        assert np.isfinite(rgb).all()
        assert abs(float(rgb.mean()) - level) < (0.02 if name != "colourise" else 0.1)


@every_stage
def test_a_shot_of_one_frame(name: str, tmp_path: Path) -> None:
    made = renderer(name, Film(3), tmp_path, 1, 2)
    given = pictures(made)
    assert len(given) == made.timeline.count >= 3
    assert all(np.isfinite(rgb).all() for rgb in given)


@every_stage
def test_grey_film_stays_grey_but_for_the_colouring(name: str, tmp_path: Path) -> None:
    if name == "colourise":
        pytest.skip("this is the stage that colours")
    for rgb in pictures(renderer(name, Film(4), tmp_path)):
        assert np.array_equal(rgb[..., 0], rgb[..., 1])
        assert np.array_equal(rgb[..., 1], rgb[..., 2])


@every_stage
def test_strength_nought_changes_nothing(name: str, tmp_path: Path) -> None:
    if "strength" not in {f.name for f in fields(PLUGINS.stages.get(name).Params)}:
        pytest.skip("has no strength")
    film = Film(5, colour=True)
    for n, rgb in enumerate(pictures(renderer(name, film, tmp_path, strength=0.0))):
        assert np.array_equal(rgb, film.frame(n).rgb)


@pytest.mark.parametrize(("name", "parameter"), PARAMETERS)
def test_every_parameter_is_in_the_key(name: str, parameter: str, tmp_path: Path) -> None:
    declared = next(p for p in describe(PLUGINS.stages.get(name).Params) if p["name"] == parameter)
    usual = values_of(params_of(name))[parameter]
    if declared["kind"] in ("int", "float"):
        others = [v for v in (declared["low"], declared["high"]) if v != usual]
    elif declared["kind"] == "switch":
        others = [not usual]
    elif declared["kind"] == "choice":
        others = [o for o in declared["options"] if o != usual]
    elif declared["kind"] == "registered":
        others = [o for o in (*declared["options"], *getattr(PLUGINS, declared["registry"])) if o != usual]
    else:
        others = []
    if not others:
        pytest.skip("has no other value to try")
    film = Film(9)
    line = renderer(name, film, tmp_path).line
    key, keyed = line.key(line.last, 4), line.nodes[-1].parts[1]
    tried = 0
    for other in others:
        try:
            changed = renderer(name, film, tmp_path, **{parameter: other}).line
        except InputError as error:  # it asks for a checkpoint that is not here, or is what the usual model has not
            if not isinstance(error, ModelMissingError) and ", not of '" not in str(error):
                raise
            continue
        tried += 1
        other_key = changed.key(changed.last, min(4, changed.nodes[-1].gives.count - 1))
        # What only some models know is left out of a stage's own parameters, and is in these models' fingerprints.
        assert (other_key == key) == (changed.nodes[-1].parts[1] == keyed)
    if not tried:
        pytest.skip("every other value is of a model that is not in the model folder, or not the usual one")


@every_stage
def test_retiming_keeps_cuts_and_duration(name: str, tmp_path: Path) -> None:
    if not isinstance(PLUGINS.stages.get(name), RetimeStage):
        pytest.skip("keeps the frame count")
    film = Film(9)
    made = renderer(name, film, tmp_path, 4)
    line = made.timeline
    shortest = min(b - a for a, b in zip(line.times, line.times[1:], strict=False))
    assert abs(line.times[-1] - film.clip.seconds) <= shortest  # to within one frame
    assert all(a < b for a, b in zip(line.times, line.times[1:], strict=False))
    first, second = line.shots
    assert first.range.stop == second.range.start
    assert all(p <= 3 for p in line.sources[first.range.start : first.range.stop])
    assert all(p >= 4 for p in line.sources[second.range.start : second.range.stop])
