"""The authors' networks, each with the program around it: from picture to picture, as they publish it.

Weights are drawn at random and then settled: as in a trained network nothing is zero, and norms fit what they see.
Without that a network answers with one grey, and two that differ would look alike.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.spectral_norm import SpectralNorm

from bench.authors.stand_ins import bare, deformable, stand_in
from core.errors import InputError

Array = NDArray[Any]

SAMPLE = 128  # side of the picture that norms are settled on  [px]
PASSES = 3
ROOMS = ("deoldify", "fastai", "colorizers", "ddcolor", "basicsr")  # of the checkouts
CPU = torch.device("cpu")
SPREAD = 0.1  # standard deviation of what its authors begin at zero


@dataclass(frozen=True)
class Theirs:
    """A network of theirs.

    Attributes:
        network: with its published names.
        sample: what norms are settled on, as the network takes it.
        run: from what is shown to the picture, 8 bits or [0, 1].
        note: what is not theirs in it, or empty.
    """

    network: nn.Module
    sample: Tensor
    run: Callable[[Array], Array]
    note: str = ""


def made(model: str, checkout: Path, shown: Array, render_factor: int, seed: int, device: torch.device = CPU) -> Theirs:
    """A model of the authors', out of a checkout of theirs.

    Args:
        model: id of its card
        checkout: of the authors' repository
        shown: the picture  [(H, W, 3) uint8 R'G'B'], or five of them
        render_factor: of DeOldify
        seed: of its weights
        device: where it runs

    Raises:
        InputError: the checkout lacks a module, or a package that it needs is not installed.
    """
    stand_in(checkout)
    torch.manual_seed(seed)  # their constructors draw
    try:
        if model in ("deoldify", "deoldify-artistic"):
            return _deoldify(model, shown, render_factor, device)
        if model == "siggraph17":
            return _siggraph17(shown, device)
        if model in ("ddcolor", "ddcolor-tiny"):
            return _ddcolor(model, shown, device)
        return _edvr(checkout, shown, device)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] in ROOMS:
            raise InputError(f"{checkout}: has no '{error.name}'; is it a whole checkout of the authors'?") from None
        raise InputError(f"the authors' code needs the package '{error.name}', which is not installed") from None


def settle(theirs: Theirs) -> None:
    """Bring what a network was made with to what it would have been trained to."""
    network = theirs.network.eval()
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm)]
    spectral = [m for m in network.modules() if any(isinstance(h, SpectralNorm) for h in m._forward_pre_hooks.values())]
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(0, SPREAD)
        for module in [*norms, *spectral]:
            module.train()
        for _ in range(PASSES if norms or spectral else 0):
            for norm in norms:
                norm.momentum = None  # the mean of all passes, of which there is one
                norm.reset_running_stats()
            network(theirs.sample)
    network.eval()


def _deoldify(model: str, shown: Array, render_factor: int, device: torch.device) -> Theirs:
    if device.type == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    resnet = importlib.import_module("torchvision.models")
    generators = importlib.import_module("deoldify.generators")
    filters = importlib.import_module("deoldify.filters")
    data = importlib.import_module("deoldify.dataset").get_dummy_databunch()
    # By themselves they would download the body's weights.
    if model == "deoldify":
        learner = generators.gen_learner_wide(
            data, nn.functional.l1_loss, arch=lambda pretrained: resnet.resnet101(weights=None)
        )
    else:
        learner = generators.gen_learner_deep(
            data, nn.functional.l1_loss, arch=lambda pretrained: resnet.resnet34(weights=None)
        )
    master = filters.MasterFilter([filters.ColorizerFilter(learn=learner)], render_factor=render_factor)

    def run(picture: Array) -> Array:
        image = Image.fromarray(picture)
        return np.asarray(master.filter(image, image, render_factor))

    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    # Its framework keeps it where it would train, which is the first GPU there is.
    learner.model.to(device)
    return Theirs(learner.model, ((_grey(shown).expand(1, 3, -1, -1) - mean) / std).to(device), run)


def _siggraph17(shown: Array, device: torch.device) -> Theirs:
    colorizers = importlib.import_module("colorizers")
    network = colorizers.siggraph17(pretrained=False).eval().to(device)

    def run(picture: Array) -> Array:
        large, small = colorizers.preprocess_img(picture, HW=(256, 256))
        with torch.no_grad():
            return np.asarray(colorizers.postprocess_tens(large, network(small.to(device)).cpu()))

    return Theirs(network, (_grey(shown) * 100).to(device), run)


def _ddcolor(model: str, shown: Array, device: torch.device) -> Theirs:
    ddcolor = importlib.import_module("ddcolor")
    network = ddcolor.DDColor(
        encoder_name="convnext-t" if model == "ddcolor-tiny" else "convnext-l",
        decoder_name="MultiScaleColorDecoder",
        input_size=[SAMPLE, SAMPLE],
        num_output_channels=2,
        last_norm="Spectral",
        do_normalize=False,
        num_queries=100,
        num_scales=3,
        dec_layers=9,
    )
    pipeline = ddcolor.ColorizationPipeline(network, input_size=512, device=device)

    def run(picture: Array) -> Array:
        return np.asarray(pipeline.process(np.ascontiguousarray(picture[..., ::-1]))[..., ::-1])

    network.to(device)
    return Theirs(network, _grey(shown).expand(1, 3, -1, -1).to(device), run)


def _edvr(checkout: Path, shown: Array, device: torch.device) -> Theirs:
    bare("basicsr", checkout / "basicsr")
    bare("basicsr.archs", checkout / "basicsr" / "archs")
    note = "its deformable convolution is ours: torchvision's does not load here" if deformable() else ""
    network = importlib.import_module("basicsr.archs.edvr_arch").EDVR().eval().to(device)

    def planes(frames: Array) -> Tensor:
        return torch.from_numpy(frames.astype(np.float32) / np.float32(255)).permute(0, 3, 1, 2)[None].to(device)

    def run(frames: Array) -> Array:
        with torch.no_grad():
            return np.asarray(network(planes(frames))[0].clamp(0, 1).permute(1, 2, 0).cpu().numpy())

    return Theirs(network, planes(shown), run, note)


def _grey(shown: Array) -> Tensor:
    small = Image.fromarray(shown).convert("L").resize((SAMPLE, SAMPLE), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.asarray(small, np.float32) / np.float32(255))[None, None]
