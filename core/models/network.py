"""The embedded network: a small hint-conditioned U-Net, and the planes it is fed.

The network sees the film's luma, the hints as given, and the hints already spread along the picture's surfaces by
``core.solver``; it answers with chroma. All convolutions run at half resolution and below, so that a frame of working
size takes a few tens of milliseconds on two cores of a laptop.

Source: Zhang, Zhu, Isola, Geng, Lin, Yu & Efros 2017, "Real-time user-guided image colorization with learned deep
priors" (the task, the simulated hints); Ronneberger, Fischer & Brox 2015 (U-Net); He et al. 2016 (residual blocks).
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from core.solver import spread

Plane = NDArray[np.float32]

MULTIPLE = 16  # four halvings: the unshuffle and three strides
AB_SCALE = 110.0  # a*b* of sRGB lie within about this; the network works in units of it
TRUST_KNEE = 0.05  # reach at which spread hints are half believed
SPREAD_CELLS = 24  # a coarser grid than the closing solve's will do: the network refines it
BIN_STEP = 16.0  # a*b* between neighbouring bins of the distribution
BIN_CELL = 4  # pixels to a side of what one distribution is of
BIN_SIDE = 15  # bins along a* and along b*, about 0: all of sRGB lies within
IN_PLANES = 7  # luma, hint a, hint b, hint weight, spread a, spread b, spread trust


def input_planes(luma: Plane, hint_ab: Plane | None, hint_weight: Plane | None) -> Plane:
    """Lay out what the network is fed.

    Args:
        luma: the film's luma                   [(H, W) float32 [0, 100] L*]
        hint_ab: chroma asked for, or None      [(H, W, 2) float32 CIE Lab D65, a* b*]
        hint_weight: trust in it, 0 = no hint   [(H, W) float32 [0, 1]]

    Returns:
        Luma about 0, hints times their weight, the weight, spread hints times their trust, the trust
        [(7, H, W) float32]

    Raises:
        ShapeError: the arrays differ in H or W.
    """
    planes = np.zeros((IN_PLANES, *luma.shape), np.float32)
    planes[0] = luma * 0.02 - 1.0
    if hint_ab is None or hint_weight is None or not hint_weight.any():
        return planes
    far, reach = spread(luma, hint_ab, hint_weight, cells=SPREAD_CELLS)
    trust = reach / (reach + TRUST_KNEE)
    np.multiply(hint_ab.transpose(2, 0, 1), hint_weight / AB_SCALE, out=planes[1:3])
    planes[3] = hint_weight
    np.multiply(far.transpose(2, 0, 1), trust / AB_SCALE, out=planes[4:6])
    planes[6] = trust
    return planes


def _lively(x: Tensor) -> Tensor:
    """Leaky ReLU: with a plain one, every unit of the last level once fell silent for good, and colour with it."""
    return F.leaky_relu(x, 0.1, inplace=True)


class _Residual(nn.Module):
    """Two 3x3 convolutions around which the input is added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        y = _lively(self.norm1(self.conv1(x)))
        return _lively(x + self.norm2(self.conv2(y)))


class _Down(nn.Module):
    """A strided convolution to the next level."""

    def __init__(self, inner: int, outer: int, stride: int = 2) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inner, outer, 3, stride=stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outer)

    def forward(self, x: Tensor) -> Tensor:
        return _lively(self.norm(self.conv(x)))


class _Attention(nn.Module):
    """Let every part of the picture look at every other: like surfaces take like colour, however far apart.

    Source: Vaswani et al. 2017; Zhang et al. 2019 (self-attention within an image network).
    """

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        # Without this the mean of what is seen grew to forty times what tells one place from another: the scene became
        # the same for every picture, and the zeros around the picture louder than the picture.
        self.settle = nn.BatchNorm2d(width)
        # Begins quietly, so that early training is that of a plain U-Net.
        nn.init.constant_(self.settle.weight, 0.2)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        tokens = x.permute(0, 2, 3, 1).reshape(n, h * w, c)
        q, k, v = self.qkv(self.norm(tokens)).reshape(n, h * w, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v).permute(0, 2, 1, 3).reshape(n, h * w, c)
        return cast(Tensor, x + self.settle(self.out(seen).reshape(n, h, w, c).permute(0, 3, 1, 2)))


class _Up(nn.Module):
    """Bring the level below up, add the skip, and what the whole scene says."""

    def __init__(self, inner: int, outer: int, scene: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inner, outer, 1, bias=False)
        self.norm = nn.BatchNorm2d(outer)
        self.scene = nn.Linear(scene, outer)
        # Begins silent: a scene's say that is large before it is right drowns everything else.
        nn.init.zeros_(self.scene.weight)
        nn.init.zeros_(self.scene.bias)
        self.body = _Residual(outer)

    def forward(self, below: Tensor, skip: Tensor, scene: Tensor) -> Tensor:
        x = self.norm(self.conv(below)) + self.scene(scene)[:, :, None, None]
        x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        return cast(Tensor, self.body(_lively(x + skip)))


class ColourNet(nn.Module):
    """U-Net at half resolution with attention at the narrowest level.

    It answers twice: with the one chroma that errs least, and with how likely every chroma is. The mean of a shirt that
    may be red or blue is grey; the distribution knows better, and can be asked for several answers.

    Source: as the module's; Zhang, Isola & Efros 2016 (the distribution over a*b* bins).
    """

    prior: Tensor  # how often each bin is seen in photographs  [(BIN_SIDE ** 2,) float32, sums to 1]

    def __init__(self, widths: tuple[int, int, int, int] = (32, 64, 128, 192)) -> None:
        super().__init__()
        c1, c2, c3, c4 = widths
        self.stem = _Down(4 * IN_PLANES, c1, stride=1)
        self.down2, self.body2 = _Down(c1, c2), _Residual(c2)
        self.down3, self.body3 = _Down(c2, c3), _Residual(c3)
        self.down4, self.body4 = _Down(c3, c4), _Residual(c4)
        self.attention = _Attention(c4)
        self.body5 = _Residual(c4)
        self.attention2 = _Attention(c4)
        self.scene = nn.Sequential(nn.LayerNorm(c4), nn.Linear(c4, c4), nn.GELU())
        self.up3, self.up2, self.up1 = _Up(c4, c3, c4), _Up(c3, c2, c4), _Up(c2, c1, c4)
        # Early on the best answer is one sepia for all; without this the features die to give it.
        self.settle = nn.BatchNorm2d(c1)
        self.head = nn.Conv2d(c1, 8, 3, padding=1)
        self.bins = nn.Conv2d(c2, BIN_SIDE**2, 1)
        self.register_buffer("prior", torch.full((BIN_SIDE**2,), BIN_SIDE**-2.0))
        nn.init.normal_(self.head.weight, std=3e-3)
        if self.head.bias is not None:
            nn.init.zeros_(self.head.bias)

    def forward(self, planes: Tensor) -> Tensor:
        """Predict chroma.

        Args:
            planes: luma, hints and spread hints as ``input_planes`` makes them  [(N, 7, H, W) float32]; H and W are
                multiples of 16

        Returns:
            Chroma in units of AB_SCALE  [(N, 2, H, W) float32]
        """
        return self._chroma(planes, *self._understood(planes))

    def judge(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        """Predict chroma, and how likely each bin of chroma is.

        Args:
            planes: as for ``forward``

        Returns:
            Chroma as of ``forward``, and logits of the bins in ``bin_centres`` order
            [(N, BIN_SIDE ** 2, H / 4, W / 4) float32]
        """
        fine, coarse, scene = self._understood(planes)
        return self._chroma(planes, fine, coarse, scene), self.bins(coarse)

    def odds(self, planes: Tensor) -> Tensor:
        """Only the logits of the bins, as of ``judge``, without the work for the chroma."""
        return cast(Tensor, self.bins(self._understood(planes)[1]))

    def _understood(self, planes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features at half and at quarter resolution, and those of the scene."""
        s1 = self.stem(F.pixel_unshuffle(planes, 2))
        s2 = self.body2(self.down2(s1))
        s3 = self.body3(self.down3(s2))
        x = self.attention(self.body4(self.down4(s3)))
        x = self.attention2(self.body5(x))
        scene = self.scene(x.mean(dim=(2, 3)))
        return s1, self.up2(self.up3(x, s3, scene), s2, scene), scene

    def _chroma(self, planes: Tensor, fine: Tensor, coarse: Tensor, scene: Tensor) -> Tensor:
        x = self.up1(coarse, fine, scene)
        # What is spread already is the first guess; the network says what to add to it, and where to disbelieve it.
        return planes[:, 4:6] + F.pixel_shuffle(self.head(self.settle(x)), 2)


def bin_centres() -> Plane:
    """Give the chroma of every bin of the distribution  [(BIN_SIDE ** 2, 2) float32 CIE Lab D65, a* b*]."""
    axis = (np.arange(BIN_SIDE, dtype=np.float32) - BIN_SIDE // 2) * np.float32(BIN_STEP)
    return np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
