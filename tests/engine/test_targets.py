"""Targets: outputs are checked, measured, stored and summed up, by the kind of labels."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.benchmarks.classic.clear import CLEARMetric
from torch import nn

from cliqa.benchmarks.clear import CLEAR
from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.benchmarks.split_classes import SplitFolder
from cliqa.engine.targets import (
    AHEAD_ONLY,
    ClassTargets,
    Outputs,
    ScoreTargets,
    targets_of,
)
from cliqa.engine.work_dir.agreement import Agreement
from cliqa.evaluation.matrix import stability
from cliqa.evaluation.quality import score_measures
from cliqa.evaluation.records.predictions import ScorePredictions
from cliqa.losses.classes import ClassLoss
from cliqa.utils.errors import ModelError

NAMES = ["a", "b", "c"]
CLASSES = ClassTargets()


@pytest.mark.parametrize(
    ("stream", "kind"),
    [
        (QualityStream, ScoreTargets),
        (CLEAR, ClassTargets),
        (SplitFolder, ClassTargets),
        (SimpleNamespace(target_kind="classes"), ClassTargets),
        (SimpleNamespace(), ScoreTargets),  # a stream of a user's own, older than the attribute
    ],
)
def test_a_stream_or_its_class_tells(stream: object, kind: type) -> None:
    assert type(targets_of(stream)) is kind


def test_keys_of_the_history() -> None:
    assert ScoreTargets().validation_key == "val_srcc"
    assert ClassTargets().validation_key == "val_accuracy"


def stream(
    classes_of: list[tuple[int, ...]] | None = None, clear: bool = False, ahead_only: bool = False
) -> Any:
    source = SimpleNamespace(keys=[f"{k}.png" for k in range(8)])
    return SimpleNamespace(
        names=NAMES,
        class_names=tuple("uvwxyz"),
        n_classes=6,
        classes_of=classes_of,
        has_clear_measures=clear,
        ahead_only=ahead_only,
        sources={(name, "test"): source for name in NAMES},
    )


def rows_of(matrix: list[list[float | None]], **more: float) -> list[dict[str, Any]]:
    return [
        {"experience": t, "dataset": NAMES[k], "accuracy": value, "n": 8, **more}
        for t, row in enumerate(matrix)
        for k, value in enumerate(row)
        if value is not None
    ]


def class_results(
    benchmark: Any, rows: list[dict[str, Any]], joint: bool = False
) -> dict[str, Any]:
    facts = {"status": "running", "seed": 0, "config": "c.py"}
    return CLASSES.results(benchmark, rows, joint=joint, **facts)


@pytest.mark.parametrize("shape", [(8,), (8, 5), (7, 6), (8, 6, 1)])
def test_outputs_that_are_no_logits_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"not a logit for each of the 6 classes.*num_classes=6"):
        CLASSES.check_outputs(torch.zeros(shape), 8, "test images of a", stream())


def test_more_logits_than_classes_are_fine() -> None:
    CLASSES.check_outputs(torch.zeros(8, 7), 8, "test images of a", stream())


def test_the_loss_checks_its_arguments() -> None:
    assert isinstance(CLASSES.loss(nn.CrossEntropyLoss()), ClassLoss)


def test_validation_is_the_accuracy_among_all() -> None:
    logits = np.array([[0.0, 1.0], [2.0, 1.0]])
    assert CLASSES.validate(logits, np.array([1, 1])) == 0.5
    assert CLASSES.validate(np.full((2, 2), np.nan), np.array([1, 1])) is None


def test_measures_know_the_classes_of_the_experience() -> None:
    logits = np.zeros((8, 6))
    logits[:, 0], logits[:4, 2], logits[4:, 3] = 9.0, 1.0, 1.0
    target = np.array([2, 2, 2, 2, 3, 3, 2, 2])
    benchmark = stream(classes_of=[(0, 1), (2, 3), (4, 5)])
    row = CLASSES.measures(Outputs(benchmark, "b", logits, target), bootstrap=10, seed=0)
    assert (row["accuracy"], row["accuracy_task_il"]) == (0.0, 0.75)
    low, high = row["interval"]["accuracy_task_il"]
    assert 0 < low < 0.75 < high < 1
    plain = CLASSES.measures(Outputs(stream(), "b", logits, target), bootstrap=0, seed=0)
    assert plain == {"accuracy": 0.0, "interval": {}, "n": 8, "warnings": []}


def test_predictions_are_stored_with_their_keys_and_classes() -> None:
    logits = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)
    logits[0, 0] = np.nan  # a model that has diverged is stored as it is
    stored = CLASSES.predictions(Outputs(stream(), "b", logits, np.arange(8) % 6))
    assert np.array_equal(stored.logits, logits, equal_nan=True)
    assert stored.image[7] == "7.png"
    assert "".join(stored.classes) == "uvwxyz"


def test_clears_measures_are_those_of_avalanche() -> None:
    matrix = np.random.default_rng(1).uniform(size=(3, 3))
    found = class_results(stream(clear=True), rows_of(matrix.tolist()))
    for name, value in CLEARMetric().get_metrics(matrix).items():
        assert found["summary"][name] == pytest.approx(value, abs=1e-12)


def test_before_the_end_clears_measures_are_not_defined_and_say_so() -> None:
    found = class_results(stream(clear=True), rows_of([[0.5, 0.4, 0.3], [0.6, 0.5, 0.4]]))
    assert found["summary"]["in_domain"] is None
    assert "in_domain: the stream has not been learnt to its end" in found["warnings"]
    json.dumps(found, allow_nan=False)


def test_streaming_has_what_lies_ahead_alone() -> None:
    rows = rows_of([[None, 0.5, 0.25], [None, None, 0.75]])
    found = class_results(stream(clear=True, ahead_only=True), rows)
    assert found["summary"]["next_domain"] == pytest.approx(0.625)
    assert found["summary"]["forward_transfer"] == pytest.approx(0.5)
    for name in ("in_domain", "accuracy", "backward_transfer", "average_accuracy", "forgetting"):
        assert found["summary"][name] is None
        assert f"{name}: {AHEAD_ONLY}" in found["warnings"]
    assert not [w for w in found["warnings"] if w.startswith("not evaluated")]


def test_one_bucket_and_a_diverged_model_have_reasons() -> None:
    one = stream(clear=True)
    one.names = ["a"]
    found = class_results(one, rows_of([[0.5]]))
    assert found["summary"]["in_domain"] == 0.5
    assert "next_domain: it needs two buckets" in found["warnings"]
    rows = rows_of([[0.5, 0.5, 0.5]] * 3)
    rows[0]["accuracy"] = None
    found = class_results(stream(clear=True), rows)
    assert "in_domain: an accuracy is not defined" in found["warnings"]


def test_joint_training_has_no_measure_over_time() -> None:
    benchmark = stream(classes_of=[(0, 1), (2, 3), (4, 5)], clear=True)
    rows = rows_of([[0.5, 0.25, 0.75]], accuracy_task_il=0.9)
    found = class_results(benchmark, rows, joint=True)
    assert found["summary"]["average_accuracy"] == pytest.approx(0.5)
    assert found["summary"]["average_accuracy_task_il"] == pytest.approx(0.9)
    assert found["summary"]["forgetting_task_il"] is None
    for name in ("forgetting_task_il", "in_domain"):
        assert f"{name}: joint training sees all data at once" in found["warnings"]


def test_forgetting_of_task_il_needs_two_experiences() -> None:
    benchmark = stream(classes_of=[(0, 1), (2, 3), (4, 5)])
    found = class_results(benchmark, rows_of([[0.5, 0.0, 0.0]], accuracy_task_il=1.0))
    assert "forgetting_task_il: it needs two experiences, there is one" in found["warnings"]


def predictions(seed: int, count: int = 20) -> ScorePredictions:
    random = np.random.default_rng(seed)
    target = np.linspace(0.1, 0.9, count)
    images = np.asarray([f"{k}.png" for k in range(count)])
    return ScorePredictions(target + random.normal(0, 0.1, count), target, target * 10, images)


def record(agreement: Agreement, step: int, name: str, found: ScorePredictions) -> dict[str, Any]:
    """Return the row of predictions."""
    measured = score_measures(found.prediction, found.target, bootstrap=0, seed=0)
    row = {"kind": "eval", "experience": step, "dataset": name, **measured}
    return {**row, **agreement.of(name, step, found.prediction)}


def score_results(rows: list[dict[str, Any]], joint: bool = False) -> dict[str, Any]:
    facts = {"status": "running", "seed": 0, "config": "c.py"}
    stream = SimpleNamespace(names=NAMES[:2])
    return ScoreTargets().results(stream, rows, joint=joint, **facts)


def test_the_stability_index_is_that_of_the_predictions(tmp_path: Path) -> None:
    grid = [[predictions(10 * t + k) for k in range(2)] for t in range(2)]
    agreement = Agreement(tmp_path, NAMES[:2])
    rows = [record(agreement, t, n, grid[t][k]) for t in range(2) for k, n in enumerate(NAMES[:2])]
    found = score_results(rows)
    expected = stability([[cell.prediction for cell in row] for row in grid])
    values = [value for value in expected if value is not None]
    assert found["summary"]["msi"] == pytest.approx(np.mean(values), abs=0)
    matrix = [[rows[2 * t + k]["srcc"] for k in range(2)] for t in range(2)]
    assert found["matrix"]["srcc"] == matrix
    assert found["summary"]["bwt"] == pytest.approx(matrix[1][0] - matrix[0][0])
    assert "agreement" not in found["matrix"]


def test_without_an_agreement_there_is_no_stability(tmp_path: Path) -> None:
    agreement = Agreement(tmp_path, NAMES[:2])
    rows = [record(agreement, t, n, predictions(t)) for t in range(2) for n in NAMES[:2]]
    del rows[2]["agreement"]
    found = score_results(rows)
    assert found["summary"]["msi"] is None
    assert found["summary"]["msrcc"] is not None


def test_a_diverged_model_leaves_nulls_that_json_takes(tmp_path: Path) -> None:
    good, bad = predictions(0), predictions(1)
    bad.prediction[:] = np.nan
    agreement = Agreement(tmp_path, NAMES[:2])
    rows = [record(agreement, 0, n, good) for n in NAMES[:2]]
    rows += [record(agreement, 1, n, bad) for n in NAMES[:2]]
    found = score_results(rows)
    assert found["matrix"]["srcc"][1] == [None, None]
    json.dumps(found, allow_nan=False)


def test_joint_training_on_scores_has_one_row_and_no_stability(tmp_path: Path) -> None:
    agreement = Agreement(tmp_path, [])
    rows = [record(agreement, 0, n, predictions(k)) for k, n in enumerate(NAMES[:2])]
    found = score_results(rows, joint=True)
    assert len(found["matrix"]["srcc"]) == 1
    assert found["summary"]["msi"] is None
    assert found["joint"] is True
