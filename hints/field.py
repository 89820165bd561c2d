"""The hint field: what all tracks together say about one frame, chroma and how far to trust it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from core.film.colour import Array

# Less weight than this is silence: nothing is said, and nothing is rendered anew for it.
SILENCE = 1 / 256
# A later hint wins over an earlier one of the same trust, and loses to one that is this much better known.
YIELDS_AT = 0.3
# A hint known less than this lets what lies beneath it show through.
SHOWS_THROUGH = 0.4

Box = tuple[slice, slice]


@dataclass(eq=False)
class HintField:
    """What hints say about one frame. Not frozen only because `core.colourise.Field` has plain attributes.

    Attributes:
        ab: chroma asked for  [(h, w, 2) float32 Lab a* b*], 0 where nothing is said
        weight: trust in it   [(h, w) float32 [0, 1]], 0 where nothing is said
        spreads: the part of the weight that speaks for more than its own pixels (points, scribbles, whole
            references); a mask, or a still of a part, says itself where its object ends  [(h, w) float32 [0, 1]]
        strength: how far what spreads is asked for, of which the weight is a product with how far it is known
            [(h, w) float32 (0, 1]]; None: wholly, everywhere
    """

    ab: Array
    weight: Array
    spreads: Array
    strength: Array | None = None


@dataclass(frozen=True, eq=False)
class Layer:
    """What one track (or a region's tracks to both sides) says within a box of the frame.

    Attributes:
        box: rows and columns of the frame that the arrays are of.
        ab: chroma                           [(bh, bw, 2) float32 Lab a* b*]
        cover: share of each pixel that is meant  [(bh, bw) float32 [0, 1]]
        trust: how far that is known, times the hint's strength  [(bh, bw) float32 [0, 1]]
        spreads: whether it speaks for more than its own pixels
        tenure: how far a region's place goes back to a keyframe, and was not won on the way  [(bh, bw) float32 [0, 1]];
            None: all the way
        strength: how far it is asked for  [(bh, bw) float32 (0, 1]]; None: wholly
    """

    box: Box
    ab: Array
    cover: Array
    trust: Array
    spreads: bool = False
    tenure: Array | None = None
    strength: Array | None = None

    @property
    def since_keyframe(self) -> Array:
        """Tenure as a plane  [(bh, bw) float32 [0, 1]]."""
        return np.ones_like(self.cover) if self.tenure is None else self.tenure

    @property
    def asked_for(self) -> Array:
        """Strength as a plane  [(bh, bw) float32 (0, 1]]."""
        return np.ones_like(self.cover) if self.strength is None else self.strength


def unite(layers: Sequence[Layer], size: tuple[int, int]) -> Layer:
    """Several masks of one region on one keyframe are one; of two references there, the later one counts.

    Args:
        layers: in order.
        size: (h, w) of the frame

    Returns:
        A layer of the whole frame, or the only one as it is.
    """
    if len(layers) == 1:
        return layers[0]
    below, *rest = (_whole(layer, size) for layer in layers)
    ab, cover, trust, tenure, strength = below.ab, below.cover, below.trust, below.since_keyframe, below.asked_for
    for layer in rest:
        share = layer.cover / np.maximum(layer.cover + (1 - layer.cover) * cover, np.float32(1e-9))
        ab = ab + share[..., None] * (layer.ab - ab)
        trust, tenure, strength = (
            np.where(layer.cover >= cover, mine, other)
            for mine, other in (
                (layer.trust, trust),
                (layer.since_keyframe, tenure),
                (layer.asked_for, strength),
            )
        )
        cover = np.maximum(cover, layer.cover)
    spreads = any(layer.spreads for layer in layers)
    return Layer(_everywhere(size), ab, cover, trust, spreads, tenure, _if_any(layers, strength))


def blend(sides: Sequence[tuple[Layer, float]], size: tuple[int, int], *, pictures: bool = False) -> Layer:
    """One region between its keyframes: both sides speak, the better known one louder.

    Args:
        sides: layers of one region, each with how loud it speaks besides  (0, …)
        size: (h, w) of the frame
        pictures: whether they are references', which know each place by itself

    Returns:
        A layer of the whole frame, or the only side as it is.
    """
    if len(sides) == 1:
        return sides[0][0]
    whole = [(_whole(layer, size), loud) for layer, loud in sides]
    # Of a mask, what is trusted is where it is, not where it is not; so the track as a whole is believed there.
    voices = [(layer.cover * layer.trust**3 if pictures else layer.trust) * np.float32(loud) for layer, loud in whole]
    total = np.maximum(np.sum(np.stack(voices), axis=0), np.float32(1e-12))
    cover, trust, weight, tenure, strength = (np.zeros(size, np.float32) for _ in range(5))
    ab = np.zeros((*size, 2), np.float32)
    for (layer, _), voice in zip(whole, voices, strict=True):
        share = voice / total
        cover += share * layer.cover
        trust += share * layer.trust
        weight += share * layer.cover
        tenure += share * layer.cover * layer.since_keyframe
        strength += share * layer.cover * layer.asked_for
        ab += (share * layer.cover)[..., None] * layer.ab
    ab /= np.maximum(weight, np.float32(1e-9))[..., None]
    tenure /= np.maximum(weight, np.float32(1e-9))
    strength = np.where(weight > 0, strength / np.maximum(weight, np.float32(1e-9)), np.float32(1))
    layers = [layer for layer, _ in sides]
    spreads = any(layer.spreads for layer in layers)
    return Layer(_everywhere(size), ab, cover, trust, spreads, tenure, _if_any(layers, strength))


def compose(
    background: Sequence[Layer],
    layers: Sequence[Layer],
    size: tuple[int, int],
    beside: Collection[tuple[int, int]] = (),
) -> HintField | None:
    """Lay hints over each other.

    References lie beneath all other hints, whatever their place in the list. Of the others the later wins where both
    are equally known, and the better known one where they are not. A hint that is hardly known lets what lies beneath
    show through. Neighbours lie beside each other: none of them hides another, and each shows by its cover.

    Args:
        background: references' layers, in order.
        layers: all other layers, in order.
        size: (h, w) of the frame.
        beside: places of layers that are neighbours, the smaller one first; their covers sum to 1 at most.

    Returns:
        The field, or None where nothing is said anywhere.
    """
    amount, weight = _laid(layers, size, beside)
    if background:
        covered = _covered(layers, size, beside)
        beneath, held = _laid(background, size, ())
        amount += (1 - covered)[..., None] * beneath
        weight += (1 - covered) * held
    weight[weight < SILENCE] = 0
    if not weight.any():
        return None
    inverse = np.divide(1, weight, out=np.zeros_like(weight), where=weight > 0)
    ab = amount[..., :2] * inverse[..., None]
    spreads = np.where(weight > 0, np.clip(amount[..., 2], 0, 1), np.float32(0))
    np.minimum(weight, 1, out=weight)
    if all(layer.strength is None for layer in (*background, *layers) if layer.spreads):
        return HintField(ab, weight, spreads)
    known = amount[..., 3] + amount[..., 2]
    strength = np.divide(amount[..., 2], known, out=np.ones_like(weight), where=amount[..., 2] > 0)
    return HintField(ab, weight, spreads, strength)


def common(first: Box, second: Box) -> tuple[Box, Box]:
    """What two boxes of a frame have in common, as rows and columns of the first and of the second; may be empty."""
    mine, theirs = [], []
    for a, b in zip(first, second, strict=True):
        start = max(a.start, b.start)
        stop = max(start, min(a.stop, b.stop))
        mine.append(slice(start - a.start, stop - a.start))
        theirs.append(slice(start - b.start, stop - b.start))
    return (mine[0], mine[1]), (theirs[0], theirs[1])


def _covered(layers: Sequence[Layer], size: tuple[int, int], beside: Collection[tuple[int, int]]) -> Array:
    """How far references are hidden; neighbours that share a pixel hide it together  [(h, w) float32 [0, 1]]."""
    shown = [layer.cover * np.minimum(layer.trust / np.float32(SHOWS_THROUGH), 1) for layer in layers]
    covered = np.zeros(size, np.float32)
    for i, layer in enumerate(layers):
        together = shown[i].copy()
        for j, other in enumerate(layers):
            if (min(i, j), max(i, j)) in beside:
                here, there = common(layer.box, other.box)
                together[here] += shown[j][there]
        np.maximum(covered[layer.box], np.minimum(together, 1), out=covered[layer.box])
    return covered


def _laid(layers: Sequence[Layer], size: tuple[int, int], beside: Collection[tuple[int, int]]) -> tuple[Array, Array]:
    """Layers over each other, and their weight.

    Returns:
        a*, b*, whether they speak beyond their own pixels, and for those what of the trust their strength takes away,
        each times the weight  [(h, w, 4) float32]; and the weight  [(h, w) float32]
    """
    seen: list[Array] = []
    for j, layer in enumerate(layers):
        below = np.zeros(layer.cover.shape, np.float32)
        meets = [(i, *common(layer.box, layers[i].box)) for i in range(j) if (i, j) not in beside]
        meets = [(i, here, there) for i, here, there in meets if below[here].size]
        for i, here, there in meets:
            below[here] += seen[i][there] * layers[i].trust[there]
        part = layer.cover * np.clip((layer.trust - below) / np.float32(YIELDS_AT) + 1, 0, 1)
        for i, here, there in meets:
            seen[i][there] *= 1 - part[here]
        seen.append(part)
    amount, weight = np.zeros((*size, 4), np.float32), np.zeros(size, np.float32)
    for layer, part in zip(layers, seen, strict=True):
        mine = part * layer.trust
        spreads = np.full(layer.cover.shape, layer.spreads, np.float32)
        told = np.dstack([layer.ab, spreads, spreads * (1 / layer.asked_for - 1)])
        amount[layer.box] += mine[..., None] * told
        weight[layer.box] += mine
    return amount, weight


def _if_any(layers: Sequence[Layer], strength: Array) -> Array | None:
    """The strength of layers that became one; None where all ask wholly."""
    return None if all(layer.strength is None for layer in layers) else np.asarray(strength, np.float32)


def _everywhere(size: tuple[int, int]) -> Box:
    return slice(0, size[0]), slice(0, size[1])


def _whole(layer: Layer, size: tuple[int, int]) -> Layer:
    """The layer over the whole frame; outside its box nothing is meant, and that is known as its edge is."""
    if layer.cover.shape == size:
        return layer
    ab, cover = np.zeros((*size, 2), np.float32), np.zeros(size, np.float32)
    trust = np.full(size, float(layer.trust.mean()) if layer.trust.size else 0.0, np.float32)
    ab[layer.box], cover[layer.box], trust[layer.box] = layer.ab, layer.cover, layer.trust
    tenure = np.ones(size, np.float32)
    tenure[layer.box] = layer.since_keyframe
    strength = np.ones(size, np.float32)
    strength[layer.box] = layer.asked_for
    return Layer(_everywhere(size), ab, cover, trust, layer.spreads, tenure, _if_any([layer], strength))
