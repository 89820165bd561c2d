"""The colour contract, measured: what was rendered right is 0, what was rendered wrong is its distance."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from core.errors import InputError
from core.film.colour import join
from core.film.frame import Frame
from hints.delta import check
from hints.hint import Hint, HintSet
from hints.picture import Mask, Picture
from hints.region import Region
from hints.source import Carried

sys.path.insert(0, str(Path(__file__).parent))
from film import SIZE, Film, Memory

RED = Region("red", "Coat", "#8a4a3c")


@dataclass
class Rendered:
    """Stands for a renderer: paints a frame by a rule."""

    film: Film
    paint: object
    colours: bool = True
    hint_source: object = None

    @property
    def line(self):
        node = SimpleNamespace(takes=self.film.timeline)
        return SimpleNamespace(index=lambda name: 0 if self.colours else None, nodes=[node])

    @property
    def source(self):
        return SimpleNamespace(clip=SimpleNamespace(size=SIZE))

    def picture(self, n, *, after):
        assert after == "colourise"
        return Frame(n, join(self.film.luma(n), self.paint(n)))


@pytest.fixture(scope="module")
def film():
    return Film(3, step=1.0)


def region(film, **more):
    return Hint("coat", 1, "region", region="red", mask=Mask.of(film.mask(1)), **more)


def obeyed(film, hints):
    source = Carried(hints, film.timeline, SIZE, film, Memory())

    def paint(n):
        field = source.at_once(n)
        return np.where(field.weight[..., None] > 0.5, field.ab, np.float32(0))

    return Rendered(film, paint, hint_source=source)


def test_a_film_painted_as_asked_has_no_difference(film):
    hints = HintSet(
        (RED,),
        (
            region(film),
            Hint("dot", 1, "point", colour="#3c5a8a", xy=(110.0, 20.0)),
            Hint("grey", 1, "neutral", xy=(110.0, 70.0), radius=5.0),
        ),
    )
    found = check(hints, obeyed(film, hints))
    assert [row["id"] for row in found["hints"]] == ["coat", "dot", "grey"]
    assert [row["frame"] for row in found["hints"]] == [1, 1, 1]
    assert found["max"] < 0.5
    assert found["overruled"] == []


def test_a_second_mask_is_measured_in_the_light_of_the_first():
    film = Film(3, step=0.0)
    bright = film._luma
    film._luma = lambda n: (bright(n) * (1 - 0.2 * n)).astype(np.float32)
    hints = HintSet((RED,), tuple(replace(region(film), id=f"h{n}", frame=n) for n in (0, 2)))
    found = check(hints, obeyed(film, hints))
    assert [row["id"] for row in found["hints"]] == ["h0", "h2"]
    assert found["max"] < 0.5


def test_a_grey_film_is_as_far_off_as_the_colour_is(film):
    hints = HintSet((RED,), (region(film),))
    found = check(hints, Rendered(film, lambda n: np.zeros((*SIZE, 2), np.float32)))
    assert found["median"] == found["max"] > 10


def test_a_hint_that_a_later_one_covers_is_overruled_not_measured(film):
    later = replace(region(film), id="later", region=None, colour="#3c8a4a")
    hints = HintSet((RED,), (region(film), later))
    found = check(hints, obeyed(film, hints))
    assert [row["id"] for row in found["hints"]] == ["later"]
    assert found["overruled"] == ["coat"]
    assert found["max"] < 0.5


def test_a_reference_is_measured_where_nothing_lies_over_it(film):
    ab = np.broadcast_to(np.float32([6, 18]), (*SIZE, 2))
    still = Hint("still", 1, "reference", image=Picture.of(join(film.luma(1), ab)))
    hints = HintSet((RED,), (region(film), still))
    found = check(hints, obeyed(film, hints))
    assert {row["id"] for row in found["hints"]} == {"coat", "still"}
    assert found["max"] < 0.6


def test_a_reference_from_elsewhere_is_measured_by_what_was_matched(film):
    ab = np.where(film.mask(1)[..., None], np.float32([30, 25]), np.float32([-5, -35]))
    mirrored = np.ascontiguousarray(join(film.luma(1), ab)[:, ::-1])
    noise = np.kron(np.random.default_rng(7).random((12, 16)) < 0.5, np.ones((8, 8))).astype(np.float32) * 80 + 10
    strange = join(noise, np.broadcast_to(np.float32([30, 25]), (*SIZE, 2)))
    hints = HintSet(
        (), tuple(Hint(i, 1, "reference", image=Picture.of(p)) for i, p in (("m", mirrored), ("s", strange)))
    )
    right, grey = obeyed(film, hints), Rendered(film, lambda n: np.zeros((*SIZE, 2), np.float32))
    (row,) = check(hints, right)["hints"]
    assert (row["id"], check(hints, right)["not_found"]) == ("m", ["s"])
    assert row["found"] > 0.6
    assert row["delta_e"] < 0.5
    grey.hint_source = right.hint_source
    assert check(hints, grey)["max"] > 10


def test_a_lock_asks_for_nothing_but_overrules_what_came_after(film):
    lock = Hint("lock", 1, "lock", mask=Mask.of(film.mask(1)))
    late = replace(region(film), id="late")
    hints = HintSet((RED,)).add_hint(lock).add_hint(late)
    found = check(hints, Rendered(film, lambda n: np.zeros((*SIZE, 2), np.float32)))
    assert found["hints"] == []
    assert found["overruled"] == ["late"]
    assert found["median"] is None


def test_a_recipe_without_colour_is_refused(film):
    with pytest.raises(InputError, match="does not colour"):
        check(HintSet(), Rendered(film, None, colours=False))
