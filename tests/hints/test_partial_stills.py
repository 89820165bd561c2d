"""A still that is coloured in part says nothing of the rest, and changes nothing there."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.colourise import automatic_of, colourise_frame
from core.contract.progress import CancelToken, silent
from core.film.colour import join
from core.models.colouriser import EmbeddedColouriser
from hints.hint import Hint, HintSet
from hints.picture import Mask, Picture
from hints.source import Carried

sys.path.insert(0, str(Path(__file__).parent))
from film import SIZE, Film, Memory

FILM = Film(3, step=1.0)


def painted(film, n):
    """The frame, painted on the patch and grey elsewhere  [R'G'B']."""
    return join(film.luma(n), np.where(film.mask(n)[..., None], np.float32([40, 25]), np.float32(0)))


def cut_out(film, n):
    """The same, transparent elsewhere."""
    rgba = np.dstack([painted(film, n)[..., ::-1], film.mask(n)])
    return Picture(cv2.imencode(".png", np.rint(rgba * 65535).astype(np.uint16))[1].tobytes())


def jpeg(rgb):
    pixels = np.rint(rgb[..., ::-1] * 255).astype(np.uint8)
    return Picture(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())


def differences(hint):
    """Change of chroma against no hints outside the patch, on its keyframe and beside it  [a* b*]."""
    source = Carried(HintSet((), (hint,)), FILM.timeline, SIZE, FILM, Memory())
    source.carry(FILM.timeline.shots[0], silent, CancelToken())
    looks = EmbeddedColouriser()
    for n in (1, 2):
        luma = FILM.luma(n)
        automatic = automatic_of(luma, looks)
        without = colourise_frame(luma, automatic, looks)
        change = np.abs(colourise_frame(luma, automatic, looks, field=source.field(n), luma=luma) - without)
        outside = ~cv2.dilate(FILM.mask(n).astype(np.uint8), np.ones((9, 9))).astype(bool)
        assert change[FILM.mask(n)].mean() > 10
        yield change.max(axis=-1)[outside]


@pytest.mark.parametrize("picture", [cut_out(FILM, 1), Picture.of(painted(FILM, 1))], ids=["transparent", "grey"])
def test_a_still_of_one_garment_leaves_everything_else_to_the_bit(picture):
    assert [float(d.max()) for d in differences(Hint("r", 1, "reference", image=picture))] == [0, 0]


def test_it_and_a_mask_spread_where_a_person_asks_them_to():
    still = Hint("r", 1, "reference", image=cut_out(FILM, 1), spread=True)
    mask = Hint("m", 1, "region", colour="#8a4a3c", mask=Mask.of(FILM.mask(1)), spread=True)
    for hint in (still, mask):
        assert min(float((d > 0).mean()) for d in differences(hint)) > 0.9


def test_what_was_painted_is_given_and_large_neutral_areas_are_not():
    inside = FILM.mask(1)
    for picture in (Picture.of(painted(FILM, 1)), jpeg(painted(FILM, 1))):
        given = picture.rgba[..., 3] > 0
        assert picture.partial
        assert given[inside].mean() > 0.98
        assert not given[~cv2.dilate(inside.astype(np.uint8), np.ones((33, 33))).astype(bool)].any()


def test_stills_that_are_neutral_or_coloured_all_over_are_whole():
    grey = join(FILM.luma(1), np.zeros((*SIZE, 2), np.float32))
    faint = join(FILM.luma(1), np.where(FILM.mask(1)[..., None], np.float32([40, 25]), np.float32([1, 3])))
    coat = join(FILM.luma(1), np.where(FILM.mask(1)[..., None], np.float32(0), np.float32([5, 20])))
    sky = painted(FILM, 1)
    sky[~FILM.mask(1)] = 1.0  # burnt out: white can have no colour
    for rgb in (grey, faint, coat, sky):
        assert not Picture.of(rgb).partial
