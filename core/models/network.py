"""The embedded network: what it sees in a picture's luma, before anybody has said anything.

It is shown luma alone, so one look serves every hint that is ever given to the frame: it answers with the chroma it
would give unasked, with how likely every chroma is, and with *affinities*, features by which places of the picture are
compared. What hints say is carried along those affinities by ``core.models.kriging``.

All convolutions run at half resolution and below, so that a frame of working size takes a few tens of milliseconds on
two cores of a laptop.

Source: Zhang, Isola & Efros 2016, "Colorful image colorization" (the task, the distribution); Ronneberger, Fischer &
Brox 2015 (U-Net); He et al. 2016 (residual blocks); Wilson et al. 2016, "Deep kernel learning" (affinities).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from core.models.kriging import HEADS, LENGTH, Kriging

Plane = NDArray[np.float32]

MULTIPLE = 16  # four halvings: the unshuffle and three strides
AB_SCALE = 110.0  # a*b* of sRGB lie within about this; the network works in units of it
BIN_STEP = 16.0  # a*b* between neighbouring bins of the distribution
BIN_CELL = 4  # pixels to a side of what one distribution is of
BIN_SIDE = 15  # bins along a* and along b*, about 0: all of sRGB lies within
TEXTURE_PLANES = 5
DEPTHS = (
    1,
    4,
)  # further residual blocks at an eighth and at a sixteenth: where scenes are told apart, and pixels are few
WIDTHS = (32, 64, 128, 192)  # features at a half, a quarter, an eighth and a sixteenth of the resolution


def input_planes(lumas: Plane) -> Plane:
    """Lay out what the network is shown.

    Args:
        lumas: of frames of one size  [(n, H, W) float32 [0, 100] L*]

    Returns:
        Luma about 0  [(n, 1, H, W) float32 [-1, 1]]
    """
    return np.asarray(lumas[:, None] * np.float32(0.02) - np.float32(1.0), np.float32)


def texture(luma: Tensor) -> Tensor:
    """Luma at half resolution, its mean near and less near, and how much it varies there.

    Args:
        luma: as ``input_planes`` gives it  [(N, 1, H, W) float32]

    Returns:
        [(N, 5, H / 2, W / 2) float32], all of about unit size
    """
    half = F.avg_pool2d(luma, 2)
    told = torch.cat([half, half * half], 1)
    near = F.avg_pool2d(told, 5, 1, 2, count_include_pad=False)
    far = F.avg_pool2d(F.avg_pool2d(told, 4), 3, 1, 1, count_include_pad=False)
    far = F.interpolate(far, scale_factor=4.0, mode="bilinear", align_corners=False)
    planes = [half]
    for mean, square in (near.chunk(2, 1), far.chunk(2, 1)):
        planes += [mean, 0.3 * torch.log1p(50.0 * (square - mean * mean).clamp(min=0).add(1e-8).sqrt())]
    return torch.cat(planes, 1)


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

    def silent(self) -> _Residual:
        """Begin by passing on what comes in, or nearly (Goyal et al. 2017, section 5.1)."""
        nn.init.zeros_(self.norm2.weight)
        return self

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


class Sight(NamedTuple):
    """All that the network sees in a picture.

    Attributes:
        ab: the chroma it would give unasked, in units of AB_SCALE     [(N, 2, H, W) float32]
        affinity: features by which places are compared, head by head  [(N, HEADS * LENGTH, H / 2, W / 2) float32]
        doubt: by how much chroma may be another there, in units of AB_SCALE  [(N, 1, H / 2, W / 2) float32, above 0]
    """

    ab: Tensor
    affinity: Tensor
    doubt: Tensor


class ColourNet(nn.Module):
    """U-Net at half resolution with attention at the narrowest level.

    The mean of a shirt that may be red or blue is grey; the distribution knows better, and can be asked for several
    answers.

    Source: as the module's.
    """

    prior: Tensor  # how often each bin is seen in photographs  [(BIN_SIDE ** 2,) float32, sums to 1]

    def __init__(self, widths: tuple[int, int, int, int] = WIDTHS) -> None:
        super().__init__()
        c1, c2, c3, c4 = widths
        self.stem = _Down(4, c1, stride=1)
        self.down2, self.body2 = _Down(c1, c2), _Residual(c2)
        self.down3, self.body3 = _Down(c2, c3), _Residual(c3)
        self.down4, self.body4 = _Down(c3, c4), _Residual(c4)
        self.deep3 = nn.Sequential(*(_Residual(c3).silent() for _ in range(DEPTHS[0])))
        self.attention = _Attention(c4)
        self.body5 = _Residual(c4)
        self.deep4 = nn.Sequential(*(_Residual(c4).silent() for _ in range(DEPTHS[1])))
        self.attention2 = _Attention(c4)
        self.scene = nn.Sequential(nn.LayerNorm(c4), nn.Linear(c4, c4), nn.GELU())
        self.up3, self.up2, self.up1 = _Up(c4, c3, c4), _Up(c3, c2, c4), _Up(c2, c1, c4)
        # Early on the best answer is one sepia for all; without this the features die to give it.
        self.settle = nn.BatchNorm2d(c1)
        self.head = nn.Conv2d(c1, 8, 3, padding=1)
        self.affinity = nn.Conv2d(c1 + TEXTURE_PLANES, HEADS * LENGTH, 3, padding=1)
        self.kinship = nn.Conv2d(c2, HEADS * LENGTH, 1, bias=False)
        self.doubt = nn.Conv2d(c1, 1, 3, padding=1)
        self.kriging = Kriging()
        self.bins = nn.Conv2d(c2, BIN_SIDE**2, 1)
        self.register_buffer("prior", torch.full((BIN_SIDE**2,), BIN_SIDE**-2.0))
        nn.init.normal_(self.head.weight, std=3e-3)
        if self.head.bias is not None:
            nn.init.zeros_(self.head.bias)
        # Places are compared by tone and texture at first; what else makes them alike is for training to find.
        nn.init.normal_(self.affinity.weight, std=0.02)
        nn.init.normal_(self.kinship.weight, std=0.03)
        with torch.no_grad():
            for head in range(HEADS):
                for plane, size in enumerate((5.0, 2.5, 1.5, 1.0, 1.5)):
                    self.affinity.weight[head * LENGTH + plane, c1 + plane, 1, 1] = size * (0.7, 1.5)[head % 2]

    def forward(self, luma: Tensor) -> Sight:
        """Look at pictures.

        Args:
            luma: as ``input_planes`` gives it  [(N, 1, H, W) float32]; H and W are multiples of 16
        """
        return self.judge(luma)[0]

    def judge(self, luma: Tensor) -> tuple[Sight, Tensor]:
        """Look at pictures, and tell how likely each bin of chroma is.

        Args:
            luma: as for ``forward``

        Returns:
            What is seen, and logits of the bins in ``bin_centres`` order
            [(N, BIN_SIDE ** 2, H / 4, W / 4) float32]
        """
        fine, coarse, scene = self._understood(luma)
        x = self._drawn(fine, coarse, scene)
        ab = F.pixel_shuffle(self.head(x), 2)
        kinship = F.interpolate(self.kinship(coarse), scale_factor=2.0, mode="bilinear", align_corners=False)
        affinity = self.affinity(torch.cat([x, texture(luma)], 1)) + kinship
        return Sight(ab, affinity, F.softplus(self.doubt(x)) * 0.2 + 0.01), self.bins(coarse)

    def chroma(self, luma: Tensor) -> Tensor:
        """Only the chroma, as of ``forward``, without the work for the rest."""
        return F.pixel_shuffle(self.head(self._drawn(*self._understood(luma))), 2)

    def odds(self, luma: Tensor) -> Tensor:
        """Only the logits of the bins, as of ``judge``, without the work for the rest."""
        return cast(Tensor, self.bins(self._understood(luma)[1]))

    def _drawn(self, fine: Tensor, coarse: Tensor, scene: Tensor) -> Tensor:
        """Features at half resolution, of what was understood."""
        return cast(Tensor, self.settle(self.up1(coarse, fine, scene)))

    def _understood(self, luma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features at half and at quarter resolution, and those of the scene."""
        s1 = self.stem(F.pixel_unshuffle(luma, 2))
        s2 = self.body2(self.down2(s1))
        s3 = self.deep3(self.body3(self.down3(s2)))
        x = self.attention(self.body4(self.down4(s3)))
        x = self.attention2(self.deep4(self.body5(x)))
        scene = self.scene(x.mean(dim=(2, 3)))
        return s1, self.up2(self.up3(x, s3, scene), s2, scene), scene


def widths_of(weights: Mapping[str, Tensor]) -> tuple[int, int, int, int]:
    """Read off the widths of the network that some weights are for; the embedded one's where they do not tell."""
    names = ("stem", "down2", "down3", "down4")
    found = [weights[f"{name}.conv.weight"].shape[0] for name in names if f"{name}.conv.weight" in weights]
    return (found[0], found[1], found[2], found[3]) if len(found) == len(names) else WIDTHS


def bin_centres() -> Plane:
    """Give the chroma of every bin of the distribution  [(BIN_SIDE ** 2, 2) float32 CIE Lab D65, a* b*]."""
    axis = (np.arange(BIN_SIDE, dtype=np.float32) - BIN_SIDE // 2) * np.float32(BIN_STEP)
    return np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
