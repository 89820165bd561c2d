"""RAFT as flow estimators: the authors' own checkpoints, run without their program.

Source: Teed & Deng 2020 (RAFT).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from core.contract.fingerprint import fingerprint
from core.contract.plugins import Plugins
from core.errors import ShapeError
from core.film.colour import lab_to_srgb
from core.flow import FlowPair, match_gain, with_trust
from core.models.checkpoint import check_for, identity_of, read_network
from core.models.device import pick_device
from core.models.placed import Placed
from core.models.raft_net import LARGE, LEAST_SIDE, RAFT, SMALL, STRIDE, Layout
from core.models.shelf import card_of, find
from core.models.ways import choose_published, in_way

Plane = NDArray[np.float32]

VERSION = 1  # raised whenever the same weights give another answer
UPDATES = 20  # as many as the authors' demonstration makes
LAYOUTS: dict[str, Layout] = {"raft-large": LARGE, "raft-small": SMALL}


class RaftFlow:
    """One of the published networks. Fulfils `core.flow.FlowEstimator`.

    The checkpoint is found and hashed when this is made, and read when the first pair is asked for. Calls may come from
    any thread.

    Args:
        name: of `LAYOUTS`
        folder: where checkpoints lie; None: the model folder
        device: as `core.models.device.pick_device` takes it

    Raises:
        InputError: there is no such device, or the environment asks for a way that is not known.
        ModelMissingError: the checkpoint is not there.
    """

    def __init__(self, name: str = "raft-large", folder: Path | None = None, *, device: str | None = None) -> None:
        self.name = name
        path, where = find(name, folder), pick_device(device)
        self._network = Placed(name, partial(read_network, partial(RAFT, LAYOUTS[name]), path), where)
        typical = torch.zeros(2, 3, LEAST_SIDE, LEAST_SIDE)
        self.way = choose_published(card_of(name).halves, lambda: self._both_ways(typical), where, name)
        self.fingerprint = in_way(fingerprint("raft", VERSION, name, identity_of(path), UPDATES), self.way)

    def pair(self, luma_a: Plane, luma_b: Plane) -> FlowPair:
        """Flow both ways between two frames, and its trust.

        Args:
            luma_a: frame a  [(h, w) float32 L* [0, 100]]
            luma_b: frame b  [(h, w) float32 L* [0, 100]]

        Raises:
            PochoirError: there is no memory left, on the CPU either.
            ShapeError: the lumas differ in size.
            WeightsError: at the first pair: the checkpoint is damaged or of another model.
        """
        if luma_a.ndim != 2 or luma_a.shape != luma_b.shape:
            raise ShapeError(f"flow: lumas are {luma_a.shape} and {luma_b.shape}; bring both to one (h, w)")
        a, b = match_gain(luma_a, luma_b)
        h, w = a.shape
        frames, (top, left) = _padded(torch.cat([_picture(a), _picture(b)]))
        both = self._both_ways(frames, self.way)[..., top : top + h, left : left + w]
        forward, backward = both.permute(0, 2, 3, 1).contiguous().numpy()
        return with_trust(a, b, forward, backward)

    def _both_ways(self, frames: Tensor, way: str = "float32") -> Tensor:
        """Flow from each of two frames to the other  [(2, 2, H, W) float32]."""
        with torch.inference_mode():
            # In plain memory, in which the sums of kept frames were made.
            return self._network.run(_flows, frames, layout=torch.contiguous_format, way=way)


def register(plugins: Plugins) -> None:
    """Offer the published networks as flow estimators; each asks for its checkpoint when it is made."""
    for name in LAYOUTS:
        plugins.flows.add(name, partial(_make, name))
        plugins.checks.add(name, check_for(partial(RAFT, LAYOUTS[name])))


def _make(name: str, device: str | None) -> RaftFlow:
    return RaftFlow(name, device=device)


def _flows(network: RAFT, frames: Tensor) -> Tensor:
    flows: Tensor = network(frames, frames.flip(0), UPDATES)
    return flows


def _picture(luma: Plane) -> Tensor:
    """Grey of this L* as the network takes it  [(1, 3, h, w) float32 [-1, 1] R'G'B']."""
    lab = np.zeros((*luma.shape, 3), np.float32)
    lab[..., 0] = np.clip(luma, 0, 100)
    rgb = np.clip(lab_to_srgb(lab), 0, 1)
    return torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1), np.float32))[None] * 2 - 1


def _padded(frames: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """Frames with their borders repeated on all sides up to what the network can halve; where they now begin."""
    h, w = frames.shape[-2:]
    down, right = (max(LEAST_SIDE, -(-side // STRIDE) * STRIDE) - side for side in (h, w))
    top, left = down // 2, right // 2
    return F.pad(frames, (left, right - left, top, down - top), mode="replicate"), (top, left)
