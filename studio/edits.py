"""The verbs of a restorer, as pure functions: a project and what is said in, a new project and a label out.

One call is one gesture, one transaction and one step of undo.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from core.contract.recipe import Recipe
from core.errors import InputError
from hints.hint import Hint, HintSet
from hints.region import Region
from studio.approval import approved
from studio.project import Project


@dataclass(frozen=True)
class Edit:
    """What a gesture makes of a project, and what it is called in the list of undo."""

    project: Project
    label: str


def add_hint(project: Project, hint: Hint) -> Edit:
    """Say something new.

    Raises:
        HintError: the id is taken, or its region is not there.
    """
    return Edit(_appended(project, project.hints.add_hint(approved(project, hint))), f"add {hint.kind} {hint.id}")


def update_hint(project: Project, hint: Hint) -> Edit:
    """Say something anew in the place of the hint of that id.

    Raises:
        HintError: there is none, or its region is not there.
    """
    hints = project.hints.replace_hint(approved(project, hint))
    return Edit(replace(project, hints=hints), f"change {hint.kind} {hint.id}")


def delete_hint(project: Project, hint_id: str) -> Edit:
    """Take a hint back.

    Raises:
        HintError: there is none of that id.
    """
    kept = project.hints.remove_hint(hint_id)
    places = tuple(p for p, h in zip(project.places, project.hints, strict=True) if h.id != hint_id)
    return Edit(replace(project, hints=kept, places=places), f"delete {hint_id}")


def put_region(project: Project, region: Region) -> Edit:
    """Add a region, or give the one of that id another name, colour or evidence.

    Regions of one name are one thing: a change of colour, or of where it is known from, reaches all of them. A region
    that is added, or only renamed, changes no other.
    """
    hints = project.hints
    old = next((r for r in hints.regions if r.id == region.id), None)
    if old is None:
        return Edit(replace(project, hints=hints.add_region(region)), f"add region {region.name}")
    hints = hints.replace_region(region)
    if (region.colour, region.evidence) != (old.colour, old.evidence):
        for other in hints.regions:
            if other.name == region.name:
                hints = hints.replace_region(replace(other, colour=region.colour, evidence=region.evidence))
    return Edit(replace(project, hints=hints), f"change region {region.name}")


def delete_region(project: Project, region_id: str) -> Edit:
    """Take a region back.

    Raises:
        HintError: there is none of that id, or hints still name it.
    """
    return Edit(replace(project, hints=project.hints.remove_region(region_id)), f"delete region {region_id}")


def take_in(project: Project, given: HintSet, name: str) -> Edit:
    """Take in a whole set: what has a known id takes that one's place, everything else is added.

    Raises:
        HintError: the sets do not go together.
    """
    hints = replace(project.hints, extra={**project.hints.extra, **given.extra})
    old_regions = {r.id for r in hints.regions}
    for region in given.regions:
        hints = hints.replace_region(region) if region.id in old_regions else hints.add_region(region)
    old_hints = {h.id for h in hints}
    for hint in (approved(project, hint) for hint in given):
        hints = hints.replace_hint(hint) if hint.id in old_hints else hints.add_hint(hint)
    return Edit(_appended(project, hints), f"import {len(given)} hints from {name}")


def set_cuts(project: Project, said: Mapping[int, bool]) -> Edit:
    """Say of frames that a shot begins there, or that none does.

    Args:
        project: the state.
        said: frame to whether a shot begins there.

    Raises:
        InputError: a frame is outside the film, or is its first.
    """
    hand = dict(project.hand)
    for frame, on in said.items():
        if not 0 < frame < project.clip.count:
            raise InputError(f"cut at frame {frame}: a cut lies within 1:{project.clip.count} of this film")
        hand.pop(frame, None)
        if (frame in project.detected) != on:
            hand[frame] = on
    words = [f"{'cut' if on else 'join'} at frame {frame}" for frame, on in said.items()]
    return Edit(replace(project, hand=tuple(sorted(hand.items()))), ", ".join(words))


def set_recipe(project: Project, recipe: Recipe) -> Edit:
    """Choose what is done to the film."""
    return Edit(replace(project, recipe=recipe), f"recipe {recipe.name}")


def _appended(project: Project, hints: HintSet) -> Project:
    """The project with a set that begins with its hints and goes on with new ones."""
    first = project.places[-1] + 1 if project.places else 0
    new = len(hints) - len(project.places)
    return replace(project, hints=hints, places=(*project.places, *range(first, first + new)))
