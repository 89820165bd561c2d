"""The doctor's findings are true, and a broken machine still gets a diagnosis."""

from __future__ import annotations

import io
import json
from collections import namedtuple
from fractions import Fraction
from importlib import import_module

import av
import numpy as np
import pytest

from core import doctor
from core.doctor import IMAGES, WRITE, examine, find_browser


@pytest.fixture
def findings(tmp_path, monkeypatch):
    """By subject, on an empty model folder and an empty cache."""

    def look(**kwargs):
        monkeypatch.setenv("POCHOIR_MODELS", str(tmp_path / "models"))
        monkeypatch.setenv("POCHOIR_CACHE", str(tmp_path / "cache"))
        found = examine(**kwargs)
        assert len({f.subject for f in found}) == len(found)
        return {f.subject: f for f in found}

    return look


def test_every_finding_is_whole_and_json(findings):
    found = findings()
    assert json.loads(json.dumps([f.as_json() for f in found.values()]))
    for f in found.values():
        assert f.state in ("ok", "optional", "missing")
        assert f.found
        assert bool(f.advice) == (f.state != "ok"), f
        assert "\n" not in f.found + f.advice
    for subject in ("Python", "packages", "torch", "PyAV", "H.264", "FFV1 16 bit", "ProRes", "still pictures"):
        assert found[subject].state == "ok"


@pytest.mark.parametrize("codec", [c for c in WRITE if c.pixels], ids=lambda c: c.title)
def test_a_codec_that_is_said_to_be_there_writes_film(codec):
    if not doctor._can(codec.name, codec.pixels, "w"):
        pytest.skip(f"this FFmpeg has no {codec.name}")
    container = "mov" if codec.name == "dnxhd" else "matroska"
    with av.open(io.BytesIO(), "w", format=container) as out:
        stream = out.add_stream(codec.name, rate=25)
        # DNxHR's profiles are for pictures of some size; the others do not mind it.
        stream.width, stream.height, stream.pix_fmt = 256, 144, codec.pixels
        stream.time_base = Fraction(1, 25)
        if codec.name == "dnxhd":
            stream.options = {"profile": "dnxhr_hqx"}
        frame = av.VideoFrame.from_ndarray(np.zeros((144, 256, 3), np.uint8), "rgb24").reformat(format=codec.pixels)
        frame.pts = 0
        packets = [*stream.encode(frame), *stream.encode(None)]
    assert sum(p.size for p in packets) > 0


def test_what_ffmpeg_has_not_is_not_claimed():
    assert not doctor._can("no_such_codec", None, "w")
    assert not doctor._can("libx264", "gbrpf32le", "w")


def test_a_still_format_that_is_said_to_be_there_can_be_written(findings):
    oiio = import_module("OpenImageIO")
    lacking = findings()["still pictures"].facts["lacking"]
    for name, _ in IMAGES:
        ending = {"openexr": "exr", "jpeg": "jpg"}.get(name, name)
        assert (name in lacking) == (oiio.ImageOutput.create(f"x.{ending}") is None)


@pytest.mark.parametrize(
    ("library", "subject"), [("av", "film"), ("torch", "torch"), ("OpenImageIO", "still pictures")]
)
def test_a_broken_library_is_one_finding_and_the_rest_goes_on(findings, monkeypatch, library, subject):
    def broken(name):
        if name == library:
            raise ImportError("libsomething.so.1: cannot open shared object file\nmore")
        return import_module(name)

    monkeypatch.setattr(doctor, "import_module", broken)
    found = findings()
    assert found[subject].state == "missing"
    assert "libsomething" in found[subject].found
    assert found[subject].advice
    assert found["Python"].state == "ok"
    assert "cache" in found


def test_a_package_that_is_not_installed_is_named(findings, monkeypatch):
    monkeypatch.setattr(doctor, "PACKAGES", ("numpy", "no-such-package"))
    assert findings()["packages"].found == "not installed: no-such-package"
    assert findings()["packages"].state == "missing"


def test_models_that_are_here_and_those_that_are_not(findings, tmp_path):
    folder = tmp_path / "models"
    assert findings()["model folder"].state == "optional"
    folder.mkdir()
    (folder / "ColorizeVideo_gen.pth").write_bytes(b"x")
    found = findings()
    assert found["model folder"].state == "ok"
    assert found["model deoldify"].state == "ok"
    assert found["model deoldify-stable"].state == "optional"
    assert "ColorizeStable_gen.pth" in found["model deoldify-stable"].advice


def test_the_cache_is_weighed(findings, tmp_path):
    cache = tmp_path / "project" / "cache"
    (cache / "ab").mkdir(parents=True)
    (cache / "ab" / "one").write_bytes(bytes(1500))
    (cache / "two").write_bytes(bytes(500))
    assert findings()["cache"].facts["bytes"] == 0
    found = findings(cache=cache)["cache"]
    assert found.facts["bytes"] == 2000
    assert found.found.startswith("2 kB")


def test_a_full_disk_is_told(findings, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage(100 << 30, 99 << 30, 1 << 30))
    found = findings()["disk"]
    assert found.state == "optional"
    assert found.found.startswith("1.07 GB free")


def test_the_browser_that_is_named_is_the_one(tmp_path, monkeypatch):
    browser = tmp_path / "chromium"
    monkeypatch.setenv("POCHOIR_CHROMIUM", str(browser))
    assert find_browser() is None
    browser.write_bytes(b"")
    assert find_browser() == browser
    monkeypatch.delenv("POCHOIR_CHROMIUM")
    monkeypatch.setenv("PATH", str(tmp_path))
    browser.chmod(0o755)
    assert find_browser() == browser
