"""torchvision can be imported here, and what segment-anything asks of it is right."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from core.models.torchvision_shim import ensure_torchvision, nms

ROOT = Path(__file__).resolve().parents[3]


def test_boxes_that_overlap_a_better_one_are_dropped():
    boxes = torch.tensor(
        [
            [0.0, 0, 10, 10],
            [1, 1, 11, 11],  # IoU with the first: 81 / 119 = 0.68
            [0, 0, 10, 5],  # IoU with the first: 50 / 100, exactly the threshold: stays
            [20, 20, 30, 30],
            [21, 21, 31, 31],  # better than the one it overlaps
        ]
    )
    scores = torch.tensor([0.9, 0.8, 0.3, 0.6, 0.7])
    assert nms(boxes, scores, 0.5).tolist() == [0, 4, 2]
    assert nms(boxes, scores, 0.7).tolist() == [0, 1, 4, 3, 2]
    assert nms(boxes, scores, 0.1).tolist() == [0, 4]


def test_a_dropped_box_drops_no_other():
    # A chain: the second overlaps first and third; once it is gone, the third stays.
    boxes = torch.tensor([[0.0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]])
    assert nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.3).tolist() == [0, 2]


def test_no_boxes_give_none():
    kept = nms(torch.zeros(0, 4), torch.zeros(0), 0.5)
    assert (kept.shape, kept.dtype) == ((0,), torch.int64)


@pytest.fixture(scope="module")
def torchvision():
    if ensure_torchvision() == "absent":
        pytest.skip("torchvision is not installed")
    import torchvision

    return torchvision


def test_torchvisions_own_functions_use_it(torchvision):
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 11, 11], [0, 0, 10, 10]])
    scores = torch.tensor([0.5, 0.9, 0.4])
    assert torchvision.ops.nms(boxes, scores, 0.5).tolist() == [1]
    assert torch.ops.torchvision.nms(boxes, scores, 0.5).tolist() == [1]
    # Of different classes: each is kept beside the others.
    kept = torchvision.ops.boxes.batched_nms(boxes, scores, torch.tensor([0, 1, 1]), 0.5)
    assert kept.tolist() == [1, 0]


def test_calling_it_again_changes_nothing(torchvision):
    assert ensure_torchvision() == ensure_torchvision() != "absent"


def test_a_fresh_process_imports_it(torchvision):
    code = (
        "from core.models.torchvision_shim import ensure_torchvision as e; a = e();"
        "import torchvision, torch;"
        "print(a, len(torchvision.ops.nms(torch.ones(3, 4).cumsum(1), torch.rand(3), .5)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] in ("native", "shimmed")


def test_segment_anything_builds_and_answers(torchvision):
    """The whole vit_b is built without memory; its decoder, with random weights, answers a click."""
    segment_anything = pytest.importorskip("segment_anything")
    with torch.device("meta"):
        sam = segment_anything.sam_model_registry["vit_b"]()
    assert sum(p.numel() for p in sam.parameters()) == pytest.approx(93.7e6, rel=0.01)
    torch.manual_seed(0)
    for part in (sam.prompt_encoder, sam.mask_decoder):
        part.to_empty(device="cpu")
        for tensor in part.state_dict().values():
            tensor.normal_(0, 0.05)
    with torch.no_grad():
        sparse, dense = sam.prompt_encoder(
            points=(torch.tensor([[[512.0, 512.0]]]), torch.ones(1, 1)), boxes=None, masks=None
        )
        masks, quality = sam.mask_decoder(
            image_embeddings=torch.randn(1, 256, 64, 64),
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
        )
    assert masks.shape == (1, 3, 256, 256)
    assert quality.shape == (1, 3)
    assert torch.isfinite(masks).all()
