"""`bench references`: a coloured picture that is not of the keyframe; how well does it colour the clip?

On the first frame of a clip made grey a ``reference`` is given that does not show it: the true frame from the clip's
middle (``later``), the first frame as a photograph of the same place would show it, mirrored, reframed, smaller and in
another light (``photograph``), a frame from another shot where the clip has cuts (``shot``), and a frame of another
clip (``unrelated``), which must change nothing. Beside what is rendered, in the same call: grey, the automatic colour,
and the automatic colour brought to the picture's mean and deviation of chroma (``tint``: Reinhard et al. 2001).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.clips import MAX_FRAMES, TrueClip, clip_names, evenly, read_clip
from bench.exemplar import ClipMotion, Line, carry, embedded_if_there, timeline_of
from bench.metrics import mean_delta_e, psnr, to_8bit
from core.colourise import Automatic, colourise_frame
from core.errors import WeightsError
from core.film.colour import Array, join, srgb_to_lab
from core.flow import DisFlow
from core.models.colouriser import EmbeddedColouriser, Looks
from hints.elsewhere import Elsewhere
from hints.hint import Hint, HintSet
from hints.picture import Picture

METHODS = ("grey", "automatic", "tint", "line")
LENGTH, FRAMES = 24, 4  # frames of each clip that are carried through, and how many of them are measured
HARMLESS = 0.1  # dB that an unrelated picture may cost


def run(data: Path, *, limit: int | None = None, seed: int = 0) -> dict[str, Any]:
    """Measure references from elsewhere.

    Args:
        data: folder with ``clips/`` and ``cuts.json``.
        limit: at most so many clips, evenly chosen; None: all.
        seed: nothing here is drawn by chance.

    Returns:
        ``{"name", "cases", "summary"}``: per clip and picture PSNR [dB] and ΔE2000 by method, and the share of the
        keyframe that was found; in the summary their means by kind of picture.

    Raises:
        InputError: the folder has no clips.
        WeightsError: the embedded network's weights are missing.
    """
    colouriser = embedded_if_there()
    if colouriser is None:
        raise WeightsError("bench references: the embedded network's weights are missing; train them: make weights")
    names = clip_names(data)
    cases = []
    for name in evenly(names, limit):
        other = read_clip(data, names[(names.index(name) + len(names) // 3) % len(names)], max_frames=2)
        clip, shown = read(data, name)
        cases += measure(clip, {**shown, "unrelated": other.rgb(0)}, colouriser)
    return {"name": "references", "cases": cases, "summary": summarise(cases)}


def photographed(rgb: Array) -> Array:
    """A frame as somebody else's photograph of the place: mirrored, nearer, smaller, in another light."""
    h, w = rgb.shape[:2]
    top, left = round(0.05 * h), round(0.05 * w)
    nearer = np.ascontiguousarray(rgb[top : h - top, left : w - left][:, ::-1])
    smaller = cv2.resize(nearer, (round(0.75 * w), round(0.75 * h)), interpolation=cv2.INTER_AREA)
    lab = srgb_to_lab(np.asarray(smaller, np.float32))
    light = np.linspace(0.8, 1.1, lab.shape[1], dtype=np.float32)
    luma = np.clip(100 * (lab[..., 0] / 100) ** np.float32(0.8) * light, 0, 100)
    return join(np.asarray(luma, np.float32), np.ascontiguousarray(lab[..., 1:]))


def foreign(picture: Picture, luma: Array, looks: Looks | None) -> Elsewhere:
    """A picture matched to a frame  [(h, w) float32 L*], as the hints do it."""
    return Elsewhere(picture, luma, DisFlow(), looks)


def measure(clip: TrueClip, shown: dict[str, Array], colouriser: EmbeddedColouriser) -> list[dict[str, Any]]:
    """One clip under several pictures, one at a time.

    Args:
        clip: with its truth.
        shown: pictures by kind  [(H, W, 3) float32 [0, 1] R'G'B']
        colouriser: the network of the line.
    """
    motion = ClipMotion(clip, colouriser)
    line = Line(motion, colouriser)
    frames = timeline_of(clip).shots[0].range.spread(FRAMES)
    cases = []
    for kind, rgb in shown.items():
        hint = Hint(kind, 0, "reference", image=Picture.of(rgb))
        source, seconds = carry(HintSet((), (hint,)), clip, motion)
        scores: dict[str, list[tuple[float, float]]] = {method: [] for method in METHODS}
        for n in frames:
            luma, auto = motion.full(n), line.automatic(n)
            plain = line.chroma(n)
            made = {
                "grey": np.zeros_like(plain),
                "automatic": plain,
                "tint": colourise_frame(luma, Automatic(auto.luma, tinted(auto.ab, rgb)), colouriser),
                "line": line.chroma(n, source.field(n)),
            }
            true = clip.lab(n)
            wanted = to_8bit(join(luma, np.ascontiguousarray(true[..., 1:])))
            for method, ab in made.items():
                picture = join(luma, ab)
                scores[method].append((psnr(to_8bit(picture), wanted), mean_delta_e(srgb_to_lab(picture), true)))
        cases.append(
            {
                "clip": clip.name,
                "picture": kind,
                "found": source.found(source.tracks[0]),
                "psnr_db": {method: float(np.mean([s[0] for s in some])) for method, some in scores.items()},
                "delta_e": {method: float(np.mean([s[1] for s in some])) for method, some in scores.items()},
                "carry_s_per_frame": seconds / (len(clip.frames) - 1),
            }
        )
    return cases


def tinted(ab: Array, rgb: Array) -> Array:
    """Chroma brought to the mean and deviation of a picture's  [(h, w, 2) float32 a* b*]."""
    wanted = srgb_to_lab(rgb)[..., 1:].reshape(-1, 2)
    own = ab.reshape(-1, 2)
    gain = wanted.std(axis=0) / np.maximum(own.std(axis=0), np.float32(0.5))
    return np.asarray((ab - own.mean(axis=0)) * gain + wanted.mean(axis=0), np.float32)


def summarise(cases: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means by kind of picture, and how many clips are the worse for an unrelated one."""
    table: dict[str, Any] = {}
    for kind in dict.fromkeys(case["picture"] for case in cases):
        some = [case for case in cases if case["picture"] == kind]
        gains = [case["psnr_db"]["line"] - case["psnr_db"]["automatic"] for case in some]
        found = [case["found"] for case in some if case["found"] is not None]
        table[kind] = {
            "psnr_db": {method: float(np.mean([c["psnr_db"][method] for c in some])) for method in METHODS},
            "delta_e": {method: float(np.mean([c["delta_e"][method] for c in some])) for method in METHODS},
            "gain_db": float(np.mean(gains)),
            "least_gain_db": float(min(gains)),
            "harmed": sum(gain < -HARMLESS for gain in gains),
            "found": float(np.mean(found)) if found else float("nan"),
        }
    return table


def read(data: Path, name: str) -> tuple[TrueClip, dict[str, Array]]:
    """A clip's first frames, none beyond a cut, and what is given on the first one, by kind.

    Returns:
        The clip, and pictures  [(H, W, 3) float32 [0, 1] R'G'B' each]
    """
    path = data / "cuts.json"
    told = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    cuts: list[int] = next((v for k, v in told.items() if k.startswith(f"clips/{name}/")), [])
    whole = read_clip(data, name, max_frames=cuts[1] if len(cuts) > 1 else MAX_FRAMES)
    end = cuts[0] if cuts else len(whole.frames)
    shown = {"later": whole.rgb(end // 2), "photograph": photographed(whole.rgb(0))}
    if end < len(whole.frames):
        shown["shot"] = whole.rgb((end + len(whole.frames)) // 2)
    count = min(end, LENGTH)
    return TrueClip(name, whole.frames[:count], whole.numbers[:count]), shown
