"""Training: only what may be shipped, reproducible, resumable, and the loss falls."""

import json

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from bench.train import export as exporting
from bench.train import meant
from bench.train.data import (
    Batches,
    Phase,
    frame_still,
    make_pair,
    old_luma,
    segments,
    shippable_stills,
    simulate_hints,
    some_objects,
)
from bench.train.train import Config, Trainer, hinted_loss, loss_of, rate_at, read_config
from core.film.colour import srgb_to_lab
from core.models.device import set_threads
from core.models.kriging import TOLD
from core.models.network import AB_SCALE, ColourNet

TINY = Config(
    seed=3, steps=18, batch=1, learning_rate=4e-3, warmup_steps=2, decay_from=12, weight_decay=0.01, ema=0.8,
    clip_norm=1.0, huber_delta=0.12, vivid=1.0, bins_share=0.1, hinted_share=0.5, doubt_share=0.05,
    kriging_haste=20.0, liveliest=1.5, save_every_s=1e9, validate_every=1000, validate_stills=0,
    phases=[Phase(0, [(32, 32)])], widths=(8, 8, 16, 16),
)  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread():
    before = set_threads()
    set_threads(1)
    yield
    set_threads(before)


@pytest.fixture
def folder(tmp_path):
    """Stills of three kinds: to be shipped, not to be shipped, and of the evaluation set."""
    rows = ["path,source,licence,ship,width,height,fps,shows"]
    for where, ship in (("good", "yes"), ("closed", "no"), ("bsds500", "yes")):
        (tmp_path / "stills" / where).mkdir(parents=True)
        for name in ("astronaut", "coffee", "chelsea"):
            small = cv2.resize(getattr(data, name)()[..., ::-1], (96, 64), interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(tmp_path / "stills" / where / f"{name}.jpg"), small)
            rows.append(f'stills/{where}/{name}.jpg,"x, y",CC0,{ship},96,64,,thing')
    (tmp_path / "SOURCES.csv").write_text("\n".join(rows), encoding="utf-8")
    return tmp_path


def photograph():
    return cv2.resize(data.astronaut(), (96, 96), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def test_only_shippable_stills_are_trained_on(folder):
    stills = shippable_stills(folder, {"good": 2.5})
    assert [s.path.parent.name for s in stills] == ["good"] * 3
    assert stills[0].weight == 2.5


@pytest.mark.parametrize("name", ["embedded_first", "embedded", "large"])
def test_the_recipes_read(name):
    config = read_config(exporting.Path(exporting.__file__).parent / f"{name}.toml")
    assert config.decay_from < config.steps
    assert config.phases[0].from_step == 0
    assert all(side % 16 == 0 for phase in config.phases for shape in phase.shapes for side in shape)


def test_a_run_can_begin_with_another_s_weights(folder, tmp_path):
    first, second = (
        Trainer(TINY, shippable_stills(folder, {}), tmp_path / name, torch.device("cpu"))
        for name in ("first", "second")
    )
    first.run.mkdir()
    first.average["head.bias"] += 1
    del first.average["kriging.scene"]
    first.save()
    second.begin_with(first.run / "checkpoint.pt")
    assert torch.equal(second.net.head.bias.detach(), first.average["head.bias"])
    assert torch.equal(second.average["kriging.scene"], second.net.kriging.scene.detach())


def test_a_batch_can_be_made_again(folder):
    stills = shippable_stills(folder, {})
    one, two = (Batches(stills, 1, [Phase(0, [(32, 48)])], 5)[7] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    other = Batches(stills, 1, [Phase(0, [(32, 48)])], 5)[8]
    assert other.luma.shape != one.luma.shape or not torch.equal(other.luma, one.luma)


def test_replicas_share_a_batch_between_them(folder):
    stills = shippable_stills(folder, {})
    whole = Batches(stills, 1, [Phase(0, [(32, 32)])], 5)[2].truth
    parts = [Batches(stills, 1, [Phase(0, [(32, 32)])], 5, (r, 2))[2].truth for r in range(2)]
    assert torch.equal(whole[0::2], parts[0])
    assert torch.equal(whole[1::2], parts[1])


def test_hints_of_every_kind_lie_near_the_truth_where_they_are_sure():
    lab = srgb_to_lab(photograph())
    spread_c = float(np.linalg.norm(lab[..., 1:] - lab[..., 1:].mean(axis=(0, 1)), axis=2).mean())
    errors = []
    for seed in range(60):
        hint, weight = simulate_hints(lab, np.random.default_rng(seed))
        assert 0 <= weight.min() <= weight.max() <= 1
        assert np.isfinite(hint).all()
        sure = weight > 0.95
        if sure.any():
            errors.append(float(np.linalg.norm(hint - lab[..., 1:], axis=2)[sure].mean()))
    assert np.mean(errors) < 0.8 * spread_c


def test_what_some_objects_are_given_ends_at_their_borders():
    lab = srgb_to_lab(photograph())
    for seed in range(30):
        truth, hint, weight = some_objects(lab, np.random.default_rng(seed))
        changed = np.linalg.norm(truth - lab, axis=2) > 1
        assert np.array_equal(truth[..., 0], lab[..., 0])
        assert changed.mean() < 0.95
        if weight.any():
            marked = weight > 0
            off = np.linalg.norm(hint - truth[..., 1:], axis=2)[marked].mean()
            assert off < np.linalg.norm(hint - lab[..., 1:], axis=2)[marked].mean() + 1e-3


def test_old_luma_is_luma():
    rgb = photograph()
    true = srgb_to_lab(rgb)[..., 0]
    alike = []
    for seed in range(20):
        luma = old_luma(rgb, np.random.default_rng(seed))
        assert luma.shape == true.shape
        assert 0 <= luma.min() <= luma.max() <= 100
        alike.append(np.corrcoef(luma.ravel(), true.ravel())[0, 1])
    assert np.mean(alike) > 0.85


def test_segments_cut_where_colour_changes():
    lab = np.zeros((64, 64, 3), np.float32)
    lab[:, 32:] = (60, 40, -20)
    labels = segments(lab, np.random.default_rng(0), 6)
    crossing = np.intersect1d(labels[:, :28], labels[:, 36:])
    assert len(crossing) == 0


def test_pair_has_the_shape_the_network_wants():
    rgb = frame_still(photograph(), 32, 48, np.random.default_rng(0))
    assert rgb.shape == (32, 48, 3)
    true = torch.from_numpy(srgb_to_lab(rgb)[..., 1:].transpose(2, 0, 1) / AB_SCALE)
    for seed in range(8):
        pair = make_pair(rgb, np.random.default_rng(seed))
        assert pair.luma.shape == (1, 32, 48)
        assert torch.allclose(pair.truth, true, atol=1e-6)
        assert torch.equal(pair.wanted[0], pair.truth)
        assert pair.wanted.shape == pair.asked.shape == (2, 2, 32, 48)
        assert pair.weight.shape == (2, 1, 32, 48)
        assert bool((pair.weight[0] > 0).any())


def test_rate_warms_up_holds_and_falls():
    assert rate_at(0, TINY) < rate_at(2, TINY) == rate_at(11, TINY) == TINY.learning_rate
    assert rate_at(17, TINY) < 0.1 * TINY.learning_rate


def test_loss_weighs_saturated_pixels_more():
    pale, gaudy = torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4)
    gaudy[:, 0] = 0.4
    assert loss_of(gaudy + 0.05, gaudy, TINY) > 1.5 * loss_of(pale + 0.05, pale, TINY) > 0
    assert loss_of(gaudy, gaudy, TINY) < 1e-6


def test_loss_falls_and_weights_go_out(folder, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    trainer = Trainer(TINY, shippable_stills(folder, {}), run, torch.device("cpu"))
    batches = Batches(trainer.stills, TINY.batch, [Phase(0, [(32, 32)])], 99)
    held = [batches[0], batches[1]]

    def losses():
        net = trainer.averaged()
        with torch.no_grad():
            alone = [loss_of(net(pairs.luma).ab, pairs.truth, TINY) for pairs in held]
            hinted = [hinted_loss(net, net(p.luma), p, TINY, torch.Generator().manual_seed(1))[0] for p in held]
        return float(torch.stack(alone).mean()), float(torch.stack(hinted).mean())

    before = losses()
    trainer.train()
    after = losses()
    assert after[0] < 0.93 * before[0]
    assert after[1] < before[1] - 0.02  # a logarithm
    state = exporting.export(run / "checkpoint.pt", tmp_path / "out.safetensors")
    assert state["step"] == TINY.steps
    assert (tmp_path / "out.safetensors").stat().st_size > 1000


def test_resumed_training_is_the_uninterrupted_one(folder, tmp_path):
    stills, results = shippable_stills(folder, {}), []
    for name, stops in (("whole", (4,)), ("halves", (2, 4))):
        run = tmp_path / name
        run.mkdir()
        for stop in stops:
            short = Config(**{**vars(TINY), "steps": stop, "decay_from": 100})
            trainer = Trainer(short, stills, run, torch.device("cpu"))
            assert trainer.resume() is (stop != stops[0])
            trainer.train()
        results.append(trainer.averaged().state_dict())
    assert all(torch.equal(results[0][k], results[1][k]) for k in results[0])


def test_log_is_one_json_object_a_line(folder, tmp_path):
    trainer = Trainer(TINY, shippable_stills(folder, {}), tmp_path, torch.device("cpu"))
    trainer.report(loss=1.0)
    facts = {"grey": 23.0, "0": 23.5, "10": 27.0, "50": 29.0, "chroma_0": 8.0, "chroma_truth": 14.0}
    trainer.report(psnr_db=facts)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines[0] == {"step": 0, "seconds": 0.0, "loss": 1.0}
    assert "| 0 | 23.00 | 23.50 | 27.00 | 29.00 | 8.00 | 14.00 |" in exporting.curve_table(tmp_path / "log.jsonl")


def test_what_is_meant_is_told_from_what_separates_the_two():
    generator = torch.Generator().manual_seed(0)
    told = torch.randn(200, TOLD, generator=generator)
    on_things = told[:, 2] > 0
    good, bad = torch.full((200,), 0.001), torch.full((200,), 0.05)
    cases = meant.Cases(told, torch.where(on_things, bad, good), torch.where(on_things, good, bad), 0 * good, on_things)
    scene = meant.fit(cases, torch.zeros(TOLD))
    assert scene[2] < -1
    assert cases.loss(scene).mean() < cases.loss(torch.zeros(TOLD)).mean() - 0.3


def test_cases_are_gathered_from_both_kinds_of_hints(folder):
    net = ColourNet(TINY.widths).eval()
    cases = meant.gather(net, shippable_stills(folder, {}), TINY, batches=3)
    assert cases.told.shape[1] == TOLD
    assert 0 < int(cases.on_things.sum()) < len(cases.on_things)
    assert bool((cases.whole > 0).all() and (cases.thing > 0).all())
    assert bool((cases.both.square() <= cases.whole * cases.thing * 1.001).all())
