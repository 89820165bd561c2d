"""Films in: the right frame under every number, at its exact time, in its true colours; and nothing hostile."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from core.decode import open_source, probe
from core.errors import DecodeError, InputError
from core.film.timebase import FrameRange
from tests.film_maker import planes_frame, read_stamp, stamped, write_film, write_wave

CODE = 1 / 65535
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"

KINDS = {
    "mp4 b-frames": ("a.mp4", "libx264", "yuv420p", {"g": "12", "bf": "3"}, None),
    "mp4 open gop": ("a.mp4", "libx264", "yuv420p", {"x264-params": "open-gop=1:keyint=10:bframes=3:scenecut=0"}, None),
    "mkv long gop": ("a.mkv", "libx264", "yuv420p", {"g": "500"}, None),
    "hevc": ("a.mp4", "libx265", "yuv420p10le", {"x265-params": "log-level=none:keyint=11"}, None),
    "ts": ("a.ts", "mpeg2video", "yuv420p", {"g": "9", "bf": "2", "b": "4M"}, None),
    "mpg": ("a.mpg", "mpeg2video", "yuv420p", {"g": "9", "bf": "2", "b": "4M"}, None),
    "avi mpeg4": ("a.avi", "mpeg4", "yuv420p", {"g": "9", "bf": "2", "b": "4M"}, None),
    "avi mjpeg": ("a.avi", "mjpeg", "yuvj420p", {"q": "2"}, None),
    "raw h264": ("a.h264", "libx264", "yuv420p", {"g": "9", "bf": "2"}, None),
    "raw m2v": ("a.m2v", "mpeg2video", "yuv420p", {"g": "9", "b": "4M"}, "mpeg2video"),
    "prores": ("a.mov", "prores_ks", "yuv422p10le", {}, None),
    "ffv1": ("a.mkv", "ffv1", "bgr0", {}, None),
    "vp9": ("a.webm", "libvpx-vp9", "yuv420p", {"cpu-used": "8", "deadline": "realtime", "b": "1M"}, None),
    "gif": ("a.gif", "gif", "rgb8", {}, None),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_gives_its_own_frame(tmp_path: Path, kind: str) -> None:
    name, codec, pix_fmt, options, container = KINDS[kind]
    path = write_film(tmp_path / name, 40, codec=codec, pix_fmt=pix_fmt, options=options, container=container, rate=25)
    with open_source(path) as source:
        assert source.clip.count == 40
        in_order = list(source.frames(FrameRange(0, 40)))
        assert [f.index for f in in_order] == list(range(40))
        assert [read_stamp(f.rgb) for f in in_order] == list(range(40))
        for n in (39, 0, 17, 16, 15, 31, 32, 3, 39, 20):
            assert np.array_equal(source.frame(n).rgb, in_order[n].rgb), n
        assert [f.index for f in source.frames(FrameRange(13, 21))] == list(range(13, 21))
        middle = next(iter(source.frames(FrameRange(22, 23))))
        assert np.array_equal(middle.rgb, in_order[22].rgb)
        assert not in_order[0].rgb.flags.writeable


@pytest.mark.parametrize("rate", ["16", "18", "24000/1001", "24", "25", "30000/1001"])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_rates_are_exact(tmp_path: Path, rate: str, name: str) -> None:
    exact = Fraction(rate)
    codec = "mpeg4" if name.endswith("avi") else "libx264"
    clip = probe(write_film(tmp_path / name, 50, codec=codec, rate=exact, size=(32, 48)))
    assert clip.rate == exact
    assert clip.constant_rate
    assert abs(clip.seconds - 50 / exact) <= 2 * clip.time_base
    if name != "a.mkv":
        assert [clip.time(n) for n in range(51)] == [n / exact for n in range(51)]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_varying_rate_is_kept_in_the_ledger(tmp_path: Path, name: str) -> None:
    gaps = np.random.default_rng(1).integers(15, 120, 24)
    times = [0, *np.cumsum(gaps).tolist()]
    clip = probe(write_film(tmp_path / name, 25, times_ms=times, options={"bf": "2", "g": "8"}))
    assert [clip.time(n) for n in range(25)] == [Fraction(t, 1000) for t in times]
    assert not clip.constant_rate


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("matrix", "kr", "kb"), [(1, 0.2126, 0.0722), (5, 0.299, 0.114), (6, 0.299, 0.114), (9, 0.2627, 0.0593)]
)
@pytest.mark.parametrize(("pix_fmt", "bits"), [("yuv444p", 8), ("yuv444p10le", 10), ("yuv444p12le", 12)])
def test_colour_tags_are_honoured_at_full_precision(
    tmp_path: Path, pix_fmt: str, bits: int, matrix: int, kr: float, kb: float, full: bool
) -> None:
    rng = np.random.default_rng(5)
    dtype = np.uint8 if bits == 8 else np.uint16
    y, u, v = (rng.integers(0, 1 << bits, (33, 47)).astype(dtype) for _ in range(3))
    frame = planes_frame([y, u, v], pix_fmt, (33, 47))
    path = write_film(
        tmp_path / "a.mkv", [frame], codec="ffv1", pix_fmt=pix_fmt, size=(33, 47), matrix=matrix, full_range=full
    )
    with open_source(path) as source:
        assert source.clip.bit_depth == bits
        assert (source.clip.tags.matrix, source.clip.tags.full_range) == (matrix, full)
        assert not source.clip.grey
        rgb = source.frame(0).rgb
    assert np.abs(rgb - own_matrix(y, u, v, bits, kr, kb, full)).max() <= 0.51 * CODE


def own_matrix(y: np.ndarray, u: np.ndarray, v: np.ndarray, bits: int, kr: float, kb: float, full: bool) -> np.ndarray:
    """R'G'B' of code values, straight from ITU-R BT.709 section 3 with any Kr, Kb."""
    step = 2 ** (bits - 8)
    top = 2**bits - 1
    luma = y / top if full else (y - 16.0 * step) / (219 * step)
    cb, cr = ((c - 128.0 * step) / (top if full else 224 * step) for c in (u, v))
    r = luma + 2 * (1 - kr) * cr
    b = luma + 2 * (1 - kb) * cb
    return np.clip(np.stack([r, (luma - kr * r - kb * b) / (1 - kr - kb), b], -1), 0, 1)


@pytest.mark.parametrize(("lines", "kr", "kb"), [(576, 0.299, 0.114), (578, 0.2126, 0.0722)])
def test_an_untagged_film_is_601_up_to_576_lines(tmp_path: Path, lines: int, kr: float, kb: float) -> None:
    size = (lines, 64)
    y, u, v = (np.full(size, c, np.uint8) for c in (130, 90, 160))
    path = write_film(
        tmp_path / "a.mkv", [planes_frame([y, u, v], "yuv444p", size)], codec="ffv1", pix_fmt="yuv444p", size=size
    )
    with open_source(path) as source:
        assert np.abs(source.frame(0).rgb - own_matrix(y, u, v, 8, kr, kb, False)).max() <= CODE


@pytest.mark.parametrize(("pix_fmt", "down"), [("yuv420p", 2), ("yuv422p", 1), ("yuv420p10le", 2)])
def test_chroma_lies_on_the_left_column_and_midway_between_rows(tmp_path: Path, pix_fmt: str, down: int) -> None:
    h, w, step = 64, 96, 4 if "10" in pix_fmt else 1
    x, rows = np.arange(w), np.arange(h)
    dtype = np.uint16 if step == 4 else np.uint8
    ideal_u = (90 + x[None, :] * 0.5 + np.zeros((h, 1))) * step
    ideal_v = (99.75 + rows[:, None] * 0.5 + np.zeros((1, w))) * step
    at_rows = rows.reshape(-1, down).mean(axis=1)
    u = np.repeat((90 + x[None, ::2] * 0.5) * step, h // down, axis=0).astype(dtype)
    v = np.repeat((99.75 + at_rows[:, None] * 0.5) * step, w // 2, axis=1)
    y = np.full((h, w), 120 * step, dtype)
    frame = planes_frame([y, u, np.rint(v).astype(dtype)], pix_fmt, (h, w))
    path = write_film(tmp_path / "a.mkv", [frame], codec="ffv1", pix_fmt=pix_fmt, size=(h, w), matrix=1)
    with open_source(path) as source:
        rgb = source.frame(0).rgb
    truth = own_matrix(y, ideal_u, ideal_v, 10 if step == 4 else 8, 0.2126, 0.0722, False)
    inside = (slice(4, -4), slice(4, -4))
    # Half a code of the chroma plane is lost when its ramp is rounded; a misplaced one is off by more.
    assert np.abs(rgb - truth)[inside].max() <= 0.6 * 1.8556 * step / (224 * step)
    assert np.abs((rgb - truth)[inside].mean(axis=(0, 1))).max() <= 0.3 / 255


@pytest.mark.parametrize(
    ("pix_fmt", "bits"), [("gray", 8), ("gray10le", 10), ("gray12le", 12), ("gray16le", 16), ("ya8", 8)]
)
def test_grey_formats_are_exact_and_full_range(tmp_path: Path, pix_fmt: str, bits: int) -> None:
    h, w = 32, 64
    codes = np.linspace(0, 2**bits - 1, h * w).reshape(h, w).astype(np.uint8 if bits == 8 else np.uint16)
    stored = np.stack([codes, np.full_like(codes, 200)], -1).reshape(h, -1) if pix_fmt == "ya8" else codes
    path = write_film(
        tmp_path / "a.mkv", [planes_frame([stored], pix_fmt, (h, w))], codec="ffv1", pix_fmt=pix_fmt, size=(h, w)
    )
    with open_source(path) as source:
        assert source.clip.grey
        assert source.clip.bit_depth == bits
        rgb = source.frame(0).rgb
    assert np.array_equal(rgb[..., 0], rgb[..., 1])
    assert np.array_equal(rgb[..., 0], rgb[..., 2])
    assert np.abs(rgb[..., 0] - codes / (2**bits - 1)).max() <= 0.51 * CODE


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "bits"),
    [
        ("a.mkv", "ffv1", "bgr0", 8),
        ("a.mkv", "ffv1", "bgra", 8),
        ("a.mkv", "ffv1", "gbrp10le", 10),
        ("a.mkv", "ffv1", "gbrp16le", 16),
        ("a.mkv", "ffv1", "gbrap12le", 12),
        ("a.mov", "qtrle", "argb", 8),
        ("a.mov", "png", "rgb24", 8),
        ("a.mov", "png", "rgb48be", 16),
        ("a.avi", "rawvideo", "bgr24", 8),
    ],
)
def test_rgb_is_bit_exact_and_alpha_is_left_aside(
    tmp_path: Path, name: str, codec: str, pix_fmt: str, bits: int
) -> None:
    rng = np.random.default_rng(2)
    h, w = 30, 46
    dtype = np.uint8 if bits == 8 else np.uint16
    rgb = rng.integers(0, 1 << bits, (h, w, 3)).astype(dtype)
    alpha = rng.integers(0, 1 << bits, (h, w)).astype(dtype)
    layout = {"bgr0": "bgra", "rgb48be": "rgb48", "gbrp10le": "gbr", "gbrp16le": "gbr", "gbrap12le": "gbra"}
    order = layout.get(pix_fmt, pix_fmt)
    channels = {"r": rgb[..., 0], "g": rgb[..., 1], "b": rgb[..., 2], "a": alpha}
    picked = [channels[c] for c in order if c in channels]
    planes = picked if pix_fmt.startswith("gb") else [np.stack(picked, -1).reshape(h, -1)]
    if pix_fmt.endswith("be"):
        planes = [p.byteswap() for p in planes]
    path = write_film(
        tmp_path / name, [planes_frame(planes, pix_fmt, (h, w))], codec=codec, pix_fmt=pix_fmt, size=(h, w)
    )
    with open_source(path) as source:
        assert source.clip.bit_depth == bits
        assert np.abs(source.frame(0).rgb - rgb / (2**bits - 1)).max() <= 0.51 * CODE


def test_a_palette_is_read_as_its_colours(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.gif", 12, codec="gif", pix_fmt="rgb8", rate=10)
    with open_source(path) as source:
        assert source.clip.count == 12
        assert source.clip.rate == 10
        assert np.abs(source.frame(5).rgb - stamped(5) / 255).mean() < 0.1


def test_grey_film_in_a_colour_format_comes_as_three_equal_planes(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", 30, grey=True, options={"crf": "30"})
    with open_source(path) as source:
        assert source.clip.grey
        for frame in source.frames(FrameRange(0, 30)):
            assert np.array_equal(frame.rgb[..., 0], frame.rgb[..., 1])
            assert np.array_equal(frame.rgb[..., 0], frame.rgb[..., 2])
    assert not probe(write_film(tmp_path / "b.mp4", 30)).grey


def test_linear_light_is_coded_and_pq_is_refused(tmp_path: Path) -> None:
    half = np.full((16, 16), 32768, np.uint16)
    frame = planes_frame([half] * 3, "gbrp16le", (16, 16))
    made = {"codec": "ffv1", "pix_fmt": "gbrp16le", "size": (16, 16)}
    with open_source(write_film(tmp_path / "a.mkv", [frame], transfer=8, **made)) as source:
        assert source.frame(0).rgb.mean() == pytest.approx(0.7354, abs=1e-3)
    with pytest.raises(DecodeError, match="HDR"):
        open_source(write_film(tmp_path / "b.mkv", [frame], transfer=16, **made))


def test_odd_sizes_are_kept(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mkv", 3, codec="ffv1", pix_fmt="yuv420p", size=(97, 131))
    with open_source(path) as source:
        assert source.clip.size == (97, 131)
        assert source.frame(2).rgb.shape == (97, 131, 3)


@pytest.mark.parametrize(("sar", "width"), [("16/11", 186), ("8/9", 114), ("2/1", 256), ("1/2", 64)])
def test_pixels_become_square(tmp_path: Path, sar: str, width: int) -> None:
    path = write_film(tmp_path / "a.mp4", 6, sar=Fraction(sar), options={"crf": "4"})
    with open_source(path) as source:
        assert source.clip.sar == Fraction(sar)
        assert source.clip.size == (96, width)
        rgb = source.frame(5).rgb
    assert rgb.shape == (96, width, 3)
    assert read_stamp(rgb) == 5
    assert np.abs(rgb * 65535 - np.rint(rgb * 65535)).max() < 0.01


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_applied(tmp_path: Path, degrees: int) -> None:
    path = write_film(tmp_path / "a.mp4", 4, rotation=degrees, options={"crf": "4"})
    with av.open(str(path)) as container:
        turn = next(container.decode(video=0)).rotation  # counterclockwise, by FFmpeg's word
    with open_source(path) as source:
        assert source.clip.rotation == -turn % 360
        rgb = source.frame(3).rgb
    upright = np.rot90(stamped(3) / 255, turn // 90)
    assert rgb.shape == upright.shape
    assert np.abs(rgb - upright).mean() < 0.03


def test_asking_outside_the_film_names_the_frame(tmp_path: Path) -> None:
    with open_source(write_film(tmp_path / "a.mp4", 5)) as source:
        for n in (-1, 5):
            with pytest.raises(DecodeError, match=str(n)):
                source.frame(n)
        with pytest.raises(DecodeError, match="0:5"):
            source.frames(FrameRange(2, 9))


def test_facts(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", 24, tone=("aac", 1.0, 0.0), matrix=1, full_range=False, transfer=1)
    clip = probe(str(path))
    assert clip.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (clip.kind, clip.container, clip.codec, clip.pixel_format) == ("video", "mov", "h264", "yuv420p")
    assert Path(clip.path).is_absolute()
    assert (clip.tags.matrix, clip.tags.transfer, clip.tags.full_range) == (1, 1, False)
    (sound,) = clip.audio
    assert (sound.codec, sound.rate, sound.channels) == ("aac", 48000, 1)
    assert abs(sound.seconds - 1) < Fraction(1, 20)
    with pytest.raises(InputError, match="own frame rate"):
        open_source(path, rate="25")


def test_many_threads_get_the_right_frames(tmp_path: Path) -> None:
    with open_source(write_film(tmp_path / "a.mp4", 60, options={"g": "15"})) as source:
        order = np.random.default_rng(0).integers(0, 60, 60).tolist()
        with ThreadPoolExecutor(4) as pool:
            got = list(pool.map(lambda n: read_stamp(source.frame(n).rgb), order))
        assert got == order


def test_leaving_off_reading_leaves_no_thread(tmp_path: Path) -> None:
    with open_source(write_film(tmp_path / "a.mp4", 60)) as source:
        frames = source.frames(FrameRange(0, 60))
        assert next(iter(frames)).index == 0
        frames.close()  # type: ignore[attr-defined]
        list(source.frames(FrameRange(3, 9)))
    assert not [t for t in threading.enumerate() if t.name == "pochoir-read-ahead"]


def test_frames_cut_away_by_an_edit_list_do_not_count(tmp_path: Path) -> None:
    whole = write_film(tmp_path / "whole.mp4", 48, options={"g": "24", "bf": "2"})
    cut = tmp_path / "cut.mp4"
    # Copying from the middle of a group of pictures begins at its key picture and hides what is before.
    with av.open(str(whole)) as source, av.open(str(cut), "w") as out:
        video = source.streams.video[0]
        made = out.add_stream_from_template(video)
        late = round(Fraction(5, 24) / video.time_base)
        for packet in source.demux(video):
            if packet.size:
                packet.pts, packet.dts = packet.pts - late, packet.dts - late
                packet.stream = made
                out.mux(packet)
    with open_source(cut) as source:
        assert source.clip.count == 43
        assert [read_stamp(f.rgb) for f in source.frames(FrameRange(0, 43))] == list(range(5, 48))
        assert read_stamp(source.frame(30).rgb) == 35


def test_a_picture_that_changes_its_size_is_refused_at_that_frame(tmp_path: Path) -> None:
    a = write_film(tmp_path / "a.h264", 10, size=(64, 64), options={"bf": "0"})
    b = write_film(tmp_path / "b.h264", 10, size=(96, 96), options={"bf": "0"})
    both = tmp_path / "both.h264"
    both.write_bytes(a.read_bytes() + b.read_bytes())
    with open_source(both) as source:
        assert read_stamp(source.frame(9).rgb) == 9
        with pytest.raises(DecodeError, match="changes from 64x64 to 96x96 at frame 10"):
            source.frame(12)


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "ffv1"), ("a.avi", "mpeg4")])
@pytest.mark.parametrize("faststart", [False, True])
def test_a_broken_off_film_says_how_much_is_there(tmp_path: Path, name: str, codec: str, faststart: bool) -> None:
    options = {"movflags": "+faststart"} if faststart and name == "a.mp4" else {}
    path = write_film(tmp_path / name, 60, codec=codec, size=(160, 160), container_options=options)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.6)])
    with pytest.raises(DecodeError) as caught:
        open_source(path)
    assert "\n" not in str(caught.value)
    if faststart:
        assert "of 60 frames" in str(caught.value)


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "ffv1"), ("a.mov", "prores_ks")])
def test_a_damaged_frame_is_named(tmp_path: Path, name: str, codec: str) -> None:
    pix_fmt = "yuv422p10le" if codec == "prores_ks" else "yuv420p"
    options = {"g": "1", "level": "3", "slicecrc": "1"} if codec == "ffv1" else {"g": "10", "bf": "0"}
    path = write_film(tmp_path / name, 40, codec=codec, pix_fmt=pix_fmt, options=options, size=(160, 160))
    with av.open(str(path)) as container:
        packet = next(p for n, p in enumerate(container.demux(video=0)) if n == 20)
        at, size = packet.pos, packet.size
    data = bytearray(path.read_bytes())
    for k in range(size // 4, size // 2):
        data[at + k] ^= 0x5A
    path.write_bytes(data)
    with open_source(path) as source:
        assert read_stamp(source.frame(15).rgb) == 15
        with pytest.raises(DecodeError, match="frame 20 is damaged"):
            source.frame(20)
        with pytest.raises(DecodeError, match="frame 20 is damaged"):
            list(source.frames(FrameRange(0, 40)))
        assert read_stamp(source.frame(35).rgb) == 35


def hostile(folder: Path) -> dict[str, Path]:
    """Files that are not films, by what they are."""
    write_film(folder / "other.mp4", 3)
    texts = {
        "empty": b"",
        "zeros": bytes(4096),
        "noise": np.random.default_rng(0).bytes(50_000),
        "program": b"\x7fELF" + bytes(500),
        "drawing": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'></svg>",
        "concat list": b"ffconcat version 1.0\nfile other.mp4\n",
        "playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nother.mp4\n#EXT-X-ENDLIST\n",
        "page": b"<!doctype html><video src='http://example.invalid/a.mp4'>",
    }
    made = {}
    for kind, data in texts.items():
        made[kind] = folder / f"{kind.replace(' ', '_')}.mp4"
        made[kind].write_bytes(data)
    made["sound only"] = write_wave(folder / "sound.wav", 1.0)
    made["missing"] = folder / "missing.mp4"
    made["address"] = Path("http://example.invalid/a.mp4")
    made["no images"] = folder / "none"
    made["no images"].mkdir()
    return made


def test_what_is_not_a_film_is_refused_in_one_line(tmp_path: Path) -> None:
    for kind, path in hostile(tmp_path).items():
        with pytest.raises(DecodeError) as caught:
            open_source(path)
        assert "\n" not in str(caught.value), kind
        assert len(str(caught.value)) < 400, kind


def test_damaged_bytes_never_raise_anything_else(tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    for name, codec in (("a.mp4", "libx264"), ("a.mkv", "ffv1"), ("a.avi", "mpeg4")):
        data = write_film(tmp_path / name, 8, codec=codec, size=(48, 64)).read_bytes()
        for _ in range(25):
            bad = bytearray(data)
            for at in rng.integers(0, len(bad), 12):
                bad[at] = rng.integers(0, 256)
            (tmp_path / f"bad_{name}").write_bytes(bad)
            with contextlib.suppress(DecodeError), open_source(tmp_path / f"bad_{name}") as source:
                list(source.frames(FrameRange(0, source.clip.count)))


@pytest.mark.skipif(not DATA.is_dir(), reason="no shared data beside the repository")
@pytest.mark.parametrize(
    ("name", "count", "rate", "grey"),
    [("old/chaplin/chaplin.mp4", 241, "25", True), ("clips/bikes_cuts/bikes_cuts.mp4", 250, "25", False)],
)
def test_real_films(name: str, count: int, rate: str, grey: bool) -> None:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{name} is not in the shared data")
    with open_source(path) as source:
        clip = source.clip
        assert (clip.count, clip.rate, clip.grey) == (count, Fraction(rate), grey)
        span = FrameRange(60, 66)
        for frame in source.frames(span):
            assert np.array_equal(frame.rgb, source.frame(frame.index).rgb)
