"""Need in an open project: worked out in the background, falling where a hint speaks, holding still for a person."""

from __future__ import annotations

import time

import makers
import numpy as np
import pytest

from core.errors import PochoirError
from core.film.shot import shots_from_cuts
from core.render.motion import ShotMotion
from hints.source import Carried
from studio.need import FEW, neediest, wanted
from studio.session import Session


class Doubting(makers.Tint):
    """Doubts everywhere but where a hint speaks."""

    fingerprint = "doubting-1"

    def features(self, luma):
        return np.zeros((4, 4, 2), np.float32)

    def deviation(self, luma, hint_ab=None, hint_weight=None):
        return np.full(luma.shape, 25.0, np.float32)


@pytest.fixture
def session(tmp_path, monkeypatch):
    monkeypatch.setenv("POCHOIR_CACHE", str(tmp_path / "user-cache"))
    plugins = makers.plugins(Doubting)
    film = makers.film(tmp_path / "film")
    made = Session.create(tmp_path / "reel.pochoir", film, rate="16", recipe=makers.RECIPE, plugins=plugins)
    yield made
    made.close()


def known(session, near=0, since=0):
    """Everything that can be known, by frame; and where the next answer goes on."""
    rows, ends = {}, time.monotonic() + 120
    while True:
        told = session.need(near, since)
        assert told["fault"] == ""
        rows.update({n: (share, x, y) for n, share, x, y in told["rows"]})
        since = told["serial"]
        if not told["due"]:
            return rows, since
        assert time.monotonic() < ends, "it was never worked out"
        time.sleep(0.02)


def test_a_coloured_still_brings_need_down_in_its_shot_alone(session):
    before, since = known(session)
    assert set(before) == {*range(6), *(6 + (2 * i + 1) * 6 // (2 * FEW) for i in range(FEW))}
    assert all(0 <= share <= 1 and 0 <= x <= makers.W and 0 <= y <= makers.H for share, x, y in before.values())
    assert session.need_map(0).mean() == pytest.approx(before[0][0], abs=2e-3)
    carries = session.carries
    session.add_hint({"frame": 2, "kind": "reference"}, image=makers.coloured_still())
    after, since = known(session, since=since)
    assert set(after) == set(range(6))
    assert after[2][0] < 0.1 < before[2][0]
    assert session.carries > carries
    session.undo()
    again, _ = known(session, since=since)
    assert again == {n: before[n] for n in range(6)}


def test_hints_are_carried_while_a_person_steps_through_the_shot(session):
    known(session)
    session.add_hint({"frame": 0, "kind": "reference"}, image=makers.coloured_still())
    uncoloured, ends = session.preview(5), time.monotonic() + 60
    while np.array_equal(session.preview(5), uncoloured):  # whoever looks so often is never quiet
        session.need(5)
        assert time.monotonic() < ends, "stepping through the shot kept its hints from being carried"
        time.sleep(0.05)
    assert session.carries > 0


def test_a_region_in_the_shot_in_view_finds_its_flow_there(session, monkeypatch):
    known(session)
    asked = []
    monkeypatch.setattr(ShotMotion, "pair", lambda self, n: asked.append(n))
    mask = np.zeros((makers.H, makers.W), bool)
    mask[:, : makers.W // 2] = True
    session.add_hint({"frame": 2, "kind": "region", "colour": "#804020"}, mask=mask)
    rows, _ = known(session)
    assert set(rows) >= set(range(6))
    assert not asked


def test_what_cannot_be_prepared_is_said_and_the_work_goes_on_once_it_can(session, monkeypatch):
    def full(*_args):
        raise PochoirError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(Carried, "prepare", full)
        ends = time.monotonic() + 60
        while not (fault := session.need(0)["fault"]):
            assert time.monotonic() < ends
            time.sleep(0.02)
        assert fault == "the disk is full"
    session.add_hint({"frame": 2, "kind": "reference"}, image=makers.coloured_still())
    rows, _ = known(session)
    assert set(rows) >= set(range(6))


def test_what_is_approved_is_in_no_need(session):
    known(session)
    mask = np.zeros((makers.H, makers.W), bool)
    mask[:, : makers.W // 2] = True
    session.add_hint({"frame": 0, "kind": "lock"}, mask=mask)
    known(session)
    need = session.need_map(0)
    half = need.shape[1] // 2
    assert need[:, : half - 1].max() == 0
    assert need[:, half + 1 :].min() > 0


def test_without_colouring_nothing_is_worked_out(session):
    session.set_recipe(type(makers.RECIPE)(makers.RECIPE.steps[:1], "repair"))
    assert session.need(0)["fault"] == "the recipe does not colour"
    assert session.need_map(0) is None


def test_a_colouriser_without_doubt_is_said_not_guessed(tmp_path, monkeypatch):
    monkeypatch.setenv("POCHOIR_CACHE", str(tmp_path / "user-cache"))
    film = makers.film(tmp_path / "film")
    with Session.create(
        tmp_path / "plain.pochoir", film, rate="16", recipe=makers.RECIPE, plugins=makers.plugins()
    ) as session:
        ends = time.monotonic() + 60
        while not (fault := session.need(0)["fault"]):
            assert time.monotonic() < ends
            time.sleep(0.02)
        assert "embedded" in fault


def test_the_shot_in_view_comes_first_and_ever_finer():
    shots = shots_from_cuts([40, 60, 62], 100)
    order = [n for _, n in wanted(shots, 45)]
    assert order[:4] == [45, 40, 56, 48]
    assert sorted(order[:20]) == list(range(40, 60))
    assert len(order) == len(set(order)) == 20 + 2 + 2 * FEW
    assert set(order[20:]) >= {60, 61}


def test_the_neediest_place_is_told_in_pixels_of_the_film():
    need = np.zeros((20, 30), np.uint8)
    need[4:8, 20:26] = 255
    share, x, y = neediest(need, (200, 300))
    assert share == pytest.approx(24 / 600, abs=1e-4)
    assert 200 <= x <= 260
    assert 40 <= y <= 80
