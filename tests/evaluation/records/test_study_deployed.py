"""Deployed files beside the models in float32, in a study's tables."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cliqa.evaluation.records.results import Results
from cliqa.evaluation.records.study import Study, build_study
from cliqa.evaluation.records.study_deployed import (
    COLUMNS,
    FILE,
    add_deployed,
    deployed_values,
    read_deployments,
)
from cliqa.evaluation.records.study_tables import deployed_table, study_report
from cliqa.utils.errors import ArtifactError

MIB = 2**20


def search(quality: float, best: str | None = "onnxruntime-int8") -> dict[str, Any]:
    """Return what a search has written: PyTorch's 8 MiB, and an eight-bit file a quarter of it."""
    base = {"key": "torch-fp32", "test_quality": 0.9, "bytes": 8 * MIB, "smaller": 1.0}
    file = {"key": "onnxruntime-int8", "test_quality": quality, "bytes": 2 * MIB, "smaller": 4.0}
    rows = [{**base, "cpu_ms": 30.0, "faster": 1.0}, {**file, "cpu_ms": 5.0, "faster": 5.0}]
    about = {"processor": "CPU X", "threads": 1, "batch": [1, 3, 96, 64]}
    return {"best": best, "rows": rows, **about}


@pytest.fixture
def study(make_results: Callable[..., Results]) -> Study:
    runs = {name: {f"seed {k}": make_results((0.7, 0.8)) for k in (0, 1)} for name in ("a", "b")}
    return build_study(runs, replicates=["seed 0", "seed 1"])


def test_the_file_stands_beside_the_float_model() -> None:
    found = deployed_values(search(0.88))
    assert list(found) == list(COLUMNS)
    assert found["lost"] == pytest.approx(0.02)
    assert (found["float_mib"], found["deployed_mib"], found["smaller"]) == (8, 2, 4)
    # PyTorch's time is that of the rounds which it shared with the file
    assert (found["float_ms"], found["deployed_ms"], found["faster"]) == (25, 5, 5)
    assert set(deployed_values(search(0.88, None)).values()) == {None}


def test_rows_are_means_with_intervals(study: Study) -> None:
    add_deployed(study, {"b": {"seed 0": search(0.88), "seed 1": search(0.86)}})
    table = deployed_table(study)
    assert table is not None
    (row,) = (dict(zip(range(12), line, strict=True)) for line in table.rows)
    # t(0.975, 1) = 12.706, s = 0.02 / sqrt(2), n = 2
    shown = ("b", "2", "onnxruntime-int8 (2x)", "0.900 ±0.000", "0.870 ±0.127", "0.0300 ±0.1271")
    assert tuple(row[k] for k in range(6)) == shown
    assert (row[7], row[8], row[11]) == ("2.00 ±0.00", "4.00 ±0.00", "5.00 ±0.00")
    report = study_report(study)
    assert "- deployed: CPU time of a pass; CPU X, 1 thread(s), 1 image(s) of 96 x 64" in report
    rows = list(csv.DictReader(io.StringIO(study_report(study, "csv"))))
    assert [row["deployed_mib"] for row in rows] == ["", "2.0"]


def test_without_a_chosen_file_the_reason_is_noted(study: Study) -> None:
    add_deployed(study, {"a": {"seed 0": search(0.5), "seed 1": search(0.5, None)}})
    assert study["deployed"][0]["columns"]["deployed_mib"]["mean"] is None
    assert "a: no recipe keeps to the budget (seed 1)" in study["notes"]


def test_a_study_without_deployments_has_no_such_table(study: Study) -> None:
    add_deployed(study, {})
    assert deployed_table(study) is None
    assert "deployed" not in study_report(study)


def test_damage_is_told(tmp_path: Path) -> None:
    assert read_deployments(tmp_path) is None
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_text(json.dumps({"rows": 3}))
    with pytest.raises(ArtifactError, match="no table of deployments. Delete it"):
        read_deployments(tmp_path)


def test_a_table_has_what_a_search_writes(tmp_path: Path) -> None:
    words: dict[str, Any] = dict.fromkeys(("target", "chosen_on", "processor", "measure"), "x")
    recipe = {"backend": "torch", "precision": "fp32", "pruning": 0.3}
    costs: dict[str, Any] = dict.fromkeys(("bytes", "cpu_ms", "faster", "test_quality"))
    row: dict[str, Any] = {"key": "a", "note": "", "file": None, "recipe": recipe, **costs}
    held: dict[str, Any] = {**words, "threads": 1, "best": None, "front": ["a"], "rows": [row]}
    held |= {"batch": [1, 3, 8, 8], "budget": {"max_drop": 0.1, "max_bytes": None}}
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_text(json.dumps(held))
    assert read_deployments(tmp_path) == held
    changes: list[dict[str, Any]] = [
        *({"rows": [wrong]} for wrong in (7, {}, None, {**row, "bytes": "x"})),
        {"rows": {}},
        *({"rows": [{**row, key: value}]} for key, value in (("recipe", 3), ("file", 3))),
        *({"batch": batch} for batch in (7, [1, 2], [1, 3, 8, True])),
        *({"best": [1]}, {"front": None}, {"budget": []}, {"budget": {"max_drop": "x"}}),
        *({"target": None}, {"threads": "1"}),
    ]
    for change in changes:
        (tmp_path / FILE).write_text(json.dumps({**held, **change}))
        with pytest.raises(ArtifactError, match="no table of deployments"):
            read_deployments(tmp_path)
