"""SAM 2.1: its adapter against the library's own processor and model, and checkpoints in both published forms."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core.errors import InputError, ModelMissingError, WeightsError
from core.models import torchvision_shim
from core.models.admit import admit, verified
from core.models.checkpoint import empty
from core.models.sam2 import LAYOUTS, Layout, Sam2Predictor, check, named, network
from core.models.shelf import card_of, find
from tests.contracts.registered import PLUGINS
from tests.core.models.test_admit import filled

SMALL = Layout(16, 1, (1, 1, 2, 1), (3,), side=128)
CARDS = PLUGINS.cards.values()


def drawn(layout):
    """A network whose every weight is alive."""
    torch.manual_seed(4)
    made = network(layout)
    with torch.no_grad():
        for weight in made.parameters():
            weight += 0.02 * torch.randn_like(weight)
        made.prompt_encoder.shared_embedding.positional_embedding.copy_(
            made.shared_image_embedding.positional_embedding
        )
    return made


@pytest.fixture(scope="module")
def model():
    return drawn(SMALL)


def published(model):
    """Its tensors as the page of the library holds them: one of two that are tied, and the parts for films."""
    table = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    del table["prompt_encoder.shared_embedding.positional_embedding"]
    return table | {name: torch.zeros(1) for name in ("memory_encoder.x", "occlusion_spatial_embedding_parameter")}


def frame(h=90, w=160):
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:h, :w]
    picture = np.where(np.hypot(x - 70, y - 40)[..., None] < 25, [200, 90, 40], [60, 70, 80])
    return np.clip(picture + rng.normal(0, 12, (h, w, 3)), 0, 255).astype(np.uint8)


CLICKS = {
    "a click": ([[70.5, 40.5]], [1], None, True),
    "inside and outside": ([[70.5, 40.5], [10.5, 80.5], [80.0, 30.0]], [1, 0, 1], None, False),
    "a box": (None, None, [44.0, 14.0, 97.0, 66.0], False),
    "a box and a click outside": ([[10.5, 80.5]], [0], [44.0, 14.0, 97.0, 66.0], False),
}


def librarys(model, picture, points, labels, box, several, mask=None):
    """The same by the library's own way, from the picture as it is."""
    import transformers

    processor = transformers.Sam2Processor(
        transformers.Sam2ImageProcessor(do_rescale=False, size={"height": SMALL.side, "width": SMALL.side})
    )
    inputs = processor(
        images=torch.from_numpy(picture).permute(2, 0, 1) / 255,
        input_points=[[points]] if points else None,
        input_labels=[[labels]] if labels else None,
        input_boxes=[[box]] if box else None,
        return_tensors="pt",
    )
    sizes = inputs.pop("original_sizes")
    with torch.inference_mode():
        out = model(**inputs, input_masks=mask, multimask_output=several)
    return processor.post_process_masks(out.pred_masks, sizes)[0][0].numpy(), out.iou_scores[0, 0].numpy(), out


@pytest.mark.parametrize("clicks", CLICKS.values(), ids=CLICKS)
def test_the_answer_is_the_librarys_own(model, clicks):
    points, labels, box, several = clicks
    picture, predictor = frame(), Sam2Predictor(model, SMALL.side)
    seen = predictor.look(picture)
    arrays = [a and np.array(a, kind) for a, kind in ((points, np.float32), (labels, np.int64), (box, np.float32))]
    masks, scores, logits = predictor.predict(seen, *arrays, multimask_output=several)
    wanted, wanted_scores, out = librarys(model, picture, points, labels, box, several)
    assert masks.shape == (3 if several else 1, *picture.shape[:2])
    assert 0.01 < wanted.mean() < 0.99  # neither nothing nor everything
    assert np.array_equal(masks, wanted)
    assert np.abs(scores - wanted_scores).max() < 1e-5
    assert np.abs(logits - out.pred_masks[0, 0].numpy()).max() < 1e-4
    # and once more, with its own answer for a hint
    again, _, _ = predictor.predict(seen, *arrays, mask_input=logits[:1], multimask_output=False)
    wanted, _, _ = librarys(model, picture, points, labels, box, False, mask=out.pred_masks[0, :, :1])
    assert np.array_equal(again, wanted)


def test_logits_that_are_given_back_are_bounded_as_the_authors_bound_them(model):
    loud = Sam2Predictor(model, SMALL.side)
    seen = loud.look(frame())
    decode = model.mask_decoder.forward
    try:
        model.mask_decoder.forward = lambda **asked: (1e4 * (out := decode(**asked))[0], *out[1:])
        _, _, logits = loud.predict(seen, np.array([[70.5, 40.5]], np.float32), np.array([1]), None)
    finally:
        del model.mask_decoder.forward
    assert (logits.min(), logits.max()) == (-32, 32)


def test_the_published_layouts_are_the_librarys_and_the_papers():
    """Numbers of parameters: the paper's tables give 38.9, 46, 80.8 and 224.4 million with the parts for films."""
    import transformers

    tiny = empty(lambda: transformers.Sam2Model(transformers.Sam2Config())).state_dict()  # its defaults are tiny's
    assert {k: v.shape for k, v in empty(lambda: network(LAYOUTS["sam2.1-tiny"])).state_dict().items()} == {
        k: v.shape for k, v in tiny.items()
    }
    film = {
        name: tensor
        for name, tensor in empty(lambda: transformers.Sam2VideoModel(transformers.Sam2VideoConfig()))
        .state_dict()
        .items()
        if name not in tiny
    }
    counted = {
        name: sum(t.numel() for t in (empty(lambda x=layout: network(x)).state_dict() | film).values()) / 1e6
        for name, layout in LAYOUTS.items()
    }
    paper = {"sam2.1-large": 224.4, "sam2.1-base-plus": 80.8, "sam2.1-small": 46, "sam2.1-tiny": 38.9}
    assert counted == pytest.approx(paper, abs=0.15)
    # The library's file for films, of which only the part for pictures is wanted.
    check(LAYOUTS["sam2.1-tiny"])(filled({k: tuple(v.shape) for k, v in {**tiny, **film}.items()}), "x")


# -- the authors' own files --------------------------------------------------------------------------------


def spelt(pattern):
    """``a.{0-2}.{x,y}`` as the six names it stands for."""
    parts = re.split(r"\{([^}]*)\}", pattern)
    choices = []
    for number, part in enumerate(parts):
        first, dash, last = part.partition("-")
        if number % 2 and dash:
            choices.append([str(n) for n in range(int(first), int(last) + 1)])
        else:
            choices.append(part.split(",") if number % 2 else [part])
    return ["".join(words) for words in itertools.product(*choices)]


ATTENTION = "{q_proj,k_proj,v_proj,out_proj}.{weight,bias}"
AUTHORS = """
no_mem_embed
image_encoder.trunk.{pos_embed,pos_embed_window}
image_encoder.trunk.patch_embed.proj.{weight,bias}
image_encoder.trunk.blocks.{0-11}.{norm1,norm2,attn.qkv,attn.proj,mlp.layers.0,mlp.layers.1}.{weight,bias}
image_encoder.trunk.blocks.{1,3,10}.proj.{weight,bias}
image_encoder.neck.convs.{0-3}.conv.{weight,bias}
sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix
sam_prompt_encoder.point_embeddings.{0-3}.weight
sam_prompt_encoder.{not_a_point_embed,no_mask_embed}.weight
sam_prompt_encoder.mask_downscaling.{0,1,3,4,6}.{weight,bias}
sam_mask_decoder.transformer.layers.{0,1}.{self_attn,cross_attn_token_to_image,cross_attn_image_to_token}.ATTENTION
sam_mask_decoder.transformer.layers.{0,1}.{norm1,norm2,norm3,norm4,mlp.layers.0,mlp.layers.1}.{weight,bias}
sam_mask_decoder.transformer.final_attn_token_to_image.ATTENTION
sam_mask_decoder.transformer.norm_final_attn.{weight,bias}
sam_mask_decoder.{iou_token,mask_tokens,obj_score_token}.weight
sam_mask_decoder.output_upscaling.{0,1,3}.{weight,bias}
sam_mask_decoder.{conv_s0,conv_s1}.{weight,bias}
sam_mask_decoder.output_hypernetworks_mlps.{0-3}.layers.{0-2}.{weight,bias}
sam_mask_decoder.{iou_prediction_head,pred_obj_score_head}.layers.{0-2}.{weight,bias}
""".replace("ATTENTION", ATTENTION)
FILMS = """
maskmem_tpos_enc
no_mem_pos_enc
no_obj_ptr
no_obj_embed_spatial
mask_downsample.{weight,bias}
memory_attention.layers.{0-3}.self_attn.q_proj.{weight,bias}
memory_encoder.mask_downsampler.encoder.0.{weight,bias}
obj_ptr_proj.layers.{0-2}.{weight,bias}
obj_ptr_tpos_proj.{weight,bias}
"""


def names_of(patterns):
    return [name for line in patterns.split() for name in spelt(line)]


def test_every_name_of_the_authors_has_its_place():
    shapes = {k: tuple(v.shape) for k, v in empty(lambda: network(LAYOUTS["sam2.1-tiny"])).state_dict().items()}
    ours = named(dict.fromkeys(names_of(AUTHORS + FILMS), torch.zeros(1)), where="x")
    assert ours.keys() == shapes.keys()
    for theirs, name in {
        "sam_mask_decoder.transformer.layers.1.norm3.bias": "mask_decoder.transformer.layers.1.layer_norm3.bias",
        "image_encoder.trunk.blocks.7.mlp.layers.1.weight": "vision_encoder.backbone.blocks.7.mlp.proj_out.weight",
        "sam_mask_decoder.iou_prediction_head.layers.1.bias": "mask_decoder.iou_prediction_head.layers.0.bias",
        "sam_mask_decoder.output_hypernetworks_mlps.2.layers.2.bias": (
            "mask_decoder.output_hypernetworks_mlps.2.proj_out.bias"
        ),
        "sam_prompt_encoder.mask_downscaling.4.bias": "prompt_encoder.mask_embed.layer_norm2.bias",
    }.items():
        assert name in named({theirs: torch.zeros(1), "image_encoder.": torch.zeros(1)}, where="x")
    points = named(
        {f"sam_prompt_encoder.point_embeddings.{n}.weight": torch.full((1, 2), n) for n in (2, 0, 3, 1)}
        | {"image_encoder.": torch.zeros(1)},
        where="x",
    )
    assert points["prompt_encoder.point_embed.weight"].tolist() == [[0, 0], [1, 1], [2, 2], [3, 3]]
    gaussian = {"sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix": torch.ones(2), "image_encoder.": 0}
    assert torch.equal(named(gaussian, where="x")["shared_image_embedding.positional_embedding"], torch.ones(2))


def test_sam_2_before_2_1_is_refused_by_name():
    table = dict.fromkeys(names_of(AUTHORS + FILMS.replace("no_obj_embed_spatial", "")), torch.zeros(1))
    with pytest.raises(WeightsError, match=r"^x\.pt: is SAM 2 of July 2024; take its successor 2\.1") as caught:
        check(LAYOUTS["sam2.1-tiny"])(table, "x.pt")
    assert "\n" not in str(caught.value)


# -- the model folder --------------------------------------------------------------------------------------


@pytest.fixture
def shelf(monkeypatch, tmp_path):
    monkeypatch.setenv("POCHOIR_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def test_a_page_s_file_is_taken_in_as_what_it_is_and_read(shelf, tmp_path, model, monkeypatch):
    """All four pages call theirs model.safetensors; their tensors tell them apart."""
    monkeypatch.setitem(LAYOUTS, "sam2.1-tiny", SMALL)
    checks = PLUGINS.checks
    monkeypatch.setitem(checks._things, "sam2.1-tiny", check(SMALL))
    save_file(published(model), tmp_path / "model.safetensors")
    taken = admit(tmp_path / "model.safetensors", CARDS, checks)
    assert (taken.card.id, taken.path) == ("sam2.1-tiny", find("sam2.1-tiny"))
    assert taken.path == shelf / "sam2.1_hiera_tiny.safetensors"
    (seen,) = verified([card_of("sam2.1-tiny")], checks)
    assert (seen.as_taken_in, seen.fault) == (True, "")
    read = Sam2Predictor.read(SMALL, taken.path, device="cpu")
    wanted = model.state_dict()
    got = read._model.state_dict()
    assert got.keys() == wanted.keys()
    assert all(torch.equal(got[name], tensor) for name, tensor in wanted.items())


def test_a_wrong_file_is_refused_in_one_line(shelf, tmp_path, model):
    path = tmp_path / "sam2.1_hiera_tiny.pt"
    torch.save({"conv.weight": torch.ones(2, 3, 1, 1)}, path)
    with pytest.raises(WeightsError, match=r"sam2\.1_hiera_tiny\.pt: is no checkpoint of SAM 2\.1") as caught:
        admit(path, CARDS, PLUGINS.checks, model="sam2.1-tiny")
    assert "\n" not in str(caught.value)
    with pytest.raises(WeightsError, match=r"sam2\.1_hiera_tiny\.pt: 'conv\.weight' is not of this network"):
        Sam2Predictor.read(LAYOUTS["sam2.1-tiny"], path, device="cpu")
    save_file(published(model), path)  # of another size
    with pytest.raises(WeightsError, match=r"sam2\.1_hiera_tiny\.pt: ") as caught:
        admit(path, CARDS, PLUGINS.checks, model="sam2.1-tiny")
    assert "\n" not in str(caught.value)


def test_without_the_library_the_segmenter_is_passed_over(monkeypatch):
    monkeypatch.setattr(torchvision_shim, "ensure_torchvision", lambda: "absent")
    with pytest.raises(ModelMissingError, match="needs torchvision"):
        network(SMALL)
    monkeypatch.undo()
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(InputError, match="needs the transformers library; install what requirements"):
        network(SMALL)
