"""RIFE's networks, for inference, written from their description: intermediate flow, estimated directly.

Two families. `IFNet` is the line from version 4.6 on: any time, two pictures mixed by a mask. `PaperNet` is the one
of the paper: the middle only, and a net that refines the mix. Module names follow the published checkpoints.

Source: Huang et al. 2022, Real-Time Intermediate Flow Estimation for Video Frame Interpolation (ECCV);
github.com/hzwer/Practical-RIFE and github.com/HolyWu/vs-rife (MIT) for the later versions' layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.tensors import exact, unrounded

WIDTHS = (192, 128, 96, 64, 32)  # of the blocks, coarse to fine
PAPER_WIDTHS = (240, 150, 90)
CONTEXT_WIDTH = 16


@dataclass(frozen=True)
class Build:
    """What tells the versions of one line apart.

    Attributes:
        blocks: how many refine the flow; the coarsest sees the picture at 1 / 2^(blocks - 1) of its size.
        features: channels of the encoder that looks at each picture by itself; 0: there is none.
        encoder: channels inside it.
        carried: feature channels a block hands on to the next.
        adds_mask: whether a block's mask is added to the one before; else it takes its place.
        multiple: of which height and width must be, at full scale.
    """

    blocks: int
    features: int
    encoder: int
    carried: int
    adds_mask: bool
    multiple: int


V4_6 = Build(blocks=4, features=0, encoder=0, carried=0, adds_mask=True, multiple=32)
V4_17 = Build(blocks=4, features=8, encoder=32, carried=0, adds_mask=False, multiple=32)
V4_25 = Build(blocks=5, features=4, encoder=16, carried=8, adds_mask=False, multiple=64)


def warp(planes: Tensor, flow: Tensor) -> Tensor:
    """Sample planes along a flow, bilinearly, the border repeated.

    Args:
        planes: [(N, C, H, W) float32]
        flow: to the sample  [(N, 2, H, W) float32 px (dx, dy)]

    Returns:
        [(N, C, H, W)] of the planes' precision
    """
    kind, planes, flow = planes.dtype, exact(planes), exact(flow)
    h, w = planes.shape[2:]
    x = torch.linspace(-1.0, 1.0, w, device=flow.device).expand(h, w)
    y = torch.linspace(-1.0, 1.0, h, device=flow.device)[:, None].expand(h, w)
    unit = torch.tensor([2 / (w - 1), 2 / (h - 1)], device=flow.device)
    grid = torch.stack([x, y], dim=-1) + flow.permute(0, 2, 3, 1) * unit
    return F.grid_sample(planes, grid, padding_mode="border", align_corners=True).to(kind)


def _resize(planes: Tensor, factor: float) -> Tensor:
    if factor == 1:
        return planes
    return F.interpolate(planes, scale_factor=factor, mode="bilinear", align_corners=False)


def _resize_flow(flow: Tensor, factor: float) -> Tensor:
    """Flow at another size, its vectors scaled alike."""
    return _resize(flow, factor) * factor


def _conv(inner: int, outer: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inner, outer, 3, stride, 1), nn.LeakyReLU(0.2))


class _ResConv(nn.Module):
    """A convolution, each of its channels with a gain of its own, around which the input is added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.beta = nn.Parameter(torch.ones(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.conv(x) * self.beta + x, 0.2)


class _Block(nn.Module):
    """Estimates at a smaller size what must be added to the flow, and what else is handed on."""

    def __init__(self, inner: int, width: int, outer: int) -> None:
        super().__init__()
        self.conv0 = nn.Sequential(_conv(inner, width // 2, 2), _conv(width // 2, width, 2))
        self.convblock = nn.Sequential(*(_ResConv(width) for _ in range(8)))
        self.lastconv = nn.Sequential(nn.ConvTranspose2d(width, 4 * outer, 4, 2, 1), nn.PixelShuffle(2))

    def forward(self, x: Tensor, flow: Tensor | None, shrink: float) -> tuple[Tensor, Tensor]:
        x = _resize(x, 1 / shrink)
        if flow is not None:
            x = torch.cat([x, _resize_flow(flow, 1 / shrink)], dim=1)
        given = _resize(unrounded(self.lastconv, self.convblock(self.conv0(x))), shrink)
        return given[:, :4] * shrink, given[:, 4:]


class _Encoder(nn.Module):
    """Features of one picture at its full size."""

    def __init__(self, width: int, outer: int) -> None:
        super().__init__()
        self.cnn0 = nn.Conv2d(3, width, 3, 2, 1)
        self.cnn1 = nn.Conv2d(width, width, 3, 1, 1)
        self.cnn2 = nn.Conv2d(width, width, 3, 1, 1)
        self.cnn3 = nn.ConvTranspose2d(width, outer, 4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        for cnn in (self.cnn0, self.cnn1, self.cnn2):
            x = F.leaky_relu(cnn(x), 0.2)
        return cast(Tensor, self.cnn3(x))


class IFNet(nn.Module):
    """Versions 4.6 and later, as a `Build` has them: a picture at any time.

    Source: as the module's.
    """

    def __init__(self, build: Build) -> None:
        super().__init__()
        self.multiple = build.multiple
        self._build = build
        seen = 2 * (3 + build.features) + 1  # both pictures, their features, the time
        for place, width in enumerate(WIDTHS[: build.blocks]):
            inner = seen if place == 0 else seen + 1 + build.carried + 4
            # Four planes of flow, the mask, what is carried; older versions give one plane more that no one reads.
            outer = 5 + (build.carried or 1)
            self.add_module(f"block{place}", _Block(inner, width, outer))
        if build.features:
            self.encode = _Encoder(build.encoder, build.features)

    def forward(self, first: Tensor, second: Tensor, t: float, scale: float = 1.0) -> Tensor:
        """Make the picture at time ``t``.

        Args:
            first: [(N, 3, H, W) float32 R'G'B' [0, 1]]; H and W are multiples of ``multiple / min(scale, 1)``
            second: the same
            t: fraction of the way from the first to the second  (0, 1)
            scale: size at which flow is estimated, in parts of the full one

        Returns:
            [(N, 3, H, W) float32 R'G'B'], not clipped
        """
        return self.make(self.look(first), self.look(second), t, scale)

    def look(self, picture: Tensor) -> Tensor:
        """A picture and its features, which depend on neither the other picture nor the time.

        Args:
            picture: [(N, 3, H, W) float32 R'G'B' [0, 1]]

        Returns:
            [(N, 3 + features, H, W) float32]
        """
        return torch.cat([picture, self.encode(picture)], dim=1) if self._build.features else picture

    def make(self, one: Tensor, two: Tensor, t: float, scale: float) -> Tensor:
        """As `forward`, from what `look` gives of each picture."""
        build = self._build
        time = torch.full_like(one[:, :1], t)
        flow = mask = carried = torch.empty(0)
        from_one, from_two = one, two
        for place in range(build.blocks):
            block = self.get_submodule(f"block{place}")
            shrink = 2 ** (build.blocks - 1 - place) / scale
            # The pictures first, then the features: so the first convolution was trained.
            x = [from_one[:, :3], from_two[:, :3], from_one[:, 3:], from_two[:, 3:], time]
            if place == 0:
                flow, given = block(torch.cat(x, dim=1), None, shrink)
                mask = given[:, :1]
            else:
                change, given = block(torch.cat([*x, mask, carried], dim=1), flow, shrink)
                flow = flow + change
                mask = mask + given[:, :1] if build.adds_mask else given[:, :1]
            carried = given[:, 1 : 1 + build.carried]
            from_one, from_two = warp(one, flow[:, :2]), warp(two, flow[:, 2:])
        return _mixed(from_one[:, :3], from_two[:, :3], mask)


def _mixed(one: Tensor, two: Tensor, mask: Tensor) -> Tensor:
    share = torch.sigmoid(mask)
    return one * share + two * (1 - share)


def _prelu(conv: nn.Module, width: int) -> nn.Sequential:
    return nn.Sequential(conv, nn.PReLU(width))


def _pconv(inner: int, outer: int, stride: int = 1) -> nn.Sequential:
    return _prelu(nn.Conv2d(inner, outer, 3, stride, 1), outer)


def _enlarge(inner: int, outer: int) -> nn.Sequential:
    return _prelu(nn.ConvTranspose2d(inner, outer, 4, 2, 1), outer)


class _PaperBlock(nn.Module):
    """The paper's block: it works at a quarter of the size it is given, and answers at half."""

    def __init__(self, inner: int, width: int) -> None:
        super().__init__()
        self.conv0 = nn.Sequential(_pconv(inner, width // 2, 2), _pconv(width // 2, width, 2))
        self.convblock = nn.Sequential(*(_pconv(width, width) for _ in range(8)))
        self.lastconv = nn.ConvTranspose2d(width, 5, 4, 2, 1)

    def forward(self, x: Tensor, flow: Tensor | None, shrink: float) -> tuple[Tensor, Tensor]:
        x = _resize(x, 1 / shrink)
        if flow is not None:
            x = torch.cat([x, _resize_flow(flow, 1 / shrink)], dim=1)
        x = self.conv0(x)
        given = _resize(unrounded(self.lastconv, self.convblock(x) + x), 2 * shrink)
        return given[:, :4] * (2 * shrink), given[:, 4:]


class _Half(nn.Module):
    """Two convolutions, the first of which halves the size."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = _pconv(inner, outer, 2), _pconv(outer, outer)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.conv2(self.conv1(x)))


class _ContextNet(nn.Module):
    """Features of one picture at four sizes, seen from the new picture's time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = _Half(3, width), _Half(width, 2 * width)
        self.conv3, self.conv4 = _Half(2 * width, 4 * width), _Half(4 * width, 8 * width)

    def forward(self, x: Tensor, flow: Tensor) -> list[Tensor]:
        levels = []
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            x, flow = conv(x), _resize_flow(flow, 0.5)
            levels.append(warp(x, flow))
        return levels


class _UNet(nn.Module):
    """What must be added to the mix, from everything known."""

    def __init__(self, width: int) -> None:
        super().__init__()
        known = 4 * 3 + 1 + 4  # four pictures, the mask, two flows
        self.down0, self.down1 = _Half(known, 2 * width), _Half(4 * width, 4 * width)
        self.down2, self.down3 = _Half(8 * width, 8 * width), _Half(16 * width, 16 * width)
        self.up0, self.up1 = _enlarge(32 * width, 8 * width), _enlarge(16 * width, 4 * width)
        self.up2, self.up3 = _enlarge(8 * width, 2 * width), _enlarge(4 * width, width)
        self.conv = nn.Conv2d(width, 3, 3, 1, 1)

    def forward(self, known: Tensor, one: list[Tensor], two: list[Tensor]) -> Tensor:
        skips = [self.down0(known)]
        for place, down in enumerate((self.down1, self.down2, self.down3)):
            skips.append(down(torch.cat([skips[-1], one[place], two[place]], dim=1)))
        x = self.up0(torch.cat([skips.pop(), one[3], two[3]], dim=1))
        for up in (self.up1, self.up2, self.up3):
            x = up(torch.cat([x, skips.pop()], dim=1))
        return torch.sigmoid(unrounded(self.conv, x))


class PaperNet(nn.Module):
    """The network of the paper (ECCV 2022): the picture in the middle.

    Source: as the module's.
    """

    multiple = 32

    def __init__(self) -> None:
        super().__init__()
        # The second and third see both pictures, both as moved, the mask and the flow.
        for place, width in enumerate(PAPER_WIDTHS):
            self.add_module(f"block{place}", _PaperBlock(6 if place == 0 else 4 * 3 + 1 + 4, width))
        self.contextnet = _ContextNet(CONTEXT_WIDTH)
        self.unet = _UNet(CONTEXT_WIDTH)

    def forward(self, first: Tensor, second: Tensor, scale: float = 1.0) -> Tensor:
        """Make the picture in the middle.

        Args:
            first: [(N, 3, H, W) float32 R'G'B' [0, 1]]; H and W are multiples of ``multiple / min(scale, 1)``
            second: the same
            scale: size at which flow is estimated, in parts of the full one

        Returns:
            [(N, 3, H, W) float32 R'G'B' [0, 1]]
        """
        one, two, flow, mask = self.estimate(first, second, scale)
        known = torch.cat([first, second, one, two, mask, flow], dim=1)
        change = self.unet(known, self.contextnet(first, flow[:, :2]), self.contextnet(second, flow[:, 2:]))
        return cast(Tensor, (_mixed(one, two, mask) + 2 * change - 1).clamp(0.0, 1.0))

    def estimate(self, first: Tensor, second: Tensor, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Estimate the flow from the middle to both pictures.

        Returns:
            Both as seen from the middle  [(N, 3, H, W) each], the flow to the first and to the second
            [(N, 4, H, W) px], and the logit of the first one's share  [(N, 1, H, W)]
        """
        one, two = first, second
        flow = mask = torch.empty(0)
        for place in range(len(PAPER_WIDTHS)):
            block = self.get_submodule(f"block{place}")
            shrink = 2 ** (len(PAPER_WIDTHS) - 1 - place) / scale
            if place == 0:
                flow, mask = block(torch.cat([first, second], dim=1), None, shrink)
            else:
                change, more = block(torch.cat([first, second, one, two, mask], dim=1), flow, shrink)
                flow, mask = flow + change, mask + more
            one, two = warp(first, flow[:, :2]), warp(second, flow[:, 2:])
        return one, two, flow, mask
