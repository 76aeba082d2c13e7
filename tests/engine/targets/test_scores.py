"""Measures of one data set as plain types, and results.json from all of them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from cliqa.engine.targets.scores import MEASURES, ScoreTargets, save_predictions, score_measures
from cliqa.evaluation.matrix import stability
from cliqa.evaluation.records.predictions import ScorePredictions, prediction_path
from cliqa.utils.errors import EvaluationError

NAMES = ["a", "b"]


def predictions(seed: int, count: int = 20) -> ScorePredictions:
    random = np.random.default_rng(seed)
    target = np.linspace(0.1, 0.9, count)
    images = np.asarray([f"{k}.png" for k in range(count)])
    return ScorePredictions(target + random.normal(0, 0.1, count), target, target * 10, images)


def record(work_dir: Path, step: int, name: str, stored: ScorePredictions) -> dict[str, Any]:
    """Store predictions and return their row."""
    save_predictions(work_dir, step, name, stored)
    measured = score_measures(stored.prediction, stored.target, bootstrap=0, seed=0)
    return {"kind": "eval", "experience": step, "dataset": name, **measured}


def results(rows: list[dict[str, Any]], work_dir: Path, joint: bool = False) -> dict[str, Any]:
    facts = {"status": "running", "seed": 0, "config": "c.py"}
    stream = SimpleNamespace(names=NAMES)
    return ScoreTargets().results(stream, rows, work_dir=work_dir, joint=joint, **facts)


def test_measures_are_scipys_and_fit_into_json() -> None:
    stored = predictions(0)
    row = score_measures(stored.prediction, stored.target, bootstrap=30, seed=1)
    assert row == json.loads(json.dumps(row)) | {"interval": row["interval"]}
    assert set(MEASURES) <= set(row)
    expected = stats.spearmanr(stored.prediction, stored.target).statistic
    assert row["srcc"] == pytest.approx(expected)
    low, high = row["interval"]["srcc"]
    assert low < row["srcc"] < high
    assert row["n"] == 20


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_model_that_has_diverged_has_no_measure(bad: float) -> None:
    stored = predictions(0)
    stored.prediction[3] = bad
    row = score_measures(stored.prediction, stored.target, bootstrap=30, seed=1)
    assert [row[name] for name in MEASURES] == [None] * len(MEASURES)
    assert row["interval"] == {}
    assert row["n"] == 20
    assert "finite" in row["warnings"][0]


def test_other_mistakes_are_not_hidden() -> None:
    with pytest.raises(EvaluationError):
        score_measures(np.zeros(3), np.zeros(4), bootstrap=0, seed=0)


def test_predictions_that_are_no_numbers_are_stored_as_they_are(tmp_path: Path) -> None:
    stored = predictions(0)
    stored.prediction[0] = np.nan
    save_predictions(tmp_path, 1, "a", stored)
    with np.load(prediction_path(tmp_path, 1, "a"), allow_pickle=False) as file:
        assert np.array_equal(file["prediction"], stored.prediction, equal_nan=True)
        assert np.array_equal(file["target"], stored.target)
        assert np.array_equal(file["raw"], stored.raw)
        assert list(file["image"]) == list(stored.image)


def test_the_stability_index_is_that_of_the_stored_predictions(tmp_path: Path) -> None:
    grid = [[predictions(10 * t + k) for k in range(2)] for t in range(2)]
    rows = [record(tmp_path, t, n, grid[t][k]) for t in range(2) for k, n in enumerate(NAMES)]
    found = results(rows, tmp_path)
    expected = stability([[cell.prediction for cell in row] for row in grid])
    values = [value for value in expected if value is not None]
    assert found["summary"]["msi"] == pytest.approx(np.mean(values))
    matrix = [[rows[2 * t + k]["srcc"] for k in range(2)] for t in range(2)]
    assert found["matrix"]["srcc"] == matrix
    assert found["summary"]["bwt"] == pytest.approx(matrix[1][0] - matrix[0][0])


def test_without_the_files_there_is_no_stability(tmp_path: Path) -> None:
    rows = [record(tmp_path, t, n, predictions(t)) for t in range(2) for n in NAMES]
    prediction_path(tmp_path, 0, "a").unlink()
    found = results(rows, tmp_path)
    assert found["summary"]["msi"] is None
    assert found["summary"]["msrcc"] is not None


def test_a_diverged_model_leaves_nulls_that_json_takes(tmp_path: Path) -> None:
    good, bad = predictions(0), predictions(1)
    bad.prediction[:] = np.nan
    rows = [record(tmp_path, 0, n, good) for n in NAMES]
    rows += [record(tmp_path, 1, n, bad) for n in NAMES]
    found = results(rows, tmp_path)
    assert found["matrix"]["srcc"][1] == [None, None]
    json.dumps(found, allow_nan=False)


def test_joint_training_has_one_row_and_no_stability(tmp_path: Path) -> None:
    rows = [record(tmp_path, 0, n, predictions(k)) for k, n in enumerate(NAMES)]
    found = results(rows, tmp_path, joint=True)
    assert len(found["matrix"]["srcc"]) == 1
    assert found["summary"]["msi"] is None
    assert found["joint"] is True
