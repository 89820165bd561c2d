"""What a distribution over bins of chroma says: its likeliest colours, apart from each other.

The distribution is sharpened, and what is merely common in photographs is partly taken off, so that the picture's own
evidence counts.

Source: Zhang, Isola & Efros 2016, "Colorful image colorization" (annealing, rebalancing by the prior).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from core.models.network import BIN_SIDE, BIN_STEP, bin_centres

Array = NDArray[np.float32]

TEMPERATURE = 0.7  # 1 leaves the distribution as it is, 0 takes its peak
PRIOR_TAKEN_OFF = 0.3  # power of the prior that the distribution is divided by
# Suggestions lie at least this far apart, and are at least this likely [a* b*], [share].
APART = 1.25 * BIN_STEP
LIKELY = 0.01


def sharpened(logits: Array, prior: Array) -> Array:
    """Probabilities of bins, sharpened and freed of some of the prior.

    Args:
        logits: the network's                        [(K, ...) float32]
        prior: how often each bin is seen at all     [(K,) float32, sums to 1]

    Returns:
        Probabilities  [(K, ...) float32, summing to 1 over K]
    """
    known = np.log(np.maximum(prior / prior.sum(), np.float32(1e-4)))
    told = (logits - PRIOR_TAKEN_OFF * known.reshape(-1, *[1] * (logits.ndim - 1))) / np.float32(TEMPERATURE)
    told = np.exp(told - told.max(axis=0, keepdims=True))
    return np.asarray(told / told.sum(axis=0, keepdims=True), np.float32)


def likeliest(probabilities: Array, count: int) -> Array:
    """Colours that are likely and distinct: heap by heap, each the mean of what lies about its top.

    Args:
        probabilities: of one place  [(K,) float32]
        count: at most so many

    Returns:
        a*, b* and the share of its heap, the likeliest first  [(n, 3) float32], n ≤ count
    """
    left = probabilities.reshape(BIN_SIDE, BIN_SIDE).astype(np.float32)
    centres = bin_centres().reshape(BIN_SIDE, BIN_SIDE, 2)
    chosen: list[Array] = []
    while len(chosen) < count:
        heaps = cv2.boxFilter(left, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
        i, j = divmod(int(heaps.argmax()), BIN_SIDE)
        share = float(heaps[i, j])
        if share < LIKELY and chosen:
            break
        about = np.s_[max(0, i - 1) : i + 2, max(0, j - 1) : j + 2]
        ab = (left[about][..., None] * centres[about]).sum(axis=(0, 1)) / share
        left[about] = 0
        # What is left of a heap at the border of another is no colour of its own.
        if all(np.hypot(*(ab - other[:2])) >= APART for other in chosen):
            chosen.append(np.array([*ab, share], np.float32))
    return np.array(chosen, np.float32)
