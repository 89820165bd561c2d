"""Region by click with segment-anything, where its checkpoint is in the model folder.

A picture is encoded once, and the last few are kept: a further click on any of them costs only the small decoder.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from core.contract.fingerprint import fingerprint
from core.contract.plugins import Plugins
from core.errors import ModelMissingError, WeightsError
from core.film.colour import Array, join
from core.models.checkpoint import Check, Table, check_for, load_into, read_checkpoint
from core.models.device import pick_device
from core.models.fallback import Fallback
from core.models.recent import Recent
from core.models.shelf import find
from core.models.torchvision_shim import library
from hints.segment import Box, Click, Inside, check_clicks

# The best one first: who put a larger checkpoint on the shelf wants it used.
MODELS = (("segment-anything-h", "vit_h"), ("segment-anything-l", "vit_l"), ("segment-anything-b", "vit_b"))
_OWN = "image_encoder.patch_embed."  # begins names of no other model's file

# Of what was seen in pictures: 32 of them by segment-anything, 8 by SAM 2.1  [bytes].
KEPT_BYTES = 128 << 20


class Predictor(Protocol):
    """A network that looks at a picture once and then answers clicks on it."""

    def look(self, picture: NDArray[np.uint8], /) -> Any:
        """What is seen in a picture  [(H, W, 3) uint8 R'G'B']."""
        ...

    def predict(
        self,
        seen: Any,
        where: NDArray[np.float32] | None,
        sides: NDArray[np.int_] | None,
        around: NDArray[np.float32] | None,
        /,
        mask_input: NDArray[np.float32] | None = None,
        multimask_output: bool = True,
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.float32]]:
        """Masks of what clicks and a box mean, how good each is taken to be, and their logits; see `SamSegmenter`."""
        ...


@dataclass(frozen=True, eq=False)
class _Sight:
    """What the authors' predictor remembers of a picture, by its own names."""

    features: Any  # a tensor [(1, 256, 64, 64) float32]; 4 MiB
    original_size: tuple[int, int]
    input_size: tuple[int, int]


class _Predictor:
    """The authors' predictor, which remembers one picture, as one that remembers none. Fulfils `Predictor`."""

    def __init__(self, authors: Any) -> None:
        self._authors = authors

    def look(self, picture: NDArray[np.uint8]) -> _Sight:
        authors = self._authors
        authors.set_image(picture)
        return _Sight(authors.features, authors.original_size, authors.input_size)

    def predict(self, seen: _Sight, *asked: Any, **how: Any) -> Any:
        for field in fields(seen):
            setattr(self._authors, field.name, getattr(seen, field.name))
        return self._authors.predict(*asked, **how)


@dataclass(frozen=True, eq=False)
class _Eyes:
    """A predictor where it stands, and what it has seen there in the last few pictures."""

    predictor: Predictor
    seen: Recent

    def look(self, picture: Array) -> Any:
        """What is seen in a picture."""

        def look() -> Any:
            rgb = picture if picture.ndim == 3 else join(picture, np.zeros((*picture.shape, 2), np.float32))
            return self.predictor.look(np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8))

        return self.seen.get(fingerprint(picture), look)


class SamSegmenter:
    """Segment-anything behind the interface of all segmenters (`hints.segment.Segmenter`).

    Where the device has no memory left, it goes on on the CPU (`core.models.fallback`).

    Args:
        device: where the network runs; None chooses.

    Raises:
        ModelMissingError: no checkpoint is in the model folder; the message says which and where to get it. Or the
            library is not installed.
        WeightsError: the checkpoint is not what its name says.

    Source: Kirillov et al. 2023, "Segment Anything".
    """

    name = "segment-anything"

    def __init__(self, device: str | None = None) -> None:
        self._eyes = Fallback(
            self.name, lambda where: _Eyes(self._made(str(where)), Recent(KEPT_BYTES)), pick_device(device)
        )
        self._eyes(lambda eyes: None)  # made now, so that what is missing is told before the first click
        self._lock = threading.Lock()  # the authors' predictor knows one picture at a time

    def _made(self, device: str) -> Predictor:
        name, path = best_of(name for name, _ in MODELS)
        segment_anything = _library()
        model = _network(dict(MODELS)[name])
        load_into(model, read_checkpoint(path), where=str(path))
        return _Predictor(segment_anything.SamPredictor(model.to(device).eval()))

    def segment(self, picture: Array, points: Sequence[Click], box: Box | None = None) -> Inside:
        """See `hints.segment.Segmenter.segment`.

        Of the three masks that the network offers for one click the likeliest is taken; for several clicks its single
        best answer, refined once by itself.

        Cost: the encoder 1.6 to 38 s a picture on two cores, by model; 60 ms a click.
        """
        check_clicks(picture, points, box)
        where = np.array([(x, y) for x, y, _ in points], np.float32) if points else None
        sides = np.array([int(positive) for *_, positive in points]) if points else None
        around = np.array(box, np.float32) if box is not None else None
        single = len(points) == 1 and box is None

        def answer(eyes: _Eyes) -> Inside:
            seen, predict = eyes.look(picture), eyes.predictor.predict
            masks, scores, logits = predict(seen, where, sides, around, multimask_output=single)
            best = int(np.argmax(scores))
            if not single:
                masks, scores, logits = predict(
                    seen, where, sides, around, mask_input=logits[best][None], multimask_output=False
                )
                best = 0
            return np.asarray(masks[best], bool)

        with self._lock:
            return self._eyes(answer)

    def prepare(self, picture: Array) -> None:
        """Encode a picture; see `hints.segment.Prepares.prepare`."""
        with self._lock:
            self._eyes(lambda eyes: eyes.look(picture))


def _library() -> Any:
    """The authors' code."""
    return library("segment_anything", "segment-anything")


def _network(kind: str) -> Any:
    return _library().sam_model_registry[kind]()


def _check(kind: str) -> Check:
    """What tells whether a checkpoint is of that network; see `core.models.checkpoint.check_for`."""
    fits = check_for(partial(_network, kind))

    def check(table: Table, where: str) -> None:
        # Told before the library is loaded, which need not be there for other models' files.
        if not any(name.startswith(_OWN) for name in table):
            raise WeightsError(f"{where}: is no checkpoint of segment-anything; is it the right file for this model?")
        fits(table, where)

    return check


def best_of(models: Iterable[str]) -> tuple[str, Path]:
    """The first of some models whose checkpoint is there, and where.

    Raises:
        ModelMissingError: none is; the message names the last, which is the smallest.
    """
    missing: ModelMissingError | None = None
    for name in models:
        try:
            return name, find(name)
        except ModelMissingError as error:
            missing = error
    assert missing is not None
    raise missing


def register(plugins: Plugins) -> None:
    """Add segment-anything; making it says what is missing where its checkpoint is not there."""
    plugins.segmenters.add(SamSegmenter.name, lambda device: SamSegmenter(device))
    for name, kind in MODELS:
        plugins.checks.add(name, _check(kind))
