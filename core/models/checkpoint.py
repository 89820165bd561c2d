"""Read the checkpoints that authors publish: safely, checked against the network they are for, norms folded.

A checkpoint is a stranger's file. It is unpickled with `weights_only`, so that it can run nothing, and in a process of
its own, should that ever fail; or it is safetensors, which can run nothing anyway. Names and shapes are compared with
the network's before it takes them; numbers must be finite.

Source: Miyato et al. 2018 (spectral norm), Salimans & Kingma 2016 (weight norm).
"""

from __future__ import annotations

import pickle
import reprlib
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from core.contract.fingerprint import sha256_of
from core.errors import InputError, WeightsError
from core.models import packed, paddle
from core.models.once import Once
from core.models.pickled import would_run
from core.models.pins import pinned
from core.models.rewrite import rewrite

# What torch, pickle and zipfile raise over files that are cut, foreign or hostile.
_UNREADABLE = (
    OSError, RuntimeError, EOFError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError,
    pickle.UnpicklingError, zipfile.BadZipFile, tarfile.TarError, SafetensorError,
)  # fmt: skip
N = TypeVar("N", bound=torch.nn.Module)
Table = Mapping[str, Tensor]
Check = Callable[[Table, str], None]
COUNTER = "num_batches_tracked"  # training's step counter; inference never reads it
# Under what names training programs put the network's table beside their own state. Where a file holds both a moving
# average of the weights and the weights themselves, the average is what its authors run.
WRAPPERS = (
    "params_ema", "params-ema", "params", "model", "state_dict", "model_state_dict", "generator", "net_g", "net",
)  # fmt: skip
# What networks are published in, and what counts and indexes in them; torch can do little with others.
DTYPES = (
    torch.float32, torch.float16, torch.bfloat16, torch.float64,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
)  # fmt: skip
PARALLEL = "module."  # what torch's data-parallel training puts before every name
# A safetensors file's header lists its tensors: a hundred bytes each. The largest here has a thousand.
HEADER_MOST = 4 << 20
ORIGIN = "source_sha256"  # under which it is noted there what it was rewritten from


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read a published checkpoint's tensors as they stand, as of `read_tensors`.

    What is not safetensors is read in a process of its own (`core.models.apart`), which costs a start of torch and,
    until it is read, the file's size in the folder for temporary files.

    Raises:
        InputError: there is no room for temporary files.
        WeightsError: as of `read_tensors`, or it asks for more than a checkpoint of its size needs.
    """
    try:
        safe = is_safetensors(path)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read as a checkpoint ({error.strerror}); fetch it again") from None
    return read_tensors(path) if safe else _read_apart(path)


def _read_apart(path: Path) -> dict[str, Tensor]:
    try:
        # Some systems do not let go of a file whose tensors are views of it.
        with tempfile.TemporaryDirectory(prefix="pochoir-", ignore_cleanup_errors=True) as folder:
            new = Path(folder) / "tensors.safetensors"
            rewrite(path, new, "")
            return read_tensors(new)
    except OSError as error:
        raise InputError(
            f"{path}: no folder for temporary files to read it apart in ({error.strerror or error}); name one by "
            "TMPDIR, or take the file in: models import"
        ) from None


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a published checkpoint's tensors as they stand, in this process.

    One that was saved with its training's state, as ``{"model": …, "opt": …}`` or ``{"params": …}``, gives the
    network's part (see `WRAPPERS`); names that all begin with ``module.`` lose it.

    Args:
        path: a file written by ``torch.save``, of today's kind or the one before torch 1.6; safetensors; or
            PaddleGAN's, whose names become the published ones (`core.models.paddle`)

    Returns:
        Published name to tensor, on the CPU.

    Raises:
        WeightsError: not such a file, or one that holds more than tensors or others than of `DTYPES`, or claims more
            than its size; or its parts are not what they were when it was written.
    """
    try:
        if paddle.is_frozen(path):
            raise WeightsError(f"{path}: is a frozen graph, whose numbers have no names; take the authors' checkpoint")
        if advice := packed.advice(packed.names_in_tar(path)):
            raise WeightsError(f"{path}: {advice}")
        if zipfile.is_zipfile(path):
            _check_packing(path)
            _check_sums(path)
        if is_safetensors(path):
            data = load_file(path)
        elif not _is_pickled(path):
            raise WeightsError(f"{path}: is not a checkpoint: neither safetensors nor what torch or Paddle saves")
        elif paddle.is_pdparams(path):
            data = paddle.read(path)
        else:
            # DeOldify's files hold the learning-rate slice of their training; a slice is a plain value.
            with torch.serialization.safe_globals([slice]):
                data = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise WeightsError(f"{path}: {_why_not(path, error)}") from None
    data = _unwrapped(data)
    if not _is_table(data):
        raise WeightsError(f"{path}: holds no table of tensors{_instead(data)}; it is not a checkpoint of a network")
    for name, tensor in data.items():
        kind = _odd(tensor)
        if kind:
            raise WeightsError(
                f"{path}: '{name}' is {kind}, which no network here is made of; take the plain checkpoint"
            )
        # A tensor of stride 0 claims any size from a few stored bytes; the first sum would make it real.
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise WeightsError(f"{path}: '{name}' claims {tuple(tensor.shape)}, more than the file holds")
    parallel = all(name.startswith(PARALLEL) for name in data)
    return {name.removeprefix(PARALLEL) if parallel else name: tensor for name, tensor in data.items()}


def _is_pickled(path: Path) -> bool:
    """Whether a file begins as torch's or Paddle's do: as a zip archive, or a pickle of protocol 2 or later."""
    with path.open("rb") as file:
        return file.read(4).startswith((b"PK\x03\x04", b"\x80"))


def _why_not(path: Path, error: BaseException) -> str:
    """What is wrong with a file that could not be read, and what to do.

    torch's own words over a file that would run something tell how to let it; they are never passed on.
    """
    if stranger := would_run(path):
        return f"would run {stranger} when read, so it is no plain checkpoint; do not use this file"
    said = str(error).strip()
    reason = said.splitlines()[0].partition(". ")[0] if said else type(error).__name__
    if "weights_only" in said:
        reason = "its pickle is damaged, or holds more than a table of tensors"
    return f"cannot be read as a checkpoint ({reason}); fetch it again"


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do.

    Raises:
        OSError: it cannot be read.
        WeightsError: it does, but its header is longer than the file, or than that of any checkpoint.
    """
    with path.open("rb") as file:
        length, brace = int.from_bytes(file.read(8), "little"), file.read(1)
    if brace != b"{":
        return False
    if length > min(HEADER_MOST, path.stat().st_size - 8):
        raise WeightsError(f"{path}: its header claims {length} bytes, more than a checkpoint has; fetch it again")
    return True


def check_whole(path: Path) -> None:
    """Check that a checkpoint opens and is as long as it says, without looking at its numbers where that is told.

    Raises:
        InputError: as of `read_checkpoint`.
        WeightsError: it is cut short, or no checkpoint.
    """
    try:
        if is_safetensors(path):
            with safe_open(path, "pt"):  # type: ignore[no-untyped-call]
                return
        if zipfile.is_zipfile(path) and not tarfile.is_tarfile(path):  # its directory is at its end
            _check_packing(path)
            return
    except (OSError, SafetensorError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path}: cannot be read as a checkpoint ({error}); fetch it again") from None
    read_checkpoint(path)  # a pickle does not say how long it is, and a zip archive without a directory is cut


def origin_of(path: Path) -> str:
    """SHA-256 of the file that a safetensors file was rewritten from, as it says itself; else empty.

    Raises:
        WeightsError: it cannot be read.
    """
    try:
        if not is_safetensors(path):
            return ""
        with safe_open(path, "pt") as file:  # type: ignore[no-untyped-call]
            return str((file.metadata() or {}).get(ORIGIN, ""))
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: cannot be read as a checkpoint ({error}); fetch it again") from None


def identity_of(path: Path) -> str:
    """What tells a checkpoint's weights from others, for cache keys: the SHA-256 of the file that was published.

    A file that `core.models.admit` rewrote, and that is still as it was pinned, is known by what it was rewritten
    from: both hold the same tensors, and frames made with the one are those of the other. Any other file is known by
    its own bytes, whatever it says of itself.

    Raises:
        InputError: as of `core.models.pins.pinned`.
        WeightsError: it cannot be read.
    """
    try:
        own = sha256_of(path)
        return origin_of(path) or own if pinned(path.parent).get(path.name) == own else own
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}); put the weights there") from error


def _is_table(data: Any) -> bool:
    named = isinstance(data, dict) and bool(data) and all(isinstance(name, str) for name in data)
    return named and all(isinstance(tensor, Tensor) for tensor in data.values())


def _unwrapped(data: Any) -> Any:
    """The innermost table under the names that training programs use; what is none of those, as it is."""
    for _ in WRAPPERS:  # no deeper: a table may have been made to hold itself
        if isinstance(data, dict):
            data = next((data[w] for w in WRAPPERS if isinstance(data.get(w), dict)), data)
    return data


def _instead(data: Any) -> str:
    """What somebody who knows the file may recognise it by: what it holds at its top that is no tensor of a name."""
    if not isinstance(data, dict):
        return f" but {type(data).__name__}"
    others = [f"{reprlib.repr(k)} ({type(v).__name__})" for k, v in data.items() if not _is_table({k: v})]
    return f" but {', '.join(others[:5])}{' …' if len(others) > 5 else ''}" if others else ""


def _odd(tensor: Tensor) -> str:
    """What keeps a tensor from being a plain array of numbers; else empty."""
    if tensor.device.type == "meta":
        return "without numbers (meta)"
    if tensor.layout is not torch.strided or tensor.is_nested:
        return f"sparse or ragged ({str(tensor.layout).removeprefix('torch.')})"
    return "" if tensor.dtype in DTYPES else str(tensor.dtype).removeprefix("torch.")


def _check_packing(path: Path) -> None:
    """Refuse archives of checkpoints, and what would unpack to more than it weighs: torch stores, it never deflates."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    if advice := packed.advice(e.filename for e in entries):
        raise WeightsError(f"{path}: {advice}")
    if any(e.filename.endswith("/constants.pkl") for e in entries):
        raise WeightsError(f"{path}: is a TorchScript program, not a checkpoint; take the authors' checkpoint")
    if any(e.compress_type != zipfile.ZIP_STORED for e in entries) or (
        sum(e.file_size for e in entries) > path.stat().st_size
    ):
        raise WeightsError(f"{path}: is packed as no checkpoint is; fetch it again")


def _check_sums(path: Path) -> None:
    """Compare an archive's parts with their check sums, which torch writes and never looks at again.

    Whoever saved it may have had none written (`torch.serialization.set_crc32_options`): all are 0 then.
    """
    with zipfile.ZipFile(path) as archive:
        if any(e.CRC for e in archive.infolist()) and archive.testzip() is not None:
            raise WeightsError(f"{path}: its parts do not match their check sums; fetch it again")


def fold_norms(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn spectral norm and weight norm into the plain weights they stand for.

    Spectral norm (``weight_orig``, ``weight_u``, ``weight_v``): the weight divided by u . (W v), with the
    stored u and v. Weight norm (``weight_g``, ``weight_v``): g v / |v|, per output channel. All are folded
    as float32: the arithmetic of halves would lose as much again as storing them did.

    Args:
        published: name to tensor; left as it is

    Returns:
        Name to tensor, with ``weight`` in place of those, without training's step counters.

    Raises:
        WeightsError: a part of a norm is missing, or sigma or |v| is zero.

    Source: Miyato et al. 2018, algorithm 1; Salimans & Kingma 2016, equation 2.
    """
    plain: dict[str, Tensor] = {}
    for name, tensor in published.items():
        stem, _, leaf = name.rpartition(".")
        if leaf == "weight_orig":
            u, v = _part(published, stem, "weight_u"), _part(published, stem, "weight_v")
            weight = tensor.to(torch.float32)
            _check_vectors(stem, weight, u, v)
            sigma = torch.dot(u, torch.mv(weight.flatten(1), v))
            plain[f"{stem}.weight"] = weight / _not_zero(sigma, stem)
        elif leaf == "weight_g":
            v = _part(published, stem, "weight_v")
            length = torch.linalg.vector_norm(v.flatten(1), dim=1).reshape(-1, *[1] * (v.ndim - 1))
            _not_zero(length, stem)
            # By the function that the authors' programs call, for another order of sums is another last bit.
            plain[f"{stem}.weight"] = torch._weight_norm(v, tensor.to(torch.float32).reshape(length.shape), 0)
        elif leaf not in ("weight_u", "weight_v", COUNTER):
            plain[name] = tensor
    return plain


def _part(published: Mapping[str, Tensor], stem: str, leaf: str) -> Tensor:
    try:
        return published[f"{stem}.{leaf}"].to(torch.float32)
    except KeyError:
        raise WeightsError(f"checkpoint: '{stem}.{leaf}' is missing beside its norm's other parts") from None


def _check_vectors(stem: str, weight: Tensor, u: Tensor, v: Tensor) -> None:
    if weight.ndim < 2 or u.shape != weight.shape[:1] or v.numel() != weight[0].numel() or v.ndim != 1:
        raise WeightsError(
            f"checkpoint: '{stem}.weight_orig' is {tuple(weight.shape)}, but its "
            f"u is {tuple(u.shape)} and its v {tuple(v.shape)}; the file is damaged"
        )


def _not_zero(value: Tensor, stem: str) -> Tensor:
    if not bool((value != 0).all()):
        raise WeightsError(f"checkpoint: the norm of '{stem}' is zero; the file is damaged")
    return value


def check_fits(weights: Mapping[str, Tensor], network: torch.nn.Module, *, where: str) -> None:
    """Check weights against the network they are for, by name, shape and kind; no number is looked at.

    Args:
        weights: plain name to tensor
        network: whose parameters and buffers they shall be; may live on the meta device
        where: what to name in a message, e.g. the checkpoint's path

    Raises:
        WeightsError: something is missing, too much, or of another shape.
    """
    wanted = network.state_dict()
    for name in sorted({n for n in wanted if not _counts(n)} ^ weights.keys()):
        fault = "is missing" if name in wanted else "is not of this network"
        raise WeightsError(f"{where}: '{name}' {fault}; is it the right file for this model?")
    for name, tensor in weights.items():
        shape = tuple(wanted[name].shape)
        if tuple(tensor.shape) != shape or not tensor.is_floating_point():
            raise WeightsError(
                f"{where}: '{name}' is {tuple(tensor.shape)} {tensor.dtype}, the network has {shape} float32"
            )


def check_finite(weights: Mapping[str, Tensor], *, where: str) -> None:
    """Check that every number is one.

    Raises:
        WeightsError: one is not.
    """
    for name, tensor in weights.items():
        if not bool(torch.isfinite(tensor).all()):
            raise WeightsError(f"{where}: '{name}' holds numbers that are not finite; the file is damaged")


def fit(weights: Mapping[str, Tensor], network: torch.nn.Module, *, where: str) -> dict[str, Tensor]:
    """Weights as the network they are for takes them.

    Args:
        weights: plain name to tensor
        network: as of `check_fits`
        where: what to name in a message, e.g. the checkpoint's path

    Returns:
        Exactly what the network asks for, as contiguous float32, its step counters at 0.

    Raises:
        WeightsError: as of `check_fits` and `check_finite`.
    """
    check_fits(weights, network, where=where)
    check_finite(weights, where=where)
    fitted = {name: torch.zeros((), dtype=torch.long) for name in network.state_dict() if _counts(name)}
    return fitted | {name: tensor.to(torch.float32).contiguous() for name, tensor in weights.items()}


def _counts(name: str) -> bool:
    return name.rpartition(".")[2] == COUNTER


def empty(make: Callable[[], N]) -> N:
    """A network without memory for its weights, which a checkpoint's tensors then become."""
    with torch.device("meta"):
        return make()


def check_for(make: Callable[[], torch.nn.Module], names: Callable[[Table], Table] = dict) -> Check:
    """What tells whether a checkpoint is a network's, for `core.contract.plugins.Plugins.checks`.

    Args:
        make: makes the network
        names: brings a table to the network's names, where checkpoints have others or more

    Returns:
        A function of a table whose norms are folded and of what to call it in messages, which raises a
        `WeightsError` as `check_fits` does.
    """
    network = Once(lambda: empty(make))
    return lambda table, where: check_fits(names(table), network(), where=where)


def read_network(make: Callable[[], N], path: Path, names: Callable[[Table], Table] = dict) -> N:
    """A network with the weights of a published checkpoint.

    Args:
        make: makes it; its own weights take no memory
        path: as of `read_checkpoint`
        names: as of `check_for`

    Raises:
        WeightsError: as `read_checkpoint` and `load_into`.
    """
    network = empty(make)
    load_into(network, names(read_checkpoint(path)), where=str(path))
    return network


def load_into(network: torch.nn.Module, published: Mapping[str, Tensor], *, where: str) -> None:
    """Give a network (on the meta device or not) the weights of a published checkpoint.

    Raises:
        WeightsError: as `fold_norms` and `fit`.
    """
    fitted: dict[str, Any] = fit(fold_norms(published), network, where=where)
    network.load_state_dict(fitted, strict=True, assign=True)
    network.requires_grad_(False)
