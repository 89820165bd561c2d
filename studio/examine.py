"""What is found out about a film before anything is done to it: its shots, and what is wrong with it.

Both mean reading the whole film, so what was found is kept in the cache under the film's hash: a run that
was killed and is started again does not look twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.analyse import analyse, recommend
from core.contract.fingerprint import fingerprint
from core.contract.progress import CancelToken, Report
from core.contract.recipe import Recipe
from core.contract.sources import FrameSource
from core.film.clip import Clip
from core.render.cache import FrameCache
from core.shots import detect_shots

# Raised whenever `core.shots` or `core.analyse` find other things in the same film.
VERSION = 1


def shot_starts(source: FrameSource, cache: FrameCache, report: Report, token: CancelToken | None) -> tuple[int, ...]:
    """Frames at which a shot begins, without the film's first.

    Raises:
        DecodeError: a frame cannot be read.
        Cancelled: the token was set.
    """
    key = _key("shots", source.clip)
    held = cache.get(key)
    if held is None:
        shots = detect_shots(source, report=report, token=token)
        held = _starts(shot.range.start for shot in shots)
        cache.put(key, held)
    return tuple(int(n) for n in held["cuts"])


def analysed(
    source: FrameSource, cache: FrameCache, report: Report, token: CancelToken | None
) -> tuple[dict[str, Any], Recipe]:
    """The scan report as JSON values, and the recipe it recommends.

    Raises:
        DecodeError: a frame cannot be read.
        Cancelled: the token was set.
    """
    key = _key("analysis", source.clip)
    held = cache.get(key)
    if held is None:
        analysis = analyse(source, report, token)
        told = {"report": analysis.to_json(), "recipe": recommend(analysis).to_json()}
        held = {"json": np.frombuffer(json.dumps(told).encode(), np.uint8)}
        cache.put(key, held)
        # The analysis has found the shots on its way: the film need not be read again for them.
        cache.put(_key("shots", source.clip), _starts(shot[0] for shot in analysis.shots))
    told = json.loads(held["json"].tobytes())
    return told["report"], Recipe.from_json(told["recipe"])


def _starts(frames: Iterable[int]) -> dict[str, NDArray[np.int64]]:
    return {"cuts": np.array([n for n in frames if n > 0], np.int64)}


def _key(what: str, clip: Clip) -> str:
    return fingerprint("examine", VERSION, what, clip.sha256, clip.rate, clip.count)
