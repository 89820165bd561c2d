"""Raw pictures of one film file by number: jump to a key picture, decode on, prove every number by its tick."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from core.errors import DecodeError
from core.footage.file import AV_ERRORS, log_errors, open_film, reason
from core.footage.index import Index

# A jump that lands badly is tried from so many earlier key pictures before decoding from the start.
EARLIER_KEYS = 3
# These containers jump to a key picture; others (MPEG streams) to any packet decoded before that time, so
# that a picture decoded earlier than it is shown would be missed without a few frames' head start.
JUMP_TO_KEYS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
EARLY_FRAMES = 8


class _Elsewhere(Exception):  # noqa: N818 - a turn of the search, not yet a fault
    """Decoding from this key picture did not do; an earlier one may.

    The wanted frame did not come out, or the decoder complained: a picture may lean on one that was
    before its key picture (open groups of pictures).
    """


class FilmReader:
    """One open file and its decoder; for one thread at a time.

    Args:
        path: the film.
        index: its ledger.
    """

    def __init__(self, path: Path, index: Index) -> None:
        self._path, self._index = path, index
        self._stack = ExitStack()
        self._open: tuple[InputContainer, VideoStream] | None = None

    def close(self) -> None:
        """Let go of the file; it is opened again when the next frame is asked for."""
        self._stack.close()
        self._open = None

    def frames(self, start: int, stop: int) -> Iterator[tuple[int, VideoFrame]]:
        """Frames ``start <= n < stop`` in order, each exactly once, with their numbers.

        Raises:
            DecodeError: a frame is damaged or cannot be decoded; the message names it.
        """
        want = start
        why = ""
        begins = self._begins(start)
        for key in begins:
            try:
                for n, frame in self._from_key(key, stop):
                    if n < want:
                        continue
                    if n > want:
                        raise _Elsewhere
                    yield n, frame
                    want += 1
                    if want >= stop:
                        return
            except _Elsewhere as turn:
                why = str(turn) or why
                # Not damaged, only not found: the film's start is the one place that is always found.
                if key == begins[-1] > 0 and not why:
                    begins.append(0)
        why = why or f"frame {want} cannot be decoded; the file is damaged there or changed"
        raise DecodeError(f"{self._path.name}: {why}; get a whole copy of the film")

    def _begins(self, start: int) -> list[int]:
        """Key frames to decode from, the nearest first; the film's start where frames are only counted."""
        if not self._index.stamped:
            return [0]
        begins = [self._index.key_before(start)]
        while begins[-1] > 0 and len(begins) <= EARLIER_KEYS:
            begins.append(self._index.key_before(begins[-1] - 1))
        return begins

    def _from_key(self, key: int, stop: int) -> Iterator[tuple[int, VideoFrame]]:
        """Decode on from key frame ``key``, to the film's end if it is let."""
        name, index = self._path.name, self._index
        count, landed, size = 0, key == 0, (0, 0)
        for packet in self._packets(key):
            landed = landed or packet.pts == index.pts[key]
            for frame in self._checked(packet, key, count, stop):
                n = index.number(frame.pts) if index.stamped else count
                count += 1
                if n is None or (n < key and not landed):
                    continue
                if not landed:
                    raise _Elsewhere
                size = size if any(size) else (frame.width, frame.height)
                if (frame.width, frame.height) != size:
                    raise DecodeError(
                        f"{name}: the picture changes from {size[0]}x{size[1]} to "
                        f"{frame.width}x{frame.height} at frame {n}; split the film there"
                    )
                yield n, frame

    def _packets(self, key: int) -> Iterator[Packet[VideoStream]]:
        """Packets from key frame ``key`` on; from the very first for frame 0."""
        if key == 0 or self._open is None:
            self.close()
            self._open = self._stack.enter_context(open_film(self._path))
        container, stream = self._open
        try:
            if key:
                early = 0 if container.format.name in JUMP_TO_KEYS else EARLY_FRAMES
                container.seek(self._index.pts[max(key - early, 0)], stream=stream, backward=True)
        except AV_ERRORS:
            raise _Elsewhere from None
        try:
            yield from container.demux(stream)
        except AV_ERRORS as error:
            raise DecodeError(f"{self._path.name}: cannot be read further ({reason(error)})") from None

    def _checked(self, packet: Packet[VideoStream], key: int, count: int, stop: int) -> list[VideoFrame]:
        """A packet's frames, if FFmpeg has no complaint about it.

        Raises:
            _Elsewhere: it has, and the packet belongs to a frame from ``key`` to ``stop``.
        """
        before = log_errors()
        failed: str | None = None
        frames: list[VideoFrame] = []
        try:
            frames = packet.decode()
        except AV_ERRORS as error:
            failed = reason(error)
        if failed is None and log_errors() == before and not packet.is_corrupt:
            return frames
        n = self._index.number(packet.pts) if self._index.stamped else count
        # Pictures shown before their key picture lean on what was not decoded: complaints are expected.
        if n is None or not key <= n < stop or not packet.size:
            return frames
        if failed or packet.is_corrupt or complains_again(self._path, self._index, key, n):
            raise _Elsewhere(f"frame {n} is damaged ({failed or 'FFmpeg reports damaged data'})")
        return frames


def complains_again(path: Path, index: Index, key: int, n: int) -> bool:
    """Whether decoding from ``key`` to ``n`` once more makes FFmpeg complain at the same packet.

    Its log is one for the whole process, so a complaint may have been another film's.
    """
    with open_film(path) as (container, stream):
        stream.codec_context.thread_count = 1
        if key:
            container.seek(index.pts[key], stream=stream, backward=True)
        for count, packet in enumerate(container.demux(stream)):
            before = log_errors()
            try:
                packet.decode()
            except AV_ERRORS:
                return True
            if (index.number(packet.pts) if index.stamped else count) == n:
                return log_errors() != before
    return False
