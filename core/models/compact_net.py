"""Real-ESRGAN's compact generator: a plain stack of convolutions at the input's size, enlarged at the very end.

It needs a fraction of the work of the dense blocks, and was made for film. Module names are those of the
published checkpoints.

Source: Wang et al. 2021, Real-ESRGAN (the authors' later compact nets); Shi et al. 2016 (pixel shuffle);
He et al. 2015 (PReLU).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import WeightsError
from core.models.tensors import unrounded

WIDTH = 64


class CompactNet(nn.Module):
    """The compact generator.

    Args:
        convolutions: between the first and the last one: 16 (anime video) or 32 (general).
        scale: by how much it enlarges.
        width: channels.

    Source: as the module's.
    """

    def __init__(self, convolutions: int, scale: int = 4, width: int = WIDTH) -> None:
        super().__init__()
        self.scale = scale
        self.convolutions = convolutions
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1), nn.PReLU(width)]
        for _ in range(convolutions):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.PReLU(width)]
        self.body = nn.Sequential(*layers, nn.Conv2d(width, 3 * scale**2, 3, padding=1))

    @property
    def receptive_radius(self) -> int:
        """How far from a pixel anything can change it  [px of the input]."""
        return self.convolutions + 2

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge a picture: what is learnt is added to the picture with its pixels repeated.

        Args:
            x: [(N, 3, H, W) float32 [0, 1] R'G'B']

        Returns:
            [(N, 3, scale H, scale W) float32 R'G'B'], not clipped
        """
        *before, last = self.body
        y = x
        for layer in before:
            y = layer(y)
        learnt = F.pixel_shuffle(unrounded(last, y), self.scale)
        return learnt + F.interpolate(x, scale_factor=self.scale, mode="nearest")


def mixed(strong: Mapping[str, Tensor], weak: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Weights between those of two networks of one make: what one takes for noise, the other takes for grain.

    Args:
        strong: name to tensor of the network that takes noise out
        weak: name to tensor of the one that leaves it
        share: of the strong one  [0, 1]

    Returns:
        Name to tensor, each ``share * strong + (1 - share) * weak``.

    Raises:
        WeightsError: the two differ in names or shapes.

    Source: Wang et al. 2019, Deep Network Interpolation for Continuous Imagery Effect Transition.
    """
    if {k: v.shape for k, v in strong.items()} != {k: v.shape for k, v in weak.items()}:
        raise WeightsError("checkpoints: the two to be mixed are not of one network; fetch both again")
    return {name: share * tensor + (1.0 - share) * weak[name] for name, tensor in strong.items()}
