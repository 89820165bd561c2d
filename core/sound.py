"""The film's sound to the new film: packet by packet where the container takes the codec, else coded anew.

Times are those of the picture: the sound of second ``t`` of the source is heard at the same picture in the
copy, whatever its offset. Sound before the first picture and after the last one is left out, to the sample
where it is PCM or coded anew, to the packet where it is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Protocol

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from core.film.clip import Clip
from core.footage.file import AV_ERRORS, open_container

Kind = Literal["mp4", "mov", "matroska"]
_COPIED = {
    "mp4": {"aac", "mp3", "ac3", "eac3", "alac", "opus"},
    "mov": {"aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le"}
    | {"pcm_s16be", "pcm_s24be", "pcm_s32be", "pcm_u8"},
    "matroska": {"aac", "mp3", "mp2", "ac3", "eac3", "dts", "truehd", "alac", "opus", "vorbis", "flac"}
    | {"pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_u8"},
}
# Lossless where the container is a master; AAC at 96 kbit/s a channel in MP4.
_CODED = {"mp4": "aac", "mov": "pcm_s16le", "matroska": "flac"}
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
# Containers that can say "begin inside the first packet" (edit lists); others drop that packet.
_TRIMS = {"mp4", "mov"}


class _Track(Protocol):
    """One sound stream on its way."""

    @property
    def note(self) -> str:
        """What was done, in words."""
        ...

    def take(self, packet: Packet[AudioStream]) -> list[Packet[Any]]:
        """What is to be written for a source packet."""
        ...

    def finish(self) -> list[Packet[Any]]:
        """What is left at the end."""
        ...


class Sound:
    """All sound streams of a film, fed into an output in step with its picture.

    Args:
        clip: the film whose sound it is.
        out: the open output, to which the streams are added here.
        kind: its container.
        start, stop: the part of the film that is written  [seconds from its first picture].
    """

    def __init__(self, clip: Clip, out: OutputContainer, kind: Kind, start: Fraction, stop: Fraction) -> None:
        self._stack = ExitStack()
        source = self._stack.enter_context(open_container(Path(clip.path)))
        zero = clip.pts[0] * clip.time_base + start
        self._out, self._zero, self._length = out, zero, stop - start
        self._tracks: dict[int, _Track] = {}
        self._streams = []
        for stream in source.streams.audio:
            if stream.codec_context is None or not stream.codec_context.sample_rate:
                continue
            copied = stream.codec_context.codec.canonical_name in _COPIED[kind]
            make: Callable[..., _Track] = _Copied if copied else _Coded
            self._tracks[stream.index] = make(stream, out, kind, zero, self._length)
            self._streams.append(stream)
        self._packets: Iterator[Packet[AudioStream]] = source.demux(tuple(self._streams)) if self._streams else iter(())
        self._held: Packet[AudioStream] | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done with each stream, in words."""
        return tuple(t.note for t in self._tracks.values())

    def write_until(self, seconds: Fraction) -> None:
        """Write the sound up to a time of the new film; a damaged end of the sound ends it quietly."""
        while True:
            packet = self._held or self._next()
            self._held = packet
            if packet is None:
                return
            if packet.pts is not None and packet.pts * packet.time_base - self._zero >= seconds:
                return
            self._held = None
            for made in self._tracks[packet.stream.index].take(packet):
                self._out.mux(made)

    def finish(self) -> None:
        """Write what is left and let go of the source."""
        self.write_until(self._length)
        for track in self._tracks.values():
            for made in track.finish():
                self._out.mux(made)
        self.close()

    def close(self) -> None:
        """Let go of the source."""
        self._stack.close()

    def _next(self) -> Packet[AudioStream] | None:
        try:
            return next((p for p in self._packets if p.size), None)
        except AV_ERRORS:
            return None


class _Copied:
    """A stream whose packets are passed on with new times."""

    def __init__(self, stream: AudioStream, out: OutputContainer, kind: Kind, zero: Fraction, length: Fraction) -> None:
        name = stream.codec_context.codec.canonical_name
        self._stream = out.add_stream_from_template(stream)
        self._zero, self._length, self._trims = zero, length, kind in _TRIMS
        self._frame_bytes = _pcm_frame_bytes(stream) if name.startswith("pcm_") else 0
        self._rate = stream.codec_context.sample_rate
        self.note = f"{name} copied"

    def take(self, packet: Packet[AudioStream]) -> list[Packet[Any]]:
        if packet.pts is None:
            return []
        base = packet.time_base
        begin = packet.pts * base - self._zero
        lasts = (packet.duration or 0) * base
        if self._frame_bytes:
            return self._cut(packet, begin)
        early = begin < 0 and not (self._trims and begin + 2 * lasts > 0)
        if begin >= self._length or (early and begin < -base):
            return []
        shift = packet.pts - round(begin / base) if self._trims else packet.pts - max(round(begin / base), 0)
        packet.pts -= shift
        packet.dts = packet.pts
        packet.stream = self._stream
        return [packet]

    def _cut(self, packet: Packet[AudioStream], begin: Fraction) -> list[Packet[Any]]:
        """PCM to the sample: what lies between the first picture and the end of the last."""
        data = bytes(packet)
        count = len(data) // self._frame_bytes
        first = max(-int(begin * self._rate), 0)
        last = min(count, round((self._length - begin) * self._rate))
        if last <= first:
            return []
        part: Packet[Any] = Packet(data[first * self._frame_bytes : last * self._frame_bytes])
        part.stream = self._stream
        part.time_base = Fraction(1, self._rate)
        part.pts = part.dts = max(round(begin * self._rate) + first, 0)
        part.duration = last - first
        part.is_keyframe = True
        return [part]

    def finish(self) -> list[Packet[Any]]:
        return []


class _Coded:
    """A stream that is decoded, cut to the picture, and coded anew."""

    def __init__(self, stream: AudioStream, out: OutputContainer, kind: Kind, zero: Fraction, length: Fraction) -> None:
        context: Any = stream.codec_context
        codec = _CODED[kind]
        rate = context.sample_rate
        if codec == "aac":
            rate = min(_AAC_RATES, key=lambda r: abs(r - rate))
        channels = max(context.channels, 1)
        layout = context.layout.name if channels <= 2 else {6: "5.1", 8: "7.1"}.get(channels, "stereo")
        self._stream: Any = out.add_stream(codec, rate=rate)
        coder: Any = self._stream.codec_context
        coder.layout = layout if channels > 2 else ("stereo" if channels == 2 else "mono")
        deep = context.format is not None and context.format.bytes > 2 and not context.format.is_planar
        coder.format = {"aac": "fltp", "flac": "s32" if deep else "s16"}.get(codec, "s16")
        if codec == "aac":
            coder.bit_rate = 96_000 * channels
        self._zero, self._length = zero, length
        self._lost = 0
        self._name, self._codec = context.codec.canonical_name, codec

    @property
    def note(self) -> str:
        lost = f", {self._lost} damaged packets left out" if self._lost else ""
        return f"{self._name} to {self._codec}{lost}"

    def take(self, packet: Packet[AudioStream]) -> list[Packet[Any]]:
        try:
            frames = packet.decode()
        except AV_ERRORS:
            self._lost += 1
            return []
        made: list[Packet[Any]] = []
        for frame in frames:
            part = self._cut(frame)
            if part is not None:
                made.extend(self._stream.encode(part))
        return made

    def _cut(self, frame: AudioFrame) -> AudioFrame | None:
        """The samples of a frame that are heard with the picture, at their new time."""
        if frame.pts is None or frame.time_base is None:
            return None
        rate = frame.sample_rate
        begin = frame.pts * frame.time_base - self._zero
        first = max(-int(begin * rate), 0)
        last = min(frame.samples, round((self._length - begin) * rate))
        if last <= first:
            return None
        if (first, last) != (0, frame.samples):
            samples = frame.to_ndarray()
            step = 1 if frame.format.is_planar else len(frame.layout.channels)
            part = AudioFrame.from_ndarray(
                samples[:, first * step : last * step].copy(), frame.format.name, frame.layout.name
            )
            part.sample_rate = rate
            frame = part
        frame.time_base = Fraction(1, rate)
        frame.pts = max(round(begin * rate) + first, 0)
        return frame

    def finish(self) -> list[Packet[Any]]:
        return list(self._stream.encode(None))


def _pcm_frame_bytes(stream: AudioStream) -> int:
    """Bytes of one sample of all channels."""
    bits = {"u8": 8, "16": 16, "24": 24, "32": 32}
    name = stream.codec_context.name
    size = next(b for key, b in bits.items() if key in name)
    return size // 8 * max(stream.codec_context.channels, 1)


def write_beside(clip: Clip, path: Path, start: Fraction, stop: Fraction) -> tuple[str, ...]:
    """Write the film's sound alone into a Matroska audio file, beside a folder's pictures."""
    with av.open(str(path), "w", format="matroska") as out:
        sound = Sound(clip, out, "matroska", start, stop)
        try:
            sound.finish()
        finally:
            sound.close()
    return sound.notes
