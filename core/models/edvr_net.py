"""EDVR: a frame restored from its neighbours, which are aligned to it and fused with it. For inference.

Neighbours are aligned by deformable convolutions over a pyramid of three levels, the coarse offsets leading the
fine ones (PCD); fusion asks of each how far it agrees with the frame, then where to look (TSA). Module names
follow the published checkpoints.

Source: Wang et al. 2019, EDVR: Video Restoration with Enhanced Deformable Convolutional Networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.deform import deform_conv
from core.models.tensors import unrounded

SLOPE = 0.1  # of the leaky ReLU below zero
LEVELS = 3
OFFSET_GROUPS = 8
EXTRACT = 5  # residual blocks before the alignment
LAST_WIDTH = 64  # channels at the full size


@dataclass(frozen=True)
class Layout:
    """What the published variants differ in.

    Attributes:
        width: channels: 64 (M) or 128 (L).
        rebuild: residual blocks after the fusion: 10 (M) or 40 (L).
        frames: 5 or 7.
        attends: whether frames are fused by attention (TSA), or by one 1x1 convolution.
        deblurs: whether a module against blur comes first.
        full_size: whether the film comes at the size of the result; it is then worked on at a quarter of it.
    """

    width: int = 64
    rebuild: int = 10
    frames: int = 5
    attends: bool = True
    deblurs: bool = False
    full_size: bool = False

    @property
    def scale(self) -> int:
        """By how much it enlarges."""
        return 1 if self.full_size else 4

    @property
    def multiple(self) -> int:
        """Of which both sides of the picture must be: two halvings, after two more where it comes at full size."""
        return 16 if self.full_size else 4


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE)


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _conv(inner: int, outer: int, side: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inner, outer, side, stride, side // 2)


class _Residual(nn.Module):
    """Two 3x3 convolutions around which the input is added; no norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = _conv(width, width)
        self.conv2 = _conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, x + self.conv2(F.relu(self.conv1(x))))


class _Deform(nn.Module):
    """A deformable convolution whose offsets and weights are read from a feature of their own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width, width, 3, 3))
        self.bias = nn.Parameter(torch.zeros(width))
        self.conv_offset = _conv(width, 3 * OFFSET_GROUPS * 9)

    def forward(self, x: Tensor, led_by: Tensor) -> Tensor:
        # Two thirds are (dy, dx) in pairs, the last third is the taps' weight.
        offset, mask = self.conv_offset(led_by).split((2 * OFFSET_GROUPS * 9, OFFSET_GROUPS * 9), dim=1)
        return deform_conv(x, offset, mask.sigmoid(), self.weight, self.bias)


class _Align(nn.Module):
    """PCD: bring the features of a neighbour onto those of the reference, coarse to fine, then once more."""

    def __init__(self, width: int) -> None:
        super().__init__()
        levels = [f"l{level}" for level in range(LEVELS, 0, -1)]
        coarsest = levels[0]
        self.offset_conv1 = nn.ModuleDict({at: _conv(2 * width, width) for at in levels})
        self.offset_conv2 = nn.ModuleDict({at: _conv(width if at == coarsest else 2 * width, width) for at in levels})
        self.offset_conv3 = nn.ModuleDict({at: _conv(width, width) for at in levels[1:]})
        self.dcn_pack = nn.ModuleDict({at: _Deform(width) for at in levels})
        self.feat_conv = nn.ModuleDict({at: _conv(2 * width, width) for at in levels[1:]})
        self.cas_offset_conv1 = _conv(2 * width, width)
        self.cas_offset_conv2 = _conv(width, width)
        self.cas_dcnpack = _Deform(width)

    def forward(self, neighbour: list[Tensor], reference: list[Tensor]) -> Tensor:
        """Aligned features at the finest level  [(N, width, h, w)]; features come finest first."""
        offset, feature = self._coarsest(neighbour[-1], reference[-1])
        for level in range(LEVELS - 1, 0, -1):
            at = f"l{level}"
            # An offset in pixels is twice as many pixels at twice the size; a feature is what it was.
            below, carried = 2 * _twice(offset), _twice(feature)
            offset = _leaky(self.offset_conv1[at](torch.cat([neighbour[level - 1], reference[level - 1]], dim=1)))
            offset = _leaky(self.offset_conv2[at](torch.cat([offset, below], dim=1)))
            offset = _leaky(self.offset_conv3[at](offset))
            feature = self.dcn_pack[at](neighbour[level - 1], offset)
            feature = self.feat_conv[at](torch.cat([feature, carried], dim=1))
            if level > 1:
                feature = _leaky(feature)
        offset = _leaky(self.cas_offset_conv1(torch.cat([feature, reference[0]], dim=1)))
        offset = _leaky(self.cas_offset_conv2(offset))
        return _leaky(self.cas_dcnpack(feature, offset))

    def _coarsest(self, neighbour: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        at = f"l{LEVELS}"
        offset = _leaky(self.offset_conv1[at](torch.cat([neighbour, reference], dim=1)))
        offset = _leaky(self.offset_conv2[at](offset))
        return offset, _leaky(self.dcn_pack[at](neighbour, offset))


def _pooled(x: Tensor) -> Tensor:
    """Greatest and mean of 3x3 at every second place; beyond the border counts 0 in the mean."""
    return torch.cat([F.max_pool2d(x, 3, 2, 1), F.avg_pool2d(x, 3, 2, 1)], dim=1)


class _Fuse(nn.Module):
    """TSA: weigh each frame by how far it agrees with the reference, then weigh places over a small pyramid."""

    def __init__(self, width: int, frames: int) -> None:
        super().__init__()
        self.centre = frames // 2
        self.temporal_attn1 = _conv(width, width)
        self.temporal_attn2 = _conv(width, width)
        self.feat_fusion = _conv(frames * width, width, 1)
        self.spatial_attn1 = _conv(frames * width, width, 1)
        self.spatial_attn2 = _conv(2 * width, width, 1)
        self.spatial_attn3 = _conv(width, width)
        self.spatial_attn4 = _conv(width, width, 1)
        self.spatial_attn5 = _conv(width, width)
        self.spatial_attn_l1 = _conv(width, width, 1)
        self.spatial_attn_l2 = _conv(2 * width, width)
        self.spatial_attn_l3 = _conv(width, width)
        self.spatial_attn_add1 = _conv(width, width, 1)
        self.spatial_attn_add2 = _conv(width, width, 1)

    def forward(self, aligned: Tensor) -> Tensor:
        """One feature of all frames  [(N, width, h, w)] from [(N, T, width, h, w)]."""
        reference = self.temporal_attn1(aligned[:, self.centre])
        embedded = self.temporal_attn2(aligned.flatten(0, 1)).reshape(aligned.shape)
        agreement = torch.sigmoid((embedded * reference.unsqueeze(1)).sum(dim=2, keepdim=True))
        weighed = (aligned * agreement).flatten(1, 2)
        fused = _leaky(self.feat_fusion(weighed))

        fine = _leaky(self.spatial_attn2(_pooled(_leaky(self.spatial_attn1(weighed)))))
        coarse = _leaky(self.spatial_attn_l2(_pooled(_leaky(self.spatial_attn_l1(fine)))))
        coarse = _twice(_leaky(self.spatial_attn_l3(coarse)))
        where = _leaky(self.spatial_attn4(_leaky(self.spatial_attn3(fine)) + coarse))
        where = self.spatial_attn5(_twice(where))
        added = self.spatial_attn_add2(_leaky(self.spatial_attn_add1(where)))
        return cast(Tensor, fused * torch.sigmoid(where) * 2 + added)


class _Deblur(nn.Module):
    """Features of a blurred frame over a pyramid of three levels; those of a large one at a quarter of its size."""

    def __init__(self, width: int, *, full_size: bool) -> None:
        super().__init__()
        self.conv_first = _conv(3, width)
        self.full_size = full_size
        if full_size:
            self.stride_conv_hr1 = _conv(width, width, stride=2)
            self.stride_conv_hr2 = _conv(width, width, stride=2)
        self.stride_conv_l2 = _conv(width, width, stride=2)
        self.stride_conv_l3 = _conv(width, width, stride=2)
        self.resblock_l3 = _Residual(width)
        self.resblock_l2_1 = _Residual(width)
        self.resblock_l2_2 = _Residual(width)
        self.resblock_l1 = nn.ModuleList(_Residual(width) for _ in range(5))

    def forward(self, x: Tensor) -> Tensor:
        fine = _leaky(self.conv_first(x))
        if self.full_size:
            fine = _leaky(self.stride_conv_hr2(_leaky(self.stride_conv_hr1(fine))))
        middle = _leaky(self.stride_conv_l2(fine))
        coarse = _leaky(self.stride_conv_l3(middle))
        middle = self.resblock_l2_1(middle) + _twice(self.resblock_l3(coarse))
        middle = _twice(self.resblock_l2_2(middle))
        # The coarser levels join after two of the five blocks.
        for place, block in enumerate(self.resblock_l1):
            fine = block(fine) + middle if place == 1 else block(fine)
        return fine


class EDVR(nn.Module):
    """The network of one layout.

    Source: as the module's.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        width = layout.width
        if layout.deblurs:
            self.predeblur = _Deblur(width, full_size=layout.full_size)
            self.conv_1x1 = _conv(width, width, 1)
        else:
            self.conv_first = _conv(3, width)
        self.feature_extraction = nn.Sequential(*(_Residual(width) for _ in range(EXTRACT)))
        self.conv_l2_1 = _conv(width, width, stride=2)
        self.conv_l2_2 = _conv(width, width)
        self.conv_l3_1 = _conv(width, width, stride=2)
        self.conv_l3_2 = _conv(width, width)
        self.pcd_align = _Align(width)
        self.fusion = _Fuse(width, layout.frames) if layout.attends else _conv(layout.frames * width, width, 1)
        self.reconstruction = nn.Sequential(*(_Residual(width) for _ in range(layout.rebuild)))
        self.upconv1 = _conv(width, 4 * width)
        self.upconv2 = _conv(width, 4 * LAST_WIDTH)
        self.conv_hr = _conv(LAST_WIDTH, LAST_WIDTH)
        self.conv_last = _conv(LAST_WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Restore the middle frame.

        Args:
            x: consecutive frames  [(N, T, 3, H, W) float32 [0, 1] R'G'B']; T is the layout's number of frames,
                H and W are multiples of the layout's

        Returns:
            [(N, 3, scale H, scale W) float32 R'G'B'], not clipped
        """
        levels = [level.reshape(*x.shape[:2], *level.shape[1:]) for level in self._features(x.flatten(0, 1))]
        centre = x.shape[1] // 2
        reference = [level[:, centre].contiguous() for level in levels]
        aligned = [
            self.pcd_align([level[:, t].contiguous() for level in levels], reference) for t in range(x.shape[1])
        ]  # fmt: skip
        stack = torch.stack(aligned, dim=1)
        feature = self.fusion(stack if self.layout.attends else stack.flatten(1, 2))
        y = self.reconstruction(feature)
        y = _leaky(F.pixel_shuffle(self.upconv1(y), 2))
        y = _leaky(F.pixel_shuffle(self.upconv2(y), 2))
        y = unrounded(self.conv_last, _leaky(self.conv_hr(y)))
        frame = x[:, centre]
        if not self.layout.full_size:
            frame = F.interpolate(frame, scale_factor=4, mode="bilinear", align_corners=False)
        return y + frame

    def _features(self, frames: Tensor) -> list[Tensor]:
        """Features of each frame at three levels, finest first."""
        if self.layout.deblurs:
            fine = self.conv_1x1(self.predeblur(frames))
        else:
            fine = _leaky(self.conv_first(frames))
        fine = self.feature_extraction(fine)
        middle = _leaky(self.conv_l2_2(_leaky(self.conv_l2_1(fine))))
        return [fine, middle, _leaky(self.conv_l3_2(_leaky(self.conv_l3_1(middle))))]
