"""Small films, clips and masks for the tests of the studio."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np

from core import flow
from core.colourise import Colourise
from core.contract.params import NoParams
from core.contract.plugins import Plugins
from core.contract.recipe import Recipe, StageSpec
from core.contract.stage import StageBase
from core.errors import ModelMissingError
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


def coloured_still():
    """A still of one strong colour, as the bytes of a PNG."""
    ok, data = cv2.imencode(".png", np.full((H, W, 3), (40, 80, 190), np.uint8))
    assert ok
    return data.tobytes()


class Tint:
    """A colouriser without a network: warm in the light, cold in the dark; carries hints nowhere beyond themselves."""

    name = "tint"
    fingerprint = "tint-1"

    def predict(self, luma):
        return np.stack([(luma - 50) * 0.1, (luma - 50) * 0.3], axis=-1).astype(np.float32)

    def carry(self, luma, ab, hint_ab, hint_weight):
        return ab + hint_weight[..., None] * (hint_ab - ab)


class Soften(StageBase):
    """A repair step with a window of one frame to each side."""

    name: ClassVar[str] = "soften"
    version: ClassVar[int] = 1
    help: ClassVar[str] = "mean of three frames"
    Params: ClassVar[type] = NoParams

    def radius(self, params, device=None):
        return 1

    def process(self, window, params, context):
        return np.mean([frame.rgb for frame in window.frames], axis=0).astype(np.float32)


class Enlarge(StageBase):
    """Twice the size."""

    name: ClassVar[str] = "enlarge"
    version: ClassVar[int] = 1
    help: ClassVar[str] = "twice the size"
    Params: ClassVar[type] = NoParams

    def size(self, size, params):
        return size[0] * 2, size[1] * 2

    def radius(self, params, device=None):
        return 0

    def process(self, window, params, context):
        return np.repeat(np.repeat(window.frame.rgb, 2, axis=0), 2, axis=1)


class Click:
    """A segmenter: everything as bright as what was clicked."""

    def __init__(self):
        self.prepared = []

    def prepare(self, rgb):
        self.prepared.append(rgb.copy())

    def segment(self, rgb, points, box=None):
        x, y, _ = points[0]
        return np.abs(rgb[..., 0] - rgb[int(y), int(x), 0]) < 0.1


def plugins(colouriser=Tint):
    """The real colouring and flow, with small parts in place of networks."""
    made = Plugins()
    flow.register(made)
    made.colourisers.add("embedded", lambda device: colouriser())
    made.stages.add("colourise", Colourise(made.colourisers, made.flows))
    for stage in (Soften(), Enlarge()):
        made.stages.add(stage.name, stage)
    made.segmenters.add("missing", _missing)
    made.segmenters.add("click", lambda device: Click())
    return made


def _missing(device):
    raise ModelMissingError("model 'sam': not there")


RECIPE = Recipe((StageSpec("soften"), StageSpec("colourise", {"steady": 1})), "small")
