"""Undo and redo over the event log. One gesture is one entry; both are events, so they survive a restart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from studio.store import Change, Event, ObjectName, Value


@dataclass(frozen=True)
class History:
    """Which edits stand and which were taken back, newest last; each is its event's number.

    Attributes:
        done: edits that `undo` would take back, in order.
        undone: edits that `redo` would bring again, in order.
    """

    done: tuple[int, ...] = ()
    undone: tuple[int, ...] = ()

    def after(self, event: Event) -> History:
        """The history once this event has happened. A new edit closes the way to what was undone."""
        if event.kind == "made":
            return self
        if event.kind == "edit":
            return History((*self.done, event.seq), ())
        if event.kind == "undo":
            return History(self.done[:-1], (*self.undone, self.done[-1]))
        return History((*self.done, self.undone[-1]), self.undone[:-1])


def history_of(events: Iterable[Event]) -> History:
    """Fold a whole log."""
    history = History()
    for event in events:
        history = history.after(event)
    return history


def difference(before: Mapping[ObjectName, Value], after: Mapping[ObjectName, Value]) -> tuple[Change, ...]:
    """The changes that lead from one state's objects to another's; empty where nothing changed."""
    names = [*after, *(name for name in before if name not in after)]
    return tuple(
        Change(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)
    )


def reverse(changes: Iterable[Change]) -> tuple[Change, ...]:
    """The changes that take these back, last first."""
    return tuple(change.reversed() for change in reversed(tuple(changes)))
