"""A shot: the frames between two cuts. Nothing temporal ever crosses its borders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from core.errors import InputError
from core.film.timebase import FrameRange

Begins = Literal["start", "cut", "hand"]


@dataclass(frozen=True)
class Shot:
    """Frames of one shot and how it begins: at the film's start, by a detected cut, or set by hand."""

    id: int
    range: FrameRange
    begins: Begins = "cut"


def shots_from_cuts(cuts: Iterable[int], count: int, *, by_hand: Iterable[int] = ()) -> tuple[Shot, ...]:
    """Shots of a film of ``count`` frames whose new shots begin at ``cuts`` (frame 0 is implied).

    Raises:
        InputError: a cut lies outside the film.
    """
    hand = set(by_hand)
    starts = sorted({0, *cuts, *hand})
    if starts[0] < 0 or starts[-1] >= max(count, 1):
        raise InputError(f"cut at frame {starts[-1]}: the film has frames 0:{count}")
    stops = [*starts[1:], count]
    return tuple(
        Shot(i, FrameRange(a, b), "start" if a == 0 else "hand" if a in hand else "cut")
        for i, (a, b) in enumerate(zip(starts, stops, strict=True))
    )


def shot_of(shots: Sequence[Shot], n: int) -> Shot:
    """The shot that holds frame ``n``.

    Raises:
        InputError: no shot holds it.
    """
    low, high = 0, len(shots)
    while low < high:
        mid = (low + high) // 2
        if shots[mid].range.stop <= n:
            low = mid + 1
        else:
            high = mid
    if low == len(shots) or n not in shots[low].range:
        raise InputError(f"frame {n}: the film has frames 0:{shots[-1].range.stop if shots else 0}")
    return shots[low]
