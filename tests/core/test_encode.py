"""Films out: what was put in comes back, at its time, in its colours, with its sound in step."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from core.decode import open_source, probe
from core.encode import Encoded, Target, encode, target_for
from core.errors import EncodeError, InputError, ShapeError
from core.film.colour import delta_e, srgb_to_lab
from core.film.frame import Frame, on_grid
from core.film.timebase import FrameRange
from tests.film_maker import heard, read_stamp, stamped, write_film

SMALL = (48, 64)
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
RATES = ["16", "18", "24000/1001", "24", "25", "30000/1001"]


def frames(count: int, size: tuple[int, int] = (96, 128), *, bits: int = 8, grey: bool = False) -> list[Frame]:
    top = (1 << bits) - 1
    noise = np.random.default_rng(3).random((*size, 3))
    made = []
    for n in range(count):
        rgb = stamped(n, size, grey=grey) / 255
        if bits > 8:
            rgb = np.rint((0.9 * rgb + 0.1 * noise) * top) / top
        made.append(Frame(n, on_grid(rgb.astype(np.float32))))
    return made


def even(count: int, rate: Fraction | int) -> list[Fraction]:
    return [n / Fraction(rate) for n in range(count + 1)]


def write(path: Path, films: list[Frame], times: list[Fraction], **more: object) -> Encoded:
    target = target_for(path, bit_depth=int(more.pop("bits", 8)), kind=more.pop("kind", None))  # type: ignore[arg-type, call-overload]
    return encode(iter(films), times, films[0].size, target, **more)  # type: ignore[arg-type]


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((a.astype(np.float64) - b) ** 2)))


@pytest.mark.parametrize(
    ("name", "bits", "kind", "expected"),
    [
        ("a.mp4", 8, None, ("h264", 8)),
        ("a.MP4", 10, None, ("h264", 8)),
        ("a.mp4", 10, "hevc", ("hevc", 10)),
        ("a.mkv", 8, None, ("ffv1", 8)),
        ("a.mkv", 10, None, ("ffv1", 16)),
        ("a.mkv", 8, "h264", ("h264", 8)),
        ("a.mov", 8, None, ("prores", 10)),
        ("folder", 8, None, ("png", 8)),
        ("folder", 12, None, ("png", 16)),
    ],
)
def test_the_suffix_chooses(name: str, bits: int, kind: str | None, expected: tuple[str, int]) -> None:
    target = target_for(name, bit_depth=bits, kind=kind)
    assert (target.kind, target.depth) == expected
    assert target.path == Path(name)


def test_a_wrong_target_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.mp4 .*\.mkv .*\.mov .*folder"):
        target_for("film.avi", bit_depth=8)
    with pytest.raises(InputError, match=r"ffv1 is written to \.mkv"):
        target_for("film.mp4", bit_depth=8, kind="ffv1")
    with pytest.raises(InputError, match="known are h264, hevc"):
        target_for("film.mp4", bit_depth=8, kind="divx")
    with pytest.raises(InputError, match="not 12"):
        Target("h264", tmp_path / "a.mp4", depth=12)
    (tmp_path / "reel.01").mkdir()
    assert target_for(tmp_path / "reel.01", bit_depth=8).kind == "png"


@pytest.mark.parametrize(("name", "bits"), [("a.mkv", 8), ("a.mkv", 16), ("png", 8), ("png", 16)])
@pytest.mark.parametrize("size", [(96, 128), (97, 131)])
def test_lossless_is_bit_exact(tmp_path: Path, name: str, bits: int, size: tuple[int, int]) -> None:
    films = frames(6, size, bits=bits)
    done = write(tmp_path / name, films, even(6, 24), bits=bits)
    assert (done.frames, done.seconds) == (6, Fraction(1, 4))
    with open_source(tmp_path / name) as source:
        assert (source.clip.count, source.clip.size) == (6, size)
        assert source.clip.bit_depth == bits
        for frame in source.frames(FrameRange(0, 6)):
            assert np.array_equal(frame.rgb, films[frame.index].rgb)


@pytest.mark.parametrize(
    ("name", "kind", "bits", "pix_fmt", "least"),
    [
        ("a.mp4", None, 8, "yuv420p", 40),
        ("a.mp4", "hevc", 8, "yuv420p", 40),
        ("a.mp4", "hevc", 10, "yuv420p10le", 40),
        ("a.mkv", "h264", 8, "yuv420p", 40),
        ("a.mov", None, 8, "yuv422p10le", 44),
    ],
)
def test_lossy_codecs_keep_colour_and_tell_it(
    tmp_path: Path, name: str, kind: str | None, bits: int, pix_fmt: str, least: float
) -> None:
    films = frames(8)
    done = write(tmp_path / name, films, even(8, 25), kind=kind, bits=bits)
    assert done.pixel_format == pix_fmt
    with av.open(str(tmp_path / name)) as container:
        context = container.streams.video[0].codec_context
        frame = next(container.decode(video=0))
        assert (context.colorspace, context.color_primaries, context.color_trc) == (1, 1, 1)
        assert frame.color_range == 1
    with open_source(tmp_path / name) as source:
        assert source.clip.pixel_format == pix_fmt
        for frame in source.frames(FrameRange(0, 8)):
            truth = films[frame.index].rgb
            assert read_stamp(frame.rgb) == frame.index
            assert psnr(frame.rgb, truth) > least
            away = delta_e(srgb_to_lab(frame.rgb), srgb_to_lab(truth))
            assert float(np.median(away)) < 0.8


@pytest.mark.parametrize(
    "colour", [(0.2, 0.5, 0.8), (0.9, 0.1, 0.1), (0.5, 0.5, 0.5), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)]
)
@pytest.mark.parametrize(("name", "kind"), [("a.mp4", None), ("a.mov", None), ("a.mp4", "hevc")])
def test_a_flat_colour_comes_back_to_a_code(
    tmp_path: Path, name: str, kind: str | None, colour: tuple[float, float, float]
) -> None:
    flat = on_grid(np.full((64, 64, 3), colour, np.float32))
    write(tmp_path / name, [Frame(n, flat) for n in range(3)], even(3, 24), kind=kind)
    with open_source(tmp_path / name) as source:
        rgb = source.frame(1).rgb
    # One code of limited range moves R'G'B' by up to 1.86 / 219; two where luma and chroma round apart.
    assert np.abs(rgb - np.float32(colour)).max() <= 2.2 / 255


@pytest.mark.parametrize(("name", "middle"), [("a.mp4", 128), ("a.mov", 512)])
def test_grey_stays_grey_to_a_code(tmp_path: Path, name: str, middle: int) -> None:
    write(tmp_path / name, frames(6, grey=True), even(6, 24))
    with av.open(str(tmp_path / name)) as container:
        for frame in container.decode(video=0):
            dtype = np.uint8 if middle == 128 else np.uint16
            for plane in frame.planes[1:]:
                codes = np.frombuffer(plane, dtype).reshape(plane.height, -1)[:, : plane.width]
                assert np.abs(codes.astype(int) - middle).max() <= middle // 128
    assert probe(tmp_path / name).grey


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
def test_even_rates_are_exact(tmp_path: Path, name: str, rate: str) -> None:
    exact = Fraction(rate)
    write(tmp_path / name, frames(30, (48, 96)), even(30, exact))
    with open_source(tmp_path / name) as source:
        clip = source.clip
        assert (clip.count, clip.rate) == (30, exact)
        assert clip.constant_rate
        slack = clip.time_base if name == "a.mkv" else 0
        assert all(abs(clip.time(n) - n / exact) <= slack for n in range(31))
        assert [read_stamp(f.rgb) for f in source.frames(FrameRange(0, 30))] == list(range(30))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
def test_varying_rate_is_kept_to_the_tick(tmp_path: Path, name: str) -> None:
    gaps = np.random.default_rng(7).integers(16, 90, 25).tolist()
    times = [Fraction(sum(gaps[:n]), 1000) for n in range(26)]
    write(tmp_path / name, frames(25, (48, 96)), times)
    with open_source(tmp_path / name) as source:
        assert [source.clip.time(n) for n in range(26)] == times
        assert not source.clip.constant_rate
        assert [read_stamp(f.rgb) for f in source.frames(FrameRange(0, 25))] == list(range(25))


def test_a_millisecond_ledger_of_an_even_film_becomes_even_again(tmp_path: Path) -> None:
    times = [Fraction(round(n * 1001 / 24), 1000) for n in range(49)]
    write(tmp_path / "a.mp4", frames(48, (48, 96)), times)
    clip = probe(tmp_path / "a.mp4")
    assert clip.rate == Fraction(24000, 1001)
    assert [clip.time(n) for n in range(49)] == [n * Fraction(1001, 24000) for n in range(49)]


@pytest.mark.parametrize("rate", RATES)
def test_a_matroska_film_of_even_rate_keeps_it_in_another_container(tmp_path: Path, rate: str) -> None:
    exact = Fraction(rate)
    source = probe(write_film(tmp_path / "s.mkv", 72, size=SMALL, rate=exact))
    write(tmp_path / "a.mp4", frames(72, SMALL), [source.time(n) for n in range(73)])
    clip = probe(tmp_path / "a.mp4")
    assert (clip.count, clip.rate) == (72, exact)
    assert [clip.time(n) for n in range(73)] == [n / exact for n in range(73)]


@pytest.mark.parametrize(("name", "pix_fmt"), [("a.mp4", "yuv444p"), ("a.mov", "yuv444p10le")])
@pytest.mark.parametrize("size", [(97, 131), (96, 131)])
def test_odd_sizes_keep_their_size(tmp_path: Path, name: str, pix_fmt: str, size: tuple[int, int]) -> None:
    films = frames(3, size)
    assert write(tmp_path / name, films, even(3, 24)).pixel_format == pix_fmt
    with open_source(tmp_path / name) as source:
        assert source.clip.size == size
        assert psnr(source.frame(2).rgb, films[2].rgb) > 40


def test_one_frame_is_a_film(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", frames(1), [Fraction(0), Fraction(1, 18)])
    clip = probe(tmp_path / "a.mp4")
    assert (clip.count, clip.seconds, clip.rate) == (1, Fraction(1, 18), 18)


def stopping(films: list[Frame], at: int) -> Iterator[Frame]:
    for frame in films:
        if frame.index == at:
            raise KeyboardInterrupt
        yield frame


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_stopped_run_leaves_nothing_under_the_name(tmp_path: Path, name: str) -> None:
    films = frames(10)
    target = target_for(tmp_path / name, bit_depth=8)
    with pytest.raises(KeyboardInterrupt):
        encode(stopping(films, 6), even(10, 24), films[0].size, target, sound_from=None)
    assert list(tmp_path.iterdir()) == []
    write(tmp_path / name, films, even(10, 24))
    before = (tmp_path / name).read_bytes()
    with pytest.raises(KeyboardInterrupt):
        encode(stopping(films, 6), even(10, 24), films[0].size, target, sound_from=None)
    assert (tmp_path / name).read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_stopped_folder_holds_whole_pictures_only(tmp_path: Path) -> None:
    films = frames(10)
    target = target_for(tmp_path / "out", bit_depth=8)
    with pytest.raises(KeyboardInterrupt):
        encode(stopping(films, 6), even(10, 24), films[0].size, target)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [f"{n:06d}.png" for n in range(6)]
    write(tmp_path / "out", films, even(10, 24))
    (tmp_path / "out" / "notes.txt").write_text("mine")
    write(tmp_path / "out", films[:4], even(4, 24))
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == [*(f"{n:06d}.png" for n in range(4)), "notes.txt"]


def test_frames_and_times_must_agree(tmp_path: Path) -> None:
    films = frames(4)
    for count in (3, 5):
        with pytest.raises(EncodeError, match="frames"):
            write(tmp_path / "a.mp4", films, even(count, 24))
    with pytest.raises(EncodeError, match="ascend"):
        write(tmp_path / "a.mp4", films, [Fraction(0)] * 5)
    with pytest.raises(ShapeError, match="frame 2"):
        write(tmp_path / "a.mp4", [*films[:2], *frames(1, (48, 48)), films[3]], even(4, 24))
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_an_error_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EncodeError, match="cannot be written"):
        write(tmp_path / "file" / "a.mp4", frames(2), even(2, 24))


def test_progress_counts_frames(tmp_path: Path) -> None:
    seen: list[int] = []
    write(tmp_path / "a.mp4", frames(5), even(5, 24), on_frame=seen.append)
    assert seen == [1, 2, 3, 4, 5]


def clicks(path: Path) -> list[float]:
    """Times of the clicks against the picture, in seconds."""
    samples, begin, rate = heard(path)
    loud = np.flatnonzero(np.abs(samples) > 0.3)
    first = loud[np.diff(loud, prepend=-1000) > rate // 20]
    return [float(begin) + at / rate for at in first]


def assert_in_step(path: Path, start: float, stop: float, slack: float) -> None:
    """A click at every tenth of a second of the source, and none missing between."""
    found = clicks(path)
    expected = [k / 10 for k in range(200) if start + 0.02 < k / 10 < stop - 0.02]
    inner = [c for c in found if start + 0.02 < c < stop - 0.02]
    assert len(inner) == len(expected), (found, expected)
    assert max(abs(a - b) for a, b in zip(inner, expected, strict=True)) < slack


SOUNDS = [
    ("s.mkv", "pcm_s16le", "o.mkv", "pcm_s16le copied"),
    ("s.mkv", "pcm_s16le", "o.mov", "pcm_s16le copied"),
    ("s.mkv", "pcm_s16le", "o.mp4", "pcm_s16le to aac"),
    ("s.mkv", "flac", "o.mkv", "flac copied"),
    ("s.mkv", "flac", "o.mov", "flac to pcm_s16le"),
    ("s.mp4", "aac", "o.mp4", "aac copied"),
    ("s.mp4", "aac", "o.mkv", "aac copied"),
    ("s.mp4", "aac", "o.mov", "aac copied"),
    ("s.mkv", "libmp3lame", "o.mp4", "mp3 copied"),
    ("s.avi", "pcm_s16le", "o.mp4", "pcm_s16le to aac"),
]


@pytest.mark.parametrize(("name", "codec", "out", "note"), SOUNDS)
def test_sound_is_copied_or_coded_and_stays_in_step(tmp_path: Path, name: str, codec: str, out: str, note: str) -> None:
    video = "mpeg4" if name.endswith("avi") else "libx264"
    source = probe(write_film(tmp_path / name, 48, size=SMALL, codec=video, rate=24, tone=(codec, 2.0, 0.0)))
    done = write(tmp_path / out, frames(48, SMALL), even(48, 24), sound_from=source)
    assert done.sound == (note,)
    clip = probe(tmp_path / out)
    assert abs(clip.seconds - source.seconds) <= Fraction(1, 24)
    assert abs(clip.audio[0].seconds - 2) <= Fraction(1, 24)
    # Re-coded MP3 and AAC keep the decoder's delay when packets are copied between containers.
    assert_in_step(tmp_path / out, 0.05, 2.0, 0.003 if codec != "libmp3lame" else 0.05)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("out", ["o.mp4", "o.mkv"])
def test_sync_is_kept_at_all_rates(tmp_path: Path, rate: str, out: str) -> None:
    exact = Fraction(rate)
    count = round(2 * exact)
    source = probe(write_film(tmp_path / "s.mkv", count, size=SMALL, rate=exact, tone=("pcm_s16le", 2.0, 0.0)))
    write(tmp_path / out, frames(count, SMALL), [source.time(n) for n in range(count + 1)], sound_from=source)
    clip = probe(tmp_path / out)
    assert clip.count == count
    assert abs(clip.seconds - source.seconds) <= 1 / exact
    assert_in_step(tmp_path / out, 0.0, float(count / exact), 0.002)


@pytest.mark.parametrize("out", ["o.mp4", "o.mkv", "o.mov"])
@pytest.mark.parametrize(("seconds", "offset"), [(1.0, 0.0), (3.5, 0.0), (1.2, 0.45)])
def test_shorter_longer_and_later_sound(tmp_path: Path, out: str, seconds: float, offset: float) -> None:
    source = probe(write_film(tmp_path / "s.mkv", 48, size=SMALL, rate=24, tone=("pcm_s16le", seconds, offset)))
    write(tmp_path / out, frames(48, SMALL), even(48, 24), sound_from=source)
    assert probe(tmp_path / out).seconds == pytest.approx(2, abs=0.002)
    samples, begin, rate = heard(tmp_path / out)
    # A coder of AAC begins with a packet of silence; it is played when the sound begins late.
    assert offset - 0.023 < float(begin) < offset + 0.002
    assert float(begin) + len(samples) / rate == pytest.approx(min(seconds + offset, 2.0), abs=0.03)
    assert_in_step(tmp_path / out, offset, min(seconds + offset, 2.0), 0.002)


@pytest.mark.parametrize(("codec", "name"), [("pcm_s16le", "s.mkv"), ("aac", "s.mp4")])
@pytest.mark.parametrize("out", ["o.mp4", "o.mkv"])
def test_a_part_of_a_film_gets_its_part_of_the_sound(tmp_path: Path, codec: str, name: str, out: str) -> None:
    source = probe(write_film(tmp_path / name, 72, size=SMALL, rate=24, tone=(codec, 3.0, 0.0)))
    part = [source.time(n) for n in range(25, 61)]
    write(tmp_path / out, frames(35, SMALL), part, sound_from=source)
    assert probe(tmp_path / out).seconds == pytest.approx(float(part[-1] - part[0]), abs=0.002)
    shifted = [c + float(part[0]) for c in clicks(tmp_path / out)]
    expected = [k / 10 for k in range(11, 25)]
    inner = [c for c in shifted if 1.08 < c < 2.48]
    assert len(inner) == len(expected)
    assert max(abs(a - b) for a, b in zip(inner, expected, strict=True)) < 0.003


def test_sound_that_begins_before_the_picture_is_cut(tmp_path: Path) -> None:
    times = [250 + round(n * 1000 / 24) for n in range(48)]
    source = probe(write_film(tmp_path / "s.mkv", 48, size=SMALL, times_ms=times, tone=("pcm_s16le", 2.0, 0.0)))
    write(tmp_path / "o.mkv", frames(48, SMALL), even(48, 24), sound_from=source)
    shifted = [c + 0.25 for c in clicks(tmp_path / "o.mkv")]
    assert shifted == pytest.approx([k / 10 for k in range(3, 20)], abs=0.002)


def test_a_folder_gets_its_sound_beside_the_pictures(tmp_path: Path) -> None:
    source = probe(write_film(tmp_path / "s.mp4", 24, size=SMALL, rate=24, tone=("aac", 1.0, 0.0)))
    done = write(tmp_path / "out", frames(24, SMALL), even(24, 24), sound_from=source)
    assert done.sound == ("aac copied",)
    assert_in_step(tmp_path / "out" / "sound.mka", 0.05, 1.0, 0.003)
    with open_source(tmp_path / "out") as again:
        assert again.clip.count == 24
    silent = probe(tmp_path / "out")
    assert write(tmp_path / "b.mp4", frames(24, SMALL), even(24, 24), sound_from=silent).sound == ()


@pytest.mark.skipif(not DATA.is_dir(), reason="no shared data beside the repository")
def test_a_real_film_keeps_its_length_and_sound(tmp_path: Path) -> None:
    path = DATA / "old/chaplin/chaplin.mp4"
    if not path.is_file():
        pytest.skip("chaplin is not in the shared data")
    with open_source(path) as source:
        clip = source.clip
        times = [clip.time(n) for n in range(25)]
        target = target_for(tmp_path / "o.mp4", bit_depth=8)
        done = encode(source.frames(FrameRange(0, 24)), times, clip.size, target, sound_from=clip)
        assert done.sound == ("mp3 copied",)
        with open_source(tmp_path / "o.mp4") as again:
            assert again.clip.seconds == times[-1]
            assert again.clip.grey
            assert psnr(again.frame(20).rgb, source.frame(20).rgb) > 38
    samples, begin, rate = heard(tmp_path / "o.mp4")
    assert float(begin) + len(samples) / rate == pytest.approx(float(times[-1]), abs=0.04)
