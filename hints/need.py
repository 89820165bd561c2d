"""Where is a hint needed? How likely it is, place by place, that a frame shows a wrong colour.

Nobody knows the true colour, but much tells of a wrong one: what motion failed to carry or carried far; what lies
beyond the reach of every hint; how much the network, knowing the hints, still doubts; and where two ways of colouring
the frame, both honest, come apart. Each is a weak sign. Together, weighed by a logistic regression on films whose true
colours are known, they are a probability, so that their mean over a frame is the share of it that is expected to be
wrong, and frames and shots can be compared.

Measured by ``bench need``; the choice of signs is told in docs/decisions/0012-need.md.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol, runtime_checkable

import cv2
import numpy as np

from core.colourise import Automatic, Field, conditioning, resized
from core.film.colour import Array
from core.models.colouriser import SPREAD_CELLS, Carries
from core.solver import spread

VERSION = 1
WRONG = 5.0  # CIEDE2000 from which a colour counts as wrong: seen at once beside the true one
_SCALE = {"reach": 10.0}  # a tenth of full reach is a lot


@runtime_checkable
class Doubts(Protocol):
    """A network that tells by how much its chroma is likely to err, hints known."""

    fingerprint: str  # hash of weights and code version: part of every cache key

    def deviation(self, luma: Array, hint_ab: Array | None = None, hint_weight: Array | None = None) -> Array:
        """By how much the chroma is likely to err; see `core.models.colouriser.EmbeddedColouriser.deviation`."""
        ...


@dataclass(frozen=True, eq=False)
class Signs:
    """What speaks for and against the colours of one frame, each plane  [(h, w) float32].

    Attributes:
        trust: in what hints say of this very place; falls where flow fails on the way  [0, 1]
        age: frames to the nearest keyframe that speaks; 0 where none does
        deviation: by how much the network, knowing the hints, expects to err           [a* b*]
        apart: from the automatic colour to the colour shown: two models that disagree  [a* b*]
        torn: from hints carried along affinities to hints spread along luma            [a* b*]
        divided: by how much the hints whose say reaches here differ                    [a* b*]
        reach: how far hints have a say here at all                                     [0, 1]
        texture: how lively the luma is; flat surfaces are coloured best                [L*]
    """

    trust: Array
    age: Array
    deviation: Array
    apart: Array
    torn: Array
    divided: Array
    reach: Array
    texture: Array


SIGNS = tuple(field.name for field in fields(Signs))
# Which of them speak against a wrong colour when they are large.
REASSURING = frozenset({"trust", "reach"})

# Weights of a constant and of each sign, in the order of SIGNS, as `terms` gives them: where a hint says the place
# itself, where hints only reach it, and where nobody has said anything. Fitted by `python -m bench.train.need` on the
# clips of ``bench need``.
WEIGHTS = np.array(
    [
        [0.221, -7.414, 0.934, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [-3.295, 0.0, 0.126, 0.740, -0.676, 0.645, 0.686, -0.279, 0.347],
        [-4.838, 0.0, 0.0, 2.205, 0.0, 0.0, 0.0, 0.0, 0.297],
    ],
    np.float32,
)


def need(signs: Signs) -> Array:
    """How likely each place shows a colour that is off by more than WRONG  [of the signs' shape, float32 [0, 1]].

    Args:
        signs: of one frame.
    """
    score = np.sum(shares(signs)[..., None] * WEIGHTS * terms(signs)[..., None, :], axis=(-2, -1))
    return np.asarray(1 / (1 + np.exp(-score)), np.float32)


def terms(signs: Signs) -> Array:
    """A constant and the signs as they are weighed  [(..., 1 + len(SIGNS)) float32].

    What has no upper end counts by its logarithm: from one to three is as much as from ten to twenty-one.
    """
    plain = (getattr(signs, name) * np.float32(_SCALE.get(name, 1)) for name in SIGNS)
    told = (p if name == "trust" else np.log1p(np.maximum(p, 0)) for name, p in zip(SIGNS, plain, strict=True))
    return np.stack([np.ones_like(signs.trust), *told], axis=-1)


def shares(signs: Signs) -> Array:
    """By which of the three rows of WEIGHTS a place is judged, and how much  [(..., 3) float32, sums to 1]."""
    said = signs.trust
    reached = (1 - said) * (signs.reach > 0)
    return np.stack([said, reached, 1 - said - reached], axis=-1)


def signs_of(automatic: Automatic, said: Field | None, age: Array, carrier: Carries, doubts: Doubts) -> Signs:
    """Read the signs of one frame.

    Args:
        automatic: the automatic pass of the frame; all signs are of its size.
        said: what hints say of it, or None.
        age: frames to the nearest keyframe that speaks  [any size, float32]
        carrier: what carries hints through the frame.
        doubts: tells by how much that may err.

    Cost: about 0.1 s at 256 pixels' length on two cores, and one look of the network where it has not looked yet.
    """
    luma, size = automatic.luma, (automatic.luma.shape[0], automatic.luma.shape[1])
    shown, nothing = automatic.ab, np.zeros(size, np.float32)
    trust = torn = divided = reach = nothing
    asked: Array | None = None
    told: Array | None = None
    if said is not None:
        asked, told = conditioning(said, size)
        carried = carrier.carry(luma, automatic.ab, asked, told)
        trust = resized(said.weight, size)
        exact = resized(said.ab * said.weight[..., None], size)
        shown = carried * (1 - trust[..., None]) + exact
        if told.any():
            other, reach = spread(luma, asked, told, cells=SPREAD_CELLS)
            squares = np.sum(asked * asked, axis=2)
            square, _ = spread(luma, np.dstack([squares, squares]), told, cells=SPREAD_CELLS)
            torn = _length(other - carried)
            divided = np.sqrt(np.maximum(square[..., 0] - np.sum(other * other, axis=2), 0))
    return Signs(
        trust,
        resized(age, size),
        doubts.deviation(luma, asked, told),
        _length(shown - automatic.ab),
        torn,
        np.asarray(divided, np.float32),
        reach,
        np.abs(cv2.Laplacian(luma, cv2.CV_32F)),
    )


def _length(ab: Array) -> Array:
    return np.asarray(np.hypot(ab[..., 0], ab[..., 1]), np.float32)
