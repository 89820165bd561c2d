"""The adapter of segment-anything, with a stand-in for the library: encode once, ask the right thing."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from core.errors import WeightsError
from hints import sam


class Predictor:
    def __init__(self, model):
        self.encoded, self.asked = [], []

    def set_image(self, picture):
        assert picture.dtype == np.uint8
        self.encoded.append(picture.shape)

    def predict(self, where, sides, box, mask_input=None, multimask_output=True):
        self.asked.append((where, sides, box, mask_input is not None, multimask_output))
        count = 3 if multimask_output else 1
        masks = np.zeros((count, *self.encoded[-1][:2]), bool)
        masks[-1, 2:5, 3:6] = True
        return masks, np.arange(count), np.zeros((count, 256, 256), np.float32)


class Model:
    def to(self, device):
        return self

    def eval(self):
        return self


@pytest.fixture
def segmenter(monkeypatch, tmp_path):
    (tmp_path / "sam_vit_b_01ec64.pth").write_bytes(b"weights")
    monkeypatch.setenv("POCHOIR_MODELS", str(tmp_path))
    monkeypatch.setattr(sam, "ensure_torchvision", lambda: "native")
    made = []
    library = types.ModuleType("segment_anything")
    library.sam_model_registry = {"vit_b": lambda checkpoint: made.append(checkpoint) or Model()}
    library.SamPredictor = Predictor
    monkeypatch.setitem(sys.modules, "segment_anything", library)
    found = sam.SamSegmenter("cpu")
    assert made == [str(tmp_path / "sam_vit_b_01ec64.pth")]
    return found


def test_a_picture_is_encoded_once_for_all_its_clicks(segmenter):
    picture = np.full((12, 16, 3), 0.4, np.float32)
    one = segmenter.segment(picture, [(4.5, 3.5, True)])
    segmenter.segment(picture, [(4.5, 3.5, True), (9.0, 9.0, False)])
    segmenter.segment(picture * 0.5, [(4.5, 3.5, True)])
    assert segmenter._predictor.encoded == [(12, 16, 3)] * 2
    assert one.dtype == bool
    assert one[3, 4]


def test_several_clicks_are_refined_and_keep_their_signs(segmenter):
    luma = np.full((12, 16), 40.0, np.float32)
    segmenter.segment(luma, [(4.5, 3.5, True), (9.0, 9.0, False)], (1.0, 1.0, 12.0, 10.0))
    first, second = segmenter._predictor.asked
    assert first[0].tolist() == [[4.5, 3.5], [9.0, 9.0]]
    assert first[1].tolist() == [1, 0]
    assert first[2].tolist() == [1, 1, 12, 10]
    assert (first[3], second[3]) == (False, True)


def test_a_file_that_is_no_checkpoint_is_named(segmenter, monkeypatch):
    def broken(checkpoint):
        raise RuntimeError("Invalid magic number\nmore")

    sys.modules["segment_anything"].sam_model_registry["vit_b"] = broken
    with pytest.raises(WeightsError, match=r"sam_vit_b_01ec64\.pth") as error:
        sam.SamSegmenter("cpu")
    assert "\n" not in str(error.value)
