"""One program at a time writes a project. The lock is the operating system's, so a crash lets go of it.

Where the system knows none (Windows), SQLite's own locks are the only guard.
"""

from __future__ import annotations

import os
from pathlib import Path

from core.errors import ProjectError
from core.lock import held


class ProjectLock:
    """Holds a project folder for this program until `release`.

    Raises:
        ProjectError: another program holds it, or the folder cannot be written.
    """

    def __init__(self, project_dir: Path) -> None:
        path = project_dir / "lock"
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise ProjectError(f"{project_dir}: cannot be written ({error.strerror}); check permissions") from None
        if not held(self._file):
            holder = os.read(self._file, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._file)
            raise ProjectError(
                f"{project_dir}: open in another program (process {holder}); close it there, then try again"
            )
        os.ftruncate(self._file, 0)
        os.write(self._file, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let go."""
        os.close(self._file)
