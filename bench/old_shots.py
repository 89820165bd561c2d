"""Three shots of old films and what a person drew on them: regions, and on which keyframes they were marked how.

There is no truth. Colours are invented, and vivid enough for an eye to see where they end.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.clips import TrueClip
from bench.metrics import to_8bit
from core.contract.sources import FrameSource
from core.decode import open_source
from core.errors import InputError
from core.film.timebase import FrameRange
from hints.gestures import Path as Lasso
from hints.gestures import Stroke, marked
from hints.hint import Hint, HintSet
from hints.picture import Mask
from hints.region import Region
from hints.segment import Box, Segmenter

# A frame that differs from the one before by less, on the mean, is that frame once more [8-bit steps].
REPEATED = 1.0

Places = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Drawn:
    """How a region was marked on a keyframe. Places are pixels of the film, as `hints.gestures.marked` takes them.

    Attributes:
        frame: the keyframe, a number of the film.
        inside, outside: clicks.
        box, lasso, strokes: what was drawn besides.
    """

    frame: int
    inside: Places = ()
    outside: Places = ()
    box: Box | None = None
    lasso: Lasso | None = None
    strokes: tuple[Stroke, ...] = ()


@dataclass(frozen=True)
class Marked:
    """A region of a shot: name, swatch, and its keyframes, the first of which was marked first."""

    name: str
    colour: str
    drawn: tuple[Drawn, ...]


@dataclass(frozen=True)
class OldShot:
    """Frames of one shot of a film, and the regions that were marked on it."""

    film: str
    frames: FrameRange
    regions: tuple[Marked, ...]

    @property
    def keyframes(self) -> tuple[int, ...]:
        """Numbers of the film's frames on which something was marked."""
        return tuple(sorted({drawn.frame for region in self.regions for drawn in region.drawn}))


def open_film(place: Path) -> FrameSource:
    """The film of a folder: its video, or its numbered images.

    Raises:
        InputError: there is no such folder.
    """
    if not place.is_dir():
        raise InputError(f"{place}: no such film; give the folder of test films with --data DIR")
    films = sorted(place.glob("*.mp4"))
    return open_source(films[0] if films else place)


def read_shot(data: Path, shot: OldShot) -> TrueClip:
    """The frames of a shot, those left out that only repeat the one before.

    Old films were brought to a faster rate by showing frames twice; a track looks better for each of them.

    Raises:
        InputError: the film is not there, or shorter than the shot.
    """
    film = open_film(data / "old" / shot.film)
    try:
        if film.clip.count < shot.frames.stop:
            raise InputError(f"{shot.film}: {film.clip.count} frames, but its shot goes up to {shot.frames.stop}")
        frames: list[NDArray[np.uint8]] = []
        numbers: list[int] = []
        for n in shot.frames:
            picture = to_8bit(film.frame(n).rgb)
            if frames and np.abs(picture.astype(np.int16) - frames[-1]).mean() < REPEATED:
                continue
            frames.append(picture)
            numbers.append(n)
    finally:
        film.close()
    return TrueClip(shot.film, tuple(frames), tuple(numbers))


def hints_of(shot: OldShot, clip: TrueClip, segmenter: Segmenter, keyframes: int | None = None) -> HintSet:
    """What was drawn, as hints on the clip's own frames.

    Args:
        shot: what was drawn.
        clip: its frames.
        segmenter: finds the borders.
        keyframes: so many of each region at most; None: all.

    Raises:
        InputError: what was drawn does not lie in the picture.
    """
    hints = []
    by_keyframe = sorted(
        ((drawn, region) for region in shot.regions for drawn in region.drawn[:keyframes]), key=lambda it: it[0].frame
    )
    for drawn, region in by_keyframe:
        n = clip.numbers.index(drawn.frame)
        clicks = [(x, y, inside) for some, inside in ((drawn.inside, True), (drawn.outside, False)) for x, y in some]
        luma = np.ascontiguousarray(clip.lab(n)[..., 0])
        mask = marked(segmenter, luma, clicks, drawn.box, drawn.lasso, drawn.strokes)
        hints.append(Hint(f"{region.name} {drawn.frame}", n, "region", region=region.name, mask=Mask.of(mask)))
    return HintSet(tuple(Region(r.name, r.name, r.colour) for r in shot.regions), tuple(hints))


def _path(text: str) -> Places:
    """Places in one line: ``"x,y x,y …"``  [px]."""
    pairs = (place.split(",") for place in text.split())
    return tuple((float(x), float(y)) for x, y in pairs)


def _in(width: float, path: str) -> Stroke:
    """A stroke of the brush that adds to the region  [px]."""
    return Stroke(_path(path), width, inside=True)


def _out(width: float, path: str) -> Stroke:
    """A stroke of the brush that takes away from the region  [px]."""
    return Stroke(_path(path), width, inside=False)


SHOTS: tuple[OldShot, ...] = (
    OldShot(
        "a_trip_down_market_street_before_the_fire",
        FrameRange(0, 48),
        (
            Marked("sky", "#6fa8dc", (Drawn(18, inside=_path("230,60 300,30 215,110")),)),
            Marked(
                "cable car",
                "#c0392b",
                (
                    Drawn(
                        18,
                        lasso=_path("174,146 216,146 220,198 174,198"),
                        strokes=(_in(16, "188,160 203,160 203,184 188,184"),),
                    ),
                ),
            ),
            Marked(
                "man on the left",
                "#8e44ad",
                (
                    Drawn(
                        18,
                        lasso=_path(
                            "82,200 92,182 114,182 122,196 132,215 138,252 132,264 130,290 136,327 "
                            "110,328 112,300 104,286 94,302 86,326 60,328 72,308 80,270 78,225"
                        ),
                        strokes=(
                            _in(34, "106,212 108,262"),
                            _in(12, "95,285 82,312"),
                            _in(12, "119,285 123,316"),
                            _in(12, "102,192 106,200"),
                        ),
                    ),
                ),
            ),
            Marked(
                "long coat",
                "#27ae60",
                (
                    Drawn(
                        18,
                        lasso=_path(
                            "198,180 214,178 218,194 232,214 234,244 226,302 222,318 "
                            "206,318 200,304 163,288 176,258 190,224 196,200"
                        ),
                        strokes=(
                            _in(28, "212,215 206,270"),
                            _in(8, "176,268 174,284"),
                            _in(20, "200,245 186,280"),
                            _in(10, "207,190 208,200"),
                        ),
                    ),
                    Drawn(
                        39,
                        lasso=_path("95,212 110,203 120,215 126,230 130,270 140,325 60,325 75,280 80,250 82,222"),
                        strokes=(_in(36, "108,225 105,305"), _in(14, "72,312 130,316"), _in(12, "87,238 80,300")),
                    ),
                ),
            ),
            Marked(
                "man in front",
                "#d98c1f",
                (
                    Drawn(
                        18,
                        lasso=_path(
                            "250,208 262,198 278,210 276,226 284,250 284,290 292,350 290,367 270,367 "
                            "268,325 256,330 236,352 218,356 216,342 244,312 238,270 242,236 252,224"
                        ),
                        strokes=(
                            _in(28, "263,245 263,295"),
                            _in(12, "258,310 228,346"),
                            _in(12, "272,300 280,355"),
                            _in(12, "262,206 262,230"),
                        ),
                    ),
                    Drawn(
                        35,
                        lasso=_path(
                            "378,215 392,200 408,218 404,240 412,275 418,330 425,367 370,367 362,310 364,250 380,240"
                        ),
                        strokes=(_in(12, "392,208 390,230"), _in(34, "385,265 392,350")),
                    ),
                ),
            ),
            Marked(
                "man on the right",
                "#1fa3a3",
                (
                    Drawn(
                        18,
                        lasso=_path(
                            "328,184 346,182 352,200 358,216 362,262 360,290 366,320 362,360 342,362 "
                            "344,322 326,330 304,342 298,334 326,306 324,262 324,214 332,200"
                        ),
                        strokes=(
                            _in(24, "342,215 342,275"),
                            _in(10, "336,305 312,332"),
                            _in(12, "350,290 353,350"),
                            _in(10, "338,190 340,205"),
                        ),
                    ),
                ),
            ),
        ),
    ),
    OldShot(
        "within_our_gates",
        FrameRange(0, 48),
        (
            Marked(
                "face",
                "#d9895f",
                (
                    Drawn(
                        20,
                        lasso=_path("219,62 232,56 250,66 255,82 250,92 240,102 226,102 219,90"),
                        strokes=(_in(14, "231,68 232,92"), _in(8, "240,78 242,90")),
                    ),
                ),
            ),
            Marked(
                "suit",
                "#3b5bb5",
                (
                    Drawn(
                        20,
                        lasso=_path(
                            "206,112 228,102 234,124 252,92 270,96 286,112 296,160 292,206 282,214 "
                            "268,210 266,232 246,240 232,226 222,206 205,206 190,200 190,160 198,125"
                        ),
                        strokes=(
                            _in(30, "252,128 252,205"),
                            _in(14, "212,128 206,190"),
                            _in(12, "280,125 284,195"),
                        ),
                    ),
                    Drawn(
                        0,
                        lasso=_path(
                            "186,92 200,112 214,128 220,112 226,104 232,120 234,160 238,200 242,228 "
                            "205,222 190,216 170,214 162,190 162,130 168,112 180,100"
                        ),
                        strokes=(_in(26, "180,122 185,200"), _in(22, "212,142 225,212"), _in(6, "226,115 228,140")),
                    ),
                ),
            ),
            Marked(
                "table top",
                "#b5762f",
                (
                    Drawn(
                        20,
                        lasso=_path("88,234 150,226 290,236 336,252 336,262 195,276 128,262"),
                        strokes=(_in(8, "120,242 190,262 325,256"), _in(6, "250,244 310,250")),
                    ),
                ),
            ),
            Marked(
                "books",
                "#a83246",
                (
                    Drawn(
                        20,
                        strokes=(
                            _in(28, "266,74 334,74"),
                            _in(28, "302,125 334,125"),
                            _in(28, "310,176 334,178"),
                        ),
                        box=(250, 50, 348, 200),
                    ),
                    Drawn(
                        0,
                        strokes=(_in(28, "264,72 334,72"), _in(28, "264,122 334,122"), _in(26, "266,172 334,172")),
                        box=(248, 48, 348, 190),
                    ),
                ),
            ),
            Marked("paper on the chair", "#e0c84a", (Drawn(20, inside=_path("402,208")),)),
            Marked(
                "telephone",
                "#2f9e6e",
                (
                    Drawn(
                        20,
                        lasso=_path("380,80 390,72 416,74 417,116 400,122 384,112"),
                        strokes=(_in(16, "402,84 402,110"),),
                    ),
                ),
            ),
        ),
    ),
    OldShot(
        "chaplin",
        FrameRange(24, 96),
        (
            Marked(
                "lawn",
                "#5a9e3a",
                (
                    Drawn(
                        60,
                        inside=_path("200,215 250,240 95,225 405,232"),
                        outside=_path("330,240 150,215 300,280 470,180 350,300"),
                        strokes=(_out(10, "124,195 124,230"),),
                    ),
                ),
            ),
            Marked(
                "helmet",
                "#d9b36c",
                (
                    Drawn(
                        60,
                        lasso=_path("138,44 148,37 166,39 170,60 176,68 136,68"),
                        strokes=(_in(14, "152,47 154,60"),),
                    ),
                ),
            ),
            Marked(
                "policeman's coat",
                "#2f4fb5",
                (
                    Drawn(
                        60,
                        lasso=_path("136,80 150,90 162,94 170,122 180,166 174,182 174,234 116,230 120,165 120,100"),
                        strokes=(
                            _in(28, "144,106 144,216"),
                            _in(10, "130,105 128,160 124,224"),
                            _in(14, "160,120 166,168"),
                        ),
                    ),
                ),
            ),
            Marked(
                "charlie's face",
                "#e09a78",
                (
                    Drawn(
                        60,
                        lasso=_path("309,66 336,66 345,72 342,88 328,103 313,98"),
                        strokes=(_in(12, "321,78 327,90"),),
                    ),
                    Drawn(
                        81,
                        lasso=_path("342,66 376,68 378,90 370,108 352,106 342,92"),
                        strokes=(_in(14, "352,78 352,98"), _in(10, "368,80 364,100")),
                    ),
                ),
            ),
            Marked(
                "charlie's jacket",
                "#9b3b8c",
                (
                    Drawn(
                        60,
                        lasso=_path(
                            "306,122 325,110 345,98 355,88 374,100 392,130 398,170 388,210 "
                            "372,206 366,214 350,202 330,165 308,182 290,182 300,158 318,148"
                        ),
                        strokes=(
                            _in(28, "345,122 352,170"),
                            _in(16, "376,122 384,190"),
                            _in(8, "326,158 302,172"),
                        ),
                    ),
                    Drawn(
                        30,
                        lasso=_path(
                            "190,84 200,98 212,107 225,108 236,98 242,115 240,150 242,185 "
                            "234,185 222,170 200,186 172,210 172,180 178,120 178,98"
                        ),
                        strokes=(_in(32, "200,115 200,165"), _in(16, "228,115 230,165"), _in(8, "186,180 180,200")),
                    ),
                ),
            ),
            Marked(
                "charlie's trousers",
                "#2fa39b",
                (
                    Drawn(
                        60,
                        lasso=_path(
                            "322,166 345,188 364,214 374,250 374,357 350,354 344,292 "
                            "336,286 332,338 308,338 308,270 308,220 320,195"
                        ),
                        strokes=(_in(16, "326,215 320,325"), _in(22, "348,220 359,345")),
                    ),
                ),
            ),
            Marked(
                "pillar",
                "#c9a13b",
                (
                    Drawn(
                        60,
                        lasso=_path("453,0 487,0 489,28 514,42 518,150 532,160 532,184 408,182 418,155 426,52 453,30"),
                        strokes=(
                            _in(16, "444,60 436,170"),
                            _in(8, "430,46 508,46"),
                            _in(14, "418,171 522,171"),
                            _in(30, "490,60 490,166"),
                            _in(24, "470,8 470,24"),
                        ),
                    ),
                ),
            ),
        ),
    ),
)
