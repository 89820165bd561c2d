"""The embedded network on a device: what it is shown there, what it saw in the last few frames, and how it runs."""

from __future__ import annotations

import copy
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import cast

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from core.errors import InputError
from core.models.kriging import Places, Samples, picture
from core.models.network import AB_SCALE, BIN_CELL, MULTIPLE, ColourNet, Sight, input_planes
from core.models.tiling import is_out_of_memory
from core.models.ways import VARIABLE, is_compiled, running

Plane = NDArray[np.float32]

SIGHTS_KEPT = 16  # frames of which a restorer's next hint need not look again


def fold_norms(network: ColourNet) -> ColourNet:
    """Fold each batch normalisation into the convolution before it: the same function, in fewer passes."""
    network = copy.deepcopy(network).eval()
    for part in network.modules():
        for conv, norm in (("conv", "norm"), ("conv1", "norm1"), ("conv2", "norm2")):
            if isinstance(getattr(part, norm, None), nn.BatchNorm2d):
                setattr(part, conv, fuse_conv_bn_eval(getattr(part, conv), getattr(part, norm)))
                setattr(part, norm, nn.Identity())
    return network


class Standing:
    """The network where it stands; calls may come from any thread.

    Args:
        network: it is copied.
        device: where it is to run.
        way: how it runs there (see `core.models.ways`).
    """

    def __init__(self, network: ColourNet, device: torch.device, way: str) -> None:
        folded = fold_norms(network).requires_grad_(False)
        self.network: ColourNet = folded.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device = device
        self._way = way
        self._lock = threading.Lock()
        self._compiled: Callable[[Tensor], Tensor] | None = None
        self._sights: OrderedDict[bytes, Sight] = OrderedDict()

    def look(self, luma: Plane) -> Sight:
        """What is seen in a frame; at hand for the last few.

        Args:
            luma: the film's luma  [(h, w) float32 [0, 100] L*]

        Returns:
            On the device, of the frame brought to a size that the network takes.
        """
        key = hashlib.blake2b(luma.tobytes(), digest_size=16, key=str(luma.shape).encode()).digest()
        with self._lock:
            if key in self._sights:
                self._sights.move_to_end(key)
                return self._sights[key]
        sight = self._seen(luma[None])
        with self._lock:
            self._sights[key] = sight
            while len(self._sights) > SIGHTS_KEPT:
                self._sights.popitem(last=False)
        return sight

    def predict(self, luma: Plane) -> Plane:
        """Chroma of a frame, of what is seen in it  [(h, w, 2) float32 CIE Lab D65, a* b*]."""
        return np.asarray(_chroma(self.look(luma).ab, luma.shape)[0], np.float32)

    def features(self, luma: Plane) -> Plane:
        """What places of a frame look like  [(h / 2, w / 2, C) float32]."""
        return _features(self.look(luma).affinity, luma.shape)[0]

    def predict_together(self, lumas: Plane) -> Plane:
        """Chroma of several frames, by plain calls or compiled code as the way has it.

        Args:
            lumas: of one size  [(n, h, w) float32 [0, 100] L*]

        Returns:
            [(n, h, w, 2) float32 CIE Lab D65, a* b*]

        Raises:
            InputError: it cannot be compiled here.
        """
        with torch.inference_mode(), running(self._way, self._device):
            return _chroma(self._coloured(self._shown(lumas)), lumas.shape[1:])

    def features_together(self, lumas: Plane) -> list[Plane]:
        """What places of several frames look like; see `predict_together`  [(h / 2, w / 2, C) float32 each]."""
        return _features(self._seen(lumas).affinity, lumas.shape[1:])

    def odds(self, luma: Plane) -> tuple[Plane, Plane]:
        """How likely each bin of chroma is, in logits, and the mean of what is shown, cell by cell.

        Returns:
            [(BIN_SIDE ** 2, h', w') float32] and [(1, h', w') float32 [-1, 1]]
        """
        shown = self._shown(luma[None])
        with torch.inference_mode(), running(self._way, self._device):
            logits, means = self.network.odds(shown)[0], F.avg_pool2d(shown[0], BIN_CELL)
            return logits.float().cpu().numpy(), means.float().cpu().numpy()

    def carry(self, luma: Plane, ab: Plane, hint_ab: Plane, hint_weight: Plane) -> tuple[Plane, float] | None:
        """By how much hints change the chroma, and how far they are meant of the whole picture.

        It takes what `core.models.colouriser.Carries.carry` takes.

        Returns:
            Change [(places, 2) float32 a* b*], of the picture at half its size; None where too little is said.
        """
        with torch.inference_mode():
            places, samples = self._told(luma, ab, hint_ab, hint_weight)
            if samples is None:
                return None
            found, meant = self.network.kriging.judge(places, samples)
            return (found - places.ab).cpu().numpy() * np.float32(AB_SCALE), float(meant)

    def deviation(self, luma: Plane, ab: Plane, hint_ab: Plane, hint_weight: Plane) -> Plane:
        """By how much the chroma is likely to err, of the picture at half its size; see `carry`  [(places,) a* b*]."""
        with torch.inference_mode():
            doubted = self.network.kriging.deviation(*self._told(luma, ab, hint_ab, hint_weight))
            return cast(Plane, doubted.cpu().numpy() * np.float32(AB_SCALE))

    def _told(self, luma: Plane, ab: Plane, hint_ab: Plane, hint_weight: Plane) -> tuple[Places, Samples | None]:
        """All places of the frame at half its size, and what hints say of it, in units of AB_SCALE."""
        h, w = luma.shape
        told = np.dstack([ab, hint_ab * hint_weight[..., None], hint_weight])
        told = np.pad(told, ((0, h % 2), (0, w % 2), (0, 0)), mode="edge")
        half = cv2.resize(told, (told.shape[1] // 2, told.shape[0] // 2), interpolation=cv2.INTER_AREA)
        planes = torch.from_numpy(half.transpose(2, 0, 1) / np.float32(AB_SCALE)).to(self._device)
        weight = planes[4:] * AB_SCALE
        sight = self.look(luma)
        affinity, doubt = (
            part[0, :, : half.shape[0], : half.shape[1]].float() for part in (sight.affinity, sight.doubt)
        )
        return picture(affinity, doubt, planes[:2], planes[2:4] / weight.clamp(min=1e-6), weight)

    def _seen(self, lumas: Plane) -> Sight:
        """What the network sees in frames of one size."""
        with torch.inference_mode(), running(self._way, self._device):
            return cast(Sight, self.network(self._shown(lumas)))

    def _coloured(self, shown: Tensor) -> Tensor:
        """The network's chroma, by plain calls or compiled code as the way has it  [(n, 2, H, W)]."""
        if not is_compiled(self._way):
            return self.network.chroma(shown)
        try:
            with self._lock:
                if self._compiled is None:
                    compiled = torch.compile(self.network.chroma, dynamic=False)
                    self._compiled = cast("Callable[[Tensor], Tensor]", compiled)
            return self._compiled(shown)
        except RuntimeError as error:
            # No compiler, or one that does not know this machine: torch has many names for it.
            if is_out_of_memory(error):
                raise
            said = str(error).strip().splitlines()[0]
            way_out = f"set {VARIABLE}=float32, or run: python app.py doctor --tune"
            raise InputError(f"the network cannot be compiled here ({said}); {way_out}") from None

    def _shown(self, lumas: Plane) -> Tensor:
        """What the network is shown, brought to a size it takes  [(n, 1, H, W) float32 on the device]."""
        h, w = lumas.shape[1:]
        shown = torch.from_numpy(input_planes(lumas))
        pad_h, pad_w = -h % MULTIPLE, -w % MULTIPLE
        if pad_h or pad_w:
            # Repeat the border: mirrored content would be taken for more of the scene, zeros for a dark one.
            shown = F.pad(shown, (0, pad_w, 0, pad_h), mode="replicate")
        return shown.to(self._device, memory_format=torch.channels_last)


def _features(affinity: Tensor, size: tuple[int, ...]) -> list[Plane]:
    """Affinities as the network gives them, of frames that were (h, w) before they were padded."""
    seen = affinity[..., : -(-size[0] // 2), : -(-size[1] // 2)].float().permute(0, 2, 3, 1).cpu().numpy()
    return [np.ascontiguousarray(one) for one in seen]


def _chroma(ab: Tensor, size: tuple[int, ...]) -> Plane:
    """Chroma as the network gives it, of frames that were (h, w) before they were padded  [(n, h, w, 2) a* b*]."""
    shown = ab[..., : size[0], : size[1]].float().permute(0, 2, 3, 1).cpu().numpy()
    return np.ascontiguousarray(shown * np.float32(AB_SCALE), np.float32)
