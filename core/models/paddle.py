"""PaddleGAN's files in the names of the networks they were made from.

A ``.pdparams`` is a pickle of NumPy arrays by name, beside a table of Paddle's own names, which nothing here needs.
Of DeOldify and EDVR every name follows from a rule; RealSR's are ESRGAN's own. DAIN is published as a frozen graph,
whose numbers have no names.

Source: github.com/PaddlePaddle/PaddleGAN at 094a2eb (Apache-2.0), whose classes were built to compare the names.
"""

from __future__ import annotations

import pickle
import re
import tarfile
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.errors import WeightsError
from core.models import edvr_names
from core.models.names import by_rules, renamed

NAMES = "StructuredToParameterName@@"  # under which Paddle keeps its own names
# torch's number at the head of its files of before 1.6, as pickle writes it; they are pickles too.
_TORCH = bytes.fromhex("6cfc9c46f9206aa85019")

_DEOLDIFY = (
    (r"\._mean$", ".running_mean"),
    (r"\._variance$", ".running_var"),
    (r"\.spectral_norm\.weight_(u|v)$", r".weight_\1"),
    (r"\.layer\.bias$", ".bias"),
)
# To the authors' first names, and from there to today's.
_EDVR = (
    (r"^feature_extractor\.block(\d+)\.", r"feature_extraction.\1."),
    (r"^reconstructor\.block(\d+)\.", r"recon_trunk.\1."),
    (r"^PCDModule\.PCD_Align_(L\d)_(offset_conv\d|fea_conv)\.", r"pcd_align.\1_\2."),
    (r"^PCDModule\.PCD_Align_(L\d)_dcn\.", r"pcd_align.\1_dcnpack."),
    (r"^PCDModule\.PCD_Align_cas_offset_conv(\d)\.", r"pcd_align.cas_offset_conv\1."),
    (r"^PCDModule\.PCD_Align_cascade_dcn\.", "pcd_align.cas_dcnpack."),
    (r"^(pcd_align\.\w+)\.dcn\.", r"\1."),
    (r"^TSAModule\.", "tsa_fusion."),
    (r"^cov_1\.", "conv_1x1."),
    *edvr_names.RULES,
)


def is_frozen(path: Path) -> bool:
    """Whether a file is the archive of a frozen graph, as PaddleGAN publishes DAIN."""
    if not tarfile.is_tarfile(path):
        return False
    with tarfile.open(path) as archive:
        first = [archive.next() for _ in range(8)]
    leaves = {Path(entry.name).name for entry in first if entry is not None}
    return any("model" in leaf for leaf in leaves) and any("param" in leaf for leaf in leaves)


def is_pdparams(path: Path) -> bool:
    """Whether a file begins as a plain pickle does, which torch's own never are.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(32)
    return head[:1] == b"\x80" and _TORCH not in head


def read(path: Path) -> dict[str, Tensor]:
    """A ``.pdparams`` file's tensors in the published names of the network they belong to.

    Args:
        path: the file; whatever in it is no plain table of NumPy arrays is refused before it is made

    Raises:
        OSError, EOFError, ValueError, pickle.UnpicklingError: it is damaged, or no such file.
        WeightsError: it holds something else than named arrays.
    """
    with path.open("rb") as file:
        data = _Arrays(file).load()
    if isinstance(data, dict) and len(data) == 1 and isinstance(inner := next(iter(data.values())), dict):
        data = inner  # as {"generator": …}
    if not isinstance(data, dict):
        raise WeightsError(f"{path}: holds no table of arrays; it is not a checkpoint of a network")
    table = {}
    for name, value in data.items():
        # Some versions of Paddle keep an array together with its own name for it.
        array = value[1] if isinstance(value, tuple) and len(value) == 2 else value
        if name == NAMES:
            continue
        if not isinstance(name, str) or not isinstance(array, _Array):
            raise WeightsError(f"{path}: '{name}' is no array of numbers; it is not a checkpoint of a network")
        table[name] = array.tensor()
    return in_published_names(table)


def in_published_names(table: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A table in the names that the networks' authors publish; names that no rule fits stay.

    Args:
        table: PaddleGAN's name to tensor; left as it is

    Raises:
        WeightsError: two names mean the same part.
    """
    published = renamed(table, partial(by_rules, rules=(*_DEOLDIFY, *_EDVR)), mixed="two networks")
    for name, tensor in published.items():
        if name.endswith(".weight_g") and tensor.ndim == 1:  # weight norm: one length per channel
            published[name] = tensor.reshape(-1, *[1] * (published[name[:-1] + "v"].ndim - 1))
    return published


class _Kind:
    """A pickled ``numpy.dtype``, of numbers only.

    NumPy's own takes flags from its pickle that make it read bytes as addresses.
    """

    def __init__(self, text: str, *_: Any) -> None:
        if re.fullmatch("[fiu][1248]|b1", text) is None:
            raise pickle.UnpicklingError(f"it holds arrays of {text}")
        self.dtype = np.dtype(text)

    def __setstate__(self, state: Sequence[Any]) -> None:
        order = {"<": "<", ">": ">"}.get(state[1], "=")
        self.dtype = self.dtype.newbyteorder(order)  # type: ignore[arg-type]


class _Array:
    """A pickled ``numpy.ndarray``: bytes, and how they are to be read."""

    def __init__(self, *_: Any) -> None:
        self._state: tuple[bytes, _Kind, Sequence[int], str] | None = None

    def __setstate__(self, state: Sequence[Any]) -> None:
        _, shape, kind, columns_first, raw = state
        self._state = raw, kind, shape, "F" if columns_first else "C"

    @classmethod
    def of_buffer(cls, raw: bytes, kind: _Kind, shape: Sequence[int], order: str) -> _Array:
        """As pickles of protocol 5 have it."""
        made = cls()
        made._state = raw, kind, shape, order
        return made

    def tensor(self) -> Tensor:
        """Its numbers, in this machine's order of bytes."""
        if self._state is None:
            raise pickle.UnpicklingError("it holds an array without numbers")
        raw, kind, shape, order = self._state
        array = np.frombuffer(raw, kind.dtype).reshape(shape, order=order)  # type: ignore[call-overload]
        return torch.from_numpy(np.array(array, array.dtype.newbyteorder("="), order="C"))


class _Arrays(pickle.Unpickler):
    """Makes dictionaries of arrays of numbers, and nothing that runs."""

    def find_class(self, module: str, name: str) -> Any:
        made = _MADE.get((module.replace("numpy._core.", "numpy.core."), name))
        if made is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no checkpoint needs")
        return made


def _bytes(text: str, encoding: str) -> bytes:
    """How pickles of protocol 2 write bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it writes bytes as {encoding}")
    return text.encode(encoding)


_MADE: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.numeric", "_frombuffer"): _Array.of_buffer,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Kind,
    ("_codecs", "encode"): _bytes,
    ("collections", "OrderedDict"): OrderedDict,
}
