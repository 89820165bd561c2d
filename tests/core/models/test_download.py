"""Downloads: gone on with after a break, begun anew where they must be, never taken for whole before they are.

The server is on this machine, and answers what a test tells it to.
"""

from __future__ import annotations

import errno
import hashlib
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core import lock
from core.contract.plugins import Plugins
from core.contract.progress import Progress, silent
from core.contract.registry import Registry
from core.errors import InputError, ModelMissingError, WeightsError
from core.models import admit as door
from core.models import download as net
from core.models import fetch as fetching
from core.models.card import ModelCard, ModelFile
from core.models.checkpoint import Check, check_for
from core.models.download import MB, download, note_of
from core.models.fetch import fetch
from core.models.pins import NAME, pinned
from studio.commands import models as commands

CONTENT = np.random.default_rng(4).bytes(3 * MB + 17)


@dataclass(frozen=True)
class Answer:
    """Status, headers and body, of which it sends as much as there is."""

    status: int
    headers: dict[str, str]
    body: bytes = b""

    def send(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(self.status)
        for name, value in self.headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(self.body)


PAGE = Answer(200, {"Content-Type": "text/html; charset=utf-8", "Content-Length": "20"}, b"<!DOCTYPE html>login")


class Server:
    """What it serves, how, and what it was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"/net.pth": CONTENT}
        self.tag: str | None = '"one"'
        self.changed: str | None = None
        self.ranges = True  # whether parts are given
        self.breaks: list[int] = []  # after how many bytes of its body each answer breaks off
        self.lengths = True  # whether it says how long an answer is
        self.asked: list[dict[str, str]] = []
        self.odd: list[Answer] = []  # what the next answers are, whatever is asked for
        self.url = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append({k.lower(): v for k, v in request.headers.items()})
        if self.odd:
            self.odd.pop(0).send(request)
            return
        content = self.files.get(request.path)
        if content is None:
            request.send_error(404)
            return
        start, wanted = 0, request.headers.get("Range")
        version = self.tag or self.changed
        if wanted and self.ranges and request.headers.get("If-Range") in (None, version):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                request.send_response(416)
                request.send_header("Content-Range", f"bytes */{len(content)}")
                request.end_headers()
                return
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            request.send_response(200)
        if self.lengths:
            request.send_header("Content-Length", str(len(content) - start))
        for name, value in (("ETag", self.tag), ("Last-Modified", self.changed)):
            if value:
                request.send_header(name, value)
        request.end_headers()
        most = self.breaks.pop(0) if self.breaks else len(content)
        request.wfile.write(content[start : start + most])

    def parts(self) -> list[str | None]:
        """The ranges it was asked for."""
        return [asked.get("range") for asked in self.asked]


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.answer(self)

        def log_message(self, *args: Any) -> None:
            """Nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    told.url = f"http://127.0.0.1:{http.server_port}"
    yield told
    http.shutdown()
    thread.join()
    http.server_close()


def left(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "models" / "net.pth.part"


def test_a_file_comes_whole_and_says_how_far_it_is(server, part):
    told: list[Progress] = []
    download(f"{server.url}/net.pth", part, report=told.append)
    assert part.read_bytes() == CONTENT
    assert (told[-1].done, told[-1].total, told[-1].stage) == (3, 3, "fetch net.pth, MB")
    assert [p.done for p in told] == sorted(p.done for p in told)


def test_a_broken_connection_is_taken_up_where_it_broke(server, part):
    server.breaks = [1_000_000, 500_000]
    download(f"{server.url}/net.pth", part)
    assert part.read_bytes() == CONTENT
    assert server.parts() == [None, "bytes=1000000-", "bytes=1500000-"]
    assert server.asked[1]["if-range"] == '"one"'


def test_what_had_come_before_a_command_ended_is_not_asked_for_again(server, part):
    server.breaks = [1_000_000, 0]
    with pytest.raises(InputError, match=r"broke off at 1\.0 MB; the same command goes on there"):
        download(f"{server.url}/net.pth", part)
    assert part.read_bytes() == CONTENT[:1_000_000]
    download(f"{server.url}/net.pth", part)
    assert part.read_bytes() == CONTENT
    assert server.parts()[-1] == "bytes=1000000-"
    download(f"{server.url}/net.pth", part)  # whole already: nobody is asked
    assert part.read_bytes() == CONTENT
    assert len(server.asked) == 3


def test_a_server_without_parts_begins_anew(server, part):
    server.breaks, server.ranges = [1_000_000], False
    download(f"{server.url}/net.pth", part)
    assert part.read_bytes() == CONTENT
    assert server.parts() == [None, "bytes=1000000-"]


@pytest.mark.parametrize(("tag", "changed"), [('"two"', None), (None, "Tue, 01 Feb 2022 00:00:00 GMT")])
def test_a_file_that_has_changed_meanwhile_begins_anew(server, part, tag, changed):
    server.breaks = [1_000_000, 0]
    with pytest.raises(InputError, match="broke off"):
        download(f"{server.url}/net.pth", part)
    server.files["/net.pth"], server.tag, server.changed = CONTENT[::-1], tag, changed
    download(f"{server.url}/net.pth", part)
    assert part.read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize(
    ("tag", "changed", "condition"),
    [
        (None, "Tue, 01 Feb 2022 00:00:00 GMT", "Tue, 01 Feb 2022 00:00:00 GMT"),
        ('W/"weak"', None, None),  # may be that of other bytes
        (None, None, None),
    ],
)
def test_without_a_strong_tag_the_date_is_held_on_to_and_without_either_nothing(server, part, tag, changed, condition):
    server.tag, server.changed, server.breaks = tag, changed, [1_000_000]
    if condition is None:
        # What is here may be of any version: each try begins anew, and none is further than the one before.
        server.breaks = [1_000_000, 1_000_000]
        with pytest.raises(InputError, match="broke off"):
            download(f"{server.url}/net.pth", part)
        assert server.parts() == [None, None]
        return
    download(f"{server.url}/net.pth", part)
    assert part.read_bytes() == CONTENT
    assert server.asked[1]["if-range"] == condition


def test_a_part_of_another_address_is_not_gone_on_with(server, part):
    server.files["/other.pth"] = CONTENT[::-1]
    server.breaks = [1_000_000, 0, 500_000]
    with pytest.raises(InputError, match="broke off"):
        download(f"{server.url}/net.pth", part)
    download(f"{server.url}/other.pth", part)
    assert part.read_bytes() == CONTENT[::-1]
    assert server.parts() == [None, "bytes=1000000-", None, "bytes=500000-"]


def test_a_note_that_is_none_begins_anew(server, part):
    part.parent.mkdir()
    part.write_bytes(b"something")
    note_of(part).write_text("no note")
    download(f"{server.url}/net.pth", part)
    assert part.read_bytes() == CONTENT


def test_a_server_that_does_not_say_how_long_is_read_to_its_end(server, part):
    server.lengths = False
    download(f"{server.url}/net.pth", part)
    assert part.read_bytes() == CONTENT
    download(f"{server.url}/net.pth", part)
    assert len(server.asked) == 1


@pytest.fixture
def begun(server, part) -> bytes:
    """What has come of a file before the connection broke."""
    server.breaks = [1_000_000, 0]
    with pytest.raises(InputError, match="broke off"):
        download(f"{server.url}/net.pth", part)
    server.asked.clear()
    return CONTENT[:1_000_000]


OTHER_PARTS = {
    "of another version": {"ETag": '"two"', "Content-Range": "bytes 1000000-3000016/3000017"},
    "of another length": {"ETag": '"one"', "Content-Range": "bytes 1000000-4000016/4000017"},
    "from elsewhere": {"ETag": '"one"', "Content-Range": "bytes 1000007-3000016/3000017"},
    "from nowhere": {"ETag": '"one"'},
    "in words": {"ETag": '"one"', "Content-Range": "the rest"},
}


@pytest.mark.parametrize("headers", OTHER_PARTS.values(), ids=OTHER_PARTS)
def test_a_part_of_anything_else_is_not_appended(server, part, begun, headers):
    server.odd = [Answer(206, headers, bytes(2_000_017))]
    server.files["/net.pth"], server.tag = CONTENT[::-1], '"two"'
    download(f"{server.url}/net.pth", part)
    assert part.read_bytes() == CONTENT[::-1]
    assert server.parts() == ["bytes=1000000-", None]


def test_a_part_of_another_date_is_not_appended(server, part):
    server.tag, server.changed, server.breaks = None, "Tue, 01 Feb 2022 00:00:00 GMT", [1_000_000, 0]
    with pytest.raises(InputError, match="broke off"):
        download(f"{server.url}/net.pth", part)
    later = {"Last-Modified": "Wed, 02 Feb 2022 00:00:00 GMT", "Content-Range": "bytes 1000000-3000016/3000017"}
    server.odd = [Answer(206, later, bytes(2_000_017))]
    download(f"{server.url}/net.pth", part)
    assert part.read_bytes() == CONTENT
    assert server.parts()[-1] is None


def test_a_file_that_is_shorter_now_begins_anew(server, part, begun):
    server.files["/net.pth"] = CONTENT[:500_000]
    download(f"{server.url}/net.pth", part)
    assert part.read_bytes() == CONTENT[:500_000]
    assert server.parts() == ["bytes=1000000-", None]


def test_a_part_need_not_say_again_what_version_it_is_of(server, part, begun):
    server.odd = [Answer(206, {"Content-Range": "bytes 1000000-3000016/*"}, CONTENT[1_000_000:])]
    download(f"{server.url}/net.pth", part)
    assert part.read_bytes() == CONTENT
    assert len(server.asked) == 1


@pytest.mark.parametrize("headers", OTHER_PARTS.values(), ids=OTHER_PARTS)
def test_what_had_come_outlives_a_wrong_part(server, part, begun, headers):
    server.odd = [Answer(206, headers, bytes(2_000_017))]
    server.breaks = [500_000, 0]  # all of it is asked for, and less of it comes than is here
    with pytest.raises(InputError, match=r"broke off at 1\.0 MB"):
        download(f"{server.url}/net.pth", part)
    assert part.read_bytes() == begun
    download(f"{server.url}/net.pth", part)
    assert part.read_bytes() == CONTENT
    assert server.parts() == ["bytes=1000000-", None, "bytes=1000000-", "bytes=1000000-"]


BAD_ANSWERS = {
    "a page": (PAGE, "sends a web page, not the file; sign in"),
    "nothing": (Answer(200, {"Content-Length": "0"}), "sends an empty file"),
    "no content": (Answer(204, {}), "sends an empty file"),
    "an empty answer": (Answer(200, {}), "sends an empty file"),
    "a fault": (Answer(503, {}), "answers 503 Service Unavailable"),
    "a redirection to no address": (Answer(302, {"Location": "http://[::1"}), "is no address, or leads to none"),
    "another file": (Answer(200, {"Content-Length": "4"}, b"busy"), "is not it"),
}


@pytest.mark.parametrize(("answer", "said"), BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_what_had_come_outlives_a_bad_answer(server, part, begun, answer, said):
    def check(path: Path) -> None:
        if path.read_bytes() != CONTENT:
            raise WeightsError("is not it")

    server.odd = [answer]
    with pytest.raises(InputError, match=said):
        download(f"{server.url}/net.pth", part, check=check)
    assert part.read_bytes() == begun
    download(f"{server.url}/net.pth", part, check=check)
    assert part.read_bytes() == CONTENT
    assert server.parts() == ["bytes=1000000-", "bytes=1000000-"]
    assert left(part.parent) == ["net.pth.part", "net.pth.part.json"]


@pytest.mark.parametrize(("answer", "said"), list(BAD_ANSWERS.values())[:-1], ids=list(BAD_ANSWERS)[:-1])
def test_a_bad_answer_leaves_nothing(server, part, answer, said):
    server.odd = [answer]
    with pytest.raises(InputError, match=said) as caught:
        download(f"{server.url}/net.pth", part)
    assert "\n" not in str(caught.value)
    assert left(part.parent) == []


def test_a_part_that_nobody_asked_for_is_refused(server, part):
    server.odd = [Answer(206, {"Content-Range": "bytes 7-9/10"}, b"end")]
    with pytest.raises(InputError, match="sends a part of the file where all of it is asked for"):
        download(f"{server.url}/net.pth", part)
    assert left(part.parent) == []


def test_a_file_that_has_changed_is_gone_on_with_from_where_it_broke(server, part, begun):
    """Of the version before there is no more to be had, so that less of the new one is worth more."""
    server.files["/net.pth"], server.tag, server.breaks = CONTENT[::-1], '"two"', [0, 0, 500_000, 0]
    with pytest.raises(InputError, match=r"broke off at 1\.0 MB"):
        download(f"{server.url}/net.pth", part)
    assert part.read_bytes() == begun
    with pytest.raises(InputError, match=r"broke off at 0\.5 MB"):
        download(f"{server.url}/net.pth", part)
    download(f"{server.url}/net.pth", part)
    assert part.read_bytes() == CONTENT[::-1]
    assert server.parts() == ["bytes=1000000-"] * 3 + ["bytes=500000-"] * 2


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/net.pth", "file:///etc/passwd", "net.pth", "http:///net.pth", "http://[::1",
        "http://a.example:http/net.pth", "http://a.example:99999999999999999999/net.pth", "http://.invalid/net.pth",
        f"http://{'a' * 64}.example/net.pth", "http://127.0.0.1:1/ä b.pth", "http://127.0.0.1:1/ä.pth",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(part, url):
    with pytest.raises(InputError, match="is no address"):
        download(url, part)
    assert not part.parent.exists() or left(part.parent) == []


class Gone:
    """An answer whose network goes away in the middle of it."""

    status = 200
    headers = {"Content-Length": "100"}

    def __enter__(self) -> Gone:
        return self

    def __exit__(self, *args: object) -> None:
        """Nothing."""

    def read(self, size: int) -> bytes:
        raise OSError(errno.EHOSTUNREACH, "No route to host")


def test_a_network_s_fault_is_not_called_a_disk_s(part, monkeypatch):
    monkeypatch.setattr(net, "urlopen", lambda *args, **more: Gone())
    with pytest.raises(InputError, match=r"a\.example broke off at 0\.0 MB"):
        download("http://a.example/net.pth", part)


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="this system has no disk that is always full")
def test_a_full_disk_is_told_to_be_one(server, part):
    part.parent.mkdir()
    part.symlink_to("/dev/full")
    with pytest.raises(InputError, match=r"net\.pth\.part: no room .*; make room, the same command goes on"):
        download(f"{server.url}/net.pth", part)


def test_a_folder_that_is_a_file_is_told_to_be_one(tmp_path):
    (tmp_path / "models").touch()
    for part in (tmp_path / "models" / "net.pth.part", tmp_path / "models" / "more" / "net.pth.part"):
        with pytest.raises(InputError, match=r"is a file or lies in one, and is no folder") as caught:
            download("http://a.example/net.pth", part)
        assert "room" not in str(caught.value)


def test_what_may_not_be_written_is_told_to_be_so(part, monkeypatch):
    def refused(*args: Any, **more: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(net, "held", refused)
    with pytest.raises(InputError, match=r"cannot be written \(Permission denied\); check the folder, and who may"):
        download("http://a.example/net.pth", part)


def test_two_programs_do_not_write_one_part(server, part):
    if lock.fcntl is None:
        pytest.skip("this system knows no such lock")
    with net._opened(part):
        with pytest.raises(InputError, match="fetched by another program"):
            download(f"{server.url}/net.pth", part)
        assert note_of(part).exists()


# -- into the model folder -----------------------------------------------------------------------------


def small() -> torch.nn.Module:
    return torch.nn.Conv2d(3, 4, 3)


def read_here(source: Path, target: Path, digest: str) -> None:
    save_file(torch.load(source, weights_only=True), target)


@pytest.fixture
def model(server, tmp_path, monkeypatch) -> Callable[..., tuple[ModelCard, Registry[Check], Path]]:
    """A model whose file the server has; with its right hash unless another is given."""
    monkeypatch.setattr(door, "rewrite", read_here)
    torch.save(small().state_dict(), tmp_path / "made.pth")
    server.files["/net.pth"] = (tmp_path / "made.pth").read_bytes()
    checks: Registry[Check] = Registry("check")
    checks.add("small", check_for(small))

    def make(sha256: str | None = None, published: str = f"{server.url}/net.pth"):
        file = ModelFile("net.pth", published, sha256 or hashlib.sha256(server.files["/net.pth"]).hexdigest())
        return ModelCard("small", "Small", "upscale", "MIT", "", (file,), "nothing"), checks, tmp_path / "models"

    return make


def test_a_published_file_is_fetched_checked_and_pinned(server, model):
    card, checks, folder = model()
    taken = fetch(card, checks, folder)
    assert taken.as_published is True
    assert left(folder) == [NAME, "net.safetensors"]
    assert pinned(folder) == {"net.safetensors": taken.sha256}
    with pytest.raises(InputError, match="is there already"):
        fetch(card, checks, folder, source=f"{server.url}/net.pth")
    assert len(server.asked) == 1


def test_a_wrong_hash_is_refused_and_not_kept(server, model):
    card, checks, folder = model("00" * 32)
    for source in (None, f"{server.url}/net.pth"):
        with pytest.raises(WeightsError, match=r"sha256 is .*, that of net\.pth as published begins 0000000000000000"):
            fetch(card, checks, folder, source=source)
        assert left(folder) == []


def test_a_broken_fetch_keeps_its_part(server, model):
    card, checks, folder = model()
    server.breaks = [100, 0]
    with pytest.raises(InputError, match="broke off") as caught:
        fetch(card, checks, folder)
    assert "\n" not in str(caught.value)
    assert left(folder) == ["net.pth.part", "net.pth.part.json"]
    assert fetch(card, checks, folder).as_published is True
    assert left(folder) == [NAME, "net.safetensors"]


def test_what_could_not_be_taken_in_is_kept_and_not_asked_for_again(server, model, monkeypatch):
    card, checks, folder = model()

    def full(source: Path, target: Path, digest: str) -> None:
        raise InputError(f"{source}: needs 1 MB in {target.parent}, where there is no room; make room and try again")

    with monkeypatch.context() as patch:
        patch.setattr(door, "rewrite", full)
        for _ in range(2):
            with pytest.raises(InputError, match="no room"):
                fetch(card, checks, folder)
            assert (folder / "net.pth.part").read_bytes() == server.files["/net.pth"]
    assert fetch(card, checks, folder).as_published is True
    assert len(server.asked) == 1
    assert left(folder) == [NAME, "net.safetensors"]


def test_a_wrong_answer_does_not_cost_what_had_come(server, model):
    card, checks, folder = model()
    server.breaks = [100, 0]
    with pytest.raises(InputError, match="broke off"):
        fetch(card, checks, folder)
    for answer, said in ((PAGE, "a web page"), (Answer(200, {}, b"too many requests"), "not taken")):
        server.odd = [answer]
        with pytest.raises(InputError, match=said):
            fetch(card, checks, folder)
        assert (folder / "net.pth.part").read_bytes() == server.files["/net.pth"][:100]
    assert fetch(card, checks, folder).as_published is True
    assert server.parts()[-1] == "bytes=100-"


def test_a_mirror_and_a_file_that_is_here_will_do(server, model, tmp_path):
    card, checks, folder = model(published="https://a.example/net.pth")
    server.files["/mirror/copy"] = server.files.pop("/net.pth")
    assert fetch(card, checks, folder, source=f"{server.url}/mirror/copy").as_published is True
    (folder / "net.safetensors").unlink()
    assert fetch(card, checks, folder, source=str(tmp_path / "made.pth")).path == folder / "net.safetensors"
    (folder / "net.safetensors").unlink()
    torch.save({"weight": torch.zeros(1)}, tmp_path / "made.pth")
    with pytest.raises(WeightsError, match="not taken"):
        fetch(card, checks, folder, source=str(tmp_path / "made.pth"))
    for source in (str(tmp_path / "none.pth"), (tmp_path / "none.pth").as_uri()):
        with pytest.raises(InputError, match=rf"^{tmp_path}/none\.pth: no such file"):
            fetch(card, checks, folder, source=source)


def test_a_file_s_address_will_do(server, model, tmp_path):
    card, checks, folder = model()
    named = (tmp_path / "made.pth").rename(tmp_path / "made at home.pth")
    assert fetch(card, checks, folder, source=named.as_uri()).as_published is True
    (folder / "net.safetensors").unlink()
    assert fetch(card, checks, folder, source=f"FILE://localhost{named}").as_published is True
    assert server.asked == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("http://[::1", r"^'http://\[::1': is no address of http or https$"),
        ("ftp://a.example/net.pth", r"^'ftp://a\.example/net\.pth': is no address of http or https$"),
        ("http:net.pth", "is no address of http"),
        ("", "is a folder"),
        ("file://[::1", "is no address of a file on this machine"),
        ("file://a.example/net.pth", "is no address of a file on this machine"),
        ("file:///net%00.pth", "is no address of a file on this machine"),
        ("a" * 300, r"cannot be read \(File name too long\)"),
    ],
)
def test_what_is_no_source_is_refused(model, source, said):
    card, checks, folder = model()
    with pytest.raises(InputError, match=said):
        fetch(card, checks, folder, source=source)
    assert not folder.exists()


def test_a_file_that_may_not_be_read_is_told_to_be_so(model, tmp_path, monkeypatch):
    card, checks, folder = model()

    def refused(path: Path) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(fetching, "sha256_of", refused)  # root may read everything
    with pytest.raises(InputError, match=r"made\.pth: cannot be read \(Permission denied\)"):
        fetch(card, checks, folder, source=str(tmp_path / "made.pth"))


@pytest.mark.parametrize(
    ("published", "said"),
    [
        ("{}/gone/net.pth", "127.0.0.1 answers 404 Not Found"),
        ("http://127.0.0.1:9/net.pth", "127.0.0.1 cannot be reached"),
    ],
)
def test_without_a_file_or_a_network_one_line_says_what_to_do(server, model, published, said):
    card, checks, folder = model(published=published.format(server.url))
    with pytest.raises(InputError, match=said) as caught:
        fetch(card, checks, folder)
    assert "\n" not in str(caught.value)
    assert f"By hand: {card.files[0].published}, then models import net.pth" in str(caught.value)
    assert "?." not in str(caught.value)
    assert left(folder) == []


def test_what_is_published_by_a_page_is_left_to_a_person(server, model):
    card, checks, folder = model(published="https://a.example/models")
    with pytest.raises(
        ModelMissingError, match=r"get net\.pth at https://a\.example/models, then: models import net\.pth"
    ):
        fetch(card, checks, folder)
    assert server.asked == []


def test_where_a_second_source_is_taken_it_is_said_which(server, model, caplog):
    card, checks, folder = model()
    page = ModelFile("best.pth", "https://a.example/models")
    assert fetch(replace(card, files=(page, *card.files)), checks, folder).as_published is True
    assert caplog.messages == [
        "model 'small': best.pth, which is recommended, is published by a page only (https://a.example/models); "
        "taken instead is net.pth of 127.0.0.1"
    ]
    (folder / "net.safetensors").unlink()
    caplog.clear()
    fetch(card, checks, folder)
    assert caplog.messages == []


@pytest.mark.parametrize("kind", ["zip", "before torch 1.6", "safetensors"])
def test_what_is_here_is_opened_before_it_is_said_to_be(model, monkeypatch, kind):
    card, _, folder = model()
    folder.mkdir()
    monkeypatch.setenv("POCHOIR_MODELS", str(folder))
    plugins = Plugins()
    plugins.cards.add(card.id, card)
    path = folder / ("net.safetensors" if kind == "safetensors" else "net.pth")
    if kind == "safetensors":
        save_file(small().state_dict(), path)
    else:
        torch.save(small().state_dict(), path, _use_new_zipfile_serialization=kind == "zip")
    asked = Namespace(name="small", source=None)
    assert commands.fetch(asked, plugins, silent).data == {"id": "small", "path": str(path), "fetched": False}
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(
        WeightsError, match=r"^small: is here, but damaged: .*fetch it again; first move that one away$"
    ):
        commands.fetch(asked, plugins, silent)
    assert left(folder) == [path.name]
