"""DAIN's network, for inference, written from its description: flow, depth, kernels and context to a new picture.

Module names follow the published checkpoint: ``flownets`` (PWC-Net), ``depthNet`` (MegaDepth's hourglass),
``initScaleNets_filter*`` (kernels), ``ctxNet`` (context) and ``rectifyNet``. Batch norms always use their stored
statistics.

Source: Bao et al. 2019, Depth-Aware Video Frame Interpolation; Chen et al. 2016 and Li & Snavely 2018 (the
hourglass and its depth); Bao et al. 2018, MEMC-Net (the nets of kernels and context).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.dain_ops import filter_interpolation, project_flow
from core.models.pwc_net import FLOW_UNIT, PWCNet
from core.models.tensors import exact, unrounded

MULTIPLE = 64  # of which height and width must be
TAPS = 16  # of a pixel's kernel: 4 x 4
_FARTHEST = 1e-6  # added to the nearness, so that no vector weighs nothing


@dataclass(frozen=True, eq=False)
class Seen:
    """What the network sees in two pictures before it is told the time.

    Attributes:
        frames: the two pictures                          [(N, 3, H, W) float32 R'G'B' [0, 1] each]
        log_depth: natural logarithm of relative depth    [(N, 1, H, W) float32 each]
        flows: to the other picture, in `FLOW_UNIT`       [(N, 2, H/4, W/4) float32 each]
        kernels: taps of each pixel                       [(N, 16, H, W) float32 each]

    Context does not depend on the time either, but is no part of it: it is a twentieth of the work, and would take
    eleven times the memory of all else.
    """

    frames: tuple[Tensor, Tensor]
    log_depth: tuple[Tensor, Tensor]
    flows: tuple[Tensor, Tensor]
    kernels: tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Made:
    """A new picture and what it is made from.

    Attributes:
        flows: from the new picture to each of the two  [(N, 2, H, W) float32 px each]
        warped: each of the two seen from its time      [(N, 3, H, W) float32 each]
        blend: their mean, weighted by nearness in time [(N, 3, H, W) float32]
        picture: the blend, rectified; not clipped      [(N, 3, H, W) float32 R'G'B']
    """

    flows: tuple[Tensor, Tensor]
    warped: tuple[Tensor, Tensor]
    blend: Tensor
    picture: Tensor


class _Concat(nn.Sequential):
    """Children side by side, their answers laid one behind the other."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([child(x) for child in self], dim=1)


class _Sum(nn.Sequential):
    """Children side by side, their answers added."""

    def forward(self, x: Tensor) -> Tensor:
        first, second = (child(x) for child in self)
        return cast(Tensor, first + second)


def _norm_conv(inner: int, outer: int, size: int) -> list[nn.Module]:
    """Convolution, batch norm without gain and offset, ReLU."""
    return [nn.Conv2d(inner, outer, size, padding=size // 2), nn.BatchNorm2d(outer, affine=False), nn.ReLU()]


def _inception(inner: int, width: int, middle: int, sizes: Sequence[int] = (3, 5, 7)) -> _Concat:
    """Four branches of ``width`` channels: 1x1, and three whose windows have these sizes."""
    branches = [_norm_conv(inner, width, 1)]
    branches += [_norm_conv(inner, middle, 1) + _norm_conv(middle, width, size) for size in sizes]
    return _Concat(*(nn.Sequential(*branch) for branch in branches))


def _through_half(pool: nn.Module, *parts: nn.Module) -> nn.Sequential:
    """Parts that work at half the size."""
    return nn.Sequential(pool, *parts, nn.UpsamplingNearest2d(scale_factor=2))


def hourglass() -> nn.Sequential:
    """MegaDepth's net: R'G'B' [0, 1] to the logarithm of relative depth; H and W are multiples of 16.

    On its way down it takes the greatest of four pixels twice, then twice their mean.

    Source: Chen et al. 2016, Single-Image Depth Perception in the Wild; Li & Snavely 2018, MegaDepth.
    """
    wide = (3, 7, 11)
    sixteenth = nn.Sequential(
        _Sum(
            nn.Sequential(_inception(256, 64, 32), _inception(256, 64, 32)),
            _through_half(nn.AvgPool2d(2), *(_inception(256, 64, 32) for _ in range(3))),
        )
    )
    eighth = nn.Sequential(
        _Sum(
            nn.Sequential(_inception(256, 64, 32), _inception(256, 64, 64, wide)),
            _through_half(
                nn.AvgPool2d(2),
                *(_inception(256, 64, 32) for _ in range(2)),
                sixteenth,
                _inception(256, 64, 32),
                _inception(256, 64, 64, wide),
            ),
        )
    )
    quarter = nn.Sequential(
        _Sum(
            _through_half(
                nn.MaxPool2d(2),
                _inception(128, 32, 32),
                _inception(128, 64, 32),
                eighth,
                _inception(256, 64, 32),
                _inception(256, 32, 32),
            ),
            nn.Sequential(_inception(128, 32, 32), _inception(128, 32, 64, wide)),
        )
    )
    half = nn.Sequential(
        _Sum(
            _through_half(
                nn.MaxPool2d(2),
                *(_inception(128, 32, 32) for _ in range(2)),
                quarter,
                _inception(128, 32, 64),
                _inception(128, 16, 32, wide),
            ),
            nn.Sequential(_inception(128, 16, 64, wide)),
        )
    )
    return nn.Sequential(
        nn.Conv2d(3, 128, 7, padding=3), nn.BatchNorm2d(128), nn.ReLU(), half, nn.Conv2d(64, 1, 3, padding=1)
    )


class _Kernels(nn.Sequential):
    """A U-shaped net whose skips are what went into each pooling, added after the upsampling that undoes it."""

    def __init__(self) -> None:
        down, up = (32, 64, 128, 256, 512), (512, 256, 128, 64, 32)
        parts: list[nn.Module] = [nn.Conv2d(6, 16, 3, padding=1), nn.ReLU()]
        inner = 16
        for width in down:
            parts += [nn.Conv2d(inner, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
            inner = width
        for width in up:
            parts += [nn.Conv2d(inner, width, 3, padding=1), nn.ReLU()]
            parts.append(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False))
            inner = width
        super().__init__(*parts, nn.Conv2d(inner, 16, 3, padding=1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        pooled: list[Tensor] = []
        for part in self:
            if isinstance(part, nn.MaxPool2d):
                pooled.append(x)
            x = part(x)
            if isinstance(part, nn.Upsample):
                x = x + pooled.pop()
        return x


def _head() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, TAPS, 3, padding=1))


class _Residual(nn.Module):
    """Two 3x3 convolutions around which the input is added; the first may be dilated."""

    def __init__(self, width: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv2(F.relu(self.conv1(x))) + x)


class _Context(nn.Module):
    """The picture itself, then three blocks of features that look ever farther."""

    def __init__(self) -> None:
        super().__init__()
        self.block1 = nn.Sequential(nn.Conv2d(3, 64, 7, padding=3, bias=False), nn.ReLU())
        self.block2 = _Residual(64, dilation=4)
        self.block3 = _Residual(64, dilation=8)

    def forward(self, x: Tensor) -> Tensor:
        near = self.block1(x)
        far = self.block2(near)
        return torch.cat([x, near, far, self.block3(far)], dim=1)


class _Rectify(nn.Module):
    """What must be added to the blend."""

    def __init__(self, inner: int) -> None:
        super().__init__()
        self.block1 = nn.Sequential(nn.Conv2d(inner, 128, 7, padding=3), nn.ReLU())
        self.block2, self.block3, self.block4 = (_Residual(128) for _ in range(3))
        self.block5 = nn.Sequential(nn.Conv2d(128, 3, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return unrounded(self.block5, self.block4(self.block3(self.block2(self.block1(x)))))


class DainNet(nn.Module):
    """Makes a picture at any time between two others.

    Source: as the module's.
    """

    def __init__(self) -> None:
        super().__init__()
        self.initScaleNets_filter = _Kernels()
        self.initScaleNets_filter1 = _head()
        self.initScaleNets_filter2 = _head()
        self.ctxNet = _Context()
        context = 3 + 3 * 64 + 1
        self.rectifyNet = _Rectify(3 * 3 + 2 * 2 + 2 * TAPS + 2 * context)
        self.flownets = PWCNet()
        self.depthNet = hourglass()
        self.eval()

    def train(self, mode: bool = True) -> DainNet:
        """Stay in inference mode: trained weights are only right with the stored statistics."""
        return super().train(False)

    def forward(self, first: Tensor, second: Tensor, t: float) -> Tensor:
        """Make the picture at time ``t``; see `look` and `make`."""
        return self.make(self.look(first, second), t).picture

    def look(self, first: Tensor, second: Tensor) -> Seen:
        """Find depth, flow and kernels.

        Args:
            first: [(N, 3, H, W) float32 R'G'B' [0, 1]]; H and W are multiples of `MULTIPLE`
            second: the same
        """
        both = torch.cat([first, second])
        # Flow and what decides between two vectors, rounded, would send them to other cells.
        with torch.autocast(first.device.type, enabled=False):
            depth = self.depthNet(both)
            flows = self.flownets(first, second), self.flownets(second, first)
        shared = self.initScaleNets_filter(torch.cat([first, second], dim=1))
        return Seen(
            (first, second),
            _halves(depth),
            flows,
            (self.initScaleNets_filter1(shared), self.initScaleNets_filter2(shared)),
        )

    def make(self, seen: Seen, t: float) -> Made:
        """Make the picture at time ``t``.

        Args:
            seen: of the two pictures
            t: fraction of the way from the first to the second  (0, 1)

        Source: Bao et al. 2019, section 3.2.
        """
        contexts = _halves(torch.cat([self.ctxNet(torch.cat(seen.frames)), torch.cat(seen.log_depth)], dim=1))
        flows = (_back(seen.flows[0], seen.log_depth[0], t), _back(seen.flows[1], seen.log_depth[1], 1 - t))
        paths = tuple(zip(flows, seen.kernels, strict=True))
        warped = [filter_interpolation(x, *path) for x, path in zip(seen.frames, paths, strict=True)]
        context = [filter_interpolation(x, *path) for x, path in zip(contexts, paths, strict=True)]
        blend = (1 - t) * warped[0] + t * warped[1]
        known = torch.cat([blend, *warped, *flows, *seen.kernels, *context], dim=1)
        return Made(flows, (warped[0], warped[1]), blend, self.rectifyNet(known) + blend)


def _back(flow: Tensor, log_depth: Tensor, part: float) -> Tensor:
    """Flow to a picture from the time at ``part`` of the way to the other  [(N, 2, H, W) float32 px]."""
    # Vectors are in pixels of the full size already; only their grid grows.
    part_way = F.interpolate(flow * FLOW_UNIT * part, scale_factor=4, mode="bilinear", align_corners=False)
    return project_flow(part_way, _FARTHEST + 1 / torch.exp(exact(log_depth)))[0]


def _halves(both: Tensor) -> tuple[Tensor, Tensor]:
    first, second = both.chunk(2)
    return first, second
