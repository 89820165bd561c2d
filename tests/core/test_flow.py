from __future__ import annotations

import cv2
import numpy as np
import pytest

from core.contract.plugins import Plugins
from core.errors import ShapeError
from core.flow import (
    WORKING_LONG_SIDE,
    DisFlow,
    FlowEstimator,
    FlowPair,
    closure,
    compose,
    match_gain,
    register,
    resize_flow,
    to_working,
    warp,
    warp_valid,
    working_size,
)
from tests import synth

FILM = synth.moving(n=3, size=(120, 160), drift=(3, 1), turn=0.4, figure="coffee", figure_drift=(-3, 1))


def epe(flow: np.ndarray, truth: np.ndarray, where: np.ndarray) -> float:
    return float(np.linalg.norm(flow - truth, axis=-1)[where].mean())


@pytest.fixture(scope="module")
def pair() -> FlowPair:
    return DisFlow().pair(*FILM.lumas()[:2])


def test_flow_is_right_to_half_a_pixel_where_both_frames_show_it(pair: FlowPair) -> None:
    assert epe(pair.backward, FILM.flow_bw[0], FILM.seen[0]) < 0.6
    still = np.zeros_like(pair.backward)
    assert epe(still, FILM.flow_bw[0], FILM.seen[0]) > 2.5


def test_quick_flow_is_right_to_a_pixel_and_knows_what_it_cannot_see() -> None:
    film = synth.moving(n=2, size=(240, 320), drift=(6, 2), turn=0.4, figure="coffee", figure_drift=(-6, 2))
    quick = DisFlow().quick_pair(*film.lumas())
    seen, trust = film.seen[0], quick.backward_trust
    assert epe(quick.backward, film.flow_bw[0], seen) < 1.0
    assert epe(np.zeros_like(quick.backward), film.flow_bw[0], seen) > 5
    assert trust[seen].mean() > 0.75 > 0.3 > trust[~seen].mean()


def test_trust_tells_what_was_hidden_from_what_is_seen(pair: FlowPair) -> None:
    seen, trust = FILM.seen[0], pair.backward_trust
    assert trust[seen].mean() > 0.75
    assert trust[~seen].mean() < 0.3
    error = np.linalg.norm(pair.backward - FILM.flow_bw[0], axis=-1)
    assert error[trust > 0.7].mean() < error[trust < 0.3].mean() / 4


def test_flicker_does_not_lead_the_flow(pair: FlowPair) -> None:
    dark, _ = synth.flicker(FILM.rgb, degree=0.2, local=0.1, seed=2)
    lumas = [synth.luma_of(f) for f in dark[:2]]
    assert abs(lumas[0].mean() - lumas[1].mean()) > 4
    lit = DisFlow().pair(*lumas)
    assert epe(lit.backward, FILM.flow_bw[0], FILM.seen[0]) < 0.8
    assert lit.backward_trust[FILM.seen[0]].mean() > pair.backward_trust[FILM.seen[0]].mean() - 0.2


def test_equal_frames_do_not_move_and_are_trusted() -> None:
    luma = FILM.lumas()[0]
    pair = DisFlow("fast").pair(luma, luma)
    assert np.abs(pair.forward).max() < 0.01
    assert pair.forward_trust.min() > 0.95


@pytest.mark.parametrize("size", [(37, 53), (5, 9), (1, 1), (31, 200)])
def test_odd_and_tiny_frames_have_finite_flow(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.uniform(0, 100, size).astype(np.float32) for _ in range(2))
    pair = DisFlow("ultrafast").pair(a, b)
    assert pair.size == size
    for plane in (pair.forward, pair.backward, pair.forward_trust, pair.backward_trust):
        assert plane.dtype == np.float32
        assert np.isfinite(plane).all()
    assert 0 <= pair.forward_trust.min() <= pair.forward_trust.max() <= 1


def test_lumas_of_two_sizes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(4, 4\)"):
        DisFlow().pair(np.zeros((4, 4), np.float32), np.zeros((4, 5), np.float32))


def test_a_pair_whose_planes_do_not_fit_is_refused() -> None:
    flow, trust = np.zeros((4, 5, 2), np.float32), np.zeros((4, 5), np.float32)
    with pytest.raises(ShapeError):
        FlowPair(flow, flow[:3], trust, trust)


def test_reversed_is_the_pair_seen_from_the_other_side(pair: FlowPair) -> None:
    back = pair.reversed()
    assert back.forward is pair.backward
    assert back.backward_trust is pair.forward_trust


def test_warping_along_true_flow_gives_the_next_frame() -> None:
    moved = warp(FILM.rgb[0], FILM.flow_bw[0], interpolation=cv2.INTER_CUBIC)
    assert np.abs(moved - FILM.rgb[1])[FILM.seen[0]].mean() < 0.01


def test_warping_by_nothing_changes_nothing() -> None:
    image = FILM.rgb[0]
    zero = np.zeros((*image.shape[:2], 2), np.float32)
    assert np.array_equal(warp(image, zero), image)
    assert np.array_equal(warp(image[..., 0], zero), image[..., 0])
    assert warp_valid(zero).all()


def test_many_planes_are_warped_alike() -> None:
    planes = np.dstack([FILM.rgb[0], FILM.rgb[0]])
    assert np.array_equal(warp(planes, FILM.flow_bw[0])[..., 4], warp(FILM.rgb[0][..., 1], FILM.flow_bw[0]))


def test_what_leaves_the_frame_is_not_valid() -> None:
    flow = np.zeros((10, 10, 2), np.float32)
    flow[..., 0] = 3
    assert np.array_equal(warp_valid(flow)[0], [1, 1, 1, 1, 1, 1, 1, 0, 0, 0])


def test_chained_flow_is_the_flow_over_two_frames() -> None:
    film = synth.moving(n=3, size=(80, 100), drift=(2, -1), zoom=1.02)
    far = compose(film.flow_bw[1], film.flow_bw[0])  # 2 → 1 → 0
    moved = warp(film.rgb[0], far, interpolation=cv2.INTER_CUBIC)
    inside = warp_valid(far) > 0
    inside[:8] = inside[-8:] = inside[:, :8] = inside[:, -8:] = False
    assert np.abs(moved - film.rgb[2])[inside].mean() < 0.01


def test_flow_there_and_back_closes() -> None:
    film = synth.moving(n=2, size=(60, 80), drift=(2, 1))
    closed = closure(film.flow_fw[0], film.flow_bw[0])
    assert closed[warp_valid(film.flow_fw[0]) > 0].min() > 0.99
    assert closure(film.flow_fw[0], film.flow_fw[0]).mean() < 0.01


def test_resized_flow_keeps_its_meaning() -> None:
    flow = np.full((10, 20, 2), 2.0, np.float32)
    large = resize_flow(flow, (30, 40))
    assert large.shape == (30, 40, 2)
    assert np.allclose(large[..., 0], 4)
    assert np.allclose(large[..., 1], 6)
    assert resize_flow(flow, (10, 20)) is flow


@pytest.mark.parametrize(
    ("size", "working"),
    [((480, 640), (480, 640)), ((1080, 1920), (360, 640)), ((1920, 1080), (640, 360)), ((3, 9), (3, 9))],
)
def test_working_size_is_at_most_640(size: tuple[int, int], working: tuple[int, int]) -> None:
    assert working_size(*size) == working
    assert max(working) <= WORKING_LONG_SIDE
    assert to_working(np.zeros(size, np.float32)).shape == working


def test_dis_is_registered_and_is_an_estimator() -> None:
    plugins = Plugins()
    register(plugins)
    estimator = plugins.flows.get("dis")(None)
    assert isinstance(estimator, FlowEstimator)
    assert len({DisFlow(p).fingerprint for p in ("ultrafast", "fast", "medium")}) == 3


def _pan(shift: tuple[int, int], size: tuple[int, int] = (240, 320)) -> tuple[np.ndarray, np.ndarray]:
    """Two grainy frames of one textured ground; what the first shows at x, the second shows at x + shift."""
    h, w = size
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((2 * h, 2 * w)).astype(np.float32)
    fine, coarse = cv2.GaussianBlur(noise, (0, 0), 2), cv2.GaussianBlur(noise, (0, 0), 8)
    ground = np.clip(50 + 10 * (fine / fine.std() + coarse / coarse.std()), 3, 97)
    (left, right), (top, bottom) = ((max(0, d), max(0, -d)) for d in shift)
    first, second = ground[top : top + h, left : left + w], ground[bottom : bottom + h, right : right + w]
    return tuple((f + rng.normal(0, 1.5, size)).astype(np.float32) for f in (first, second))


@pytest.mark.parametrize(
    ("size", "shift"),
    [
        ((480, 640), (100, 0)),
        ((480, 640), (-240, 0)),
        ((480, 640), (320, 0)),
        ((240, 320), (80, 0)),
        ((240, 320), (-160, 0)),
        ((240, 320), (0, 110)),
        ((240, 320), (0, -60)),
        ((240, 320), (-90, 70)),
    ],
)
def test_a_pan_of_up_to_half_the_frame_is_found_both_ways(size: tuple[int, int], shift: tuple[int, int]) -> None:
    a, b = _pan(shift, size)
    pair = DisFlow().pair(a, b)
    for flow, trust, truth in (
        (pair.forward, pair.forward_trust, shift),
        (pair.backward, pair.backward_trust, (-shift[0], -shift[1])),
    ):
        true = np.broadcast_to(np.float32(truth), flow.shape)
        seen = warp_valid(np.ascontiguousarray(true)) > 0
        error = np.linalg.norm(flow - true, axis=-1)[seen]
        assert np.median(error) < 0.2
        assert (error > 3).mean() < 0.05
        assert trust[seen].mean() > 0.8
        assert trust[~seen].mean() < 0.2


def test_what_moves_far_by_itself_is_found_beside_ground_that_stays() -> None:
    a, b = _pan((0, 0))
    thing = _pan((0, 0), (140, 140))[0][::-1]
    a[50:190, 20:160], b[50:190, 150:290] = thing, thing
    pair = DisFlow().pair(a, b)
    inside, stays = pair.forward[60:180, 30:150], pair.forward[:40]
    assert np.median(np.linalg.norm(inside - np.float32((130, 0)), axis=-1)) < 0.2
    assert np.median(np.linalg.norm(stays, axis=-1)) < 0.2


def test_where_nothing_is_lost_or_nothing_agrees_flow_is_that_of_dis_to_the_bit() -> None:
    rng = np.random.default_rng(4)
    cut = _pan((0, 0))[0][::-1, ::-1].copy()
    noise = [rng.uniform(0, 100, (240, 320)).astype(np.float32) for _ in range(2)]
    blank = np.full((240, 320), 40, np.float32)
    for a, b in (_pan((12, 5)), (_pan((0, 0))[0], cut), noise, (blank, blank), (blank, noise[0])):
        pair = DisFlow().pair(a, b)
        first, second = (
            np.rint(np.clip(luma * np.float32(2.55), 0, 255)).astype(np.uint8) for luma in match_gain(a, b)
        )
        for flow, one, other in ((pair.forward, first, second), (pair.backward, second, first)):
            dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
            assert np.array_equal(flow, dis.calc(one, other, None))
