"""Accuracy of a classifier on one whole test set.

Class-incremental streams are read in two ways (van de Ven & Tolias, 2019): class-IL, where the
largest of all logits is the answer, and task-IL, where it is known which experience a sample is
from, so that only that experience's classes compete.

Letters: N samples, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from cliqa.utils.errors import EvaluationError

Interval = tuple[float, float]


def predicted_classes(
    logits: npt.ArrayLike, among: Sequence[int] | None = None
) -> npt.NDArray[np.int64]:
    """Return the class (N,) of the largest logit, the first of equal ones.

    Args:
        logits: (N, K), finite.
        among: The classes that compete; None for all.

    Raises:
        EvaluationError: The logits are no finite (N, K), or a class does not exist.

    >>> predicted_classes([[0.1, 0.9, 0.3]]), predicted_classes([[0.1, 0.9, 0.3]], among=[0, 2])
    (array([1]), array([2]))
    """
    values = _as_logits(logits)
    if among is None:
        return values.argmax(axis=1)
    chosen = np.asarray(sorted(set(among)), dtype=np.int64)
    if not len(chosen) or chosen[0] < 0 or chosen[-1] >= values.shape[1]:
        raise EvaluationError(
            f"classes {list(among)} do not all exist: there are {values.shape[1]} logits a sample."
        )
    return chosen[values[:, chosen].argmax(axis=1)]


def accuracy(
    logits: npt.ArrayLike, targets: npt.ArrayLike, among: Sequence[int] | None = None
) -> float:
    """Return the share of samples whose class has the largest logit; see `predicted_classes`.

    Raises:
        EvaluationError: The lengths differ too, or there is no sample.

    >>> accuracy([[2.0, 1.0], [0.0, 1.0], [3.0, 4.0]], [0, 1, 0])
    0.6666666666666666
    """
    return float(np.mean(_correct(logits, targets, among)))


def confusion_matrix(
    predicted: npt.ArrayLike, targets: npt.ArrayLike, classes: int
) -> npt.NDArray[np.int64]:
    """Return how often each class (rows) was taken for each class (columns), (K, K).

    Raises:
        EvaluationError: The lengths differ, or a class is not in 0..K-1.

    >>> confusion_matrix([0, 1, 1], [0, 0, 1], classes=2)
    array([[1, 1],
           [0, 1]])
    """
    chosen, true = np.asarray(predicted, dtype=np.int64), np.asarray(targets, dtype=np.int64)
    if chosen.shape != true.shape:
        raise EvaluationError(f"{chosen.size} predicted classes for {true.size} targets.")
    both = np.concatenate([chosen, true])
    if both.size and not 0 <= both.min() <= both.max() < classes:
        raise EvaluationError(
            f"classes lie in {both.min()}..{both.max()}, outside 0..{classes - 1}."
        )
    return np.bincount(true * classes + chosen, minlength=classes**2).reshape(classes, classes)


def wilson_interval(correct: int, count: int, level: float = 0.95) -> Interval:
    """Return Wilson's score interval of a share (Wilson, 1927), for `level` of all cases.

    It stays inside 0..1 and is right for small counts and shares near 0 or 1 too, where the
    bootstrap of a perfect test set would be a single point.

    Raises:
        EvaluationError: The two are no share.

    >>> tuple(round(bound, 3) for bound in wilson_interval(9, 10))
    (0.596, 0.982)
    """
    if not 0 <= correct <= count or count < 1:
        raise EvaluationError(f"{correct} of {count}: no share of a test set.")
    z = float(stats.norm.ppf(0.5 + level / 2))
    share = correct / count
    middle = share + z**2 / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    low, high = (middle - half) / (1 + z**2 / count), (middle + half) / (1 + z**2 / count)
    return min(max(0.0, low), share), max(min(1.0, high), share)  # rounding may miss 0 or 1


@dataclass(frozen=True)
class ClassReport:
    """The accuracy of a classifier on one test set.

    Attributes:
        accuracy: Share of samples with the right class among all, 0..1; None where the logits are
            no numbers.
        accuracy_task_il: The same among the classes of the sample's own experience; None where the
            stream has no such classes.
        intervals: 95 % intervals (Wilson) of both.
        n: Number of samples.
        warnings: What a reader must know, and the reason for every None.
    """

    accuracy: float | None
    accuracy_task_il: float | None
    intervals: dict[str, Interval]
    n: int
    warnings: tuple[str, ...] = ()

    def to_row(self, task_il: bool) -> dict[str, Any]:
        """Return a row of ``metrics.jsonl``, with task-IL accuracy if the stream has it."""
        names = ("accuracy", "accuracy_task_il") if task_il else ("accuracy",)
        return {
            **{name: getattr(self, name) for name in names},
            "interval": {name: list(band) for name, band in self.intervals.items()},
            "n": self.n,
            "warnings": list(self.warnings),
        }


def class_metrics(
    logits: npt.ArrayLike,
    targets: npt.ArrayLike,
    among: Sequence[int] | None = None,
    *,
    intervals: bool = True,
) -> ClassReport:
    """Measure a classifier, by its logits (N, K), on one whole test set of targets (N,).

    `among` are the classes of the experience that the samples are from; None where the experiences
    share all classes. Logits that are no numbers (training has diverged) give None and the reason.

    Raises:
        EvaluationError: The shapes do not fit, or a class does not exist.
    """
    values = np.asarray(logits, dtype=np.float64)
    if values.ndim == 2 and not np.isfinite(values).all():
        reason = "the model gives no finite numbers: training has diverged. Lower the learning rate"
        return ClassReport(None, None, {}, len(values), (reason,))
    scores: dict[str, float] = {}
    bands: dict[str, Interval] = {}
    for name, classes in (("accuracy", None), ("accuracy_task_il", among)):
        if name == "accuracy" or classes is not None:
            right = _correct(values, targets, classes)
            scores[name] = float(np.mean(right))
            if intervals:
                bands[name] = wilson_interval(int(right.sum()), len(right))
    return ClassReport(scores["accuracy"], scores.get("accuracy_task_il"), bands, len(values))


def _correct(
    logits: npt.ArrayLike, targets: npt.ArrayLike, among: Sequence[int] | None
) -> npt.NDArray[np.bool_]:
    """Return which samples (N,) get the right class."""
    chosen = predicted_classes(logits, among)
    true = np.asarray(targets, dtype=np.int64)
    if true.shape != chosen.shape or not len(chosen):
        raise EvaluationError(
            f"logits of {len(chosen)} samples for targets of shape {true.shape}: accuracy needs as "
            "many of each, and at least one."
        )
    return np.asarray(chosen == true)


def _as_logits(logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return logits as a finite float64 (N, K)."""
    values = np.asarray(logits, dtype=np.float64)
    if values.ndim != 2 or not values.shape[1]:
        raise EvaluationError(f"logits must have shape (N, K), got {values.shape}.")
    if not np.isfinite(values).all():
        raise EvaluationError("logits hold values that are not finite.")
    return values
