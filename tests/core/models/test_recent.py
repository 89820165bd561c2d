"""What is kept of what networks have found: the values last asked for, within a bound of memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch

from core.models.recent import Recent, size_of


@dataclass
class Two:
    one: torch.Tensor
    others: list[torch.Tensor]


def asked(recent: Recent, keys: str, numbers: int = 1) -> str:
    """Which of the keys, asked for in order, had to be made."""
    made = []
    for key in keys:
        got = recent.get(key, lambda key=key: made.append(key) or torch.full((numbers,), ord(key)))
        assert got[0] == ord(key)
    return "".join(made)


def test_the_values_last_asked_for_stay():
    assert asked(Recent(2 * 8), "abaacaba") == "abcb"


def test_what_is_larger_than_all_room_is_given_but_not_kept():
    recent = Recent(3 * 8)
    assert asked(recent, "aaa") == "a"
    assert asked(recent, "xx", numbers=4) == "xx"
    assert asked(recent, "a") == ""


def test_a_value_weighs_what_its_tensors_do():
    assert size_of(Two(torch.zeros(3, 5), [torch.zeros(2, dtype=torch.float16), torch.zeros(1)])) == 60 + 4 + 4
    assert size_of((torch.zeros(2), "words", 3)) == 8


def test_once_stopped_it_holds_nothing():
    recent = Recent(1 << 10)
    assert not recent.stop()
    recent = Recent(1 << 10)
    asked(recent, "ab")
    assert recent.stop()
    assert asked(recent, "aab") == "aab"
    assert not recent.stop()


def test_from_many_threads_each_gets_its_own():
    recent = Recent(3 * 8)
    with ThreadPoolExecutor(8) as pool:
        keys = [n % 7 for n in range(500)]
        got = list(pool.map(lambda key: int(recent.get(key, lambda: torch.tensor(key))), keys))
    assert got == keys
    assert recent._held <= 3 * 8
    assert recent._held == sum(size for _, size in recent._values.values())
