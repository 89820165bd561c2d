"""Download one file: kept as it grows, gone on with after a break, never taken for whole before it is.

Beside the file, in ``NAME.json``, it is noted of which address it is and which version of it the server said it was
(its entity tag, or when it was last changed). Only of that same version are the missing bytes asked for; of another,
or where the server does not give parts, the file is begun anew.

Source: RFC 9110, sections 13 and 14 (conditional and range requests).
"""

from __future__ import annotations

import http.client
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from core.contract.progress import Progress, Report, silent
from core.errors import InputError
from core.lock import held

CHUNK = 1 << 18  # [bytes]
PATIENCE = 30.0  # with a server that has fallen silent  [s]
MB = 1_000_000
_BROKEN = (http.client.HTTPException, ConnectionError, TimeoutError)


@dataclass(frozen=True)
class _Version:
    """Of what a part is.

    Attributes:
        url: its address.
        tag, changed: the server's words for the version; empty where it says none.
        total: its length  [bytes], where the server says it.
    """

    url: str
    tag: str = ""
    changed: str = ""
    total: int | None = None

    @property
    def condition(self) -> str:
        """What ``If-Range`` takes: a strong tag, else the date; empty where there is neither."""
        return self.tag if self.tag and not self.tag.startswith("W/") else self.changed


def note_of(part: Path) -> Path:
    """Where it is noted of what a part is."""
    return part.with_name(part.name + ".json")


def download(url: str, part: Path, *, report: Report = silent) -> None:
    """Fetch one file, or what is missing of it.

    Args:
        url: its address, of http or https
        part: where it grows; it and `note_of` it stay, whole or not
        report: told how many megabytes have come

    Raises:
        InputError: the address is none, cannot be reached or has no such file, or the connection broke; what has
            come is kept, and the same call goes on from there. Or somebody else is fetching it just now.
    """
    host = urlsplit(url).hostname
    if urlsplit(url).scheme not in ("http", "https") or not host:
        raise InputError(f"'{url}': is no address of http or https")
    try:
        with _opened(part) as file:
            had = -1
            while not _continued(url, file, note_of(part), report):
                size = file.seek(0, os.SEEK_END)
                if size <= had:  # while a try brings something there is reason for another
                    raise InputError(
                        f"{part.name}: {host} broke off at {size / MB:.1f} MB; the same command goes on there"
                    )
                had = size
    except HTTPError as error:
        error.close()
        raise InputError(f"{url}: {host} answers {error.code} {error.reason}") from None
    except (URLError, *_BROKEN) as error:
        raise InputError(
            f"{url}: {host} cannot be reached ({getattr(error, 'reason', error)}); check the network"
        ) from None
    except OSError as error:
        raise InputError(f"{part}: cannot be written ({error.strerror}); make room, the same command goes on") from None
    finally:
        if part.is_file() and not part.stat().st_size:
            part.unlink()


@contextmanager
def _opened(part: Path) -> Iterator[IO[bytes]]:
    """The part, made where it is not there, and nobody else's meanwhile."""
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("ab+") as file:
        if not held(file.fileno()):
            raise InputError(f"{part.name}: is being fetched by another program; wait for it")
        yield file


def _continued(url: str, file: IO[bytes], note: Path, report: Report) -> bool:
    """Ask for what is missing and append it; whether the file is whole now."""
    have, version = file.seek(0, os.SEEK_END), _noted(note, url)
    headers = {"User-Agent": "pochoir", "Accept-Encoding": "identity"}
    if have and version.condition:
        headers |= {"Range": f"bytes={have}-", "If-Range": version.condition}
    try:
        answer = urlopen(Request(url, headers=headers), timeout=PATIENCE)
    except HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or "Range" not in headers:
            raise
        error.close()  # nothing lies beyond what is here: it is whole, or of another version
        if version.total == have:
            return True
        file.truncate(0)
        return False
    with answer:
        start, total = _extent(answer)
        if start != have:
            file.truncate(0)
            if start:  # not what was asked for
                note.unlink(missing_ok=True)
                return False
        tag, changed = answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", "")
        note.write_text(json.dumps(asdict(_Version(url, tag, changed, total))), encoding="utf-8")
        return _appended(answer, file, total, report)


def _appended(answer: Any, file: IO[bytes], total: int | None, report: Report) -> bool:
    first, began = file.seek(0, os.SEEK_END), time.monotonic()
    here = first
    try:
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            here += len(chunk)
            pace = (here - first) / max(time.monotonic() - began, 1e-3)
            left = (total - here) / pace if total else None
            report(Progress(f"fetch {Path(file.name).stem}, MB", -1, here // MB, (total or here) // MB, left))
    except _BROKEN:
        return False
    finally:
        file.flush()
    return total is None or here == total


def _extent(answer: Any) -> tuple[int, int | None]:
    """Where an answer begins in the file, and how long that is."""
    length = answer.headers.get("Content-Length", "")
    if answer.status != http.client.PARTIAL_CONTENT:
        return 0, int(length) if length.isdecimal() else None
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", "").strip())
    if match is None:
        return -1, None
    return int(match[1]), int(match[2]) if match[2] != "*" else None


def _noted(note: Path, url: str) -> _Version:
    """Of what the part is; of nothing that can be gone on with where that is not noted, or of another address."""
    try:
        version = _Version(**json.loads(note.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return _Version(url)
    return version if version.url == url else _Version(url)
