"""What a lock's approval hangs on beside hints: how the film is repaired and coloured, and where its shot lies.

A lock freezes hints; the recipe and the cuts stay free. So it remembers under which of them it was set, and a project
tells of locks that no longer show what was approved.
"""

from __future__ import annotations

from dataclasses import replace

from core.contract.fingerprint import fingerprint
from core.film.shot import shot_of
from hints.hint import Hint
from studio.project import Project
from studio.rendering import COLOURISE

# The lock's key in `hints.json` and among its `extra`.
APPROVED = "approved"


def approved_under(project: Project, frame: int) -> str:
    """Key of all that colours a frame beside hints: the recipe's steps up to the colouring, and the frame's shot."""
    steps = []
    for step in project.recipe.active:
        steps.append((step.name, dict(step.params)))
        if step.name == COLOURISE:
            break
    return fingerprint("approved under", steps, shot_of(project.shots, frame).range)


def approved(project: Project, hint: Hint) -> Hint:
    """A hint as it is set now: a lock that does not say yet under what it was approved says so."""
    if hint.kind != "lock" or APPROVED in hint.extra:
        return hint
    return replace(hint, extra={**hint.extra, APPROVED: approved_under(project, hint.frame)})


def outdated_locks(project: Project) -> list[str]:
    """Ids of locks under which the recipe or a cut has changed: they show another picture than was approved."""
    said = [hint for hint in project.hints if hint.kind == "lock" and APPROVED in hint.extra]
    return [hint.id for hint in said if hint.extra[APPROVED] != approved_under(project, hint.frame)]
