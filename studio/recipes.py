"""The recipes that have a name. ``auto`` is not among them: it is what the analysis of a film recommends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.contract.recipe import Recipe, StageSpec
from core.errors import InputError

AUTO = "auto"
_ARCHIVE = (StageSpec("deflicker"), StageSpec("dedust"), StageSpec("colourise"))
# As wide as it comes out at 1080 lines: the shape of the picture is kept.
_DOCUMENTARY = (*_ARCHIVE, StageSpec("upscale", {"size": "9999x1080"}))

NAMED: dict[str, Recipe] = {
    "colour": Recipe((StageSpec("colourise"),), "colour"),
    "archive": Recipe(_ARCHIVE, "archive"),
    "documentary": Recipe(_DOCUMENTARY, "documentary"),
    "web60": Recipe((*_DOCUMENTARY, StageSpec("interpolate", {"rate": "60"})), "web60"),
}


def recipe_of(text: str) -> Recipe | None:
    """The recipe of a name or of a file; None for ``auto``.

    Raises:
        InputError: neither a name nor a readable recipe file.
    """
    if text == AUTO:
        return None
    if text in NAMED:
        return NAMED[text]
    path = Path(text)
    if not path.is_file():
        raise InputError(f"recipe '{text}': neither a file nor one of {AUTO}, {', '.join(NAMED)}")
    try:
        return Recipe.from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"recipe {path}: cannot be read ({error})") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def with_options(
    recipe: Recipe,
    *,
    order: Sequence[str] | None = None,
    size: str | None = None,
    fps: str | None = None,
    colouriser: str | None = None,
) -> Recipe:
    """The recipe as the command line's options change it.

    Args:
        recipe: to begin with.
        order: enhancing steps in PaddleGAN's words.
        size: ``WxH`` of the result.
        fps: frame rate of the result.
        colouriser: who colours.

    Raises:
        InputError: a word is unknown, or a colouriser is named for a film that is not coloured.
    """
    if order is not None:
        recipe = recipe.in_order(order)
    if size is not None:
        recipe = recipe.with_step("upscale", size=size)
    if fps is not None:
        recipe = recipe.with_step("interpolate", rate=fps)
    if colouriser is not None:
        if all(step.name != "colourise" for step in recipe.active):
            raise InputError(f"colouriser '{colouriser}': recipe '{recipe.name}' does not colour the film")
        recipe = recipe.with_step("colourise", colouriser=colouriser)
    return recipe
