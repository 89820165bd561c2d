"""The door to the browser: pictures and masks survive it, and lies about them do not."""

import base64
import struct

import cv2
import numpy as np
import pytest

from core.errors import InputError
from core.film.colour import delta_e, srgb_to_lab
from studio.ui import convert


def decoded(data):
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def test_png_is_exact_to_8_bit():
    rgb = np.random.default_rng(1).random((33, 47, 3)).astype(np.float32)
    assert np.array_equal(decoded(convert.png(rgb)), np.rint(rgb * 255).astype(np.uint8))


def test_jpeg_keeps_a_small_patch_of_chroma():
    """4:2:0 would smear a six-pixel hint over its neighbours."""
    rgb = np.full((64, 64, 3), 0.5, np.float32)
    rgb[29:35, 29:35] = (0.62, 0.42, 0.4)
    seen = decoded(convert.jpeg(rgb)).astype(np.float32) / 255
    off = delta_e(srgb_to_lab(seen), srgb_to_lab(rgb))
    assert off[30:34, 30:34].max() < 2.5
    assert off[40:, 40:].max() < 1.0


def test_thumbnails_keep_their_shape():
    small = decoded(convert.jpeg(np.zeros((480, 640, 3), np.float32), height=96))
    assert small.shape == (96, 128, 3)


def test_a_mask_survives_there_and_back():
    mask = np.random.default_rng(2).random((21, 35)) > 0.5
    text = base64.b64encode(convert.mask_png(mask)).decode()
    assert np.array_equal(convert.mask_from_base64(text, (21, 35)), mask)


def test_masks_that_lie_are_refused():
    good = convert.mask_png(np.ones((4, 4), bool))
    huge = good[:16] + struct.pack(">II", 60000, 60000) + good[24:]
    for data, size in ((b"GIF89a", (4, 4)), (good, (5, 4)), (huge, (4, 4)), (huge, (60000, 60000))):
        with pytest.raises(InputError, match="mask"):
            convert.mask_from_base64(base64.b64encode(data).decode(), size)
    with pytest.raises(InputError, match="base64"):
        convert.mask_from_base64("%%%", (4, 4))


def test_clicks_outside_the_picture_are_refused():
    assert convert.points_from_json([[1, 2.5, 1], [3, 4, 0]], (10, 10)) == [(1.0, 2.5, True), (3.0, 4.0, False)]
    with pytest.raises(InputError, match="outside"):
        convert.points_from_json([[11, 2, 1]], (10, 10))
