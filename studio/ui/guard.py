"""The web guard: who may talk to the studio at all. One ASGI middleware around the whole app.

A browser tab of a stranger's page can reach a server on this machine, so every request is checked
before any route sees it: the name it was called by (`Host`, against DNS rebinding), where it comes
from (`Origin`, `Sec-Fetch-Site`), and, where an auth file is given, who it is. Gradio's own login
covers neither our routes nor all of its own, so it is not used.
"""

from __future__ import annotations

import ipaddress
import json
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from core.errors import InputError
from studio.ui.accounts import Accounts

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SAFE = {"GET", "HEAD", "OPTIONS"}
COOKIE = "pochoir"
SESSION_SECONDS = 12 * 3600
TRIES, PAUSE_SECONDS = 5, 60.0
# 'unsafe-inline' and 'unsafe-eval' are Gradio's own needs; everything else stays on this server.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' data: blob:; worker-src 'self' blob:; media-src 'self' blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = (
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
LOGIN_PAGE = """<!doctype html><meta charset="utf-8"><title>Pochoir</title>
<style>body{{background:#1b1b1b;color:#d6d6d6;font:14px/1.5 system-ui,sans-serif;display:grid;
place-items:center;height:100vh;margin:0}}form{{width:260px}}h1{{font-size:18px;font-weight:500}}
input,button{{width:100%;box-sizing:border-box;margin:0 0 10px;padding:8px 10px;border-radius:4px;
border:1px solid #3c3c3c;background:#262626;color:inherit;font:inherit}}
button{{background:#c98a3c;border-color:#c98a3c;color:#161616;cursor:pointer}}p{{color:#e0876f}}</style>
<form method="post"><h1>Pochoir</h1><p>{message}</p>
<input name="name" placeholder="Name" autocomplete="username" autofocus aria-label="Name">
<input name="password" type="password" placeholder="Password" autocomplete="current-password"
aria-label="Password"><button>Sign in</button></form>"""


def is_loopback(host: str) -> bool:
    """Whether binding to ``host`` is reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def allowed_hosts(host: str, port: int) -> frozenset[str] | None:
    """Names with port by which the server may be called; None where any name may (bound to all addresses)."""
    if is_loopback(host):
        names = {"127.0.0.1", "localhost", "[::1]"}
    elif host in ("0.0.0.0", "::", ""):
        return None
    else:
        names = {host, socket.gethostname()}
    return frozenset(f"{name}:{port}" for name in names)


def check_binding(host: str, accounts: Accounts | None) -> None:
    """Refuse to open the studio to the network without a login.

    Raises:
        InputError: ``host`` is not this machine alone and there is no auth file.
    """
    if not is_loopback(host) and accounts is None:
        raise InputError(
            f"--host {host} opens the studio to the network: give --auth FILE with lines 'name:password', "
            "or leave --host away and use an SSH tunnel"
        )


class Guard:
    """The middleware.

    Args:
        app: what is guarded.
        hosts: allowed `Host` headers; None allows any (only with accounts).
        accounts: who may sign in; None where the machine's own user is trusted.
        root_path: prefix under which a proxy offers the studio.
    """

    def __init__(
        self,
        app: App,
        *,
        hosts: Iterable[str] | None,
        accounts: Accounts | None = None,
        root_path: str = "",
    ) -> None:
        self.app = app
        self.hosts = None if hosts is None else frozenset(h.lower() for h in hosts)
        self.accounts = accounts
        self.root_path = root_path
        self._tokens: dict[str, tuple[str, float]] = {}
        self._failures: dict[str, tuple[int, float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no WebSocket is offered
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        send = _with_headers(send)
        fault = self._fault(scope, headers)
        if fault is not None:
            await _answer(send, fault[0], {"error": fault[1]})
            return
        if self.accounts is not None:
            user = self._user(headers)
            path = _local_path(scope, self.root_path)
            if path == "/login":
                await self._login(scope, headers, receive, send)
                return
            if path == "/logout" and scope["method"] == "POST":
                self._tokens.pop(_cookie(headers), None)
                await _answer(send, 200, {"ok": True})
                return
            if user is None:
                if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
                    await _redirect(send, f"{self.root_path}/login")
                else:
                    await _answer(send, 401, {"error": "sign in first"})
                return
            scope["pochoir.user"] = user
        await self.app(scope, receive, send)

    def _fault(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "").lower()
        if self.hosts is not None and host not in self.hosts:
            return 421, "this server does not answer to that name"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host:
            return 403, "requests from other sites are refused"
        site = headers.get("sec-fetch-site", "none")
        if site in ("same-origin", "none"):
            return None
        # A link on another page may lead here; nothing else of another page may.
        if scope["method"] in SAFE and headers.get("sec-fetch-mode") == "navigate":
            return None
        return 403, "requests from other sites are refused"

    def _user(self, headers: dict[str, str]) -> str | None:
        user, until = self._tokens.get(_cookie(headers), ("", 0.0))
        return user if user and until > time.monotonic() else None

    async def _login(self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
        assert self.accounts is not None
        if scope["method"] != "POST":
            await _page(send, 200, LOGIN_PAGE.format(message=""))
            return
        form = parse_qs((await _body(receive, 4096)).decode("utf-8", "replace"))
        name, password = form.get("name", [""])[0], form.get("password", [""])[0]
        who = f"{(scope.get('client') or ('?',))[0]} {name}"
        count, since = self._failures.get(who, (0, 0.0))
        if count >= TRIES and time.monotonic() - since < PAUSE_SECONDS:
            await _page(send, 429, LOGIN_PAGE.format(message="Too many tries; wait a minute."))
            return
        if not self.accounts.check(name, password):
            self._failures[who] = (count + 1 if count < TRIES else 1, time.monotonic())
            await _page(send, 401, LOGIN_PAGE.format(message="That name and password do not fit."))
            return
        self._failures.pop(who, None)
        now = time.monotonic()
        self._tokens = {k: v for k, v in self._tokens.items() if v[1] > now}
        token = secrets.token_urlsafe(32)
        self._tokens[token] = (name, now + SESSION_SECONDS)
        secure = "; Secure" if headers.get("x-forwarded-proto") == "https" else ""
        cookie = f"{COOKIE}={token}; Path={self.root_path or '/'}; HttpOnly; SameSite=Strict{secure}"
        await _redirect(send, f"{self.root_path}/", cookie)


def _local_path(scope: Scope, root_path: str) -> str:
    path = str(scope["path"])
    return path[len(root_path) :] if root_path and path.startswith(root_path + "/") else path


def _cookie(headers: dict[str, str]) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


async def _body(receive: Receive, limit: int) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body") or len(body) > limit:
            return bytes(body[:limit])


def _with_headers(send: Send) -> Send:
    async def wrapped(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            ours = {k for k, _ in HEADERS}
            kept = [(k, v) for k, v in message.get("headers", []) if k.lower() not in ours]
            message["headers"] = [*kept, *HEADERS]
        await send(message)

    return wrapped


async def _answer(send: Send, status: int, body: dict[str, Any]) -> None:
    await _send(send, status, b"application/json", json.dumps(body).encode())


async def _page(send: Send, status: int, html: str) -> None:
    await _send(send, status, b"text/html; charset=utf-8", html.encode())


async def _redirect(send: Send, to: str, cookie: str | None = None) -> None:
    extra = [(b"location", to.encode())]
    if cookie:
        extra.append((b"set-cookie", cookie.encode()))
    await _send(send, 303, b"text/plain", b"", extra)


async def _send(send: Send, status: int, kind: bytes, body: bytes, extra: Iterable[tuple[bytes, bytes]] = ()) -> None:
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *extra,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
