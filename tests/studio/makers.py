"""Small films, clips and masks for the tests of the studio."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from core.film.clip import AudioTrack, Clip, ColourTags

H, W = 48, 64


def clip(count=12, **facts):
    """A film's facts without a film."""
    base = {
        "path": "/films/reel.mkv",
        "kind": "video",
        "sha256": "ab" * 32,
        "width": W,
        "height": H,
        "rate": Fraction(24000, 1001),
        "time_base": Fraction(1, 1000),
        "pts": tuple(round(n * 1001 / 24) for n in range(count)),
        "end_pts": round(count * 1001 / 24),
        "bit_depth": 10,
        "grey": True,
        "tags": ColourTags(1, 1, 1, True),
        "sar": Fraction(12, 11),
        "audio": (AudioTrack(1, "pcm_s16le", 48000, 2, Fraction(1001, 2000)),),
    }
    return Clip(**{**base, **facts})


def grey_picture(n, shot=0):
    """A grey picture with edges and texture, moving a little from frame to frame  [(H, W) uint8]."""
    rng = np.random.default_rng(100 + shot)
    base = cv2.GaussianBlur(rng.uniform(0, 255, (H, W + 40)).astype(np.float32), (0, 0), 3)
    base = (base - base.min()) / np.ptp(base) * 200 + 28
    picture = base[:, n : n + W].copy()
    cv2.rectangle(picture, (8 + n, 12), (24 + n, 36), 190.0 - 60 * shot, -1)
    return np.clip(picture, 0, 255).astype(np.uint8)


def film(folder: Path, count=12, cut=6):
    """A film as a folder of PNG files with one cut; returns the folder."""
    folder.mkdir(parents=True)
    for n in range(count):
        shot = int(n >= cut)
        cv2.imwrite(str(folder / f"frame_{n:04d}.png"), grey_picture(n % cut if cut else n, shot))
    return folder


def disc(x=20, y=24, radius=8):
    """A round mask  [(H, W) bool]."""
    yy, xx = np.mgrid[:H, :W]
    return (xx - x) ** 2 + (yy - y) ** 2 <= radius**2
