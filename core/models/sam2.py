"""SAM 2.1 for pictures: the published checkpoints in the network that the transformers library has for them.

Nothing is fetched: the network is made from the layouts below and takes its weights from the model folder. Checkpoints
are understood in both forms they are published in; what in them is for following an object through a film is left out.

Source: Ravi et al. 2024, "SAM 2: Segment Anything in Images and Videos".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from core.errors import WeightsError
from core.models.checkpoint import Check, Table, check_fits, empty, load_into, read_checkpoint
from core.models.device import pick_device
from core.models.names import by_rules
from core.models.once import Once
from core.models.torchvision_shim import library

# ImageNet's, with which the encoder was trained  [R'G'B']
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LOUDEST = 32.0  # as far as a mask's logits may reach when they are given back to the decoder; the authors' bound
_STRIDES = (4, 8, 16)  # of the encoder's levels, finest first


@dataclass(frozen=True)
class Layout:
    """What the four published networks differ in. Source: the authors' configurations of 2.1.

    Attributes:
        width: channels of the first stage; each of the next three has twice as many.
        heads: of attention there; likewise.
        blocks: of each stage.
        everywhere: numbers of the blocks that see the whole picture, the others see windows.
        windows: their side in each stage.
        background: side of the learnt grid of places, which is spread over the picture.
        side: of the square that a picture is brought to  [px]
    """

    width: int
    heads: int
    blocks: tuple[int, int, int, int]
    everywhere: tuple[int, ...]
    windows: tuple[int, int, int, int] = (8, 4, 14, 7)
    background: int = 7
    side: int = 1024


LAYOUTS: dict[str, Layout] = {
    "sam2.1-large": Layout(144, 2, (2, 6, 36, 4), (23, 33, 43), windows=(8, 4, 16, 8)),
    "sam2.1-base-plus": Layout(112, 2, (2, 3, 16, 3), (12, 16, 20), background=14),
    "sam2.1-small": Layout(96, 1, (1, 2, 11, 2), (7, 10, 13)),
    "sam2.1-tiny": Layout(96, 1, (1, 2, 7, 2), (5, 7, 9)),
}

_AUTHORS = "image_encoder."  # begins names in the authors' own files only
_OWN = ("image_encoder.trunk.", "vision_encoder.backbone.")  # begin names of no other model's file, in either form
_TIED = ("shared_image_embedding.positional_embedding", "prompt_encoder.shared_embedding.positional_embedding")
# What belongs to following through a film, in either form; and of it what SAM 2 of July 2024 had not yet.
_OF_FILMS = re.compile(
    r"memory_|maskmem_|mask_downsample|obj(ect)?_(ptr|pointer)_|no_(obj|mem)(ect|ory)?_(ptr|pointer|pos_enc|positional)|"
    r"no_obj_embed_spatial|occlusion_spatial|temporal_positional"
)
_SINCE_2_1 = re.compile(r"no_obj_embed_spatial|occlusion_spatial")
# The authors' names to the library's, in this order.
_NAMES: tuple[tuple[str, str], ...] = (
    (r"^image_encoder\.trunk\.", "vision_encoder.backbone."),
    (r"^image_encoder\.neck\.convs\.(\d+)\.conv\.", r"vision_encoder.neck.convs.\1."),
    (r"^sam_(prompt_encoder|mask_decoder)\.", r"\1."),
    (r"^no_mem_embed$", "no_memory_embedding"),
    (r"\.pe_layer\.positional_encoding_gaussian_matrix$", ".shared_embedding.positional_embedding"),
    (r"\.patch_embed\.proj\.", ".patch_embed.projection."),
    (r"\.mask_downscaling\.0\.", ".mask_embed.conv1."),
    (r"\.mask_downscaling\.1\.", ".mask_embed.layer_norm1."),
    (r"\.mask_downscaling\.3\.", ".mask_embed.conv2."),
    (r"\.mask_downscaling\.4\.", ".mask_embed.layer_norm2."),
    (r"\.mask_downscaling\.6\.", ".mask_embed.conv3."),
    (r"\.output_upscaling\.0\.", ".upscale_conv1."),
    (r"\.output_upscaling\.1\.", ".upscale_layer_norm."),
    (r"\.output_upscaling\.3\.", ".upscale_conv2."),
    # Of three layers the middle one, of two none, keeps a number.
    (r"\.mlp\.layers\.0\.", ".mlp.proj_in."),
    (r"\.mlp\.layers\.1\.", ".mlp.proj_out."),
    (r"(_mlps\.\d|_head)\.layers\.0\.", r"\1.proj_in."),
    (r"(_mlps\.\d|_head)\.layers\.1\.", r"\1.layers.0."),
    (r"(_mlps\.\d|_head)\.layers\.2\.", r"\1.proj_out."),
    (r"\.norm_final_attn\.", ".layer_norm_final_attn."),
    (r"\.norm(\d)\.", r".layer_norm\1."),
    (r"\.out_proj\.", ".o_proj."),
)
_POINT = re.compile(r"\.point_embeddings\.(\d)\.weight$")


def network(layout: Layout) -> torch.nn.Module:
    """The network, its weights as chance has them.

    Raises:
        ModelMissingError: the transformers library, or torchvision, which it stands on, is not installed.
    """
    # Its code for this network imports torchvision, for what is not used here.
    transformers = library("transformers", "SAM 2.1")
    stages = [2**stage for stage in range(4)]
    widths = [layout.width * times for times in stages]
    sides = [layout.side // stride for stride in _STRIDES]
    trunk = transformers.Sam2HieraDetConfig(
        hidden_size=layout.width,
        num_attention_heads=layout.heads,
        image_size=[layout.side, layout.side],
        blocks_per_stage=list(layout.blocks),
        embed_dim_per_stage=widths,
        num_attention_heads_per_stage=[layout.heads * times for times in stages],
        window_size_per_stage=list(layout.windows),
        global_attention_blocks=list(layout.everywhere),
        window_positional_embedding_background_size=[layout.background] * 2,
    )
    eyes = transformers.Sam2VisionConfig(
        backbone_config=trunk, backbone_channel_list=widths[::-1], backbone_feature_sizes=[[s, s] for s in sides]
    )
    config = transformers.Sam2Config(vision_config=eyes, prompt_encoder_config={"image_size": layout.side})
    made: torch.nn.Module = transformers.Sam2Model(config)
    return made.eval()


def named(table: Table, *, where: str) -> dict[str, Tensor]:
    """A checkpoint's part for pictures, in the library's names, whichever of the two forms it is published in.

    Args:
        table: name to tensor; left as it is
        where: what to name in a message, e.g. the checkpoint's path

    Raises:
        WeightsError: it is no checkpoint of SAM 2.1.
    """
    of_films = [name for name in table if _OF_FILMS.match(name)]
    if of_films and not any(_SINCE_2_1.match(name) for name in of_films):
        raise WeightsError(f"{where}: is SAM 2 of July 2024; take its successor 2.1, which is of the same size")
    plain = {name: tensor for name, tensor in table.items() if not _OF_FILMS.match(name)}
    if any(name.startswith(_AUTHORS) for name in plain):
        plain = _from_authors(plain)
    # Both stand for one tensor, and files hold it once.
    for one, other in (_TIED, _TIED[::-1]):
        if other in plain:
            plain.setdefault(one, plain[other])
    return plain


def _from_authors(plain: Table) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    points: dict[int, Tensor] = {}
    for name, tensor in plain.items():
        point = _POINT.search(name)
        if point:
            points[int(point[1])] = tensor
            continue
        found[by_rules(name, _NAMES)] = tensor
    if points:
        found["prompt_encoder.point_embed.weight"] = torch.cat([points[number] for number in sorted(points)])
    return found


def check(layout: Layout) -> Check:
    """What tells whether a checkpoint is of that layout; see `core.models.checkpoint.check_for`."""
    wanted = Once(lambda: empty(lambda: network(layout)))

    def fits(table: Table, where: str) -> None:
        # Told before the library is loaded, which takes seconds that other models' files should not cost.
        if not any(name.startswith(_OWN) for name in table):
            raise WeightsError(f"{where}: is no checkpoint of SAM 2.1; is it the right file for this model?")
        check_fits(named(table, where=where), wanted(), where=where)

    return fits


@dataclass(frozen=True, eq=False)
class Sight:
    """What the network has seen in a picture.

    Attributes:
        features: for the decoder, finest first, on the device; 16 MiB of a published layout  [(1, C, h, w) float32]
        size: of the picture  [(H, W) px]
    """

    features: list[Tensor]
    size: tuple[int, int]


class Sam2Predictor:
    """Masks of what is clicked on in a picture. Fulfils `hints.sam.Predictor`.

    Args:
        model: of `network`.
        side: of its layout  [px]
    """

    def __init__(self, model: torch.nn.Module, side: int) -> None:
        self._model: Any = model
        self._side = side

    @classmethod
    def read(cls, layout: Layout, path: Path, *, device: str | None = None) -> Sam2Predictor:
        """With the weights of a published checkpoint, at the precision they are published in (float32).

        Raises:
            InputError: there is no such device.
            ModelMissingError: as `network`.
            WeightsError: it is damaged or of another model.
        """
        where = pick_device(device)
        table = read_checkpoint(path)
        model = empty(lambda: network(layout))
        load_into(model, named(table, where=str(path)), where=str(path))
        return cls(model.to(where), layout.side)

    def look(self, picture: NDArray[np.uint8]) -> Sight:
        """Look at a picture, for clicks on it to be answered.

        Args:
            picture: [(H, W, 3) uint8 R'G'B']
        """
        with torch.inference_mode():
            rgb = torch.from_numpy(np.array(picture)).to(self._device).permute(2, 0, 1)[None] / 255
            square = F.interpolate(rgb, (self._side, self._side), mode="bilinear", antialias=True)
            mean, deviation = (square.new_tensor(three)[:, None, None] for three in (MEAN, DEVIATION))
            features = self._model.get_image_embeddings((square - mean) / deviation)
            return Sight(list(features), (picture.shape[0], picture.shape[1]))

    def predict(
        self,
        seen: Sight,
        where: NDArray[np.float32] | None,
        sides: NDArray[np.int_] | None,
        around: NDArray[np.float32] | None,
        mask_input: NDArray[np.float32] | None = None,
        multimask_output: bool = True,
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.float32]]:
        """What is meant by clicks on a picture.

        Args:
            seen: what `look` gave of it
            where: the clicks, x and y               [(N, 2) px]
            sides: of each, 1 inside, 0 outside      [(N,)]
            around: left, top, right, bottom of it   [(4,) px]
            mask_input: logits of an earlier answer  [(1, side / 4, side / 4)]
            multimask_output: three answers instead of one

        Returns:
            Masks [(M, H, W) bool], what the network takes their IoU for [(M,)], and their logits at the size at
            which it works [(M, side / 4, side / 4)].
        """
        with torch.inference_mode():
            answer = self._model(
                image_embeddings=seen.features,
                input_points=None if where is None else self._scaled(where, seen.size)[None, None],
                input_labels=None if sides is None else self._tensor(sides).long()[None, None],
                input_boxes=None if around is None else self._scaled(around.reshape(2, 2), seen.size).reshape(1, 1, 4),
                input_masks=None if mask_input is None else self._tensor(mask_input)[None],
                multimask_output=multimask_output,
            )
            small = answer.pred_masks[0].float()
            masks = F.interpolate(small, seen.size, mode="bilinear", align_corners=False)[0] > 0
            logits, scores = small[0].clamp(-LOUDEST, LOUDEST), answer.iou_scores[0, 0].float()
            return masks.cpu().numpy(), scores.cpu().numpy(), logits.cpu().numpy()

    @property
    def _device(self) -> torch.device:
        where: torch.device = self._model.no_memory_embedding.device
        return where

    def _tensor(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.array(values)).to(self._device)

    def _scaled(self, places: NDArray[np.float32], size: tuple[int, int]) -> Tensor:
        """Places of a picture of some size (H, W) on the square that the network sees."""
        h, w = size
        return self._tensor(places * np.array([self._side / w, self._side / h], np.float32))
