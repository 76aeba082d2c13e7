"""Tests of cliqa.api.studies."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

import cliqa
from cliqa.evaluation.records.study import build_label_study, build_study
from cliqa.utils.errors import ArtifactError


@pytest.fixture
def content(tiny_run: Path) -> dict[str, Any]:
    """Return the results of a run."""
    found: dict[str, Any] = json.loads((tiny_run / "results.json").read_text())
    return found


def shifted(content: dict[str, Any], by: float) -> dict[str, Any]:
    """Return results with another mean."""
    found = copy.deepcopy(content)
    found["summary"]["msrcc"] += by
    return found


def test_a_study_is_tables_and_a_figure(content: dict[str, Any], tmp_path: Path) -> None:
    runs = {
        name: {key: shifted(content, by + 0.01 * k) for k, key in enumerate("01")}
        for name, by in (("a", 0.0), ("b", 0.1))
    }
    study = build_study(runs, replicates=["0", "1", "2"])
    (tmp_path / "study.json").write_text(json.dumps(study))
    found = cliqa.study_results(tmp_path)
    assert found.notes == ["a: not finished: 2", "b: not finished: 2"]
    first, second = found.tables
    assert first == "Final SRCC, mean ± 95 % interval"
    assert second.startswith("Difference to a")
    assert found.tables[first].iloc[1, 0] == "b"
    values = found.values.set_index(["config", "column"])
    mean = content["summary"]["msrcc"] + 0.105
    assert values.loc[("b", "msrcc"), "mean"] == pytest.approx(mean)
    assert found.figure().axes


def test_a_study_of_labels_is_one_too(content: dict[str, Any], tmp_path: Path) -> None:
    arms = {"x": {"0": content}, "y": {"0": shifted(content, 0.2)}}
    study = build_label_study({10: arms, 20: arms}, "x", "y")
    (tmp_path / "label_study.json").write_text(json.dumps(study))
    found = cliqa.study_results(tmp_path)
    assert found.notes == []
    (table,) = found.tables.values()
    assert table["training images"].tolist() == ["10", "20"]
    values = found.values.set_index(["config", "column"])
    assert values.loc[("difference", 20), "mean"] == pytest.approx(0.2)
    assert found.figure().axes


def test_what_is_no_study_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"study\.json: missing\. A study writes it"):
        cliqa.study_results(tmp_path)
