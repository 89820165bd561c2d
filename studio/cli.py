"""The command line's grammar: every command, its arguments and their help. It imports no work.

Kept apart from the work so that ``--help`` and a mistyped argument are answered at once: torch and gradio
take seconds to import. Each command names the function that does it (``module:function``); the door
imports it only then.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from core.errors import InputError

RECIPE_HELP = "auto (what the analysis recommends), colour, archive, documentary, web60, or a recipe file (JSON)"


@dataclass(frozen=True)
class Answer:
    """What a command reports.

    Attributes:
        data: the JSON object of ``--json``.
        lines: the same for people.
        status: exit status; 1 where the work was done but its finding is a failure.
    """

    data: dict[str, Any]
    lines: Sequence[str] = field(default_factory=tuple)
    status: int = 0


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line and an `InputError`."""

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments.

        Raises:
            InputError: always.
        """
        raise InputError(f"{message}; see: {self.prog} --help")


def parser() -> OneLineParser:
    """The whole grammar."""
    top = OneLineParser(
        prog="app.py",
        description="Pochoir restores and colours old black-and-white films with a person in the loop.",
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for add in (_studio, _restore, _analyse, _project, _hints, _render, _models, _bench, _doctor):
        add(commands)
    return top


Commands = Any  # argparse's own type for this is private


def _command(commands: Commands, name: str, run: str, help: str, *, json: bool = True) -> OneLineParser:
    command: OneLineParser = commands.add_parser(name, help=help, description=help)
    command.set_defaults(run=run)
    if json:
        command.add_argument("--json", action="store_true", help="write one JSON object on stdout")
    return command


def _group(commands: Commands, name: str, help: str) -> Commands:
    group = commands.add_parser(name, help=help, description=help)
    return group.add_subparsers(dest="subcommand", metavar="WHAT", required=True)


def _engine(command: OneLineParser) -> None:
    command.add_argument("--device", metavar="NAME", help="cpu, cuda, mps …; default: the best there is")
    command.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="where it is computed; ray: not yet"
    )
    command.add_argument("--colouriser", metavar="NAME", help="embedded (default) or one of the model shelf")


def _studio(commands: Commands) -> None:
    c = _command(commands, "studio", "studio", "open the studio in the browser", json=False)
    c.add_argument("project", nargs="?", metavar="PROJECT", help="a project folder; without it, the project picker")
    c.add_argument("--host", default="127.0.0.1", help="address to listen on; default: this machine only")
    c.add_argument("--port", type=int, default=7880, help="port to listen on; default 7880")
    c.add_argument("--auth", metavar="FILE", help="file of accounts; needed when others can reach the address")
    c.add_argument("--root-path", default="", metavar="PATH", help="path under which a proxy offers the studio")


def _restore(commands: Commands) -> None:
    c = _command(commands, "restore", "studio.commands.restore:restore", "restore and colour a film in one go")
    c.add_argument("source", metavar="SOURCE", help="video file, folder of images, or pattern such as frame_%%06d.png")
    c.add_argument("-o", "--out", required=True, metavar="OUT", help=".mp4 .mkv .mov, or a folder for PNG frames")
    c.add_argument("--source-fps", metavar="R", help="frame rate of an image sequence, e.g. 16 or 24000/1001")
    c.add_argument("--recipe", metavar="NAME|FILE", help=f"{RECIPE_HELP}; default: auto, or the project's")
    c.add_argument(
        "--process-order",
        nargs="+",
        metavar="STEP",
        help="enhancing steps in order, in PaddleGAN's words: DAIN DeOldify EDVR",
    )
    c.add_argument("--fps", metavar="R", help="frame rate of the result (adds in-between frames)")
    c.add_argument("--size", metavar="WxH", help="picture size of the result, e.g. 1440x1080")
    c.add_argument("--hints", metavar="FILE", help="colour hints to obey (hints.json)")
    c.add_argument("--project", metavar="DIR", help="keep the work as a project there, to go on in the studio")
    _engine(c)


def _analyse(commands: Commands) -> None:
    c = _command(commands, "analyse", "studio.commands.analyse:analyse", "examine a film and recommend a recipe")
    c.add_argument("source", metavar="SOURCE", help="video file, folder of images, or pattern")
    c.add_argument("--source-fps", metavar="R", help="frame rate of an image sequence")


def _project(commands: Commands) -> None:
    group = _group(commands, "project", "make and describe projects")
    c = _command(group, "new", "studio.commands.project:new", "make a project of a film")
    c.add_argument("dir", metavar="DIR", help="folder to make, by habit NAME.pochoir")
    c.add_argument("--source", required=True, metavar="SOURCE", help="video file, folder of images, or pattern")
    c.add_argument("--source-fps", metavar="R", help="frame rate of an image sequence")
    c.add_argument("--recipe", default="auto", metavar="NAME|FILE", help=RECIPE_HELP)
    c = _command(group, "show", "studio.commands.project:show", "describe a project")
    c.add_argument("dir", metavar="DIR", help="project folder")
    c = _command(group, "cuts", "studio.commands.project:cuts", "correct where shots begin")
    c.add_argument("dir", metavar="DIR", help="project folder")
    c.add_argument("--add", type=int, nargs="+", default=[], metavar="N", help="frames at which a shot begins")
    c.add_argument("--remove", type=int, nargs="+", default=[], metavar="N", help="frames at which none begins")
    c = _command(group, "recipe", "studio.commands.project:recipe", "choose another recipe")
    c.add_argument("dir", metavar="DIR", help="project folder")
    c.add_argument("recipe", metavar="NAME|FILE", help=RECIPE_HELP)
    c = _command(group, "relink", "studio.commands.project:relink", "say where the source film is now")
    c.add_argument("dir", metavar="DIR", help="project folder")
    c.add_argument("source", metavar="SOURCE", help="the same film at its new place (checked by its sha256)")


def _hints(commands: Commands) -> None:
    group = _group(commands, "hints", "exchange and check colour hints")
    c = _command(group, "import", "studio.commands.hints:import_", "take in a hints file, whole or not at all")
    c.add_argument("dir", metavar="DIR", help="project folder")
    c.add_argument("file", metavar="FILE", help="hints.json")
    c = _command(group, "export", "studio.commands.hints:export", "write the project's hints to a file")
    c.add_argument("dir", metavar="DIR", help="project folder")
    c.add_argument("-o", "--out", required=True, metavar="FILE", help="hints.json to write, masks beside it")
    c = _command(group, "propose", "studio.commands.hints:propose", "find a region in shots where nobody marked it")
    c.add_argument("dir", metavar="DIR", help="project folder")
    c.add_argument("region", metavar="REGION", help="id of a region that a hint with a mask shows")
    c.add_argument("--device", metavar="NAME", help="cpu, cuda, mps …; default: the best there is")
    c = _command(group, "check", "studio.commands.hints:check", "measure colours asked for against colours rendered")
    c.add_argument("dir", metavar="DIR", help="project folder")
    _engine(c)


def _render(commands: Commands) -> None:
    c = _command(commands, "render", "studio.commands.render:render", "bring a project up to date, and write it out")
    c.add_argument("dir", metavar="DIR", help="project folder")
    c.add_argument("-o", "--out", metavar="OUT", help=".mp4 .mkv .mov, or a folder for PNG frames")
    c.add_argument("--frames", metavar="A:B", help="only these frames of the result, half-open, from 0")
    c.add_argument("--preview", action="store_true", help="fast: at most 640 px wide, film's own size and frame rate")
    _engine(c)


def _models(commands: Commands) -> None:
    group = _group(commands, "models", "the model shelf")
    c = _command(group, "list", "studio.commands.models:list_", "what models there are, and which are here")
    c.add_argument("name", metavar="NAME", nargs="?", help="one of them, with all its card says")
    c.add_argument("--long", action="store_true", help="all that their cards say: for what, what they take, how large")
    c = _command(group, "fetch", "studio.commands.models:fetch", "download a model's published checkpoint")
    c.add_argument("name", metavar="NAME", help="as in: models list")
    c.add_argument("--from", dest="source", metavar="URL|FILE", help="a mirror, or a file that is here already")
    c = _command(group, "import", "studio.commands.models:import_", "take a checkpoint into the model folder")
    c.add_argument("file", metavar="FILE", help="as its authors publish it, whatever it is called")
    c.add_argument("--as", dest="model", metavar="NAME", help="which model it is, where it fits several")
    _command(group, "verify", "studio.commands.models:verify", "check the checkpoints that are here")


def _bench(commands: Commands) -> None:
    c = _command(commands, "bench", "bench", "measure against truth and peers")
    c.add_argument(
        "name",
        metavar="NAME",
        help="points, exemplar, sparse, regions, neighbours, segment, across, references, need, flow, interpolate, "
        "repair, speed, latency, carry, suggestions, beside",
    )
    c.add_argument("--data", metavar="DIR", help="folder of test films")
    c.add_argument("--limit", type=int, metavar="N", help="at most so many cases")
    c.add_argument("--stills", metavar="FOLDER", help="photographs of points and suggestions: bsds500 or imagenet")
    c.add_argument("--reference", metavar="DIR", help="beside: folder of checkouts of the authors' own programs")
    c.add_argument("--models", action="store_true", help="speed: the models of the shelf, with random weights")
    c.add_argument("--device", metavar="NAME", help="speed --models, beside: cpu, cuda, mps …; default cpu")
    c.add_argument("--size", metavar="WxH", help="beside: of the pictures; default on a GPU 640x480 and 1920x1080")
    c.add_argument("--seed", type=int, default=0, help="of everything drawn by chance; default 0")


def _doctor(commands: Commands) -> None:
    c = _command(commands, "doctor", "studio.commands.doctor:doctor", "what this machine has, and what is missing")
    c.add_argument(
        "--tune",
        action="store_true",
        help="also measure how the embedded colouriser runs fastest here, and remember it: some minutes",
    )
    c.add_argument("--device", metavar="NAME", help="where to measure: cpu, cuda, mps …; default: the best there is")
