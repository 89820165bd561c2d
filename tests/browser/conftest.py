"""A real Chromium on a real server over a small synthetic film. Skipped where there is no Chromium."""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from tests.browser.desk import make_app

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
START_SECONDS = 60


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser with an empty profile."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine; install the package 'chromium' to run the browser tests")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield browser
        browser.close()
    # Playwright's loop stays set for the thread; what comes after must not meet it.
    asyncio.set_event_loop(None)


@pytest.fixture(autouse=True)
def no_thread_left() -> None:
    """The server of a module works on between its tests; its threads end with it, not with a test."""


class Server:
    """The studio on a free port; `app.state.desk` holds its session."""

    def __init__(self, folder: Any) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.host}/"
        self.app = make_app(folder, hosts=[self.host])
        config = uvicorn.Config(
            self.app, host="127.0.0.1", port=self.port, log_level="warning", timeout_graceful_shutdown=2
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="studio-server", daemon=True)
        self._thread.start()
        ends = time.monotonic() + START_SECONDS
        while not self._server.started:
            assert time.monotonic() < ends, "the studio's server did not start"
            time.sleep(0.05)

    @property
    def session(self) -> Any:
        return self.app.state.desk.session

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self.app.state.desk.close()


@pytest.fixture(scope="module")
def server(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for a module."""
    server = Server(tmp_path_factory.mktemp("studio"))
    yield server
    server.close()


class Page:
    """A tab of the studio, spoken to in its own terms. Faults of the page are kept in `faults`."""

    def __init__(self, context: Any, server: Server) -> None:
        self.tab = context.new_page()
        self.server = server
        self.faults: list[str] = []
        self.tab.on("console", lambda m: self.faults.append(m.text) if m.type in ("error", "warning") else None)
        self.tab.on("pageerror", lambda e: self.faults.append(str(e)))
        self.open()

    def open(self, fragment: str = "") -> None:
        self.tab.goto(self.server.url + fragment)
        self.tab.wait_for_function("window.pochoir?.store.loaded", timeout=90_000)
        if self.server.app.state.desk.is_open:
            self.painted()

    def begin(self) -> None:
        """Back to where a new tab begins."""
        self.tab.locator("#stage").focus()
        self.press("Escape", "Escape", "k", "a", "p", "f", "Home")
        self.tab.click('[data-tab="hints"]')
        self.tab.click("#regions .chip >> nth=0")
        self.ask("pochoir.timings.length = 0")
        self.shows(0)
        self.painted()

    def ask(self, script: str, *arguments: Any) -> Any:
        return self.tab.evaluate(f"(a) => ({script})", list(arguments))

    def until(self, script: str, *arguments: Any) -> None:
        self.tab.wait_for_function(f"(a) => ({script})", arg=list(arguments), timeout=60_000)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.tab.keyboard.press(key)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a place of the film's picture is on the screen."""
        at = self.ask(
            "(() => { const r = pochoir.viewer.stage.getBoundingClientRect();"
            " const p = pochoir.viewer.camera.toScreen({ x: a[0], y: a[1] });"
            " return [p.x + r.left, p.y + r.top]; })()",
            x,
            y,
        )
        return at[0], at[1]

    def click(self, x: float, y: float, **options: Any) -> None:
        self.tab.mouse.click(*self.place(x, y), **options)

    def pixel(self, x: float, y: float) -> list[int]:
        """What is painted on the screen there."""
        return list(self.ask("pochoir.viewer.screenColourAt(a[0], a[1])", x, y))

    def colour(self, text: str) -> None:
        self.tab.click('[data-tab="hints"]')
        self.tab.fill("#hex", text)
        self.tab.press("#hex", "Enter")

    def go(self, n: int) -> None:
        """Type a frame number."""
        self.tab.fill("#frame", str(n))
        self.tab.press("#frame", "Enter")
        self.shows(n)

    def shows(self, n: int) -> None:
        """Wait until frame ``n``, and no other, is painted and nothing more is on its way."""
        self.until("pochoir.store.frame === a[0] && document.querySelector('#picture').dataset.frame == a[0]", n)

    def painted(self) -> None:
        """Wait until a frame as coloured, not its grey stand-in, is painted."""
        self.until("pochoir.viewer.shownFrame >= 0 && ['proxy', 'exact'].includes(pochoir.viewer.quality)")
        self.settled()

    def settled(self) -> None:
        """Wait until the server has acknowledged every change and the page has drawn it."""
        self.until("pochoir.store.saving === 0 && !pochoir.viewer.drawing")


@pytest.fixture(scope="module")
def tab(chromium: Any, server: Server) -> Iterator[Page]:
    """One tab for a module: loading a page costs more than most tests."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    yield Page(context, server)
    context.close()


@pytest.fixture
def page(tab: Page) -> Iterator[Page]:
    """The tab on frame 0 of a project without hints, nothing chosen; it must end without a fault."""
    session = tab.server.session
    while session.describe()["can_undo"]:
        session.undo()
    tab.until("pochoir.store.project.version === a[0]", session.version)
    tab.begin()
    yield tab
    faults, tab.faults[:] = tab.faults[:], []
    assert not faults, faults
