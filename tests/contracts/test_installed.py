"""What a package offers is tried as what comes with the house is, where its author asks for it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import app
from core.contract.plugins import GROUP
from tests.contracts import registered
from tests.test_add_a_model import ESTIMATOR, blocks

CROOKED = f"""
from dataclasses import replace

from {ESTIMATOR} import Shift


class Crooked(Shift):
    name = fingerprint = "crooked"

    def pair(self, luma_a, luma_b):
        told = super().pair(luma_a, luma_b)
        return replace(told, forward_trust=told.forward_trust + 2)


def register(plugins):
    plugins.flows.add("crooked", lambda device: Crooked())
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The page's flow estimator, and one that breaks a promise, as an installer would leave them."""
    (tmp_path / f"{ESTIMATOR}.py").write_text(blocks("python")[2], "utf-8")
    (tmp_path / "crooked.py").write_text(CROOKED, "utf-8")
    info = tmp_path / "strangers-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nshift = {ESTIMATOR}:register\ncrooked = crooked:register\n")
    return tmp_path


def test_the_pages_estimator_keeps_every_promise_and_one_that_breaks_one_fails(site: Path) -> None:
    tried = ["tests/contracts/test_flows.py", "-k", "shift or (crooked and range)"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", *tried],
        cwd=Path(app.__file__).parent,
        env={**os.environ, "PYTHONPATH": str(site), registered.VARIABLE: "1"},
        capture_output=True,
        text=True,
    )
    found = re.findall(r"^(PASSED|FAILED|ERROR) \S+\[(\w+)", done.stdout, re.MULTILINE)
    assert set(found) == {("PASSED", "shift"), ("FAILED", "crooked")}, done.stdout
    assert done.returncode == 1


def test_a_package_that_does_not_load_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> None:
        raise ImportError("no module named nowhere")

    monkeypatch.setattr(registered, "entry_points", lambda group: [SimpleNamespace(load=load)])
    monkeypatch.delenv(registered.VARIABLE, raising=False)
    assert set(registered.registered().flows) <= set(registered.PLUGINS.flows)
    monkeypatch.setenv(registered.VARIABLE, "1")
    with pytest.raises(ImportError, match="nowhere"):
        registered.registered()


def test_who_asks_for_packages_where_none_is_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registered, "entry_points", lambda group: [])
    monkeypatch.setenv(registered.VARIABLE, "1")
    with pytest.raises(AssertionError, match=r"POCHOIR_INSTALLED is set, but no package .* is installed here"):
        registered.registered()
