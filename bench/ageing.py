"""What ninety years do to a film: blur, grain, flicker, dust, hairs and scratches, each with its truth known.

Works on grey R'G'B' planes [(h, w) float32 [0, 1]] in order; the same seed gives the same film.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Damage:
    """How much of each.

    Attributes:
        flicker: standard deviation of the exposure of a whole frame, as a factor.
        patchy: the same of its unevenness over the frame.
        dust: specks a frame, on average.
        hairs: hairs a frame, on average.
        scratches: short-lived upright scratches a shot, on average.
        grain: standard deviation of the grain in mid-grey  [R'G'B'].
        blur_px: standard deviation of the lens.
    """

    flicker: float = 0.09
    patchy: float = 0.05
    dust: float = 7.0
    hairs: float = 0.35
    scratches: float = 2.0
    grain: float = 0.016
    blur_px: float = 0.6


@dataclass(frozen=True, repr=False, eq=False)
class AgedFrame:
    """A damaged frame and the truth about its damage.

    Attributes:
        grey: [(h, w) float32 [0, 1] R'G'B']
        matte: what dust, hairs and scratches cover  [(h, w) bool]
        gain: what flicker multiplied the frame by  [(h, w) float32]
    """

    grey: Array
    matte: Mask
    gain: Array


def weave(count: int, rng: np.random.Generator, amount_px: float = 0.8) -> Array:
    """Where the gate holds each frame  [(count, 2) float32 px (dx, dy)], mean 0, steadier sideways."""
    steps = rng.normal(0.0, 1.0, (count, 2))
    place = np.zeros((count, 2))
    for n in range(1, count):
        place[n] = 0.55 * place[n - 1] + steps[n]
    place -= place.mean(axis=0, keepdims=True)
    place /= np.maximum(place.std(axis=0, keepdims=True), 1e-6)
    return np.asarray(place * (0.6 * amount_px, amount_px), np.float32)


def age_shot(greys: list[Array], rng: np.random.Generator, damage: Damage) -> list[AgedFrame]:
    """Damage the frames of one shot.

    Args:
        greys: clean frames    [each (h, w) float32 [0, 1] R'G'B']
        rng: where chance comes from.
        damage: how much of each kind.

    Returns:
        One damaged frame for each; the gains of a shot have mean 1.
    """
    h, w = greys[0].shape
    gains = _gains(len(greys), h, w, rng, damage)
    scratches = _scratches(len(greys), h, w, rng, damage)
    aged = []
    for n, grey in enumerate(greys):
        soft = cv2.GaussianBlur(grey, (0, 0), damage.blur_px) if damage.blur_px > 0 else grey
        # Grain is strongest in the mid-tones: little silver in the highlights, all of it in the shadows.
        strength = damage.grain * 2.0 * np.sqrt(np.clip(soft * (1 - soft), 0, 1))
        picture = (soft + strength * _grain(h, w, rng)) * gains[n]
        alpha, tone = _dirt(h, w, rng, damage)
        picture = picture * (1 - alpha) + tone * alpha
        picture = picture * (1 - scratches[n]) + 0.92 * scratches[n]
        matte = (alpha > 0.1) | (scratches[n] > 0.1)
        aged.append(AgedFrame(np.clip(picture, 0, 1).astype(np.float32), matte, gains[n]))
    return aged


def _grain(h: int, w: int, rng: np.random.Generator) -> Array:
    noise = rng.standard_normal((h, w)).astype(np.float32)
    noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), 0.55), np.float32)
    return np.asarray(noise / noise.std(), np.float32)


def _gains(count: int, h: int, w: int, rng: np.random.Generator, damage: Damage) -> list[Array]:
    whole = rng.normal(0.0, damage.flicker, count)
    whole -= whole.mean()
    fields = rng.normal(0.0, damage.patchy, (count, 3, 4)).astype(np.float32)
    fields -= fields.mean(axis=0, keepdims=True)
    return [
        np.asarray(np.exp(whole[n] + cv2.resize(fields[n], (w, h), interpolation=cv2.INTER_CUBIC)), np.float32)
        for n in range(count)
    ]


def _dirt(h: int, w: int, rng: np.random.Generator, damage: Damage) -> tuple[Array, Array]:
    """Opacity and tone of what lies on one frame only: specks of ragged outline, and hairs."""
    alpha = np.zeros((h, w), np.float32)
    tone = np.zeros((h, w), np.float32)
    scale = h / 360
    for _ in range(rng.poisson(damage.dust)):
        centre = rng.uniform((0, 0), (w, h))
        radius = float(np.clip(rng.lognormal(0.7, 0.5), 1.0, 7.0)) * scale
        angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
        reach = radius * rng.uniform(0.7, 1.2, 9)
        outline = centre + np.stack([np.cos(angles), np.sin(angles)], 1) * reach[:, None]
        shape = np.zeros((h, w), np.uint8)
        cv2.fillPoly(shape, [np.rint(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        _lay(alpha, tone, shape, rng)
    for _ in range(rng.poisson(damage.hairs)):
        start, towards = rng.uniform((0, 0), (w, h)), rng.uniform(0, 2 * np.pi)
        bend, length = rng.normal(0, 0.05), rng.uniform(30, 80) * scale
        s = np.linspace(0, length, 30)
        turned = towards + bend * s / scale
        path = start + np.cumsum(np.stack([np.cos(turned), np.sin(turned)], 1) * (length / 30), 0)
        shape = np.zeros((h, w), np.uint8)
        cv2.polylines(shape, [np.rint(path * 16).astype(np.int32)], False, 255, 1, cv2.LINE_AA, 4)
        _lay(alpha, tone, shape, rng)
    return alpha, tone


def _lay(alpha: Array, tone: Array, shape: NDArray[np.uint8], rng: np.random.Generator) -> None:
    cover = shape.astype(np.float32) / 255 * np.float32(rng.uniform(0.75, 1.0))
    # Dirt on the negative prints white, dirt on the print is black: both are met, white more often.
    value = rng.uniform(0.85, 1.0) if rng.random() < 0.6 else rng.uniform(0.0, 0.12)
    over = cover > alpha
    alpha[over] = cover[over]
    tone[over] = value


def _scratches(count: int, h: int, w: int, rng: np.random.Generator, damage: Damage) -> list[Array]:
    """Opacity of upright scratches that last two or three frames and wander a little."""
    cover = [np.zeros((h, w), np.float32) for _ in range(count)]
    for _ in range(rng.poisson(damage.scratches)):
        first, lasts = int(rng.integers(0, count)), int(rng.integers(1, 4))
        x, lean = rng.uniform(0.05 * w, 0.95 * w), rng.normal(0, 0.01)
        for n in range(first, min(count, first + lasts)):
            shape = np.zeros((h, w), np.uint8)
            x += rng.normal(0, 1.0)
            ends = np.array([[x, 0], [x + lean * h, h]])
            cv2.polylines(shape, [np.rint(ends * 16).astype(np.int32)], False, 255, 1, cv2.LINE_AA, 4)
            cover[n] = np.maximum(cover[n], shape.astype(np.float32) / 255 * np.float32(rng.uniform(0.3, 0.6)))
    return cover
