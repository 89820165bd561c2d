"""Frame ranges and exact rational frame rates. Ranges are half-open and 0-based, always."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from core.errors import InputError

_NTSC = (Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001), Fraction(120000, 1001))


@dataclass(frozen=True, order=True)
class FrameRange:
    """Frames ``start <= n < stop``."""

    start: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.stop:
            raise InputError(f"frame range {self.start}:{self.stop} is not 0 <= start <= stop")

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.stop))

    def __contains__(self, n: object) -> bool:
        return isinstance(n, int) and self.start <= n < self.stop

    def clamp(self, n: int) -> int:
        """The frame of this range nearest to ``n``."""
        return min(max(n, self.start), self.stop - 1)

    def intersect(self, other: FrameRange) -> FrameRange:
        """The common frames; empty (``start == stop``) where there are none."""
        start = max(self.start, other.start)
        return FrameRange(start, max(start, min(self.stop, other.stop)))

    def around(self, n: int, radius: int) -> FrameRange:
        """``n`` ± ``radius``, cut to this range: a temporal window that never leaves the shot."""
        return FrameRange(max(self.start, n - radius), min(self.stop, n + radius + 1))

    def nearest(self, n: int, radius: int) -> FrameRange:
        """As many frames as ``n`` ± ``radius`` has, moved inwards at the ends of this range; all where it has fewer."""
        start = max(self.start, min(n - radius, self.stop - (2 * radius + 1)))
        return FrameRange(start, min(self.stop, start + 2 * radius + 1))

    def spread(self, most: int) -> list[int]:
        """At most so many frames, evenly spread, each in the middle of its part."""
        count = min(most, len(self))
        return [self.start + (2 * i + 1) * len(self) // (2 * count) for i in range(count)]


def parse_range(text: str, count: int) -> FrameRange:
    """Read ``"A:B"``, ``"A:"``, ``":B"`` or ``"A"`` against a film of ``count`` frames.

    Raises:
        InputError: not of that form, empty, or outside the film.
    """
    try:
        if ":" in text:
            left, right = text.split(":", 1)
            start, stop = int(left or 0), int(right or count)
        else:
            start, stop = int(text), int(text) + 1
    except ValueError:
        raise InputError(f"frames '{text}': expected A:B with whole numbers, e.g. 0:48") from None
    if not 0 <= start < stop <= count:
        raise InputError(f"frames '{text}': the film has frames 0:{count}")
    return FrameRange(start, stop)


def parse_rate(text: str | int | float | Fraction) -> Fraction:
    """Read a frame rate exactly: ``25``, ``"24000/1001"``; ``23.976`` means 24000/1001.

    Raises:
        InputError: not a positive number up to 1000.
    """
    try:
        rate = Fraction(str(text)) if not isinstance(text, Fraction) else text
    except (ValueError, ZeroDivisionError):
        raise InputError(f"frame rate '{text}': expected e.g. 25, 23.976 or 24000/1001") from None
    if not 0 < rate <= 1000:
        raise InputError(f"frame rate '{text}': expected more than 0 and at most 1000")
    for exact in _NTSC:
        # 23.976, 23.98, 29.97, 59.94: the decimal spellings people use of the NTSC rates.
        if rate.denominator not in (1, 1001) and abs(rate - exact) < Fraction(1, 200):
            return exact
    return rate
