"""`bench carry`: how long a new hint takes to reach the frames of its shot, on the studio's own road.

A real clip, grey, at 640x480 and played to and fro until the shot is long enough. First the shot is prepared: its luma,
the flow between neighbours and what a network sees in its frames are found, once, and kept on disk. Then its object is
marked as a region on the middle frame, and carried to both ends. Beside the whole, what a person waits for: until the
frames next to the keyframe are known. Shots of three lengths tell whether a frame costs the same in all of them.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.clips import TrueClip, evenly, mask_names, read_clip, read_masks
from bench.scores import mean, mean_of
from bench.speed import Size, plugins, size_name
from core.contract.fingerprint import fingerprint
from core.contract.progress import CancelToken, Progress, silent
from core.contract.recipe import Recipe, StageSpec
from core.film.clip import Clip
from core.film.colour import join
from core.film.frame import GRID, Frame
from core.film.timebase import FrameRange
from core.render.cache import FrameCache
from hints.hint import Hint
from hints.picture import Mask
from studio.project import Project
from studio.rendering import Machine, Unhinted

SIZE: Size = (480, 640)
LENGTHS = (24, 48, 96)
CLIPS = 3  # where no limit is given: time hangs little on what is in the picture
# What a restorer should wait at most, for a shot of 48 frames at 640x480.
GOAL_FRAMES = 48
GOALS = {"prepare_s": 6.0, "carry_s": 1.5, "neighbours_ms": 150.0}
_WARM_UP = 3  # frames of a shot that does not count

Inside = NDArray[np.bool_]


def run(
    data: Path,
    *,
    limit: int | None = None,
    seed: int = 0,
    size: Size = SIZE,
    lengths: Sequence[int] = LENGTHS,
) -> dict[str, Any]:
    """Time the carrying of one region.

    Args:
        data: folder with ``clips/`` and ``seqmask/``.
        limit: at most so many clips, evenly chosen; None: three.
        seed: nothing here is drawn by chance.
        size: (H, W) of the frames.
        lengths: of the shots, in frames.

    Returns:
        ``summary``: for the shots of 48 frames ``prepare_s``, ``carry_s`` and ``neighbours_ms`` beside their ``goals``;
        milliseconds per frame by length. A case has the processors' time too (``cpu``): where others compute at the
        same time it tells more than the clock.

    Raises:
        InputError: the folder has no masks.
    """
    cases = []
    for number, name in enumerate(evenly(mask_names(data), CLIPS if limit is None else limit)):
        clip = read_clip(data, name)
        masks = read_masks(data, clip)
        if number == 0:
            measure(clip, masks, size, _WARM_UP)
        cases += [measure(clip, masks, size, length) for length in lengths]
    return {"name": "carry", "cases": cases, "summary": summarise(cases)}


def measure(clip: TrueClip, masks: Sequence[Inside], size: Size, length: int) -> dict[str, Any]:
    """One shot.

    Args:
        clip: what it is made of.
        masks: of its frames; the middle frame's is the region.
        size: (H, W) of the frames.
        length: of the shot, in frames.
    """
    film, keyframe = ToAndFro(clip, size, length), length // 2
    inside = _covering(masks[film.place(keyframe)].astype(np.uint8), size) > 0
    hint = Hint("region", keyframe, "region", colour="#8a6a4f", mask=Mask.of(inside))
    with _studio(film) as (unhinted, project):
        unhinted.renderer(project)
        prepared = _Clock()
        unhinted.carried(project.hints).prepare(project.shots[0].range, silent, CancelToken())
        prepare_s, prepare_cpu = prepared.told()
        source = unhinted.carried(project.hints.add_hint(hint))
        (track,) = source.tracks
        wanted = {keyframe - 1, keyframe + 1}
        known: dict[int, float] = {}
        carried = _Clock()

        def heard(_: Progress) -> None:
            for n in wanted - known.keys():
                if source.known(track, n):
                    known[n] = carried.told()[0]

        source.carry(project.shots[0], heard, CancelToken())
        carry_s, carry_cpu = carried.told()
    return {
        "clip": clip.name,
        "size": size_name(size),
        "frames": length,
        "prepare_s": prepare_s,
        "prepare_ms_per_frame": prepare_s * 1e3 / length,
        "carry_s": carry_s,
        "carry_ms_per_frame": carry_s * 1e3 / (length - 1),
        "neighbour_ms": min(known.values()) * 1e3,
        "neighbours_ms": max(known.values()) * 1e3,
        "cpu": {
            "prepare_ms_per_frame": prepare_cpu * 1e3 / length,
            "carry_ms_per_frame": carry_cpu * 1e3 / (length - 1),
        },
    }


def summarise(cases: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over the clips by length; plain keys speak of shots of the goals' length."""
    lengths = sorted({c["frames"] for c in cases})
    of = {length: [c for c in cases if c["frames"] == length] for length in lengths}
    spoken = of.get(GOAL_FRAMES, [])
    ways = ("prepare_ms_per_frame", "carry_ms_per_frame")
    return {
        **{key: mean([c[key] for c in spoken]) for key in (*GOALS, "neighbour_ms")},
        "goals": GOALS,
        **{way: {str(length): mean_of(some, way) for length, some in of.items()} for way in ways},
        "cpu": {way: {str(length): mean_of(some, "cpu", way) for length, some in of.items()} for way in ways},
    }


class ToAndFro:
    """A grey film of one shot in memory: a clip played forward, backward, forward; a frame source.

    Args:
        clip: whose L* is taken.
        size: (H, W) of the frames, which the clip covers.
        count: number of frames.
    """

    def __init__(self, clip: TrueClip, size: Size, count: int) -> None:
        self._turn = len(clip.frames) - 1
        self._planes = [_grey(clip, n, size) for n in range(min(count, len(clip.frames)))]
        self.clip = Clip(
            path=clip.name,
            kind="sequence",
            sha256=fingerprint("to and fro", clip.name, size, count),
            width=size[1],
            height=size[0],
            rate=Fraction(24),
            time_base=Fraction(1, 24),
            pts=tuple(range(count)),
            end_pts=count,
            grey=True,
        )

    def place(self, n: int) -> int:
        """The clip's frame that frame ``n`` shows."""
        at = n % (2 * self._turn)
        return min(at, 2 * self._turn - at)

    def frame(self, n: int) -> Frame:
        """Frame ``n``."""
        grey = self._planes[self.place(n)].astype(np.float32) / np.float32(GRID)
        return Frame(n, np.repeat(grey[..., None], 3, axis=2))

    def frames(self, span: FrameRange) -> Iterator[Frame]:
        """Frames of a range in order."""
        return (self.frame(n) for n in span)

    def close(self) -> None:
        """Nothing to let go of."""


class _Clock:
    """Seconds since it was made, by the wall and of all threads."""

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def told(self) -> tuple[float, float]:
        return time.perf_counter() - self._began[0], time.process_time() - self._began[1]


@contextmanager
def _studio(film: ToAndFro) -> Iterator[tuple[Unhinted, Project]]:
    """A project of the film, with a cache on disk that lasts as long as the block."""
    folder = Path(tempfile.mkdtemp(prefix="pochoir-carry-"))
    machine = Machine(plugins(("core.flow", "core.colourise")), FrameCache(folder), "cpu")
    unhinted = Unhinted(lambda: film, machine)
    recipe = Recipe((StageSpec("colourise", {}),)).checked(machine.plugins.stages)
    try:
        yield unhinted, Project(film.clip, (), recipe)
    finally:
        unhinted.close()
        shutil.rmtree(folder, ignore_errors=True)


def _grey(clip: TrueClip, n: int, size: Size) -> NDArray[np.uint16]:
    luma = np.ascontiguousarray(clip.lab(n)[..., 0])
    grey = join(luma, np.zeros((*luma.shape, 2), np.float32))[..., 0]
    return np.asarray(np.rint(np.clip(_covering(grey, size), 0, 1) * GRID), np.uint16)


def _covering(plane: NDArray[Any], size: Size) -> NDArray[Any]:
    """A plane scaled until it covers a size, and cut to it about its middle."""
    h, w = plane.shape
    scale = max(size[0] / h, size[1] / w)
    wide, high = max(size[1], round(w * scale)), max(size[0], round(h * scale))
    whole = cv2.resize(plane, (wide, high), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    top, left = (high - size[0]) // 2, (wide - size[1]) // 2
    return np.ascontiguousarray(whole[top : top + size[0], left : left + size[1]])
