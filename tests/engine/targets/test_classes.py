"""Outputs for classes: checked, measured, stored, and summed up."""

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

from cliqa.engine.targets.classes import AHEAD_ONLY, ClassTargets
from cliqa.evaluation.records.predictions import load_class_predictions
from cliqa.losses.classes import ClassLoss
from cliqa.utils.errors import ModelError

NAMES = ["a", "b", "c"]
TARGETS = ClassTargets()


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


def results(benchmark: Any, rows: list[dict[str, Any]], joint: bool = False) -> dict[str, Any]:
    facts = {"status": "running", "seed": 0, "config": "c.py"}
    return TARGETS.results(benchmark, rows, work_dir=Path(), joint=joint, **facts)


@pytest.mark.parametrize("shape", [(8,), (8, 5), (7, 6), (8, 6, 1)])
def test_outputs_that_are_no_logits_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"not a logit for each of the 6 classes.*num_classes=6"):
        TARGETS.check_outputs(torch.zeros(shape), 8, "test images of a", stream())


def test_more_logits_than_classes_are_fine() -> None:
    TARGETS.check_outputs(torch.zeros(8, 7), 8, "test images of a", stream())


def test_the_loss_checks_its_arguments() -> None:
    assert isinstance(TARGETS.loss(nn.CrossEntropyLoss()), ClassLoss)


def test_validation_is_the_accuracy_among_all() -> None:
    logits = np.array([[0.0, 1.0], [2.0, 1.0]])
    assert TARGETS.validate(logits, np.array([1, 1])) == 0.5
    assert TARGETS.validate(np.full((2, 2), np.nan), np.array([1, 1])) is None


def test_measures_know_the_classes_of_the_experience() -> None:
    logits = np.zeros((8, 6))
    logits[:, 0], logits[:4, 2], logits[4:, 3] = 9.0, 1.0, 1.0
    target = np.array([2, 2, 2, 2, 3, 3, 2, 2])
    benchmark = stream(classes_of=[(0, 1), (2, 3), (4, 5)])
    row = TARGETS.measures(benchmark, "b", logits, target, bootstrap=10, seed=0)
    assert (row["accuracy"], row["accuracy_task_il"]) == (0.0, 0.75)
    low, high = row["interval"]["accuracy_task_il"]
    assert 0 < low < 0.75 < high < 1
    plain = TARGETS.measures(stream(), "b", logits, target, bootstrap=0, seed=0)
    assert plain == {"accuracy": 0.0, "interval": {}, "n": 8, "warnings": []}


def test_predictions_are_stored_with_their_keys_and_classes(tmp_path: Path) -> None:
    logits = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)
    logits[0, 0] = np.nan  # a model that has diverged is stored as it is
    TARGETS.store(stream(), tmp_path, 1, "b", logits, np.arange(8) % 6)
    stored = load_class_predictions(tmp_path, 1, "b")
    assert np.array_equal(stored.logits, logits, equal_nan=True)
    assert stored.image[7] == "7.png"
    assert "".join(stored.classes) == "uvwxyz"


def test_clears_measures_are_those_of_avalanche() -> None:
    matrix = np.random.default_rng(1).uniform(size=(3, 3))
    found = results(stream(clear=True), rows_of(matrix.tolist()))
    for name, value in CLEARMetric().get_metrics(matrix).items():
        assert found["summary"][name] == pytest.approx(value, abs=1e-12)


def test_before_the_end_clears_measures_are_not_defined_and_say_so() -> None:
    found = results(stream(clear=True), rows_of([[0.5, 0.4, 0.3], [0.6, 0.5, 0.4]]))
    assert found["summary"]["in_domain"] is None
    assert "in_domain: the stream has not been learnt to its end" in found["warnings"]
    json.dumps(found, allow_nan=False)


def test_streaming_has_what_lies_ahead_alone() -> None:
    rows = rows_of([[None, 0.5, 0.25], [None, None, 0.75]])
    found = results(stream(clear=True, ahead_only=True), rows)
    assert found["summary"]["next_domain"] == pytest.approx(0.625)
    assert found["summary"]["forward_transfer"] == pytest.approx(0.5)
    for name in ("in_domain", "accuracy", "backward_transfer", "average_accuracy", "forgetting"):
        assert found["summary"][name] is None
        assert f"{name}: {AHEAD_ONLY}" in found["warnings"]
    assert not [w for w in found["warnings"] if w.startswith("not evaluated")]


def test_one_bucket_and_a_diverged_model_have_reasons() -> None:
    one = stream(clear=True)
    one.names = ["a"]
    found = results(one, rows_of([[0.5]]))
    assert found["summary"]["in_domain"] == 0.5
    assert "next_domain: it needs two buckets" in found["warnings"]
    rows = rows_of([[0.5, 0.5, 0.5]] * 3)
    rows[0]["accuracy"] = None
    found = results(stream(clear=True), rows)
    assert "in_domain: an accuracy is not defined" in found["warnings"]


def test_joint_training_has_no_measure_over_time() -> None:
    benchmark = stream(classes_of=[(0, 1), (2, 3), (4, 5)], clear=True)
    rows = rows_of([[0.5, 0.25, 0.75]], accuracy_task_il=0.9)
    found = results(benchmark, rows, joint=True)
    assert found["summary"]["average_accuracy"] == pytest.approx(0.5)
    assert found["summary"]["average_accuracy_task_il"] == pytest.approx(0.9)
    assert found["summary"]["forgetting_task_il"] is None
    for name in ("forgetting_task_il", "in_domain"):
        assert f"{name}: joint training sees all data at once" in found["warnings"]


def test_forgetting_of_task_il_needs_two_experiences() -> None:
    benchmark = stream(classes_of=[(0, 1), (2, 3), (4, 5)])
    found = results(benchmark, rows_of([[0.5, 0.0, 0.0]], accuracy_task_il=1.0))
    assert "forgetting_task_il: it needs two experiences, there is one" in found["warnings"]
