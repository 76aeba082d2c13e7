"""Accuracy, confusion and Wilson's interval against their definitions."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats

from cliqa.evaluation.classification import (
    ClassReport,
    accuracy,
    class_metrics,
    confusion_matrix,
    predicted_classes,
    wilson_interval,
)
from cliqa.utils.errors import EvaluationError

N, K = 60, 5


def samples(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return logits (N, K) that are right more often than not, and targets (N,)."""
    random = np.random.default_rng(seed)
    targets = random.integers(0, K, N)
    return random.normal(size=(N, K)) + np.eye(K)[targets], targets


def share_right(logits: np.ndarray, targets: np.ndarray, among: Sequence[int]) -> float:
    """Return the accuracy, one sample and one class after the other."""
    right = 0
    for values, target in zip(logits, targets, strict=True):
        best = min(among)
        for k in sorted(among):
            if values[k] > values[best]:
                best = k
        right += best == target
    return right / len(targets)


@pytest.mark.parametrize("among", [None, (0, 1, 2, 3, 4), (2, 3), (3, 2, 3), (4,), range(1, 4)])
@pytest.mark.parametrize("seed", range(3))
def test_accuracy_is_the_share_of_right_samples(among: Sequence[int] | None, seed: int) -> None:
    logits, targets = samples(seed)
    expected = share_right(logits, targets, range(K) if among is None else among)
    assert accuracy(logits, targets, among) == pytest.approx(expected, abs=1e-12)
    said = predicted_classes(logits, among)
    assert said.shape == (N,)
    assert set(said.tolist()) <= set(range(K) if among is None else among)


def test_fewer_competitors_never_hurt_their_own_samples() -> None:
    logits, targets = samples()
    own = np.isin(targets, (1, 3))
    assert accuracy(logits[own], targets[own], (1, 3)) >= accuracy(logits[own], targets[own])
    assert accuracy(logits[own], targets[own], (0, 2)) == 0.0


def test_the_first_of_equal_logits_is_the_answer() -> None:
    equal = [[1.0, 2.0, 2.0], [3.0, 3.0, 3.0], [0.0, -1.0, 0.0]]
    assert predicted_classes(equal).tolist() == [1, 0, 0]
    assert predicted_classes(equal, among=(2, 1)).tolist() == [1, 1, 2]


def test_shifts_and_scales_of_a_sample_change_no_answer() -> None:
    logits, targets = samples()
    moved = 3.0 * logits + np.arange(N)[:, None]
    np.testing.assert_array_equal(predicted_classes(moved), predicted_classes(logits))
    assert accuracy(moved, targets) == accuracy(logits, targets)


def test_a_head_wider_than_the_classes_and_a_narrower_one_are_measured() -> None:
    assert accuracy([[0.0, 1.0, 5.0]], [1]) == 0.0
    assert accuracy([[0.0, 1.0, 5.0]], [1], among=(0, 1)) == 1.0
    assert accuracy([[0.0, 1.0]], [4]) == 0.0  # a class that the head does not know yet


def test_confusion_matrix_counts_pairs() -> None:
    random = np.random.default_rng(0)
    said, true = random.integers(0, K, (2, 200))
    expected = np.zeros((K, K), dtype=int)
    for s, t in zip(said, true, strict=True):
        expected[t, s] += 1
    found = confusion_matrix(said, true, K)
    np.testing.assert_array_equal(found, expected)
    assert np.trace(found) / 200 == np.mean(said == true)
    np.testing.assert_array_equal(found.sum(axis=1), np.bincount(true, minlength=K))
    np.testing.assert_array_equal(confusion_matrix(true, said, K), found.T)


def test_confusion_matrix_has_all_classes_whatever_occurs() -> None:
    assert confusion_matrix([2], [2], classes=4).shape == (4, 4)
    np.testing.assert_array_equal(confusion_matrix([], [], classes=2), np.zeros((2, 2)))


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize(
    ("correct", "count"), [(0, 1), (1, 1), (0, 20), (20, 20), (1, 3), (7, 10), (499, 1000)]
)
def test_wilson_interval_equals_scipys(correct: int, count: int, level: float) -> None:
    expected = stats.binomtest(correct, count).proportion_ci(level, method="wilson")
    low, high = wilson_interval(correct, count, level)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0.0 <= low <= correct / count <= high <= 1.0
    assert low < high


@pytest.mark.parametrize(("correct", "count"), [(-1, 3), (4, 3), (0, 0)])
def test_wilson_interval_needs_a_share(correct: int, count: int) -> None:
    with pytest.raises(EvaluationError, match=f"{correct} of {count}: no share of a test set"):
        wilson_interval(correct, count)


def test_report_has_both_accuracies_with_their_intervals() -> None:
    logits, targets = samples()
    targets = targets % 2  # the samples of an experience of the classes 0 and 1
    report = class_metrics(logits, targets, (0, 1))
    assert report.n == N
    assert report.warnings == ()
    assert report.accuracy == accuracy(logits, targets)
    assert report.accuracy_task_il == accuracy(logits, targets, (0, 1))
    for name in ("accuracy", "accuracy_task_il"):
        right = round(getattr(report, name) * N)
        assert report.intervals[name] == wilson_interval(right, N)


def test_report_without_classes_by_experience_has_no_task_il() -> None:
    logits, targets = samples()
    report = class_metrics(logits, targets)
    assert report.accuracy_task_il is None
    assert list(report.intervals) == ["accuracy"]
    assert class_metrics(logits, targets, intervals=False).intervals == {}


def test_row_is_jsons_own() -> None:
    report = class_metrics([[2.0, 1.0], [0.0, 1.0]], [0, 0], (0,))
    row = report.to_row(task_il=True)
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    assert (row["accuracy"], row["accuracy_task_il"], row["n"]) == (0.5, 1.0, 2)
    assert row["interval"]["accuracy"] == list(wilson_interval(1, 2))
    assert row["warnings"] == []
    assert "accuracy_task_il" not in class_metrics([[1.0]], [0]).to_row(task_il=False)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_diverged_logits_give_no_number_but_a_reason(value: float) -> None:
    logits, targets = samples()
    logits[7, 2] = value
    report = class_metrics(logits, targets, (0, 1))
    assert report == ClassReport(None, None, {}, N, report.warnings)
    assert "training has diverged. Lower the learning rate" in report.warnings[0]
    row = report.to_row(task_il=True)
    assert row["accuracy"] is row["accuracy_task_il"] is None
    for measure in (predicted_classes, lambda values: accuracy(values, targets)):
        with pytest.raises(EvaluationError, match="logits hold values that are not finite"):
            measure(logits)


@pytest.mark.parametrize("value", [0.0, np.nan])
@pytest.mark.parametrize("shape", [(3,), (3, 0), (3, 2, 1), ()])
def test_logits_of_another_shape_are_refused(shape: tuple[int, ...], value: float) -> None:
    logits, targets = np.full(shape, value), [0, 0, 0]
    for call in (
        lambda: predicted_classes(logits),
        lambda: accuracy(logits, targets),
        lambda: class_metrics(logits, targets),
    ):
        with pytest.raises(EvaluationError, match=re.escape(f"shape (N, K), got {shape}.")):
            call()


@pytest.mark.parametrize("among", [(), (0, 3), (-1,), (7, 8)])
def test_classes_that_do_not_exist_are_refused(among: tuple[int, ...]) -> None:
    logits, targets = np.zeros((2, 3)), [0, 1]
    for call in (
        lambda: predicted_classes(logits, among),
        lambda: accuracy(logits, targets, among),
        lambda: class_metrics(logits, targets, among),
    ):
        with pytest.raises(EvaluationError, match=r"do not all exist: there are 3 logits a sample"):
            call()


@pytest.mark.parametrize(
    ("logits", "targets", "message"),
    [
        (np.zeros((3, 2)), [0, 1], r"logits of 3 samples for targets of shape \(2,\)"),
        (np.zeros((2, 2)), [[0], [1]], r"logits of 2 samples for targets of shape \(2, 1\)"),
        (np.zeros((0, 2)), [], "needs as many of each, and at least one"),
    ],
)
def test_samples_and_targets_must_fit(logits: np.ndarray, targets: Any, message: str) -> None:
    for measure in (accuracy, class_metrics):
        with pytest.raises(EvaluationError, match=message):
            measure(logits, targets)


@pytest.mark.parametrize(
    ("said", "true", "message"),
    [
        ([0, 1], [0], "2 predicted classes for 1 targets"),
        ([0, 3], [0, 0], r"classes lie in 0\.\.3, outside 0\.\.2"),
        ([0, 0], [0, -1], r"classes lie in -1\.\.0, outside 0\.\.2"),
    ],
)
def test_confusion_matrix_refuses_what_does_not_fit(
    said: list[int], true: list[int], message: str
) -> None:
    with pytest.raises(EvaluationError, match=message):
        confusion_matrix(said, true, classes=3)
