"""Films with known truth, made from photographs that ship with scikit-image.

`moving` makes one shot (camera move, and a cut-out figure with its own motion and true occlusion);
`join` makes cuts; `flicker`, `dust`, `grain`, `weave`, `duplicates` do damage and return what they did.
Everything is a pure function of its arguments and seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from core.errors import DecodeError
from core.film.clip import Clip
from core.film.colour import luma_of
from core.film.frame import Frame, on_grid
from core.film.shot import Shot, shots_from_cuts
from core.film.timebase import FrameRange

Array = NDArray[np.float32]
PHOTOS = ("astronaut", "coffee", "chelsea", "rocket", "camera", "moon", "brick", "grass", "gravel", "page")


def patch(shape: tuple[int, int], places: Sequence[Sequence[int]], size: int = 4) -> Array:
    """Weight of hints: squares of ones with their top left corners at places  [(h, w) float32]."""
    weight = np.zeros(shape, np.float32)
    for y, x in places:
        weight[y : y + size, x : x + size] = 1
    return weight


@dataclass(frozen=True, eq=False)
class Film:
    """Frames and what is true of them.

    Attributes:
        rgb: [(n, h, w, 3) float32 [0, 1] R'G'B'] on the 16-bit grid
        flow_fw: of what frame i shows, to frame i+1    [(n-1, h, w, 2) float32 px]
        flow_bw: of what frame i+1 shows, to frame i    [(n-1, h, w, 2) float32 px]
        seen: what frame i+1 shows is also in frame i   [(n-1, h, w) bool]; False over a cut
        figure: the cut-out figure                      [(n, h, w) float32 [0, 1]]
        cuts: first frames of new shots
    """

    rgb: Array
    flow_fw: Array
    flow_bw: Array
    seen: NDArray[np.bool_]
    figure: Array
    cuts: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.rgb)

    @property
    def shots(self) -> tuple[Shot, ...]:
        return shots_from_cuts(self.cuts, len(self))

    def frame(self, n: int) -> Frame:
        return Frame(n, self.rgb[n].copy())

    def frames(self) -> list[Frame]:
        return [self.frame(n) for n in range(len(self))]

    def lumas(self) -> list[Array]:
        return [luma_of(f) for f in self.rgb]

    def grey(self) -> Film:
        """The same film without colour: R'G'B' = luma's grey (flow and masks unchanged)."""
        return replace(self, rgb=np.stack([to_grey(f) for f in self.rgb]))

    def with_rgb(self, rgb: Array) -> Film:
        return replace(self, rgb=rgb)


class ArraySource:
    """A `FrameSource` over an array."""

    def __init__(self, rgb: Array, rate: Fraction | int = 16) -> None:
        n, h, w = rgb.shape[:3]
        self.rgb = rgb
        self.clip = Clip(
            path="/synth", kind="sequence", sha256="0" * 64, width=w, height=h, rate=Fraction(rate),
            time_base=1 / Fraction(rate), pts=tuple(range(n)), end_pts=n,
            grey=bool(np.allclose(rgb, rgb[..., :1])),
        )  # fmt: skip

    def frame(self, n: int) -> Frame:
        if not 0 <= n < len(self.rgb):
            raise DecodeError(f"frame {n}: the film has frames 0:{len(self.rgb)}")
        return Frame(n, self.rgb[n].copy())

    def frames(self, span: FrameRange) -> Iterator[Frame]:
        return (self.frame(n) for n in span)

    def close(self) -> None:
        pass


@lru_cache(maxsize=16)
def photo(name: str) -> Array:
    """A photograph of scikit-image  [(H, W, 3) float32 [0, 1] R'G'B']."""
    image = np.asarray(getattr(data, name)())
    if image.ndim == 2:
        image = np.dstack([image] * 3)
    out = (image[..., :3] / 255).astype(np.float32)
    out.setflags(write=False)
    return out


def to_grey(rgb: Array) -> Array:
    """Three equal planes with the picture's L*  [(h, w, 3) float32 [0, 1]]."""
    f = (luma_of(rgb) + 16) / 116
    y = np.where(f > 6 / 29, f**3, (f - 16 / 116) * 108 / 841)
    coded = np.where(y > 0.0031308, 1.055 * np.maximum(y, 1e-9) ** (1 / 2.4) - 0.055, 12.92 * y)
    return on_grid(np.dstack([coded] * 3).astype(np.float32))


def moving(
    name: str = "astronaut",
    *,
    n: int = 6,
    size: tuple[int, int] = (120, 160),
    drift: tuple[float, float] = (2.0, 0.5),
    zoom: float = 1.0,
    turn: float = 0.0,
    figure: str | None = None,
    figure_drift: tuple[float, float] = (-2.0, 0.0),
    figure_radius: float = 0.22,
) -> Film:
    """One shot with known flow.

    Args:
        name: photograph of the background (`PHOTOS`).
        n: frames.
        size: (h, w).
        drift: how far the background moves on screen  [px per frame, (dx, dy)].
        zoom: enlargement per frame, 1 = none.
        turn: rotation of the background  [degrees per frame].
        figure: photograph of which an ellipse is cut out and moved over the background; None for none.
        figure_drift: how far the figure moves on screen  [px per frame].
        figure_radius: of the ellipse, of the frame's height.
    """
    h, w = size
    ground = [_camera(photo(name), size, i, n, drift, zoom, turn) for i in range(n)]
    front = [_camera(photo(figure or name), size, i, n, figure_drift, 1.0, 0.0) for i in range(n)]
    masks = [_ellipse(size, i - (n - 1) / 2, figure_drift, figure_radius if figure else 0.0) for i in range(n)]
    frames = [g * (1 - m[..., None]) + f * m[..., None] for (g, _), (f, _), m in zip(ground, front, masks, strict=True)]
    forward, backward, seen = [], [], []
    for i in range(n - 1):
        fore = np.array(figure_drift, np.float32)
        step = np.linalg.inv(ground[i + 1][1]) @ ground[i][1]
        forward.append(_layered(_flow_of(step, size), fore, masks[i]))
        backward.append(_layered(_flow_of(np.linalg.inv(step), size), -fore, masks[i + 1]))
        x, y = _grid(size)
        bx, by = x + backward[-1][..., 0], y + backward[-1][..., 1]
        inside = (bx >= 0) & (bx <= w - 1) & (by >= 0) & (by <= h - 1)
        before = cv2.remap(masks[i], bx, by, cv2.INTER_LINEAR)
        seen.append(inside & (np.abs(before - masks[i + 1]) < 0.1))
    empty = np.zeros((0, h, w), np.float32)
    return Film(
        on_grid(np.stack(frames)),
        np.stack(forward) if forward else np.dstack([empty] * 2).reshape(0, h, w, 2),
        np.stack(backward) if backward else np.dstack([empty] * 2).reshape(0, h, w, 2),
        np.stack(seen) if seen else empty.astype(bool),
        np.stack(masks),
    )


def join(*films: Film) -> Film:
    """Films of one size one after the other, with a cut between each two."""
    h, w = films[0].rgb.shape[1:3]
    gap = np.zeros((1, h, w, 2), np.float32)
    parts_fw, parts_bw, parts_seen, cuts, start = [], [], [], [], 0
    for k, film in enumerate(films):
        if k:
            parts_fw.append(gap)
            parts_bw.append(gap)
            parts_seen.append(np.zeros((1, h, w), bool))
            cuts.append(start)
        cuts += [start + c for c in film.cuts]
        parts_fw.append(film.flow_fw)
        parts_bw.append(film.flow_bw)
        parts_seen.append(film.seen)
        start += len(film)
    return Film(
        np.concatenate([f.rgb for f in films]),
        np.concatenate(parts_fw),
        np.concatenate(parts_bw),
        np.concatenate(parts_seen),
        np.concatenate([f.figure for f in films]),
        tuple(sorted(cuts)),
    )


def flicker(rgb: Array, *, degree: float = 0.15, local: float = 0.0, seed: int = 0) -> tuple[Array, Array]:
    """Exposure that changes from frame to frame, over the whole frame and in parts of it.

    Args:
        rgb: [(n, h, w, 3) float32 [0, 1]]
        degree: standard deviation of the frame's gain.
        local: of the gain's smooth part that differs over the frame.
        seed: of the gains.

    Returns:
        The damaged film, and its gain fields  [(n, h, w) float32], of geometric mean 1 in time.
    """
    n, h, w = rgb.shape[:3]
    rng = np.random.default_rng(seed)
    logs = rng.normal(0, degree, (n, 1, 1)) * np.ones((1, h, w))
    coarse = rng.normal(0, 1, (n, 3, 4)).astype(np.float32)
    fields = np.stack([cv2.resize(c, (w, h), interpolation=cv2.INTER_CUBIC) for c in coarse])
    logs = logs + local * fields
    gains = np.exp(logs - logs.mean(axis=0)).astype(np.float32)
    return on_grid(rgb * gains[..., None]), gains


def dust(
    rgb: Array,
    *,
    per_frame: int = 6,
    radius_px: tuple[float, float] = (1.5, 4.0),
    kind: str = "both",
    seed: int = 0,
) -> tuple[Array, NDArray[np.bool_]]:
    """Opaque specks, each on one frame only.

    Args:
        rgb: [(n, h, w, 3) float32 [0, 1]]
        per_frame: specks on each frame.
        radius_px: least and greatest radius.
        kind: ``dark`` (on the print), ``bright`` (on the negative) or ``both``.
        seed: of places, sizes and kinds.

    Returns:
        The damaged film, and where it was changed  [(n, h, w) bool].
    """
    n, h, w = rgb.shape[:3]
    rng = np.random.default_rng(seed)
    out, masks = rgb.copy(), np.zeros((n, h, w), bool)
    x, y = _grid((h, w))
    for i in range(n):
        for _ in range(per_frame):
            cx, cy = rng.uniform(0, w), rng.uniform(0, h)
            a, b = rng.uniform(*radius_px, 2)
            angle = rng.uniform(0, np.pi)
            u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
            v = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
            alpha = np.clip((1.2 - np.hypot(u / a, v / b)) * 3, 0, 1)[..., None]
            dark = kind == "dark" or (kind == "both" and rng.random() < 0.5)
            tone = rng.uniform(0.0, 0.08) if dark else rng.uniform(0.92, 1.0)
            out[i] = out[i] * (1 - alpha) + tone * alpha
            masks[i] |= alpha[..., 0] > 0.3
    return on_grid(out), masks


def grain(rgb: Array, *, sigma: float = 0.02, seed: int = 0) -> Array:
    """Film grain: equal in all planes, slightly soft, new on every frame."""
    rng = np.random.default_rng(seed)
    n, h, w = rgb.shape[:3]
    noise = np.stack([cv2.GaussianBlur(rng.normal(0, 1, (h, w)), (0, 0), 0.6) for _ in range(n)])
    noise *= sigma / max(float(noise.std()), 1e-9)
    return on_grid(rgb + noise[..., None].astype(np.float32))


def weave(rgb: Array, *, sigma_px: float = 0.8, seed: int = 0) -> tuple[Array, Array]:
    """An unsteady gate. Returns the damaged film and the offsets  [(n, 2) float32 px (dx, dy)]."""
    rng = np.random.default_rng(seed)
    offsets = rng.normal(0, sigma_px, (len(rgb), 2)).astype(np.float32)
    h, w = rgb.shape[1:3]
    moved = [
        cv2.warpAffine(
            f,
            np.array([[1, 0, dx], [0, 1, dy]]),
            (w, h),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        for f, (dx, dy) in zip(rgb, offsets, strict=True)
    ]
    return on_grid(np.stack(moved)), offsets


def duplicates(film: Film, pattern: Sequence[int]) -> Array:
    """Frames repeated as a bad transfer does: frame i comes ``pattern[i % len(pattern)]`` times."""
    return np.concatenate([np.repeat(film.rgb[i : i + 1], pattern[i % len(pattern)], 0) for i in range(len(film))])


def psnr(a: Array, b: Array) -> float:
    """On values [0, 1]  [dB]."""
    return float(10 * np.log10(1 / max(float(np.mean((np.asarray(a, np.float64) - b) ** 2)), 1e-12)))


def _camera(
    picture: Array, size: tuple[int, int], i: int, n: int, drift: tuple[float, float], zoom: float, turn: float
) -> tuple[Array, NDArray[np.float64]]:
    """A frame, and the matrix from its pixels to the photograph's."""
    h, w = size
    ph, pw = picture.shape[:2]
    # At one photograph pixel per frame pixel where it is large enough; the move is centred in time.
    scale = min(1.0, 0.8 * min(ph / h, pw / w)) * zoom ** -(i - (n - 1) / 2)
    angle = np.deg2rad(-turn * (i - (n - 1) / 2))
    c, s = np.cos(angle) * scale, np.sin(angle) * scale
    dx, dy = (d * (i - (n - 1) / 2) for d in drift)
    centre = np.array([[1, 0, -(w - 1) / 2 - dx], [0, 1, -(h - 1) / 2 - dy], [0, 0, 1]])
    view = np.array([[c, -s, (pw - 1) / 2], [s, c, (ph - 1) / 2], [0, 0, 1]]) @ centre
    frame = cv2.warpAffine(
        picture, view[:2], (w, h), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(np.clip(frame, 0, 1), np.float32), view


def _ellipse(size: tuple[int, int], t: float, drift: tuple[float, float], radius: float) -> Array:
    x, y = _grid(size)
    h, w = size
    if radius <= 0:
        return np.zeros(size, np.float32)
    r = radius * h
    far = np.hypot((x - w / 2 - drift[0] * t) / (0.8 * r), (y - h / 2 - drift[1] * t) / r)
    return np.asarray(np.clip((1 - far) * r + 0.5, 0, 1), np.float32)


def _layered(ground: Array, fore: Array, mask: Array) -> Array:
    return np.where(mask[..., None] > 0.5, fore, ground).astype(np.float32)


def _flow_of(step: NDArray[np.float64], size: tuple[int, int]) -> Array:
    """Flow of the motion x → step · x."""
    x, y = _grid(size)
    u = step[0, 0] * x + step[0, 1] * y + step[0, 2] - x
    v = step[1, 0] * x + step[1, 1] * y + step[1, 2] - y
    return np.stack([u, v], axis=-1).astype(np.float32)


def _grid(size: tuple[int, int]) -> tuple[Array, Array]:
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    return x, y
