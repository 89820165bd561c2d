"""Upscalers and restorers that belong to no card: the spandrel library finds their architecture by their tensors.

Such a file lies in the model folder beside the others, as `core.models.admit` rewrote it, and its name says what the
library found: ``4x-UltraSharp.ESRGAN-x4.safetensors`` is chosen by the word ``4x-UltraSharp``. So the folder's listing
is all that is read when the program starts. The library is never shown a file: it is given the tensors.

Source: spandrel (MIT), github.com/chaiNNer-org/spandrel; each architecture's authors are named there.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path, PurePath
from typing import Any, cast

import torch
from torch import Tensor, nn

from core.contract.fingerprint import fingerprint
from core.contract.plugins import Plugins
from core.errors import InputError, ModelMissingError, WeightsError
from core.models.card import ModelCard, ModelFile
from core.models.checkpoint import Table, identity_of, read_checkpoint
from core.models.shelf import model_folder
from core.models.tiling import Tiling
from core.models.torchvision_shim import ensure_torchvision
from core.models.upscaler import NetworkUpscaler

log = logging.getLogger(__name__)

CODE = ("detected", 1)  # the number is raised whenever the same weights give another answer, also by other parts
SCALES = (1, 2, 3, 4, 8)
NEEDED = ("spandrel", "einops", "torchvision")
RESERVED = frozenset({"lanczos"})  # what the stage itself answers to

_FILE = re.compile(r"(?P<name>.+)\.(?P<architecture>[A-Za-z0-9]+)-x(?P<scale>\d+)\.safetensors")
_UNFIT = re.compile(r"[^A-Za-z0-9_.+-]+")  # for a word that is typed, and for a file's name on any system
# In torch's words, and in those of `core.models.checkpoint.check_fits`.
_UNFITTING = (
    (re.compile(r'Missing key\(s\) in state_dict: "([^"]+)"'), "is missing"),
    (re.compile(r'Unexpected key\(s\) in state_dict: "([^"]+)"'), "is not of this network"),
    (re.compile(r"size mismatch for (\S+):"), "is of another shape"),
)
# Draws noise for each picture: a frame would look another way whenever it is made anew.
_RANDOM = frozenset({"AuraSR"})

# A part at the network's far end is 1024 px at most, as of `core.models.realesrgan`; what the overlap shows is all
# that most convolutions see, and more than attention in windows of up to 16 px does.
FAR_SIDE, NEAR_SIDE = 1024, 512
OVERLAP = {1: 64, 2: 64}  # where little or nothing is enlarged, networks halve their picture and see further
OVERLAP_ELSE = 32
# Networks that look at the picture as a whole get it whole, up to what a film is scanned at.
WHOLE = Tiling(2048, 128)


@dataclass(frozen=True)
class Detected:
    """What the name of a file in the model folder says of the network in it.

    Attributes:
        name: the word people choose it by.
        architecture: the library's word for it.
        scale: by how much it enlarges; 1: it only restores.
    """

    name: str
    architecture: str
    scale: int

    @property
    def file(self) -> str:
        """The file's name."""
        return f"{self.name}.{self.architecture}-x{self.scale}.safetensors"

    @property
    def card(self) -> ModelCard:
        """What the shelf knows of it."""
        return ModelCard(
            self.name,
            f"{self.architecture} x{self.scale}" if self.scale > 1 else f"{self.architecture}, at the film's size",
            "upscale",
            "its authors say; detected by its tensors",
            "",
            (ModelFile(self.file, ""),),
            "choose by 'lanczos' instead",
            detected=True,
            full="which half precision it stands was not measured",
        )


class Network(nn.Module):
    """A network as the library calls it: padded to the sides it can do, given what else it asks for, clipped.

    Args:
        descriptor: the library's ``ImageModelDescriptor``.

    Attributes:
        tiling: how its pictures are cut.
    """

    def __init__(self, descriptor: Any) -> None:
        super().__init__()
        self.network: nn.Module = descriptor.model
        self.tiling = _tiling(descriptor)
        self._descriptor = descriptor
        self.requires_grad_(False).eval()

    def forward(self, planes: Tensor) -> Tensor:
        """[(1, 3, H, W) float32 [0, 1] R'G'B'] to [(1, 3, scale H, scale W) float32 [0, 1] R'G'B']."""
        return cast(Tensor, self._descriptor(planes))


def parsed(file: str) -> Detected | None:
    """What a file's name says; None where it is not one of these."""
    match = _FILE.fullmatch(file)
    if match is None or int(match["scale"]) not in SCALES:
        return None
    return Detected(match["name"], match["architecture"], int(match["scale"]))


def detected(table: Table, name: str, cards: Iterable[ModelCard], *, where: str) -> Detected | None:
    """What a table is, that is known as no card's; it is tried on a small picture.

    Args:
        table: as published: name to tensor
        name: of the file it was read from
        cards: of the models whose names are taken
        where: what to name in a message, e.g. the file's path

    Returns:
        What it is, and the word it is to be chosen by; None where the library knows no such architecture, or is not
        installed.

    Raises:
        InputError: that word is another model's.
        WeightsError: it is damaged, or no upscaler or restorer of single pictures.
    """
    if lacking():
        return None
    descriptor = _descriptor(table, where=where)
    if descriptor is None:
        return None
    _try(Network(descriptor), descriptor, where=where)
    found = Detected(word(name), str(descriptor.architecture.id), int(descriptor.scale))
    taken = any(card.id == found.name and card.files[:1] != found.card.files for card in cards)
    if taken or found.name in RESERVED:
        raise InputError(f"{where}: '{found.name}' is another model's name already; give the file another one")
    return found


def check(found: Detected, table: Table, *, where: str) -> None:
    """Check that a table is what its file's name says; nothing is checked where the library is not installed.

    Raises:
        WeightsError: it is not.
    """
    if not lacking():
        _network(found, table, where=where)


def load(found: Detected, folder: Path | None = None, *, device: str | None = None) -> NetworkUpscaler:
    """Such a network as an upscaler; its file is hashed now, and read when first needed.

    Args:
        found: which
        folder: where checkpoints lie; None: the model folder
        device: as `core.models.device.pick_device` takes it

    Raises:
        InputError: there is no such device.
        ModelMissingError: the library is not installed.
        WeightsError: the file cannot be read.
    """
    if lacking():
        raise ModelMissingError(f"model '{found.name}' cannot run yet; {lacking()}")
    path = (folder or model_folder()) / found.file
    return NetworkUpscaler(
        found.name,
        partial(_read, found, path),
        fingerprint=fingerprint(*CODE, importlib.metadata.version("spandrel"), identity_of(path)),
        scale=found.scale,
        tiling=None,
        layout=torch.contiguous_format,  # which others than its authors' program has, its code may not stand
        device=device,
    )


def lacking() -> str:
    """What is to be installed before an architecture can be detected; else empty."""
    packages = [name for name in NEEDED if find_spec(name) is None]
    return f"install {' and '.join(packages)}: python -m pip install -r requirements.txt" if packages else ""


def word(file: str) -> str:
    """The word by which a file's upscaler is chosen: what it is called, without what cannot stand in a file's name."""
    found = parsed(file)
    return _UNFIT.sub("-", found.name if found else PurePath(file).stem).strip("-.") or "upscaler"


def register(plugins: Plugins, folder: Path | None = None) -> None:
    """Offer what lies in the model folder; nothing but the folder's listing is read.

    Raises:
        InputError: as of `core.models.shelf.model_folder`.
    """
    for path in sorted((folder or model_folder()).glob("*-x*.safetensors")):
        found = parsed(path.name)
        if found is None:
            continue
        if found.name in plugins.cards or found.name in plugins.upscalers or found.name in RESERVED:
            log.warning("%s: left out: '%s' is another model's name; rename the file", path, found.name)
            continue
        plugins.cards.add(found.name, found.card)
        _offer(plugins, found)


def _offer(plugins: Plugins, found: Detected) -> None:
    plugins.upscalers.add(found.name, lambda device: load(found, device=device))


def _read(found: Detected, path: Path) -> Network:
    return _network(found, read_checkpoint(path), where=str(path))


def _network(found: Detected, table: Table, *, where: str) -> Network:
    descriptor = _descriptor(table, where=where)
    is_ = None if descriptor is None else (str(descriptor.architecture.id), int(descriptor.scale))
    if is_ != (found.architecture, found.scale):
        says = f"{found.architecture} x{found.scale}"
        what = "none that the spandrel library knows" if is_ is None else f"{is_[0]} x{is_[1]}"
        raise WeightsError(f"{where}: is {what}, not {says} as its name says; take it in again: models import")
    return Network(descriptor)


def _descriptor(table: Table, *, where: str) -> Any:
    """The library's descriptor of a table that can be used here; None where it knows no such architecture."""
    library = _library()
    plain = library.canonicalize_state_dict(dict(table))
    kinds = library.MAIN_REGISTRY.architectures("detection")
    kind = next((kind.architecture for kind in kinds if kind.detect(plain)), None)
    if kind is None:
        return None
    try:
        descriptor = kind.load(plain)
    except Exception as error:  # whatever an architecture's own code says of tensors that are not all there
        raise WeightsError(f"{where}: looks like {kind.name}, but is not whole ({_line(error)})") from None
    fault = _fault(descriptor, library)
    if fault:
        raise WeightsError(
            f"{where}: is {kind.name}, which {fault}; what enlarges or restores single pictures is taken"
        )
    return descriptor


def _fault(descriptor: Any, library: Any) -> str:
    """Why a network cannot be used to enlarge or restore a film's frames; else empty."""
    if not isinstance(descriptor, library.ImageModelDescriptor):
        return "fills in what a mask leaves out"
    if descriptor.purpose not in ("SR", "Restoration"):
        return "makes faces anew"
    if (descriptor.input_channels, descriptor.output_channels) != (3, 3):
        return f"takes {descriptor.input_channels} and gives {descriptor.output_channels} channels, not R'G'B'"
    if descriptor.scale not in SCALES:
        return f"enlarges by {descriptor.scale}, not by {', '.join(map(str, SCALES))}"
    if descriptor.architecture.id in _RANDOM:
        return "draws noise, so that no frame comes out twice the same"
    return ""


def _try(network: Network, descriptor: Any, *, where: str) -> None:
    side = max(16, descriptor.size_requirements.minimum)
    planes = torch.full((1, 3, side, side), 0.5)
    try:
        made = network(planes)
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError, NotImplementedError) as error:
        raise WeightsError(f"{where}: is {descriptor.architecture.name}, but does not run ({_line(error)})") from None
    wanted = (1, 3, side * descriptor.scale, side * descriptor.scale)
    if tuple(made.shape) != wanted or not bool(torch.isfinite(made).all()):
        raise WeightsError(f"{where}: is {descriptor.architecture.name}, but gives no picture of {wanted[2]} px")


def _tiling(descriptor: Any) -> Tiling:
    """How the pictures of a network are cut, in multiples of what it can do."""
    scale, multiple = descriptor.scale, descriptor.size_requirements.multiple_of
    if descriptor.tiling.name == "SUPPORTED":
        side, overlap = min(NEAR_SIDE, FAR_SIDE // scale), OVERLAP.get(scale, OVERLAP_ELSE)
    else:  # discouraged, or done inside the network
        side, overlap = WHOLE.side, WHOLE.overlap
    return Tiling(max(1, side // multiple) * multiple, math.ceil(overlap / multiple) * multiple, multiple)


def _library() -> Any:
    ensure_torchvision()  # the library imports it
    return importlib.import_module("spandrel")


def _line(error: Exception) -> str:
    """What an error says, in one line; where it lists what does not fit a network, the first of that."""
    for pattern, fault in _UNFITTING:
        if match := pattern.search(str(error)):
            return f"'{match[1]}' {fault}"
    said = [line.strip() for line in str(error).splitlines() if line.strip()]
    return said[0] if said else type(error).__name__
