"""Region by click with SAM 2.1, where one of its checkpoints is in the model folder."""

from __future__ import annotations

from core.contract.plugins import Plugins
from core.models.sam2 import LAYOUTS, Sam2Predictor, check
from hints.sam import Predictor, SamSegmenter, best_of


class Sam2Segmenter(SamSegmenter):
    """SAM 2.1 behind the interface of all segmenters (`hints.segment.Segmenter`); used as its predecessor is.

    Args:
        device: where the network runs; None chooses.

    Raises:
        ModelMissingError: no checkpoint is in the model folder, or the library is not installed.
        WeightsError: the checkpoint is not what its name says.

    Source: Ravi et al. 2024, "SAM 2: Segment Anything in Images and Videos".
    """

    name = "sam2.1"

    def _made(self, device: str) -> Predictor:
        model, path = best_of(LAYOUTS)
        return Sam2Predictor.read(LAYOUTS[model], path, device=device)


def register(plugins: Plugins) -> None:
    """Add SAM 2.1; making it says what is missing where its checkpoint is not there."""
    plugins.segmenters.add(Sam2Segmenter.name, lambda device: Sam2Segmenter(device))
    for name, layout in LAYOUTS.items():
        plugins.checks.add(name, check(layout))
