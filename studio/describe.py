"""A project and its film as plain JSON values, for `project show` and for the browser."""

from __future__ import annotations

import json
from typing import Any

from core.film.clip import Clip
from hints.interchange import encode
from studio.approval import outdated_locks
from studio.project import Project


def describe_project(project: Project) -> dict[str, Any]:
    """Film, recipe, regions and hints; masks and stills by the names they would have in a file; locks out of date."""
    said, _ = encode(project.hints)
    return {
        "clip": describe_clip(project.clip),
        "recipe": json.loads(project.recipe.to_json()),
        "regions": said["regions"],
        "hints": said["hints"],
        "outdated_locks": outdated_locks(project),
    }


def describe_clip(clip: Clip) -> dict[str, Any]:
    """A film's facts."""
    return {
        "path": clip.path,
        "kind": clip.kind,
        "sha256": clip.sha256,
        "width": clip.width,
        "height": clip.height,
        "count": clip.count,
        "rate": str(clip.rate),
        "seconds": float(clip.seconds),
        "constant_rate": clip.constant_rate,
        "bit_depth": clip.bit_depth,
        "grey": clip.grey,
        "container": clip.container,
        "codec": clip.codec,
        "pixel_format": clip.pixel_format,
        "sound": [f"{track.codec} {track.rate} Hz, {track.channels} channels" for track in clip.audio],
    }
