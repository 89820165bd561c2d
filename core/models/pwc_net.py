"""PWC-Net as DAIN holds it: coarse-to-fine optical flow, for inference, written from its description.

Module names follow the published checkpoint. ``deconv2`` is in it and is never asked.

Source: Sun et al. 2018, PWC-Net: CNNs for Optical Flow Using Pyramid, Warping, and Cost Volume.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.dain_ops import correlation, warp_features
from core.models.tensors import unrounded

WIDTHS = (16, 32, 64, 96, 128, 196)  # of the features at half size, a quarter, ... a sixty-fourth
FINEST, COARSEST = 2, 6  # levels at which flow is estimated; the finest is a quarter of the size
REACH = 4  # of the cost volume  [px of its level]
DENSE = (128, 128, 96, 64, 32)  # what each convolution of an estimator adds
CONTEXT = ((128, 1), (128, 2), (128, 4), (96, 8), (64, 16), (32, 1))  # width and dilation
FLOW_UNIT = 20.0  # the network speaks of flow in twentieths of a pixel of the full size


def _conv(inner: int, outer: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inner, outer, 3, stride, dilation, dilation), nn.LeakyReLU(0.1))


def _twice(inner: int) -> nn.ConvTranspose2d:
    """Two channels at twice the size."""
    return nn.ConvTranspose2d(inner, 2, 4, 2, 1)


class PWCNet(nn.Module):
    """Flow from one picture to another.

    Source: as the module's.
    """

    def __init__(self) -> None:
        super().__init__()
        inner = 3
        for level, width in enumerate(WIDTHS, start=1):
            # At the coarsest level the names "a" and "aa" have changed places; `_order` knows.
            first, second, third = (f"conv{level}{tail}" for tail in _order(level))
            self.add_module(first, _conv(inner, width, stride=2))
            self.add_module(second, _conv(width, width))
            self.add_module(third, _conv(width, width))
            inner = width
        for level in range(COARSEST, FINEST - 1, -1):
            volume = (2 * REACH + 1) ** 2
            width = volume if level == COARSEST else volume + WIDTHS[level - 1] + 4
            for place, added in enumerate(DENSE):
                self.add_module(f"conv{level}_{place}", _conv(width, added))
                width += added
            self.add_module(f"predict_flow{level}", nn.Conv2d(width, 2, 3, padding=1))
            self.add_module(f"deconv{level}", _twice(2))
            if level > FINEST:
                self.add_module(f"upfeat{level}", _twice(width))
        for place, (outer, dilation) in enumerate(CONTEXT, start=1):
            self.add_module(f"dc_conv{place}", _conv(width, outer, dilation=dilation))
            width = outer
        self.add_module(f"dc_conv{len(CONTEXT) + 1}", nn.Conv2d(width, 2, 3, padding=1))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Estimate the flow from the first picture to the second.

        Args:
            first: [(N, 3, H, W) float32 R'G'B' [0, 1]]; H and W are multiples of 64
            second: the same

        Returns:
            At a quarter of the size, to be multiplied by `FLOW_UNIT`  [(N, 2, H/4, W/4) float32]
        """
        ones, twos = self._pyramid(first), self._pyramid(second)
        flow = carried = torch.empty(0)
        for level in range(COARSEST, FINEST - 1, -1):
            one, two = ones[level - 1], twos[level - 1]
            if level == COARSEST:
                x = F.leaky_relu(correlation(one, two, REACH), 0.1)
            else:
                # A vector of `FLOW_UNIT` of full size is this many pixels here.
                moved = warp_features(two, flow * (FLOW_UNIT / 2**level))
                x = torch.cat([F.leaky_relu(correlation(one, moved, REACH), 0.1), one, flow, carried], dim=1)
            for place in range(len(DENSE)):
                x = torch.cat([self._at(f"conv{level}_{place}", x), x], dim=1)
            flow = unrounded(self.get_submodule(f"predict_flow{level}"), x)
            if level > FINEST:
                flow = unrounded(self.get_submodule(f"deconv{level}"), flow)
                carried = self._at(f"upfeat{level}", x)
        for place in range(1, len(CONTEXT) + 1):
            x = self._at(f"dc_conv{place}", x)
        return flow + unrounded(self.get_submodule(f"dc_conv{len(CONTEXT) + 1}"), x)

    def _pyramid(self, picture: Tensor) -> list[Tensor]:
        levels = []
        for level in range(1, COARSEST + 1):
            for tail in _order(level):
                picture = self._at(f"conv{level}{tail}", picture)
            levels.append(picture)
        return levels

    def _at(self, name: str, x: Tensor) -> Tensor:
        given: Tensor = self.get_submodule(name)(x)
        return given


def _order(level: int) -> tuple[str, str, str]:
    return ("aa", "a", "b") if level == COARSEST else ("a", "aa", "b")
