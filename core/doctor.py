"""What this machine has, what it lacks, and how to get it.

Libraries, and the room of ours that stands on torch, are imported by name and inside a guard, because it is
here that a missing or broken one must become a line of advice instead of a traceback.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Literal

import platformdirs

from core.models.card import CARDS, ModelCard
from core.models.shelf import model_folder, shelf

State = Literal["ok", "optional", "missing"]
CACHE_VARIABLE = "POCHOIR_CACHE"
BROWSER_VARIABLE = "POCHOIR_CHROMIUM"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
OLDEST_PYTHON = (3, 11)
FREE_BYTES = 10 << 30  # below this a film of some minutes at full size may not fit into the cache
INSTALL = "python -m pip install -r requirements.txt"
PACKAGES = (
    "numpy", "scipy", "opencv-python-headless", "scikit-image", "pillow", "scenedetect-headless",
    "safetensors", "zstandard", "gradio",
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One thing looked for.

    Attributes:
        subject: what it is.
        state: ``ok``; ``optional``: not there, and the program does without; ``missing``: needed.
        found: what there is, in one line.
        advice: how to get what is missing; empty where nothing is.
        facts: the same for machines.
    """

    subject: str
    state: State
    found: str
    advice: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Codec:
    """A way to write (or read) film: FFmpeg's name of the codec, and the sample format asked of it."""

    title: str
    name: str
    pixels: str | None
    needed: bool


WRITE = (
    Codec("H.264", "libx264", "yuv420p", True),
    Codec("HEVC 8 bit", "libx265", "yuv420p", False),
    Codec("HEVC 10 bit", "libx265", "yuv420p10le", False),
    Codec("FFV1 16 bit", "ffv1", "gbrp16le", True),
    Codec("ProRes", "prores_ks", "yuv422p10le", True),
    Codec("DNxHR", "dnxhd", "yuv422p10le", False),
    Codec("AV1", "libsvtav1", "yuv420p10le", False),
    Codec("AAC", "aac", None, True),
    Codec("PCM", "pcm_s16le", None, True),
)
READ = ("h264", "hevc", "mpeg2video", "mpeg4", "mjpeg", "prores", "dnxhd", "ffv1", "dvvideo", "vp9", "av1")
IMAGES = (("png", True), ("tiff", True), ("jpeg", True), ("dpx", True), ("openexr", True))


def examine(cache: Path | None = None, cards: Iterable[ModelCard] = CARDS) -> list[Finding]:
    """Look at everything the program may need.

    Args:
        cache: a cache folder to weigh, e.g. a project's; None: the user's own
        cards: of the models to look for; by default those that come with the program

    Returns:
        Findings in the order in which a person would mend them. Nothing raises: what cannot be looked at
        is a finding too.
    """
    looks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("Python", _python),
        ("packages", _packages),
        ("torch", _torch),
        ("torchvision", _torchvision),
        ("film", _film),
        ("still pictures", _images),
        ("models", lambda: _models(cards)),
        ("browser", _browser),
        ("disk", lambda: _disk(cache or _user_cache())),
    )
    found: list[Finding] = []
    for subject, look in looks:
        try:
            found.extend(look())
        except Exception as error:  # whatever a broken library throws is what is to be reported
            found.append(Finding(subject, "missing", f"{type(error).__name__}: {_line(error)}", INSTALL))
    return found


def _python() -> Iterator[Finding]:
    version = platform.python_version()
    good = sys.version_info >= OLDEST_PYTHON
    yield Finding(
        "Python",
        "ok" if good else "missing",
        f"{version} on {platform.system()} {platform.machine()}",
        "" if good else "install Python 3.11 or newer",
        {"version": version, "system": platform.system(), "machine": platform.machine()},
    )


def _packages() -> Iterator[Finding]:
    versions = {name: _version(name) for name in PACKAGES}
    lacking = [name for name, version in versions.items() if version is None]
    yield Finding(
        "packages",
        "missing" if lacking else "ok",
        f"not installed: {', '.join(lacking)}" if lacking else f"all {len(versions)} installed",
        INSTALL if lacking else "",
        {"versions": versions},
    )


def _torch() -> Iterator[Finding]:
    torch = import_module("torch")
    devices = ["cpu"]
    if torch.cuda.is_available():
        devices += [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append("mps")
    threads, cores = torch.get_num_threads(), os.cpu_count() or 1
    yield Finding(
        "torch",
        "ok",
        f"{torch.__version__}; {threads} threads on {cores} cores",
        facts={"version": torch.__version__, "threads": threads, "cores": cores},
    )
    fast = len(devices) > 1
    yield Finding(
        "devices",
        "ok" if fast else "optional",
        ", ".join(devices),
        "" if fast else "the embedded colouriser needs no more; for published models on a GPU install torch for it",
        {"devices": devices},
    )


def _torchvision() -> Iterator[Finding]:
    answer = import_module("core.models.torchvision_shim").ensure_torchvision()
    versions = {name: _version(name) for name in ("segment-anything", "transformers")}
    facts = {"torchvision": answer} | {name.replace("-", "_"): version for name, version in versions.items()}
    lacking = [name for name, version in versions.items() if version is None]
    lacking += ["torchvision"] if answer == "absent" else []
    if lacking:
        yield Finding(
            "Segment Anything",
            "optional",
            f"{' and '.join(lacking)} not installed; regions are found by other segmenters",
            INSTALL,
            facts,
        )
        return
    how = "native" if answer == "native" else "with our own kernel beside this torch"
    said = ", ".join(f"{name} {version}" for name, version in versions.items())
    yield Finding("Segment Anything", "ok", f"{said}, torchvision {how}", facts=facts)


def _film() -> Iterator[Finding]:
    av = import_module("av")
    ffmpeg = getattr(av, "ffmpeg_version_info", "unknown")
    yield Finding("PyAV", "ok", f"{av.__version__} with FFmpeg {ffmpeg}", facts={"ffmpeg": ffmpeg})
    for codec in WRITE:
        yield _writes(codec, _can(codec.name, codec.pixels, "w"))
    lacking = [name for name in READ if not _can(name, None, "r")]
    yield Finding(
        "reading film",
        "missing" if lacking else "ok",
        f"cannot read {', '.join(lacking)}" if lacking else f"reads {', '.join(READ)} and what else FFmpeg knows",
        "install PyAV's own wheel: python -m pip install --only-binary av av" if lacking else "",
        {"lacking": lacking},
    )


def _writes(codec: Codec, there: bool) -> Finding:
    state: State = "ok" if there else "missing" if codec.needed else "optional"
    how = "" if there else f"this PyAV was built without {codec.name}; install PyAV's own wheel"
    found = f"{codec.name} {codec.pixels or ''}".strip() if there else "cannot be written"
    return Finding(codec.title, state, found, how, {"codec": codec.name, "pixels": codec.pixels})


def _can(name: str, pixels: str | None, mode: str) -> bool:
    """Whether FFmpeg has that codec, and may be asked for that sample format at all."""
    codec_type = import_module("av.codec").Codec
    try:
        codec = codec_type(name, mode)
    except Exception:  # av's own errors differ from version to version; all mean the same here
        return False
    return pixels is None or any(f.name == pixels for f in codec.video_formats or ())


def _images() -> Iterator[Finding]:
    oiio = import_module("OpenImageIO")
    known = set(str(oiio.get_string_attribute("format_list")).split(","))
    lacking = [name for name, needed in IMAGES if needed and name not in known]
    yield Finding(
        "still pictures",
        "missing" if lacking else "ok",
        f"OpenImageIO {_version('OpenImageIO')}: "
        + (f"lacks {', '.join(lacking)}" if lacking else ", ".join(name for name, _ in IMAGES)),
        INSTALL if lacking else "",
        {"formats": sorted(known), "lacking": lacking},
    )


def _models(cards: Iterable[ModelCard]) -> Iterator[Finding]:
    folder = model_folder()
    yield Finding(
        "model folder",
        "ok" if folder.is_dir() else "optional",
        str(folder) if folder.is_dir() else f"{folder} is not there",
        "" if folder.is_dir() else f"make it, or name another by POCHOIR_MODELS: mkdir -p '{folder}'",
        {"path": str(folder)},
    )
    for status in shelf(folder, cards):
        there = status.state == "ready"
        lacking = "damaged" if status.state == "damaged" else "not there"
        yield Finding(
            f"model {status.card.id}",
            "ok" if there else "missing" if status.card.built_in else "optional",
            str(status.path) if there else f"{lacking}; {status.card.instead}",
            "" if there else status.advice,
            {"state": status.state, "path": str(status.path) if status.path else None},
        )


def find_browser() -> Path | None:
    """A Chromium to drive: the one ``POCHOIR_CHROMIUM`` names, else the first on the path."""
    named = os.environ.get(BROWSER_VARIABLE)
    if named:
        return Path(named) if Path(named).is_file() else None
    return next((Path(p) for p in map(shutil.which, BROWSERS) if p), None)


def _browser() -> Iterator[Finding]:
    browser = find_browser()
    yield Finding(
        "browser",
        "ok" if browser else "optional",
        str(browser) if browser else "no Chromium found; the studio runs in any browser, its tests need this one",
        "" if browser else "install Chromium (Debian, Ubuntu: apt-get install chromium)",
        {"path": str(browser) if browser else None},
    )


def _user_cache() -> Path:
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named) if named else platformdirs.user_cache_path("pochoir", appauthor=False)


def _disk(cache: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(_nearest(cache)).free
    enough = free >= FREE_BYTES
    yield Finding(
        "disk",
        "ok" if enough else "optional",
        f"{_size(free)} free where the cache lies",
        "" if enough else f"free some space, or name another disk by {CACHE_VARIABLE}",
        {"free_bytes": free},
    )
    held = _weigh(cache)
    yield Finding(
        "cache",
        "ok",
        f"{_size(held)} in {cache}; it may be deleted at any time",
        facts={"path": str(cache), "bytes": held},
    )


def _nearest(path: Path) -> Path:
    """The path, or its nearest ancestor that is there."""
    return next(p for p in (path, *path.absolute().parents) if p.exists())


def _weigh(folder: Path) -> int:
    """Bytes of all files below a folder; files that vanish meanwhile weigh nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).stat().st_size
            except OSError:
                continue
    return total


def _size(count: int) -> str:
    """Bytes in words, in decimal units."""
    value = Fraction(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{float(value):.3g} {unit}"
        value /= 1000
    return f"{float(value):.3g} TB"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
