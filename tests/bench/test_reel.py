"""The demo's reel: the same every time, and its truth is true."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench.ageing import Damage, weave
from bench.reel import HINTED, Layer, Reel, draw, hints_of, make_reel, write_hints
from core.film.colour import delta_e, hex_to_lab, luma_of, srgb_to_lab


@pytest.fixture(scope="module")
def reel() -> Reel:
    return make_reel(6)


@pytest.fixture(scope="module")
def unharmed() -> Reel:
    none = Damage(flicker=0, patchy=0, dust=0, hairs=0, scratches=0, grain=0, blur_px=0)
    return make_reel(6, damage=none)


def test_same_reel_every_time(reel: Reel) -> None:
    again = make_reel(6)
    assert np.array_equal(reel.film, again.film)
    assert np.array_equal(reel.truth, again.truth)
    assert not np.array_equal(reel.film, make_reel(6, seed=2).film)


def test_three_shots_with_hard_cuts(reel: Reel) -> None:
    assert reel.starts == (0, 6, 12)
    steps = np.abs(np.diff(reel.truth.astype(np.float32), axis=0)).mean(axis=(1, 2, 3))
    cuts = steps[[5, 11]]
    assert cuts.min() > 2 * np.delete(steps, [5, 11]).max()


def test_film_without_damage_is_the_truths_luma(unharmed: Reel) -> None:
    """What is called grey is the truth's own L*, to within rounding at 8 bit."""
    truth = luma_of(unharmed.truth[3].astype(np.float32) / 255)
    found = luma_of(np.repeat(unharmed.film[3][..., None], 3, axis=2).astype(np.float32) / 255)
    assert np.abs(truth - found).max() < 0.5
    assert not unharmed.matte.any()


def test_matte_is_where_the_dirt_is() -> None:
    """With nothing but dirt on the film, film and truth differ under the matte and nowhere else."""
    only_dirt = Damage(flicker=0, patchy=0, grain=0, blur_px=0, dust=20, scratches=6)
    dirty = make_reel(6, damage=only_dirt)
    clean = make_reel(6, damage=Damage(flicker=0, patchy=0, dust=0, hairs=0, scratches=0, grain=0, blur_px=0))
    harmed = np.abs(dirty.film.astype(int) - clean.film) > 26
    assert dirty.matte.any()
    assert not (harmed & ~dirty.matte).any()


def test_weave_is_centred_and_small() -> None:
    moved = weave(200, np.random.default_rng(1))
    assert np.abs(moved.mean(axis=0)).max() < 1e-4
    assert np.abs(moved).max() < 4.0


def test_regions_keep_their_colour_and_are_occluded(reel: Reel) -> None:
    suit, sky = reel.regions["suit"], reel.regions["sky"]
    assert not (suit & sky).any()
    assert suit[:6].any(axis=(1, 2)).all()
    assert not suit[6:].any()
    # The figure walks: what is sky at first is suit later.
    assert (sky[0] & suit[5]).sum() > 100
    lab = srgb_to_lab(reel.truth[5].astype(np.float32) / 255)
    assert lab[suit[5], 1].mean() > 30
    assert lab[sky[5], 2].mean() < -8


def test_motion_is_smooth_and_subpixel() -> None:
    """Half a pixel of gate shift moves the picture by half a pixel: twice that is one whole pixel."""
    photo = np.zeros((80, 80, 3), np.uint8)
    photo[:] = (128 + 80 * np.sin(np.arange(80) / 6.0)).astype(np.uint8)[None, :, None]
    layer = Layer(photo, np.ones((80, 80), np.float32), lambda t: (8.0, 0.0, 240.0, 180.0), (40, 40))
    still, _ = draw((layer,), 0.0, np.zeros(2, np.float32))
    half, _ = draw((layer,), 0.0, np.array([0.5, 0], np.float32))
    whole, _ = draw((layer,), 0.0, np.array([1.0, 0], np.float32))
    middle = (still[:, 10:-10] + whole[:, 10:-10]) / 2
    assert np.abs(half[:, 10:-10] - middle).max() < 0.01
    assert np.abs(whole[:, 11:-10] - still[:, 10:-11]).max() < 0.01


def test_hints_say_the_truth(reel: Reel, tmp_path: Path) -> None:
    path = write_hints(reel, tmp_path)
    told = json.loads(path.read_text("utf-8"))
    assert told["version"] == 1
    assert [h["id"] for h in told["hints"]] == [f"h-{name}" for name in HINTED]
    kinds = {h["kind"] for h in told["hints"]}
    assert kinds == {"region", "point", "scribble", "neutral"}
    h, w = reel.film.shape[1:]
    for hint in told["hints"]:
        assert 0 <= hint["frame"] < reel.count
        if "mask" in hint:
            mask = cv2.imread(str(tmp_path / hint["mask"]), cv2.IMREAD_UNCHANGED)
            assert mask.shape == (h, w)
            assert mask.dtype == np.uint8
            assert (mask > 127).sum() > 100
        for x, y in hint.get("path", [hint["xy"]] if "xy" in hint else []):
            assert 0 < x < w
            assert 0 < y < h


def test_a_swatch_is_the_mean_of_its_region(reel: Reel) -> None:
    told, masks = hints_of(reel)
    colour = {r["id"]: r["colour"] for r in told["regions"]}
    hint = next(h for h in told["hints"] if h["id"] == "h-paint")
    lab = srgb_to_lab(reel.truth[hint["frame"]].astype(np.float32) / 255)
    mean = lab[masks[hint["mask"]]].mean(axis=0)
    assert float(delta_e(hex_to_lab(colour["paint"]), mean)) < 1.0


def test_sound_is_as_long_as_the_film_and_clicks_at_cuts(reel: Reel) -> None:
    seconds = reel.count / float(reel.rate)
    assert abs(len(reel.sound) / 48000 - seconds) < 1e-3
    for start in reel.starts:
        at = int(start / float(reel.rate) * 48000)
        assert np.abs(reel.sound[at : at + 100]).max() > 10000
        assert np.abs(reel.sound[max(0, at - 4000) : at]).max(initial=0) < 10000
