"""DeOldify's generators, for inference: a U-Net on a ResNet body, written from their description.

Module names follow the published checkpoints, so that a checkpoint's keys are these modules' keys once
spectral norm and weight norm have been folded into plain weights (`core.models.checkpoint.fold_norms`);
nothing here knows of either. Batch norms always use their stored statistics.

The layout of memory chooses between two orders of the same sums. Channels last, everything is computed as it is soonest
done. Plain (contiguous), everything is added up in the published program's order, and the answer is its answer to the
bit; that is what comparing with it asks for.

Source: Antic 2018-2022, DeOldify (MIT); Ronneberger et al. 2015 (U-Net); He et al. 2016 (ResNet);
Zhang et al. 2019 (self-attention); Sugawara et al. 2018 (the blur after each pixel shuffle).
"""

from __future__ import annotations

from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Kind = Literal["wide", "deep"]

# Children of the body whose outputs are handed across, deepest first: layers 3, 2, 1 and the stem's ReLU.
SKIPS = (6, 5, 4, 2)
ATTENTION_BLOCK = 1  # the second decoder block closes with self-attention
Y_RANGE = 3.0  # the answer lies in (-3, 3), in units of ImageNet's standard deviation


class _Basic(nn.Module):
    """Two 3x3 convolutions around which the input is added (ResNet-18 and -34)."""

    growth = 1

    def __init__(self, inner: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inner, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inner, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return _added(self.bn2(self.conv2(y)), x if self.downsample is None else self.downsample(x))


class _Bottleneck(nn.Module):
    """1x1, 3x3, 1x1, with the stride on the 3x3 (ResNet-50 and deeper, as torchvision trained them)."""

    growth = 4

    def __init__(self, inner: int, width: int, stride: int) -> None:
        super().__init__()
        outer = width * self.growth
        self.conv1 = nn.Conv2d(inner, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outer, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outer)
        self.downsample = _shortcut(inner, outer, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        return _added(self.bn3(self.conv3(y)), x if self.downsample is None else self.downsample(x))


def _added(y: Tensor, x: Tensor) -> Tensor:
    """ReLU of both, in the first one's memory: fresh memory costs more here than the sum."""
    return F.relu(y.add_(x), inplace=True)


def _shortcut(inner: int, outer: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and inner == outer:
        return None
    return nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))


def _body(block: type[_Basic] | type[_Bottleneck], depths: tuple[int, int, int, int]) -> nn.Sequential:
    """The first eight children of a ResNet: stem, max pool, four layers."""
    children: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ]
    inner = 64
    for level, depth in enumerate(depths):
        width, layer = 64 << level, []
        for place in range(depth):
            layer.append(block(inner, width, 2 if level and not place else 1))
            inner = width * block.growth
        children.append(nn.Sequential(*layer))
    return nn.Sequential(*children)


class _Attention(nn.Module):
    """Self-attention over all places of the picture; the softmax runs over the query's index."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Conv1d(width, width // 8, 1, bias=False)
        self.key = nn.Conv1d(width, width // 8, 1, bias=False)
        self.value = nn.Conv1d(width, width, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2)
        query, key, value = self.query(flat), self.key(flat), self.value(flat)
        # As published: o_j = sum_i v_i softmax_i(q_i . k_j): its key asks and its query is asked.
        if x.is_contiguous():
            seen = value @ torch.softmax(query.transpose(1, 2).contiguous() @ key, dim=1)
        else:
            key, query, value = (a.transpose(1, 2) for a in (key, query, value))
            seen = F.scaled_dot_product_attention(key, query, value, scale=1.0).transpose(1, 2)
        return cast(Tensor, self.gamma * seen.reshape(x.shape) + x)


class _Bottom(nn.Conv2d):
    """3x3 convolution of few places with many channels, on the CPU as one product of matrices.

    Its weights outweigh the picture a hundredfold; the library's convolution brings them into an order of its own at
    every call, which takes longer than all the rest of it. Only channels last (see the module).
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or not self.weight.is_contiguous(memory_format=torch.channels_last):
            return super().forward(x)
        n, c, h, w = x.shape
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
        row, column = padded.stride(1), padded.stride(2)
        seen = padded.as_strided((n, h, w, 3, 3, c), (padded.stride(0), row, column, row, column, 1))
        # Channels last the weights lie in this order already: no copy.
        weight = self.weight.permute(0, 2, 3, 1).reshape(self.out_channels, 9 * c)
        return F.linear(seen.reshape(n, h, w, 9 * c), weight).permute(0, 3, 1, 2)


def _conv(inner: int, outer: int, *, attention: bool = False, conv: type[nn.Conv2d] = nn.Conv2d) -> nn.Sequential:
    """3x3 convolution, ReLU, batch norm (in this order), and self-attention where asked for."""
    parts: list[nn.Module] = [
        conv(inner, outer, 3, padding=1, bias=False),
        nn.ReLU(inplace=True),
        nn.BatchNorm2d(outer),
    ]
    return nn.Sequential(*parts, *([_Attention(outer)] if attention else []))


class _Enlarge(nn.Module):
    """1x1 convolution, ReLU, pixel shuffle to twice the size, 2x2 mean against its chequerboard."""

    def __init__(self, inner: int, outer: int, *, norm: bool) -> None:
        super().__init__()
        conv = nn.Conv2d(inner, 4 * outer, 1, bias=not norm)
        self.conv = nn.Sequential(conv, nn.BatchNorm2d(4 * outer)) if norm else nn.Sequential(conv)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(F.pixel_shuffle(F.relu(self.conv(x), inplace=True), 2), (1, 0, 1, 0), mode="replicate")
        # Each pixel with those above and to the left, added row by row as the published pooling does, in half its time.
        mean = x[..., :-1, :-1] + x[..., :-1, 1:]
        return mean.add_(x[..., 1:, :-1]).add_(x[..., 1:, 1:]).mul_(0.25)


class _Decode(nn.Module):
    """Bring the level below up, lay the skip beside it, convolve once (wide) or twice (deep)."""

    def __init__(self, kind: Kind, below: int, skip: int, *, attention: bool, last: bool) -> None:
        super().__init__()
        self.kind = kind
        if kind == "wide":
            up = self.width = 256 if last else 512
            self.conv = _conv(up + skip, self.width, attention=attention)
        else:
            up = below // 2
            self.width = int(1.5 * ((up + skip) // 2 if last else up + skip))
            self.conv1 = _conv(up + skip, self.width)
            self.conv2 = _conv(self.width, self.width, attention=attention)
        self.shuf = _Enlarge(below, up, norm=True)
        self.bn = nn.BatchNorm2d(skip)

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        up = self.shuf(below)
        if up.shape[-2:] != skip.shape[-2:]:
            up = F.interpolate(up, skip.shape[-2:], mode="nearest")
        x = F.relu(torch.cat([up, self.bn(skip)], dim=1), inplace=True)
        return cast(Tensor, self.conv(x) if self.kind == "wide" else self.conv2(self.conv1(x)))


class _Refine(nn.Module):
    """Twice a 3x3 convolution and ReLU; the input is added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(inplace=True)) for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.layers[1](self.layers[0](x)).add_(x))


class Generator(nn.Module):
    """DeOldify's U-Net: "wide" on a ResNet-101 (stable, video) or "deep" on a ResNet-34 (artistic).

    Source: as the module's.
    """

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        wide = kind == "wide"
        body = _body(_Bottleneck, (3, 4, 23, 3)) if wide else _body(_Basic, (3, 4, 6, 3))
        bottom, *skips = (2048, 1024, 512, 256, 64) if wide else (512, 256, 128, 64, 64)
        layers: list[nn.Module] = [body, nn.BatchNorm2d(bottom), nn.ReLU()]
        layers.append(nn.Sequential(_conv(bottom, 2 * bottom, conv=_Bottom), _conv(2 * bottom, bottom, conv=_Bottom)))
        width = bottom
        for place, skip in enumerate(skips):
            last = place == len(skips) - 1
            block = _Decode(kind, width, skip, attention=place == ATTENTION_BLOCK, last=last)
            layers.append(block)
            width = block.width
        layers.append(_Enlarge(width, width, norm=False))
        layers.append(nn.Identity())  # place 9 of the published list: the picture itself joins here
        layers.append(_Refine(width + 3))
        layers.append(nn.Sequential(nn.Conv2d(width + 3, 3, 1)))
        self.layers = nn.ModuleList(layers)
        self.eval()

    def train(self, mode: bool = True) -> Generator:
        """Stay in inference mode: trained weights are only right with the stored statistics."""
        return super().train(False)

    def forward(self, x: Tensor) -> Tensor:
        """Colour a grey picture.

        Args:
            x: three equal planes, less ImageNet's mean, by its standard deviation
                [(N, 3, H, W) float32 R'G'B' normalised]; H and W are multiples of 16

        Returns:
            The coloured picture in the same units  [(N, 3, H, W) float32 (-3, 3)]
        """
        picture, kept = x, {}
        for place, child in enumerate(cast(nn.Sequential, self.layers[0])):
            x = child(x)
            if place in SKIPS:
                kept[place] = x
        x = self.layers[3](F.relu(self.layers[1](x)))
        for block, place in zip(self.layers[4:8], SKIPS, strict=True):
            x = block(x, kept.pop(place))
        x = torch.cat([self.layers[8](x), picture], dim=1)
        x = self.layers[11](self.layers[10](x))
        return 2.0 * Y_RANGE * torch.sigmoid(x) - Y_RANGE
