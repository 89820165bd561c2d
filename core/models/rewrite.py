"""Have a stranger's checkpoint read by `core.models.apart`, in a process that can do nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from core.errors import WeightsError

ROOT = Path(__file__).resolve().parents[2]
APART = "core.models.apart"
REFUSED = 2  # its exit status where it has said in one line why
TIMEOUT = 300  # of reading a file apart, and a second more for each of these  [s]
BYTES_A_SECOND = 5 << 20


def rewrite(source: Path, target: Path, digest: str) -> None:
    """Have a file read in a process of its own, which writes what it holds as safetensors.

    Args:
        source: a checkpoint of any kind that is published
        target: where its tensors are written, under their published names
        digest: SHA-256 of the source, to be noted in the target

    Raises:
        WeightsError: it cannot be read, or not within what a checkpoint of its size needs.
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
        raise WeightsError(f"{source}: not read within {seconds} s; it is damaged or hostile") from None
    if done.returncode == REFUSED and done.stderr.strip():
        raise WeightsError(done.stderr.strip().splitlines()[-1])
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
        raise WeightsError(f"{source}: cannot be read within what a checkpoint of its size needs ({said[0]})")
