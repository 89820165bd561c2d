"""The protocol of regions across shots, on shots whose regions are known."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench.across import SHOTS, measure, run, summarise
from core.errors import InputError
from tests.hints.film import SIZE, Film

DATA = Path(os.environ.get("POCHOIR_DATA", Path(__file__).parents[3] / "shared" / "data"))


class Tones:
    fingerprint = "tones"

    def features(self, luma):
        return np.dstack([cv2.GaussianBlur(luma, (0, 0), s) / 20 for s in (1.0, 3.0)]).astype(np.float32)


def test_a_region_is_found_in_every_light_and_not_where_it_is_not():
    film = Film(12, step=2.0)
    film.patch = film.patch + 20
    second = [(film.luma(n), film.mask(n)) for n in (9, 11)]
    elsewhere = [(film.ground, np.zeros(SIZE, bool))]
    cases = measure("coat", (film.luma(0), film.mask(0)), second, elsewhere, Tones())
    assert [case["shot"] for case in cases] == [*SHOTS, "absent"]
    for case in cases[:-1]:
        assert case["iou"] > 0.75, case
        assert case["iou"] > case["iou_copy"] + 0.2
        assert case["score"] > cases[-1]["score"]
    assert summarise(cases)["auc"] == 1.0


def test_the_summary_counts_what_is_shown():
    rows = [("a", "same", 0.9, 0.8), ("b", "same", 0.6, 0.2), ("c", "same", 0.1, 0.7), ("c", "absent", 0.05, 0.0)]
    cases = [{"clip": c, "shot": s, "score": p, "iou": j, "iou_copy": 0.1} for c, s, p, j in rows]
    told = summarise(cases)
    assert (told["shown"], told["right_of_shown"], told["right_not_shown"]) == (2, 0.5, 1)
    assert told["same"]["right"] == pytest.approx(2 / 3)
    assert told["auc"] == pytest.approx(0.75)


def test_a_folder_without_masks_is_refused(tmp_path):
    with pytest.raises(InputError, match="no masks"):
        run(tmp_path)


@pytest.mark.skipif(not (DATA / "seqmask").is_dir(), reason="the test films are not beside the project")
def test_a_real_region_is_found_again():
    found = run(DATA, limit=1)
    assert found["summary"]["same"]["iou"] > 0.4
