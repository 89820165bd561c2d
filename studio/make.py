"""Making a project: the film is read and measured first, the folder appears only when all is there."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from core.contract.plugins import Plugins
from core.contract.progress import CancelToken, Report
from core.contract.recipe import Recipe
from core.decode import open_source
from core.errors import ProjectError
from studio.examine import analysed, shot_starts
from studio.history import difference
from studio.project import Project, clip_to_json
from studio.recipes import recipe_of
from studio.rendering import user_cache
from studio.source import source_facts
from studio.store import DATABASE, Store


def make_project(
    folder: Path,
    source: Path | str,
    rate: str | None,
    recipe: str | Recipe,
    plugins: Plugins,
    report: Report,
    token: CancelToken | None,
) -> None:
    """Make a project folder of a film.

    Raises:
        InputError: the film, the recipe or the folder is not usable.
        Cancelled: the token was set; nothing is left behind.
    """
    check_new(folder)
    chosen = recipe_of(recipe) if isinstance(recipe, str) else recipe
    if chosen is not None:
        chosen.checked(plugins.stages)  # a wrong recipe is refused before the film is read
    film = open_source(source, rate=rate)
    try:
        cache = user_cache()
        known: dict[str, Any] = {}
        if chosen is None:
            known["analysis"], chosen = analysed(film, cache, report, token)
        cuts = shot_starts(film, cache, report, token)
        project = Project(film.clip, cuts, chosen.checked(plugins.stages))
        facts = {
            "source": {**source_facts(film.clip.path, folder), "rate": rate},
            "clip": clip_to_json(film.clip),
            "cuts": cuts,
            **known,
        }
    finally:
        film.close()
    _write(folder, project, facts)


def check_new(folder: Path) -> None:
    """Refuse a folder that is something already.

    Raises:
        ProjectError: it is a project, a file, or not empty; or its parent is not there or not writable.
    """
    if (folder / DATABASE).exists():
        raise ProjectError(f"{folder}: a project already; open it, or choose another folder")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ProjectError(f"{folder}: exists and is not an empty folder; choose another")
    parent = folder.absolute().parent
    if not parent.is_dir():
        raise ProjectError(f"{folder}: there is no folder {parent}; make it first")
    if not os.access(parent, os.W_OK):
        raise ProjectError(f"{folder}: {parent} cannot be written; choose another place")


def _write(folder: Path, project: Project, facts: dict[str, Any]) -> None:
    """Build the folder beside its place and rename it, so that a half project never exists."""
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.absolute().parent))
    try:
        store = Store.create(part / DATABASE)
        store.set_facts(**facts)
        objects, blobs = project.objects()
        store.append("made", "make the project", difference({}, objects), blobs=blobs)
        store.close()
        (part / "deliver").mkdir()
        part.chmod(0o755)
        with contextlib.suppress(FileNotFoundError):
            folder.rmdir()
        part.rename(folder)
    except OSError as error:
        raise ProjectError(f"{folder}: cannot be made ({error.strerror}); check space and permissions") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
