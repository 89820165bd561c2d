"""Cards of models: what each is, whose it is, where its file is published, what is used instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Task = Literal["colourise", "segment", "interpolate", "upscale", "flow"]


@dataclass(frozen=True)
class ModelFile:
    """A published file.

    Attributes:
        name: as published, and as looked for in the model folder.
        published: address of the file, or of the page that leads to it.
        sha256: of its bytes, where it is known from more than one place; else None.
        size: in bytes, where it is known; else None.
    """

    name: str
    published: str
    sha256: str | None = None
    size: int | None = None


@dataclass(frozen=True)
class ModelCard:
    """What there is to know of a model before it is asked for anything.

    Attributes:
        id: the word used in recipes and on the command line.
        title: what people call it.
        task: what it does.
        licence: of code and weights, with its caveat where there is one.
        paper: where it is described.
        files: any one of them is enough; the first is the one recommended.
        instead: what the program does where the file is missing.
        supported: whether this version can run it.
        built_in: the weights come with the program.
    """

    id: str
    title: str
    task: Task
    licence: str
    paper: str
    files: tuple[ModelFile, ...]
    instead: str
    supported: bool = True
    built_in: bool = False


_EMBEDDED = "the embedded colouriser is used"
_SAM = "https://dl.fbaipublicfiles.com/segment_anything/"
_SAM_PAPER = "Kirillov et al. 2023, Segment Anything"
_CLASSICAL = "the classical segmenter is used"
_DEOLDIFY_PAPER = "Antic 2018-2022, github.com/jantic/DeOldify"
_ALONG_FLOW = "interpolation follows DIS optical flow"
_VS_RIFE = "https://github.com/HolyWu/vs-rife/releases/download/model/"
_REALESRGAN = "https://github.com/xinntao/Real-ESRGAN/releases/download/"

CARDS: tuple[ModelCard, ...] = (
    ModelCard(
        "embedded",
        "Embedded colouriser",
        "colourise",
        "Apache-2.0; trained on openly licensed stills only, see the model card beside the weights",
        "this project, bench/train",
        (),
        "nothing stands in for it",
        built_in=True,
    ),
    ModelCard(
        "deoldify",
        "DeOldify video",
        "colourise",
        "MIT",
        _DEOLDIFY_PAPER,
        (ModelFile("ColorizeVideo_gen.pth", "https://data.deepai.org/deoldify/ColorizeVideo_gen.pth"),),
        _EMBEDDED,
    ),
    ModelCard(
        "deoldify-stable",
        "DeOldify stable",
        "colourise",
        "MIT",
        _DEOLDIFY_PAPER,
        (
            ModelFile(
                "ColorizeStable_gen.pth",
                "https://www.dropbox.com/s/axsd2g85uyixaho/ColorizeStable_gen.pth?dl=0",
            ),
        ),
        _EMBEDDED,
    ),
    ModelCard(
        "deoldify-artistic",
        "DeOldify artistic",
        "colourise",
        "MIT",
        _DEOLDIFY_PAPER,
        (ModelFile("ColorizeArtistic_gen.pth", "https://data.deepai.org/deoldify/ColorizeArtistic_gen.pth"),),
        _EMBEDDED,
    ),
    ModelCard(
        "segment-anything-b",
        "Segment Anything ViT-B",
        "segment",
        "Apache-2.0",
        _SAM_PAPER,
        (
            ModelFile(
                "sam_vit_b_01ec64.pth",
                _SAM + "sam_vit_b_01ec64.pth",
                "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
                375_042_383,
            ),
        ),
        _CLASSICAL,
    ),
    ModelCard(
        "segment-anything-l",
        "Segment Anything ViT-L",
        "segment",
        "Apache-2.0",
        _SAM_PAPER,
        (
            ModelFile(
                "sam_vit_l_0b3195.pth",
                _SAM + "sam_vit_l_0b3195.pth",
                "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
                1_249_550_879,
            ),
        ),
        _CLASSICAL,
    ),
    ModelCard(
        "segment-anything-h",
        "Segment Anything ViT-H",
        "segment",
        "Apache-2.0",
        _SAM_PAPER,
        (
            ModelFile(
                "sam_vit_h_4b8939.pth",
                _SAM + "sam_vit_h_4b8939.pth",
                "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
                2_564_550_879,
            ),
        ),
        _CLASSICAL,
    ),
    ModelCard(
        "siggraph17",
        "Real-time user-guided colourisation",
        "colourise",
        "MIT",
        "Zhang et al. 2017, Real-Time User-Guided Image Colorization with Learned Deep Priors",
        (
            ModelFile(
                "siggraph17-df00044c.pth",
                "https://colorizers.s3.us-east-2.amazonaws.com/siggraph17-df00044c.pth",
            ),
        ),
        _EMBEDDED,
        supported=False,
    ),
    ModelCard(
        "ddcolor",
        "DDColor",
        "colourise",
        "Apache-2.0",
        "Kang et al. 2023, DDColor: Towards Photo-Realistic Image Colorization via Dual Decoders",
        (ModelFile("pytorch_model.pt", "https://huggingface.co/piddnad/ddcolor_modelscope"),),
        _EMBEDDED,
        supported=False,
    ),
    ModelCard(
        "dain",
        "DAIN",
        "interpolate",
        "MIT for the code; the weights hold a flow network that is not for commercial use (PWC-Net)",
        "Bao et al. 2019, Depth-Aware Video Frame Interpolation",
        (ModelFile("best.pth", "http://vllab1.ucmerced.edu/~wenbobao/DAIN/best.pth"),),
        _ALONG_FLOW,
    ),
    ModelCard(
        "rife",
        "RIFE",
        "interpolate",
        "MIT",
        "Huang et al. 2022, Real-Time Intermediate Flow Estimation for Video Frame Interpolation",
        (
            # The authors' archives all call it so; which version it is, its tensors tell.
            ModelFile("flownet.pkl", "https://github.com/hzwer/Practical-RIFE"),
            ModelFile("flownet_v4.25.pkl", _VS_RIFE + "flownet_v4.25.pkl"),
            ModelFile("flownet_v4.26.pkl", _VS_RIFE + "flownet_v4.26.pkl"),
            ModelFile("flownet_v4.17.pkl", _VS_RIFE + "flownet_v4.17.pkl"),
            ModelFile("flownet_v4.6.pkl", _VS_RIFE + "flownet_v4.6.pkl"),
        ),
        _ALONG_FLOW,
    ),
    ModelCard(
        "edvr",
        "EDVR",
        "upscale",
        "Apache-2.0",
        "Wang et al. 2019, EDVR: Video Restoration with Enhanced Deformable Convolutional Networks",
        (ModelFile("EDVR_M_x4_SR_REDS_official-32075921.pth", "https://github.com/XPixelGroup/BasicSR"),),
        "Lanczos resampling is used",
        supported=False,
    ),
    ModelCard(
        "realesrgan",
        "Real-ESRGAN",
        "upscale",
        "BSD-3-Clause",
        "Wang et al. 2021, Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data",
        (
            ModelFile("RealESRGAN_x2plus.pth", _REALESRGAN + "v0.2.1/RealESRGAN_x2plus.pth"),
            ModelFile("RealESRGAN_x4plus.pth", _REALESRGAN + "v0.1.0/RealESRGAN_x4plus.pth"),
        ),
        "Lanczos resampling is used",
        supported=False,
    ),
    ModelCard(
        "raft",
        "RAFT",
        "flow",
        "BSD-3-Clause",
        "Teed & Deng 2020, RAFT: Recurrent All-Pairs Field Transforms for Optical Flow",
        (ModelFile("raft-things.pth", "https://github.com/princeton-vl/RAFT"),),
        "DIS optical flow is used",
        supported=False,
    ),
)
