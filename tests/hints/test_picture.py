"""Masks and stills: their pixels are held within a budget, and decoded again beyond it."""

from __future__ import annotations

import numpy as np

from hints import picture
from hints.picture import Mask, Picture


def test_decoded_pixels_are_held_within_a_budget(monkeypatch):
    monkeypatch.setattr(picture, "_held", picture._Held(3 * 64 * 64))
    decoded = []
    decode = picture._decoded
    monkeypatch.setattr(picture, "_decoded", lambda data, *more: decoded.append(data) or decode(data, *more))
    inside = [np.arange(64 * 64).reshape(64, 64) % (k + 2) == 0 for k in range(4)]
    masks = [Mask.of(pixels) for pixels in inside]
    for _ in range(2):
        assert (masks[0].inside == inside[0]).all()
    assert (Mask(masks[0].png).inside == inside[0]).all()  # the same bytes are the same pixels
    assert decoded == [masks[0].png]
    for mask, pixels in zip(masks, inside, strict=True):  # four do not fit: the first is let go
        assert (mask.inside == pixels).all()
    assert len(decoded) == 4
    assert (masks[3].inside == inside[3]).all()
    assert len(decoded) == 4
    assert (masks[0].inside == inside[0]).all()
    assert len(decoded) == 5
    assert not masks[0].inside.flags.writeable


def test_a_still_larger_than_the_budget_is_decoded_all_the_same(monkeypatch):
    monkeypatch.setattr(picture, "_held", picture._Held(1))
    rgb = np.linspace(0, 1, 8 * 8 * 3, dtype=np.float32).reshape(8, 8, 3)
    still = Picture.of(rgb)
    assert np.abs(still.rgba[..., :3] - rgb).max() <= 0.5 / 65535 + 1e-6
    assert still.size == (8, 8)
    assert not still.partial
