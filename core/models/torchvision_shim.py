"""Let ``import torchvision`` work beside a torch of another build.

The torchvision that package indexes carry is built for torch with CUDA. Beside a CPU torch its native library
cannot load, and then its import fails, because it describes two operators that nobody has defined. Whoever
imports torchvision calls `ensure_torchvision` first: it defines the two, with one plain kernel. `library` does so for
packages that stand on torchvision (segment-anything, transformers). What else is native there stays missing (decoding
of pictures, deformable convolution).
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from core.errors import ModelMissingError

Answer = Literal["native", "shimmed", "absent"]
_lock = threading.Lock()
_defined: list[torch.library.Library] = []  # torch forgets operators whose library is let go


def ensure_torchvision() -> Answer:
    """Make torchvision importable, if it is installed at all; calling it again changes nothing.

    Returns:
        ``native``: it works by itself. ``shimmed``: it works with our kernel. ``absent``: not installed.
    """
    with _lock:
        if _defined:
            return "shimmed"
        if "torchvision" in sys.modules:
            return "native"
        spec = importlib.util.find_spec("torchvision")
        if spec is None or spec.origin is None:
            return "absent"
        if _native_loads(Path(spec.origin).parent):
            return "native"
        _define()
        return "shimmed"


def library(name: str, model: str) -> Any:
    """Somebody else's code of a model, which stands on torchvision and may not be installed.

    Args:
        name: of the module
        model: what it is needed for, in a message

    Raises:
        ModelMissingError: it, or torchvision, is not installed.
    """
    if ensure_torchvision() == "absent":
        raise ModelMissingError(f"{model} needs torchvision; install it beside torch")
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ModelMissingError(f"{model} needs the {name} library; install what requirements.txt names") from None


def _native_loads(folder: Path) -> bool:
    library = next((p for p in sorted(folder.glob("_C.*")) if p.suffix in (".so", ".pyd")), None)
    if library is None:
        return False
    try:
        torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
    except OSError:
        return False
    return True


def _define() -> None:
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        schema = f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        library.define(schema)  # type: ignore[no-untyped-call]
        library.impl(name, nms, "CPU")  # type: ignore[no-untyped-call]
    _defined.append(library)
    import torchvision.ops

    # Its own function refuses to ask for the operator while the native library is missing.
    torchvision.ops.nms = torchvision.ops.boxes.nms = nms


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Keep the best of each heap of overlapping boxes.

    Args:
        boxes: left, top, right, bottom  [(N, 4) px]
        scores: of each                  [(N,)]
        iou_threshold: boxes that overlap a better one by more than this are dropped  [0, 1]

    Returns:
        Numbers of the boxes kept, best first  [(K,) int64]

    Source: greedy non-maximum suppression as torchvision defines it.
    """
    boxes = boxes.float()
    left, top, right, bottom = boxes.unbind(1)
    area = (right - left) * (bottom - top)
    order = scores.argsort(descending=True, stable=True)
    kept: list[int] = []
    while order.numel():
        best, order = int(order[0]), order[1:]
        kept.append(best)
        width = (right[order].clamp(max=boxes[best, 2]) - left[order].clamp(min=boxes[best, 0])).clamp(min=0)
        height = (bottom[order].clamp(max=boxes[best, 3]) - top[order].clamp(min=boxes[best, 1])).clamp(min=0)
        overlap = width * height
        order = order[overlap / (area[order] + area[best] - overlap) <= iou_threshold]
    return torch.tensor(kept, dtype=torch.int64, device=boxes.device)
