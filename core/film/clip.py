"""A film's facts: size, exact times, colour tags, sound. Holds no pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal


@dataclass(frozen=True)
class ColourTags:
    """Colour description as ITU-T H.273 code points (1 BT.709, 5/6 BT.601, 9 BT.2020, 2 unspecified)."""

    matrix: int = 2
    transfer: int = 2
    primaries: int = 2
    full_range: bool = False


@dataclass(frozen=True)
class AudioTrack:
    """A sound stream as it stands in the source."""

    index: int
    codec: str
    rate: int
    channels: int
    seconds: Fraction


@dataclass(frozen=True)
class Clip:
    """A film's facts. Frame ``n`` is shown from ``time(n)`` until the next one's time or the end.

    Attributes:
        path: absolute path of the video file, the folder, or the ``%06d`` pattern.
        kind: a video container or an image sequence.
        sha256: of the file's bytes; of a sequence, over its files' names and hashes.
        width, height: of the picture as displayed (square pixels, upright).
        rate: nominal frame rate; exact times are in the ledger.
        time_base: seconds per tick of the ledger.
        pts: the ledger: ticks of each frame's start, ascending.
        end_pts: ticks at which the last frame ends.
        bit_depth: of the source samples (8-16; float sources count as 16).
        grey: the source stores one plane, or all its chroma is neutral in the frames sampled.
        sar: sample aspect ratio of the stored picture, already applied to width and height.
        rotation: degrees clockwise, already applied.
        files: of an image sequence, its files in order.
    """

    path: str
    kind: Literal["video", "sequence"]
    sha256: str
    width: int
    height: int
    rate: Fraction
    time_base: Fraction
    pts: tuple[int, ...] = field(repr=False)
    end_pts: int
    bit_depth: int = 8
    grey: bool = False
    tags: ColourTags = ColourTags()
    sar: Fraction = Fraction(1)
    rotation: int = 0
    container: str = ""
    codec: str = ""
    pixel_format: str = ""
    audio: tuple[AudioTrack, ...] = ()
    files: tuple[str, ...] = field(default=(), repr=False)

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.pts)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) as displayed."""
        return self.height, self.width

    @property
    def seconds(self) -> Fraction:
        """Duration of the picture, exact."""
        return (self.end_pts - self.pts[0]) * self.time_base if self.pts else Fraction(0)

    def time(self, n: int) -> Fraction:
        """Seconds from the first frame to frame ``n``, exact; ``n == count`` gives the end."""
        ticks = self.end_pts if n == self.count else self.pts[n]
        return (ticks - self.pts[0]) * self.time_base

    @property
    def constant_rate(self) -> bool:
        """Whether every frame lasts ``1 / rate`` to within one tick (else the film is VFR)."""
        return all(abs(self.time(n) - n / self.rate) <= self.time_base for n in range(self.count + 1))
