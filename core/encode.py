"""Frames to films: H.264, HEVC, FFV1, ProRes with their sound, or a folder of lossless PNG.

A film is written beside its place under a hidden name and moved there when it is whole, so a killed run
leaves no half film. YUV is BT.709 limited range, tagged so; FFV1 is lossless RGB. Pictures of odd size keep
their size: 4:2:0 and 4:2:2 cannot hold them, so they are coded 4:4:4 (nothing is cropped or padded).
Films of even rate get that rate exactly as their time base; films of varying rate keep the start of every
frame, to the tick of the container (Matroska's is a millisecond), and are coded without B-frames, because
only then the container holds the length of the last frame.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from core.errors import EncodeError, ShapeError
from core.film.clip import Clip
from core.film.frame import Frame
from core.film.tags import BT709, RGB, SRGB
from core.footage.coders import CODERS, coded_picture, options_of, pixel_format_of, to_codes
from core.footage.file import reason
from core.footage.target import Target, target_for
from core.footage.ticks import Ticks, ticks_of
from core.sound import Kind as SoundKind
from core.sound import Sound, write_beside

__all__ = ["Encoded", "Target", "encode", "target_for"]
_CONTAINER: dict[str, SoundKind] = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
SOUND_FILE = "sound.mka"
# The file systems' page cache is enough for speed; zlib level 3 is the knee of size against time.
PNG_LEVEL = 3


@dataclass(frozen=True)
class Encoded:
    """What was written: where, how many frames, how long, how coded, and what became of the sound."""

    path: Path
    frames: int
    seconds: Fraction
    codec: str
    pixel_format: str
    sound: tuple[str, ...] = ()


def encode(
    frames: Iterable[Frame],
    times: Sequence[Fraction],
    size: tuple[int, int],
    target: Target,
    *,
    sound_from: Clip | None = None,
    on_frame: Callable[[int], None] | None = None,
) -> Encoded:
    """Write a film.

    Args:
        frames: pictures in order, as many as ``times`` says  [R'G'B' float32 [0, 1]].
        times: start of each frame and, last, the end  [seconds from the source's first picture, exact];
            a part of a film begins later than 0, and its sound is cut to match.
        size: (H, W) of the frames.
        target: what to write.
        sound_from: the film whose sound it gets; image sequences have none.
        on_frame: called with the number of frames written so far; may raise to stop.

    Returns:
        What was written.

    Raises:
        EncodeError: the file cannot be written, or the frames are not as many as the times.
        ShapeError: a frame is not of that size.
    """
    ticks = ticks_of(times)
    heard = sound_from if sound_from is not None and sound_from.audio else None
    counted = _counted(frames, len(times) - 1, size, on_frame)
    try:
        if target.kind == "png":
            return _write_folder(counted, times, target, heard)
        return _write_film(counted, times, ticks, size, target, heard)
    except (av.error.FFmpegError, OSError) as error:
        raise EncodeError(f"{target.path}: cannot be written ({reason(error)})") from error


def _counted(
    frames: Iterable[Frame], count: int, size: tuple[int, int], on_frame: Callable[[int], None] | None
) -> Iterator[Frame]:
    """The frames, checked; the one who works on each is called back after it is written."""
    done = 0
    for frame in frames:
        if done == count:
            raise EncodeError(f"more frames than times: {count} expected")
        if frame.size != size:
            raise ShapeError(f"frame {done} is {frame.size} but the film is {size}; scale it first")
        yield frame
        done += 1
        if on_frame is not None:
            on_frame(done)
    if done != count:
        raise EncodeError(f"the frames end after {done} of {count}")


@contextmanager
def _finished(path: Path) -> Iterator[Path]:
    """A hidden name beside ``path`` that takes its place when the work ends well, and else is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _write_film(
    frames: Iterator[Frame],
    times: Sequence[Fraction],
    ticks: Ticks,
    size: tuple[int, int],
    target: Target,
    heard: Clip | None,
) -> Encoded:
    suffix = target.path.suffix.lower()
    container = _CONTAINER[suffix]
    options = {} if container == "matroska" else {"movflags": "+faststart"}
    with _finished(target.path) as part, ExitStack() as stack:
        out = stack.enter_context(av.open(str(part), "w", format=container, options=options))
        stream = _picture_stream(out, ticks, size, target)
        sound = Sound(heard, out, container, times[0], times[-1]) if heard is not None else None
        if sound is not None:
            stack.callback(sound.close)
        lengths = dict(zip(ticks.starts, ticks.lengths, strict=True))
        for n, frame in enumerate(frames):
            if sound is not None:
                sound.write_until(times[n + 1] - times[0])
            picture = coded_picture(frame.rgb, target, stream.pix_fmt or "")
            picture.pts, picture.time_base = ticks.starts[n], ticks.base
            _mux(out, stream, picture, lengths)
        _mux(out, stream, None, lengths)
        if sound is not None:
            sound.finish()
        codec, pixel_format = target.kind, stream.pix_fmt or ""
        out.close()
    return Encoded(target.path, len(times) - 1, times[-1] - times[0], codec, pixel_format, sound.notes if sound else ())


def _mux(out: OutputContainer, stream: VideoStream, picture: VideoFrame | None, lengths: dict[int, int]) -> None:
    for packet in stream.encode(picture):
        if packet.pts is not None:
            packet.duration = lengths.get(packet.pts, packet.duration or 0)
        out.mux(packet)


def _picture_stream(out: OutputContainer, ticks: Ticks, size: tuple[int, int], target: Target) -> VideoStream:
    """The coder's stream, tagged."""
    height, width = size
    stream: Any = out.add_stream(CODERS[target.kind], rate=ticks.rate)
    stream.width, stream.height = width, height
    stream.pix_fmt = pixel_format_of(target, size)
    context = stream.codec_context
    context.time_base = ticks.base
    stream.time_base = ticks.base
    rgb = target.kind == "ffv1"
    context.color_range = 2 if rgb else 1
    context.colorspace = RGB if rgb else BT709
    context.color_primaries = BT709
    context.color_trc = SRGB if rgb else BT709
    options = options_of(target, size, stream.pix_fmt)
    if not ticks.even and target.kind in ("h264", "hevc"):
        options["bf"] = "0"
    context.options = options
    if target.kind == "hevc" and target.path.suffix.lower() != ".mkv":
        context.codec_tag = "hvc1"
    context.thread_type = "AUTO"
    return stream  # type: ignore[no-any-return]


def _write_folder(frames: Iterator[Frame], times: Sequence[Fraction], target: Target, heard: Clip | None) -> Encoded:
    folder = target.path
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for count, frame in enumerate(frames, start=1):
        name = folder / f"{count - 1:06d}.png"
        codes = cv2.cvtColor(to_codes(frame.rgb, target.depth), cv2.COLOR_RGB2BGR)
        done, data = cv2.imencode(".png", codes, [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])
        if not done:
            raise EncodeError(f"{name}: the picture cannot be coded as PNG")
        part = name.with_name(f".{name.name}.{os.getpid()}.part")
        try:
            part.write_bytes(data.tobytes())
            part.replace(name)
        finally:
            part.unlink(missing_ok=True)
    _remove_rest(folder, count)
    notes: tuple[str, ...] = ()
    if heard is not None:
        with _finished(folder / SOUND_FILE) as part:
            notes = write_beside(heard, part, times[0], times[-1])
    pixel_format = "rgb24" if target.depth == 8 else "rgb48"
    return Encoded(folder, count, times[-1] - times[0], "png", pixel_format, notes)


def _remove_rest(folder: Path, count: int) -> None:
    """Remove what an earlier, longer run left: our own names, going on without a gap."""
    while re.fullmatch(r"\d{6,}", f"{count:06d}") and (folder / f"{count:06d}.png").is_file():
        (folder / f"{count:06d}.png").unlink()
        count += 1
