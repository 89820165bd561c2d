"""`bench flow`, `interpolate` and `repair` on a small data folder made here, laid out like the real one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from bench import flow, interpolate, repair
from core.errors import InputError
from core.flow import DisFlow
from tests import synth


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    film = synth.moving(n=7, size=(96, 128), drift=(2, 0.5))
    for folder in ("clips/pan", "overlays", "flow/pan"):
        (root / folder).mkdir(parents=True)
    for n, rgb in enumerate(film.rgb):
        cv2.imwrite(str(root / f"clips/pan/{n:05d}.jpg"), (rgb[..., ::-1] * 255).astype(np.uint8), [1, 97])
    for n in (0, 1):
        cv2.imwrite(str(root / f"flow/pan/img{n}.png"), (film.rgb[n][..., ::-1] * 255).astype(np.uint8))
    truth = film.flow_fw[0]
    header = np.float32(202021.25).tobytes() + np.array([128, 96], np.int32).tobytes()
    (root / "flow/pan/gt.flo").write_bytes(header + truth.astype(np.float32).tobytes())
    spot = np.zeros((40, 40), np.uint8)
    cv2.circle(spot, (20, 20), 9, 255, -1)
    for family, *_ in repair._DIRT:
        cv2.imwrite(str(root / f"overlays/{family}01.png"), spot)
    return root


def test_flow_reads_truth_and_measures_against_it(data: Path) -> None:
    result = flow.run(data, estimators=[DisFlow("fast"), DisFlow("medium")])
    assert result["name"] == "flow"
    assert len(result["cases"]) == 2
    assert result["summary"]["epe"] < 0.6
    assert result["summary"]["s_per_mpx"] > 0


def test_interpolation_is_measured_beside_mixing_and_holding(data: Path) -> None:
    summary = interpolate.run(data)["summary"]
    assert summary["psnr_db"] > summary["mean_psnr_db"] + 2 > summary["hold_psnr_db"]
    assert 0.8 < summary["ssim"] <= 1


def test_repair_gains_on_dirt_and_flicker_with_known_truth(data: Path) -> None:
    result = repair.run(data, seed=1)
    assert {c["defect"] for c in result["cases"]} == {"dirt", "flicker"}
    dirt, flicker = result["summary"]["dirt"], result["summary"]["flicker"]
    assert dirt["psnr_gain_db"] > 0
    assert dirt["precision"] > 0.6
    assert 0 < dirt["recall"] <= 1
    assert flicker["psnr_gain_db"] > 0
    assert flicker["jumps_after"] < flicker["jumps_before"] / 2
    assert repair.run(data, seed=1)["summary"] == result["summary"]


def test_damage_lies_where_the_mask_says(data: Path) -> None:
    clean = [np.full((60, 80, 3), 0.5, np.float32)] * 3
    damaged, masks = repair.lay_dirt(clean, repair.read_overlays(data), np.random.default_rng(0))
    assert any(m.any() for m in masks)
    for c, d, m in zip(clean, damaged, masks, strict=True):
        assert (np.abs(d - c).max(-1)[m] > repair.VISIBLE).all()
        assert (np.abs(d - c).max(-1)[~m] <= repair.VISIBLE).all()


@pytest.mark.parametrize("bench", [flow, interpolate, repair])
def test_a_folder_without_data_is_refused_in_a_line(bench: object, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--data"):
        bench.run(tmp_path)  # type: ignore[attr-defined]
