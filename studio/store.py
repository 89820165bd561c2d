"""`project.db`: everything a person said, durable before it is acknowledged.

One SQLite file per project, WAL with ``synchronous=FULL``. One connection writes, under one lock; every
gesture is one transaction, and a call returns only after COMMIT. The state is kept twice: as an
append-only log of events (nothing is ever deleted: a deletion is an event whose value is null) and, for
quick opening, as the objects that follow from the log.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from core.errors import ProjectError

DATABASE = "project.db"
# What an object is called: its kind ("hint", "region", "cut", "recipe") and its id within the kind.
ObjectName = tuple[str, str]
Value = Any
Objects = Mapping[ObjectName, Value]

# A migration is never changed once released; a new one is added below it.
MIGRATIONS: tuple[tuple[int, str, str], ...] = (
    (
        1,
        "first",
        """
        CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
        CREATE TABLE blobs (sha256 TEXT PRIMARY KEY, bytes BLOB NOT NULL);
        CREATE TABLE events (
            seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, author TEXT NOT NULL,
            kind TEXT NOT NULL CHECK (kind IN ('made', 'edit', 'undo', 'redo')),
            label TEXT NOT NULL, target INTEGER, changes TEXT NOT NULL);
        CREATE TABLE objects (
            kind TEXT NOT NULL, id TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (kind, id));
        CREATE TABLE jobs (
            id TEXT PRIMARY KEY, queued REAL NOT NULL, state TEXT NOT NULL, value TEXT NOT NULL);
        """,
    ),
)
SCHEMA = MIGRATIONS[-1][0]


@dataclass(frozen=True)
class Change:
    """One object before and after a gesture; None where it did not or does not exist."""

    name: ObjectName
    before: Value
    after: Value

    def reversed(self) -> Change:
        """The change that takes this one back."""
        return Change(self.name, self.after, self.before)


@dataclass(frozen=True)
class Event:
    """One line of the log.

    Attributes:
        seq: its number, ascending; the project's version.
        at: when, UTC, ISO 8601.
        author: who; empty where nobody is known.
        kind: ``made`` (the project itself), ``edit``, or ``undo``/``redo`` of the edit numbered ``target``.
        label: the gesture in a few words, e.g. ``"add point hint h3"``.
        changes: what became of which objects.
    """

    seq: int
    at: str
    author: str
    kind: str
    label: str
    target: int | None
    changes: tuple[Change, ...]


class Store:
    """An open `project.db`. Thread-safe; one process at a time may write (the session holds the lock)."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection
        self._lock = threading.RLock()

    @staticmethod
    def create(path: Path) -> Store:
        """Make an empty store.

        Raises:
            ProjectError: there is one already, or the folder cannot be written.
        """
        if path.exists():
            raise ProjectError(f"{path.parent}: a project already; open it, or choose another folder")
        db = _connect(path, read_only=False)
        _make_durable(db, path)
        _migrate(db, path)
        return Store(path, db)

    @staticmethod
    def open(path: Path, *, read_only: bool = False) -> Store:
        """Open a store, bringing an older schema up to date on the way.

        Raises:
            ProjectError: no store there, not one of ours, damaged, or written by a newer Pochoir.
        """
        database_of(path.parent)
        db = _connect(path, read_only=read_only)
        try:
            version = _schema(db, path)
            if version > SCHEMA:
                raise ProjectError(
                    f"{path.parent}: written by a newer Pochoir (schema {version}, this one reads {SCHEMA});"
                    " update Pochoir"
                )
            if not read_only:
                _make_durable(db, path)
                _migrate(db, path)
        except BaseException:
            db.close()
            raise
        return Store(path, db)

    def close(self) -> None:
        """Fold the write-ahead log into the file and let go of it."""
        with self._lock:
            self._db.close()

    # ------------------------------------------------------------------ facts and blobs

    def facts(self) -> dict[str, Any]:
        """What is known of the project that no gesture changes: source, ledger, analysis."""
        with self._reading() as db:
            return {name: json.loads(value) for name, value in db.execute("SELECT name, value FROM facts")}

    def set_facts(self, **facts: Any) -> None:
        """Write facts, all or none.

        Raises:
            ProjectError: they cannot be saved.
        """
        with self._writing() as db:
            db.executemany(
                "INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                [(name, json.dumps(value)) for name, value in facts.items()],
            )

    def blob(self, sha256: str) -> bytes:
        """The bytes of that hash.

        Raises:
            ProjectError: they are missing or damaged.
        """
        with self._reading() as db:
            row = db.execute("SELECT bytes FROM blobs WHERE sha256 = ?", (sha256,)).fetchone()
        if row is None or hashlib.sha256(row[0]).hexdigest() != sha256:
            what = "missing" if row is None else "damaged"
            raise ProjectError(f"{self.path}: picture {sha256[:12]} is {what}; restore the project from a copy")
        return bytes(row[0])

    # ------------------------------------------------------------------ gestures

    def append(
        self,
        kind: str,
        label: str,
        changes: tuple[Change, ...],
        *,
        target: int | None = None,
        blobs: Mapping[str, bytes] | None = None,
        author: str = "",
    ) -> Event:
        """Write one gesture: the event, the objects it changes and the pictures it brings, all or nothing.

        Returns:
            The event, after COMMIT: from here on it survives a crash and a power cut.

        Raises:
            ProjectError: it cannot be saved; nothing is changed then.
        """
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        rows = [[*c.name, c.before, c.after] for c in changes]
        with self._writing() as db:
            for sha256, data in (blobs or {}).items():
                db.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?)", (sha256, data))
            cursor = db.execute(
                "INSERT INTO events (at, author, kind, label, target, changes) VALUES (?, ?, ?, ?, ?, ?)",
                (at, author, kind, label, target, json.dumps(rows)),
            )
            for change in changes:
                if change.after is None:
                    db.execute("DELETE FROM objects WHERE kind = ? AND id = ?", change.name)
                else:
                    db.execute(
                        "INSERT INTO objects VALUES (?, ?, ?)"
                        " ON CONFLICT (kind, id) DO UPDATE SET value = excluded.value",
                        (*change.name, json.dumps(change.after)),
                    )
        return Event(int(cursor.lastrowid or 0), at, author, kind, label, target, changes)

    def events(self) -> list[Event]:
        """The whole log, oldest first."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT seq, at, author, kind, label, target, changes FROM events ORDER BY seq"
            ).fetchall()
        return [
            Event(seq, at, author, kind, label, target, _changes(changes))
            for seq, at, author, kind, label, target, changes in rows
        ]

    def objects(self) -> dict[ObjectName, Value]:
        """The state that follows from the log."""
        with self._reading() as db:
            rows = db.execute("SELECT kind, id, value FROM objects").fetchall()
        return {(kind, name): json.loads(value) for kind, name, value in rows}

    # ------------------------------------------------------------------ jobs

    def put_job(self, job: Mapping[str, Any]) -> None:
        """Write a job's row (new or changed); ``id``, ``queued`` and ``state`` are its columns.

        Raises:
            ProjectError: it cannot be saved.
        """
        with self._writing() as db:
            db.execute(
                "INSERT INTO jobs VALUES (?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET state = excluded.state, value = excluded.value",
                (job["id"], job["queued"], job["state"], json.dumps(dict(job))),
            )

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs' rows, oldest first."""
        with self._reading() as db:
            rows = db.execute("SELECT value FROM jobs ORDER BY queued, id").fetchall()
        return [json.loads(value) for (value,) in rows]

    # ------------------------------------------------------------------ transactions

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: committed as a whole, or as if it had never begun."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise ProjectError(
                    f"{self.path}: not saved ({error}); free disk space or mend permissions, then try again"
                ) from error

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._db
            except sqlite3.Error as error:
                raise ProjectError(f"{self.path}: cannot be read ({error})") from error


def database_of(folder: Path) -> Path:
    """A project folder's store.

    Raises:
        ProjectError: there is none.
    """
    path = folder / DATABASE
    if not path.is_file():
        raise ProjectError(f"{folder}: not a Pochoir project (no {DATABASE}); make one: project new")
    return path


def replay(events: list[Event]) -> dict[ObjectName, Value]:
    """The objects that follow from a log; equal to what `Store.objects` keeps, or the file is damaged."""
    objects: dict[ObjectName, Value] = {}
    for event in events:
        for change in event.changes:
            if change.after is None:
                objects.pop(change.name, None)
            else:
                objects[change.name] = change.after
    return objects


def _changes(text: str) -> tuple[Change, ...]:
    return tuple(Change((kind, name), before, after) for kind, name, before, after in json.loads(text))


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    try:
        uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        # Shared between threads under our own lock; transactions are begun by hand.
        return sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None, timeout=5.0)
    except sqlite3.Error as error:
        raise _unreadable(path, error) from error


def _make_durable(db: sqlite3.Connection, path: Path) -> None:
    """WAL, and FULL: with NORMAL a power cut may take back gestures that were acknowledged."""
    _run(db, path, lambda: db.execute("PRAGMA journal_mode = WAL"))
    _run(db, path, lambda: db.execute("PRAGMA synchronous = FULL"))


def _schema(db: sqlite3.Connection, path: Path) -> int:
    try:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "migrations" not in tables:
            raise sqlite3.DatabaseError("its tables are not ours")
        return int(db.execute("SELECT max(version) FROM migrations").fetchone()[0])
    except sqlite3.Error as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ProjectError:
    return ProjectError(f"{path.parent}: not a readable Pochoir project ({error}); check the folder's {path.name}")


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    """Bring the schema up to date, each step its own transaction, after a copy of what was there."""
    table = "CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, name TEXT, at TEXT)"
    _run(db, path, lambda: db.execute(table))
    have = int(db.execute("SELECT coalesce(max(version), 0) FROM migrations").fetchone()[0])
    if 0 < have < SCHEMA:
        with sqlite3.connect(path.with_name(f"{path.name}.schema{have}")) as copy:
            db.backup(copy)
        copy.close()
    for version, name, script in MIGRATIONS:
        if version > have:
            at = datetime.now(UTC).isoformat(timespec="seconds")
            row = f"INSERT INTO migrations VALUES ({version}, '{name}', '{at}');"
            _run(db, path, partial(db.executescript, f"BEGIN IMMEDIATE; {script} {row} COMMIT;"))


def _run(db: sqlite3.Connection, path: Path, work: Callable[[], object]) -> None:
    try:
        work()
    except sqlite3.Error as error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise ProjectError(f"{path}: cannot be written ({error}); check space and permissions") from error
