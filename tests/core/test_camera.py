"""The camera's motion: found though a third of the picture moves by itself."""

from __future__ import annotations

import numpy as np
import pytest

from core.camera import camera_motion
from core.errors import ShapeError

H, W = 90, 160


def pan_and_zoom():
    y, x = np.mgrid[:H, :W].astype(np.float32)
    return np.dstack([3.0 + 0.02 * (x - W / 2), -1.5 + 0.02 * (y - H / 2)]).astype(np.float32)


def test_what_moves_by_itself_is_left_out():
    true = pan_and_zoom()
    flow = true + np.random.default_rng(0).normal(0, 0.1, true.shape).astype(np.float32)
    flow[20:80, 30:110] += (7.0, 2.0)
    found = camera_motion(flow, np.ones((H, W), np.float32))
    assert np.hypot(*np.moveaxis(found - true, 2, 0)).max() < 0.15


def test_what_is_not_believed_does_not_count():
    true = pan_and_zoom()
    flow, weight = true.copy(), np.ones((H, W), np.float32)
    flow[:, 40:], weight[:, 40:] = 20.0, 0.0
    found = camera_motion(flow, weight)
    assert np.hypot(*np.moveaxis(found - true, 2, 0))[:, :40].max() < 0.15


def test_a_static_film_is_static():
    assert np.abs(camera_motion(np.zeros((H, W, 2), np.float32), np.ones((H, W), np.float32))).max() < 1e-6


def test_flow_and_weight_of_two_sizes_are_refused():
    with pytest.raises(ShapeError, match="camera motion"):
        camera_motion(np.zeros((4, 4, 2), np.float32), np.zeros((4, 5), np.float32))
