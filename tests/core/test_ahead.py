"""Reading ahead: same things, same order, faults in their place, and no thread left behind."""

from __future__ import annotations

import gc
import threading

import pytest

from core.footage.ahead import ReadAhead


def threads():
    return [t for t in threading.enumerate() if t.name == "pochoir-read-ahead"]


def test_things_come_in_order_and_begin_before_they_are_asked_for():
    begun = threading.Event()

    def things():
        begun.set()
        yield from range(50)

    ahead = ReadAhead(things(), depth=2)
    assert begun.wait(30)
    assert list(ahead) == list(range(50))
    assert list(ahead) == []


def test_no_more_is_made_than_may_wait_and_closing_closes_the_maker():
    made, closed = [], []

    def things():
        try:
            for n in range(100):
                made.append(n)
                yield n
        finally:
            closed.append(len(made))

    ahead = ReadAhead(things(), depth=2)
    assert next(ahead) == 0
    ahead.close()
    assert closed == [len(made)]
    assert len(made) <= 5
    with pytest.raises(StopIteration):
        next(ahead)
    assert not threads()


def test_a_fault_comes_at_its_place():
    def things():
        yield 1
        raise ValueError("third")

    ahead = ReadAhead(things())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="third"):
        next(ahead)
    assert not threads()


def test_one_that_is_forgotten_ends():
    ahead = ReadAhead(iter(range(100)), depth=1)
    (thread,) = threads()
    del ahead
    gc.collect()
    thread.join(30)
    assert not thread.is_alive()
