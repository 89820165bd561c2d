"""What models are for and not for, what they take, and how large they are: the part of their cards for restorers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Use:
    """What to know of a model before it is chosen.

    Attributes:
        suited: what it is for.
        unsuited: what it is not for.
        takes: what it is shown: kind of picture, size, multiples  [px], frames. What a film is brought to, the program
            does.
        millions: of parameters, about.
    """

    suited: str
    unsuited: str
    takes: str
    millions: float

    @property
    def megabytes(self) -> float:
        """About the size of its published file, four bytes a parameter  [10^6 bytes]."""
        return 4 * self.millions


_PLAUSIBLE = "evidence of what colours were: it gives the plausible, not the true"
_LUMA = "luma of one frame at a time, of any size"
_SQUARE = "squeezed to a square of {} px; only chroma is used"
_DENSE = "one colour or grey picture of any size, in parts of {} px that overlap"
_CLICKS = "clicks and a box on one colour or grey frame of any size, brought to 1024 px"
_WINDOW = "{} frames of one shot in order, of any size, in parts of {} px, padded to a multiple of {}"
_INVENTS = "evidence: it invents skin, cloth and lettering that look sharp and were not there"
_TIME = "fine detail that must not swim: each frame is enlarged by itself"
_FOLLOWS = "following it through a shot, which tracks do; smoke, hair and veils"
_PAIR = "two frames of one shot, at any time between them, of any size; padded to a multiple of {}"
_MOTION = "two frames' luma, padded to a multiple of 8"


def _edvr(suited: str, millions: float, *, frames: int = 5, full_size: bool = False) -> Use:
    unsuited = "film whose dirt and flicker are not yet taken out; heavy grain"
    return Use(suited, unsuited, _WINDOW.format(frames, 512 if full_size else 128, 16 if full_size else 4), millions)


def _ddcolor(suited: str, millions: float) -> Use:
    return Use(suited, f"{_PLAUSIBLE}; steady colour by itself", f"{_LUMA}, {_SQUARE.format(512)}", millions)


def _deoldify(suited: str, unsuited: str, factor: int, millions: float) -> Use:
    return Use(suited, f"{_PLAUSIBLE}; {unsuited}", f"{_LUMA}, {_SQUARE.format(16 * factor)}", millions)


def _sam(suited: str, millions: float) -> Use:
    return Use(suited, _FOLLOWS, _CLICKS, millions)


_REDS = "four times the size of clean film with steady motion"
USES: dict[str, Use] = {
    "embedded": Use(
        "colouring under a person's hints, and a first look, on any laptop",
        f"{_PLAUSIBLE}; small objects far from any hint",
        f"{_LUMA}, worked on at 256 px, unasked at 128",
        5.8,
    ),
    "deoldify": _deoldify("a calm first colouring of film", "vivid or small things, which stay pale", 21, 218.5),
    "deoldify-stable": _deoldify(
        "a first colouring of people, landscapes and portraits with few mishaps", "small faces", 35, 218.5
    ),
    "deoldify-artistic": _deoldify(
        "vivid stills, as references too", "long shots, where its colours may change from frame to frame", 35, 63.8
    ),
    "segment-anything-b": _sam("regions by clicks where the two larger ones are too slow", 93.7),
    "segment-anything-l": _sam("regions by clicks, with cleaner borders than ViT-B, and slower", 312.3),
    "segment-anything-h": _sam("regions by clicks, the cleanest borders of the three, where there is a GPU", 641.1),
    "sam2.1-tiny": _sam("regions by clicks on a laptop", 38.9),
    "sam2.1-small": _sam("regions by clicks on a laptop, a little cleaner than tiny", 46.0),
    "sam2.1-base-plus": _sam("regions by clicks, between the small ones and the large", 80.8),
    "sam2.1-large": _sam("regions by clicks, the cleanest borders of the four", 224.4),
    "siggraph17": Use(
        "colouring by points, which it carries itself, and likely colours for a place",
        f"{_PLAUSIBLE}; outlines that lie close together, over which its colours spread",
        f"{_LUMA}, brought to 256 px, a multiple of 8; hints as points",
        34.2,
    ),
    "ddcolor": _ddcolor("rich automatic colour of single frames with many things in them", 227.9),
    "ddcolor-artistic": _ddcolor("the most vivid automatic colour, of stills and references", 227.9),
    "ddcolor-paper": _ddcolor("comparison with the paper's own numbers", 227.9),
    "ddcolor-tiny": _ddcolor("automatic colour with a quarter of the large one's weights", 55.1),
    "dain": Use(
        "new frames where near things pass before far ones",
        "long films on a processor; motion over 160 px in large frames; films that are sold (its flow network)",
        f"{_PAIR.format(128)}, larger ones in parts of 768 px",
        24.0,
    ),
    "rife": Use(
        "new frames at nearly the speed of the film on a GPU, also at 4K",
        "thin things that move fast; flicker, which is to be taken out first",
        _PAIR.format("32 or 64, by version"),
        5.7,
    ),
    "realesrgan-x2": Use("twice the size of worn, compressed or noisy pictures", _INVENTS, _DENSE.format(512), 16.7),
    "realesrgan-x4": Use("four times the size of worn or compressed pictures", _INVENTS, _DENSE.format(256), 16.7),
    "realesrgan-anime": Use("drawn film and titles, four times the size", "photographs", _DENSE.format(256), 4.5),
    "realesrnet-x4": Use(
        "four times the size where less must be invented", f"sharp looks; {_TIME}", _DENSE.format(256), 16.7
    ),
    "realesr-general": Use(
        "four times the size at a small part of the cost, with denoising from 0 to 1", _INVENTS, _DENSE.format(512), 1.2
    ),
    "realesr-general-wdn": Use(
        "keeping grain: what denoising of realesr-general below 1 mixes in", "use by itself", _DENSE.format(512), 1.2
    ),
    "realesr-animevideo": Use("drawn film, four times the size, fast", "photographs", _DENSE.format(512), 0.6),
    "esrgan": Use(
        "four times the size of clean, sharp pictures", f"grain and compression, which it sharpens; {_TIME}",
        _DENSE.format(256), 16.7,
    ),
    "esrgan-psnr": Use(
        "four times the size of clean pictures, nearest to the truth in the mean", f"crisp looks; {_TIME}",
        _DENSE.format(256), 16.7,
    ),
    "realsr": Use(
        "four times the size of noisy, compressed photographs", f"clean scans; {_TIME}", _DENSE.format(256), 16.7
    ),
    "edvr": _edvr(f"{_REDS}; the fastest of its family", 3.3),
    "edvr-wotsa": _edvr(f"{_REDS}, as edvr but without its attention: somewhat faster", 3.0),
    "edvr-large": _edvr(f"{_REDS}; the finest of its family, and many times slower", 20.6),
    "edvr-vimeo": _edvr("four times the size of calm, clean film", 20.7, frames=7),
    "edvr-srblur": _edvr("four times the size of film that is blurred by motion", 23.3),
    "edvr-deblur": _edvr("blur by motion, at the film's own size", 23.6, full_size=True),
    "edvr-deblurcomp": _edvr("blur by motion with compression, at the film's own size", 23.6, full_size=True),
    "raft-large": Use("motion for hints where it is large or surfaces bare", "laptops: DIS is faster", _MOTION, 5.3),
    "raft-small": Use("motion for hints at a fifth of raft-large's parameters", "thin things in motion", _MOTION, 1.0),
}  # fmt: skip
