"""Optical flow between two frames and what is done with it: trust, warping, composing, resizing.

Flow is (h, w, 2) float32, (dx, dy) in pixels: the point at (x, y) of one frame is found at
(x + dx, y + dy) of the other. It is estimated at a working size (long side at most 640), where it
costs a tenth of what it would at full size, and its result is carried up by `resize_flow`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol, cast, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from core.contract.plugins import Plugins
from core.errors import ShapeError
from core.shift import about, better, gains, large_shift

Array = NDArray[np.float32]
Preset = Literal["ultrafast", "fast", "medium"]

WORKING_LONG_SIDE = 640
_VERSION = 2
_PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}
# OpenCV's DIS needs room for a pyramid of 8-pixel patches; smaller pictures are padded to this.
_LEAST_SIDE = 32
# Smaller pictures hold too few patches to leave any out, and cost little  [px of the long side].
_QUICK_FROM = 256
# A pan, and what moves beside it: so many shifts are looked for where flow is lost.
_MOST_SHIFTS = 3
# Forward-backward test of Sundaram et al. 2010: |f + b|² < 0.01 (|f|² + |b|²) + 0.5 px².
_FB_RELATIVE, _FB_ABSOLUTE = 0.01, 0.5
# Luma that differs by this much after gain matching leaves a trust of 1/e  [L*].
_LUMA_TOLERANCE = 8.0


@dataclass(frozen=True, repr=False, eq=False)
class FlowPair:
    """Flow both ways between frames a and b, and how far each vector can be believed.

    Attributes:
        forward: a → b                  [(h, w, 2) float32 px (dx, dy)]
        backward: b → a                 [(h, w, 2) float32 px (dx, dy)]
        forward_trust: of ``forward``   [(h, w) float32 [0, 1]], 0 where it leaves the frame
        backward_trust: of ``backward`` [(h, w) float32 [0, 1]], 0 where it leaves the frame
    """

    forward: Array
    backward: Array
    forward_trust: Array
    backward_trust: Array

    def __post_init__(self) -> None:
        h, w = self.forward_trust.shape
        shapes = (self.forward.shape, self.backward.shape, self.backward_trust.shape)
        if shapes != ((h, w, 2), (h, w, 2), (h, w)):
            raise ShapeError(f"flow pair: trust is {(h, w)} but the other planes are {shapes}")

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) at which it was estimated."""
        return int(self.forward_trust.shape[0]), int(self.forward_trust.shape[1])

    def reversed(self) -> FlowPair:
        """The same pair seen from b."""
        return FlowPair(self.backward, self.forward, self.backward_trust, self.forward_trust)

    def __repr__(self) -> str:
        return f"FlowPair({self.size[1]}x{self.size[0]})"


@runtime_checkable
class FlowEstimator(Protocol):
    """Finds flow. A value: the same lumas give the same pair.

    Attributes:
        name: the word people choose it by.
        fingerprint: changes whenever its results may; part of every key that flow reaches.
    """

    name: str
    fingerprint: str

    def pair(self, luma_a: Array, luma_b: Array) -> FlowPair:
        """Flow both ways between two frames of one size  [(h, w) float32 L* [0, 100] each]."""
        ...


@runtime_checkable
class FindsQuickly(Protocol):
    """An estimator that can find rougher flow for a fraction of the price."""

    def quick_pair(self, luma_a: Array, luma_b: Array) -> FlowPair:
        """Flow both ways between two frames of one size  [(h, w) float32 L* [0, 100] each]."""
        ...


class DisFlow:
    """Dense inverse search, OpenCV's; both ways, with trust.

    Flicker must not lead it: both lumas are first brought to one mean and contrast, DIS itself removes the
    mean of each patch, and the luma test of the trust ignores differences that are smooth over the frame.

    What moves further than DIS reaches is begun anew from a shift found for it (`core.shift`): a pan, and what moves
    beside it. Where nothing of that kind is lost, the flow is DIS's own to the bit.

    Source: Kroeger et al. 2016 (DIS); Sundaram, Brox & Keutzer 2010 (forward-backward check).
    """

    name = "dis"

    def __init__(self, preset: Preset = "medium") -> None:
        self.preset = preset
        self.fingerprint = f"dis-{preset}-v{_VERSION}-cv{cv2.__version__}"

    def pair(self, luma_a: Array, luma_b: Array) -> FlowPair:
        """Flow both ways between two frames, and its trust.

        Args:
            luma_a: frame a  [(h, w) float32 L* [0, 100]]
            luma_b: frame b  [(h, w) float32 L* [0, 100]]

        Returns:
            Flow and trust at the size of the lumas.

        Raises:
            ShapeError: the lumas differ in size.

        Cost: about 25 ms at 640×480 on two cores (medium).
        """
        return self._pair(luma_a, luma_b, self.preset)

    def quick_pair(self, luma_a: Array, luma_b: Array) -> FlowPair:
        """The same by fewer patches and rounds, but as fine as the medium preset's: a third of its time.

        No large shift is looked for: between far frames, a slow pan that adds up to one leads to worse than the chain.

        Raises:
            ShapeError: the lumas differ in size.
        """
        if max(luma_a.shape) < _QUICK_FROM:
            return self.pair(luma_a, luma_b)
        return self._pair(luma_a, luma_b, "ultrafast", finest=1, shifts=0)

    def _pair(
        self, luma_a: Array, luma_b: Array, preset: Preset, finest: int | None = None, shifts: int = _MOST_SHIFTS
    ) -> FlowPair:
        if luma_a.ndim != 2 or luma_a.shape != luma_b.shape:
            raise ShapeError(f"flow: lumas are {luma_a.shape} and {luma_b.shape}; bring both to one (h, w)")
        a, b = match_gain(luma_a, luma_b)
        first, second = _to_8bit(a), _to_8bit(b)
        pair = with_trust(a, b, *self._both_ways(first, second, preset, finest))
        for _ in range(shifts):
            shift = large_shift(a, b, pair.forward_trust, pair.backward_trust)
            if shift is None:
                break
            forward, backward = self._begun_at(shift, first, second, preset, finest)
            tried = _joined(a, b, pair, with_trust(a, b, forward, backward), shift)
            if not gains(tried.forward_trust, pair.forward_trust):
                break
            if not gains(tried.backward_trust, pair.backward_trust):
                break
            pair = tried
        return pair

    def _begun_at(
        self, shift: tuple[int, int], a: NDArray[np.uint8], b: NDArray[np.uint8], preset: Preset, finest: int | None
    ) -> tuple[Array, Array]:
        """Flow both ways, found in what both frames show of each other where one is shifted."""
        h, w = a.shape
        (left, right), (top, bottom) = ((max(0, -d), max(0, d)) for d in shift)
        of_a = a[top : h - bottom, left : w - right]
        of_b = b[bottom : h - top, right : w - left]
        forward, backward = self._both_ways(of_a, of_b, preset, finest)
        along = np.array(shift, np.float32)
        return (
            _extended(forward + along, (top, bottom, left, right)),
            _extended(backward - along, (bottom, top, right, left)),
        )

    def _both_ways(
        self, a: NDArray[np.uint8], b: NDArray[np.uint8], preset: Preset, finest: int | None
    ) -> tuple[Array, Array]:
        return self._flow(a, b, preset, finest), self._flow(b, a, preset, finest)

    def _flow(self, a: NDArray[np.uint8], b: NDArray[np.uint8], preset: Preset, finest: int | None) -> Array:
        h, w = a.shape
        bottom, right = max(0, _LEAST_SIDE - h), max(0, _LEAST_SIDE - w)
        a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
        if bottom or right:
            a, b = _padded(a, bottom, right), _padded(b, bottom, right)
        # One object per call: DIS keeps buffers inside, and stages may run in several threads.
        dis = cv2.DISOpticalFlow.create(_PRESETS[preset])
        if finest is not None:
            dis.setFinestScale(finest)
        flow = dis.calc(a, b, None)  # type: ignore[call-overload]
        return np.ascontiguousarray(flow[:h, :w], dtype=np.float32)


def with_trust(luma_a: Array, luma_b: Array, forward: Array, backward: Array) -> FlowPair:
    """Flow both ways, and how far each vector can be believed, whoever found it.

    Args:
        luma_a: frame a, its gain matched to b's  [(h, w) float32 L*]
        luma_b: frame b                           [(h, w) float32 L*]
        forward: a → b                            [(h, w, 2) float32 px]
        backward: b → a                           [(h, w, 2) float32 px]

    Source: Sundaram, Brox & Keutzer 2010 (forward-backward check).
    """
    trust = _trust(luma_a, luma_b, forward, backward), _trust(luma_b, luma_a, backward, forward)
    return FlowPair(forward, backward, *trust)


def match_gain(luma_a: Array, luma_b: Array) -> tuple[Array, Array]:
    """Bring two frames to one mean and contrast, halfway between them.

    Args:
        luma_a: frame a  [(h, w) float32 L*]
        luma_b: frame b  [(h, w) float32 L*]

    Returns:
        Both lumas with equal mean and standard deviation  [(h, w) float32]; equal inputs unchanged.
    """
    tone_a, tone_b = tone_of(luma_a), tone_of(luma_b)
    halfway = (tone_a[0] + tone_b[0]) / 2, (tone_a[1] + tone_b[1]) / 2
    return toned(luma_a, tone_a, halfway), toned(luma_b, tone_b, halfway)


def tone_of(luma: Array) -> tuple[float, float]:
    """Mean and standard deviation of a frame's luma  [L*]."""
    mean, std = cv2.meanStdDev(luma)
    return float(mean[0, 0]), float(std[0, 0])


def toned(luma: Array, own: tuple[float, float], wanted: tuple[float, float]) -> Array:
    """Luma brought from its own mean and deviation to others  [(h, w) float32 L*]."""
    # A frame without contrast (black leader) has nothing to match; its gain is left at 1.
    gain = wanted[1] / own[1] if min(own[1], wanted[1]) > 0.5 else 1.0
    return np.asarray((luma - np.float32(own[0])) * np.float32(gain) + np.float32(wanted[0]), np.float32)


def working_size(h: int, w: int, longest: int = WORKING_LONG_SIDE) -> tuple[int, int]:
    """(h, w) with a long side of ``longest`` at most, never enlarged; by default that at which flow is estimated."""
    scale = min(1.0, longest / max(h, w))
    return max(1, round(h * scale)), max(1, round(w * scale))


def to_working(luma: Array) -> Array:
    """Luma at working size, by area averaging  [(h, w) float32 L*]; as it is where it is small enough."""
    h, w = working_size(*luma.shape)
    if (h, w) == luma.shape:
        return luma
    return np.asarray(cv2.resize(luma, (w, h), interpolation=cv2.INTER_AREA), np.float32)


def warp(
    image: Array,
    flow_bw: Array,
    border: int = cv2.BORDER_REPLICATE,
    *,
    interpolation: int = cv2.INTER_LINEAR,
) -> Array:
    """Pull frame n-1 (or any frame) to frame n along the flow n → n-1.

    Args:
        image: of frame n-1               [(h, w) or (h, w, c) float32]
        flow_bw: from frame n to frame n-1 [(h, w, 2) float32 px (dx, dy)]
        border: what lies outside, an OpenCV border mode; ``cv2.BORDER_CONSTANT`` gives 0.
        interpolation: OpenCV's word; cubic keeps grain crisper, and may overshoot.

    Returns:
        The image as frame n sees it  [same shape as ``image``, float32]

    Raises:
        ShapeError: image and flow differ in h or w.
    """
    if image.shape[:2] != flow_bw.shape[:2] or flow_bw.shape[2:] != (2,):
        raise ShapeError(f"warp: image is {image.shape} but flow is {flow_bw.shape}; use resize_flow first")
    map_x, map_y = _maps(flow_bw)
    if image.ndim == 3 and image.shape[2] > 4:  # OpenCV remaps at most four planes with a border
        planes = [warp(image[..., c], flow_bw, border, interpolation=interpolation) for c in range(image.shape[2])]
        return np.stack(planes, axis=-1)
    out = cv2.remap(np.ascontiguousarray(image, dtype=np.float32), map_x, map_y, interpolation, borderMode=border)
    return np.asarray(out, np.float32).reshape(image.shape)


def warp_valid(flow: Array) -> Array:
    """1 where a flow vector ends inside the frame, 0 where it leaves it  [(h, w) float32]."""
    map_x, map_y = _maps(flow)
    h, w = flow.shape[:2]
    inside = (map_x >= 0) & (map_x <= w - 1) & (map_y >= 0) & (map_y <= h - 1)
    return np.asarray(inside, np.float32)


def compose(flow_ab: Array, flow_bc: Array) -> Array:
    """Chain two flows: a → b, then b → c.

    Args:
        flow_ab: [(h, w, 2) float32 px]
        flow_bc: [(h, w, 2) float32 px]

    Returns:
        The flow a → c  [(h, w, 2) float32 px]

    Raises:
        ShapeError: the flows differ in size.
    """
    return np.asarray(flow_ab + warp(flow_bc, flow_ab), np.float32)


def closure(forward: Array, backward: Array) -> Array:
    """How well the flow there and the flow back cancel: trust that asks nothing of the luma.

    Args:
        forward: a → b   [(h, w, 2) float32 px]
        backward: b → a  [(h, w, 2) float32 px]

    Returns:
        1 where they cancel, falling to 0; 0 where ``forward`` leaves the frame  [(h, w) float32 [0, 1]]

    Raises:
        ShapeError: the flows differ in size.

    Source: Sundaram, Brox & Keutzer 2010.
    """
    return np.asarray(np.exp(-_disagreement(forward, backward)) * warp_valid(forward), np.float32)


def resize_flow(flow: Array, size: tuple[int, int]) -> Array:
    """Flow at another size (h, w), its vectors scaled alike  [(h, w, 2) float32 px]."""
    h, w = flow.shape[:2]
    if (h, w) == size:
        return flow
    out = cv2.resize(flow, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    out *= np.array([size[1] / w, size[0] / h], np.float32)
    return np.asarray(out, np.float32)


def register(plugins: Plugins) -> None:
    """Add the flow estimators there are."""
    plugins.flows.add("dis", lambda device: DisFlow())


def _joined(luma_a: Array, luma_b: Array, pair: FlowPair, there: FlowPair, shift: tuple[int, int]) -> FlowPair:
    """A pair with what another, begun at one shift, knows better about that shift."""
    back = -shift[0], -shift[1]
    ahead = better(there.forward_trust * about(there.forward, shift), pair.forward_trust)
    behind = better(there.backward_trust * about(there.backward, back), pair.backward_trust)
    forward = np.where(ahead[..., None], there.forward, pair.forward)
    backward = np.where(behind[..., None], there.backward, pair.backward)
    return with_trust(luma_a, luma_b, forward, backward)


def _trust(a: Array, b: Array, forward: Array, backward: Array) -> Array:
    """How far the flow a → b is believed: forward–backward agreement × luma agreement × inside the frame."""
    residual: Array = a - warp(b, forward)
    # What is smooth over an eighth of the frame is flicker or vignetting, not a wrong vector.
    h, w = a.shape
    eighth = (w // 8 * 2 + 1, h // 8 * 2 + 1)
    smooth = cv2.boxFilter(residual, -1, eighth, borderType=cv2.BORDER_REFLECT_101)
    residual = np.asarray(cv2.GaussianBlur(residual - smooth, (5, 5), 0), np.float32)  # grain is no wrong vector
    trust = np.exp(-_disagreement(forward, backward) - (residual / _LUMA_TOLERANCE) ** 2)
    return cast(Array, (trust * warp_valid(forward)).astype(np.float32))


def _disagreement(forward: Array, backward: Array) -> Array:
    miss = forward + warp(backward, forward)
    squared = miss[..., 0] ** 2 + miss[..., 1] ** 2
    length = forward[..., 0] ** 2 + forward[..., 1] ** 2
    return np.asarray(squared / (2 * _FB_RELATIVE * length + _FB_ABSOLUTE), np.float32)


def _maps(flow: Array) -> tuple[Array, Array]:
    x, y = _grid(int(flow.shape[0]), int(flow.shape[1]))
    return x + flow[..., 0], y + flow[..., 1]


@lru_cache(maxsize=8)
def _grid(h: int, w: int) -> tuple[Array, Array]:
    x = np.arange(w, dtype=np.float32)[None, :]
    y = np.arange(h, dtype=np.float32)[:, None]
    return x, y


def _to_8bit(luma: Array) -> NDArray[np.uint8]:
    return np.asarray(np.rint(np.clip(luma * np.float32(2.55), 0, 255)), np.uint8)


def _padded(image: NDArray[np.uint8], bottom: int, right: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE), np.uint8)


def _extended(flow: Array, sides: tuple[int, int, int, int]) -> Array:
    return np.asarray(cv2.copyMakeBorder(flow, *sides, cv2.BORDER_REPLICATE), np.float32)
