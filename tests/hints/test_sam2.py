"""Clicks by SAM 2.1: one look at a picture for all its clicks, and what each click asks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core.contract.plugins import Plugins
from core.errors import ModelMissingError, WeightsError
from core.models.sam2 import LAYOUTS
from hints import sam, sam2, segment
from hints.segment import Prepares, Segmenter
from studio.segmenting import Segmenters
from tests.core.models.test_sam2_network import SMALL, drawn, frame, librarys, published

MODEL = "sam2.1-tiny"


@pytest.fixture(scope="module")
def model():
    return drawn(SMALL)


@pytest.fixture
def folder(monkeypatch, tmp_path, model):
    monkeypatch.setenv("POCHOIR_MODELS", str(tmp_path))
    monkeypatch.setitem(LAYOUTS, MODEL, SMALL)
    save_file(published(model), tmp_path / "sam2.1-hiera-tiny.safetensors")
    return tmp_path


@pytest.fixture
def looks(monkeypatch):
    """How often the encoder has run."""
    counted = []
    look = sam2.Sam2Predictor.look
    monkeypatch.setattr(sam2.Sam2Predictor, "look", lambda self, p: (counted.append(p.shape), look(self, p))[1])
    return counted


def test_one_look_serves_all_clicks_and_the_best_mask_is_taken(folder, looks, model):
    segmenter = sam2.Sam2Segmenter("cpu")
    assert isinstance(segmenter, Segmenter)
    assert isinstance(segmenter, Prepares)
    eight_bit = frame()
    picture = (eight_bit / 255).astype(np.float32)
    segmenter.prepare(picture)
    one = segmenter.segment(picture, [(70.5, 40.5, True)])
    two = segmenter.segment(picture, [(70.5, 40.5, True), (10.5, 80.5, False)])
    boxed = segmenter.segment(picture, [], (44.0, 14.0, 97.0, 66.0))
    assert looks == [(90, 160, 3)]
    masks, scores, _ = librarys(model, eight_bit, [[70.5, 40.5]], [1], None, True)
    assert np.array_equal(one, masks[scores.argmax()])
    for found, asked in ((two, ([[70.5, 40.5], [10.5, 80.5]], [1, 0], None)), (boxed, (None, None, [44, 14, 97, 66]))):
        asked = (asked[0], asked[1], asked[2] and [float(x) for x in asked[2]])
        _, _, first = librarys(model, eight_bit, *asked, False)
        masks, _, _ = librarys(model, eight_bit, *asked, False, mask=first.pred_masks[0].clamp(-32, 32))
        assert np.array_equal(found, masks[0])
    segmenter.segment(picture[::-1], [(70.5, 40.5, True)])
    assert len(looks) == 2
    again = segmenter.segment(picture, [(70.5, 40.5, True)])  # which is still known
    assert len(looks) == 2
    assert np.array_equal(again, one)


def test_the_studio_asks_it_first_and_looks_in_the_background(folder, looks):
    plugins = Plugins()
    for module in (sam2, sam, segment):
        module.register(plugins)
    assert list(plugins.segmenters) == ["sam2.1", "segment-anything", "geodesic"]
    asked = Segmenters(plugins, "cpu")
    picture = (frame() / 255).astype(np.float32)
    asked.prepare(lambda: picture).join()
    assert looks == [(90, 160, 3)]
    for x in (70.5, 40.5, 20.5):
        assert asked.mask(picture, [(x, 40.5, True)]).shape == (90, 160)
    assert len(looks) == 1
    assert isinstance(asked._segmenter(), sam2.Sam2Segmenter)


@pytest.mark.parametrize("at", ["look", "predict"])
def test_where_memory_ends_it_goes_on_on_the_cpu(folder, monkeypatch, caplog, at):
    picture, click = (frame() / 255).astype(np.float32), [(70.5, 40.5, True)]
    wanted = sam2.Sam2Segmenter("cpu").segment(picture, click)
    short = sam2.Sam2Segmenter("cpu")
    there, usual = short._eyes(lambda eyes: eyes.predictor), getattr(sam2.Sam2Predictor, at)

    def within_limits(self, *asked, **how):
        if self is there:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")
        return usual(self, *asked, **how)

    monkeypatch.setattr(sam2.Sam2Predictor, at, within_limits)
    # What it stands on now is taken for a device that is not the CPU.
    monkeypatch.setattr(short._eyes, "_place", replace(short._eyes._place, device=torch.device("meta")))
    for _ in range(2):
        assert np.array_equal(short.segment(picture, click), wanted)
    said = [record.getMessage() for record in caplog.records]
    assert said == ["sam2.1: out of memory on meta; going on on the CPU, more slowly"]


def test_of_several_checkpoints_the_largest_is_used(folder):
    (folder / "sam2.1_hiera_large.pt").write_bytes(b"no checkpoint")
    with pytest.raises(WeightsError, match=r"sam2\.1_hiera_large\.pt"):
        sam2.Sam2Segmenter("cpu")


def test_without_a_checkpoint_it_says_which_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("POCHOIR_MODELS", str(tmp_path))
    with pytest.raises(ModelMissingError, match=r"put sam2\.1_hiera_tiny\.pt into .*models fetch sam2\.1-tiny"):
        sam2.Sam2Segmenter("cpu")
