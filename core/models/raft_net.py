"""RAFT, large and small: flow refined step by step by looking up how like two frames are about where it points.

For inference. Module names follow the published checkpoints; batch norms use their stored statistics.

Source: Teed & Deng 2020, RAFT: Recurrent All-Pairs Field Transforms for Optical Flow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.tensors import exact, unrounded

STRIDE = 8  # pixels of the picture per place of the features
LEVELS = 4  # of the pyramid of likeness, each half as fine as the one before
LEAST_SIDE = STRIDE << LEVELS  # px: the coarsest level must still have two places to look between

Norm = Callable[[int], nn.Module]


@dataclass(frozen=True)
class Layout:
    """What the two published networks differ in.

    Attributes:
        small: blocks of 1x1, 3x3, 1x1, one gated unit, flow enlarged bilinearly; else two 3x3, two gated units
            along rows and columns, flow enlarged by learnt weights.
        widths: channels of the encoders: the stem's and the three levels'.
        feature: channels of the features compared.
        hidden: channels of the recurrent state.
        context: channels of what the first frame says of itself.
        reach: places to each side at which likeness is looked up.
    """

    small: bool
    widths: tuple[int, int, int, int]
    feature: int
    hidden: int
    context: int
    reach: int

    @property
    def looked_up(self) -> int:
        """Values of likeness for each place."""
        return LEVELS * (2 * self.reach + 1) ** 2


LARGE = Layout(False, (64, 64, 96, 128), 256, 128, 128, 4)
SMALL = Layout(True, (32, 32, 64, 96), 128, 96, 64, 3)


def _instance(width: int) -> nn.Module:
    return nn.InstanceNorm2d(width)


def _batch(width: int) -> nn.Module:
    return nn.BatchNorm2d(width)


def _none(width: int) -> nn.Module:
    return nn.Identity()


class _Block(nn.Module):
    """Convolutions, each with its norm and ReLU, around which the input is added."""

    def __init__(self, inner: int, outer: int, stride: int, norm: Norm, *, small: bool) -> None:
        super().__init__()
        middle = outer // 4 if small else outer
        if small:
            self.conv1 = nn.Conv2d(inner, middle, 1)
            self.conv2 = nn.Conv2d(middle, middle, 3, stride, 1)
            self.conv3 = nn.Conv2d(middle, outer, 1)
        else:
            self.conv1 = nn.Conv2d(inner, outer, 3, stride, 1)
            self.conv2 = nn.Conv2d(outer, outer, 3, 1, 1)
        self.norm1 = norm(middle)
        self.norm2 = norm(middle)
        if small:
            self.norm3 = norm(outer)
        self.count = 3 if small else 2
        self.downsample: nn.Sequential | None = None
        if stride != 1:
            # The shortcut's norm goes by two names, here as in the files.
            last = norm(outer)
            self.add_module(f"norm{self.count + 1}", last)
            self.downsample = nn.Sequential(nn.Conv2d(inner, outer, 1, stride), last)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for k in range(1, self.count + 1):
            y = F.relu(self.get_submodule(f"norm{k}")(self.get_submodule(f"conv{k}")(y)))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class _Encoder(nn.Module):
    """Features of a frame at an eighth of its size."""

    def __init__(self, layout: Layout, outer: int, norm: Norm) -> None:
        super().__init__()
        stem, *widths = layout.widths
        self.norm1 = norm(stem)
        self.conv1 = nn.Conv2d(3, stem, 7, 2, 3)
        inner = stem
        for level, (width, stride) in enumerate(zip(widths, (1, 2, 2), strict=True), start=1):
            first = _Block(inner, width, stride, norm, small=layout.small)
            second = _Block(width, width, 1, norm, small=layout.small)
            self.add_module(f"layer{level}", nn.Sequential(first, second))
            inner = width
        self.conv2 = nn.Conv2d(inner, outer, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.conv1(x)))
        for level in (1, 2, 3):
            x = self.get_submodule(f"layer{level}")(x)
        return cast(Tensor, self.conv2(x))


class _Motion(nn.Module):
    """What likeness and flow say together; the flow itself is handed on beside it."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        small = layout.small
        self.convc1 = nn.Conv2d(layout.looked_up, 96 if small else 256, 1)
        if not small:
            self.convc2 = nn.Conv2d(256, 192, 3, padding=1)
        self.small = small
        self.convf1 = nn.Conv2d(2, 64 if small else 128, 7, padding=3)
        self.convf2 = nn.Conv2d(64 if small else 128, 32 if small else 64, 3, padding=1)
        self.width = 82 if small else 128
        self.conv = nn.Conv2d(128 if small else 256, self.width - 2, 3, padding=1)

    def forward(self, flow: Tensor, likeness: Tensor) -> Tensor:
        like = F.relu(self.convc1(likeness))
        if not self.small:
            like = F.relu(self.convc2(like))
        moved = F.relu(self.convf2(F.relu(self.convf1(flow))))
        return torch.cat([F.relu(self.conv(torch.cat([like, moved], dim=1))), flow], dim=1)


class _Gates(nn.Module):
    """Gated recurrent units: one of 3x3 (small), or one along rows and one along columns."""

    def __init__(self, layout: Layout, given: int) -> None:
        super().__init__()
        shapes = {"": (3, 3)} if layout.small else {"1": (1, 5), "2": (5, 1)}
        self.passes = tuple(shapes)
        for which, (h, w) in shapes.items():
            for gate in "zrq":
                conv = nn.Conv2d(layout.hidden + given, layout.hidden, (h, w), padding=(h // 2, w // 2))
                self.add_module(f"conv{gate}{which}", conv)

    def forward(self, state: Tensor, given: Tensor) -> Tensor:
        for which in self.passes:
            z, r, q = (self.get_submodule(f"conv{gate}{which}") for gate in "zrq")
            both = torch.cat([state, given], dim=1)
            keep, reset = torch.sigmoid(z(both)), torch.sigmoid(r(both))
            new = torch.tanh(q(torch.cat([reset * state, given], dim=1)))
            state = (1 - keep) * state + keep * new
        return state


class _Head(nn.Module):
    """The step of the flow that a state asks for."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        width = 128 if layout.small else 256
        self.conv1 = nn.Conv2d(layout.hidden, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, 2, 3, padding=1)

    def forward(self, state: Tensor) -> Tensor:
        return unrounded(self.conv2, F.relu(self.conv1(state)))


class _Update(nn.Module):
    """One step: what is seen at the flow, taken into the state, and from it the flow's change."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.encoder = _Motion(layout)
        self.gru = _Gates(layout, layout.context + self.encoder.width)
        self.flow_head = _Head(layout)
        if not layout.small:
            self.mask = nn.Sequential(
                nn.Conv2d(layout.hidden, 256, 3, padding=1), nn.ReLU(), nn.Conv2d(256, 9 * STRIDE**2, 1)
            )

    def forward(self, state: Tensor, context: Tensor, likeness: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        """The new state and the change of the flow."""
        state = self.gru(state, torch.cat([context, self.encoder(flow, likeness)], dim=1))
        return state, self.flow_head(state)


class _Likeness:
    """How like every place of one frame is to every place of the other, at several degrees of fineness."""

    def __init__(self, a: Tensor, b: Tensor, reach: int) -> None:
        n, c, h, w = a.shape
        a, b = exact(a), exact(b)
        with torch.autocast(a.device.type, enabled=False):  # as its authors have it
            product = a.flatten(2).transpose(1, 2) @ b.flatten(2) / math.sqrt(c)
        level = product.reshape(n * h * w, 1, h, w)
        self.levels = [level]
        for _ in range(LEVELS - 1):
            level = F.avg_pool2d(level, 2)
            self.levels.append(level)
        steps = torch.arange(-reach, reach + 1, device=a.device, dtype=a.dtype)
        # As trained, x runs slowly and y fast.
        self.around = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1)

    def at(self, places: Tensor) -> Tensor:
        """Likeness about places (x, y)  [(N, levels of (2 reach + 1)^2, h, w)] from [(N, 2, h, w) px]."""
        n, _, h, w = places.shape
        centre = places.permute(0, 2, 3, 1).reshape(-1, 1, 1, 2)
        found = []
        for k, level in enumerate(self.levels):
            size = torch.tensor([level.shape[-1] - 1, level.shape[-2] - 1], device=places.device, dtype=places.dtype)
            grid = 2 * (centre / 2**k + self.around) / size - 1
            values = F.grid_sample(level, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
            found.append(values.reshape(n, h, w, -1))
        return torch.cat(found, dim=-1).permute(0, 3, 1, 2)


class RAFT(nn.Module):
    """The network of one layout.

    Source: as the module's.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        self.fnet = _Encoder(layout, layout.feature, _instance)
        self.cnet = _Encoder(layout, layout.hidden + layout.context, _none if layout.small else _batch)
        self.update_block = _Update(layout)
        self.eval()

    def train(self, mode: bool = True) -> RAFT:
        """Stay in inference mode: trained weights are only right with the stored statistics."""
        return super().train(False)

    def forward(self, a: Tensor, b: Tensor, updates: int) -> Tensor:
        """Flow from one frame to another.

        Args:
            a: [(N, 3, H, W) float32 [-1, 1] R'G'B']; H and W are multiples of 8, at least 128
            b: [(N, 3, H, W) float32 [-1, 1] R'G'B']
            updates: steps of refinement

        Returns:
            Where each place of ``a`` is in ``b``  [(N, 2, H, W) float32 px, (dx, dy)]
        """
        features = self.fnet(torch.cat([a, b]))
        first, second = features.chunk(2)
        likeness = _Likeness(first, second, self.layout.reach)
        state, context = self.cnet(a).split((self.layout.hidden, self.layout.context), dim=1)
        state, context = torch.tanh(state), F.relu(context)
        n, _, h, w = state.shape
        kind = exact(a).dtype
        y, x = torch.meshgrid(
            torch.arange(h, device=a.device, dtype=kind),
            torch.arange(w, device=a.device, dtype=kind),
            indexing="ij",
        )
        here = torch.stack([x, y]).expand(n, -1, -1, -1)
        flow = torch.zeros_like(here)
        for _ in range(updates):
            state, change = self.update_block(state, context, likeness.at(here + flow), flow)
            flow = flow + change
        if self.layout.small:
            return STRIDE * F.interpolate(flow, scale_factor=STRIDE, mode="bilinear", align_corners=True)
        return _enlarged(flow, 0.25 * exact(self.update_block.mask(state)))  # a quarter, as trained


def _enlarged(flow: Tensor, mask: Tensor) -> Tensor:
    """Flow at full size: each pixel a weighed mean of the nine places about its own.

    Args:
        flow: [(N, 2, h, w)], in places
        mask: weights before their softmax  [(N, 9 * 64, h, w)]

    Returns:
        [(N, 2, 8 h, 8 w) px]
    """
    n, _, h, w = flow.shape
    weights = mask.reshape(n, 1, 9, STRIDE, STRIDE, h, w).softmax(dim=2)
    near = F.unfold(STRIDE * flow, 3, padding=1).reshape(n, 2, 9, 1, 1, h, w)
    fine = (weights * near).sum(dim=2)  # (N, 2, 8, 8, h, w)
    return fine.permute(0, 1, 4, 2, 5, 3).reshape(n, 2, STRIDE * h, STRIDE * w)
