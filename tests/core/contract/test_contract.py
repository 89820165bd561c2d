from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest

from core.contract.fingerprint import fingerprint
from core.contract.params import build, choice, describe, number, registered, switch, text, values_of
from core.contract.plugins import load_plugins
from core.contract.recipe import Recipe, StageSpec
from core.contract.registry import Makers, Registry
from core.errors import InputError, RecipeError
from core.models.device import pick_device
from tests.core.render import fakes


@dataclass(frozen=True)
class Params:
    strength: float = number(0.5, 0.0, 1.0, help="how much", unit="gain")
    radius: int = number(2, 0, 8, help="how far")
    mode: str = choice("dark", ("dark", "bright"), help="which")
    on: bool = switch(True, help="whether")
    rate: str = text("60", help="to what")
    flow: str = registered("dis", "flows", help="by whom")


def test_declared_parameters_are_checked_and_described():
    assert build(Params, {"strength": 1, "radius": 3.0}, where="x") == Params(1.0, 3)
    assert values_of(Params()) == {
        "strength": 0.5,
        "radius": 2,
        "mode": "dark",
        "on": True,
        "rate": "60",
        "flow": "dis",
    }
    rows = describe(Params)
    assert [r["kind"] for r in rows] == ["float", "int", "choice", "switch", "text", "registered"]
    assert rows[0]["low"] == 0.0
    assert rows[0]["unit"] == "gain"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"strength": 1.5}, "1.5 is outside 0 to 1"), ({"strength": "a"}, "expected a number"),
        ({"strength": float("nan")}, "expected a number"), ({"strength": True}, "expected a number"),
        ({"radius": 1.5}, "whole number"), ({"mode": "blue"}, "one of dark, bright"),
        ({"on": 1}, "true or false"), ({"speed": 1}, "unknown parameter 'speed'"), ({"rate": []}, "text"),
        ({"flow": 2}, "expected a name"),
    ],
)  # fmt: skip
def test_wrong_parameters_name_stage_parameter_and_bounds(values, says):
    with pytest.raises(RecipeError, match=says) as caught:
        build(Params, values, where="stage dedust")
    assert str(caught.value).startswith("stage dedust")


def test_keys_know_types_and_shapes():
    different = [
        1, 1.0, True, "1", b"1", None, Fraction(1), (1,), ((1,),), {"a": 1}, {"a": 1.0},
        np.zeros(4, np.float32), np.zeros((2, 2), np.float32), np.zeros(4, np.float64), Params(), 0.1 + 0.2, 0.3,
    ]  # fmt: skip
    keys = [fingerprint(v) for v in different]
    assert len(set(keys)) == len(keys)
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint([1, 2]) == fingerprint((1, 2))


def test_keys_refuse_what_has_no_canonical_form():
    with pytest.raises(TypeError):
        fingerprint(object())


def test_recipes_come_back_from_json_and_are_checked():
    recipe = Recipe((StageSpec("blur", {"radius": 2}), StageSpec("level", {}, False)), "mine")
    assert Recipe.from_json(recipe.to_json()) == recipe
    checked = Recipe((StageSpec("blur"),)).checked(fakes.plugins().stages)
    assert checked.steps[0].params == {"radius": 1}
    for bad, says in [
        ((StageSpec("nix"),), "unknown stage 'nix'; known: blur"),
        ((StageSpec("blur"), StageSpec("blur")), "comes twice"),
        ((StageSpec("blur", {"radius": 9}),), "stage blur, parameter 'radius'"),
    ]:
        with pytest.raises(RecipeError, match=says):
            Recipe(bad).checked(fakes.plugins().stages)
    for broken in ("{", "[]", '{"steps": [{}]}', '{"steps": 3}'):
        with pytest.raises(RecipeError, match="recipe"):
            Recipe.from_json(broken)


def test_paddlegans_order_is_understood():
    recipe = Recipe((StageSpec("dedust"), StageSpec("colourise"), StageSpec("upscale"), StageSpec("interpolate")))
    got = recipe.in_order(["DAIN", "DeOldify", "EDVR"])
    assert [s.name for s in got.active] == ["dedust", "interpolate", "colourise", "upscale"]
    assert [s.name for s in recipe.in_order(["DeOldify"]).active] == ["dedust", "colourise"]
    with pytest.raises(RecipeError, match="twice"):
        recipe.in_order(["EDVR", "RealSR"])


def test_the_registry_is_all_or_nothing():
    registry = Registry("stage", str)
    registry.add("a", "thing")
    with pytest.raises(InputError, match="registered twice"):
        registry.add("a", "other")
    with pytest.raises(InputError, match="int is not a str"):
        registry.add("b", 3)
    assert list(registry) == ["a"]
    with pytest.raises(InputError, match="unknown stage 'c'; known: a"):
        registry.get("c")


def test_what_makers_make_is_made_once_for_a_device_whoever_asks():
    makers, made = Makers("thing"), []

    def maker(device):
        made.append(device)
        if len(made) == 1:
            raise InputError("not yet")
        return object()

    makers.add("one", maker)
    with pytest.raises(InputError, match="not yet"):
        makers.made("one", "cpu")
    with ThreadPoolExecutor(4) as pool:  # what failed is tried again, by one of those who ask
        things = set(pool.map(lambda name: makers.made("one", name), ["cpu", "CPU"] * 8))
    assert len(things) == 1
    assert made == ["cpu", "cpu"]
    assert (makers.made("one") in things) == (str(pick_device(None)) == "cpu")
    with pytest.raises(InputError, match="unknown thing 'two'; known: one"):
        makers.made("two")


class Point:
    """A stranger's entry point."""

    value, dist = "odd:register", None

    def __init__(self, name, register):
        self.name, self.register = name, register

    def load(self):
        return self.register


def strangers(monkeypatch, **registers):
    points = [Point(name, register) for name, register in registers.items()]
    monkeypatch.setattr("core.contract.plugins.entry_points", lambda group: points)


def stops(plugins):
    raise SystemExit(3)


def fails(plugins):
    raise RuntimeError("second line\nof trouble")


def repeats(plugins):
    plugins.flows.add("theirs", print)
    plugins.flows.add("built-in", print)


@pytest.mark.parametrize(
    ("register", "said"),
    [
        (stops, "SystemExit: 3"),
        (fails, r"RuntimeError: second line\nof trouble"),
        (repeats, "flow estimator 'built-in' is registered twice; rename one of them"),
        (None, "TypeError: 'NoneType' object is not callable"),
    ],
)
def test_a_strangers_failure_is_a_warning_in_one_line(monkeypatch, caplog, register, said):
    class Ours:
        @staticmethod
        def register(plugins):
            plugins.flows.add("built-in", len)

    strangers(monkeypatch, odd=register, good=lambda plugins: plugins.flows.add("good", len))
    plugins = load_plugins([Ours])
    assert list(plugins.flows) == ["built-in", "good"]
    assert plugins.flows.get("built-in") is len
    assert [record.getMessage() for record in caplog.records] == [f"plugin odd of odd:register left out: {said}"]


def test_of_a_stranger_that_fails_nothing_stays_and_of_the_others_all(monkeypatch):
    held = []

    def first(plugins):
        held.append(plugins.flows)  # as a stage does that asks for networks
        plugins.flows.add("first", len)
        plugins.checks.add("first", len)

    def second(plugins):
        for registry in (plugins.flows, plugins.upscalers, plugins.checks):
            registry.add("second", len)
        fails(plugins)

    strangers(monkeypatch, a=first, b=second, c=lambda plugins: plugins.flows.add("third", len))
    plugins = load_plugins([])
    assert (list(plugins.flows), list(plugins.checks), list(plugins.upscalers)) == (["first", "third"], ["first"], [])
    assert held == [plugins.flows]


def test_a_stranger_that_cannot_be_imported_is_a_warning(monkeypatch, caplog):
    class Lost(Point):
        def load(self):
            raise ImportError("no module odd")

    monkeypatch.setattr("core.contract.plugins.entry_points", lambda group: [Lost("odd", None)])
    assert len(load_plugins([]).stages) == 0
    assert caplog.messages == ["plugin odd of odd:register left out: ImportError: no module odd"]
