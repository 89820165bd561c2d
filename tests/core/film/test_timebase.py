from fractions import Fraction

import pytest

from core.errors import InputError
from core.film.shot import shot_of, shots_from_cuts
from core.film.timebase import FrameRange, parse_range, parse_rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("25", Fraction(25)), (16, Fraction(16)), ("23.976", Fraction(24000, 1001)),
        ("23.98", Fraction(24000, 1001)), ("29.97", Fraction(30000, 1001)), (59.94, Fraction(60000, 1001)),
        ("24000/1001", Fraction(24000, 1001)), ("16.5", Fraction(33, 2)), (Fraction(18), Fraction(18)),
    ],
)  # fmt: skip
def test_rates_are_exact(text, rate):
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["0", "-24", "fast", "24/0", "1e9", "nan", ""])
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(InputError, match="frame rate"):
        parse_rate(text)


@pytest.mark.parametrize(("text", "span"), [("2:5", (2, 5)), (":5", (0, 5)), ("7:", (7, 10)), ("3", (3, 4))])
def test_ranges(text, span):
    assert parse_range(text, 10) == FrameRange(*span)


@pytest.mark.parametrize("text", ["5:2", "0:11", "-1:3", "a:b", "4:4", "10"])
def test_ranges_outside_are_refused(text):
    with pytest.raises(InputError, match="frames"):
        parse_range(text, 10)


def test_windows_stay_inside():
    shot = FrameRange(10, 20)
    assert shot.around(11, 3) == FrameRange(10, 15)
    assert shot.around(19, 3) == FrameRange(16, 20)
    assert [shot.nearest(n, 2) for n in (10, 12, 13, 19)] == [
        FrameRange(a, a + 5) for a in (10, 10, 11, 15)
    ]  # as many everywhere
    assert shot.nearest(14, 9) == shot
    assert shot.intersect(FrameRange(25, 30)) == FrameRange(25, 25)
    assert 20 not in shot
    assert list(FrameRange(3, 5)) == [3, 4]


def test_shots_tile_the_film():
    shots = shots_from_cuts([30, 12], 50, by_hand=[40])
    assert [(s.range.start, s.range.stop, s.begins) for s in shots] == [
        (0, 12, "start"), (12, 30, "cut"), (30, 40, "cut"), (40, 50, "hand"),
    ]  # fmt: skip
    for n in range(50):
        assert n in shot_of(shots, n).range
    with pytest.raises(InputError, match="frame 50"):
        shot_of(shots, 50)
    with pytest.raises(InputError, match="cut at frame 50"):
        shots_from_cuts([50], 50)
