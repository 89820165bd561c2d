"""What is to be written: codec, place and depth, from the suffix of a path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import InputError

Kind = Literal["h264", "hevc", "ffv1", "prores", "png"]
KINDS: tuple[Kind, ...] = ("h264", "hevc", "ffv1", "prores", "png")
_BY_SUFFIX: dict[str, Kind] = {".mp4": "h264", ".mkv": "ffv1", ".mov": "prores", "": "png"}
_FITS: dict[Kind, tuple[str, ...]] = {
    "h264": (".mp4", ".mkv", ".mov"),
    "hevc": (".mp4", ".mkv", ".mov"),
    "ffv1": (".mkv",),
    "prores": (".mov", ".mkv"),
    "png": ("",),
}


@dataclass(frozen=True)
class Target:
    """What is to be written, and where.

    Attributes:
        kind: codec, or ``png`` for a folder of pictures.
        path: the file or the folder.
        depth: bits per sample as coded: 8 or 10 (H.264, HEVC), 10 (ProRes), 8 or 16 (FFV1, PNG).
        quality: constant rate factor of H.264 and HEVC, 0 (best) to 51; the others have none.
        preset: speed against size of H.264 and HEVC, by x264's names.
    """

    kind: Kind
    path: Path
    depth: int = 8
    quality: int = 16
    preset: str = "fast"

    def __post_init__(self) -> None:
        depths = {"h264": (8, 10), "hevc": (8, 10), "prores": (10,), "ffv1": (8, 16), "png": (8, 16)}
        if self.kind not in depths:
            raise InputError(f"output kind '{self.kind}': known are {', '.join(KINDS)}")
        if self.depth not in depths[self.kind]:
            raise InputError(f"{self.kind} is written with {depths[self.kind]} bits, not {self.depth}")


def target_for(path: str | Path, *, bit_depth: int, kind: str | None = None) -> Target:
    """The target a path asks for by its suffix: ``.mp4`` H.264, ``.mkv`` FFV1, ``.mov`` ProRes 422 HQ, none PNG.

    Args:
        path: file or folder.
        bit_depth: of the source; deeper than 8 asks for 16-bit FFV1 and PNG and for 10-bit HEVC.
        kind: another codec for that container, e.g. ``hevc`` in ``.mp4``.

    Raises:
        InputError: unknown suffix or kind, or a kind the container does not take.
    """
    place = Path(path)
    suffix = "" if place.is_dir() else place.suffix.lower()
    if suffix not in _BY_SUFFIX:
        raise InputError(
            f"output '{place.name}': known are .mp4 (H.264), .mkv (FFV1 lossless), .mov (ProRes) "
            "and a folder without suffix (PNG frames)"
        )
    named = [k for k in KINDS if k == kind]
    if kind is not None and not named:
        raise InputError(f"output kind '{kind}': known are {', '.join(KINDS)}")
    chosen = named[0] if named else _BY_SUFFIX[suffix]
    if suffix not in _FITS[chosen]:
        fits = " or ".join(s or "a folder" for s in _FITS[chosen])
        raise InputError(f"output '{place.name}': {chosen} is written to {fits}")
    deep = bit_depth > 8
    depth = {"h264": 8, "hevc": 10 if deep else 8, "prores": 10}.get(chosen, 16 if deep else 8)
    return Target(chosen, place, depth)
