"""Tests of cliqa.api.results."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import cliqa
from cliqa.utils.errors import ArtifactError


def test_the_tables_say_what_the_files_say(tiny_run: Path) -> None:
    found = cliqa.results(tiny_run)
    content = json.loads((tiny_run / "results.json").read_text())
    matrix = found.matrix()
    assert list(matrix.index) == ["after a", "after b", "after c"]
    assert list(matrix.columns) == ["a", "b", "c"]
    stored = np.array(content["matrix"]["srcc"], dtype=float)
    assert np.array_equal(matrix.to_numpy(), stored, equal_nan=True)
    metrics = found.metrics
    assert len(metrics) == 9 * len(content["matrix"])
    cell = metrics.query("after == 'after c' and dataset == 'b' and measure == 'srcc'").iloc[0]
    assert cell["value"] == content["matrix"]["srcc"][2][1]
    assert [cell["low"], cell["high"]] == content["interval"]["srcc"][2][1]
    assert found.summary.loc["msrcc", "value"] == content["summary"]["msrcc"]
    assert "SRCC" in str(found.summary.loc["msrcc", "meaning"])
    assert list(found.history["name"]) == ["a", "b", "c"]
    assert found.history["val_srcc"].dtype == float
    assert found.status == "finished"


def test_a_number_that_is_not_defined_has_a_reason(tiny_run: Path, tmp_path: Path) -> None:
    content = json.loads((tiny_run / "results.json").read_text())
    content["summary"]["bwt"] = None
    content["warnings"].append("bwt: it needs two experiences")
    content["matrix"]["srcc"][0][0] = None
    (tmp_path / "results.json").write_text(json.dumps(content))
    found = cliqa.results(tmp_path)
    assert found.summary["value"].isna()["bwt"]
    assert found.summary.loc["bwt", "reason"] == "it needs two experiences"
    assert found.matrix("srcc").isna().iloc[0, 0]
    assert found.history.empty


def test_what_is_not_there_is_named(tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no measure 'accuracy'.* It has srcc"):
        cliqa.results(tiny_run).matrix("accuracy")
    with pytest.raises(ArtifactError, match="is this a work_dir"):
        cliqa.results(tmp_path)
