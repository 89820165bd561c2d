"""One thread a call: as long as anyone asks for it, and as it was before after the last has ended."""

from __future__ import annotations

import cv2
import pytest

from core.threads import one_thread_a_call


@pytest.fixture
def three():
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    yield
    cv2.setNumThreads(before)


def test_it_lasts_until_the_last_block_ends(three):
    one, other = one_thread_a_call(), one_thread_a_call()
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert cv2.getNumThreads() == 1
    other.__exit__(None, None, None)
    assert cv2.getNumThreads() == 3


def test_a_fault_ends_it(three):
    with pytest.raises(ValueError, match="within"), one_thread_a_call():
        raise ValueError("within")
    assert cv2.getNumThreads() == 3
