"""The film of the browser tests and the app around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.contract.plugins import Plugins
from studio.ui.server import build_app
from tests.studio.ui.fake import FakeSession


def make_app(folder: Path, hosts: list[str]) -> Any:
    session = FakeSession(folder / "film.pochoir")
    session.frame_seconds = 0.05
    return build_app(session, plugins=Plugins(), sessions=FakeSession, hosts=hosts, browse=True)
