"""A project's state: what is saved is what comes back; undo and redo over restarts; nothing half done."""

from __future__ import annotations

import makers
import numpy as np
import pytest

from core.contract.recipe import Recipe, StageSpec
from core.errors import HintError, InputError, ProjectError
from hints.hint import HintSet
from hints.interchange import decode
from studio import edits
from studio.history import difference
from studio.project import Project, clip_from_json, clip_to_json, project_of
from studio.said import changed_hint, hint_from, region_from
from studio.state import State
from studio.store import Store, replay

RECIPE = Recipe((StageSpec("dedust", {"strength": 0.5}), StageSpec("colourise", {}, False)), "mine")
POINT = {"frame": 3, "kind": "point", "colour": "#803020", "xy": [10.5, 20.0]}


@pytest.fixture
def folder(tmp_path):
    """A folder with a store of a project just made."""
    store = Store.create(tmp_path / "project.db")
    project = Project(makers.clip(), (6,), RECIPE)
    store.set_facts(clip=clip_to_json(project.clip), cuts=[6])
    objects, _ = project.objects()
    store.append("made", "make", difference({}, objects))
    store.close()
    return tmp_path


class Opened:
    """A state over a folder's store."""

    def __init__(self, folder):
        self.store = Store.open(folder / "project.db")
        self.state = State(self.store)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        assert replay(self.store.events()) == self.store.objects()
        self.store.close()

    @property
    def project(self):
        return self.state.now[0]

    def say(self, mask=None, image=None, **row):
        row = {"id": self.state.fresh_id("hint", "h"), **row}
        hint = hint_from(self.project, row, mask, image)
        self.state.commit(lambda project: edits.add_hint(project, hint))
        return hint

    def change(self, hint_id, **changes):
        hint = changed_hint(self.project, hint_id, changes)
        self.state.commit(lambda project: edits.update_hint(project, hint))


def reopened(folder):
    with Opened(folder) as opened:
        return opened.project


def test_a_films_facts_survive_json():
    clip = makers.clip(count=200, files=("a.png", "b.png"))
    assert clip_from_json(clip_to_json(clip)) == clip
    with pytest.raises(ProjectError, match="damaged"):
        clip_from_json({**clip_to_json(clip), "ledger": "AAAA"})


def test_every_kind_of_hint_comes_back_as_it_was_said(folder):
    with Opened(folder) as opened:
        evidence = {"source": "a plate", "certainty": "documented"}
        row = {"id": "coat", "name": "Coat", "colour": "#4b5a3c", "shelf": 4, "evidence": evidence}
        region = region_from(opened.project, row)
        opened.state.commit(lambda project: edits.put_region(project, region))
        opened.say(**POINT, radius=2, note="kept")
        opened.say(frame=0, kind="scribble", colour="#7a2a20", path=[[10, 20], [40, 22]], width=6)
        opened.say(frame=7, kind="region", region="coat", mask=makers.disc(), span=[6, 12], strength=0.5)
        opened.say(frame=0, kind="reference", image=makers.coloured_still())
        opened.say(frame=9, kind="neutral", mask=makers.disc(40, 10))
        opened.say(frame=9, kind="lock", mask=makers.disc(30, 30), ramp=None)
        said = opened.project
    again = reopened(folder)
    assert again == said
    assert again.recipe == RECIPE
    assert np.array_equal(again.hints.hint("h3").mask.inside, makers.disc())
    assert again.hints.hint("h1").extra == {"note": "kept"}
    assert again.hints.region("coat").extra == {"shelf": 4}
    assert [h.id for h in again.hints.hint("h6").frozen] == ["h1", "h2", "h3", "h4", "h5"]


def test_a_lock_keeps_what_it_locked_when_that_is_changed_later(folder):
    with Opened(folder) as opened:
        opened.say(**POINT)
        opened.say(frame=3, kind="lock", mask=makers.disc())
        opened.change("h1", colour="#00ff00")
        opened.change("h2", strength=0.5)
        assert opened.project.hints.hint("h2").frozen[0].colour == "#803020"
    again = reopened(folder)
    assert again.hints.hint("h1").colour == "#00ff00"
    assert again.hints.hint("h2").frozen[0].colour == "#803020"


def test_undo_and_redo_over_a_restart(folder):
    with Opened(folder) as opened:
        opened.say(**POINT)
        opened.say(frame=7, kind="neutral", mask=makers.disc())
        opened.state.commit(lambda project: edits.delete_hint(project, "h1"))
        three = opened.project
    with Opened(folder) as opened:
        assert opened.state.labels() == ("delete h1", None)
        opened.state.undo()
        # The hint is back, and in its own place: of two hints on one spot the later one counts.
        assert [h.id for h in opened.project.hints] == ["h1", "h2"]
        opened.state.undo()
        assert [h.id for h in opened.project.hints] == ["h1"]
    with Opened(folder) as opened:
        assert opened.state.labels() == ("add point h1", "add neutral h2")
        opened.state.redo()
        opened.state.redo()
        assert opened.project == three
        with pytest.raises(InputError, match="nothing to redo"):
            opened.state.redo()
        for _ in range(3):
            opened.state.undo()
        assert len(opened.project.hints) == 0
        with pytest.raises(InputError, match="nothing to undo"):
            opened.state.undo()
    assert reopened(folder).hints == HintSet()


def test_undo_in_one_session_gives_the_very_states_that_were(folder):
    with Opened(folder) as opened:
        states = [opened.project]
        opened.say(**POINT)
        states.append(opened.project)
        opened.state.commit(lambda project: edits.set_cuts(project, {4: True}))
        states.append(opened.project)
        opened.state.undo()
        assert opened.project is states[1]
        opened.state.undo()
        assert opened.project is states[0]
        opened.state.redo()
        assert opened.project is states[1]


def test_a_new_edit_closes_the_way_to_what_was_undone(folder):
    with Opened(folder) as opened:
        opened.say(**POINT)
        opened.state.undo()
        opened.say(**POINT)
        assert opened.state.labels() == ("add point h2", None)


def test_an_id_is_never_given_twice(folder):
    with Opened(folder) as opened:
        assert opened.say(**POINT).id == "h1"
        opened.state.commit(lambda project: edits.delete_hint(project, "h1"))
    with Opened(folder) as opened:
        assert opened.say(**POINT).id == "h2"


def test_every_gesture_counts_once_and_an_empty_one_not_at_all(folder):
    with Opened(folder) as opened:
        before = opened.state.now[1]
        opened.say(**POINT)
        opened.change("h1", colour="#803020")  # the colour it has already
        assert opened.state.now[1] == before + 1


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({**POINT, "frame": 12}, "hint h1: frame 12 is outside the film"),
        ({**POINT, "xy": [99, 1]}, "hint h1: 'xy'.*outside the picture"),
        ({**POINT, "colour": "red"}, "hint h1: colour 'red'"),
        ({**POINT, "region": "hat"}, "hint h1: there is no region 'hat'"),
        ({"frame": 1, "kind": "region", "colour": "#111111"}, "hint h1: a region needs 'mask'"),
        ({"frame": 1, "kind": "region", "colour": "#111111", "mask": "m.png"}, "must come as pixels"),
        ({"frame": 1, "kind": "reference", "image": "/etc/passwd"}, "must come as bytes"),
    ],
)
def test_a_hint_that_breaks_a_rule_changes_nothing(folder, row, said):
    with Opened(folder) as opened:
        before = opened.state.now
        with pytest.raises(HintError, match=said):
            opened.say(**row)
        assert opened.state.now == before
    assert reopened(folder).hints == HintSet()


def test_changing_fields_of_a_hint(folder):
    with Opened(folder) as opened:
        opened.say(**POINT, radius=4)
        opened.say(frame=7, kind="region", colour="#112233", mask=makers.disc())
        opened.change("h1", radius=None, xy=[1, 2])
        assert (opened.project.hints.hint("h1").radius, opened.project.hints.hint("h1").xy) == (3.0, (1.0, 2.0))
        opened.change("h2", colour="#445566")
        assert np.array_equal(opened.project.hints.hint("h2").mask.inside, makers.disc())
        opened.change("h2", mask=makers.disc(30, 30))
        assert np.array_equal(opened.project.hints.hint("h2").mask.inside, makers.disc(30, 30))
        for changes, said in (({"id": "h9"}, "id never changes"), ({"frame": 40}, "outside the film")):
            with pytest.raises(HintError, match=said):
                opened.change("h1", **changes)
        with pytest.raises(HintError, match="no such hint"):
            opened.change("h7", colour="#000000")


def test_taking_in_a_file_is_one_gesture_and_replaces_known_ids(folder):
    with Opened(folder) as opened:
        opened.say(**POINT)
        given = decode(
            {
                "version": 1,
                "project": "kept",
                "regions": [{"id": "coat", "name": "Coat", "colour": "#4b5a3c"}],
                "hints": [
                    {"id": "a", "frame": 1, "kind": "point", "region": "coat", "xy": [1, 1]},
                    {**POINT, "id": "h1", "colour": "#0000ff"},
                ],
            },
            size=opened.project.clip.size,
            count=opened.project.clip.count,
            read=lambda name: b"",
        )
        version = opened.state.now[1]
        opened.state.commit(lambda project: edits.take_in(project, given, "hints.json"))
        assert opened.state.now[1] == version + 1
        assert [(h.id, h.colour) for h in opened.project.hints] == [("h1", "#0000ff"), ("a", None)]
    assert reopened(folder).hints.extra == {"project": "kept"}
    with Opened(folder) as opened:
        opened.state.undo()
        assert [(h.id, h.colour) for h in opened.project.hints] == [("h1", "#803020")]
        assert opened.project.hints.regions == ()


def test_cuts_by_hand(folder):
    with Opened(folder) as opened:

        def cut(frame, on):
            opened.state.commit(lambda project: edits.set_cuts(project, {frame: on}))
            return [(s.range.start, s.begins) for s in opened.project.shots]

        assert cut(3, True) == [(0, "start"), (3, "hand"), (6, "cut")]
        assert cut(6, False) == [(0, "start"), (3, "hand")]
        assert cut(6, True) == [(0, "start"), (3, "hand"), (6, "cut")]
        assert opened.project.hand == ((3, True),)
        assert cut(3, False) == [(0, "start"), (6, "cut")]
        for frame in (0, 12, -1):
            with pytest.raises(InputError, match="cut at frame"):
                cut(frame, True)
    assert reopened(folder).hand == ()


def test_a_state_that_was_tampered_with_is_named(folder):
    store = Store.open(folder / "project.db")
    store._db.execute("DELETE FROM objects WHERE kind = 'recipe'")
    store.close()
    with pytest.raises(ProjectError, match=r"damaged .*recipe"), Opened(folder):
        pass


def test_projects_are_their_objects():
    project = Project(makers.clip(), (6,), RECIPE)
    hint = hint_from(project, {**POINT, "id": "x"})
    project = edits.set_cuts(edits.add_hint(project, hint).project, {2: True}).project
    objects, blobs = project.objects()
    assert project_of(project.clip, (6,), objects, blobs.__getitem__) == project
