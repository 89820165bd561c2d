"""Modulated deformable convolution: each tap of a kernel looks where a learnt offset sends it, and is weighed.

torchvision's kernel is used where its native library loads (`core.models.torchvision_shim`); elsewhere the
same sum is made of plain operations, slower by a small factor and equal but for rounding. Either is computed at float32
also where features are at half precision: where a tap looks is a number of pixels, and torchvision's kernel takes one
kind of number for all.

Source: Zhu et al. 2019, Deformable ConvNets v2: More Deformable, Better Results.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from core.errors import ShapeError
from core.models.tensors import exact
from core.models.torchvision_shim import ensure_torchvision

NATIVE_DEVICES = ("cpu", "cuda")  # for which torchvision carries a kernel


def deform_conv(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve with moved and weighed taps; stride 1, and padding that keeps the size.

    Tap ``k`` of an offset group reads its input channels at ``(y + i, x + j) + (dy, dx)``, bilinearly, where
    ``(i, j)`` is the tap's place about the centre; what lies outside the picture is 0.

    Args:
        x: [(N, C, H, W) float32, or half of it as the others]
        offset: dy and dx of each tap, tap after tap, group after group  [(N, 2 G K K, H, W) float32, px]
        mask: weight of each tap                                         [(N, G K K, H, W) float32]
        weight: [(O, C, K, K) float32]; K is odd
        bias: [(O,) float32]

    Returns:
        [(N, O, H, W)] of the precision of ``x``

    Raises:
        ShapeError: the arrays do not fit each other.

    Source: Zhu et al. 2019, equation 1.
    """
    n, c, h, w = x.shape
    side = weight.shape[-1]
    groups = mask.shape[1] // side**2
    fits = groups and c % groups == 0 and weight.shape[1:] == (c, side, side) and side % 2 == 1
    if not fits or (offset.shape, mask.shape) != (
        (n, 2 * groups * side**2, h, w),
        (n, groups * side**2, h, w),
    ):
        raise ShapeError(
            f"deformable convolution: input {tuple(x.shape)}, offset {tuple(offset.shape)}, mask {tuple(mask.shape)} "
            f"and weight {tuple(weight.shape)} do not fit"
        )
    native = _native() if x.device.type in NATIVE_DEVICES else None
    if native is None:
        return plain_deform_conv(x, offset, mask, weight, bias)
    full = [exact(part) for part in (x, offset, weight, bias, mask)]
    return cast(Tensor, native(*full[:4], padding=side // 2, mask=full[4])).to(x.dtype)


@cache
def _native() -> Any:
    """The function of torchvision, or None where its kernel is not there."""
    if ensure_torchvision() != "native":
        return None
    return importlib.import_module("torchvision.ops").deform_conv2d


def plain_deform_conv(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`deform_conv` of plain operations, one tap at a time: memory for one tap's samples, not for all nine."""
    kind = x.dtype
    x, offset, mask, weight, bias = (exact(part) for part in (x, offset, mask, weight, bias))
    n, c, h, w = x.shape
    side = weight.shape[-1]
    groups, reach = mask.shape[1] // side**2, side // 2
    planes = x.reshape(n * groups, c // groups, h, w)
    moves = offset.reshape(n * groups, side**2, 2, h, w)
    weights = mask.reshape(n * groups, side**2, 1, h, w)
    at_y = torch.arange(h, device=x.device, dtype=x.dtype).reshape(h, 1)
    at_x = torch.arange(w, device=x.device, dtype=x.dtype)
    out = bias.reshape(1, -1, 1).expand(n, -1, h * w).clone()
    for tap in range(side**2):
        # Two pixels outside all is 0 already, and nothing is too large for an index.
        y = (at_y + (tap // side - reach) + moves[:, tap, 0]).clamp(-2, h + 1)
        x_ = (at_x + (tap % side - reach) + moves[:, tap, 1]).clamp(-2, w + 1)
        # Without align_corners, -1 and 1 are the outer edges of the border pixels.
        grid = torch.stack([(2 * x_ + 1) / w - 1, (2 * y + 1) / h - 1], dim=-1)
        samples = F.grid_sample(planes, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        samples = (samples * weights[:, tap]).reshape(n, c, h * w)
        out.baddbmm_(weight[:, :, tap // side, tap % side].expand(n, -1, -1), samples)
    return out.reshape(n, -1, h, w).to(kind)
