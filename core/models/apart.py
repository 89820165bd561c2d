"""Read a stranger's checkpoint in a process of its own, and write its tensors as safetensors.

``python -m core.models.apart SOURCE TARGET DIGEST``. Nothing in a checkpoint can run (`core.models.checkpoint`); should
that ever fail, this process may open no connection, start no program and write no other file, and it has only as
much memory and time as a checkpoint of that size needs. Status 0: written; 2: refused for what it is; 3: not done for
what this machine lacks. One line on stderr says why.

Where the operating system knows no such limits (Windows; memory on macOS) the others still hold.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from core.errors import InputError, WeightsError
from core.models.checkpoint import ORIGIN, read_tensors
from core.models.rewrite import AGAIN, REFUSED, UNDONE

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

# The file's own bytes, its tensors, their bytes in a row, and room for what one tensor needs on the way.
COPIES, ROOM = 4, 512 << 20  # [bytes]
SECONDS, BYTES_A_SECOND = 60, 20 << 20  # of processor time; a hundredth of what reading takes
# Beginnings of Python's audit events: what reading a file needs none of.
_FORBIDDEN = (
    "socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.startfile",
    "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
    "os.kill", "os.putenv", "os.unsetenv", "shutil.", "urllib.", "http.", "ftplib.", "smtplib.", "webbrowser.", "pty.",
)  # fmt: skip


def limit(size: int) -> None:
    """Take no more memory, processor time or disk than a checkpoint needs.

    Args:
        size: of the checkpoint  [bytes]
    """
    if resource is None:
        return
    held = 0
    if Path("/proc/self/statm").is_file():  # what Python and torch have reserved already
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    most = {
        resource.RLIMIT_AS: held + COPIES * size + ROOM,
        resource.RLIMIT_CPU: SECONDS + size // BYTES_A_SECOND,
        resource.RLIMIT_FSIZE: 2 * size + ROOM // 8,
        resource.RLIMIT_CORE: 0,
    }
    for what, value in most.items():
        _, hard = resource.getrlimit(what)
        resource.setrlimit(what, (value, value) if hard == resource.RLIM_INFINITY else (min(value, hard), hard))


def confine() -> None:
    """From here on this process only reads; what breaks that raises `PermissionError`. It cannot be undone."""
    sys.dont_write_bytecode = True

    def guard(event: str, args: tuple[Any, ...]) -> None:
        writes = event == "open" and len(args) > 2 and isinstance(args[2], int) and bool(args[2] & _WRITING)
        if writes or event.startswith(_FORBIDDEN):
            raise PermissionError(f"it tried {event}")

    sys.addaudithook(guard)


_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def main(source: Path, target: Path, digest: str) -> int:
    """Rewrite one file.

    Args:
        source: a checkpoint of any kind that `core.models.checkpoint.read_tensors` knows
        target: where its tensors are written, under their published names
        digest: SHA-256 of the source, to be noted in the target

    Returns:
        The exit status.
    """
    limit(source.stat().st_size)
    confine()
    try:
        _write(_of_their_own(read_tensors(source)), source, target, digest)
    except (InputError, MemoryError, RuntimeError) as error:
        if _lacks_memory(error) or _lacks_memory(error.__context__):
            error = InputError(f"{source}: there is not the memory to read it; close other programs {AGAIN}")
        elif not isinstance(error, InputError):
            raise
        sys.stderr.write(f"{error}\n")
        return REFUSED if isinstance(error, WeightsError) else UNDONE
    return 0


def _of_their_own(read: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors may be views of one another; in safetensors each has bytes of its own."""
    table: dict[str, Tensor] = {}
    taken: set[int] = set()
    for key, tensor in read.items():
        bytes_of = tensor.untyped_storage()
        alone = bytes_of.nbytes() == tensor.nbytes and tensor.is_contiguous() and bytes_of.data_ptr() not in taken
        taken.add(bytes_of.data_ptr())
        table[key] = tensor.detach() if alone else tensor.detach().clone(memory_format=torch.contiguous_format)
    return table


def _write(table: dict[str, Tensor], source: Path, target: Path, digest: str) -> None:
    """Write the tensors of one file.

    Raises:
        InputError: the disk does not take them.
    """
    try:
        # The library writes past Python, so that `confine` does not see it. It writes several notes in any order; with
        # one the same checkpoint gives the same bytes everywhere.
        save_file(table, target, {ORIGIN: digest})
    except (OSError, SafetensorError) as error:
        reason = str(error).rpartition("I/O error: ")[2]
        needs = f"{source}: needs {sum(t.nbytes for t in table.values()) / 1e6:.0f} MB in {target.parent}"
        number = re.search(r"os error (\d+)", reason)
        if number and int(number[1]) in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(f"{needs}, where there is no room; make room and try again") from error
        raise InputError(f"{needs}, which cannot be written ({reason}); check the folder") from error


def _lacks_memory(error: BaseException | None) -> bool:
    """Whether memory ran out; torch says so in words of its own."""
    return isinstance(error, MemoryError) or "allocate memory" in str(error) or "not enough memory" in str(error)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
