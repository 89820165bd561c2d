"""Where frames come from: the one thing the renderer asks of a decoder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from core.film.clip import Clip
from core.film.frame import Frame
from core.film.timebase import FrameRange


class FrameSource(Protocol):
    """Exact frame-numbered reading of one film. Frames are upright, square-pixel, on the 16-bit grid."""

    clip: Clip

    def frame(self, n: int) -> Frame:
        """Frame ``n``, whatever was read before.

        Raises:
            DecodeError: outside the film, or damaged.
        """
        ...

    def frames(self, span: FrameRange) -> Iterator[Frame]:
        """Frames of a range in order, read ahead."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...
