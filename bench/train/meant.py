"""Fit what tells hints on things from hints on whole pictures: ``python -m bench.train.meant --run DIR --data DIR``.

The last step of the recipe: seven numbers (``kriging.scene``), everything else held. Trained together with all else
they lag behind the covariances that they choose between. Hints on things count more, for a colour where nobody asked
for it is worse than one that is missing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.train.data import Batches, Pair, Phase, Still, shippable_stills
from bench.train.train import GOOD_ENOUGH, HERE, Config, read_config, said_at_half
from core.models.kriging import TOLD, picture
from core.models.network import AB_SCALE, ColourNet

SHAPES = [(128, 160), (160, 160), (144, 192)]
BATCHES = 44
PLACES = 512
THINGS_COUNT = 1.8
GAIN = 1.5  # of the automatic colour, as it is shown
CHANGED = 8.0 / AB_SCALE  # chroma by which a place belongs to a thing that was given another colour
DECAY, ROUNDS, RATE = 2e-4, 1500, 0.05


@dataclass(frozen=True)
class Cases:
    """What was seen of many sets of hints, a row each.

    Attributes:
        told: what is to be weighed                                 [(N, TOLD) float32]
        whole, thing: mean square errors of the two estimates       [(N,) float32]
        both: mean product of the two errors                        [(N,) float32]
        on_things: whether the hints were on things                 [(N,) bool]
    """

    told: Tensor
    whole: Tensor
    thing: Tensor
    both: Tensor
    on_things: Tensor

    def loss(self, scene: Tensor) -> Tensor:
        """Logarithm of the error of the blend under these weights  [(N,) float32]."""
        meant = torch.sigmoid(self.told @ scene)
        square = meant**2 * self.whole + (1 - meant) ** 2 * self.thing + 2 * meant * (1 - meant) * self.both
        return 0.5 * torch.log(square + GOOD_ENOUGH**2)


@torch.no_grad()
def gather(net: ColourNet, stills: list[Still], config: Config, batches: int = BATCHES) -> Cases:
    """Try both estimates on simulated hints."""
    made = Batches(stills, config.batch, [Phase(0, SHAPES)], config.seed + 1)
    rng, rows = np.random.default_rng(config.seed), []
    for step in range(batches):
        pairs = made[step]
        sight = net(pairs.luma)
        seen = F.avg_pool2d(sight.ab, 2)
        for n in range(len(seen)):
            for row in range(pairs.weight.shape[1]):
                found = _case(net, pairs, (n, row), sight.affinity[n], sight.doubt[n], seen[n], rng)
                if found is not None:
                    rows.append(found)
    told, errors, on_things = zip(*rows, strict=True)
    whole, thing, both = torch.stack(errors).T
    return Cases(torch.stack(told), whole, thing, both, torch.tensor(on_things))


def _case(
    net: ColourNet, pairs: Pair, at: tuple[int, int], affinity: Tensor, doubt: Tensor, seen: Tensor,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor, bool] | None:  # fmt: skip
    n, row = at
    wanted, truth = F.avg_pool2d(pairs.wanted[n, row], 2), F.avg_pool2d(pairs.truth[n], 2)
    on_things, base = bool(pairs.settled[n, row]), GAIN * seen
    if on_things and rng.random() < 0.5:
        base = truth
    elif on_things:  # over an automatic colour that is to stay wherever nothing was given another one
        wanted = torch.where(((wanted - truth).square().sum(0) > CHANGED**2)[None], wanted, base)
    places, samples = picture(affinity, doubt, base, *said_at_half(pairs, n, row))
    if samples is None:
        return None
    some = torch.from_numpy(rng.integers(0, len(places.doubt), PLACES))
    (whole, thing), told = net.kriging.estimates(places.some(some), samples)
    off = [estimate - wanted.flatten(1).T[some] for estimate in (whole, thing)]
    errors = [(a * b).sum(1).mean() for a, b in ((off[0], off[0]), (off[1], off[1]), (off[0], off[1]))]
    return told, torch.stack(errors), on_things


def fit(cases: Cases, start: Tensor) -> Tensor:
    """The weights that lose least  [(TOLD,) float32]."""
    scene = start.clone().requires_grad_(True)
    optimiser = torch.optim.Adam([scene], lr=RATE)
    count = torch.where(cases.on_things, THINGS_COUNT, 1.0)
    for _ in range(ROUNDS):
        loss = (cases.loss(scene) * count).mean() + DECAY * scene.square().sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return scene.detach()


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Fit what tells hints on things from hints on the whole picture.")
    parser.add_argument(
        "--run", type=Path, required=True, help="folder of the training run; its averaged weights change"
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with SOURCES.csv and stills/")
    parser.add_argument("--config", type=Path, default=HERE / "embedded.toml")
    args = parser.parse_args(argv)
    config = read_config(args.config)
    state = torch.load(args.run / "checkpoint.pt", map_location="cpu", weights_only=True)
    net = ColourNet(config.widths)
    net.load_state_dict(state["average"])
    cases = gather(net.eval(), shippable_stills(args.data, config.source_weights), config)
    before = net.kriging.scene.detach()
    assert before.shape == (TOLD,)
    state["average"]["kriging.scene"] = fit(cases, before)
    torch.save(state, args.run / "checkpoint.pt")
    for scene in (before, state["average"]["kriging.scene"]):
        losses = cases.loss(scene)
        things, others = (float(losses[which].mean()) for which in (cases.on_things, ~cases.on_things))
        print(f"{scene.numpy().round(2)}: log error on things {things:.3f}, on whole pictures {others:.3f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
