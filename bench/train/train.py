"""Train the embedded colouriser: ``python -m bench.train.train --data DIR --run DIR [--config FILE]``.

The run folder holds ``checkpoint.pt`` (everything needed to go on), ``log.jsonl`` (one line per report) and the
configuration in force. Started again with the same run folder, training goes on from the checkpoint and sees exactly
the batches an uninterrupted run would have seen. ``steps`` and ``decay_from`` may be changed between the two.

Source: Zhang et al. 2017 (task and loss); Loshchilov & Hutter 2019 (AdamW); Polyak & Juditsky 1992 (averaged weights).
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from bench.metrics import psnr, to_8bit
from bench.train.data import Batches, Pair, Phase, Still, read_square, shippable_stills, zhang_points
from core.film.colour import join, srgb_to_lab
from core.models.colouriser import EmbeddedColouriser
from core.models.device import pick_device, set_threads
from core.models.kriging import picture
from core.models.network import AB_SCALE, BIN_CELL, BIN_SIDE, BIN_STEP, ColourNet, Sight

HERE = Path(__file__).parent
PLACES = 1024  # of each picture at which the hinted loss is taken
GOOD_ENOUGH = 1.0 / AB_SCALE  # an error of one unit of a*b* is not seen: less is not striven for


@dataclass(frozen=True)
class Config:
    """All that decides the weights, but for the stills themselves. Meanings: ``embedded.toml``."""

    seed: int
    steps: int
    batch: int
    learning_rate: float
    warmup_steps: int
    decay_from: int
    weight_decay: float
    ema: float
    clip_norm: float
    huber_delta: float
    vivid: float
    bins_share: float
    hinted_share: float
    doubt_share: float
    kriging_haste: float
    liveliest: float
    save_every_s: float
    validate_every: int
    validate_stills: int
    phases: list[Phase]
    source_weights: dict[str, float] = field(default_factory=dict)
    widths: tuple[int, int, int, int] = (32, 64, 128, 192)


def read_config(path: Path) -> Config:
    """Read a recipe (TOML).

    Raises:
        TypeError: a key is unknown or missing.
    """
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    raw["phases"] = [Phase(**{**p, "shapes": [(h, w) for h, w in p["shapes"]]}) for p in raw["phases"]]
    if "widths" in raw:
        raw["widths"] = tuple(raw["widths"])
    return Config(**raw)


def rate_at(step: int, config: Config) -> float:
    """Give the learning rate: warm-up, constant, half cosine to nothing."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if step < config.decay_from:
        return config.learning_rate
    done = (step - config.decay_from) / max(1, config.steps - config.decay_from)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def loss_of(guess: Tensor, truth: Tensor, config: Config) -> Tensor:
    """Huber loss on the automatic chroma, saturated pixels weighing more.

    Args:
        guess: the network's chroma  [(N, 2, H, W) float32, units of AB_SCALE]
        truth: the photograph's      [(N, 2, H, W) float32, units of AB_SCALE]
        config: the recipe

    Returns:
        The mean loss  [() float32]

    Source: Zhang et al. 2017 (Huber on chroma); Zhang, Isola & Efros 2016 (rare colours weigh more).
    """
    error = (guess - truth).square().sum(1).add(1e-12).sqrt()
    delta = config.huber_delta
    huber = torch.where(error < delta, 0.5 * error.square(), delta * (error - 0.5 * delta))
    chroma = truth.square().sum(1).sqrt() * (AB_SCALE / 25.0)
    return (huber * (1 + config.vivid * chroma.clamp(max=2.5))).mean() / delta**2


def said_at_half(pairs: Pair, n: int, row: int) -> tuple[Tensor, Tensor]:
    """What a set of hints asks for, at half the size  [(2, H / 2, W / 2) float32], and the trust in it  [(1, …)]."""
    weight = F.avg_pool2d(pairs.weight[n, row], 2)
    return F.avg_pool2d(pairs.asked[n, row] * pairs.weight[n, row], 2) / weight.clamp(min=1e-6), weight


def hinted_loss(
    net: ColourNet, sight: Sight, pairs: Pair, config: Config, chance: torch.Generator
) -> tuple[Tensor, Tensor]:
    """How well hints are carried, at some places of each picture.

    The logarithm of each picture's mean square error counts, not the error: half of it is worth as much in a pale
    picture as in a gaudy one.

    Args:
        net: its covariance is what is learned, and the affinities
        sight: what it sees in the pictures
        pairs: hints, and what is wanted under them
        config: the recipe
        chance: chooses the places

    Returns:
        The mean loss over all sets of hints, and how badly the deviation is told: a negative log likelihood
        [() float32 each]

    Source: Chen et al. 2022, "Simple baselines for image restoration" (PSNR as a loss).
    """
    device = sight.ab.device
    seen, wanted = F.avg_pool2d(sight.ab.detach(), 2), F.avg_pool2d(pairs.wanted.flatten(0, 1), 2)
    truth = F.avg_pool2d(pairs.truth, 2)
    losses, unlikely = [], []
    sets = pairs.weight.shape[1]
    for n in range(len(seen)):
        # The automatic colour is shown stronger than it errs least with, by more or less.
        gain = 1.0 + (config.liveliest - 1.0) * float(torch.rand((), generator=chance))
        for row in range(n * sets, (n + 1) * sets):
            # Where all else is right already, whatever a hint spills is an error: else it would hide among the others.
            base = truth[n] if pairs.settled[n, row - n * sets] else gain * seen[n].float()
            said = said_at_half(pairs, n, row - n * sets)
            places, samples = picture(sight.affinity[n].float(), sight.doubt[n].float(), base, *said)
            if samples is None:
                continue
            some = torch.randint(0, len(places.doubt), (PLACES,), generator=chance).to(device)
            here = places.some(some)
            found, deviation = net.kriging(here, samples), net.kriging.deviation(here, samples)
            square = (found - wanted[row].flatten(1).T[some]).square().sum(1)
            losses.append(0.5 * torch.log(square.mean() + GOOD_ENOUGH**2))
            if not pairs.settled[n, row - n * sets]:
                unlikely.append((torch.log(deviation) + 0.5 * square.detach() / deviation.square()).mean())
    if not unlikely:
        return sight.ab.new_zeros(()), sight.ab.new_zeros(())
    return torch.stack(losses).mean(), torch.stack(unlikely).mean()


def bins_loss(logits: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Cross entropy of the distribution over bins of chroma; each true chroma is shared by the four bins about it.

    Args:
        logits: the network's                 [(N, BIN_SIDE ** 2, H / 4, W / 4) float32]
        truth: the photograph's chroma        [(N, 2, H, W) float32, units of AB_SCALE]

    Returns:
        The mean loss in nats [() float32], and how often each bin was true [(N, BIN_SIDE ** 2) float32].

    Source: Zhang, Isola & Efros 2016 (classification into a*b* bins, softly encoded).
    """
    place = F.avg_pool2d(truth, BIN_CELL) * (AB_SCALE / BIN_STEP) + BIN_SIDE // 2
    low = place.floor().clamp(0, BIN_SIDE - 2)
    part = (place - low).clamp(0, 1)
    told = F.log_softmax(logits, dim=1)
    loss = torch.zeros_like(told[:, 0])
    seen = torch.zeros(logits.shape[:2], device=logits.device)
    for da in (0, 1):
        for db in (0, 1):
            share = (part[:, 0] if da else 1 - part[:, 0]) * (part[:, 1] if db else 1 - part[:, 1])
            index = ((low[:, 0] + da) * BIN_SIDE + low[:, 1] + db).long()
            loss = loss - share * told.gather(1, index[:, None])[:, 0]
            seen.scatter_add_(1, index.flatten(1), share.flatten(1))
    return loss.mean(), seen / loss[0].numel()


def _leave_signals_to_the_trainer(_worker: int) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


class _From(Sampler[int]):
    """Step numbers from ``start`` to ``stop``."""

    def __init__(self, start: int, stop: int) -> None:
        self.start, self.stop = start, stop

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.stop))

    def __len__(self) -> int:
        return self.stop - self.start


class Trainer:
    """One training run: network, averaged network, optimiser, step.

    Args:
        config: the recipe
        stills: what is trained on
        run: folder of checkpoint and log
        device: where
        part: which replica this is, of how many
    """

    def __init__(
        self, config: Config, stills: Sequence[Still], run: Path, device: torch.device, part: tuple[int, int] = (0, 1)
    ) -> None:
        torch.manual_seed(config.seed)
        self.replica, self.replicas = part
        self.config, self.stills, self.run, self.device = config, list(stills), run, device
        self.net = ColourNet(config.widths).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        few = list(self.net.kriging.parameters())  # a dozen numbers that all else hangs on
        rest = [p for name, p in self.net.named_parameters() if not name.startswith("kriging.")]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": [p for p in rest if p.ndim >= 2], "weight_decay": config.weight_decay, "haste": 1.0},
                {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0, "haste": 1.0},
                {"params": few, "weight_decay": 0.0, "haste": config.kriging_haste},
            ],
            lr=config.learning_rate,
            betas=(0.9, 0.99),
        )
        self.step = 0
        self.seconds = 0.0
        self.asked_to_stop = False  # set by a signal, at any moment
        self.stopping = False  # agreed between the replicas, once a step

    # --- state ----------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the checkpoint; a crash in the middle leaves the one before."""
        if self.replica != 0:
            return
        state = {
            "net": self.net.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "config": asdict(self.config),
        }
        part = self.run / "checkpoint.part"
        torch.save(state, part)
        part.replace(self.run / "checkpoint.pt")

    def resume(self) -> bool:
        """Go on from the checkpoint, if there is one."""
        path = self.run / "checkpoint.pt"
        if not path.exists():
            return False
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.average = state["average"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds = state["step"], state["seconds"]
        return True

    def begin_with(self, path: Path) -> None:
        """Take the averaged weights of another run for the first ones; what they lack stays as it is made."""
        average = torch.load(path, map_location=self.device, weights_only=True)["average"]
        mine = self.net.state_dict()
        for name in average.keys() & mine.keys():  # a network that was once shown more than luma: luma came first
            held, wanted = average[name], mine[name].shape
            held = held[tuple(slice(0, side) for side in wanted[len(wanted) - held.ndim :])]
            average[name] = held.expand(wanted)
        self.net.load_state_dict(average, strict=False)
        self.average = {k: v.detach().clone() for k, v in self.net.state_dict().items()}

    def report(self, **facts: Any) -> None:
        """Append one line to the log and show it."""
        if self.replica != 0:
            return
        line = json.dumps({"step": self.step, "seconds": round(self.seconds, 1), **facts})
        with (self.run / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(line + "\n")
        print(line, file=sys.stderr, flush=True)

    # --- work -----------------------------------------------------------------------------------------------

    def learn(self, pairs: Pair) -> dict[str, float]:
        """Take one step; gives the parts of the loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(self.step, self.config) * group["haste"]
        c, pairs = self.config, Pair(*(part.to(self.device) for part in pairs))
        chance = torch.Generator().manual_seed((c.seed << 32) + self.step * self.replicas + self.replica)
        self.net.train()
        # bf16 pays on a GPU; on CPUs without its units it is three times slower than float32.
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            sight, bins = self.net.judge(pairs.luma.to(memory_format=torch.channels_last))
        alone = loss_of(sight.ab.float(), pairs.truth, c)
        unsure, seen = bins_loss(bins.float(), pairs.truth)
        hinted, unlikely = hinted_loss(self.net, sight, pairs, c, chance)
        loss = alone + c.bins_share * unsure + c.hinted_share * hinted + c.doubt_share * unlikely
        self.net.prior.lerp_(seen.mean(0), 0.005)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._agree()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.config.clip_norm)
        self.optimiser.step()
        self.step += 1
        keep = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, now in self.net.state_dict().items():
                if now.dtype.is_floating_point:
                    self.average[name].lerp_(now, 1 - keep)
                else:
                    self.average[name].copy_(now)
        parts = {"alone": alone, "bins": unsure, "hinted": hinted, "doubt": unlikely}
        return {name: float(part.detach()) for name, part in parts.items()}

    def _agree(self) -> None:
        """Average gradients over the replicas; any one's wish to stop is everyone's."""
        if self.replicas == 1:
            self.stopping = self.asked_to_stop
            return
        grads = [p.grad for p in self.net.parameters() if p.grad is not None]
        wish = torch.tensor([float(self.asked_to_stop)], device=self.device)
        flat = torch.cat([grad.reshape(-1) for grad in grads] + [wish])
        torch.distributed.all_reduce(flat)
        start = 0
        for grad in grads:
            # Flat order is that of a plain layout, whatever the gradient's own.
            grad.copy_(flat[start : start + grad.numel()].view(grad.shape) / self.replicas)
            start += grad.numel()
        self.stopping = bool(flat[-1] > 0)

    def train(self, *, workers: int = 0, validate_on: Sequence[Path] = ()) -> None:
        """Train until ``config.steps``, or until asked to stop, saving on the way."""
        c = self.config
        batches = Batches(self.stills, c.batch, c.phases, c.seed, (self.replica, self.replicas))
        loader = DataLoader(
            batches,
            batch_size=None,
            sampler=_From(self.step, c.steps),
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            worker_init_fn=_leave_signals_to_the_trainer,
        )
        saved = began = time.monotonic()
        before, pairs = self.seconds, 0
        losses: list[dict[str, float]] = []
        for batch in loader:
            losses.append(self.learn(batch))
            pairs += len(batch.luma) * self.replicas
            now = time.monotonic()
            self.seconds = before + now - began
            if self.step % 50 == 0:
                loss = {part: round(float(np.mean([each[part] for each in losses])), 4) for part in losses[0]}
                self.report(loss=loss, rate=rate_at(self.step, c), pairs_per_s=round(pairs / (now - began), 2))
                losses = []
            if self.replica == 0 and validate_on and self.step % c.validate_every == 0:
                self.report(psnr_db=self.validate(validate_on))
            if self.stopping or now - saved > c.save_every_s:
                self.save()
                saved = now
            if self.stopping:
                return
        self.save()

    def averaged(self) -> ColourNet:
        """Give a network with the averaged weights, ready to use."""
        net = ColourNet(self.config.widths).to(self.device)
        net.load_state_dict(self.average)
        return net.eval()

    @torch.inference_mode()
    def validate(self, stills: Sequence[Path], size: int = 256) -> dict[str, float]:
        """Measure PSNR at 0, 10 and 50 hint points with the averaged weights, and grey; stills are never trained on."""
        ours = EmbeddedColouriser.around(self.averaged(), str(self.device))
        errors: dict[str, list[float]] = {"grey": [], "0": [], "10": [], "50": [], "chroma_0": [], "chroma_truth": []}
        for number, path in enumerate(stills):
            rgb = read_square(path, size)
            lab = srgb_to_lab(rgb)
            luma, ab = np.ascontiguousarray(lab[..., 0]), lab[..., 1:]
            alone = ours.predict(luma)
            guesses = {"grey": np.zeros_like(ab), "0": alone}
            for points in (10, 50):
                hints = zhang_points(ab, points, np.random.default_rng(number))
                guesses[str(points)] = ours.carry(luma, alone, *hints)
            for name, guess in guesses.items():
                errors[name].append(psnr(to_8bit(join(luma, guess)), to_8bit(rgb)))
            for name, chroma in (("chroma_0", alone), ("chroma_truth", ab)):
                errors[name].append(float(np.hypot(chroma[..., 0], chroma[..., 1]).mean()))
        return {key: round(float(np.mean(values)), 3) for key, values in errors.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line; 0 when done or stopped in good order."""
    parser = argparse.ArgumentParser(description="Train the embedded colouriser.")
    parser.add_argument("--data", type=Path, required=True, help="folder with SOURCES.csv and stills/")
    parser.add_argument("--run", type=Path, required=True, help="folder of checkpoint and log; resumed when it exists")
    parser.add_argument("--config", type=Path, default=HERE / "embedded.toml")
    parser.add_argument("--begin", type=Path, help="checkpoint.pt of a run whose averaged weights are the first ones")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="threads of each replica")
    parser.add_argument("--workers", type=int, default=0, help="processes that make batches, for each replica")
    parser.add_argument(
        "--replicas", type=int, default=1, help="processes that share each batch; on a busy CPU 2x1 thread beats 1x2"
    )
    args = parser.parse_args(argv)
    config = read_config(args.config)
    args.run.mkdir(parents=True, exist_ok=True)
    (args.run / "config.json").write_text(json.dumps(asdict(config), indent=1), encoding="utf-8")
    if args.replicas == 1:
        _replica(0, args, config)
        return 0
    meeting = args.run.resolve() / "meeting"
    meeting.unlink(missing_ok=True)
    spawn = torch.multiprocessing.get_context("spawn")
    others = [spawn.Process(target=_replica, args=(n, args, config), daemon=True) for n in range(1, args.replicas)]
    for other in others:
        other.start()
    _replica(0, args, config)
    for other in others:
        other.join()
    return 0


def _replica(number: int, args: argparse.Namespace, config: Config) -> None:
    """Train as one of ``args.replicas`` processes."""
    set_threads(args.threads)
    if args.replicas > 1:
        meeting = f"file://{args.run.resolve() / 'meeting'}"
        torch.distributed.init_process_group("gloo", init_method=meeting, rank=number, world_size=args.replicas)
    stills = shippable_stills(args.data, config.source_weights)
    trainer = Trainer(config, stills, args.run, pick_device(args.device), (number, args.replicas))
    resumed = trainer.resume()
    if args.begin and not resumed:
        trainer.begin_with(args.begin)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: setattr(trainer, "asked_to_stop", True))
    # ship=no photographs: never trained on, and not those of bench points either.
    held_out = sorted((args.data / "stills" / "imagenet").glob("*.jpg"))
    every = max(1, len(held_out) // config.validate_stills)
    trainer.report(resumed=resumed, stills=len(stills), device=str(trainer.device), replicas=args.replicas)
    trainer.train(workers=args.workers, validate_on=held_out[::every][: config.validate_stills])
    if args.replicas > 1:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    raise SystemExit(main())
