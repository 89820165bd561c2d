"""Contact sheets: what lies in ``bench/old`` can be read, and what is drawn shows the hints."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from bench import sheets
from core.models.colouriser import EmbeddedColouriser
from hints.interchange import load


@pytest.mark.parametrize("path", sorted(sheets.HINTS.glob("*.json")), ids=lambda path: path.stem)
def test_hints_on_old_films_are_of_one_frame_each(path):
    hints = load(path, size=(480, 640), count=400)
    assert len({hint.frame for hint in hints.hints}) == 1
    assert 4 <= len(hints.hints) <= 10


def test_a_hinted_film_is_shown_at_its_hints_and_farther_on(tmp_path, monkeypatch):
    film = tmp_path / "old" / "reel"
    film.mkdir(parents=True)
    grey = cv2.resize(cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY), (128, 96), interpolation=cv2.INTER_AREA)
    for n in range(6):
        cv2.imwrite(str(film / f"{n:03d}.png"), np.roll(grey, n, axis=1))
    (tmp_path / "reel.json").write_text(
        '{"version": 1, "regions": [], "hints": [{"id": "h1", "frame": 2, "kind": "region", "colour": "#2040c0",'
        ' "mask": "mask.png"}]}'
    )
    mask = np.zeros((96, 128), np.uint8)
    mask[20:80, 20:100] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    monkeypatch.setattr(sheets, "HINTS", tmp_path)
    sheet = sheets.hinted_sheet(tmp_path, EmbeddedColouriser()).astype(np.float32)
    h, w = 315, 420  # of each picture; two rows of three
    top = sheet.shape[0] // 2
    for row in (30, top + 10):
        found, _, hinted = (sheet[row : row + h, 6 + k * (w + 6) : 6 + k * (w + 6) + w] for k in range(3))
        inside = np.s_[h // 3 : 2 * h // 3, w // 3 : 2 * w // 3]
        assert np.abs(found[inside][..., 2] - found[inside][..., 0]).mean() < 3
        assert (hinted[inside][..., 2] - hinted[inside][..., 0]).mean() > 60
