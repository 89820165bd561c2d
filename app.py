"""The door: one command, then the room that does it.

    python app.py studio | restore | render | analyse | project | hints | models | bench | doctor

This is the only place that knows all rooms. Rooms are imported once the arguments are understood, because
torch and gradio take seconds to import and `--help`, or a slip of the pen, should be answered at once.

Exit status: 0 done; 2 the input or the arguments are wrong (one line on stderr says what, where, what to
do); 1 failed; 130 stopped by the person, everything finished so far kept.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from core.errors import Cancelled, InputError, PochoirError, printable
from studio.cli import Answer, parser

# What comes with the house, in order: of segmenters the first that can work is asked.
BUILTINS = (
    "core.restore",  # deflicker, dedust, upscale
    "core.flow",  # DIS, which needs no weights
    "core.colourise",  # the colouring itself and the embedded colouriser
    "core.interpolate",  # retiming, last in the line
    "core.models.shelf",  # cards of the models below
    "core.models.deoldify",  # published colourisers, each where its checkpoint is on the shelf
    "core.models.siggraph17",
    "core.models.ddcolor",
    "core.models.realesrgan",  # published upscalers, likewise
    "core.models.edvr",  # and those that look at the frames around
    "core.models.raft",  # published flow estimators
    "core.models.dain",  # published interpolators
    "core.models.rife",
    "hints.sam2",  # SAM 2.1, where one of its checkpoints is on the shelf
    "hints.sam",  # segment-anything, where its checkpoint is on the shelf
    "hints.segment",  # the classical segmenter that always works
)

DONE, FAILED, WRONG_INPUT, STOPPED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments; those of the process where None.

    Returns:
        The exit status.
    """
    logging.basicConfig(format="pochoir: %(message)s", level=logging.WARNING)
    # NumPy's matrices here are small. Threads for them wait by spinning, and take the cores from flow and network
    # beside them: on two cores in use a region is carried at half the speed. NumPy reads this when it is loaded, later.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        args = parser().parse_args(argv)
        answer = ROOMS.get(args.command, run)(args)
        return tell(written(answer, as_json=getattr(args, "json", False)), answer.status)
    except SystemExit as ended:  # `--help`; what it wrote is on its way still
        return tell("", ended.code if isinstance(ended.code, int) else FAILED if ended.code else DONE)
    except (KeyboardInterrupt, Cancelled):
        return complain("stopped; everything finished so far is kept, the same command goes on from there", STOPPED)
    except InputError as error:
        return complain(str(error), WRONG_INPUT)
    except PochoirError as error:
        return complain(str(error), FAILED)
    except Exception as error:
        if os.environ.get("POCHOIR_TRACE"):
            traceback.print_exc()
        said = " ".join(str(error).split())
        return complain(
            f"an unforeseen fault, {type(error).__name__}: {said}; set POCHOIR_TRACE=1 to see where", FAILED
        )


def run(args: Namespace) -> Answer:
    """A command of the studio, with its progress drawn on stderr."""
    command = load(args.run)
    bar = load("studio.bar:Bar")
    with bar() as report:
        answer: Answer = command(args, builtins(), report)
    return answer


def serve(args: Namespace) -> Answer:
    """`studio`: the browser's side, until it is interrupted."""
    if args.project is not None:
        load("studio.store:database_of")(Path(args.project))  # a slip is answered before gradio is imported
    load("studio.ui.server:serve")(
        args.project,
        host=args.host,
        port=args.port,
        auth_file=args.auth,
        root_path=args.root_path,
        plugins=builtins(),
    )
    return Answer({})


def bench(args: Namespace) -> Answer:
    """`bench`: one measurement."""
    options = {name: getattr(args, name) for name in ("stills", "reference", "models", "device", "size")}
    result = load("bench.index:run_bench")(args.name, args.data, limit=args.limit, seed=args.seed, **options)
    return Answer(result, tuple(load("bench.index:table")(result).splitlines()))


ROOMS: dict[str, Callable[[Namespace], Answer]] = {"studio": serve, "bench": bench}


def builtins() -> Any:
    """Everything registered: what comes with the house, what strangers installed, what the model folder brings."""
    plugins = load("core.contract.plugins:load_plugins")([import_module(name) for name in BUILTINS])
    load("core.models.detected:register")(plugins)
    return plugins


def load(name: str) -> Any:
    """A function by ``module:function``, imported now."""
    module, _, function = name.partition(":")
    return getattr(import_module(module), function)


def written(answer: Answer, *, as_json: bool) -> str:
    """What a command reports, as it is written."""
    if as_json:
        return json.dumps(answer.data, ensure_ascii=False) + "\n"
    return "".join(f"{printable(line)}\n" for line in answer.lines)


def tell(text: str, status: int) -> int:
    """Write on stdout.

    Args:
        text: what to write, after what was written before.
        status: the command's exit status.

    Returns:
        The same, also where whoever reads has seen enough and is gone; 1 where the text cannot be written.
    """
    try:
        print(text, end="", flush=True)
    except OSError as error:
        # What could not be written is tried again, and complained of, when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            return complain(f"stdout: {error.strerror}; send it to another place", FAILED)
    return status


def complain(message: str, status: int) -> int:
    """One line on stderr, whatever the message."""
    with suppress(OSError):  # nobody listens
        print(f"pochoir: {printable(message)}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
