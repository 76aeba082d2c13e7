"""Tests of cliqa.api.results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def test_costs_and_checkpoints_are_by_experience(tiny_run: Path, tmp_path: Path) -> None:
    found = cliqa.results(tiny_run)
    content = json.loads((tiny_run / "results.json").read_text())
    costs = found.costs
    assert list(costs.index) == ["after a", "after b", "after c"]
    assert costs["train_seconds"].tolist() == content["seconds"]["train"]
    assert costs["kept_bytes"].tolist() == content["memory"]["kept"]
    assert found.checkpoints == {"after a": "exp_0", "after b": "exp_1", "after c": "exp_2"}
    assert found.changed >= (tiny_run / "results.json").stat().st_mtime
    del content["seconds"], content["memory"]
    (tmp_path / "results.json").write_text(json.dumps(content))
    bare = cliqa.results(tmp_path)
    assert bare.costs.isna().all(axis=None)
    assert bare.checkpoints == {}


def test_predictions_are_those_that_the_scores_are_of(tiny_run: Path) -> None:
    found = cliqa.results(tiny_run)
    rows = found.predictions("b", "after a")
    assert rows["prediction"].corr(rows["target"], "spearman") == pytest.approx(
        found.matrix().loc["after a", "b"]
    )
    assert np.allclose(rows["error"], rows["prediction"] - rows["target"])
    assert np.allclose(rows["raw_prediction"], rows["prediction"], atol=1e-4)  # a scale of 0..1
    assert found.predictions("b").equals(found.predictions("b", "after c"))
    with pytest.raises(ArtifactError, match="no data set 'x' in its results. It has a, b, c"):
        found.predictions("x")
    with pytest.raises(ArtifactError, match="no model 'after x'.* It has after a, after b"):
        found.predictions("a", "after x")


def test_predictions_of_classes_have_their_probability(
    run_config: Callable[..., Path], split_config: dict[str, Any]
) -> None:
    split_config["cl_strategy"]["train_epochs"] = 1
    folder = run_config(split_config, stop_after=1)
    found = cliqa.results(folder)
    name = found.content["datasets"][0]
    rows = found.predictions(name)
    assert (rows["prediction"] == rows["target"]).mean() == pytest.approx(
        found.matrix()[name].iloc[0]
    )
    assert rows["probability"].between(0, 1).all()
    image = found.images().read(name, 2, rows["image"][2])
    assert image.shape == (28, 28)
    assert image.dtype == np.uint8
