"""Put trained weights into the house: ``python -m bench.train.export --run DIR --data DIR [--points FILE]``.

Writes the averaged weights as safetensors and the model card beside them. Half precision is kept for matrices (the
difference in chroma is below 0.05) and full precision for everything else.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from bench.train.data import shippable_stills
from core.contract.fingerprint import sha256_of
from core.models.colouriser import WEIGHTS
from core.models.network import ColourNet
from core.models.weights import fill, load_weights

CARD = """# Model card: embedded colouriser

| | |
|---|---|
| task | from a frame's luma: the chroma it would give unasked, how likely every chroma is, and affinities along which hints are carried (`core.models.kriging`) |
| network | `core.models.network.ColourNet`, {parameters:.2f} M parameters, widths {widths} |
| file | `{file}`, {megabytes:.1f} MB, sha256 `{sha256}` |
| licence | Apache-2.0 (weights and code) |
| trained by | `python -m bench.train.train`, recipe `bench/train/embedded.toml`, seed {seed}, step {step} of {steps}, {hours:.1f} h on a shared two-core CPU{begun} |
| trained on | {stills} photographs marked `ship=yes` in the data's `SOURCES.csv`; none of `stills/bsds500`, `stills_full`, `stills/imagenet` |
| meant for | previews and finals under a person's hints; the person has the last word |
| not meant for | evidence of what colours were: without hints it gives the plausible, not the true |

Every photograph teaches three things at once: its colours unasked, the distribution over bins of chroma that suggestions
come from, and the carrying of two sets of hints. The first set are points in its true colours. The second is of any kind:
strokes, filled regions (swatch, ramp, true chroma), chroma as optical flow leaves it (displaced, ghosted, holed, of fading
trust), points over each of them, in part of the pairs with all hues turned; in two fifths of the pairs one surface alone is
given another colour and hinted at, so that hints end where their surface does. Luma is aged in half of the pairs:
orthochromatic response, fading, vignette, blur, grain, compression.

Known weaknesses: few full figures, streets and interiors were seen; what it does not recognise it leaves brownish or
near grey; small objects far from any hint take their surroundings' colour.

## Sources

| folder of `stills/` | photographs | licence as its source states it |
|---|---|---|
{sources}

## Curve

PSNR in dB on {validate} photographs that were never trained on (256x256, the network's colour unasked and carried hints,
without the closing solve), by the protocol of `bench points`; mean chroma C* without hints against the truth's.

| step | grey | 0 points | 10 points | 50 points | C* at 0 points | C* of truth |
|---|---|---|---|---|---|---|
{curve}
"""  # noqa: E501 - a row of a table is one line
POINTS = """
## bench points

{images} photographs of `stills/{stills}`, 256x256, PSNR in dB.

| points | embedded | {peers} |
|---|---|---|{dashes}
{rows}
"""


def export(checkpoint: Path, target: Path) -> dict[str, Any]:
    """Write the averaged weights of a checkpoint.

    Args:
        checkpoint: ``checkpoint.pt`` of a run
        target: the safetensors file to write

    Returns:
        The checkpoint's state, without tensors of training.

    Raises:
        WeightsError: what was written does not read back as this network.
    """
    state: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
    average: dict[str, Tensor] = state["average"]
    kept = {k: (v.half() if v.ndim >= 2 else v).contiguous() for k, v in average.items()}
    target.parent.mkdir(parents=True, exist_ok=True)
    save_file(kept, target)
    network = ColourNet(tuple(state["config"]["widths"]))
    fill(network, load_weights(target), target.name)
    return {key: state[key] for key in ("step", "seconds", "config")}


def source_table(data: Path, weights: dict[str, float]) -> str:
    """Describe what was trained on, a line per folder."""
    with (data / "SOURCES.csv").open(newline="", encoding="utf-8") as file:
        licence = {row["path"]: row["licence"] for row in csv.DictReader(file)}
    stills = [str(s.path.relative_to(data)) for s in shippable_stills(data, weights)]
    counts = Counter(p.split("/")[1] for p in stills)
    lines = []
    for folder, count in sorted(counts.items()):
        stated = Counter(licence[p] for p in stills if p.split("/")[1] == folder)
        text = "; ".join(name if len(stated) == 1 else f"{name} ({n})" for name, n in stated.most_common(3))
        lines.append(f"| {folder} | {count} | {text.replace('|', '/')} |")
    return "\n".join(lines)


def curve_table(log: Path, rows: int = 12) -> str:
    """Thin the log's validations to a few lines."""
    found = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    found = [entry for entry in found if "psnr_db" in entry]
    every = max(1, -(-len(found) // rows))
    shown = found[::-1][::every][::-1]
    keys = ("grey", "0", "10", "50", "chroma_0", "chroma_truth")
    return "\n".join(f"| {e['step']} | " + " | ".join(f"{e['psnr_db'][k]:.2f}" for k in keys) + " |" for e in shown)


def points_table(result: dict[str, Any]) -> str:
    """Lay out a result of ``bench points``."""
    summary = result["summary"]
    curves: dict[str, dict[str, float | None]] = {"embedded": summary["psnr_db"], **summary["peers_psnr_db"]}
    peers = [name for name in curves if name != "embedded"]
    rows = []
    for count in curves["embedded"]:
        values = [curves[name].get(count) for name in ("embedded", *peers)]
        cells = ["–" if value is None else f"{value:.2f}" for value in values]
        rows.append(f"| {count} | " + " | ".join(cells) + " |")
    return POINTS.format(
        images=summary["images"],
        stills=summary["stills"],
        peers=" | ".join(peers).replace("_", " "),
        dashes="---|" * (len(peers) - 1),
        rows="\n".join(rows),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Export trained weights and their model card.")
    parser.add_argument("--run", type=Path, required=True, help="folder of the training run")
    parser.add_argument("--data", type=Path, required=True, help="folder with SOURCES.csv and stills/")
    parser.add_argument("--target", type=Path, default=WEIGHTS)
    parser.add_argument("--begun", default="", help="what the run began with, if not with nothing; for the card")
    parser.add_argument("--points", type=Path, help="JSON of bench points, for the card")
    args = parser.parse_args(argv)
    state = export(args.run / "checkpoint.pt", args.target)
    config = state["config"]
    card = CARD.format(
        parameters=sum(p.numel() for p in ColourNet(tuple(config["widths"])).parameters()) / 1e6,
        widths="/".join(map(str, config["widths"])),
        file=args.target.name,
        megabytes=args.target.stat().st_size / 1e6,
        sha256=sha256_of(args.target),
        seed=config["seed"],
        step=state["step"],
        steps=config["steps"],
        hours=state["seconds"] / 3600,
        begun=f"; begun with {args.begun}" if args.begun else "",
        stills=len(shippable_stills(args.data, config["source_weights"])),
        sources=source_table(args.data, config["source_weights"]),
        validate=config["validate_stills"],
        curve=curve_table(args.run / "log.jsonl"),
    )
    if args.points:
        card += points_table(json.loads(args.points.read_text(encoding="utf-8")))
    args.target.with_suffix(".md").write_text(card, encoding="utf-8")
    print(f"{args.target}: step {state['step']}, sha256 {sha256_of(args.target)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
