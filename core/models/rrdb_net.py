"""ESRGAN's generator: residual-in-residual dense blocks, then two enlargements by repetition. For inference.

Module names are those of the newest published checkpoints; `in_todays_names` brings the two older dialects
to them. Every variant ends in x4; the x2 and x1 ones fold neighbouring pixels into channels first.

Source: Wang et al. 2018, ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks;
Wang et al. 2021, Real-ESRGAN (pixel-unshuffle in front, for smaller factors).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.names import renamed
from core.models.tensors import unrounded

WIDTH, GROWTH = 64, 32  # channels of the trunk, and added by each convolution of a dense block
BLOCKS = 23
RESIDUAL = 0.2  # share of a block's answer that is added to what it was given
SLOPE = 0.2  # of the leaky ReLU below zero
ENLARGES = 4  # by how much what follows the trunk enlarges

# Old name to today's, for checkpoints of the ESRGAN repository and of the time before it.
_ESRGAN = {"RRDB_trunk": "body", "trunk_conv": "conv_body", "upconv1": "conv_up1", "upconv2": "conv_up2"}
_OLDEST = {"0": "conv_first", "3": "conv_up1", "6": "conv_up2", "8": "conv_hr", "10": "conv_last"}


class _Dense(nn.Module):
    """Five 3x3 convolutions, each seeing all that went before it."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        for k in range(4):
            self.add_module(f"conv{k + 1}", nn.Conv2d(width + k * growth, growth, 3, padding=1))
        self.conv5 = nn.Conv2d(width + 4 * growth, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        seen = [x]
        for k in range(4):
            conv = self.get_submodule(f"conv{k + 1}")
            seen.append(F.leaky_relu_(conv(torch.cat(seen, dim=1)), SLOPE))
        return cast(Tensor, x + RESIDUAL * self.conv5(torch.cat(seen, dim=1)))


class _Block(nn.Module):
    """Three dense blocks with a residual around them."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = _Dense(width, growth)
        self.rdb2 = _Dense(width, growth)
        self.rdb3 = _Dense(width, growth)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, x + RESIDUAL * self.rdb3(self.rdb2(self.rdb1(x))))


class RRDBNet(nn.Module):
    """The generator at one factor.

    Args:
        scale: 4, 2 or 1.
        blocks: residual-in-residual dense blocks of the trunk.
        width: channels of the trunk.
        growth: channels that each convolution of a dense block adds.

    Source: as the module's.
    """

    def __init__(self, scale: int = 4, blocks: int = BLOCKS, width: int = WIDTH, growth: int = GROWTH) -> None:
        super().__init__()
        self.scale = scale
        self.fold = ENLARGES // scale
        self.conv_first = nn.Conv2d(3 * self.fold**2, width, 3, padding=1)
        self.body = nn.Sequential(*(_Block(width, growth) for _ in range(blocks)))
        self.conv_body = nn.Conv2d(width, width, 3, padding=1)
        self.conv_up1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv_up2 = nn.Conv2d(width, width, 3, padding=1)
        self.conv_hr = nn.Conv2d(width, width, 3, padding=1)
        self.conv_last = nn.Conv2d(width, 3, 3, padding=1)

    @property
    def receptive_radius(self) -> int:
        """How far from a pixel anything can change it  [px of the input]."""
        at_trunk = 1 + 15 * len(self.body) + 1  # each dense block has five convolutions
        # One convolution at twice the trunk's size, three at four times: 1/2 + 3/4, rounded up.
        return self.fold * (at_trunk + 2)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge a picture.

        Args:
            x: [(N, 3, H, W) float32 [0, 1] R'G'B']; H and W are multiples of 4 / scale

        Returns:
            [(N, 3, scale H, scale W) float32 R'G'B'], not clipped
        """
        x = self.conv_first(F.pixel_unshuffle(x, self.fold))
        x = x + self.conv_body(self.body(x))
        for conv in (self.conv_up1, self.conv_up2):
            x = F.leaky_relu_(conv(F.interpolate(x, scale_factor=2, mode="nearest")), SLOPE)
        return unrounded(self.conv_last, F.leaky_relu_(self.conv_hr(x), SLOPE))


def in_todays_names(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A checkpoint's table in today's names, whichever of the three dialects it is written in.

    The oldest numbers its parts (``model.1.sub.4.RDB2.conv3.0.weight``); the ESRGAN repository's has words
    (``RRDB_trunk.4.RDB2.conv3.weight``); today's are lower-case words (``body.4.rdb2.conv3.weight``).

    Args:
        published: name to tensor; left as it is

    Raises:
        WeightsError: two names mean the same part.
    """
    return renamed(published, _todays, mixed="two dialects of ESRGAN")


def _todays(name: str) -> str:
    if name.startswith("model."):
        name = _from_numbers(name)
    stem, dot, rest = name.partition(".")
    stem = {**_ESRGAN, "HRconv": "conv_hr"}.get(stem, stem)
    return re.sub(r"\.RDB(\d)\.", r".rdb\1.", stem + dot + rest)


def _from_numbers(name: str) -> str:
    block = re.fullmatch(r"model\.1\.sub\.(\d+\.RDB\d\.conv\d)\.0\.(weight|bias)", name)
    if block:
        return f"body.{block[1]}.{block[2]}"
    # The trunk's own convolution is numbered after its last block, however many there are.
    trunk = re.fullmatch(r"model\.1\.sub\.\d+\.(weight|bias)", name)
    if trunk:
        return f"conv_body.{trunk[1]}"
    part = re.fullmatch(r"model\.(\d+)\.(weight|bias)", name)
    return f"{_OLDEST[part[1]]}.{part[2]}" if part and part[1] in _OLDEST else name
