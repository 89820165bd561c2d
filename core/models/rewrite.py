"""Have a stranger's checkpoint read by `core.models.apart`, in a process that can do nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from core.errors import InputError, WeightsError

ROOT = Path(__file__).resolve().parents[2]
APART = "core.models.apart"
# Its exit statuses where it has said in one line why: what the file is, or what this machine lacks.
REFUSED, UNDONE = 2, 3
TIMEOUT = 300  # of reading a file apart, and a second more for each of these  [s]
BYTES_A_SECOND = 5 << 20
AGAIN = "and try again; where that does not help, the file is damaged or hostile"


def rewrite(source: Path, target: Path, digest: str) -> None:
    """Have a file read in a process of its own, which writes what it holds as safetensors.

    Args:
        source: a checkpoint of any kind that is published
        target: where its tensors are written, under their published names
        digest: SHA-256 of the source, to be noted in the target

    Raises:
        InputError: there was no room for what it holds, or neither the memory nor the time to read it, which is no word
            on what it is.
        WeightsError: it is damaged, unsafe or no checkpoint.
    """
    files = str(source.resolve()), str(target.resolve())
    command = [sys.executable, "-P", "-m", APART, *files, digest]
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "LANG") if name in os.environ}
    alone = {**kept, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    seconds = TIMEOUT + source.stat().st_size // BYTES_A_SECOND
    try:
        done = subprocess.run(
            command, env=alone, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"{source}: not read within {seconds} s; let other programs finish {AGAIN}") from None
    said = (done.stderr.strip().splitlines() or [""])[-1]
    if done.returncode in (REFUSED, UNDONE) and said:
        raise (WeightsError if done.returncode == REFUSED else InputError)(said)
    if done.returncode:
        ended = (signal.strsignal(-done.returncode) if done.returncode < 0 else said) or f"status {done.returncode}"
        raise InputError(f"{source}: reading it was ended ({ended}); close other programs {AGAIN}")
