"""The door to all measurements: what is missing is said in one line, results are laid out for people."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from bench import index
from bench.index import BENCHES, run_bench, table
from core.errors import InputError


@pytest.fixture
def measured(monkeypatch):
    """A measurement named points that tells what it was given."""
    given = []

    def run(data, *, limit=None, seed=0, **more):
        given.append((data, limit, seed, *more.values()))
        return {"name": "points", "cases": [], "summary": {}}

    monkeypatch.setitem(sys.modules, "bench.points", SimpleNamespace(run=run))
    monkeypatch.setitem(sys.modules, "bench.speed", SimpleNamespace(run=run))
    return given


def test_the_contracts_names_are_all_there():
    assert {"points", "exemplar", "regions", "flow", "interpolate", "repair", "speed", "latency"} <= set(BENCHES)


def test_arguments_reach_the_measurement(measured, tmp_path):
    assert run_bench("points", tmp_path, limit=3, seed=7)["name"] == "points"
    assert measured == [(tmp_path, 3, 7)]
    run_bench("points", tmp_path, stills="imagenet")
    assert measured[1:] == [(tmp_path, None, 0, "imagenet")]


def test_the_folder_beside_the_project_is_taken_where_none_is_given(measured, tmp_path, monkeypatch):
    monkeypatch.setattr(index, "DATA", tmp_path)
    run_bench("points")
    assert measured == [(tmp_path, None, 0)]


def test_missing_data_is_said_in_one_line(measured, tmp_path, monkeypatch):
    monkeypatch.setattr(index, "DATA", tmp_path / "none")
    with pytest.raises(InputError, match="--data DIR") as caught:
        run_bench("points")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="elsewhere"):
        run_bench("speed", tmp_path / "elsewhere")
    run_bench("speed")  # needs none
    assert measured == [(None, None, 0)]


def test_what_there_is_not_is_refused():
    with pytest.raises(InputError, match="known: points, exemplar"):
        run_bench("beauty")
    with pytest.raises(InputError, match="points, suggestions"):
        run_bench("speed", stills="imagenet")
    with pytest.raises(InputError, match="bench points takes no --reference; those that do: beside"):
        run_bench("points", reference="somewhere")
    with pytest.raises(InputError, match="--limit 0"):
        run_bench("speed", limit=0)


def test_the_table_lines_up_cases_and_flattens_the_summary():
    text = table(
        {
            "name": "points",
            "cases": [{"clip": "dog", "psnr_db": 31.41592, "runs": [1, 2]}, {"clip": "camel", "n": 10}],
            "summary": {"psnr_db": {"10": 27.5, "50": 29.25}, "count": 2},
        }
    )
    lines = text.splitlines()
    assert lines[0] == "bench points"
    assert lines[2:5] == ["clip   psnr_db  n", "dog    31.42    -", "camel  -        10"]
    assert lines[6:] == ["psnr_db 10  27.5", "psnr_db 50  29.25", "count       2"]
