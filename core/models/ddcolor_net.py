"""DDColor's network, for inference: a ConvNeXt encoder, a pixel decoder, a colour decoder; from their description.

The encoder sees the grey picture at four scales. The pixel decoder brings that back up to the picture's size, with
skips. The colour decoder is a transformer: a hundred learnt queries look at three scales of the pixel decoder in turn
and become a hundred directions in its feature space; how much of each is found at a pixel gives the pixel's chroma.

Module names follow the published checkpoints, so that a checkpoint's keys are these modules' keys once spectral norm
has been folded into plain weights (`core.models.checkpoint.fold_norms`). Batch norms always use their stored
statistics.

Source: Kang, Yang, Ouyang, Ren, Li & Xie 2023, "DDColor: towards photo-realistic image colorization via dual
decoders"; Liu et al. 2022 (ConvNeXt); Cheng et al. 2022 (Mask2Former, whose layer order the colour decoder has);
Vaswani et al. 2017 (attention, sines as places); Sugawara et al. 2018 (the blur after each pixel shuffle).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Kind = Literal["tiny", "large"]

MULTIPLE = 32  # a stem of stride 4, three halvings
# Blocks per stage and their widths.
ENCODERS: dict[Kind, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "tiny": ((3, 3, 9, 3), (96, 192, 384, 768)),
    "large": ((3, 3, 27, 3), (192, 384, 768, 1536)),
}
WIDTHS = (512, 512, 256)  # of the pixel decoder, from the bottom
QUERIES = 100
LAYERS = 9  # of the colour decoder; they look at the three scales in turn
EMBEDDING = 256
HEADS = 8
INNER = 2048  # width inside a feed-forward layer
WAVES = 10_000.0  # longest wavelength of the sines that tell places, in units of the shortest
# ImageNet's classifier, which some files still hold; colouring has no use for it.
UNUSED = "encoder.arch.head_cls."


class _Norm(nn.LayerNorm):
    """Layer norm over channels, of planes."""

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=1e-6)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _Block(nn.Module):
    """ConvNeXt's: a 7x7 convolution plane by plane, a norm, two layers pixel by pixel; scaled and added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.pwconv1 = nn.Linear(width, 4 * width)
        self.pwconv2 = nn.Linear(4 * width, width)
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.gamma * self.pwconv2(F.gelu(self.pwconv1(y)))
        return cast(Tensor, x + y.permute(0, 3, 1, 2))


class _ConvNeXt(nn.Module):
    """Four stages; each one's output is handed out normed, and on as it is."""

    def __init__(self, depths: tuple[int, ...], widths: tuple[int, ...]) -> None:
        super().__init__()
        stem = nn.Sequential(nn.Conv2d(3, widths[0], 4, stride=4), _Norm(widths[0]))
        halvings = (
            nn.Sequential(_Norm(inner), nn.Conv2d(inner, outer, 2, stride=2)) for inner, outer in pairwise(widths)
        )
        self.downsample_layers = nn.ModuleList([stem, *halvings])
        self.stages = nn.ModuleList(
            nn.Sequential(*(_Block(width) for _ in range(depth))) for depth, width in zip(depths, widths, strict=True)
        )
        for level, width in enumerate(widths):
            self.add_module(f"norm{level}", _Norm(width))
        self.norm = nn.LayerNorm(widths[-1], eps=1e-6)  # before the classifier: published, and never asked here

    def forward(self, x: Tensor) -> list[Tensor]:
        seen = []
        for level, (down, stage) in enumerate(zip(self.downsample_layers, self.stages, strict=True)):
            x = stage(down(x))
            seen.append(cast(Tensor, self.get_submodule(f"norm{level}")(x)))
        return seen


class _Enlarge(nn.Module):
    """1x1 convolution, ReLU, pixel shuffle, 2x2 mean against its chequerboard."""

    def __init__(self, inner: int, outer: int, times: int, *, norm: bool) -> None:
        super().__init__()
        conv = nn.Conv2d(inner, times**2 * outer, 1, bias=not norm)
        self.conv = nn.Sequential(conv, *([nn.BatchNorm2d(times**2 * outer)] if norm else []))
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        x = F.pixel_shuffle(F.relu(self.conv(x)), self.times)
        # One column on the left and one row on top are repeated, so that the mean keeps the size.
        return F.avg_pool2d(F.pad(x, (1, 0, 1, 0), mode="replicate"), 2, stride=1)


class _Decode(nn.Module):
    """Bring the level below up to twice its size, lay the skip beside it, convolve; the norm comes last."""

    def __init__(self, below: int, skip: int, width: int) -> None:
        super().__init__()
        self.shuf = _Enlarge(below, width, 2, norm=True)
        self.bn = nn.BatchNorm2d(skip)
        self.conv = nn.Sequential(
            nn.Conv2d(width + skip, width, 3, padding=1, bias=False),
            nn.ReLU(inplace=True),
            nn.BatchNorm2d(width),
        )

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        return cast(Tensor, self.conv(F.relu(torch.cat([self.shuf(below), self.bn(skip)], dim=1))))


class _Attend(nn.Module):
    """Attention of queries to a memory, added to what they were, normed.

    Args:
        name: the attention's in published keys
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.add_module(name, nn.MultiheadAttention(EMBEDDING, HEADS, batch_first=True))
        self.norm = nn.LayerNorm(EMBEDDING)

    def forward(self, x: Tensor, place: Tensor, memory: Tensor, memory_place: Tensor) -> Tensor:
        attention = self.get_submodule(self.name)
        found, _ = attention(x + place, memory + memory_place, memory, need_weights=False)
        return cast(Tensor, self.norm(x + found))


class _Forward(nn.Module):
    """Two linear layers with a ReLU between them, added to their input, normed."""

    def __init__(self) -> None:
        super().__init__()
        self.linear1 = nn.Linear(EMBEDDING, INNER)
        self.linear2 = nn.Linear(INNER, EMBEDDING)
        self.norm = nn.LayerNorm(EMBEDDING)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.norm(x + self.linear2(F.relu(self.linear1(x)))))


class _Layers(nn.Module):
    """Three linear layers with ReLUs between them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(EMBEDDING, EMBEDDING) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        first, second, third = self.layers
        return cast(Tensor, third(F.relu(second(F.relu(first(x))))))


class _ColourDecoder(nn.Module):
    """Queries that look at three scales in turn and become directions in the picture's features."""

    def __init__(self) -> None:
        super().__init__()
        self.query_feat = nn.Embedding(QUERIES, EMBEDDING)
        self.query_embed = nn.Embedding(QUERIES, EMBEDDING)
        self.level_embed = nn.Embedding(len(WIDTHS), EMBEDDING)
        self.input_proj = nn.ModuleList(nn.Conv2d(width, EMBEDDING, 1) for width in WIDTHS)
        self.transformer_self_attention_layers = nn.ModuleList(_Attend("self_attn") for _ in range(LAYERS))
        self.transformer_cross_attention_layers = nn.ModuleList(_Attend("multihead_attn") for _ in range(LAYERS))
        self.transformer_ffn_layers = nn.ModuleList(_Forward() for _ in range(LAYERS))
        self.decoder_norm = nn.LayerNorm(EMBEDDING)
        self.color_embed = _Layers()

    def forward(self, scales: list[Tensor], features: Tensor) -> Tensor:
        memories, places = [], []
        for level, (scale, project) in enumerate(zip(scales, self.input_proj, strict=True)):
            memories.append(project(scale).flatten(2).transpose(1, 2) + self.level_embed.weight[level])
            places.append(_places(*scale.shape[-2:], device=scale.device))
        own = self.query_embed.weight
        x = self.query_feat.weight.expand(len(features), -1, -1)
        for layer in range(LAYERS):
            level = layer % len(WIDTHS)
            x = self.transformer_cross_attention_layers[layer](x, own, memories[level], places[level])
            x = self.transformer_self_attention_layers[layer](x, own, x, own)
            x = self.transformer_ffn_layers[layer](x)
        return torch.einsum("nqc,nchw->nqhw", self.color_embed(self.decoder_norm(x)), features)


def _places(h: int, w: int, *, device: torch.device) -> Tensor:
    """Sines and cosines that tell where in the picture a cell is, whatever the picture's size  [(h * w, 256)].

    Half of the channels tell of the row, half of the column; sine and cosine alternate.
    """
    half = EMBEDDING // 2
    waves = WAVES ** (2 * (torch.arange(half, dtype=torch.float32, device=device) // 2) / half)

    def told(count: int) -> Tensor:
        steps = torch.arange(1, count + 1, dtype=torch.float32, device=device)
        turns = (steps / (count + 1e-6) * (2 * math.pi))[:, None] / waves
        return torch.stack([turns[:, 0::2].sin(), turns[:, 1::2].cos()], dim=-1).flatten(1)

    rows, columns = told(h)[:, None].expand(h, w, half), told(w)[None].expand(h, w, half)
    return torch.cat([rows, columns], dim=-1).flatten(0, 1)


class _Encoder(nn.Module):
    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self.arch = _ConvNeXt(*ENCODERS[kind])

    def forward(self, x: Tensor) -> list[Tensor]:
        return cast("list[Tensor]", self.arch(x))


class _Decoder(nn.Module):
    """The pixel decoder, and the colour decoder that looks at its levels."""

    def __init__(self, skips: tuple[int, ...]) -> None:
        super().__init__()
        below = (skips[-1], *WIDTHS)
        self.layers = nn.ModuleList(
            _Decode(inner, skip, outer) for inner, skip, outer in zip(below, reversed(skips[:-1]), WIDTHS, strict=False)
        )
        self.last_shuf = _Enlarge(WIDTHS[-1], EMBEDDING, 4, norm=False)
        self.color_decoder = _ColourDecoder()

    def forward(self, seen: list[Tensor]) -> Tensor:
        x, scales = seen[-1], []
        for layer, skip in zip(self.layers, reversed(seen[:-1]), strict=True):
            x = layer(x, skip)
            scales.append(x)
        return cast(Tensor, self.color_decoder(scales, self.last_shuf(x)))


class DualDecoder(nn.Module):
    """DDColor: "tiny" on a ConvNeXt-T or "large" on a ConvNeXt-L.

    Source: as the module's.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        # ImageNet's mean and standard deviation of R'G'B'; the checkpoints hold them.
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1))
        self.encoder = _Encoder(kind)
        self.decoder = _Decoder(ENCODERS[kind][1])
        self.refine_net = nn.Sequential(nn.Sequential(nn.Conv2d(QUERIES + 3, 2, 1)))
        self.eval()

    def train(self, mode: bool = True) -> DualDecoder:
        """Stay in inference mode: trained weights are only right with the stored statistics."""
        return super().train(False)

    def forward(self, x: Tensor) -> Tensor:
        """Colour a grey picture.

        Args:
            x: three equal planes  [(N, 3, H, W) float32 [0, 1] R'G'B' sRGB]; H and W are multiples of 32

        Returns:
            Chroma  [(N, 2, H, W) float32 CIE Lab D65, a* b*]
        """
        x = (x - self.mean) / self.std
        found = self.decoder(self.encoder(x))
        return cast(Tensor, self.refine_net(torch.cat([found, x], dim=1)))
