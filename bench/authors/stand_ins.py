"""What the authors' old code asks for at import that no longer exists, or that a picture never needs.

Nothing here takes part in what a network computes, but for one thing, which says so: `deformable`.
"""

from __future__ import annotations

import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from core.models.deform import deform_conv
from core.models.torchvision_shim import ensure_torchvision

# Imported at the top of a file, and why a picture does without.
UNNEEDED = {
    "IPython": "shows pictures in a notebook",
    "fastprogress": "draws the progress of a training",
    "lmdb": "holds pictures to train on",
    "matplotlib": "draws curves of a training",
    "pkg_resources": "asks which fastprogress is installed; setuptools has dropped it",
    "requests": "downloads",
}


class _Kind(type):
    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Nothing


class Nothing(metaclass=_Kind):
    """A class, function or constant that is named, inherited from or called at import, and does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass


class _Empty(ModuleType):
    """A package in which there is whatever is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Nothing


class _Finder(MetaPathFinder, Loader):
    """Asked last: a package that is installed stays what it is."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self, is_package=True) if fullname.partition(".")[0] in UNNEEDED else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = _Empty(spec.name)
        module.__path__ = []
        return module

    def exec_module(self, module: ModuleType) -> None:
        pass


def stand_in(checkout: Path) -> None:
    """Make a checkout importable, and let what it does not need be absent."""
    ensure_torchvision()
    sys.path.insert(0, str(checkout))
    sys.meta_path.append(_Finder())


def bare(package: str, folder: Path) -> None:
    """A package without what its ``__init__`` does, which for BasicSR is to import all of its training."""
    module = ModuleType(package)
    module.__path__ = [str(folder)]
    sys.modules[package] = module


def deformable() -> bool:
    """Put our deformable convolution where torchvision's native one does not load; whether that was needed.

    The two agree but for rounding (`tests/core/models/test_edvr.py`); all the rest of EDVR is then still theirs.
    """
    if ensure_torchvision() == "native":
        return False
    ops = importlib.import_module("torchvision.ops")

    def deform_conv2d(
        x: Any, offset: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, mask: Any
    ) -> Any:
        return deform_conv(x, offset, mask, weight, bias)

    vars(ops)["deform_conv2d"] = deform_conv2d
    return True
