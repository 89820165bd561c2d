"""Nothing that was recorded of the authors' code goes uncompared."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path

from tests.parity import COVERED, PARITY, needs_parity

ROOT = Path(__file__).resolve().parents[1]
# What a folder of recorded cases holds, all of which `Fixture` reads; and what describes or checks the whole.
OF_CASES = {"config.json", "keys.json", "input.npz", "output.npz"}
ABOUT = {"README.md", "check.py", "ops_ref.py", "weights_rule.py"}


def recorded() -> dict[str, set[str]]:
    """Folder to its cases, and to each file that belongs to none."""
    found = {}
    for folder in (path for path in PARITY.iterdir() if path.is_dir()):
        files = {path.name for path in folder.iterdir()}
        cases = set()
        if "config.json" in files:
            cases = {case["name"] for case in json.loads((folder / "config.json").read_text())["cases"]}
            files -= OF_CASES
        found[folder.name] = cases | files
    return found


@needs_parity
def test_every_recorded_case_is_compared_by_a_test():
    assert {path.name for path in PARITY.iterdir() if path.is_file()} == ABOUT
    cases = recorded()
    assert sum(map(len, cases.values())) > 70  # so that nothing is compared with nothing
    uncompared = [
        f"{folder}/{case}"
        for folder, names in cases.items()
        for case in names
        if not any(fnmatchcase(case, pattern) for pattern in COVERED.get(folder, {}))
    ]
    assert uncompared == []
    idle = [
        f"{folder}/{pattern}"
        for folder, tests in COVERED.items()
        for pattern in tests
        if not any(fnmatchcase(case, pattern) for case in cases.get(folder, ()))
    ]
    assert idle == []


def test_every_test_that_is_named_for_it_is_there():
    for tests in COVERED.values():
        for test in tests.values():
            file, _, name = test.partition("::")
            assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), test
