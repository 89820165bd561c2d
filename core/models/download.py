"""Download one file: kept as it grows, gone on with after a break, never taken for whole before it is.

Beside the file, in ``NAME.json``, it is noted of which address it is and which version of it the server said it was
(its entity tag, when it was last changed, how long it is). Only of that same version are the missing bytes asked for,
and what comes is appended only where the server says it is of that. What else it sends is written beside what has
come, and takes its place when it is whole and right, or breaks off where there is more to be had of it.

Source: RFC 9110, sections 13 and 14 (conditional and range requests).
"""

from __future__ import annotations

import errno
import http.client
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import SplitResult, urlsplit
from urllib.request import Request, urlopen

from core.contract.progress import Progress, Report, silent
from core.errors import InputError
from core.lock import held

CHUNK = 1 << 18  # [bytes]
PATIENCE = 30.0  # with a server that has fallen silent  [s]
MB = 1_000_000
_BROKEN = (http.client.HTTPException, OSError)  # what a network's faults are
_FULL = (errno.ENOSPC, errno.EDQUOT)


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

    def agrees(self, other: _Version) -> bool:
        """Whether nothing that is said of both differs; with a part a server need not say everything again."""
        pairs = ((self.tag, other.tag), (self.changed, other.changed), (self.total, other.total))
        return all(mine == theirs for mine, theirs in pairs if mine and theirs)


def note_of(part: Path) -> Path:
    """Where it is noted of what a part is."""
    return part.with_name(part.name + ".json")


def forget(part: Path) -> None:
    """Remove a part, and what lies beside it."""
    for path in (part, note_of(part), _beside(part)):
        path.unlink(missing_ok=True)


def address(url: str) -> SplitResult:
    """Take an address apart.

    Raises:
        InputError: it is none of http or https.
    """
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets without end, or a port that is no number
        sound = False
    if not sound:
        raise InputError(f"'{url}': is no address of http or https")
    return parts


def download(
    url: str, part: Path, *, check: Callable[[Path], object] = lambda path: None, report: Report = silent
) -> None:
    """Fetch one file, or what is missing of it.

    Args:
        url: its address, of http or https
        part: where it grows; it and `note_of` it stay, whole or not
        check: raises where a whole file is not the one that is wanted; asked before such a one takes the place of what
            had come, and of no other
        report: told how many megabytes have come

    Raises:
        InputError: the address is none, cannot be reached or has no such file, or the connection broke; or there is
            no room, or no permission. What has come is kept, and the same call goes on from there. Or somebody else is
            fetching it just now.
    """
    host = address(url).hostname
    try:
        with _opened(part) as note:
            had = -1
            while not _continued(url, part, note, check, report):
                size = _size(part)
                if size <= had:  # while a try brings something there is reason for another
                    raise InputError(
                        f"{part.name}: {host} broke off at {size / MB:.1f} MB; the same command goes on there"
                    )
                had = size
            version = _noted(note, url)
            if version.total is None:  # it is known now; whoever comes again need not ask
                _write(note, replace(version, total=_size(part)))
    except OSError as error:  # a disk's: a network's are told where they come up
        raise InputError(_unwritten(error, part)) from None


@contextmanager
def _opened(part: Path) -> Iterator[IO[str]]:
    """The note of a part, made where it is not there, and nobody else's meanwhile; none stays of nothing."""
    part.parent.mkdir(parents=True, exist_ok=True)
    note = note_of(part).open("a+", encoding="utf-8")
    if not held(note.fileno()):
        note.close()
        raise InputError(f"{part.name}: is being fetched by another program; wait for it")
    try:
        with note:
            yield note
    finally:
        if not _size(part):
            forget(part)


def _continued(url: str, part: Path, note: IO[str], check: Callable[[Path], object], report: Report) -> bool:
    """Ask for what is missing and write it down; whether the file is whole now."""
    have, noted = _size(part), _noted(note, url)
    if have and have == noted.total:
        return True
    ask = {"Range": f"bytes={have}-", "If-Range": noted.condition} if have and noted.condition else {}
    answer = _answer(url, ask)
    if answer.status in (HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE) and ask:
        with answer:
            start, version = _said(url, answer)
            if start == have and noted.agrees(version):
                with part.open("ab") as file:
                    return _received(answer, file, replace(noted, total=version.total or noted.total), report)
        answer = _answer(url, {})  # that was no part of what is here
    with answer:
        _check_is_file(url, answer)
        _, version = _said(url, answer)
        if have:
            return _replaced(answer, version, part, note, check, report)
        _write(note, version)
        with part.open("wb") as file:
            return _received(answer, file, version, report)


def _replaced(
    answer: Any, version: _Version, part: Path, note: IO[str], check: Callable[[Path], object], report: Report
) -> bool:
    """Begin anew beside what has come, and put that in its place which is worth more; whether the file is whole."""
    beside, have, noted = _beside(part), _size(part), _noted(note, version.url)
    try:
        with beside.open("wb") as file:
            whole = _received(answer, file, version, report)
        if whole:
            check(beside)
        came = _size(beside)
        # Where this server has no more of what is here, a beginning of what it has is worth more; but not one of a
        # short answer, which may be no file at all.
        useless = not (noted.condition and noted.agrees(version)) and (version.total or 0) > have
        if whole or came > have or (came and useless):
            note.truncate(0)  # should the program end here, the note of the one must not be found with the other
            beside.replace(part)
            _write(note, version)
    finally:
        beside.unlink(missing_ok=True)
    return whole


def _answer(url: str, ask: Mapping[str, str]) -> Any:
    """What the server answers; that there is no such part is an answer too."""
    host, headers = urlsplit(url).hostname, {"User-Agent": "pochoir", "Accept-Encoding": "identity", **ask}
    try:
        return urlopen(Request(url, headers=headers), timeout=PATIENCE)
    except HTTPError as error:
        if ask and error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return error
        error.close()
        raise InputError(f"{url}: {host} answers {error.code} {error.reason}") from None
    except (ValueError, OverflowError, http.client.InvalidURL):
        raise InputError(f"'{url}': is no address, or leads to none; check how it is written") from None
    except _BROKEN as error:
        raise InputError(
            f"{url}: {host} cannot be reached ({getattr(error, 'reason', error)}); check the network"
        ) from None


def _check_is_file(url: str, answer: Any) -> None:
    """Refuse what is not the file before anything is written.

    Whoever has to sign in to a network is sent a page in place of every file.
    """
    if answer.status == HTTPStatus.PARTIAL_CONTENT:
        raise InputError(f"{url}: sends a part of the file where all of it is asked for; take another source")
    if answer.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise InputError(
            f"{url}: sends a web page, not the file; sign in where the network asks for it, or check the address"
        )


def _received(answer: Any, file: IO[bytes], version: _Version, report: Report) -> bool:
    """Write an answer down; whether the file is whole now."""
    first, began, total = file.tell(), time.monotonic(), version.total
    here = first
    while True:
        try:
            chunk = answer.read(CHUNK)
        except _BROKEN:
            return False
        if not chunk and not here and not total:
            raise InputError(f"{version.url}: sends an empty file; check the address, or take another source")
        if not chunk:
            return total is None or here == total
        file.write(chunk)
        here += len(chunk)
        pace = (here - first) / max(time.monotonic() - began, 1e-3)
        left = (total - here) / pace if total else None
        report(Progress(f"fetch {Path(file.name).stem}, MB", -1, here // MB, (total or here) // MB, left))


def _said(url: str, answer: Any) -> tuple[int, _Version]:
    """Where an answer begins in the file, -1 where it does not say, and of which version it is."""
    length, words = answer.headers.get("Content-Length", ""), answer.headers.get("Content-Range", "").strip()
    if answer.status != HTTPStatus.PARTIAL_CONTENT:
        start, total = 0, length if length.isdecimal() else ""
    elif match := re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", words):
        start, total = int(match[1]), match[2].strip("*")
    else:
        start, total = -1, ""
    tag, changed = answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", "")
    return start, _Version(url, tag, changed, int(total) if total else None)


def _beside(part: Path) -> Path:
    return part.with_suffix(".anew")


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _noted(note: IO[str], url: str) -> _Version:
    """Of what the part is; of nothing that can be gone on with where that is not noted, or of another address."""
    note.seek(0)
    try:
        version = _Version(**json.loads(note.read()))
    except (ValueError, TypeError):
        return _Version(url)
    return version if version.url == url else _Version(url)


def _write(note: IO[str], version: _Version) -> None:
    note.truncate(0)
    note.write(json.dumps(asdict(version)))
    note.flush()


def _unwritten(error: OSError, part: Path) -> str:
    """Why a disk did not take what came, and what to do."""
    if error.errno in _FULL:
        return f"{part}: no room ({error.strerror}); make room, the same command goes on"
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        return f"{part.parent}: is a file or lies in one, and is no folder; name another"
    return f"{part}: cannot be written ({error.strerror}); check the folder, and who may write there"
