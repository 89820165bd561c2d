"""The web server of the studio: our routes first, then Gradio's page, the guard around both."""

from __future__ import annotations

import logging
import os
import socket
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gradio as gr
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from platformdirs import user_state_path
from starlette.responses import Response
from starlette.types import Scope

from core.errors import InputError, PochoirError
from studio.session import Session
from studio.ui.accounts import Accounts
from studio.ui.desk import Desk
from studio.ui.guard import Guard, allowed_hosts, check_binding, is_loopback
from studio.ui.layout import build_page
from studio.ui.panel import STATIC
from studio.ui.routes import make_router
from studio.ui.theme import make_theme

log = logging.getLogger(__name__)
HERE = Path(__file__).parent / "static"
PORT = 7880


class Static(StaticFiles):
    """Our scripts and styles: asked for again each time (304 mostly), so an update is seen at once."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, to be revalidated before it is used again."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


def build_app(
    session: Any = None,
    *,
    plugins: Any,
    sessions: Any = Session,
    hosts: Iterable[str] | None = ("127.0.0.1:7880", "localhost:7880"),
    accounts: Accounts | None = None,
    root_path: str = "",
    browse: bool = True,
    recent_file: Path | None = None,
) -> FastAPI:
    """The whole app around a session, or around an empty desk.

    Args:
        session: an open project, or None for the project picker.
        plugins: what is registered; the recipe panel draws itself from its stages.
        sessions: the class that makes and opens sessions; a test may bring a stand-in.
        hosts: `Host` headers that are answered; None answers all.
        accounts: who may sign in; None where the machine's own user is trusted.
        root_path: prefix under which a proxy offers the studio.
        browse: whether path fields complete from this machine's folders.
        recent_file: where recent projects are remembered; None remembers none.
    """
    root_path = root_path.rstrip("/")
    desk = Desk(sessions, plugins, session=session, recent_file=recent_file)
    app = FastAPI(title="Pochoir", docs_url=None, redoc_url=None, openapi_url=None, root_path=root_path)
    app.state.desk = desk
    app.include_router(make_router(desk, browse=browse))
    app.mount(STATIC, Static(directory=HERE), name="static")
    _answer_faults(app)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("GRADIO_TEMP_DIR", tempfile.mkdtemp(prefix="pochoir-"))
    head = "".join(
        f'<link rel="{rel}" href="{root_path}{STATIC}/{name}">'
        for rel, name in (("stylesheet", "studio.css"), ("modulepreload", "store.js"))
    )
    gr.mount_gradio_app(
        app,
        build_page(),
        path="/",
        root_path=root_path or None,
        theme=make_theme(),
        head=head,
        allowed_paths=[],
        max_file_size="1mb",
        show_error=False,
        enable_monitoring=False,
        run_history=False,
        footer_links=[],
        mcp_server=False,
        ssr_mode=False,
        pwa=False,
    )
    app.add_middleware(Guard, hosts=hosts, accounts=accounts, root_path=root_path)
    return app


def _answer_faults(app: FastAPI) -> None:
    """One shape of error for every route: ``{"error": "one line"}``."""

    @app.exception_handler(PochoirError)
    async def told(request: Request, error: PochoirError) -> JSONResponse:
        status = 400 if isinstance(error, InputError) else 500
        return JSONResponse({"error": str(error)}, status)

    @app.exception_handler(RequestValidationError)
    async def wrong(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        return JSONResponse({"error": f"{where or 'request'}: {first['msg']}"}, 422)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": str(error.detail)}, error.status_code)

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> JSONResponse:
        log.exception("%s %s failed", request.method, request.url.path, exc_info=error)
        return JSONResponse({"error": "something failed that nobody foresaw; the server's log has it"}, 500)


def serve(
    project_dir: Path | str | None,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    auth_file: Path | str | None = None,
    root_path: str = "",
    plugins: Any,
) -> None:
    """Open the studio and serve it until interrupted.

    Raises:
        InputError: the project cannot be opened, or ``host`` needs an auth file.
    """
    accounts = Accounts.read(Path(auth_file)) if auth_file else None
    check_binding(host, accounts)
    door = _listen(host, port)
    try:
        session = Session.open(Path(project_dir), plugins) if project_dir else None
        app = build_app(
            session,
            plugins=plugins,
            hosts=allowed_hosts(host, port),
            accounts=accounts,
            root_path=root_path,
            browse=is_loopback(host),
            recent_file=user_state_path("pochoir") / "recent.json",
        )
        name = f"[{host}]" if ":" in host else host
        url = f"http://{name}:{port}{root_path.rstrip('/')}/"
        print(f"Pochoir studio: {url}", file=sys.stderr, flush=True)  # noqa: T201 - the one line a person needs
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5, access_log=False)
        try:
            uvicorn.Server(config).run(sockets=[door])
        finally:
            app.state.desk.close()
    finally:
        door.close()


def _listen(host: str, port: int) -> socket.socket:
    """The server's socket, taken before anything is loaded for it.

    Raises:
        InputError: the port is taken, or the address is not this machine's.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError(f"{host} port {port}: {error.strerror}; choose another with --port") from None
