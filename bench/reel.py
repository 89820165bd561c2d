"""A short film whose truth is known, made from photographs that ship with scikit-image. No download.

Three shots: an astronaut walks in front of a launch pad at dusk (real occlusion, moving camera), a camera
passes a motorcycle in a garage, a cup is carried past a cat. Each is rendered in clean colour, made grey
and aged (`bench.ageing`); a few hints are taken from the truth as a restorer would place them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from skimage import data

from bench.ageing import Damage, age_shot, weave
from core.film.colour import join, lab_to_hex, luma_of, srgb_to_lab

Array = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

RATE = Fraction(16)
HEIGHT, WIDTH = 360, 480
SAMPLES_PER_SECOND = 48000
# The clean picture is drawn twice as large and averaged down: motion is true to a fraction of a pixel.
_FINER = 2
# Frames in which a way is walked from 0 to 1; a shorter shot ends on the way.
_PACE = 24


@dataclass(frozen=True, repr=False, eq=False)
class Layer:
    """A photograph, or a figure cut out of one, and its way through the shot.

    Attributes:
        rgb: the photograph    [(h, w, 3) uint8 R'G'B']
        alpha: what of it is there  [(h, w) float32 [0, 1]]
        way: how much of it is walked [0, 1] → (scale, degrees, x, y): where the photograph's ``anchor`` comes to
            lie in the frame, in pixels, and how large and turned it is there.
        anchor: (x, y) of the photograph.
        regions: parts of it that have a colour of their own  [name → (h, w) bool]
    """

    rgb: Bytes
    alpha: Array
    way: Callable[[float], tuple[float, float, float, float]]
    anchor: tuple[float, float]
    regions: dict[str, Mask] = field(default_factory=dict)


@dataclass(frozen=True, repr=False, eq=False)
class Reel:
    """The film and the truth about it.

    Attributes:
        film: as it was found       [(n, h, w) uint8 grey]
        truth: as it was            [(n, h, w, 3) uint8 R'G'B'], with the gate's weave, without any damage
        matte: dust and scratches   [(n, h, w) bool]
        regions: name → where that region is seen  [(n, h, w) bool]
        starts: first frame of each shot.
        sound: [(samples,) int16]
    """

    film: Bytes
    truth: Bytes
    matte: Mask
    regions: dict[str, Mask]
    starts: tuple[int, ...]
    sound: NDArray[np.int16]
    rate: Fraction = RATE

    @property
    def count(self) -> int:
        """Number of frames."""
        return int(self.film.shape[0])


def make_reel(frames_per_shot: int = _PACE, *, damage: Damage | None = None, seed: int = 1906) -> Reel:
    """Render, make grey and age the reel.

    Args:
        frames_per_shot: length of each of the three shots, at most 24.
        damage: how much of it; the usual if left out.
        seed: of all chance.

    Returns:
        The film and the truth about it; the same arguments give the same reel.
    """
    shots = (_launch_pad(), _garage(), _cat_and_cup())
    names = [name for shot in shots for layer in shot for name in layer.regions]
    count = frames_per_shot * len(shots)
    regions = {name: np.zeros((count, HEIGHT, WIDTH), bool) for name in names}
    truth = np.zeros((count, HEIGHT, WIDTH, 3), np.uint8)
    film = np.zeros((count, HEIGHT, WIDTH), np.uint8)
    matte = np.zeros((count, HEIGHT, WIDTH), bool)
    for s, shot in enumerate(shots):
        # Chance of its own for the gate: how dirty the film is must not move the camera.
        gate = weave(frames_per_shot, np.random.default_rng((seed, s, 0)))
        first = s * frames_per_shot
        greys = []
        for n in range(frames_per_shot):
            rgb, seen = draw(shot, n / (_PACE - 1), gate[n])
            truth[first + n] = np.rint(rgb * 255)
            for name, mask in seen.items():
                regions[name][first + n] = mask
            greys.append(_grey(_floats(truth[first + n])))
        chance = np.random.default_rng((seed, s, 1))
        for n, aged in enumerate(age_shot(greys, chance, damage or Damage())):
            film[first + n] = np.rint(aged.grey * 255)
            matte[first + n] = aged.matte
    starts = tuple(range(0, count, frames_per_shot))
    return Reel(film, truth, matte, regions, starts, _sound(count, starts))


def draw(layers: tuple[Layer, ...], t: float, shift: Array) -> tuple[Array, dict[str, Mask]]:
    """One clean frame and where each region is seen in it.

    Args:
        layers: from the back to the front.
        t: how much of the way is walked  [0, 1].
        shift: the gate's  [(2,) float32 px (dx, dy)]

    Returns:
        The picture  [(h, w, 3) float32 [0, 1] R'G'B'] and region name → [(h, w) bool], occlusion counted.
    """
    fine, small = (WIDTH * _FINER, HEIGHT * _FINER), (WIDTH, HEIGHT)
    picture = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    seen: dict[str, Array] = {}
    for layer in layers:
        matrix = _matrix(layer, t, shift, _FINER)
        # Colours reach beyond the figure's edge (`_spread`), so cover is laid on after both are drawn.
        rgb = cv2.warpAffine(layer.rgb, matrix, fine, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        rgb = _floats(np.asarray(cv2.resize(rgb, small, interpolation=cv2.INTER_AREA), np.uint8))
        alpha = np.ones((HEIGHT, WIDTH), np.float32)
        if not layer.alpha.all():
            cover = cv2.warpAffine(layer.alpha, matrix, fine, flags=cv2.INTER_LINEAR)
            alpha = np.asarray(cv2.resize(cover, small, interpolation=cv2.INTER_AREA), np.float32)
        picture += alpha[..., None] * (rgb - picture)
        for name in seen:
            seen[name] = seen[name] * (1 - alpha)
        straight = _matrix(layer, t, shift, 1)
        for name, mask in layer.regions.items():
            there = cv2.warpAffine(mask.astype(np.float32), straight, small, flags=cv2.INTER_LINEAR)
            seen[name] = np.asarray(there * alpha, np.float32)
    return np.clip(picture, 0, 1), {name: cover > 0.5 for name, cover in seen.items()}


def hints_of(reel: Reel) -> tuple[dict[str, Any], dict[str, Mask]]:
    """A few hints as a restorer would place them, their colours taken from the truth.

    Args:
        reel: the film and its truth.

    Returns:
        What stands in ``hints.json``, and the masks it names  [path → (h, w) bool].
    """
    regions: list[dict[str, Any]] = []
    hints: list[dict[str, Any]] = []
    masks: dict[str, Mask] = {}
    for name, (label, kind) in HINTED.items():
        frame = _keyframe(reel, name)
        mask = reel.regions[name][frame]
        hint: dict[str, Any] = {"id": f"h-{name}", "frame": frame, "kind": kind}
        if kind != "neutral":
            evidence = {"source": "the reel's own truth", "certainty": "documented", "author": "bench.reel"}
            colour = _mean_colour(reel.truth[frame], mask)
            regions.append({"id": name, "name": label, "colour": colour, "evidence": evidence})
            hint["region"] = name
        ys, xs = np.nonzero(mask)
        if kind in ("region", "neutral"):
            hint["mask"] = f"masks/{name}_{frame:04d}.png"
            masks[hint["mask"]] = mask
        elif kind == "point":
            hint |= {"xy": [round(xs.mean() + 0.5, 1), round(ys.mean() + 0.5, 1)], "radius": 4}
        else:
            # A stroke along the middle of the region, a little short of its ends.
            ends = np.quantile(xs, (0.1, 0.5, 0.9))
            path = [[round(x + 0.5, 1), round(ys[abs(xs - x) < 4].mean() + 0.5, 1)] for x in ends]
            hint |= {"path": path, "width": 6}
        hints.append(hint)
    return {"version": 1, "regions": regions, "hints": hints}, masks


def write_hints(reel: Reel, folder: Path) -> Path:
    """Write ``hints.json`` and the masks it names into a folder; returns the file's path."""
    told, masks = hints_of(reel)
    for name, mask in masks.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), mask.astype(np.uint8) * 255)
    path = folder / "hints.json"
    path.write_text(json.dumps(told, indent=1, ensure_ascii=False), "utf-8")
    return path


def write_sound(reel: Reel, path: Path) -> None:
    """Write the reel's sound as a Matroska file of 16-bit PCM, from which a film can take it."""
    with av.open(str(path), "w", format="matroska") as out:
        stream = out.add_stream("pcm_s16le", rate=SAMPLES_PER_SECOND, layout="mono")
        # In blocks of a tenth of a second: a reader finds its place among them.
        for start in range(0, len(reel.sound), SAMPLES_PER_SECOND // 10):
            block = reel.sound[None, start : start + SAMPLES_PER_SECOND // 10]
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = SAMPLES_PER_SECOND, start, Fraction(1, SAMPLES_PER_SECOND)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


# What is hinted: region → (what a restorer would call it, the kind of hint that is placed on it).
HINTED: dict[str, tuple[str, str]] = {
    "suit": ("Flight suit", "region"),
    "face": ("Face", "point"),
    "sky": ("Sky at dusk", "region"),
    "paint": ("Motorcycle's paint", "region"),
    "boards": ("Wooden wall", "scribble"),
    "engine": ("Engine, bare metal", "neutral"),
    "fur": ("Cat's fur", "scribble"),
    "eye": ("Cat's eye", "region"),
    "cup": ("Cup and saucer", "region"),
}


def _launch_pad() -> tuple[Layer, ...]:
    pad = np.asarray(data.rocket())  # type: ignore[no-untyped-call]
    man = np.asarray(data.astronaut())  # type: ignore[no-untyped-call]
    figure = _cut_out(man, _ASTRONAUT, _ASTRONAUT_SURE, _ASTRONAUT_NOT)
    lab = srgb_to_lab(_floats(man))
    suit = _clean((figure > 0.9) & (lab[..., 1] > 28) & (lab[..., 2] > 28) & (_rows(man) > 195), 5)
    sky = _clean((srgb_to_lab(_floats(pad))[..., 2] < -6) & (_rows(pad) < 330), 5)
    behind = Layer(
        pad,
        np.ones(pad.shape[:2], np.float32),
        lambda t: (0.92 + 0.08 * _eased(t), 0.8 - 1.4 * t, 262 - 44 * _eased(t), 176 + 8 * t),
        (320, 213),
        {"sky": sky},
    )
    before = Layer(
        _spread(man, figure),
        figure,
        lambda t: (0.60 + 0.03 * t, 1.2 * np.sin(9 * t), 110 + 190 * t, 372 + 3 * np.cos(12 * t)),
        (256, 512),
        {"suit": suit, "face": _disc(man, (213, 110), 16)},
    )
    return behind, before


def _garage() -> tuple[Layer, ...]:
    photo = np.asarray(data.stereo_motorcycle()[0])[..., :3]  # type: ignore[no-untyped-call]
    lab = srgb_to_lab(_floats(photo))
    red = (lab[..., 1] > 30) & (lab[..., 2] > 12)
    bike = _polygon(photo, [(90, 185), (250, 255), (330, 150), (480, 145), (650, 300), (500, 320), (320, 250)])
    boards = _polygon(photo, [(90, 8), (172, 8), (172, 90), (90, 90)])
    engine = _polygon(photo, [(345, 255), (470, 250), (475, 330), (440, 350), (345, 345)])
    way = Layer(
        photo,
        np.ones(photo.shape[:2], np.float32),
        lambda t: (0.84 + 0.10 * _eased(t), 1.0 * t - 0.4, 292 - 92 * _eased(t), 178 - 14 * t),
        (370, 250),
        {"paint": _clean(red & bike, 3), "boards": boards, "engine": engine},
    )
    return (way,)


def _cat_and_cup() -> tuple[Layer, ...]:
    cat = np.asarray(data.chelsea())  # type: ignore[no-untyped-call]
    coffee = np.asarray(data.coffee())  # type: ignore[no-untyped-call]
    cup = _cup(coffee)
    lab = srgb_to_lab(_floats(coffee))
    glazed = _clean((cup > 0.9) & (lab[..., 1] > 22) & (lab[..., 0] < 55), 5)
    eye = _disc(cat, (170, 114), 29, 25) & ~_disc(cat, (171, 110), 14, 21)
    behind = Layer(
        cat,
        np.ones(cat.shape[:2], np.float32),
        lambda t: (1.40 - 0.10 * _eased(t), -1.0 + 2.0 * t, 250 - 22 * _eased(t), 186 - 6 * t),
        (225, 150),
        {"fur": _disc(cat, (110, 55), 45, 12), "eye": eye},
    )
    before = Layer(
        _spread(coffee, cup),
        cup,
        lambda t: (0.50, 4 - 8 * t, -60 + 330 * _eased(t), 292 - 10 * np.sin(3.1 * t)),
        (279, 220),
        {"cup": glazed},
    )
    return behind, before


def _floats(rgb: Bytes) -> Array:
    return np.asarray(rgb, np.float32) / np.float32(255)


def _eased(t: float) -> float:
    return float(t * t * (3 - 2 * t))


def _rows(photo: Bytes) -> NDArray[np.intp]:
    return np.asarray(np.arange(photo.shape[0])[:, None])


def _matrix(layer: Layer, t: float, shift: Array, finer: int) -> NDArray[np.float64]:
    scale, degrees, x, y = layer.way(t)
    matrix = np.array(cv2.getRotationMatrix2D(layer.anchor, degrees, scale * finer), np.float64)
    # Pixel centres: averaging two fine pixels to one moves the picture by half of the finer step.
    matrix[:, 2] += (np.array([x, y]) + shift) * finer + (finer - 1) / 2 - layer.anchor
    return matrix


def _polygon(photo: Bytes, corners: list[tuple[int, int]]) -> Mask:
    mask = np.zeros(photo.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.array(corners, np.int32)], 1)
    return mask > 0


def _disc(photo: Bytes, centre: tuple[int, int], rx: int, ry: int | None = None) -> Mask:
    mask = np.zeros(photo.shape[:2], np.uint8)
    cv2.ellipse(mask, centre, (rx, ry or rx), 0, 0, 360, 1, -1)
    return mask > 0


def _clean(mask: Mask, size: int) -> Mask:
    """Without specks and holes smaller than ``size`` pixels."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    return np.asarray(cv2.morphologyEx(opened, cv2.MORPH_CLOSE, kernel) > 0)


# The astronaut's outline: surely outside beyond the first polygon, surely inside the second; between them
# the colours decide (Rother et al. 2004, GrabCut). The third is the grey wall seen between hair and ring.
_ASTRONAUT = [
    (155, 60), (170, 30), (205, 10), (250, 10), (290, 35), (305, 85), (300, 130), (285, 165), (310, 200),
    (312, 235), (345, 255), (372, 330), (375, 348), (420, 338), (470, 355), (500, 400), (511, 440),
    (511, 511), (15, 511), (15, 460), (20, 330), (40, 280), (75, 240), (112, 215), (105, 185), (120, 160),
    (160, 145), (175, 125), (150, 100),
]  # fmt: skip
_ASTRONAUT_SURE = [
    (170, 60), (205, 25), (250, 25), (285, 50), (290, 100), (262, 175), (290, 200), (295, 245), (330, 265),
    (352, 335), (350, 352), (400, 350), (455, 365), (485, 410), (490, 511), (40, 511), (35, 340), (60, 280),
    (100, 250), (130, 230), (125, 180), (170, 155), (182, 120), (165, 95),
]  # fmt: skip
_ASTRONAUT_NOT = [(272, 140), (290, 128), (300, 160), (292, 195), (262, 178), (256, 165)]


def _cut_out(
    photo: Bytes, outer: list[tuple[int, int]], sure: list[tuple[int, int]], never: list[tuple[int, int]]
) -> Array:
    marks = np.where(_polygon(photo, outer), cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
    marks[_polygon(photo, sure)] = cv2.GC_FGD
    marks[_polygon(photo, never)] = cv2.GC_BGD
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(np.ascontiguousarray(photo), marks, None, *models, 6, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    inside = _clean((marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD), 5)
    return _feathered(inside)


def _cup(photo: Bytes) -> Array:
    saucer = np.zeros(photo.shape[:2], np.uint8)
    cv2.ellipse(saucer, (279, 226), (200, 160), 4, 0, 360, 1, -1)
    cv2.ellipse(saucer, (291, 112), (118, 94), 0, 0, 360, 1, -1)
    spoon = _polygon(photo, [(398, 72), (408, 66), (421, 70), (420, 84), (395, 180), (380, 180)])
    return _feathered((saucer > 0) | spoon)


def _feathered(inside: Mask) -> Array:
    """Cover that falls off over two pixels at the border, from one pixel inside."""
    shrunk = cv2.erode(inside.astype(np.float32), np.ones((3, 3), np.uint8))
    soft = np.asarray(cv2.GaussianBlur(shrunk, (0, 0), 0.9), np.float32)
    # A figure that is cut off by its photograph's border stays opaque there.
    soft[-2:] = shrunk[-2:]
    return soft


def _spread(photo: Bytes, alpha: Array) -> Bytes:
    """Carry a figure's own colours outwards, so that its soft edge does not show what stood behind it."""
    nearest = distance_transform_edt(alpha < 0.98, return_distances=False, return_indices=True)
    return np.ascontiguousarray(photo[nearest[0], nearest[1]])


def _grey(rgb: Array) -> Array:
    """The same L* without chroma, one plane  [(h, w) float32 [0, 1] R'G'B']."""
    luma = luma_of(rgb)
    return np.ascontiguousarray(join(luma, np.zeros((*luma.shape, 2), np.float32))[..., 1])


def _keyframe(reel: Reel, name: str) -> int:
    """The first frame of its shot; where the region comes in later, the frame in which most of it is seen."""
    area = reel.regions[name].sum(axis=(1, 2))
    first = int(np.flatnonzero(area)[0])
    return first if first in reel.starts and area[first] > 0.5 * area.max() else int(np.argmax(area))


def _mean_colour(rgb: Bytes, mask: Mask) -> str:
    lab = srgb_to_lab(_floats(rgb))
    return lab_to_hex(lab[mask].mean(axis=0))


def _sound(count: int, starts: tuple[int, ...]) -> NDArray[np.int16]:
    """A soft chord for each shot and a click at each cut: what is out of step is heard at once."""
    total = int(SAMPLES_PER_SECOND * count / RATE)
    t = np.arange(total) / SAMPLES_PER_SECOND
    signal = np.zeros(total)
    chords = ((220.0, 277.2, 329.6), (196.0, 246.9, 293.7), (174.6, 220.0, 261.6))
    for s, (start, stop) in enumerate(zip(starts, (*starts[1:], count), strict=True)):
        a, b = (int(SAMPLES_PER_SECOND * n / RATE) for n in (start, stop))
        fade = np.minimum(1, np.minimum(t[a:b] - t[a], t[b - 1] - t[a:b]) / 0.08)
        signal[a:b] += fade * sum(0.09 * np.sin(2 * np.pi * f * t[a:b]) for f in chords[s % len(chords)])
        click = np.exp(-np.arange(480) / 60.0) * np.sin(2 * np.pi * 2000 * np.arange(480) / SAMPLES_PER_SECOND)
        signal[a : a + 480] += 0.5 * click[: total - a]
    return np.asarray(np.rint(np.clip(signal, -1, 1) * 32000), np.int16)
