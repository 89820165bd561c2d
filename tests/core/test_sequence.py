"""Image sequences in: every format at its own precision, numbered in file order, gaps and damage named."""

from __future__ import annotations

import contextlib
import hashlib
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import OpenImageIO as oiio  # noqa: N813
import pytest

from core.decode import open_source, probe
from core.errors import DecodeError, InputError
from core.film.timebase import FrameRange
from tests.film_maker import read_stamp, stamped

CODE = 1 / 65535
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def write_image(
    path: Path, pixels: np.ndarray, kind: str, *, bits: int = 0, attributes: dict[str, object] | None = None
) -> None:
    """One image through OpenImageIO with exact samples."""
    h, w = pixels.shape[:2]
    spec = oiio.ImageSpec(w, h, pixels.shape[2], kind)
    spec.attribute("oiio:UnassociatedAlpha", 1)
    if bits:
        spec.attribute("oiio:BitsPerSample", bits)
    for key, value in (attributes or {}).items():
        spec.attribute(key, value)
    out = oiio.ImageOutput.create(str(path))
    assert out is not None
    assert out.open(str(path), spec), out.geterror()
    assert out.write_image(pixels), out.geterror()
    out.close()


def write_stamped(folder: Path, count: int, name: str = "{:06d}.png", first: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    for n in range(count):
        write_image(folder / name.format(first + n), stamped(n), "uint8")
    return folder


@pytest.mark.parametrize(
    ("name", "kind", "bits", "depth"),
    [
        ("a.png", "uint8", 0, 8),
        ("a.png", "uint16", 0, 16),
        ("a.tif", "uint8", 0, 8),
        ("a.tif", "uint16", 0, 16),
        ("a.dpx", "uint16", 10, 10),
        ("a.dpx", "uint16", 12, 12),
        ("a.dpx", "uint16", 0, 16),
        ("a.bmp", "uint8", 0, 8),
    ],
)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_integer_formats_keep_their_precision(
    tmp_path: Path, name: str, kind: str, bits: int, depth: int, channels: int
) -> None:
    if name == "a.bmp" and channels == 1:
        pytest.skip("BMP has no grey")
    rng = np.random.default_rng(4)
    codes = rng.integers(0, 1 << depth, (20, 30, channels))
    # 10 and 12 bit samples travel through OpenImageIO as their nearest 16-bit values.
    full = np.rint(codes * (65535 / (2**depth - 1))).astype(np.uint16) if kind == "uint16" else codes.astype(np.uint8)
    write_image(tmp_path / name, full, kind, bits=bits)
    with open_source(tmp_path / name) as source:
        assert source.clip.count == 1
        assert source.clip.bit_depth == depth
        assert source.clip.grey == (channels == 1)
        rgb = source.frame(0).rgb
    truth = codes[..., [0, 0, 0] if channels == 1 else [0, 1, 2]] / (2**depth - 1)
    # OpenImageIO repeats the high bits to fill 16, which is within one code of the exact value.
    assert np.abs(rgb - truth).max() <= (1.01 if depth in (10, 12) else 0.51) * CODE


@pytest.mark.parametrize("kind", ["half", "float"])
def test_exr_is_linear_light(tmp_path: Path, kind: str) -> None:
    linear = np.linspace(-0.1, 1.2, 24 * 40 * 3).reshape(24, 40, 3).astype(np.float16).astype(np.float32)
    write_image(tmp_path / "a.exr", linear, kind)
    with open_source(tmp_path / "a.exr") as source:
        assert source.clip.bit_depth == 16
        assert source.clip.tags.transfer == 8
        rgb = source.frame(0).rgb
    lin = np.clip(linear, 0, 1)
    truth = np.where(lin <= 0.0031308, 12.92 * lin, 1.055 * lin ** (1 / 2.4) - 0.055)
    assert np.abs(rgb - truth).max() <= 1.01 * CODE


def test_exr_channels_are_found_by_name(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 4), np.float32)
    pixels[..., 0], pixels[..., 3] = 1.0, 0.5
    spec = oiio.ImageSpec(8, 8, 4, "half")
    spec.channelnames = ("B", "G", "R", "A")
    out = oiio.ImageOutput.create(str(tmp_path / "a.exr"))
    out.open(str(tmp_path / "a.exr"), spec)
    out.write_image(pixels)
    out.close()
    with open_source(tmp_path / "a.exr") as source:
        assert source.frame(0).rgb[4, 4].tolist() == [0, 0, 1]


def test_float_tiff_is_taken_as_display_values(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).random((9, 11, 3)).astype(np.float32)
    write_image(tmp_path / "a.tif", pixels, "float")
    with open_source(tmp_path / "a.tif") as source:
        assert np.abs(source.frame(0).rgb - pixels).max() <= 0.51 * CODE


def test_jpeg_sequence_and_its_grey(tmp_path: Path) -> None:
    for n in range(3):
        cv2.imwrite(str(tmp_path / f"c_{n}.jpg"), stamped(n)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])
    with open_source(tmp_path) as source:
        assert not source.clip.grey
        assert np.abs(source.frame(2).rgb - stamped(2) / 255).mean() < 0.01
    grey = tmp_path / "grey"
    grey.mkdir()
    for n in range(3):
        cv2.imwrite(str(grey / f"g_{n}.jpg"), stamped(n, grey=True))
    with open_source(grey) as source:
        assert source.clip.grey
        rgb = source.frame(1).rgb
        assert (rgb[..., 0] == rgb[..., 1]).all()
        assert (rgb[..., 0] == rgb[..., 2]).all()


@pytest.mark.parametrize("first", [0, 1, 1150])
@pytest.mark.parametrize("ask", ["folder", "pattern"])
def test_numbers_begin_at_zero_wherever_the_files_do(tmp_path: Path, first: int, ask: str) -> None:
    folder = write_stamped(tmp_path / "reel", 12, "shot_{:05d}.png", first)
    (folder / "notes.txt").write_text("not an image")
    (folder / ".hidden.png").write_bytes(b"half written")
    (folder / "sound.mka").write_bytes(b"")
    with open_source(folder if ask == "folder" else folder / "shot_%05d.png", rate="18") as source:
        clip = source.clip
        assert (clip.count, clip.rate, clip.kind, clip.size) == (12, 18, "sequence", (96, 128))
        assert clip.seconds == Fraction(12, 18)
        assert clip.constant_rate
        assert [read_stamp(f.rgb) for f in source.frames(FrameRange(0, 12))] == list(range(12))
        assert read_stamp(source.frame(7).rgb) == 7
        assert Path(clip.files[7]).name == f"shot_{first + 7:05d}.png"
        assert np.array_equal(source.frame(3).rgb, np.float32(stamped(3)) / np.float32(255))


def test_unpadded_numbers_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    folder = write_stamped(tmp_path / "reel", 12, "{}.png")
    for place in (folder, folder / "%d.png"):
        with open_source(place) as source:
            assert [read_stamp(f.rgb) for f in source.frames(FrameRange(0, 12))] == list(range(12))
            assert source.clip.rate == 24


def test_the_hash_is_over_names_and_bytes(tmp_path: Path) -> None:
    folder = write_stamped(tmp_path / "reel", 3)
    total = hashlib.sha256()
    for n in range(3):
        data = (folder / f"{n:06d}.png").read_bytes()
        total.update(f"{n:06d}.png\0{hashlib.sha256(data).hexdigest()}\n".encode())
    assert probe(folder).sha256 == total.hexdigest()
    before = probe(folder).sha256
    write_image(folder / "000001.png", stamped(9), "uint8")
    assert probe(folder).sha256 != before


def test_a_missing_number_is_named(tmp_path: Path) -> None:
    folder = write_stamped(tmp_path / "reel", 9, "f_{:04d}.png")
    (folder / "f_0005.png").unlink()
    for place in (folder, folder / "f_%04d.png"):
        with pytest.raises(DecodeError, match=r"f_0005\.png is missing"):
            open_source(place)


def test_what_is_no_sequence_is_refused(tmp_path: Path) -> None:
    folder = write_stamped(tmp_path / "reel", 3)
    with pytest.raises(DecodeError, match="no file of that pattern"):
        open_source(folder / "x_%06d.png")
    with pytest.raises(DecodeError, match="no such folder"):
        open_source(tmp_path / "nowhere" / "%06d.png")
    with pytest.raises(InputError, match="frame rate"):
        open_source(folder, rate="many")
    write_image(folder / "000003.png", stamped(3, (64, 64)), "uint8")
    with pytest.raises(DecodeError, match=r"000003\.png: 64x64, but 000000\.png is 128x96"):
        open_source(folder)
    write_image(folder / "000003.tif", stamped(3), "uint8")
    with pytest.raises(DecodeError, match="several kinds"):
        open_source(folder)
    with open_source(folder / "000001.png") as source, pytest.raises(DecodeError, match="no frame 1"):
        source.frame(1)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.dpx", "a.exr", "a.jpg"])
def test_a_damaged_image_is_named(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (80, 100, 3)).astype(np.uint8)
    kind = {"a.exr": "half", "a.dpx": "uint16"}.get(name, "uint8")
    write_image(tmp_path / name, noise, kind)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(DecodeError, match=r"a\.\w+: ") as caught, open_source(tmp_path / name) as source:
        source.frame(0)
    assert "\n" not in str(caught.value)


def test_flipped_bits_in_a_png_are_found_when_the_sequence_is_opened(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_image(tmp_path / "a.png", stamped(3), "uint8")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[len(data) // 2] ^= 0x10
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(DecodeError, match=r"a\.png: damaged"):
        open_source(tmp_path / "a.png")
    assert capfd.readouterr().err == ""


def test_a_header_that_is_not_text_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    write_image(tmp_path / "a.exr", np.zeros((16, 16, 3), np.float32), "half")
    data = (tmp_path / "a.exr").read_bytes()
    for _ in range(60):
        bad = bytearray(data)
        at = int(rng.integers(8, 300))
        bad[at : at + 8] = rng.bytes(8)
        (tmp_path / "b.exr").write_bytes(bad)
        with contextlib.suppress(DecodeError), open_source(tmp_path / "b.exr") as source:
            source.frame(0)


def test_pixel_aspect_and_orientation_are_applied(tmp_path: Path) -> None:
    write_image(tmp_path / "a.dpx", stamped(5).astype(np.uint16) * 257, "uint16", attributes={"PixelAspectRatio": 2.0})
    with open_source(tmp_path / "a.dpx") as source:
        assert source.clip.size == (96, 256)
        assert read_stamp(source.frame(0).rgb) == 5
    # Orientation 6: the picture was turned to the left and is to be turned to the right for display.
    write_image(tmp_path / "b.tif", np.rot90(stamped(5)).copy(), "uint8", attributes={"Orientation": 6})
    with open_source(tmp_path / "b.tif") as source:
        assert source.clip.rotation == 90
        assert np.array_equal(source.frame(0).rgb, np.float32(stamped(5)) / np.float32(255))


@pytest.mark.skipif(not DATA.is_dir(), reason="no shared data beside the repository")
@pytest.mark.parametrize(("name", "count"), [("old/silent_chase", 56), ("old/within_our_gates", 48)])
def test_real_sequences(name: str, count: int) -> None:
    if not (DATA / name).is_dir():
        pytest.skip(f"{name} is not in the shared data")
    with open_source(DATA / name) as source:
        assert (source.clip.count, source.clip.grey) == (count, True)
        first = cv2.imread(source.clip.files[0], cv2.IMREAD_UNCHANGED)
        assert np.array_equal(source.frame(0).rgb[..., 1], np.float32(first) / np.float32(255))
