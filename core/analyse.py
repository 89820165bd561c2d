"""Look a film over before anything is done to it: shots, cadence, flicker, dirt, noise, weave, faces.

The whole film is read once at 160 pixels for shots and duplicates; the rest is measured on short runs of
consecutive frames spread over the film (`PROBES`). From what is found comes a recipe, with a reason for
each step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import measure

from core.contract.progress import CancelToken, Progress, Report, silent
from core.contract.recipe import Recipe, StageSpec
from core.contract.sources import FrameSource
from core.defects import find_specks, gather
from core.film.colour import luma_of
from core.film.frame import Frame
from core.film.shot import Shot, shots_from_cuts
from core.film.timebase import FrameRange
from core.flow import to_working
from core.restore.deflicker import Deflicker, DeflickerParams, fast_light
from core.shots import detect_cuts, small_luma

Array = NDArray[np.float32]

# Runs of frames looked at closely, and how long each is.
PROBES, PROBE_FRAMES = 6, 13
# Two frames closer than this at 160 px are one picture, whatever coding did to it  [L*]: on average, and
# at all but half a percent of the pixels. Duplicates of real transfers: at most 0.1 and 1.7; the calmest
# pairs that are none: 0.15 and 2.6.
_COPY_MEAN, _COPY_MOST = 0.13, 1.9
_USUAL_RATES = (12, 14, 15, 16, 18, 20, 22, 24, 25, 30, 48, 50, 60)
# From here on a person sees the change of exposure.
_FLICKER_SEEN = 0.008
# Specks a frame from which repair is worth its risk. Modern clips show up to two that are none (spray, leaves).
_DIRT_GREY, _DIRT_COLOUR = 0.5, 4.0


@dataclass(frozen=True)
class Advice:
    """One step of the recommended recipe."""

    step: str
    on: bool
    reason: str
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Analysis:
    """What a film is like.

    Attributes:
        film: its facts: size, rate, frames, seconds, bit depth, codec, sound.
        grey: no colour in the source.
        shots: (first frame, frame after the last) of each.
        duplicates_percent: frames that repeat the one before.
        pattern: how they repeat, in words; empty where there is no pattern.
        likely_rate: frames a second without the duplicates, as a fraction's text.
        flicker_percent: standard deviation of fast changes of exposure over the whole picture.
        local_flicker_percent: of parts of it beyond that.
        dirt_percent: share of the picture under specks that stand on one frame.
        specks_per_frame: how many.
        scratches: columns that look like lasting vertical scratches (suspicion, not proof).
        noise: standard deviation of grain and noise  [L*]
        weave_px: root mean square of fast displacement of the whole picture  [px of the source]
        blur: 0 sharp to 1 blurred (Crete et al. 2007).
        faces: faces seen in the frames sampled, of how many frames.
        advice: the recommended recipe, with its reasons.
    """

    film: dict[str, Any]
    grey: bool
    shots: tuple[tuple[int, int], ...]
    duplicates_percent: float
    pattern: str
    likely_rate: str
    flicker_percent: float
    local_flicker_percent: float
    dirt_percent: float
    specks_per_frame: float
    scratches: int
    noise: float
    weave_px: float
    blur: float
    faces: tuple[int, int]
    advice: tuple[Advice, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        told = asdict(self)
        told["shots"] = [list(s) for s in self.shots]
        told["faces"] = {"seen": self.faces[0], "frames": self.faces[1]}
        told["advice"] = [asdict(a) for a in self.advice]
        return told


@dataclass(frozen=True)
class _Probe:
    """What one run of frames shows."""

    flicker: float
    local: float
    dirt: tuple[float, ...]
    specks: tuple[int, ...]
    noise: tuple[float, ...]
    scratches: int
    weave_px: float
    blur: float
    faces: int


def analyse(source: FrameSource, report: Report = silent, token: CancelToken | None = None) -> Analysis:
    """Examine a film; nothing is written.

    Raises:
        DecodeError: a frame cannot be read.
        Cancelled: the token was set.

    Cost: about 15 ms a frame, and ten seconds for the close look (640×480, two cores).
    """
    clip, token = source.clip, token or CancelToken()
    same: list[bool] = []
    shots = shots_from_cuts(detect_cuts(_watched(source, same, report, token)), clip.count)
    probes = []
    places = _probe_places(shots)
    for k, place in enumerate(places):
        token.check()
        probes.append(_probe(list(source.frames(place)), shots[0], token))
        report(Progress("look closely", -1, k + 1, len(places)))
    return _summed_up(source, shots, same, probes)


def recommend(analysis: Analysis) -> Recipe:
    """The recipe that the analysis recommends."""
    return Recipe(tuple(StageSpec(a.step, a.params, a.on) for a in analysis.advice), "auto")


def cadence(same: Sequence[bool], rate: Fraction) -> tuple[float, str, Fraction]:
    """What repeated frames say about the transfer.

    Args:
        same: of each frame, whether it repeats the one before.
        rate: frames per second.

    Returns:
        Duplicates in percent; their pattern in words ("" where there is none); the likely true rate.
    """
    share = sum(same) / max(len(same), 1)
    if share < 0.02:
        return 100 * share, "", rate
    true = rate * (1 - Fraction(share).limit_denominator(1000))
    near = min(_USUAL_RATES, key=lambda r: abs(r - true))
    likely = Fraction(near) if abs(near - true) <= Fraction(4, 100) * true else true.limit_denominator(100)
    return 100 * share, _pattern(same), likely


def _pattern(same: Sequence[bool]) -> str:
    """The period at which duplicates come again, if they mostly do."""
    marks = np.array(same, bool)
    for period in range(2, min(13, len(marks) // 3)):
        per_phase = [marks[phase::period].mean() for phase in range(period)]
        steady = sum(m > 0.8 for m in per_phase)
        if steady and steady == round(sum(per_phase)) and all(m > 0.8 or m < 0.2 for m in per_phase):
            return f"{steady} of every {period} frames repeats the one before"
    return "irregular"


def _watched(source: FrameSource, same: list[bool], report: Report, token: CancelToken) -> Iterator[Array]:
    """The film's small lumas in order; notes on the way which repeat the one before."""
    before: Array | None = None
    total = source.clip.count
    for frame in source.frames(FrameRange(0, total)):
        token.check()
        luma = small_luma(frame)
        same.append(before is not None and _is_copy(before, luma))
        before = luma
        yield luma
        report(Progress("look over", -1, frame.index + 1, total))


def _is_copy(luma_a: Array, luma_b: Array) -> bool:
    apart = np.abs(luma_a - luma_b)
    return bool(apart.mean() < _COPY_MEAN and np.percentile(apart, 99.5) < _COPY_MOST)


def _probe_places(shots: Sequence[Shot]) -> list[FrameRange]:
    """Runs of frames spread over the film, each within one shot."""
    long = [s for s in shots if len(s.range) >= 5] or list(shots)
    total = sum(len(s.range) for s in long)
    places: dict[FrameRange, None] = {}
    # A short film is not looked at twice.
    probes = min(PROBES, max(1, total // (2 * PROBE_FRAMES)))
    for k in range(probes):
        at = (2 * k + 1) * total // (2 * probes)
        for shot in long:
            if at < len(shot.range):
                middle = min(max(shot.range.start + at, shot.range.start + PROBE_FRAMES // 2), shot.range.stop - 1)
                places[shot.range.around(middle, PROBE_FRAMES // 2)] = None
                break
            at -= len(shot.range)
    return list(places)


def _probe(frames: list[Frame], shot: Shot, token: CancelToken) -> _Probe:
    lumas = [luma_of(f.rgb) for f in frames]
    flicker, local = _flicker(frames)
    dirt, specks, noise = [], [], []
    for centre in {len(frames) // 3, 2 * len(frames) // 3}:
        token.check()
        evidence = gather(frames[max(0, centre - 2) : centre + 3], min(centre, 2))
        if evidence is not None:
            found = find_specks(evidence)
            dirt.append(float(found.mask.mean()))
            specks.append(found.count)
            noise.append(evidence.noise)
    middle = lumas[len(lumas) // 2]
    return _Probe(
        flicker, local, tuple(dirt), tuple(specks), tuple(noise), _scratches(lumas), _weave_px(lumas),
        _blur(middle), _faces(middle),
    )  # fmt: skip


def _flicker(frames: Sequence[Frame]) -> tuple[float, float]:
    """Standard deviation of fast changes of exposure: of the whole picture, and of parts beyond that."""
    stage, params = Deflicker(), DeflickerParams()
    measures = [stage.measure_small(f) for f in frames]
    if len(measures) < 5:
        return 0.0, 0.0
    tones, parts = fast_light(measures, params.reach)
    return float(tones.mean(axis=1).std()), float(np.median(np.abs(parts))) * 1.4826


def _scratches(lumas: Sequence[Array]) -> int:
    """Columns in which a thin line stands over most of the height, on most frames."""
    columns = np.zeros(lumas[0].shape[1])
    for luma in lumas[::3]:
        thin = luma - cv2.blur(luma, (7, 1))
        low = cv2.blur(thin, (1, 15))
        columns += np.maximum((low > 1.0).mean(axis=0), (low < -1.0).mean(axis=0)) > 0.6
    return int((columns > 0.7 * len(lumas[::3])).sum())


def _weave_px(lumas: Sequence[Array]) -> float:
    """Root mean square of fast displacement of the whole picture  [px]."""
    if len(lumas) < 5:
        return 0.0
    small = [to_working(x) for x in lumas]
    window = cv2.createHanningWindow((small[0].shape[1], small[0].shape[0]), cv2.CV_32F)
    steps = [cv2.phaseCorrelate(a, b, window)[0] for a, b in pairwise(small)]
    place = np.concatenate([np.zeros((1, 2)), np.cumsum(np.array(steps), axis=0)])
    # A pan is smooth over three frames, an unsteady gate is not.
    fast = place[1:-1] - (place[:-2] + place[2:]) / 2
    scale = lumas[0].shape[1] / small[0].shape[1]
    # Of white displacement, the difference to the mean of both neighbours has 1.5 times the variance.
    return float(np.median(np.hypot(fast[:, 0], fast[:, 1])) * 1.2 / np.sqrt(1.5) * scale)


def _blur(luma: Array) -> float:
    """0 sharp to 1 blurred. Source: Crete et al. 2007."""
    return float(measure.blur_effect(to_working(luma) / 100))  # type: ignore[no-untyped-call]


def _faces(luma: Array) -> int:
    """Frontal faces (Viola & Jones 2001): a rough count, for people to know what to expect."""
    path = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"
    if not path.is_file():
        return 0
    grey = np.asarray(np.clip(to_working(luma) * 2.55, 0, 255), np.uint8)
    least = max(24, min(grey.shape) // 12)
    return len(cv2.CascadeClassifier(str(path)).detectMultiScale(grey, 1.1, 7, minSize=(least, least)))


def _summed_up(source: FrameSource, shots: Sequence[Shot], same: list[bool], probes: list[_Probe]) -> Analysis:
    clip = source.clip
    duplicates, pattern, likely = cadence(same, clip.rate)
    found = Analysis(
        film={
            "width": clip.width, "height": clip.height, "frames": clip.count, "rate": str(clip.rate),
            "seconds": round(float(clip.seconds), 3), "constant_rate": clip.constant_rate,
            "bit_depth": clip.bit_depth, "codec": clip.codec, "container": clip.container,
            "sound_tracks": len(clip.audio),
        },
        grey=clip.grey,
        shots=tuple((s.range.start, s.range.stop) for s in shots),
        duplicates_percent=round(duplicates, 1),
        pattern=pattern,
        likely_rate=str(likely),
        flicker_percent=round(100 * _usual([p.flicker for p in probes]), 2),
        local_flicker_percent=round(100 * _usual([p.local for p in probes]), 2),
        dirt_percent=round(100 * _usual([d for p in probes for d in p.dirt]), 4),
        specks_per_frame=round(_usual([float(s) for p in probes for s in p.specks]), 1),
        scratches=int(_usual([float(p.scratches) for p in probes])),
        noise=round(_usual([n for p in probes for n in p.noise]), 2),
        weave_px=round(_usual([p.weave_px for p in probes]), 2),
        blur=round(_usual([p.blur for p in probes]), 3),
        faces=(sum(p.faces for p in probes), len(probes)),
    )  # fmt: skip
    return Analysis(**{**found.__dict__, "advice": _advice(found, clip.height)})


def _usual(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _advice(a: Analysis, height: int) -> tuple[Advice, ...]:
    """The recommended steps, those left off included: a reason is owed for both."""
    flicker = max(a.flicker_percent, a.local_flicker_percent) / 100
    dirty = a.specks_per_frame >= (_DIRT_GREY if a.grey else _DIRT_COLOUR)
    return (
        Advice(
            "deflicker",
            flicker >= _FLICKER_SEEN,
            f"exposure jumps by {100 * flicker:.1f} % from frame to frame"
            + ("" if flicker >= _FLICKER_SEEN else ", which is not seen"),
        ),
        Advice(
            "dedust",
            dirty,
            f"{a.specks_per_frame:g} specks a frame stand on one frame only"
            + ("" if dirty else ", too few to risk detail for"),
        ),
        Advice("colourise", a.grey, "the film has no colour" if a.grey else "the film has its own colour"),
        Advice(
            "upscale",
            False,
            f"the picture stays at {height} lines: enlarging by interpolation adds no detail",
        ),
        Advice("interpolate", False, _about_rate(a)),
    )


def _about_rate(a: Analysis) -> str:
    if not a.pattern:
        return f"the film keeps its {a.film['rate']} frames a second: made frames are not the camera's"
    return (
        f"{a.duplicates_percent:g} % of the frames are duplicates ({a.pattern}), the film likely ran at "
        f"{a.likely_rate} a second; frames made between duplicates would stutter"
    )
