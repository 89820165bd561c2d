"""Cards of models: what each is, whose it is, where its file is published, what there is without it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

from core.errors import InputError
from core.models.uses import USES, Use

Task = Literal["colourise", "segment", "interpolate", "upscale", "flow"]
Half = Literal["bfloat16", "float16"]


@dataclass(frozen=True)
class ModelFile:
    """A published file.

    Attributes:
        name: as published, and as looked for in the model folder.
        published: address of the file, or of the page that leads to it.
        sha256: of its bytes, where it is known from more than one place; else None.
        size: in bytes, where it is known; else None.
        reading: what tells it from others of its card that the network reads in another way; a file of another name
            can then not stand in for it.
        in_archive: the page gives it within an archive, which has to be unpacked first.
    """

    name: str
    published: str
    sha256: str | None = None
    size: int | None = None
    reading: str = ""
    in_archive: bool = False

    @property
    def rewritten(self) -> str:
        """Its name once its tensors have been rewritten as safetensors."""
        return str(PurePosixPath(self.name).with_suffix(".safetensors"))

    @property
    def direct(self) -> bool:
        """Whether ``published`` is the file itself, not a page that leads to it."""
        return urlsplit(self.published).path.rpartition("/")[2] == self.name

    @property
    def digest(self) -> str:
        """As much of its SHA-256 as its card or its name tells, in hexadecimal; else empty.

        OpenMMLab's habit, which BasicSR and torch's hub share: the first eight digits end the name.
        """
        stem = PurePosixPath(self.name).stem
        tail = stem.rpartition("-")[2]
        return self.sha256 or (tail if re.fullmatch("[0-9a-f]{8}", tail) else "")


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
        instead: what there is as long as the file is missing: what a person is to choose, for a film is not made by
            another model unasked, or what the program uses by itself.
        built_in: the weights come with the program.
        use: what it is for and takes; None where nobody has said.
        detected: it has no network of ours: what lies in the model folder says what it is (`core.models.detected`).
        halves: half precisions at which it may run (`core.models.ways`), the one to be taken first in front.
        full: why it runs at float32 alone, in one line, where there are no ``halves``.
    """

    id: str
    title: str
    task: Task
    licence: str
    paper: str
    files: tuple[ModelFile, ...]
    instead: str
    built_in: bool = False
    halves: tuple[Half, ...] = ()
    full: str = ""
    use: Use | None = None
    detected: bool = False

    def __post_init__(self) -> None:
        if not self.files and not self.built_in:
            raise InputError(f"card of model '{self.id}': names no file; give it one, or say built_in=True")

    @property
    def direct(self) -> ModelFile | None:
        """The first of the files whose own address is known: the one that is fetched."""
        return next((file for file in self.files if file.direct), None)


# Pictures are made at float16: its eleven bits hold steps of 8-bit pictures eight times over, bfloat16's eight do not
# hold them once. Where only chroma is made, which is brought up along the film's own luma, bfloat16 does, and nothing
# can leave its range. What each costs was measured on recorded inputs and outputs (tests/core/models).
_PICTURE: tuple[Half, ...] = ("float16",)
_LIGHT: tuple[Half, ...] = ("float16", "bfloat16")  # where few layers, or the pictures themselves, carry the answer
_CHROMA: tuple[Half, ...] = ("bfloat16",)
_MASKS = "masks of clicks are kept in the project, and are to be the same on every machine"
_EMBEDDED = "choose colouriser 'embedded' instead"
_SAM = "https://dl.fbaipublicfiles.com/segment_anything/"
_SAM_PAPER = "Kirillov et al. 2023, Segment Anything"
_SAM_2 = "https://dl.fbaipublicfiles.com/segment_anything_2/092824/"
_SAM_2_PAGE = "https://huggingface.co/facebook/"
_CLASSICAL = "the classical segmenter is used"
_DEOLDIFY_PAPER = "Antic 2018-2022, github.com/jantic/DeOldify"
_IDEEPCOLOR = "http://colorization.eecs.berkeley.edu/siggraph/models/"
_DDCOLOR = "https://huggingface.co/piddnad/DDColor-models/resolve/main/"
_DDCOLOR_PAPER = "Kang et al. 2023, DDColor: Towards Photo-Realistic Image Colorization via Dual Decoders"
_ALONG_FLOW = "choose by 'flow' instead"
_VS_RIFE = "https://github.com/HolyWu/vs-rife/releases/download/model/"
_REALESRGAN = "https://github.com/xinntao/Real-ESRGAN/releases/download/"
_ESRGAN = "https://github.com/xinntao/ESRGAN"
_ESRGAN_PAPER = "Wang et al. 2018, ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks"
_EDVR = "https://github.com/XPixelGroup/BasicSR/blob/master/docs/ModelZoo.md"
_LANCZOS = "choose by 'lanczos' instead"
_PADDLEGAN = "https://paddlegan.bj.bcebos.com/"
_DIS = "choose flow 'dis' instead"
_RAFT = "https://github.com/princeton-vl/RAFT"
_RAFT_PAPER = "Teed & Deng 2020, RAFT: Recurrent All-Pairs Field Transforms for Optical Flow"


def _real(
    name: str,
    title: str,
    release: str,
    sha256: str | None = None,
    size: int | None = None,
    halves: tuple[Half, ...] = _PICTURE,
) -> ModelCard:
    """One of the nets released with Real-ESRGAN, by its place among the releases."""
    return ModelCard(
        name,
        title,
        "upscale",
        "BSD-3-Clause",
        "Wang et al. 2021, Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data",
        (ModelFile(release.rpartition("/")[2], _REALESRGAN + release, sha256, size),),
        _LANCZOS,
        halves=halves,
    )


def _sam_2(size: str, title: str) -> ModelCard:
    """One of the four networks of SAM 2.1.

    Their pages at Hugging Face hold each as model.safetensors: all four under one name, which one folder cannot hold.
    ``models import`` tells by the tensors which it is; by hand, rename it to the second name given here.
    """
    page = f"sam2.1-hiera-{size}"
    return ModelCard(
        f"sam2.1-{size}",
        title,
        "segment",
        "Apache-2.0",
        "Ravi et al. 2024, SAM 2: Segment Anything in Images and Videos",
        (
            ModelFile(f"{(file := page.replace('-', '_'))}.pt", f"{_SAM_2}{file}.pt"),
            ModelFile(f"{page}.safetensors", _SAM_2_PAGE + page),
        ),
        _CLASSICAL,
        full=_MASKS,
    )


def _edvr(name: str, title: str, file: str, *others: ModelFile) -> ModelCard:
    """One of EDVR's published variants."""
    return ModelCard(
        name,
        title,
        "upscale",
        "Apache-2.0",
        "Wang et al. 2019, EDVR: Video Restoration with Enhanced Deformable Convolutional Networks",
        (ModelFile(file, _EDVR), *others),
        _LANCZOS,
        halves=_PICTURE,
    )


_CARDS = (
    ModelCard(
        "embedded",
        "Embedded colouriser",
        "colourise",
        "Apache-2.0; trained on openly licensed stills only, see the model card beside the weights",
        "this project, bench/train",
        (),
        "nothing stands in for it",
        built_in=True,
        halves=_CHROMA,
    ),
    ModelCard(
        "deoldify",
        "DeOldify video",
        "colourise",
        "MIT",
        _DEOLDIFY_PAPER,
        (ModelFile("ColorizeVideo_gen.pth", "https://data.deepai.org/deoldify/ColorizeVideo_gen.pth"),),
        _EMBEDDED,
        halves=_CHROMA,
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
                "https://www.dropbox.com/s/axsd2g85uyixaho/ColorizeStable_gen.pth?dl=1",
            ),
            ModelFile("DeOldify_stable.pdparams", _PADDLEGAN + "applications/DeOldify_stable.pdparams"),
        ),
        _EMBEDDED,
        halves=_CHROMA,
    ),
    ModelCard(
        "deoldify-artistic",
        "DeOldify artistic",
        "colourise",
        "MIT",
        _DEOLDIFY_PAPER,
        (
            ModelFile("ColorizeArtistic_gen.pth", "https://data.deepai.org/deoldify/ColorizeArtistic_gen.pth"),
            ModelFile("DeOldify_art.pdparams", _PADDLEGAN + "applications/DeOldify_art.pdparams"),
        ),
        _EMBEDDED,
        halves=_CHROMA,
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
        full=_MASKS,
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
                1_249_524_607,
            ),
        ),
        _CLASSICAL,
        full=_MASKS,
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
        full=_MASKS,
    ),
    _sam_2("tiny", "SAM 2.1 tiny"),
    _sam_2("small", "SAM 2.1 small"),
    _sam_2("base-plus", "SAM 2.1 base plus"),
    _sam_2("large", "SAM 2.1 large"),
    ModelCard(
        "siggraph17",
        "Real-time user-guided colourisation",
        "colourise",
        "MIT; the first file's code BSD-2-Clause",
        "Zhang et al. 2017, Real-Time User-Guided Image Colorization with Learned Deep Priors",
        # Which mask of hints each was trained with: core.models.siggraph17.CENTRES, by the file's name.
        (
            ModelFile(
                "siggraph17-df00044c.pth",
                "https://colorizers.s3.us-east-2.amazonaws.com/siggraph17-df00044c.pth",
                "df00044c0a4d7c3edcecf6f75437ce346a66e7a42612d9b968e1a7e17dbc6f66",
                136_787_426,
            ),
            ModelFile("caffemodel.pth", _IDEEPCOLOR + "caffemodel.pth"),
            ModelFile("pytorch.pth", _IDEEPCOLOR + "pytorch.pth", reading="retrained"),
        ),
        _EMBEDDED,
        halves=_CHROMA,
    ),
    # The authors' page of each DDColor holds its file once more, as pytorch_model.bin: all four under one name, so that
    # one folder cannot hold them apart. Rename it to the name given here.
    ModelCard(
        "ddcolor",
        "DDColor",
        "colourise",
        "Apache-2.0",
        _DDCOLOR_PAPER,
        (
            ModelFile(
                "ddcolor_modelscope.pth",
                _DDCOLOR + "ddcolor_modelscope.pth",
                "17c460d7e55b32a598370621d77173be59e03c24b0823f06821db23a50c263ce",
                911_950_059,
            ),
            ModelFile("pytorch_model.pt", "https://www.modelscope.cn/models/damo/cv_ddcolor_image-colorization"),
        ),
        _EMBEDDED,
        halves=_CHROMA,
    ),
    ModelCard(
        "ddcolor-artistic",
        "DDColor artistic",
        "colourise",
        "Apache-2.0",
        _DDCOLOR_PAPER,
        (
            ModelFile(
                "ddcolor_artistic.pth",
                _DDCOLOR + "ddcolor_artistic.pth",
                "a591ee5beedad36de703d8977e92d0c30c1eedc6453fd1b300f3b460842a23a9",
                911_950_059,
            ),
        ),
        _EMBEDDED,
        halves=_CHROMA,
    ),
    ModelCard(
        "ddcolor-paper",
        "DDColor of the paper",
        "colourise",
        "Apache-2.0",
        _DDCOLOR_PAPER,
        (ModelFile("ddcolor_paper.pth", _DDCOLOR + "ddcolor_paper.pth"),),
        _EMBEDDED,
        halves=_CHROMA,
    ),
    ModelCard(
        "ddcolor-tiny",
        "DDColor tiny",
        "colourise",
        "Apache-2.0",
        _DDCOLOR_PAPER,
        (ModelFile("ddcolor_paper_tiny.pth", _DDCOLOR + "ddcolor_paper_tiny.pth"),),
        _EMBEDDED,
        halves=_CHROMA,
    ),
    ModelCard(
        "dain",
        "DAIN",
        "interpolate",
        "MIT for the code; the weights hold a flow network that is not for commercial use (PWC-Net)",
        "Bao et al. 2019, Depth-Aware Video Frame Interpolation",
        (ModelFile("best.pth", "http://vllab1.ucmerced.edu/~wenbobao/DAIN/best.pth"),),
        _ALONG_FLOW,
        halves=_PICTURE,
    ),
    ModelCard(
        "rife",
        "RIFE",
        "interpolate",
        "MIT",
        "Huang et al. 2022, Real-Time Intermediate Flow Estimation for Video Frame Interpolation",
        (
            # The authors' archives all call it so; which version it is, its tensors tell.
            ModelFile("flownet.pkl", "https://github.com/hzwer/Practical-RIFE", in_archive=True),
            ModelFile("flownet_v4.25.pkl", _VS_RIFE + "flownet_v4.25.pkl"),
            ModelFile("flownet_v4.26.pkl", _VS_RIFE + "flownet_v4.26.pkl"),
            ModelFile("flownet_v4.17.pkl", _VS_RIFE + "flownet_v4.17.pkl"),
            ModelFile("flownet_v4.6.pkl", _VS_RIFE + "flownet_v4.6.pkl"),
        ),
        _ALONG_FLOW,
        halves=_LIGHT,
    ),
    _real(
        "realesrgan-x2",
        "Real-ESRGAN x2",
        "v0.2.1/RealESRGAN_x2plus.pth",
        "49fafd45f8fd7aa8d31ab2a22d14d91b536c34494a5cfe31eb5d89c2fa266abb",
        67_061_725,
    ),
    _real(
        "realesrgan-x4",
        "Real-ESRGAN x4",
        "v0.1.0/RealESRGAN_x4plus.pth",
        "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
        67_040_989,
    ),
    _real(
        "realesrgan-anime",
        "Real-ESRGAN x4 for drawn film",
        "v0.2.2.4/RealESRGAN_x4plus_anime_6B.pth",
        "f872d837d3c90ed2e05227bed711af5671a6fd1c9f7d7e91c911a61f155e99da",
        17_938_799,
    ),
    _real("realesrnet-x4", "Real-ESRNet x4 (softer, invents less)", "v0.1.1/RealESRNet_x4plus.pth"),
    _real(
        "realesr-general",
        "Real-ESRGAN general v3 x4",
        "v0.2.5.0/realesr-general-x4v3.pth",
        "8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292",
        4_885_111,
        _LIGHT,
    ),
    _real(
        "realesr-general-wdn",
        "Real-ESRGAN general v3 x4, weak denoising: realesr-general mixes it in",
        "v0.2.5.0/realesr-general-wdn-x4v3.pth",
        "1641f8c4464b9f097c9fdda5589273713f67cf59f3d909e0bd688f0cee269dca",
        4_885_111,
        _LIGHT,
    ),
    _real(
        "realesr-animevideo",
        "Real-ESRGAN video v3 x4 for drawn film",
        "v0.2.5.0/realesr-animevideov3.pth",
        "b8a8376811077954d82ca3fcf476f1ac3da3e8a68a4f4d71363008000a18b75d",
        2_504_012,
        _LIGHT,
    ),
    ModelCard(
        "esrgan",
        "ESRGAN x4",
        "upscale",
        "Apache-2.0",
        _ESRGAN_PAPER,
        (
            ModelFile("RRDB_ESRGAN_x4.pth", _ESRGAN),
            ModelFile("RRDB_ESRGAN_x4_old_arch.pth", _ESRGAN),
            ModelFile(
                "ESRGAN_SRx4_DF2KOST_official-ff704c30.pth",
                _REALESRGAN + "v0.1.1/ESRGAN_SRx4_DF2KOST_official-ff704c30.pth",
            ),
        ),
        _LANCZOS,
        halves=_PICTURE,
    ),
    ModelCard(
        "esrgan-psnr",
        "ESRGAN x4, trained for PSNR (softer, invents less)",
        "upscale",
        "Apache-2.0",
        _ESRGAN_PAPER,
        (ModelFile("RRDB_PSNR_x4.pth", _ESRGAN), ModelFile("RRDB_PSNR_x4_old_arch.pth", _ESRGAN)),
        _LANCZOS,
        halves=_PICTURE,
    ),
    ModelCard(
        "realsr",
        "RealSR x4, trained on DF2K and JPEG",
        "upscale",
        "Apache-2.0",
        "Ji et al. 2020, Real-World Super-Resolution via Kernel Estimation and Noise Injection",
        (ModelFile("DF2K_JPEG.pdparams", _PADDLEGAN + "applications/DF2K_JPEG.pdparams"),),
        _LANCZOS,
        halves=_PICTURE,
    ),
    _edvr("edvr", "EDVR M x4", "EDVR_M_x4_SR_REDS_official-32075921.pth"),
    _edvr("edvr-wotsa", "EDVR M x4 without temporal attention", "EDVR_M_woTSA_x4_SR_REDS_official-1edf645c.pth"),
    _edvr(
        "edvr-large",
        "EDVR L x4",
        "EDVR_L_x4_SR_REDS_official-9f5f5039.pth",
        ModelFile("EDVR_L_w_tsa_SRx4.pdparams", _PADDLEGAN + "models/EDVR_L_w_tsa_SRx4.pdparams"),
    ),
    _edvr("edvr-vimeo", "EDVR L x4, seven frames, trained on Vimeo", "EDVR_L_x4_SR_Vimeo90K_official-162b54e4.pth"),
    _edvr("edvr-srblur", "EDVR L x4 for blurred film", "EDVR_L_x4_SRblur_REDS_official-983d7b8e.pth"),
    _edvr("edvr-deblur", "EDVR L against blur, at the film's size", "EDVR_L_deblur_REDS_official-ca46bd8c.pth"),
    _edvr(
        "edvr-deblurcomp",
        "EDVR L against blur and compression, at the film's size",
        "EDVR_L_deblurcomp_REDS_official-0e988e5c.pth",
    ),
    ModelCard(
        "raft-large",
        "RAFT",
        "flow",
        "BSD-3-Clause",
        _RAFT_PAPER,
        tuple(
            ModelFile(name, _RAFT, in_archive=True)
            for name in ("raft-things.pth", "raft-sintel.pth", "raft-kitti.pth", "raft-chairs.pth")
        ),
        _DIS,
        halves=_PICTURE,
    ),
    ModelCard(
        "raft-small",
        "RAFT, small",
        "flow",
        "BSD-3-Clause",
        _RAFT_PAPER,
        (ModelFile("raft-small.pth", _RAFT, in_archive=True),),
        _DIS,
        halves=_PICTURE,
    ),
)

CARDS: tuple[ModelCard, ...] = tuple(replace(card, use=USES[card.id]) for card in _CARDS)
