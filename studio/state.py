"""The state of an open project and its log, kept in step: committed first, then changed, then told."""

from __future__ import annotations

import threading
from collections.abc import Callable

from core.errors import InputError
from studio.edits import Edit
from studio.history import difference, history_of, reverse
from studio.project import Project, clip_from_json, project_of
from studio.store import Event, ObjectName, Store


class State:
    """What an open project is now, and how it came to be. Thread-safe.

    Args:
        store: where it is kept.

    Raises:
        ProjectError: what the store holds is damaged.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.RLock()
        self.facts = store.facts()
        clip = clip_from_json(self.facts.get("clip", {}))
        cuts = tuple(self.facts.get("cuts", ()))
        events = store.events()
        self._project = project_of(clip, cuts, store.objects(), store.blob)
        self._history = history_of(events)
        self._edits = {event.seq: event for event in events if event.kind == "edit"}
        self._names: set[ObjectName] = {change.name for event in events for change in event.changes}
        # States met since opening, so that undo need not read them again: edit → (before, after).
        self._met: dict[int, tuple[Project, Project]] = {}
        self._version = events[-1].seq if events else 0

    @property
    def now(self) -> tuple[Project, int]:
        """The project and its version, of one moment."""
        with self._lock:
            return self._project, self._version

    def fresh_id(self, kind: str, prefix: str) -> str:
        """An id that no object of this kind has ever had, e.g. ``h7``."""
        with self._lock:
            n = 1 + sum(1 for k, _ in self._names if k == kind)
            while (kind, f"{prefix}{n}") in self._names:
                n += 1
            self._names.add((kind, f"{prefix}{n}"))
            return f"{prefix}{n}"

    def commit(self, verb: Callable[[Project], Edit], *, author: str = "") -> None:
        """Make a gesture durable, then make it the state. A gesture that changes nothing is not written.

        Args:
            verb: one of `studio.edits` with what was said bound to it.
            author: who said it.

        Raises:
            InputError: the verb refuses the state as it is now.
            ProjectError: it cannot be saved; the state stays as it was.
        """
        with self._lock:
            before = self._project
            edit = verb(before)
            old, _ = before.objects()
            new, blobs = edit.project.objects()
            changes = difference(old, new)
            if not changes:
                return
            event = self._store.append("edit", edit.label, changes, blobs=blobs, author=author)
            self._edits[event.seq] = event
            self._names |= {change.name for change in changes}
            self._met[event.seq] = (before, edit.project)
            self._moved_to(edit.project, event)

    def undo(self) -> str:
        """Take back the last gesture that stands.

        Returns:
            Its label.

        Raises:
            InputError: there is none.
            ProjectError: it cannot be saved.
        """
        with self._lock:
            if not self._history.done:
                raise InputError("nothing to undo: the project is as it was made")
            edit = self._edits[self._history.done[-1]]
            changes = reverse(edit.changes)
            event = self._store.append("undo", edit.label, changes, target=edit.seq)
            met = self._met.get(edit.seq)
            self._moved_to(met[0] if met else self._read(), event)
            return edit.label

    def redo(self) -> str:
        """Bring again the gesture that was taken back last.

        Returns:
            Its label.

        Raises:
            InputError: there is none.
            ProjectError: it cannot be saved.
        """
        with self._lock:
            if not self._history.undone:
                raise InputError("nothing to redo: no gesture was taken back since the last edit")
            edit = self._edits[self._history.undone[-1]]
            event = self._store.append("redo", edit.label, edit.changes, target=edit.seq)
            met = self._met.get(edit.seq)
            self._moved_to(met[1] if met else self._read(), event)
            return edit.label

    def labels(self) -> tuple[str | None, str | None]:
        """Labels of the gestures that undo and redo would reach; None where there is none."""
        with self._lock:
            done, undone = self._history.done, self._history.undone
            return (
                self._edits[done[-1]].label if done else None,
                self._edits[undone[-1]].label if undone else None,
            )

    def set_facts(self, **facts: object) -> None:
        """Write facts that no gesture changes.

        Raises:
            ProjectError: they cannot be saved.
        """
        with self._lock:
            self._store.set_facts(**facts)
            self.facts = {**self.facts, **facts}

    def _read(self) -> Project:
        """The state as the store now has it."""
        return project_of(self._project.clip, self._project.detected, self._store.objects(), self._store.blob)

    def _moved_to(self, project: Project, event: Event) -> None:
        self._project = project
        self._version = event.seq
        self._history = self._history.after(event)
