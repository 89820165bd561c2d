"""Exact times to a container's ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from core.errors import EncodeError
from core.footage.index import RATES, snap_rate

# A ledger in whole milliseconds (Matroska) is this far from the even rate it was rounded from.
MILLISECOND = Fraction(1, 1000)
# Above this no common tick of all times is looked for: MPEG's 90 kHz serves.
FINEST = 1_000_000
MPEG = 90_000


@dataclass(frozen=True)
class Ticks:
    """Frame starts and lengths in ticks.

    Attributes:
        base: seconds per tick.
        starts, lengths: ticks, the first start is 0.
        rate: frames per second, exact where ``even``, else the average.
        even: every frame lasts one tick.
    """

    base: Fraction
    starts: tuple[int, ...]
    lengths: tuple[int, ...]
    rate: Fraction
    even: bool


def ticks_of(times: Sequence[Fraction]) -> Ticks:
    """Ticks of a film's frames.

    Args:
        times: start of each frame and, last, the end  [seconds, exact, ascending].

    Raises:
        EncodeError: no frame, or times that do not ascend.
    """
    if len(times) < 2 or any(a >= b for a, b in pairwise(times)):
        raise EncodeError("frame times must ascend and hold at least one frame and the end")
    rel = [t - times[0] for t in times]
    count = len(rel) - 1
    average = count / rel[-1]
    rate = _even_rate(rel, average)
    if rate is not None:
        return Ticks(1 / rate, tuple(range(count)), (1,) * count, rate, True)
    common = math.lcm(*(t.denominator for t in rel))
    base = Fraction(1, common if common <= FINEST else MPEG)
    starts = [round(t / base) for t in rel]
    for n in range(1, len(starts)):
        starts[n] = max(starts[n], starts[n - 1] + 1)
    lengths = tuple(b - a for a, b in pairwise(starts))
    return Ticks(base, tuple(starts[:-1]), lengths, average.limit_denominator(100_000), False)


def _even_rate(rel: Sequence[Fraction], average: Fraction) -> Fraction | None:
    """The rate at which all frames fall on their times: exactly, or as a millisecond ledger rounds them."""
    first = 1 / rel[1]
    if all(t == n / first for n, t in enumerate(rel)):
        return first
    # A standard rate that fits wins over an odd one that fits better: the end is rounded too.
    for rates in (RATES, (snap_rate(average),)):
        worst = {r: max(abs(t - n / r) for n, t in enumerate(rel)) for r in rates if abs(r - average) * 50 < average}
        best = min(worst, key=lambda r: worst[r], default=None)
        if best is not None and worst[best] <= MILLISECOND:
            return best
    return None
