"""A part of `bench.beside`: one network of the authors', told when to go."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import numpy as np
import torch

from bench.authors.nets import made, settle
from bench.part import say, serve
from core.errors import InputError
from core.models.device import pick_device


def main(model: str, checkout: str, work: str, file: str, render_factor: str, seed: str, device: str) -> None:
    """Leave the weights and the picture they give in the folder ``work``, then run as often as told."""
    folder = Path(work)
    shown = np.load(folder / "shown.npy")
    with contextlib.redirect_stdout(sys.stderr):  # stdout is for answers; their code talks
        theirs = made(model, Path(checkout), shown, int(render_factor), int(seed), pick_device(device))
        settle(theirs)
        torch.save(theirs.network.state_dict(), folder / file)
        # Their own picture where memory is laid out in another order: how far rounding alone goes.
        theirs.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        np.save(folder / "again.npy", theirs.run(shown))
        theirs.network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        np.save(folder / "theirs.npy", theirs.run(shown))

    def go() -> int:
        with contextlib.redirect_stdout(sys.stderr):
            theirs.run(shown)
        return 1

    serve(go, note=theirs.note)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except InputError as error:
        say({"missing": str(error)})
