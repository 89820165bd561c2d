"""What the benches on colour clips measure of a method, frame after frame, beside the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.clips import TrueClip
from bench.metrics import cdc_of, colourfulness, histograms, mean_delta_e, psnr, to_8bit, warp_error
from core.film.colour import Array, join, srgb_to_lab

# Flow from a frame to a later one, and where both show the same  [(H, W, 2) float32 px, (H, W) bool].
Between = Callable[[int, int], tuple[Array, NDArray[np.bool_]]]


@dataclass(frozen=True, eq=False)
class TrueFrame:
    """A frame to measure against.

    Attributes:
        n: its number.
        lab: [(H, W, 3) float32 Lab]
        luma: its L*, which every method is given  [(H, W) float32]
        shown: [(H, W, 3) uint8 R'G'B']
    """

    n: int
    lab: Array
    luma: Array
    shown: NDArray[np.uint8]

    @classmethod
    def of(cls, clip: TrueClip, n: int) -> TrueFrame:
        """Frame ``n`` of a clip."""
        lab = clip.lab(n)
        luma = np.ascontiguousarray(lab[..., 0])
        return cls(n, lab, luma, to_8bit(join(luma, np.ascontiguousarray(lab[..., 1:]))))


class Steadiness:
    """How much a sequence of pictures changes by itself; no truth is needed.

    Args:
        between: how frames of the film belong together.
    """

    def __init__(self, between: Between) -> None:
        self._between = between
        self._before: tuple[int, Array] | None = None
        self._histograms: list[NDArray[np.float64]] = []
        self._warp_errors: list[float] = []
        self._colourfulness: list[float] = []

    def add(self, n: int, shown: NDArray[np.uint8], lab: Array) -> None:
        """The next picture, of frame ``n``."""
        ab = np.ascontiguousarray(lab[..., 1:])
        if self._before is not None:
            earlier, ab_before = self._before
            self._warp_errors.append(warp_error(ab_before, ab, *self._between(earlier, n)))
        self._before = n, ab
        self._histograms.append(histograms(shown))
        self._colourfulness.append(colourfulness(shown))

    @property
    def row(self) -> dict[str, float]:
        """``cdc``; ``warp_error`` of chroma  [a* b* squared]; ``colourfulness``, for grey is steady too."""
        return {
            "cdc": cdc_of(self._histograms),
            "warp_error": mean(self._warp_errors),
            "colourfulness": mean(self._colourfulness),
        }


class Scores:
    """One method's pictures beside the truth.

    Args:
        between: how frames of the film belong together.
    """

    def __init__(self, between: Between) -> None:
        self.psnr: list[float] = []
        self._delta_e: list[float] = []
        self._steadiness = Steadiness(between)

    def add(self, true: TrueFrame, ab: Array) -> Array:
        """The next picture by its chroma.

        Returns:
            What is shown of it  [(H, W, 3) float32 Lab]
        """
        rgb = join(true.luma, ab)
        shown, lab = to_8bit(rgb), srgb_to_lab(rgb)
        self.psnr.append(psnr(shown, true.shown))
        self._delta_e.append(mean_delta_e(lab, true.lab))
        self._steadiness.add(true.n, shown, lab)
        return lab

    @property
    def row(self) -> dict[str, float]:
        """``psnr_db``, ``delta_e``, and what `Steadiness` has."""
        return {"psnr_db": mean(self.psnr), "delta_e": mean(self._delta_e), **self._steadiness.row}


def mean(values: Sequence[float]) -> float:
    """The mean of what there is; NaN where there is nothing."""
    there = [v for v in values if not np.isnan(v)]
    return float(np.mean(there)) if there else float("nan")


def mean_of(cases: Sequence[Mapping[str, Any]], *keys: str) -> float:
    """The mean over cases of what lies under these keys, one below the other."""
    values = []
    for case in cases:
        value: Any = case
        for key in keys:
            value = value[key]
        values.append(float(value))
    return mean(values)
