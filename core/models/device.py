"""Where networks run: chosen once, at the door, by name; nothing in the house names a device of its own accord.

And what float32 means there: on a GPU torch by itself rounds what convolutions are given to TF32, ten bits, whose
pictures are not those of a processor. Here float32 is float32; what shall be faster runs at half precision, and its
fingerprint says so (`core.models.ways`).
"""

from __future__ import annotations

import torch

from core.errors import InputError

NAMES = ("auto", "cpu", "cuda", "mps")


def pick_device(name: str | None) -> torch.device:
    """Turn a device's name into a device that is really there.

    Args:
        name: ``auto`` (or None): CUDA, else Apple's MPS, else the CPU; or ``cpu``, ``cuda``, ``cuda:N``, ``mps``

    Returns:
        The device.

    Raises:
        InputError: the name is unknown, or this machine has no such device.
    """
    name = (name or "auto").lower()
    if name == "auto":
        if torch.cuda.is_available():
            return _exact(torch.device("cuda"))
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, _, number = name.partition(":")
    if kind not in NAMES[1:] or (number and not (kind == "cuda" and number.isdigit())):
        raise InputError(f"device {name!r}: expected one of {', '.join(NAMES)} or cuda:N")
    if kind == "cuda" and int(number or 0) >= (torch.cuda.device_count() if torch.cuda.is_available() else 0):
        raise InputError(f"device {name!r}: this machine has no such CUDA device; use auto or cpu")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise InputError("device 'mps': this machine has none; use auto or cpu")
    return _exact(torch.device(name))


def _exact(device: torch.device) -> torch.device:
    """The device, its float32 not rounded to TF32 in any network of this process."""
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
    return device


def set_threads(count: int | None = None) -> int:
    """Set how many threads one network call uses on the CPU; None leaves the library's own choice.

    Returns:
        The number now in force.

    Raises:
        InputError: fewer than one.
    """
    if count is not None:
        if count < 1:
            raise InputError(f"threads {count}: expected 1 or more")
        torch.set_num_threads(count)
    return torch.get_num_threads()


def taken_mb(device: torch.device) -> dict[str, float]:
    """Most memory that tensors have taken on a device of its own  [``device_mb``]; nothing for the CPU."""
    return {"device_mb": torch.cuda.max_memory_allocated(device) / 1e6} if device.type == "cuda" else {}
