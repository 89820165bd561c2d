"""The recipes that have a name. ``auto`` is not among them: it is what the analysis of a film recommends."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.contract.recipe import PADDLEGAN, Recipe, StageSpec, plain
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


@dataclass(frozen=True)
class Named:
    """What one of PaddleGAN's words means beyond its step.

    Attributes:
        choice: the step's parameter that says which network works.
        networks: those the word means, the best one first; none where the shelf has none of them.
    """

    choice: str
    networks: tuple[str, ...] = ()


NETWORKS: dict[str, Named] = {
    "dain": Named("by", ("dain",)),
    "rife": Named("by", ("rife",)),
    "deoldify": Named("colouriser", ("deoldify", "deoldify-stable", "deoldify-artistic")),
    "deepremaster": Named("colouriser"),
    "edvr": Named("by", ("edvr-large", "edvr", "edvr-vimeo", "edvr-wotsa")),
    "realsr": Named("by", ("realsr",)),
    "realesrgan": Named("by", ("realesrgan-x4", "realesrgan-x2", "realesr-general", "realesrnet-x4")),
    "basicvsr": Named("by"),
    "iconvsr": Named("by"),
    "ppmsvsr": Named("by"),
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
    here: Container[str] = (),
    size: str | None = None,
    fps: str | None = None,
    colouriser: str | None = None,
) -> Recipe:
    """The recipe as the command line's options change it.

    Args:
        recipe: to begin with.
        order: enhancing steps in PaddleGAN's words; each is done by the network that it names, where that is here.
        here: ids of the models whose checkpoints are.
        size: ``WxH`` of the result.
        fps: frame rate of the result.
        colouriser: who colours.

    Raises:
        InputError: a word is unknown, a colouriser is named for a film that is not coloured, or a frame rate beside a
            time step.
    """
    if order is not None:
        recipe = recipe.in_order(order)
        for word in order:
            named = NETWORKS.get(plain(word), Named(""))
            network = next((name for name in named.networks if name in here), None)
            if network is not None:
                chosen: dict[str, Any] = {named.choice: network}
                recipe = recipe.with_step(PADDLEGAN[plain(word)], **chosen)
    if size is not None:
        recipe = recipe.with_step("upscale", size=size)
    if fps is not None:
        step = next((step for step in recipe.active if step.name == "interpolate"), None)
        if step is not None and step.params.get("time_step"):
            raise InputError(f"fps {fps}: recipe '{recipe.name}' sets time_step of interpolate; give one of the two")
        recipe = recipe.with_step("interpolate", rate=fps)
    if colouriser is not None:
        if all(step.name != "colourise" for step in recipe.active):
            raise InputError(f"colouriser '{colouriser}': recipe '{recipe.name}' does not colour the film")
        recipe = recipe.with_step("colourise", colouriser=colouriser)
    return recipe


def stand_ins(recipe: Recipe, order: Sequence[str]) -> list[str]:
    """One line for each of PaddleGAN's words that is not done by the network it names.

    Args:
        recipe: as `with_options` made it and `Recipe.checked` wrote it out.
        order: the words.
    """
    lines = []
    for word in order:
        named = NETWORKS.get(plain(word))
        if named is None:
            continue
        step = PADDLEGAN[plain(word)]
        used = next(spec.params[named.choice] for spec in recipe.active if spec.name == step)
        if used not in named.networks:
            way = (
                f"is not in the model folder (models fetch {named.networks[0]})"
                if named.networks
                else "is not known here"
            )
            lines.append(f"process order: {word} {way}; step '{step}' is done by '{used}' instead")
    return lines
