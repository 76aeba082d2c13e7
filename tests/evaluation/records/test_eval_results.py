"""Reading ``eval_results.json``, ours and other programs'."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cliqa.evaluation.records.eval_results import load_evaluation
from cliqa.utils.errors import ArtifactError


def write(folder: Path, datasets: Any) -> Path:
    """Write a file and return its path."""
    path = folder / "eval_results.json"
    path.write_text(json.dumps({"model_type": "HyperIQA", "datasets": datasets}))
    return path


def test_scores_under_any_of_the_names(tmp_path: Path) -> None:
    ours = [{"image": "a.png", "prediction": 0.25, "target": 0.5, "raw_target": 5.5}]
    others = [{"image": "a.png", "predicted": 0.25, "score": 0.5}]
    path = write(tmp_path, {"ours": {"predictions": ours}, "others": {"predictions": others}})
    for data in load_evaluation(path).values():
        scores = data.scores()
        assert (scores.prediction.tolist(), scores.target.tolist()) == ([0.25], [0.5])
        assert scores.image.tolist() == ["a.png"]
        assert not data.of_classes
    assert load_evaluation(tmp_path).keys() == {"ours", "others"}


def test_what_a_diverged_model_predicts_is_no_number(tmp_path: Path) -> None:
    rows = [{"prediction": None, "target": 0.5}]
    scores = load_evaluation(write(tmp_path, {"a": {"predictions": rows}}))["a"].scores()
    assert np.isnan(scores.prediction).tolist() == [True]
    assert scores.image.tolist() == ["0"]


def test_classes_and_intervals(tmp_path: Path) -> None:
    rows = [{"target": "cat", "prediction": "dog"}, {"target": "dog", "prediction": None}]
    metrics = {"accuracy": 0.0, "interval": {"accuracy": [0.0, 0.5]}}
    data = load_evaluation(write(tmp_path, {"a": {"metrics": metrics, "predictions": rows}}))["a"]
    assert data.of_classes
    assert data.classes() == (["cat", "dog"], ["dog", None])
    assert data.intervals == {"accuracy": [0.0, 0.5]}


def test_a_list_of_predictions_may_be_missing(tmp_path: Path) -> None:
    data = load_evaluation(write(tmp_path, {"koniq": {"metrics": {"srcc": 0.8}}}))["koniq"]
    assert data.metrics == {"srcc": 0.8}
    assert data.intervals == {}
    with pytest.raises(ArtifactError, match=r"koniq: there are no predictions .* cliqa test"):
        data.scores()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prediction": "good", "target": 0.5}, "'prediction' should be a number"),
        ({"prediction": 0.5}, "a target is missing"),
    ],
)
def test_wrong_entries_are_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    data = load_evaluation(write(tmp_path, {"koniq": {"predictions": [row]}}))["koniq"]
    with pytest.raises(ArtifactError, match=f"eval_results.json, koniq: {message}"):
        data.scores()


def test_wrong_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"eval_results\.json: missing\. cliqa test"):
        load_evaluation(tmp_path)
    path = tmp_path / "eval_results.json"
    for text, message in (
        ("{", "cannot be read as JSON"),
        ("[]", "'datasets' is missing"),
        ('{"datasets": {}}', "'datasets' is missing"),
        ('{"datasets": {"a": 3}}', "a: expected metrics and predictions"),
        ('{"datasets": {"a": {"predictions": {}, "metrics": []}}}', "a: expected metrics"),
        ('{"datasets": {"a": {"predictions": [1]}}}', "a: predictions should be a list of objects"),
    ):
        path.write_text(text)
        with pytest.raises(ArtifactError, match=message):
            load_evaluation(path)
