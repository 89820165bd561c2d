"""Films to frames: the one door through which pictures come in.

A source is a video file of any container FFmpeg reads (`core.footage.file.FORMATS`) or an image sequence
(`core.sequence`). Frames are upright, square-pixel, R'G'B' on the 16-bit grid, and known by exact numbers.
Interlaced film is read as whole frames, as it is stored. Alpha is not used. A film whose picture changes
its size midway is refused at that frame.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from core.contract.fingerprint import sha256_of
from core.contract.sources import FrameSource
from core.errors import DecodeError, InputError
from core.film.clip import AudioTrack, Clip, ColourTags
from core.film.frame import Frame
from core.film.tags import check_shown, resolve
from core.film.timebase import FrameRange, parse_rate
from core.footage.ahead import ReadAhead
from core.footage.file import open_film
from core.footage.geometry import displayed_size, upright
from core.footage.index import index_film
from core.footage.planes import bit_depth, chroma_is_neutral, is_grey_format, is_rgb_format, picture
from core.footage.reader import FilmReader
from core.sequence import SequenceSource, is_sequence

# Decoded pictures kept as they are stored, so that stepping back inside a group of pictures is quick.
KEPT_BYTES = 96 * 1024 * 1024
# Pictures looked at to tell grey film from colour.
GREY_SAMPLES = 8
# Codecs whose chroma lies between two luma columns.
_CENTRED = {"mjpeg", "mpeg1video", "h261", "h263"}


def open_source(path: str | Path, *, rate: Fraction | str | None = None) -> FrameSource:
    """Open a film for reading.

    Args:
        path: a video file; a folder of numbered images; a pattern such as ``frame_%06d.png``; one image.
        rate: frames per second of an image sequence (default 24). A video file has its own.

    Raises:
        DecodeError: the source is missing, not a film, broken off, or has gaps; one line that says which.
        InputError: ``rate`` is not a rate, or was given for a video file.
    """
    place = Path(path)
    if is_sequence(place):
        return SequenceSource(place, parse_rate(24 if rate is None else rate))
    if rate is not None:
        raise InputError(f"{place.name}: a video file has its own frame rate; leave the source rate out")
    return VideoSource(place)


def probe(path: str | Path, *, rate: Fraction | str | None = None) -> Clip:
    """The facts of a film; see `open_source` for what it takes and raises."""
    source = open_source(path, rate=rate)
    source.close()
    return source.clip


class VideoSource:
    """A video file as frames. `frame` may be called from any thread; `frames` reads by a decoder of its own.

    Args:
        path: the file.

    Raises:
        DecodeError: it is not a film that can be read from end to end.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._index = index_film(path)
        self._lock = threading.Lock()
        self._reader = FilmReader(path, self._index)
        self._ahead: Iterator[tuple[int, VideoFrame]] = iter(())
        self._next = -1
        self._kept: OrderedDict[int, VideoFrame] = OrderedDict()
        try:
            self.clip, self._grey = self._describe()
        except BaseException:
            self.close()
            raise
        self._tags = resolve(self.clip.tags, self._stored_height)

    def _describe(self) -> tuple[Clip, bool]:
        index = self._index
        first = self._raw(0)
        self._stored_height = first.height
        with open_film(self._path) as (container, stream):
            name = first.format.name
            tags = _tags(first, stream)
            check_shown(tags, self._path.name)
            turned = round(-first.rotation / 90) * 90 % 360
            sar = Fraction(stream.sample_aspect_ratio or 1)
            self._centred = stream.codec.name in _CENTRED or name.startswith("yuvj")
            height, width = displayed_size((first.height, first.width), sar, turned)
            grey = is_grey_format(name) or self._looks_grey()
            clip = Clip(
                path=str(self._path.absolute()),
                kind="video",
                sha256=sha256_of(self._path),
                width=width,
                height=height,
                rate=index.rate,
                time_base=index.time_base,
                pts=index.pts,
                end_pts=index.end_pts,
                bit_depth=bit_depth(name),
                grey=grey,
                tags=tags,
                sar=sar,
                rotation=turned,
                container=container.format.name.split(",")[0],
                codec=stream.codec.name,
                pixel_format=name,
                audio=tuple(_track(s) for s in container.streams.audio if s.codec_context is not None),
            )
        return clip, grey

    def _looks_grey(self) -> bool:
        """Whether pictures spread over the film (the key ones, for speed) show no colour."""
        index = self._index
        places = np.linspace(0, len(index.pts) - 1, GREY_SAMPLES).astype(int)
        wanted = {index.key_before(int(n)) for n in places} if index.stamped else {0}
        return all(chroma_is_neutral(self._raw(n)) for n in sorted(wanted))

    def frame(self, n: int) -> Frame:
        """Frame ``n``, whatever was read before.

        Raises:
            DecodeError: outside the film, or damaged.
        """
        count = len(self._index.pts)
        if not 0 <= n < count:
            raise DecodeError(f"{self._path.name}: there is no frame {n}; the film has frames 0:{count}")
        with self._lock:
            raw = self._raw(n)
        return self._finish(n, raw)

    def frames(self, span: FrameRange) -> Iterator[Frame]:
        """Frames of a range in order, read ahead by a thread with a decoder of its own.

        Raises:
            DecodeError: the range leaves the film, or a frame of it is damaged.
        """
        count = len(self._index.pts)
        if span.stop > count:
            raise DecodeError(f"{self._path.name}: frames {span.start}:{span.stop} asked, it has 0:{count}")
        return ReadAhead(self._sequence(span))

    def _sequence(self, span: FrameRange) -> Iterator[Frame]:
        if not len(span):
            return
        reader = FilmReader(self._path, self._index)
        try:
            for n, raw in reader.frames(span.start, span.stop):
                yield self._finish(n, raw)
        finally:
            reader.close()

    def _raw(self, n: int) -> VideoFrame:
        """Frame ``n`` as stored: from those kept, by decoding on, or by a jump."""
        if n in self._kept:
            self._kept.move_to_end(n)
            return self._kept[n]
        index = self._index
        near = index.stamped and index.key_before(n) <= self._next
        if not (0 <= self._next <= n and (near or not index.stamped)):
            self._ahead = self._reader.frames(n, len(index.pts))
        try:
            for number, raw in self._ahead:
                self._next = number + 1
                self._keep(number, raw)
                if number == n:
                    return raw
        except BaseException:
            self._next = -1
            raise
        raise DecodeError(f"{self._path.name}: frame {n} cannot be decoded; the file is damaged there")

    def _keep(self, n: int, raw: VideoFrame) -> None:
        self._kept[n] = raw
        size = max(sum(p.buffer_size for p in raw.planes), 1)
        while len(self._kept) > max(KEPT_BYTES // size, 2):
            self._kept.popitem(last=False)

    def _finish(self, n: int, raw: VideoFrame) -> Frame:
        try:
            rgb = picture(raw, self._tags, grey=self._grey, centred=self._centred)
        except DecodeError as error:
            raise DecodeError(f"{self._path.name}: frame {n}: {error}") from None
        return Frame(n, upright(rgb, self.clip.sar, self.clip.rotation))

    def close(self) -> None:
        """Let go of the file. Frames may still be asked for; it is opened again then."""
        with self._lock:
            self._ahead = iter(())
            self._next = -1
            self._kept.clear()
            self._reader.close()

    def __enter__(self) -> VideoSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _tags(frame: VideoFrame, stream: VideoStream) -> ColourTags:
    """Colour tags of the pictures, or of the stream where the pictures say nothing."""
    context = stream.codec_context
    name = frame.format.name
    matrix, transfer, primaries = (
        int(a) if int(a) not in (0, 2) else int(b) if int(b) else 2
        for a, b in (
            (frame.colorspace, context.colorspace),
            (frame.color_trc, context.color_trc),
            (frame.color_primaries, context.color_primaries),
        )
    )
    ranged = int(frame.color_range) or int(context.color_range)
    # Untagged grey is full range, as FFmpeg has it; untagged YUV is limited; RGB is always full.
    full = ranged == 2 or name.startswith("yuvj") or is_rgb_format(name)
    full = full or (is_grey_format(name) and ranged != 1)
    if is_rgb_format(name):
        matrix = 0
    return ColourTags(matrix, transfer, primaries, full)


def _track(stream: object) -> AudioTrack:
    """Facts of one sound stream."""
    context = getattr(stream, "codec_context", None)
    base = Fraction(getattr(stream, "time_base", None) or 1)
    length = getattr(stream, "duration", None)
    whole = getattr(getattr(stream, "container", None), "duration", None)
    seconds = length * base if length else Fraction(whole or 0, 1_000_000)
    return AudioTrack(
        index=int(getattr(stream, "index", 0)),
        codec=str(context.codec.canonical_name) if context is not None else "",
        rate=int(getattr(context, "sample_rate", 0) or 0),
        channels=int(getattr(context, "channels", 0) or 0),
        seconds=seconds,
    )
