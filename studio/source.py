"""Finding a project's film again: beside the project or at its old place, and whether it is the same film."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.contract.sources import FrameSource
from core.decode import open_source
from core.errors import DecodeError, ProjectError
from core.film.clip import Clip
from core.film.frame import Frame
from core.film.timebase import FrameRange


def source_facts(path: Path | str, project_dir: Path) -> dict[str, Any]:
    """Where a film lies, from the root and from the project, so that both may be moved together."""
    place = Path(path).absolute()
    return {"path": str(place), "relative": os.path.relpath(place, project_dir.absolute())}


def open_film(facts: Mapping[str, Any], clip: Clip, project_dir: Path) -> FrameSource:
    """Open a project's film.

    Args:
        facts: as `source_facts` gives them, and ``rate`` where one was given.
        clip: what the film was when the project was made.
        project_dir: the project's folder.

    Raises:
        ProjectError: the film is not there, or is another film.
        DecodeError: it cannot be read.
    """
    near = Path(os.path.normpath(project_dir.absolute() / facts["relative"]))
    for path in dict.fromkeys([near, Path(facts["path"])]):
        if _exists(path):
            return _checked(open_source(path, rate=facts.get("rate")), clip)
    raise ProjectError(
        f"{project_dir}: its film is no longer at {facts['path']}; bring it back, or say where it is:"
        " project relink DIR SOURCE"
    )


def _exists(path: Path) -> bool:
    """Whether there may be a film at a path; a ``%06d`` pattern is there where its folder is."""
    return path.parent.is_dir() if "%" in path.name else path.exists()


def _checked(source: FrameSource, clip: Clip) -> FrameSource:
    if source.clip.sha256 == clip.sha256 and source.clip.count == clip.count:
        return source
    path = source.clip.path
    source.close()
    raise ProjectError(
        f"{path}: not the film this project was made of (its content differs); give the original, or make a"
        " new project and import the hints"
    )


class Reading:
    """One reader's share of an open film; `close` ends what it reads ahead and leaves the film open for others."""

    def __init__(self, source: FrameSource) -> None:
        self.clip = source.clip
        self._source = source
        self._open: list[Iterator[Frame]] = []

    def frame(self, n: int) -> Frame:
        """Frame ``n``.

        Raises:
            DecodeError: outside the film, or damaged.
        """
        return self._source.frame(n)

    def frames(self, span: FrameRange) -> Iterator[Frame]:
        """Frames of a range in order; what was being read before is let go."""
        self.close()
        reader = self._source.frames(span)
        self._open.append(reader)
        return reader

    def close(self) -> None:
        """End what is being read ahead."""
        while self._open:
            reader = self._open.pop()
            close = getattr(reader, "close", None)
            if close is not None:
                close()


class FactsOnly:
    """A film's facts in place of the film, for planning: keys need no pixels."""

    def __init__(self, clip: Clip) -> None:
        self.clip = clip

    def frame(self, n: int) -> Frame:
        """Refuse.

        Raises:
            DecodeError: always.
        """
        raise DecodeError(f"frame {n}: only the film's facts are open")

    def frames(self, span: FrameRange) -> Iterator[Frame]:
        """Refuse.

        Raises:
            DecodeError: always.
        """
        raise DecodeError(f"frames {span.start}:{span.stop}: only the film's facts are open")

    def close(self) -> None:
        """Nothing is open."""
