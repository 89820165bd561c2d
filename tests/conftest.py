"""What holds for every test: no network, no thread left behind, no ERROR in the log.

A test that makes an error happen on purpose says so with ``@pytest.mark.logs_error``.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

# Before anything imports gradio or matplotlib: neither shall ask the outside about versions or fonts.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Not the clock: what a test sees must not hang on how fast a half precision is here.
os.environ.setdefault("POCHOIR_PRECISION", "float32")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Several test processes share the cores already; threads of torch in each would only get in their way.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Threads that libraries keep for the life of the process; none of them is ours.
LIBRARY_THREADS = ("AnyIO worker thread", "asyncio_", "pymp-", "tqdm", "QueueFeederThread", "playwright")
LOCAL = ("127.", "::1", "localhost", "0.0.0.0", "::ffff:127.")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "logs_error: an ERROR in the log is part of what is tested")


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests neither use nor fill the cache and the settings of the person who runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POCHOIR_SETTINGS", str(tmp_path_factory.mktemp("settings")))
        patch.setenv("POCHOIR_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that reaches for another machine fails at once, saying which."""
    connect = socket.socket.connect

    def local_only(self: socket.socket, address: Any) -> None:
        outside = self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(LOCAL)
        if outside:
            raise RuntimeError(f"a test may not reach {address[0]}:{address[1]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local_only)


@pytest.fixture(autouse=True)
def no_error_logged(request: pytest.FixtureRequest) -> Iterator[None]:
    """What is logged as ERROR is a fault nobody looked at."""
    seen: list[logging.LogRecord] = []
    handler = logging.Handler(level=logging.ERROR)
    handler.emit = seen.append  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    yield
    logging.getLogger().removeHandler(handler)
    if seen and request.node.get_closest_marker("logs_error") is None:
        pytest.fail("logged: " + "; ".join(f"{r.name}: {r.getMessage()}" for r in seen))


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Work that a test starts ends with it; servers of a whole module are started before this looks."""
    before = set(threading.enumerate())
    yield
    left: list[threading.Thread] = []
    # Threads told to stop may take a moment: they are given two seconds, not a fixed sleep.
    for _ in range(40):
        left = [
            t
            for t in threading.enumerate()
            if t not in before and t.is_alive() and not t.name.startswith(LIBRARY_THREADS)
        ]
        if not left:
            return
        time.sleep(0.05)
    pytest.fail("threads left running: " + ", ".join(t.name for t in left))
