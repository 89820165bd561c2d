"""A session: edits and pictures, renders as jobs, delivery; counted exactly, byte for byte."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import cv2
import makers
import numpy as np
import pytest

from core.contract.recipe import Recipe, StageSpec
from core.errors import HintError, InputError, ProjectError
from hints.gestures import Stroke
from hints.source import Carried
from studio.session import Session

WAIT = 60.0
POINT = {"frame": 3, "kind": "point", "colour": "#c03020", "xy": [12.5, 20.5], "radius": 3}


@pytest.fixture(scope="module")
def plugins():
    return makers.plugins()


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("POCHOIR_CACHE", str(tmp_path / "user-cache"))


@pytest.fixture
def film(tmp_path):
    return makers.film(tmp_path / "film")


@pytest.fixture
def session(tmp_path, film, plugins):
    made = Session.create(tmp_path / "reel.pochoir", film, rate="16", recipe=makers.RECIPE, plugins=plugins)
    yield made
    made.close()


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}


def states(session):
    return [(row["state"], row["rendered"], row["stale"]) for row in session.need_render()]


def test_a_new_project_knows_its_film(session, film):
    told = session.describe()
    assert told["name"] == "reel"
    assert (told["clip"]["count"], told["clip"]["width"], told["clip"]["rate"]) == (12, 64, "16")
    assert [(s["start"], s["stop"], s["begins"]) for s in told["shots"]] == [(0, 6, "start"), (6, 12, "cut")]
    assert [step["stage"] for step in told["recipe"]["steps"]] == ["soften", "colourise"]
    assert (told["can_undo"], told["can_redo"], told["hints"]) == (False, False, [])
    assert states(session) == [("new", 0, 6), ("new", 0, 6)]
    assert sorted(p.name for p in session.dir.iterdir() if p.name[:10] != "project.db") == ["cache", "deliver", "lock"]


def test_rendering_again_makes_only_what_a_hint_reaches(session, tmp_path):
    first = session.render(tmp_path / "a")
    assert first.rendered == {"soften": 12, "colourise": 12}
    assert first.reused == {"soften": 0, "colourise": 0}
    assert states(session) == [("rendered", 6, 0), ("rendered", 6, 0)]

    session.add_hint({**POINT, "span": [2, 5]})
    assert states(session)[1] == ("rendered", 6, 0)
    second = session.render(tmp_path / "b")
    reached = second.rendered["colourise"]
    assert 1 <= reached <= 3
    assert second.rendered["soften"] == 0
    assert second.reused == {"soften": 12, "colourise": 12 - reached}
    before, after = pictures(tmp_path / "a"), pictures(tmp_path / "b")
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {f"{n:06d}.png" for n in range(2, 5)}
    assert "000003.png" in changed
    assert len(changed) == reached

    session.undo()
    third = session.render(tmp_path / "c")
    assert third.rendered == {"soften": 0, "colourise": 0}
    assert pictures(tmp_path / "c") == before


def test_the_pictures_shown_are_the_pictures_delivered(session, tmp_path, film):
    session.add_hint(POINT)
    session.render(tmp_path / "out")
    written = cv2.imread(str(tmp_path / "out" / "000003.png"))[..., ::-1]
    shown = np.rint(session.coloured_picture(3) * 255).astype(np.uint8)
    assert np.array_equal(written, shown)
    raw = cv2.imread(str(film / "frame_0003.png"), cv2.IMREAD_GRAYSCALE)
    assert np.array_equal(np.rint(session.source_picture(3)[..., 0] * 255), raw)
    restored = session.restored_picture(3)
    assert np.ptp(restored, axis=-1).max() == 0
    assert not np.array_equal(restored, session.source_picture(3))


def test_a_preview_shows_a_hint_at_once_and_keeps_nothing(session):
    before = session.preview(3)
    objects = len(list((session.dir / "cache").rglob("*")))
    version = session.version
    extra = session.preview(3, {"frame": 3, "kind": "point", "colour": "#2030c0", "xy": [12.5, 20.5]})
    assert extra[20, 12, 2] > extra[20, 12, 0]
    assert before[20, 12, 2] <= before[20, 12, 0] + 0.2
    assert session.version == version
    hint = session.add_hint(POINT)
    red = session.preview(3)
    assert red[20, 12, 0] > red[20, 12, 2]
    moved = session.preview(3, session.project.hints.hint(hint.id))
    assert np.array_equal(moved, red)
    assert len(list((session.dir / "cache").rglob("*"))) <= objects + 2
    with pytest.raises(HintError, match="outside the picture"):
        session.preview(3, {**POINT, "xy": [999, 0]})


def test_a_preview_agrees_with_the_render_at_the_hint(session):
    session.add_hint(POINT)
    at_once = session.preview(3)[20, 12]
    rendered = session.coloured_picture(3)[20, 12]
    assert np.abs(at_once - rendered).max() < 0.02


def test_a_preview_may_be_as_small_as_the_screen(session):
    session.add_hint(POINT)
    whole = session.preview(3)
    side = max(whole.shape[:2]) // 2
    small = session.preview(3, side=side)
    assert max(small.shape[:2]) == side
    reduced = cv2.resize(whole, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small - reduced).mean() < 0.02
    assert np.array_equal(session.preview(3, side=4 * side), whole)


def test_a_preview_keeps_showing_what_was_carried(session):
    """A hint carried to this frame does not vanish from it because another, not yet carried, was placed elsewhere."""
    session.add_hint({"frame": 0, "kind": "reference"}, image=makers.coloured_still())
    session.coloured_picture(3)
    carried = session.preview(3)
    session.add_hint({**POINT, "frame": 5})
    assert np.array_equal(session.preview(3), carried)
    session.delete_hint("h1")
    assert not np.array_equal(session.preview(3), carried)


def test_colours_asked_for_are_the_colours_rendered(session):
    session.add_hint(POINT)
    session.add_hint({"frame": 8, "kind": "region", "colour": "#3050a0"}, mask=makers.disc(30, 24))
    told = session.check_hints()
    assert [row["id"] for row in told["hints"]] == ["h1", "h2"]
    assert told["median"] <= 1
    assert told["max"] <= 3


def test_a_cut_set_by_hand_stops_a_hint(session, tmp_path):
    session.add_hint(POINT)
    session.render(tmp_path / "a")
    session.set_cut(4, True)
    session.render(tmp_path / "b")
    a, b = pictures(tmp_path / "a"), pictures(tmp_path / "b")
    assert [s["start"] for s in session.describe()["shots"]] == [0, 4, 6]
    assert {name for name in a if a[name] != b[name]} <= {f"{n:06d}.png" for n in range(6)}
    session.delete_hint("h1")
    session.render(tmp_path / "c")
    c = pictures(tmp_path / "c")
    assert {name for name in b if b[name] != c[name]} <= {f"{n:06d}.png" for n in range(4)}


def test_one_region_many_hints(session):
    region = session.put_region({"name": "Coat", "colour": "#4b5a3c"})
    for frame in (1, 8):
        session.add_hint({"frame": frame, "kind": "region", "region": region.id}, mask=makers.disc())
    before = session.version
    session.put_region({"id": region.id, "colour": "#5a3c4b"})
    assert session.version == before + 1
    assert session.describe()["regions"] == [{"id": "r1", "name": "Coat", "colour": "#5a3c4b"}]
    with pytest.raises(HintError, match="hints still name it"):
        session.delete_region(region.id)
    assert np.array_equal(session.hint_mask("h1"), makers.disc())


def test_regions_of_one_name_are_one_thing(session):
    for region_id, name in (("coat", "Coat"), ("coat2", "Coat"), ("hat", "Hat")):
        session.put_region({"id": region_id, "name": name, "colour": "#4b5a3c"})

    def colours():
        return {region["id"]: region["colour"] for region in session.describe()["regions"]}

    before = session.version
    evidence = {"source": "tailor's book", "certainty": "documented", "author": "M."}
    session.put_region({"id": "coat", "colour": "#5a3c4b", "evidence": evidence})
    assert session.version == before + 1
    assert colours() == {"coat": "#5a3c4b", "coat2": "#5a3c4b", "hat": "#4b5a3c"}
    assert session.project.hints.region("coat2").evidence == session.project.hints.region("coat").evidence is not None
    session.undo()
    assert colours() == {"coat": "#4b5a3c", "coat2": "#4b5a3c", "hat": "#4b5a3c"}
    assert session.project.hints.region("coat2").evidence is None
    session.put_region({"id": "hat", "colour": "#101010"})
    session.put_region({"id": "hat", "name": "Coat"})  # a name alone changes no colour
    assert colours() == {"coat": "#4b5a3c", "coat2": "#4b5a3c", "hat": "#101010"}


def test_a_lock_says_when_it_no_longer_shows_what_was_approved(session, plugins, tmp_path):
    session.add_hint(POINT)
    session.add_hint({"id": "kept", "frame": 3, "kind": "lock"}, mask=makers.disc())
    approved = session.coloured_picture(3)
    assert session.describe()["outdated_locks"] == []
    muted = Recipe((StageSpec("soften"), StageSpec("colourise", {"steady": 1, "saturation": 0.3})), "muted")
    session.set_recipe(muted)
    assert session.describe()["outdated_locks"] == ["kept"]
    session.update_hint("kept", strength=1.0, approved=None)  # approved anew, as things stand
    assert session.describe()["outdated_locks"] == []
    session.undo()
    session.undo()
    assert session.describe()["outdated_locks"] == []
    assert np.array_equal(session.coloured_picture(3), approved)
    session.set_cuts({8: True})  # in the other shot
    assert session.describe()["outdated_locks"] == []
    session.set_cuts({4: True})
    assert session.describe()["outdated_locks"] == ["kept"]
    session.export_hints(tmp_path / "h.json")
    fresh = Session.create(tmp_path / "b.pochoir", tmp_path / "film", rate="16", recipe=makers.RECIPE, plugins=plugins)
    fresh.import_hints(tmp_path / "h.json")
    assert fresh.describe()["outdated_locks"] == []
    fresh.set_cuts({4: True})
    assert fresh.describe()["outdated_locks"] == ["kept"]
    fresh.close()


def test_everything_is_there_after_reopening_and_after_moving(session, plugins, tmp_path, film):
    session.add_hint(POINT)
    session.add_hint({"frame": 8, "kind": "neutral"}, mask=makers.disc())
    session.render(tmp_path / "a")
    before = session.describe()
    session.close()

    other = tmp_path / "elsewhere"
    other.mkdir()
    shutil.copytree(tmp_path / "reel.pochoir", other / "reel.pochoir")
    shutil.move(str(film), str(other / "film"))
    with Session.open(other / "reel.pochoir", plugins) as moved:
        told = moved.describe()
        for changing in ("source", "undo_label"):
            told.pop(changing), before.pop(changing)
        assert told == before
        again = moved.render(tmp_path / "b")
        assert again.rendered == {"soften": 0, "colourise": 0}
        moved.undo()
        assert [hint["id"] for hint in moved.describe()["hints"]] == ["h1"]
    assert pictures(tmp_path / "a") == pictures(tmp_path / "b")


def test_a_film_that_moved_is_found_by_its_content(session, plugins, tmp_path, film):
    session.close()
    new = tmp_path / "vault" / "reel 1"
    new.parent.mkdir()
    film.rename(new)
    other = makers.film(tmp_path / "other", count=12, cut=4)
    with Session.open(tmp_path / "reel.pochoir", plugins) as moved:
        assert moved.describe()["clip"]["count"] == 12
        with pytest.raises(ProjectError, match=r"no longer at .*project relink"):
            moved.source_picture(0)
        with pytest.raises(ProjectError, match="not the film this project was made of"):
            moved.relink(other)
        moved.relink(new)
        assert moved.source_picture(0).shape == (48, 64, 3)
    with Session.open(tmp_path / "reel.pochoir", plugins) as again:
        assert again.source_picture(0).shape == (48, 64, 3)


def test_a_film_that_was_changed_is_refused(session, plugins, tmp_path, film):
    session.close()
    cv2.imwrite(str(film / "frame_0005.png"), makers.grey_picture(1))
    with (
        Session.open(tmp_path / "reel.pochoir", plugins) as changed,
        pytest.raises(ProjectError, match="content differs"),
    ):
        changed.render(None)


def test_only_one_program_at_a_time_may_write(session, plugins, tmp_path):
    with pytest.raises(ProjectError, match=r"open in another program \(process \d+\)"):
        Session.open(session.dir, plugins)
    session.add_hint(POINT)
    with Session.open(session.dir, plugins, read_only=True) as looking:
        assert len(looking.describe()["hints"]) == 1
        with pytest.raises(ProjectError, match="only to look"):
            looking.delete_hint("h1")
    session.close()
    Session.open(session.dir, plugins).close()


def test_looking_does_not_touch_what_another_program_is_rendering(session, plugins):
    row = {"id": "a", "purpose": "shot", "shot": 1, "out": None, "queued": 1.0, "state": "running", "done": 3}
    session._store.put_job(row)
    with Session.open(session.dir, plugins, read_only=True) as looking:
        assert looking.job("a")["state"] == "running"
    assert session._store.jobs()[0]["state"] == "running"


def test_nothing_is_left_of_a_project_that_could_not_be_made(tmp_path, film, plugins):
    for recipe, said in (("colour", None), ("nonsense", "neither a file nor one of"), ("archive", "unknown stage")):
        if said is not None:
            with pytest.raises(InputError, match=said):
                Session.create(tmp_path / "x.pochoir", film, recipe=recipe, plugins=plugins)
    with pytest.raises(InputError, match="no such file"):
        Session.create(tmp_path / "x.pochoir", tmp_path / "nothing.mp4", recipe="colour", plugins=plugins)
    with pytest.raises(ProjectError, match="there is no folder"):
        Session.create(tmp_path / "no" / "x.pochoir", film, recipe="colour", plugins=plugins)
    with pytest.raises(ProjectError, match="not an empty folder"):
        Session.create(film, film, recipe="colour", plugins=plugins)
    assert {p.name for p in tmp_path.iterdir()} <= {"film", "user-cache"}


def test_counting_what_is_stale_composes_no_field(session, monkeypatch):
    session.put_region({"id": "coat", "name": "Coat", "colour": "#8a4a3c"})
    session.add_hint({"frame": 3, "kind": "region", "region": "coat"}, mask=makers.disc())
    session.render()
    composed = []
    compose = Carried._composed
    monkeypatch.setattr(
        Carried, "_composed", lambda self, n, *args, **more: composed.append(n) or compose(self, n, *args, **more)
    )
    session.put_region({"id": "coat", "colour": "#2244aa"})
    first, second = session.describe()["shots"]
    assert (first["stale"], first["at_most"], second["stale"]) == (6, False, 0)
    assert composed == []


def test_importing_and_exporting_hints(session, tmp_path):
    session.add_hint(POINT)
    session.add_hint({"frame": 8, "kind": "neutral"}, mask=makers.disc())
    session.export_hints(tmp_path / "said" / "hints.json")
    before = session.describe()["hints"]
    session.delete_hint("h1")
    assert session.import_hints(tmp_path / "said" / "hints.json") == 2
    assert sorted(h["id"] for h in session.describe()["hints"]) == sorted(h["id"] for h in before)
    version = session.version
    (tmp_path / "bad.json").write_text('{"version": 1, "hints": [{"id": "z", "frame": 99, "kind": "point"}]}')
    with pytest.raises(HintError, match="hint z: frame 99 is outside the film"):
        session.import_hints(tmp_path / "bad.json")
    assert session.version == version


def test_a_shot_is_rendered_as_a_job(session):
    told = []
    stop = session.subscribe(told.append)
    job = session.wait(session.start_render(shot=1), WAIT)
    stop()
    assert (job["state"], job["result"]["frames"], job["result"]["rendered"]["colourise"]) == ("done", 6, 6)
    assert states(session) == [("new", 0, 6), ("rendered", 6, 0)]
    assert {event["job"]["state"] for event in told} >= {"queued", "running", "done"}


def test_a_delivery_as_a_job_equals_one_made_at_once(session, tmp_path):
    job = session.wait(session.start_render(purpose="deliver", out=tmp_path / "job"), WAIT)
    assert job["state"] == "done", job["error"]
    session.render(tmp_path / "now")
    assert pictures(tmp_path / "job") == pictures(tmp_path / "now")


def test_what_cannot_be_rendered_is_refused_at_once(session, tmp_path, film):
    for what, said in (
        ({"shot": 2}, "the film has shots 0 to 1"),
        ({"purpose": "deliver"}, "needs a file or folder"),
        ({"purpose": "deliver", "out": tmp_path / "x.gif"}, "known are"),
        ({"purpose": "deliver", "out": film}, "never written to"),
        ({"purpose": "deliver", "out": film / "frame_0000.png" / "x.mp4"}, "cannot be written"),
    ):
        with pytest.raises(InputError, match=said):
            session.start_render(**what)
    for frames, said in (("4:99", "the film has frames 0:12"), ("a:b", "expected A:B")):
        with pytest.raises(InputError, match=said):
            session.render(None, frames=frames)
    assert session.jobs() == []


def test_part_of_the_result(session, tmp_path):
    session.render(tmp_path / "all")
    part = session.render(tmp_path / "part", frames="4:7")
    assert (part.frames, part.rendered["colourise"]) == (3, 0)
    everything, some = pictures(tmp_path / "all"), pictures(tmp_path / "part")
    assert list(some.values()) == [everything[f"{n:06d}.png"] for n in (4, 5, 6)]


def test_a_preview_render_is_small_and_never_taken_for_the_real_one(session, tmp_path):
    session.set_recipe(Recipe((*makers.RECIPE.steps, StageSpec("enlarge")), "large"))
    small = session.render(tmp_path / "small", preview=True)
    assert small.frames == 12
    assert "enlarge" not in small.rendered
    real = session.render(tmp_path / "real")
    assert real.rendered["enlarge"] == 12
    shape = cv2.imread(str(next((tmp_path / "real").glob("*.png")))).shape
    assert shape == (96, 128, 3)


def test_a_film_wider_than_a_proxy_is_made_small(tmp_path, plugins):
    folder = tmp_path / "wide"
    folder.mkdir()
    for n in range(2):
        wide = cv2.resize(makers.grey_picture(n), (1280, 96))
        cv2.imwrite(str(folder / f"{n:03d}.png"), wide)
    with Session.create(tmp_path / "w.pochoir", folder, recipe=makers.RECIPE, plugins=plugins) as session:
        session.add_hint({"frame": 0, "kind": "point", "colour": "#c03020", "xy": [640, 48], "radius": 20})
        session.render(tmp_path / "small", preview=True)
        picture = cv2.imread(str(tmp_path / "small" / "000000.png"))
        assert picture.shape == (48, 640, 3)
        assert int(picture[24, 320, 2]) - int(picture[24, 320, 0]) > 30  # the hint is where it was put
        assert session.render(tmp_path / "real").rendered["colourise"] == 2


def test_the_first_segmenter_that_works_is_asked(session):
    mask = session.segment(0, [(12.0, 20.0, True)])
    assert mask.shape == (48, 64)
    assert mask[20, 12]
    with pytest.raises(InputError, match="click on the object"):
        session.segment(0, [])


def test_the_segmenter_looks_at_a_frame_before_the_first_click(session):
    asked = session._segmenters
    waiting = [asked.prepare(lambda n=n: session.restored_picture(n)) for n in (0, 1)]
    for thread in waiting:
        thread.join()
    looked_at = asked._chosen.prepared
    assert np.array_equal(looked_at[-1], session.restored_picture(1))
    assert len(looked_at) <= 2  # of those that waited only the newest
    asked.prepare(lambda: (_ for _ in ()).throw(InputError("the film has gone"))).join()
    assert session.segment(0, [(12.0, 20.0, True)])[20, 12]  # a picture that failed is no fault of the click's


def test_box_lasso_and_brush_reach_the_segmenter(session):
    clicked = session.segment(0, [(12.0, 20.0, True)])
    assert np.array_equal(session.segment(0, [(12.0, 20.0, True)], (0.0, 0.0, 64.0, 48.0)), clicked)
    looped = session.segment(0, [(12.0, 20.0, True)], lasso=((2.0, 2.0), (30.0, 2.0), (30.0, 40.0), (2.0, 40.0)))
    assert np.array_equal(looped[2:41, 2:31], clicked[2:41, 2:31])
    assert looped.sum() == clicked[2:41, 2:31].sum()
    dab = Stroke(((50.0, 30.0),), 4.0, True)
    assert session.segment(0, [(12.0, 20.0, True)], strokes=[dab])[30, 50]
    assert not session.segment(0, [(12.0, 20.0, True)], strokes=[dab, Stroke(dab.path, 4.0, False)])[30, 50]


def test_many_hands_at_once_lose_nothing(session):
    """Eight threads place hints while a ninth looks; every hint that was acknowledged is there, each once."""
    given: list[str] = []
    faults: list[BaseException] = []

    def place():
        try:
            for _ in range(5):
                given.append(session.add_hint(POINT).id)
        except BaseException as error:
            faults.append(error)

    hands = [threading.Thread(target=place) for _ in range(8)]
    for hand in hands:
        hand.start()
    for _ in range(5):
        session.describe()
    for hand in hands:
        hand.join()
    assert faults == []
    assert len(set(given)) == 40
    assert {hint["id"] for hint in session.describe()["hints"]} == set(given)


def test_of_two_who_change_one_hint_neither_loses_what_they_said(session, monkeypatch):
    hint, other = session.add_hint(POINT), [{"colour": "#3050a0"}]

    def meanwhile(real=session._must_write):
        real()
        if other:
            session.update_hint(hint.id, **other.pop())

    monkeypatch.setattr(session, "_must_write", meanwhile)  # between the request and its transaction
    session.update_hint(hint.id, strength=0.5)
    kept = session.project.hints.hint(hint.id)
    assert (kept.colour, kept.strength) == ("#3050a0", 0.5)


def test_of_two_who_change_one_region_neither_loses_what_they_said(session, monkeypatch):
    other = [{"id": "coat", "colour": "#3050a0"}]
    session.put_region({"id": "coat", "name": "Coat", "colour": "#a04030"})

    def meanwhile(real=session._must_write):
        real()
        if other:
            session.put_region(other.pop())

    monkeypatch.setattr(session, "_must_write", meanwhile)
    session.put_region({"id": "coat", "name": "Tunic"})
    kept = session.project.hints.region("coat")
    assert (kept.colour, kept.name) == ("#3050a0", "Tunic")


def test_a_recipe_that_does_not_fit_changes_nothing(session):
    version = session.version
    with pytest.raises(InputError, match="unknown stage 'sharpen'"):
        session.set_recipe(Recipe((StageSpec("sharpen"),)))
    assert session.version == version
    session.set_recipe(Recipe((StageSpec("soften"),), "grey"))
    assert np.array_equal(session.coloured_picture(2), session.restored_picture(2))
    assert np.array_equal(session.preview(2), session.restored_picture(2))
