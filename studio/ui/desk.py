"""The desk: which project lies open, which one is being opened, and which lay here lately.

One server has one project open at a time; all its tabs see the same `Session`. Making a project reads
and measures the whole film, so it runs beside the requests and its progress is asked for like any other.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.contract.progress import Progress
from core.errors import InputError, PochoirError, ProjectError
from studio.ui.view import View

log = logging.getLogger(__name__)
RECENT = 12
SUFFIX = ".pochoir"


class Desk:
    """Holds the open session.

    Args:
        sessions: what has `create` and `open`: the class `studio.session.Session`, or a test's stand-in.
        plugins: what they are given.
        session: one that is open already, or None.
        recent_file: where the list of recent projects is kept; None keeps none.
    """

    def __init__(self, sessions: Any, plugins: Any, *, session: Any = None, recent_file: Path | None = None) -> None:
        self._sessions = sessions
        self.plugins = plugins
        self._session: Any = None
        self._view = View(None)
        self._recent_file = recent_file
        self._lock = threading.Lock()
        self._opening: dict[str, Any] | None = None
        self._error = ""
        self.serial = 1
        if session is not None:
            self.put(session)

    def put(self, session: Any) -> None:
        """Lay an open session on the desk; the one that lay there is closed."""
        # Remembered first: a tab asks for the recent projects once, as soon as it sees the new one.
        self._remember(session)
        with self._lock:
            before, self._session = self._session, session
            self.serial += 1
        if before is not None:
            before.close()

    @property
    def session(self) -> Any:
        """The open session.

        Raises:
            ProjectError: none is open.
        """
        if self._session is None:
            raise ProjectError("no project is open")
        return self._session

    @property
    def view(self) -> View:
        """The open session as the browser sees it.

        Raises:
            ProjectError: none is open.
        """
        if self._view.session is not self.session:
            self._view = View(self.session)
        return self._view

    @property
    def is_open(self) -> bool:
        """Whether a project lies open."""
        return self._session is not None

    def status(self) -> dict[str, Any]:
        """What the project picker shows: progress of opening and the last fault."""
        return {"opening": self._opening, "error": self._error, "serial": self.serial}

    def create(self, source: str, folder: str, rate: str, recipe: str) -> None:
        """Begin to make a project; `status` tells how it goes.

        Raises:
            InputError: the source is missing, or another project is being opened.
        """
        film = Path(source).expanduser()
        if not source.strip():
            raise InputError("give the path of a film: a video file, a folder of frames, or a %06d pattern")
        if "%" not in film.name and not film.exists():
            raise InputError(f"{film}: there is no such file or folder")
        place = Path(folder).expanduser() if folder.strip() else default_folder(film)
        if place.suffix != SUFFIX:
            place = place.with_name(place.name + SUFFIX)
        self._begin(
            place.name,
            lambda: self._sessions.create(
                place, film, rate=rate or None, recipe=recipe, plugins=self.plugins, report=self._report
            ),
        )

    def open(self, folder: str) -> None:
        """Begin to open a project folder.

        Raises:
            InputError: there is none, or another project is being opened.
        """
        place = Path(folder).expanduser()
        if not folder.strip() or not place.is_dir():
            raise InputError(f"{folder or 'path'}: there is no such project folder")
        if self.is_open and Path(self.session.dir).resolve() == place.resolve():
            self._error = ""
            return
        self._begin(place.name, lambda: self._sessions.open(place, self.plugins))

    def close(self) -> None:
        """Put the open project away."""
        with self._lock:
            session, self._session = self._session, None
            self.serial += 1
        if session is not None:
            session.close()

    def _begin(self, name: str, make: Callable[[], Any]) -> None:
        with self._lock:
            if self._opening is not None:
                raise InputError(f"{self._opening['name']} is being opened; wait for it")
            self._opening = {"name": name, "stage": "reading the film", "done": 0, "total": 0}
            self._error = ""
        threading.Thread(target=self._finish, args=(make,), name="open-project", daemon=True).start()

    def _finish(self, make: Callable[[], Any]) -> None:
        session, error = None, ""
        try:
            session = make()
        except PochoirError as fault:
            error = str(fault)
        except Exception:
            log.exception("opening a project failed")
            error = "opening failed for a reason nobody foresaw; the server's log has it"
        if session is not None:
            self.put(session)
        with self._lock:
            self._error, self._opening = error, None

    def _report(self, progress: Progress) -> None:
        opening = self._opening
        if opening is not None:
            self._opening = {
                **opening,
                "stage": progress.stage,
                "done": progress.done,
                "total": progress.total,
            }

    def recent(self) -> list[dict[str, str]]:
        """Projects opened lately, newest first, those that still exist."""
        if self._recent_file is None:
            return []
        try:
            rows = json.loads(self._recent_file.read_text("utf-8"))
            paths = [Path(str(row)) for row in rows]
        except (OSError, ValueError, TypeError):
            return []
        return [{"path": str(p), "name": p.name.removesuffix(SUFFIX)} for p in paths if p.is_dir()]

    def _remember(self, session: Any) -> None:
        path = getattr(session, "dir", None)
        if self._recent_file is None or path is None:
            return
        paths = [str(Path(path).resolve()), *(row["path"] for row in self.recent())]
        part = self._recent_file.with_suffix(".part")
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(list(dict.fromkeys(paths))[:RECENT]), "utf-8")
            part.replace(self._recent_file)
        except OSError as error:
            log.warning("the list of recent projects cannot be written: %s", error)


def default_folder(film: Path) -> Path:
    """Where a film's project goes unless told otherwise: beside the film."""
    stem = film.parent if "%" in film.name else film
    name = stem.stem if stem.suffix and not stem.is_dir() else stem.name
    return stem.parent / f"{name}{SUFFIX}"


def completions(prefix: str, limit: int = 40) -> list[str]:
    """Paths that begin with ``prefix``, folders with a slash at the end, for the path fields."""
    if not prefix:
        return [str(Path.home()) + "/"]
    path = Path(prefix).expanduser()
    folder, start = (path, "") if prefix.endswith("/") else (path.parent, path.name)
    try:
        entries = sorted(p for p in folder.iterdir() if p.name.startswith(start))
    except OSError:
        return []
    shown = [p for p in entries if start.startswith(".") or not p.name.startswith(".")]
    return [f"{p}/" if p.is_dir() else str(p) for p in shown[:limit]]
