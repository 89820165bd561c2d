"""Opening a film's file safely: local files only, known containers only, sane sizes only."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from core.errors import DecodeError

# Containers of moving pictures that read nothing but the file they are given: no playlists (HLS, DASH,
# concat), no devices, no image patterns. FFmpeg's demuxer names.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,vvc,av1,obu,ivf,dv,mxf,"
    "mxf_opatom,flv,asf,ogg,nut,gif,apng,yuv4mpegpipe,mjpeg,rm,gxf,vc1,wtv,dirac,nuv,bink,smk,flic"
)
# Hostile or broken headers stop here; an 8K scan with sound strips passes.
MAX_SIDE = 16384
MAX_PIXELS = 8192 * 8192
MAX_FRAMES = 1_000_000
# What PyAV lets through from a damaged file: FFmpeg's errors, and its own while reading names and tags.
AV_ERRORS = (av.error.FFmpegError, IndexError, UnicodeDecodeError, ValueError, AttributeError)

# FFmpeg says some damage (FFV1 slices, for one) only in its log. At this level PyAV counts the errors
# without passing them on; decoding in slices, not in frames, keeps the count beside the packet it is for.
av.logging.set_level(av.logging.FATAL)
av.logging.set_skip_repeated(False)
logging.getLogger("libav").addHandler(logging.NullHandler())


def log_errors() -> int:
    """Number of errors FFmpeg has logged so far in this process."""
    return int(av.logging.get_last_error()[0])


@contextmanager
def open_film(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The open container and its picture stream; closed at the end.

    Raises:
        DecodeError: not a film, or one that is not read.
    """
    container = open_container(path)
    try:
        yield container, picture_stream(container, path)
    finally:
        container.close()


def open_container(path: Path) -> InputContainer:
    """Open a file as a film.

    Raises:
        DecodeError: missing, not a regular file, or not of a known container.
    """
    if not path.exists():
        raise DecodeError(f"{path}: no such file; check the path")
    if not path.is_file():
        raise DecodeError(f"{path}: not a file; give a video file, a folder of images or a %06d pattern")
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    try:
        # An absolute path begins with a slash, so no part of the name can be taken for a protocol.
        return av.open(str(path.absolute()), options=options, metadata_errors="replace")
    except AV_ERRORS as error:
        raise DecodeError(f"{path.name}: not a film that can be read ({reason(error)})") from None


def picture_stream(container: InputContainer, path: Path) -> VideoStream:
    """The stream of moving pictures: the best one that is not a cover image.

    Raises:
        DecodeError: there is none, its codec is unknown, or its size is beyond the limits.
    """
    streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    if not streams:
        raise DecodeError(f"{path.name}: there is no moving picture in this file")
    best = container.streams.best("video")
    stream = next((s for s in streams if best is not None and s.index == best.index), streams[0])
    context = stream.codec_context
    if context is None:
        raise DecodeError(f"{path.name}: its picture codec is not known to FFmpeg {av.ffmpeg_version_info}")
    width, height = context.width, context.height
    if width < 1 or height < 1:
        raise DecodeError(f"{path.name}: the picture has no size; the file is damaged or empty")
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise DecodeError(f"{path.name}: {width}x{height} is too large; at most {MAX_SIDE} a side, 67 Mpixel")
    context.options = {"max_pixels": str(MAX_PIXELS)}
    context.thread_type = "SLICE"
    return stream


def reason(error: BaseException) -> str:
    """An error's own words, short and on one line."""
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(words).split())[:120]
