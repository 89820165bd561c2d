"""From a renderer to a file or a folder, with the source's sound; and the count of what had to be made for it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.contract.progress import CancelToken, Report, silent
from core.encode import Target, encode, target_for
from core.errors import InputError
from core.film.clip import Clip
from core.film.frame import Frame
from core.film.timebase import FrameRange
from core.render.renderer import Renderer


@dataclass(frozen=True)
class Delivered:
    """What a render did.

    Attributes:
        frames: frames of the result.
        rendered: step name to the number of frames it made.
        reused: step name to the number of frames it needed not make.
        seconds: wall time.
        output: the file or folder, or None where only the cache was filled.
        fell_short: what a step did instead for want of memory, to the number of frames it made so. They are in the
            output, but not kept: a later render makes them anew.
    """

    frames: int
    rendered: dict[str, int]
    reused: dict[str, int]
    seconds: float
    output: str | None
    fell_short: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As `render --json` reports it."""
        return {
            "frames": self.frames,
            "rendered": self.rendered,
            "reused": self.reused,
            "seconds": round(self.seconds, 3),
            "output": self.output,
            "fell_short": self.fell_short,
        }


def deliver(
    renderer: Renderer,
    out: Path | str | None,
    *,
    span: FrameRange | None = None,
    report: Report = silent,
    token: CancelToken | None = None,
    between: Callable[[], None] = lambda: None,
) -> Delivered:
    """Render frames of the result and write them; what the cache has is not made again.

    Args:
        renderer: the film under its recipe and hints.
        out: file or folder; None only fills the cache.
        span: frames of the result; all where None.
        report: told after every frame a step has made.
        token: checked between frames.
        between: called after every frame that was written.

    Raises:
        InputError: ``out`` is of no known kind or cannot be written.
        EncodeError: writing failed.
        Cancelled: the token was set; what is finished is in the cache, and no half file is left.
    """
    clip = renderer.source.clip
    target = None if out is None else check_out(Path(out), clip)
    began = time.monotonic()
    timeline = renderer.timeline
    span = span or timeline.span

    def frames() -> Iterator[Frame]:
        for frame in renderer.render(span, report=report, token=token):
            yield frame
            between()

    if target is None:
        for _ in frames():
            pass
    else:
        times = timeline.times[span.start : span.stop + 1]
        encode(frames(), times, timeline.size, target, sound_from=clip)
    tally = renderer.tally
    return Delivered(
        frames=len(span),
        rendered=dict(tally.rendered),
        reused=dict(tally.reused),
        seconds=time.monotonic() - began,
        output=None if out is None else str(out),
        fell_short=dict(tally.fell_short),
    )


def check_out(out: Path, clip: Clip) -> Target:
    """What is to be written, refused now rather than after hours of work.

    Raises:
        InputError: of no known kind, not writable, or the film itself.
    """
    target = target_for(out, bit_depth=clip.bit_depth)
    folder = target.kind == "png"
    if out.exists() and out.is_dir() != folder:
        raise InputError(f"output {out}: is a {'file' if folder else 'folder'} already; choose another name")
    there = next(place for place in (out, *out.absolute().parents) if place.exists())
    if not (there.is_dir() or there == out) or not os.access(there, os.W_OK):
        raise InputError(f"output {out}: {there} cannot be written; choose another place")
    source = Path(clip.path)
    holds_source = folder and clip.kind == "sequence" and _same(out, source if source.is_dir() else source.parent)
    if _same(out, source) or holds_source:
        raise InputError(f"output {out}: is the film itself, which is never written to; choose another place")
    return target


def _same(a: Path, b: Path) -> bool:
    return a.resolve() == b.resolve()
