"""`restore`: the main job, one shot. With a project it works in that; without, in the user's cache folder."""

from __future__ import annotations

import logging
from argparse import Namespace
from pathlib import Path

from core.contract.plugins import Plugins
from core.contract.progress import Report
from core.contract.recipe import Recipe
from core.decode import open_source
from core.encode import target_for
from core.errors import InputError
from core.film.shot import shots_from_cuts
from core.film.timebase import parse_rate
from core.models.shelf import shelf
from hints.hint import HintSet
from hints.interchange import load
from studio.cli import Answer
from studio.commands.render import reported
from studio.deliver import deliver
from studio.examine import analysed, shot_starts
from studio.recipes import AUTO, recipe_of, stand_ins, with_options
from studio.rendering import Machine, check_engine, colours, make_renderer, user_cache
from studio.session import Session
from studio.store import DATABASE

log = logging.getLogger(__name__)


def restore(args: Namespace, plugins: Plugins, report: Report) -> Answer:
    """Restore and colour a film in one go; a run that was stopped or killed goes on where it was."""
    check_engine(args.engine)
    target_for(args.out, bit_depth=8)  # a name that cannot be written is refused before the film is read
    if args.fps is not None:
        parse_rate(args.fps)
    chosen = recipe_of(args.recipe or AUTO)
    if chosen is not None:
        _finished(chosen, args, plugins)  # and so is a recipe that does not fit
    if args.project is not None:
        return _in_project(args, chosen, plugins, report)
    return _alone(args, chosen, plugins, report)


def _alone(args: Namespace, chosen: Recipe | None, plugins: Plugins, report: Report) -> Answer:
    film = open_source(args.source, rate=args.source_fps)
    try:
        cache = user_cache()
        if chosen is None:
            chosen = analysed(film, cache, report, None)[1]
        shots = shots_from_cuts(shot_starts(film, cache, report, None), film.clip.count)
        recipe = _announced(_finished(chosen, args, plugins), args)
        hints = HintSet()
        if args.hints is not None:
            hints = load(Path(args.hints), size=film.clip.size, count=film.clip.count, shots=shots)
        renderer = make_renderer(film, shots, recipe, hints, Machine(plugins, cache, args.device))
        return reported(deliver(renderer, args.out, report=report))
    finally:
        film.close()


def _in_project(args: Namespace, chosen: Recipe | None, plugins: Plugins, report: Report) -> Answer:
    with _project(args, plugins, report) as session:
        if args.recipe is None:
            chosen = session.project.recipe  # of a new project, what was recommended
        session.set_recipe(_announced(_finished(chosen or session.recommended(), args, plugins), args))
        if args.hints is not None:
            session.import_hints(args.hints)
        return reported(session.render(args.out, report=report))


def _project(args: Namespace, plugins: Plugins, report: Report) -> Session:
    """The project that is there, if it is of this film, else a new one."""
    folder = Path(args.project)
    if not (folder / DATABASE).is_file():
        return Session.create(
            folder, args.source, rate=args.source_fps, recipe=args.recipe or AUTO, plugins=plugins, report=report,
            device=args.device,
        )  # fmt: skip
    session = Session.open(folder, plugins, device=args.device)
    try:
        session.relink(args.source)
    except BaseException:
        session.close()
        raise
    return session


def _finished(recipe: Recipe, args: Namespace, plugins: Plugins) -> Recipe:
    """The recipe with what the arguments say, checked."""
    here = {status.card.id for status in shelf(cards=plugins.cards.values()) if status.path is not None}
    recipe = with_options(
        recipe, order=args.process_order, here=here, size=args.size, fps=args.fps, colouriser=args.colouriser
    ).checked(plugins.stages)
    if args.hints is not None and not colours(recipe):
        raise InputError(f"hints {args.hints}: recipe '{recipe.name}' does not colour the film; add step colourise")
    return recipe


def _announced(recipe: Recipe, args: Namespace) -> Recipe:
    """The recipe, once it is said which of the networks asked for are not here."""
    for line in stand_ins(recipe, args.process_order or ()):
        log.warning("%s", line)
    return recipe
