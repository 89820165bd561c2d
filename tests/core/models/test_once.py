"""What is made once is made once, and what failed is tried again."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.models.once import Once


def test_many_threads_make_it_once():
    made = []

    def make() -> object:
        time.sleep(0.02)
        made.append(object())
        return made[-1]

    once = Once(make)
    assert not made
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: once(), range(16)))
    assert len(made) == 1
    assert all(g is made[0] for g in got)


def test_a_failure_is_not_kept():
    answers = iter([ValueError("not yet"), 7])

    def make() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    once = Once(make)
    with pytest.raises(ValueError, match="not yet"):
        once()
    assert once() == once() == 7
