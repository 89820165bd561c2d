"""Tiny synthetic films with known truth, made by PyAV in a test's own folder."""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

CELLS = 12  # bits of the frame number written into the picture
SIZE = (96, 128)


def stamped(n: int, size: tuple[int, int] = SIZE, *, grey: bool = False) -> np.ndarray:
    """A smooth moving picture that carries its number as black and white cells along the top.

    Returns:
        [(H, W, 3) uint8 R'G'B']
    """
    h, w = size
    y, x = np.mgrid[0:h, 0:w].astype(np.float64)
    t = 0.35 * n
    waves = [np.sin(x / 17 + t), np.sin(y / 13 - t), np.sin((x + y) / 23 + 2 * t)]
    rgb = np.stack([110 + 60 * (waves[0] if grey else wv) for wv in waves], axis=-1)
    band, cell = h // 4, w // CELLS
    rgb[:band] = 16
    for bit in range(CELLS):
        if n >> bit & 1:
            rgb[:band, bit * cell : (bit + 1) * cell] = 235
    return np.rint(rgb).astype(np.uint8)


def read_stamp(rgb: np.ndarray) -> int:
    """The number that `stamped` wrote, from a picture in [0, 1] of any size."""
    h, w = rgb.shape[:2]
    band, cell = h // 4, w / CELLS
    row = rgb[band // 4 : band // 2 + 1].mean(axis=(0, 2))
    bits = [row[int((bit + 0.5) * cell)] > 0.5 for bit in range(CELLS)]
    return sum(1 << bit for bit, on in enumerate(bits) if on)


def planes_frame(planes: list[np.ndarray], pix_fmt: str, size: tuple[int, int]) -> av.VideoFrame:
    """A frame of exact code values."""
    frame = av.VideoFrame(size[1], size[0], pix_fmt)
    for plane, samples in zip(frame.planes, planes, strict=True):
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        data = np.ascontiguousarray(samples).view(np.uint8).reshape(samples.shape[0], -1)
        rows[: data.shape[0], : data.shape[1]] = data
    return frame


def write_film(
    path: Path,
    frames: int | list[av.VideoFrame],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    rate: Fraction | int = 24,
    times_ms: list[int] | None = None,
    size: tuple[int, int] = SIZE,
    options: dict[str, str] | None = None,
    container: str | None = None,
    container_options: dict[str, str] | None = None,
    sar: Fraction | None = None,
    rotation: int = 0,
    matrix: int | None = None,
    full_range: bool | None = None,
    transfer: int | None = None,
    grey: bool = False,
    tone: tuple[str, float, float] | None = None,
) -> Path:
    """Write a film of `stamped` pictures, or of given frames; see PyAV for the words.

    Args:
        tone: add sound: codec, seconds, and offset of its start in seconds.
        times_ms: starts of the frames; without it the film is even.
    """
    with av.open(str(path), "w", format=container, options=container_options or {}) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = size[1], size[0], pix_fmt
        context = stream.codec_context
        context.options = options or {}
        if times_ms is not None:
            context.time_base = Fraction(1, 1000)
        if matrix is not None:
            context.colorspace = matrix
        if full_range is not None:
            context.color_range = 2 if full_range else 1
        if transfer is not None:
            context.color_trc = transfer
        if sar is not None:
            context.sample_aspect_ratio = sar
        if rotation:
            stream.set_display_rotation(rotation)
        sound = out.add_stream(tone[0], rate=48000) if tone else None
        if sound is not None:
            sound.codec_context.layout = "mono"
        count = frames if isinstance(frames, int) else len(frames)
        for n in range(count):
            if isinstance(frames, int):
                frame = av.VideoFrame.from_ndarray(stamped(n, size, grey=grey), "rgb24")
                frame = frame.reformat(format=pix_fmt, dst_colorspace=5) if pix_fmt != "rgb24" else frame
            else:
                frame = frames[n]
            frame.pts = n if times_ms is None else times_ms[n]
            frame.time_base = context.time_base if times_ms is not None else 1 / Fraction(rate)
            frame.color_range = context.color_range
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if sound is not None and tone is not None:
            for frame in tone_frames(tone[1], tone[2]):
                out.mux(sound.encode(frame))
            out.mux(sound.encode(None))
    return path


def tone_frames(seconds: float, offset: float, rate: int = 48000) -> list[av.AudioFrame]:
    """A click at every tenth of a second of the film's own time, and silence between."""
    total, start = round(seconds * rate), round(offset * rate)
    samples = np.zeros(total, np.int16)
    for k in range(0, int((seconds + offset) * 10) + 1):
        at = round(k * rate / 10) - start
        if 0 <= at < total - 40:
            samples[at : at + 40] = 20000
    frames = []
    for first in range(0, total, 1024):
        part = samples[first : first + 1024]
        frame = av.AudioFrame.from_ndarray(part[None], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, start + first, Fraction(1, rate)
        frames.append(frame)
    return frames


def heard(path: Path) -> tuple[np.ndarray, Fraction, int]:
    """The first sound of a file: samples [-1, 1], time of the first one against the picture, and rate."""
    with av.open(str(path)) as container:
        sound = container.streams.audio[0]
        parts, begin, rate = [], None, sound.codec_context.sample_rate
        for frame in container.decode(sound):
            if begin is None:
                begin = frame.pts * frame.time_base
            data = frame.to_ndarray().astype(np.float64)
            scale = {"s16": 2.0**15, "s16p": 2.0**15, "s32": 2.0**31}.get(frame.format.name, 1.0)
            channels = 1 if frame.format.is_planar else len(frame.layout.channels)
            parts.append(data[0, ::channels] / scale)
        zero = Fraction(0)
        if container.streams.video:
            video = container.streams.video[0]
            zero = (video.start_time or 0) * video.time_base
    assert begin is not None
    return np.concatenate(parts), begin - zero, rate


def write_wave(path: Path, seconds: float) -> Path:
    """A WAV file without picture."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(bytes(2 * round(8000 * seconds)))
    return path
