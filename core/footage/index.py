"""The ledger of a film: every frame's exact time, found by looking at every packet once.

Headers lie (rates of raw streams, edit lists, broken-off files); packets do not. Where a container and its
time stamps can be trusted (MP4, MOV, Matroska; one packet per picture, each with its own time) the packets
alone are read. Everything else is decoded once from end to end, and what the decoder gives is the truth.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from core.errors import DecodeError
from core.footage.file import AV_ERRORS, MAX_FRAMES, log_errors, open_film, reason

# In these containers a packet of these codecs is a picture with its own time.
_EXACT_CONTAINERS = {"mov", "mp4", "matroska", "webm"}
_EXACT_CODECS = {
    "h264", "hevc", "ffv1", "prores", "dnxhd", "mjpeg", "vp9", "av1", "png", "rawvideo", "huffyuv",
    "ffvhuff", "utvideo", "v210", "jpeg2000", "qtrle", "cfhd", "dpx", "exr", "tiff", "magicyuv",
}  # fmt: skip
_STANDARD = (12, 15, 16, 18, 20, 22, 24, 25, 30, 48, 50, 60, 100, 120)
RATES = tuple(Fraction(r) for r in _STANDARD) + tuple(Fraction(r * 1000, 1001) for r in (24, 30, 48, 60, 120))


@dataclass(frozen=True)
class Index:
    """Where the frames are.

    Attributes:
        pts: ticks of each frame, ascending.
        end_pts: ticks at which the last frame ends.
        time_base: seconds per tick.
        rate: nominal frame rate.
        keys: numbers of frames from which decoding can begin, ascending; the first is 0.
        stamped: decoded frames carry these ticks, so that they are known by them after a jump;
            otherwise they are counted from the film's start.
    """

    pts: tuple[int, ...]
    end_pts: int
    time_base: Fraction
    rate: Fraction
    keys: tuple[int, ...]
    stamped: bool

    def number(self, pts: int | None) -> int | None:
        """Number of the frame that starts at ``pts``, or None."""
        if pts is None:
            return None
        n = bisect.bisect_left(self.pts, pts)
        return n if n < len(self.pts) and self.pts[n] == pts else None

    def key_before(self, n: int) -> int:
        """The last frame at or before ``n`` from which decoding can begin."""
        return self.keys[bisect.bisect_right(self.keys, n) - 1]


@dataclass(frozen=True)
class _Stamp:
    """Time of one packet or frame: start, length (0: unknown) in ticks, and whether decoding can begin."""

    pts: int | None
    duration: int
    key: bool


def index_film(path: Path) -> Index:
    """Look at every packet of the picture once.

    Raises:
        DecodeError: not a film; no picture in it; broken off before its end.
    """
    with open_film(path) as (container, stream):
        exact = container.format.name.split(",")[0] in _EXACT_CONTAINERS and stream.codec.name in _EXACT_CODECS
        before = log_errors()
        stamps, plain = _packet_stamps(container, stream, path)
        broken = log_errors() != before
        _check_whole(path, stream, len(stamps), broken=broken)
        known = [s.pts for s in stamps if s.pts is not None]
        if exact and plain and len(known) == len(stamps) == len(set(known)) and stamps and stamps[0].key:
            ordered = sorted(stamps, key=lambda s: s.pts or 0)
            # Pictures shown before the first key picture cannot be decoded from this file alone.
            if ordered[0].key:
                return _index(ordered, stream)
    return _index_by_decoding(path, packets=len(stamps), broken=broken)


def _packet_stamps(container: InputContainer, stream: VideoStream, path: Path) -> tuple[list[_Stamp], bool]:
    """Stamps of all packets in file order, and whether none is cut away, damaged or changes the format."""
    stamps: list[_Stamp] = []
    plain = True
    try:
        for packet in container.demux(stream):
            if packet.size == 0:
                continue
            if len(stamps) >= MAX_FRAMES:
                raise DecodeError(f"{path.name}: more than {MAX_FRAMES} frames; cut the film into reels")
            changed = packet.has_sidedata("new_extradata") or packet.has_sidedata("param_change")
            plain = plain and not (packet.is_discard or packet.is_corrupt or changed)
            stamps.append(_Stamp(packet.pts, packet.duration or 0, packet.is_keyframe))
    except AV_ERRORS:
        # The file breaks off here; the decode pass will say how far it can be read.
        plain = False
    return stamps, plain


def _index_by_decoding(path: Path, *, packets: int, broken: bool) -> Index:
    """Decode the film once; count and time what comes out."""
    stamps: list[_Stamp] = []
    with open_film(path) as (container, stream):
        discarded = 0
        try:
            for packet in container.demux(stream):
                discarded += packet.is_discard
                for frame in _decoded(packet, path, len(stamps)):
                    stamps.append(_Stamp(frame.pts, frame.duration or 0, frame.key_frame))
                    if len(stamps) > MAX_FRAMES:
                        raise DecodeError(f"{path.name}: more than {MAX_FRAMES} frames; cut it into reels")
        except AV_ERRORS:
            broken = True
        if not stamps:
            raise DecodeError(f"{path.name}: not one of its {packets} pictures can be decoded")
        _check_whole(path, stream, len(stamps) + discarded, broken=broken)
        return _index(stamps, stream)


def _decoded(packet: Packet[VideoStream], path: Path, have: int) -> list[VideoFrame]:
    """A packet's frames. Packets before the first key picture of a cut stream give none.

    Raises:
        DecodeError: the packet is damaged: left out, every later frame would have a wrong number.
    """
    try:
        return packet.decode()
    except AV_ERRORS as error:
        if have and packet.size:
            raise DecodeError(f"{path.name}: frame {have} is damaged ({reason(error)})") from None
        return []


def _check_whole(path: Path, stream: VideoStream, have: int, *, broken: bool) -> None:
    """Refuse a film that breaks off.

    Raises:
        DecodeError: the reading ended in an error, and fewer frames are there than the container says.
    """
    said = stream.frames or _claimed(stream)
    # MP4 counts what its edit lists hide, too; there only an error in reading tells.
    counts = stream.frames and not stream.container.format.name.startswith("mov")
    if (broken and have < said) or (counts and have < said * 0.98 - 1):
        raise DecodeError(
            f"{path.name}: the file breaks off: {have} of {said} frames are there; "
            "get a whole copy, or copy what can be read into a new file"
        )


def _claimed(stream: VideoStream) -> int:
    """Number of frames by the stream's or the container's stated length (0: not stated)."""
    seconds = _stated_end(stream)
    length = getattr(stream.container, "duration", None)
    if seconds is None and length:
        seconds = Fraction(length, 1_000_000)
    rate = stream.average_rate or stream.guessed_rate
    return int(seconds * rate) if seconds and rate else 0


def _stated_end(stream: VideoStream) -> Fraction | None:
    """End of the stream in seconds as Matroska's tags state it."""
    text = stream.metadata.get("DURATION", "")
    try:
        hours, minutes, seconds = text.split(":")
        return Fraction(hours) * 3600 + Fraction(minutes) * 60 + Fraction(seconds)
    except (ValueError, ZeroDivisionError):
        return None


def _index(stamps: Sequence[_Stamp], stream: VideoStream) -> Index:
    base = stream.time_base or Fraction(1, 1000)
    hints = [Fraction(r) for r in (stream.average_rate, stream.guessed_rate, stream.base_rate) if r]
    ticks = [s.pts for s in stamps]
    keys = tuple(n for n, s in enumerate(stamps) if s.key)
    stamped = all(a is not None and b is not None and a < b for a, b in pairwise(ticks))
    if stamped and ticks[0] is not None:
        pts = tuple(t for t in ticks if t is not None)
        end = _end(pts, stamps[-1].duration, base, hints, stream)
        keys = keys if keys and keys[0] == 0 else (0, *keys)
        return Index(pts, end, base, nominal_rate(pts, end, base, hints), keys, True)
    return _count(ticks, base, hints)


def _end(pts: Sequence[int], duration: int, base: Fraction, hints: Sequence[Fraction], stream: VideoStream) -> int:
    """Ticks at which the last frame ends: as stated, else one frame of the usual length after its start."""
    usual = round(1 / hints[0] / base) if hints else 0
    if len(pts) > 1:
        usual = usual or (pts[-1] - pts[0]) // (len(pts) - 1)
    stated = _stated_end(stream)
    if stated is not None:
        end = round(stated / base)
        if 0 < end - pts[-1] <= max(2 * usual, round(1 / base)):
            return end
    return pts[-1] + (duration or max(usual, 1))


def _count(ticks: Sequence[int | None], base: Fraction, hints: Sequence[Fraction]) -> Index:
    """Times for a film without usable time stamps: even at its rate over the span that is known."""
    rate = hints[0] if hints else Fraction(24)
    known = [t for t in ticks if t is not None]
    if len(known) == len(ticks) > 1 and max(known) > min(known):
        # Some stamps repeat or run back: the span is right, the frames are spread evenly over it.
        rate = snap_rate(Fraction(len(ticks) - 1) / ((max(known) - min(known)) * base))
    pts = tuple(range(len(ticks)))
    return Index(pts, len(ticks), 1 / rate, rate, (0,), False)


def snap_rate(rate: Fraction) -> Fraction:
    """The standard rate within 0.2 %% of ``rate``, else ``rate`` with a denominator up to 1001."""
    nearest = min(RATES, key=lambda r: abs(r - rate))
    return nearest if abs(nearest - rate) * 5000 < rate else rate.limit_denominator(1001)


def nominal_rate(pts: Sequence[int], end: int, base: Fraction, hints: Sequence[Fraction]) -> Fraction:
    """The rate at which every frame falls on its tick; of a film with varying rate, its average.

    Args:
        pts: ticks of each frame.
        end: ticks of the film's end.
        base: seconds per tick.
        hints: rates the container states, the most trusted first.
    """
    count = len(pts)
    average = count / ((end - pts[0]) * base) if end > pts[0] else Fraction(24)
    for rate in (*hints, *RATES, average.limit_denominator(1001)):
        if abs(rate - average) * 50 < average and all(
            abs((p - pts[0]) * base - n / rate) <= base for n, p in enumerate(pts)
        ):
            return rate
    return average.limit_denominator(100_000)
