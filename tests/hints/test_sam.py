"""The adapter of segment-anything, with a stand-in for the library: encode once, ask the right thing."""

from __future__ import annotations

import sys
import types
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.contract.plugins import Plugins
from core.errors import ModelMissingError, PochoirError, WeightsError
from core.models import torchvision_shim
from hints import sam, segment
from studio.segmenting import Segmenters


class Predictor:
    def __init__(self, model):
        self.network = model
        self.encoded, self.asked = [], []

    def set_image(self, picture):
        assert picture.dtype == np.uint8
        self.encoded.append(picture.shape)
        self.features = torch.tensor(float(picture[0, 0, 0])).expand(1, 256, 64, 64)
        self.original_size, self.input_size = picture.shape[:2], (768, 1024)

    def predict(self, where, sides, box, mask_input=None, multimask_output=True):
        self.asked.append((where, sides, box, mask_input is not None, multimask_output))
        count = 3 if multimask_output else 1
        masks = np.zeros((count, *self.original_size), bool)
        masks[-1, 2:5, 3:6] = True
        masks[-1, 0, int(self.features[0, 0, 0, 0]) % 16] = True  # tells which picture was looked at
        return masks, np.arange(count), np.zeros((count, 256, 256), np.float32)


@pytest.fixture
def segmenter(monkeypatch, tmp_path):
    torch.save(torch.nn.Conv2d(3, 2, 1).state_dict(), tmp_path / "sam_vit_b_01ec64.pth")
    monkeypatch.setenv("POCHOIR_MODELS", str(tmp_path))
    monkeypatch.setattr(torchvision_shim, "ensure_torchvision", lambda: "native")
    library = types.ModuleType("segment_anything")
    library.sam_model_registry = {"vit_b": lambda: torch.nn.Conv2d(3, 2, 1)}
    library.SamPredictor = Predictor
    monkeypatch.setitem(sys.modules, "segment_anything", library)
    return sam.SamSegmenter("cpu")


def authors(segmenter):
    """The predictor that is asked now."""
    return segmenter._eyes(lambda eyes: eyes.predictor._authors)


def test_a_picture_is_encoded_once_for_all_its_clicks(segmenter):
    picture = np.full((12, 16, 3), 0.4, np.float32)
    one = segmenter.segment(picture, [(4.5, 3.5, True)])
    segmenter.segment(picture, [(4.5, 3.5, True), (9.0, 9.0, False)])
    segmenter.segment(picture * 0.5, [(4.5, 3.5, True)])
    assert authors(segmenter).encoded == [(12, 16, 3)] * 2
    assert one.dtype == bool
    assert one[3, 4]


def test_pictures_that_were_looked_at_before_are_not_encoded_again(segmenter, monkeypatch):
    click = [(4.5, 3.5, True)]
    tones = (3, 5, 9)
    pictures = [np.full((12, 16, 3), tone / 255, np.float32) for tone in tones]
    pictures[1] = pictures[1][:, :14]  # of another size
    encoded = authors(segmenter).encoded
    for place in (0, 1, 0, 2, 1, 0):
        found = segmenter.segment(pictures[place], click)
        assert found.shape == pictures[place].shape[:2]
        assert np.flatnonzero(found[0]).tolist() == [tones[place]]
    assert encoded == [(12, 16, 3), (12, 14, 3), (12, 16, 3)]
    monkeypatch.setattr(sam, "KEPT_BYTES", 2 * 4 << 20)  # room for two
    small = sam.SamSegmenter("cpu")
    for place in (0, 1, 0, 2, 0, 1):
        small.segment(pictures[place], click)
    assert len(authors(small).encoded) == 4


def test_several_clicks_are_refined_and_keep_their_signs(segmenter):
    luma = np.full((12, 16), 40.0, np.float32)
    segmenter.segment(luma, [(4.5, 3.5, True), (9.0, 9.0, False)], (1.0, 1.0, 12.0, 10.0))
    first, second = authors(segmenter).asked
    assert first[0].tolist() == [[4.5, 3.5], [9.0, 9.0]]
    assert first[1].tolist() == [1, 0]
    assert first[2].tolist() == [1, 1, 12, 10]
    assert (first[3], second[3]) == (False, True)


@pytest.mark.parametrize("content", [b"no checkpoint", None], ids=["damaged", "of another model"])
def test_a_file_that_is_no_checkpoint_is_named(segmenter, tmp_path, content):
    path = tmp_path / "sam_vit_b_01ec64.pth"
    if content is None:
        torch.save({"weight": torch.ones(2, 3, 1, 1)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"sam_vit_b_01ec64\.pth") as error:
        sam.SamSegmenter("cpu")
    assert "\n" not in str(error.value)


def test_the_network_has_the_checkpoints_weights(segmenter, tmp_path):
    wanted = torch.load(tmp_path / "sam_vit_b_01ec64.pth", weights_only=True)
    got = authors(segmenter).network.state_dict()
    assert got.keys() == wanted.keys()
    assert all(torch.equal(got[name], tensor) for name, tensor in wanted.items())


def test_where_memory_ends_pictures_are_looked_at_anew_on_the_cpu(segmenter, monkeypatch, caplog):
    picture = np.full((12, 16, 3), 0.4, np.float32)
    clicks = [(4.5, 3.5, True), (9.0, 9.0, False)]
    wanted = segmenter.segment(picture, clicks)
    there, full, whole = authors(segmenter), [authors(segmenter)], Predictor.predict

    def predict(self, *asked, **how):
        if self in full:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")
        return whole(self, *asked, **how)

    monkeypatch.setattr(Predictor, "predict", predict)
    # What it stands on now is taken for a device that is not the CPU.
    monkeypatch.setattr(segmenter._eyes, "_place", replace(segmenter._eyes._place, device=torch.device("meta")))
    for _ in range(2):
        assert np.array_equal(segmenter.segment(picture, clicks), wanted)
    assert authors(segmenter) is not there
    assert authors(segmenter).encoded == [(12, 16, 3)]  # what was seen lay on the device
    assert [r.getMessage() for r in caplog.records] == [
        "segment-anything: out of memory on meta; going on on the CPU, more slowly"
    ]
    full.append(authors(segmenter))
    with pytest.raises(PochoirError, match=r"^segment-anything: out of memory on cpu; close what else uses it$"):
        segmenter.segment(picture, clicks)


def test_without_the_library_clicks_go_to_the_next_segmenter(segmenter, monkeypatch):
    monkeypatch.setitem(sys.modules, "segment_anything", None)
    with pytest.raises(ModelMissingError, match="segment-anything needs the segment_anything library; install what"):
        sam.SamSegmenter("cpu")
    plugins = Plugins()
    for module in (sam, segment):
        module.register(plugins)
    picture = np.full((40, 60, 3), 0.2, np.float32)
    picture[10:30, 15:45] = 0.8
    asked = Segmenters(plugins, "cpu")
    mask = asked.mask(picture, [(30.0, 20.0, True)])
    assert isinstance(asked._segmenter(), segment.GeodesicSegmenter)
    assert mask[20, 30]
    assert not mask[2, 2]


def test_the_library_is_not_asked_about_other_models_files(monkeypatch):
    monkeypatch.setitem(sys.modules, "segment_anything", None)
    plugins = Plugins()
    sam.register(plugins)
    for name, _ in sam.MODELS:
        check = plugins.checks.get(name)
        with pytest.raises(WeightsError, match=r"^x\.pth: is no checkpoint of segment-anything"):
            check({"image_encoder.trunk.patch_embed.proj.weight": torch.zeros(1)}, "x.pth")
        with pytest.raises(ModelMissingError, match="segment-anything needs"):
            check({"image_encoder.patch_embed.proj.weight": torch.zeros(1)}, "x.pth")
