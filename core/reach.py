"""How far few hints may change a picture: a strong colour stays with the surface it was given to.

A person who has pointed at one thing has said nothing of the rest of the scene; one who has pointed at things all over
it has told what lies between them. So the change that hints bring about is held back where it is strong, far from every
hint across the luma's borders, and only while they are at few places or near to little of the picture.

Source: Yatziv & Sapiro 2006, "Fast image and video colorization using chrominance blending" (geodesic distance over
luma); Toivanen 1996 (distance by sweeps).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

LONG_SIDE = 128  # distance is found at this size: soon, and grain is gone
SAID = 0.3  # trust from which a place counts as spoken of
PER_PIXEL, PER_LUMA = 0.02, 1 / 8  # distance of one step, and of one L* on it
GRAIN = 1.0  # L* between neighbours that is grain or shading, and no border
NEAR, SOFTNESS = 3.0, 0.6  # distance at which a place is half near, and over which that fades
FREE = 6.0  # chroma by which a scene may change anywhere  [a* b*]
# Shares of the picture near to hints, and numbers of places spoken of, between which holding back ends.
COVERED, PLACES = (0.1, 0.2), (2, 6)


def within_reach(luma: Plane, automatic: Plane, coloured: Plane, trust: Plane) -> Plane:
    """Hold back what few hints change far from themselves.

    Args:
        luma: the film's luma                    [(h, w) float32 [0, 100] L*]
        automatic: chroma if nothing were said   [(h, w, 2) float32 Lab a* b*]
        coloured: chroma under the hints         [(h, w, 2) float32 Lab a* b*]
        trust: of hints that speak beyond their own pixels  [(h, w) float32 [0, 1]]

    Returns:
        ``coloured``, drawn towards ``automatic`` where it is held back; as it was near the hints
        [(h, w, 2) float32 Lab a* b*]
    """
    said = trust >= SAID
    if not said.any():
        return coloured
    near = nearness(luma, said)
    places = cv2.connectedComponents(said.astype(np.uint8))[0] - 1
    held = 1.0 - _risen(float(near.mean()), COVERED) * _risen(places, PLACES)
    if held == 0.0:
        return coloured
    change = coloured - automatic
    size = np.sqrt(np.square(change).sum(axis=2))
    allowed = FREE + (size - FREE) * near
    kept = np.where(size > FREE, allowed / np.maximum(size, np.float32(1e-6)), 1.0)
    return np.asarray(automatic + (1.0 + held * (kept - 1.0))[..., None] * change, np.float32)


def _risen(value: float, between: tuple[float, float]) -> float:
    """0 below an interval, 1 above it, rising in between."""
    low, high = between
    return min(1.0, max(0.0, (value - low) / (high - low)))


def nearness(luma: Plane, said: NDArray[np.bool_]) -> Plane:
    """How near each place is to one that is spoken of, going around the luma's borders.

    Args:
        luma: the film's luma             [(h, w) float32 [0, 100] L*]
        said: places that are spoken of, somewhere True  [(h, w) bool]

    Returns:
        1 at the hints, 0 far from all  [(h, w) float32 [0, 1]]
    """
    h, w = luma.shape
    shrink = max(1.0, max(h, w) / LONG_SIDE)
    size = max(1, round(w / shrink)), max(1, round(h / shrink))
    cell = int(np.ceil(shrink))
    peak = cv2.dilate(said.astype(np.uint8), np.ones((cell, cell), np.uint8))  # no point may fall between two pixels
    seeds = cv2.resize(peak, size, interpolation=cv2.INTER_NEAREST) > 0
    far = geodesic(np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), np.float32), seeds)
    near = 1.0 / (1.0 + np.exp(np.clip((far - NEAR) / SOFTNESS, -30, 30)))
    return np.asarray(cv2.resize(near.astype(np.float32), (w, h), interpolation=cv2.INTER_LINEAR), np.float32)


def geodesic(luma: Plane, seeds: NDArray[np.bool_]) -> Plane:
    """Distance to the nearest seed along the cheapest way, luma's differences costing on it.

    Args:
        luma: the film's luma   [(h, w) float32 [0, 100] L*]
        seeds: somewhere True   [(h, w) bool]

    Returns:
        Distance  [(h, w) float32]; ways that wind more than two rounds of sweeps can follow are found a little long
    """
    far = np.where(seeds, np.float32(0), np.float32(1e6))
    down, across = _steps(luma), _steps(np.ascontiguousarray(luma.T))
    for _ in range(2):
        _sweep(far, down)
        turned = np.ascontiguousarray(far.T)
        _sweep(turned, across)
        far = np.ascontiguousarray(turned.T)
    return far


def _steps(luma: Plane) -> Plane:
    """What it costs to go from each row to the next  [(h - 1, w) float32]."""
    border = np.maximum(np.abs(np.diff(luma, axis=0)) - np.float32(GRAIN), 0)
    return np.asarray(border * np.float32(PER_LUMA) + np.float32(PER_PIXEL), np.float32)


def _sweep(far: Plane, step: Plane) -> None:
    """Let distances run down all columns and up again, in place."""
    for y in range(1, len(far)):
        np.minimum(far[y], far[y - 1] + step[y - 1], out=far[y])
    for y in range(len(far) - 2, -1, -1):
        np.minimum(far[y], far[y + 1] + step[y], out=far[y])
