"""The store: durable gestures, whole or not at all; older files are brought up to date, newer ones refused."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from core.errors import ProjectError
from studio import store as store_module
from studio.history import difference, history_of, reverse
from studio.store import Change, Store, replay


def change(n, before=None, after="x"):
    return Change(("hint", f"h{n}"), before, after)


@pytest.fixture
def store(tmp_path):
    opened = Store.create(tmp_path / "project.db")
    yield opened
    opened.close()


def test_a_gesture_is_there_after_reopening(tmp_path):
    data = b"\x89PNG"
    name = hashlib.sha256(data).hexdigest()
    with_blob = Store.create(tmp_path / "project.db")
    event = with_blob.append("edit", "add", (change(1, None, {"colour": "#102030"}),), blobs={name: data})
    with_blob.close()

    again = Store.open(tmp_path / "project.db")
    assert again.objects() == {("hint", "h1"): {"colour": "#102030"}}
    assert again.events() == [event]
    assert again.blob(name) == data
    again.close()


def test_durability_is_what_survives_a_power_cut(store):
    assert store._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert store._db.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL


def test_a_failing_gesture_leaves_nothing(store):
    store.append("edit", "add", (change(1),))
    with pytest.raises(TypeError):  # the second object cannot be written as JSON
        store.append("edit", "add", (change(2), change(3, None, {1, 2})), blobs={"a": b"b"})
    with pytest.raises(ProjectError, match="not saved"):
        store.append("scribble", "no such kind of event", (change(4),))
    assert store.objects() == {("hint", "h1"): "x"}
    assert len(store.events()) == 1
    with pytest.raises(ProjectError, match="missing"):
        store.blob("a")


def test_a_full_disk_is_said_and_loses_nothing(store):
    store.append("edit", "add", (change(1),))
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(ProjectError, match=r"not saved .*full"):
        store.append("edit", "add", (change(2),), blobs={"big": bytes(200_000)})
    store._db.execute("PRAGMA max_page_count = 1000000")
    store.append("edit", "add", (change(3),))
    assert set(store.objects()) == {("hint", "h1"), ("hint", "h3")}
    assert replay(store.events()) == store.objects()


def test_a_damaged_picture_is_noticed(store):
    name = hashlib.sha256(b"mask").hexdigest()
    store.append("edit", "add", (change(1),), blobs={name: b"mask"})
    store._db.execute("UPDATE blobs SET bytes = x'00'")
    with pytest.raises(ProjectError, match="damaged"):
        store.blob(name)


def test_deletion_keeps_a_tombstone(store):
    store.append("edit", "add", (change(1, None, "red"),))
    store.append("edit", "delete", (change(1, "red", None),))
    assert store.objects() == {}
    assert [e.changes[0].before for e in store.events()] == [None, "red"]
    assert replay(store.events()) == {}


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"not a database, just a text of some length" * 40, "not a database"), (b"", "tables are not ours")],
)
def test_a_foreign_file_is_refused_and_left_alone(tmp_path, content, said):
    path = tmp_path / "project.db"
    path.write_bytes(content)
    with pytest.raises(ProjectError, match=said):
        Store.open(path)
    assert path.read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ["project.db"]


def test_a_foreign_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "project.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE recipes (name TEXT)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(ProjectError, match="tables are not ours"):
        Store.open(path)
    assert path.read_bytes() == before


def test_a_newer_project_is_refused(tmp_path):
    Store.create(tmp_path / "project.db").close()
    with sqlite3.connect(tmp_path / "project.db") as db:
        db.execute("INSERT INTO migrations VALUES (99, 'from the future', '')")
    db.close()
    with pytest.raises(ProjectError, match=r"newer Pochoir .*update Pochoir"):
        Store.open(tmp_path / "project.db")


def test_an_older_project_is_brought_up_to_date_after_a_copy(tmp_path, monkeypatch):
    old = Store.create(tmp_path / "project.db")
    old.append("edit", "add", (change(1),))
    old.close()
    step = (2, "remarks", "CREATE TABLE remarks (text TEXT); INSERT INTO remarks VALUES ('new');")
    monkeypatch.setattr(store_module, "MIGRATIONS", (*store_module.MIGRATIONS, step))
    monkeypatch.setattr(store_module, "SCHEMA", 2)
    new = Store.open(tmp_path / "project.db")
    assert new.objects() == {("hint", "h1"): "x"}
    assert new._db.execute("SELECT text FROM remarks").fetchall() == [("new",)]
    new.close()
    assert (tmp_path / "project.db.schema1").is_file()


def test_a_migration_that_fails_changes_nothing(tmp_path, monkeypatch):
    Store.create(tmp_path / "project.db").close()
    step = (2, "broken", "CREATE TABLE remarks (text TEXT); INSERT INTO nowhere VALUES (1);")
    monkeypatch.setattr(store_module, "MIGRATIONS", (*store_module.MIGRATIONS, step))
    monkeypatch.setattr(store_module, "SCHEMA", 2)
    with pytest.raises(ProjectError, match="nowhere"):
        Store.open(tmp_path / "project.db")
    monkeypatch.undo()
    same = Store.open(tmp_path / "project.db")
    tables = {name for (name,) in same._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    same.close()
    assert "remarks" not in tables


def test_undo_and_redo_are_folded_from_the_log(store):
    first = store.append("edit", "one", (change(1),))
    second = store.append("edit", "two", (change(2),))
    store.append("undo", "two", reverse(second.changes), target=second.seq)
    history = history_of(store.events())
    assert (history.done, history.undone) == ((first.seq,), (second.seq,))
    third = store.append("edit", "three", (change(3),))
    history = history_of(store.events())
    assert (history.done, history.undone) == ((first.seq, third.seq), ())
    assert replay(store.events()) == store.objects() == {("hint", "h1"): "x", ("hint", "h3"): "x"}


def test_difference_names_what_changed_and_nothing_else():
    before = {("hint", "a"): 1, ("hint", "b"): 2, ("recipe", ""): {"steps": []}}
    after = {("hint", "a"): 1, ("hint", "c"): 3, ("recipe", ""): {"steps": [1]}}
    assert sorted(difference(before, after), key=lambda c: c.name) == [
        Change(("hint", "b"), 2, None),
        Change(("hint", "c"), None, 3),
        Change(("recipe", ""), {"steps": []}, {"steps": [1]}),
    ]
    assert difference(after, after) == ()


def test_what_was_acknowledged_survives_kill_9(tmp_path):
    """A process that writes gestures is killed at some moment, three times over; every one it told of is there."""
    path = tmp_path / "project.db"
    Store.create(path).close()
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from studio.store import Change, Store
        store = Store.open(Path(sys.argv[1]))
        n = len(store.events())
        while True:
            store.append("edit", f"add {n}", (Change(("hint", f"h{n}"), None, n), Change(("pair", f"h{n}"), None, n)))
            print(n, flush=True)
            n += 1
        """
    )
    told: list[int] = []
    for stop_after in (1, 20, 47):
        worker = subprocess.Popen(
            [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
        )
        assert worker.stdout is not None
        told += [int(worker.stdout.readline()) for _ in range(stop_after)]
        os.kill(worker.pid, signal.SIGKILL)
        told += [int(line) for line in worker.stdout.read().split() if line]
        worker.wait()

        after = Store.open(path)
        objects = after.objects()
        assert after._db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert {("hint", f"h{n}") for n in told} <= set(objects)
        assert replay(after.events()) == objects
        assert {n for k, n in objects if k == "hint"} == {n for k, n in objects if k == "pair"}, "a half gesture"
        after.close()
