"""DAIN's own operators in plain PyTorch: what its authors wrote as CUDA kernels, on any device.

Pictures are (N, C, H, W). Flow is (N, 2, H, W) in pixels, channel 0 along x; the point at (x, y) of one picture
lies at (x + dx, y + dy) of the other. Cells are found by cutting off the fraction, as the kernels do it.

Sums over what is thrown together are kept in float64 where the device has it: the order in which a GPU adds is
left to chance, and a cache key promises the same bits. Nothing is computed below float32, whatever the features are:
a vector that is rounded ends in another cell.

Source: Bao et al. 2019, Depth-Aware Video Frame Interpolation; Bao et al. 2018, MEMC-Net (filter interpolation,
flow projection); Sun et al. 2018, PWC-Net (correlation, warp); Niklaus et al. 2017 (separable convolution).
"""

from __future__ import annotations

import math
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from core.errors import ShapeError
from core.models.tensors import exact

_WHOLLY_INSIDE = 0.9999  # share of a sample's weight that must fall inside the picture


def project_flow(flow: Tensor, weight: Tensor | None = None, *, fill_holes: bool = True) -> tuple[Tensor, Tensor]:
    """Throw vectors to where they point and turn them round there: flow from the place of arrival back.

    Each vector goes in full to the four cells about its end; where several meet, their weighted mean counts.
    Vectors that leave the picture are dropped. A hole takes the mean of the nearest cells hit to its left, to its
    right, above and below, as far as there are any.

    Args:
        flow: [(N, 2, H, W) float32 px]
        weight: of each vector, greater than 0; near things get more  [(N, 1, H, W) float32]; None: all alike
        fill_holes: whether cells that nothing hit are filled; else they are 0

    Returns:
        The flow back  [(N, 2, H, W) float32 px], and the weight that fell on each cell  [(N, 1, H, W) float32]

    Source: Bao et al. 2019, equation 3 (depth-aware flow projection).
    """
    flow = exact(flow)
    n, _, h, w = flow.shape
    end = _ends(flow)
    inside = _within(end, h, w)
    share = torch.ones_like(flow[:, :1]) if weight is None else exact(weight)
    thrown = torch.where(inside, torch.cat([-share * flow, share], dim=1), 0.0).flatten(2)
    left, top = _cells(end, inside)
    # On the last column and row both cells are one, which then gets the vector twice.
    right, bottom = (left + 1).clamp(max=w - 1), (top + 1).clamp(max=h - 1)
    sums = torch.zeros(n, 3, h * w, device=flow.device, dtype=_exact(flow))
    for row, column in product((top, bottom), (left, right)):
        cell = (row * w + column).reshape(n, 1, -1).expand(-1, 3, -1)
        sums.scatter_add_(2, cell, thrown.to(sums.dtype))
    sums = sums.reshape(n, 3, h, w)
    mass = sums[:, 2:]
    back = torch.where(mass > 0, sums[:, :2] / mass, 0.0).to(flow.dtype)
    if fill_holes:
        back = _filled(back, mass > 0)
    return back, mass.to(flow.dtype)


def _filled(values: Tensor, hit: Tensor) -> Tensor:
    """Put into each hole the mean of the nearest hit cells of its row and column.

    Args:
        values: [(N, C, H, W)]
        hit: which of them count  [(N, 1, H, W) bool]
    """
    total, found = torch.zeros_like(values), torch.zeros_like(values[:, :1])
    for dim in (3, 2):
        length = values.shape[dim]
        place = torch.arange(length, device=values.device).reshape([-1 if d == dim else 1 for d in range(4)])
        before = torch.where(hit, place, -1).cummax(dim).values
        after = torch.where(hit, place, length).flip(dim).cummin(dim).values.flip(dim)
        for nearest in (before, after):
            there = (nearest >= 0) & (nearest < length)
            index = nearest.clamp(0, length - 1).expand_as(values)
            total += torch.where(there, values.gather(dim, index), 0.0)
            found += there.to(found.dtype)
    return torch.where(hit, values, total / found.clamp(min=1.0))


def filter_interpolation(image: Tensor, flow: Tensor, kernel: Tensor) -> Tensor:
    """Sample a picture along a flow, through a kernel of its own at each pixel.

    The S x S taps about the sample fall into four quarters; each quarter counts by the bilinear weight of its
    corner. Taps beyond the border repeat it. Where the sample lies outside the picture, or half the picture away,
    the pixel itself stays, and its kernel is not asked.

    Args:
        image: what is sampled      [(N, C, H, W) float32]
        flow: to the sample         [(N, 2, H, W) float32 px]
        kernel: taps, row by row; their sum is left as it is  [(N, S * S, H, W) float32], S even

    Returns:
        [(N, C, H, W)] of the picture's precision

    Raises:
        ShapeError: the kernel is not square, or the three are not of one size.

    Source: Bao et al. 2018, section 3.2 (adaptive warping layer).
    """
    n, c, h, w = image.shape
    side = math.isqrt(kernel.shape[1])
    if side * side != kernel.shape[1] or side % 2 or not image.shape[2:] == flow.shape[2:] == kernel.shape[2:]:
        raise ShapeError(
            f"filter interpolation: picture {tuple(image.shape)}, flow {tuple(flow.shape)} and kernel "
            f"{tuple(kernel.shape)} do not fit; expected one size, and an even square of taps"
        )
    kind = image.dtype
    image, flow, kernel = exact(image), exact(flow), exact(kernel)
    end = _ends(flow)
    near = (flow[:, :1].abs() < w / 2) & (flow[:, 1:].abs() < h / 2)
    inside = _within(end, h, w) & near
    left, top = _cells(end, inside)
    part = torch.where(inside, end, 0.0) - torch.cat([left, top], dim=1)
    a, b = part[:, :1], part[:, 1:]
    # Colours of a pixel side by side: one tap is then a walk through memory, not C of them.
    pixels = image.permute(0, 2, 3, 1).reshape(-1, c)
    first = torch.arange(n, device=image.device).reshape(n, 1, 1, 1) * (h * w)
    out = torch.zeros_like(pixels)
    for tap, (j, i) in enumerate(product(range(1 - side // 2, side // 2 + 1), repeat=2)):
        row, column = (top + j).clamp(0, h - 1), (left + i).clamp(0, w - 1)
        corner = (b if j > 0 else 1 - b) * (a if i > 0 else 1 - a)
        share = corner * kernel[:, tap : tap + 1]
        out.addcmul_(pixels[(first + row * w + column).flatten()], share.reshape(-1, 1))
    warped = out.reshape(n, h, w, c).permute(0, 3, 1, 2)
    return torch.where(inside, warped, image).to(kind)


def correlation(first: Tensor, second: Tensor, reach: int = 4) -> Tensor:
    """How alike each pixel's features are to those of the pixels about it in another picture.

    Args:
        first: [(N, C, H, W) float32]
        second: [(N, C, H, W) float32]; zero outside
        reach: greatest displacement along x and y  [px]

    Returns:
        Mean over the features of their products, displacements row by row
        [(N, (2 reach + 1)², H, W) float32]

    Source: Sun et al. 2018, section 3 (cost volume).
    """
    h, w = first.shape[2:]
    first = exact(first)
    padded = F.pad(exact(second), (reach, reach, reach, reach))
    side = range(2 * reach + 1)
    return torch.stack([(first * padded[:, :, y : y + h, x : x + w]).mean(dim=1) for y in side for x in side], dim=1)


def warp_features(features: Tensor, flow: Tensor) -> Tensor:
    """Sample features along a flow, bilinearly; zero where a sample is not wholly inside.

    Args:
        features: [(N, C, H, W) float32]
        flow: to the sample  [(N, 2, H, W) float32 px]

    Returns:
        [(N, C, H, W)] of the features' precision

    Source: Sun et al. 2018, section 3 (warping layer).
    """
    kind, features = features.dtype, exact(features)
    h, w = features.shape[2:]
    x, y = _ends(exact(flow)).unbind(dim=1)
    grid = torch.stack([2 * x / max(w - 1, 1) - 1, 2 * y / max(h - 1, 1) - 1], dim=-1)
    # As published: corner pixels lie at -1 and 1 (torch before 1.3 knew no other way).
    sampled = F.grid_sample(features, grid, padding_mode="zeros", align_corners=True)
    weight = F.grid_sample(torch.ones_like(features[:, :1]), grid, padding_mode="zeros", align_corners=True)
    return (sampled * (weight >= _WHOLLY_INSIDE).to(sampled.dtype)).to(kind)


def _ends(flow: Tensor) -> Tensor:
    """Where each pixel's vector ends  [(N, 2, H, W) px]."""
    h, w = flow.shape[2:]
    x = torch.arange(w, device=flow.device, dtype=flow.dtype).expand(h, w)
    y = torch.arange(h, device=flow.device, dtype=flow.dtype)[:, None].expand(h, w)
    return flow + torch.stack([x, y])


def _within(end: Tensor, h: int, w: int) -> Tensor:
    """Whether a point lies on the picture, its last row and column included  [(N, 1, H, W) bool]."""
    x, y = end[:, :1], end[:, 1:]
    return (x >= 0) & (y >= 0) & (x <= w - 1) & (y <= h - 1)


def _cells(end: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
    """Column and row of the cell a point lies in; 0 where it lies outside  [(N, 1, H, W) int64 each]."""
    cell = torch.where(inside, end, 0.0).long()
    return cell[:, :1], cell[:, 1:]


def _exact(like: Tensor) -> torch.dtype:
    """The most exact kind of number the device has."""
    return torch.float32 if like.device.type == "mps" else torch.float64
