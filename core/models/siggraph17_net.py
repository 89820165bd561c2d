"""The network of "Real-time user-guided colourisation", for inference, written from its description.

It is shown luma, chroma at the places where somebody has spoken, and a mask of those places; it answers with chroma
everywhere and, half way up, with how likely each of 529 bins of chroma is.

Module names follow the published checkpoints, so that a checkpoint's keys are these modules' keys. Batch norms
always use their stored statistics.

Source: Zhang, Zhu, Isola, Geng, Lin, Yu & Efros 2017, "Real-time user-guided image colorization with learned deep
priors", section 3.3; Yu & Koltun 2016 (dilation); Ronneberger et al. 2015 (long skips).
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MULTIPLE = 8  # three halvings
BINS = 529  # of chroma: 23 along a*, 23 along b*
CELL = 4  # pixels to a side of what one distribution is of
AB_SCALE = 110.0  # a* b* at which the answer's tanh ends


class _Looked(NamedTuple):
    """What is left of a picture at full, half and quarter resolution, on the way down and up again."""

    full: Tensor
    half: Tensor
    quarter: Tensor


def _convs(*widths: int, dilation: int = 1) -> list[nn.Module]:
    """3x3 convolutions from width to width, a ReLU after each."""
    parts: list[nn.Module] = []
    for inner, outer in pairwise(widths):
        parts += [nn.Conv2d(inner, outer, 3, padding=dilation, dilation=dilation), nn.ReLU(inplace=True)]
    return parts


def _stage(*widths: int, dilation: int = 1) -> nn.Sequential:
    """A stage of the way down: the norm comes last, once."""
    return nn.Sequential(*_convs(*widths, dilation=dilation), nn.BatchNorm2d(widths[-1]))


def _joined(*widths: int) -> nn.Sequential:
    """A stage of the way up: what was added to it is rectified first."""
    return nn.Sequential(nn.ReLU(), *_convs(*widths), nn.BatchNorm2d(widths[-1]))


def _up(inner: int, outer: int) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose2d(inner, outer, 4, stride=2, padding=1))


def _conv(inner: int, outer: int, size: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inner, outer, size, padding=size // 2))


class UserGuided(nn.Module):
    """The hint-conditioned colouriser with its distribution head.

    Source: as the module's.
    """

    def __init__(self) -> None:
        super().__init__()
        self.model1 = _stage(4, 64, 64)
        self.model2 = _stage(64, 128, 128)
        self.model3 = _stage(128, 256, 256, 256)
        self.model4 = _stage(256, 512, 512, 512)
        self.model5 = _stage(512, 512, 512, 512, dilation=2)
        self.model6 = _stage(512, 512, 512, 512, dilation=2)
        self.model7 = _stage(512, 512, 512, 512)
        self.model8up, self.model3short8 = _up(512, 256), _conv(256, 256, 3)
        self.model8 = _joined(256, 256, 256)
        self.model9up, self.model2short9 = _up(256, 128), _conv(128, 128, 3)
        self.model9 = _joined(128, 128)
        self.model10up, self.model1short10 = _up(128, 128), _conv(64, 128, 3)
        self.model10 = nn.Sequential(nn.ReLU(), nn.Conv2d(128, 128, 3, padding=1), nn.LeakyReLU(0.2, inplace=True))
        self.model_class = _conv(256, BINS, 1)
        self.model_out = _conv(128, 2, 1)
        self.eval()

    def train(self, mode: bool = True) -> UserGuided:
        """Stay in inference mode: trained weights are only right with the stored statistics."""
        return super().train(False)

    def forward(self, x: Tensor) -> Tensor:
        """Colour a picture.

        Args:
            x: as `planes` gives it  [(N, 4, H, W) float32]; H and W are multiples of 8

        Returns:
            Chroma  [(N, 2, H, W) float32 (-110, 110) CIE Lab D65, a* b*]
        """
        seen = self._look(x)
        y = self.model9(self.model9up(seen.quarter) + self.model2short9(seen.half))
        y = self.model10(self.model10up(y) + self.model1short10(seen.full))
        return torch.tanh(self.model_out(y)) * AB_SCALE

    def odds(self, x: Tensor) -> Tensor:
        """How likely each bin of chroma is, for each cell of 4x4 pixels.

        Args:
            x: as `planes` gives it  [(N, 4, H, W) float32]; H and W are multiples of 8

        Returns:
            Logits, not yet softened  [(N, 529, H / 4, W / 4) float32]
        """
        return cast(Tensor, self.model_class(self._look(x).quarter))

    def _look(self, x: Tensor) -> _Looked:
        full = self.model1(x)
        half = self.model2(_every_second(full))
        quarter = self.model3(_every_second(half))
        deep = self.model7(self.model6(self.model5(self.model4(_every_second(quarter)))))
        return _Looked(full, half, self.model8(self.model8up(deep) + self.model3short8(quarter)))


def _every_second(x: Tensor) -> Tensor:
    """Half the size by leaving pixels out: the network was trained without pooling."""
    return x[:, :, ::2, ::2]


def planes(luma: Tensor, ab: Tensor, mask: Tensor, *, centre: float) -> Tensor:
    """Lay out what the network is shown.

    Args:
        luma: L*                                [(N, 1, H, W) float32 [0, 100]]
        ab: chroma asked for, 0 where none is   [(N, 2, H, W) float32 CIE Lab D65, a* b*]
        mask: 1 where chroma is asked for       [(N, 1, H, W) float32 [0, 1]]
        centre: what is taken off the mask; the checkpoint's own, 0 or 0.5

    Returns:
        [(N, 4, H, W) float32], H and W brought up to multiples of 8 by repeating the last row and column; hints
        there say nothing
    """
    h, w = luma.shape[-2:]
    by = (0, -w % MULTIPLE, 0, -h % MULTIPLE)
    # Repeated luma is no new thing to colour; mirrored luma would be.
    scene = F.pad((luma - 50.0) / 100.0, by, mode="replicate")
    return torch.cat([scene, F.pad(ab / AB_SCALE, by), F.pad(mask, by) - centre], dim=1)
