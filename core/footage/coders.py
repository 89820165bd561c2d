"""What each coder is given: its pixel format, its options, and pictures in that format."""

from __future__ import annotations

from typing import Any

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from core.errors import EncodeError
from core.film.tags import DELIVERED
from core.footage.codes import fill, yuv_planes
from core.footage.target import Target

Array = NDArray[np.float32]
CODERS = {"h264": "libx264", "hevc": "libx265", "ffv1": "ffv1", "prores": "prores_ks"}


def pixel_format_of(target: Target, size: tuple[int, int]) -> str:
    """Pixel format for a codec, depth and size.

    Raises:
        EncodeError: this build of the codec does not have it.
    """
    height, width = size
    if target.kind == "ffv1":
        return "bgr0" if target.depth == 8 else "gbrp16le"
    if target.kind == "prores":
        return "yuv444p10le" if width % 2 else "yuv422p10le"
    name = "yuv444p" if height % 2 or width % 2 else "yuv420p"
    name += "10le" if target.depth == 10 else ""
    known = [f.name for f in av.Codec(CODERS[target.kind], "w").video_formats or []]
    if name not in known:
        raise EncodeError(f"{target.kind}: this build of {CODERS[target.kind]} does not have {name}")
    return name


def options_of(target: Target, size: tuple[int, int], pixel_format: str) -> dict[str, str]:
    """Coder options; sizes and speeds weighed in docs."""
    if target.kind == "ffv1":
        # Version 3 in independent slices with checksums: what archives ask for.
        slices = "4" if size[0] * size[1] < 1_000_000 else "16"
        return {"level": "3", "slices": slices, "slicecrc": "1", "g": "1"}
    if target.kind == "prores":
        return {"profile": "4444" if "444" in pixel_format else "hq", "vendor": "apl0"}
    options = {"crf": str(target.quality), "preset": target.preset}
    if target.kind == "hevc":
        options["x265-params"] = "log-level=error"
    return options


def coded_picture(rgb: Array, target: Target, pixel_format: str) -> VideoFrame:
    """One picture in the coder's format, rounded to nearest at its depth."""
    height, width = rgb.shape[:2]
    frame = VideoFrame(width, height, pixel_format)
    if target.kind == "ffv1":
        codes = to_codes(rgb, target.depth)
        if target.depth == 8:
            fill(frame, [cv2.cvtColor(codes, cv2.COLOR_RGB2BGRA) & np.array([255, 255, 255, 0], np.uint8)])
        else:
            fill(frame, [np.ascontiguousarray(codes[..., k]) for k in (1, 2, 0)])
        return frame
    across = 1 if "444" in pixel_format else 2
    down = 2 if "420" in pixel_format else 1
    fill(frame, yuv_planes(rgb, DELIVERED, target.depth, across=across, down=down))
    # ProRes writes its tags from the pictures, the others from the stream.
    frame.color_range, frame.colorspace = 1, DELIVERED.matrix
    frame.color_trc, frame.color_primaries = DELIVERED.transfer, DELIVERED.primaries
    return frame


def to_codes(rgb: Array, depth: int) -> NDArray[Any]:
    """R'G'B' to full-range integers, to nearest  [(H, W, 3) uint8 or uint16]."""
    top = np.float32((1 << depth) - 1)
    return np.asarray(np.rint(np.clip(rgb, 0, 1) * top), np.uint8 if depth == 8 else np.uint16)
