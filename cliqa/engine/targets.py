"""The kind of labels of a stream (scores or classes), and all that depends on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from avalanche.benchmarks import CLScenario
from torch import Tensor, nn

from cliqa.benchmarks.experience import unseen_names
from cliqa.evaluation.classification import accuracy, class_metrics
from cliqa.evaluation.functional import plcc, srcc
from cliqa.evaluation.matrix import clear_measures, final_mean, forgetting, stability_index
from cliqa.evaluation.quality import score_measures
from cliqa.evaluation.records.build_results import AGREEMENT, build_results
from cliqa.evaluation.records.predictions import (
    ClassPredictions,
    Predictions,
    ScorePredictions,
)
from cliqa.evaluation.records.results import Results
from cliqa.evaluation.summary import JOINT
from cliqa.losses.classes import as_class_loss
from cliqa.losses.ratings import DistributionLoss
from cliqa.losses.scores import as_score_loss
from cliqa.utils.errors import ModelError

Row = dict[str, Any]
"""The measures of one data set after one step, in plain types."""

Rows = Sequence[Row]
Grid = list[list[float | None]]

AHEAD_ONLY = "streaming tests later buckets alone; evaluation_protocol='iid' measures it"


class Outputs(NamedTuple):
    """What a model gives for the test set of a stream's data set `name`, and the targets (N,)."""

    benchmark: CLScenario
    name: str
    outputs: np.ndarray
    targets: np.ndarray


class Targets(ABC):
    """How outputs are checked, evaluated, stored and summarised, for one kind of targets.

    Attributes:
        measure: The main measure: ``"srcc"``, ``"accuracy"``.
        title: The same for people.
        agrees: Rows tell how far a model agrees with earlier ones: see `Agreement`.
    """

    measure: ClassVar[str]
    title: ClassVar[str]
    agrees: ClassVar[bool] = False

    @property
    def validation_key(self) -> str:
        """The key of an epoch's row that holds the measure on the validation split."""
        return f"val_{self.measure}"

    @abstractmethod
    def loss(self, loss: nn.Module) -> nn.Module:
        """Return a loss that checks its arguments and computes in float32."""

    @abstractmethod
    def check_outputs(self, outputs: Tensor, count: int, what: str, benchmark: CLScenario) -> None:
        """Refuse outputs for `count` samples (`what`, in messages) of a shape that does not fit.

        Raises:
            ModelError: With advice.
        """

    def validate(self, outputs: np.ndarray, targets: np.ndarray) -> float | None:
        """Return the main measure on a validation split, None where it is not defined."""
        return self.score(outputs, targets) if np.isfinite(outputs).all() else None

    def curves(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float | None]:
        """Return further measures on a validation split, for the curves."""
        return {}

    def trained(self, outputs: np.ndarray, targets: np.ndarray) -> float | None:
        """Return the main measure over the batches of an epoch; see `PredictionCollector`."""
        return self.validate(outputs, targets)

    @abstractmethod
    def score(self, outputs: np.ndarray, targets: np.ndarray) -> float | None:
        """Return the main measure of finite outputs."""

    @abstractmethod
    def measures(self, found: Outputs, *, bootstrap: int, seed: int) -> Row:
        """Return the measures of one data set as plain types, with intervals and warnings."""

    @abstractmethod
    def predictions(self, found: Outputs) -> Predictions:
        """Return a model's outputs for a data set as they are stored, finite or not."""

    def results(
        self, benchmark: CLScenario, rows: Rows, *, joint: bool, **facts: object
    ) -> Results:
        """Return the content of results.json.

        Args:
            benchmark: The stream.
            rows: One a step and data set.
            joint: The model saw all data at once.
            facts: Status, seed, config, seconds, memory, warnings.
        """
        names, unseen = benchmark.names, unseen_names(benchmark)
        given: Any = {**self._summary(benchmark, rows, joint), **facts, "unseen": unseen}
        every = [*names, *unseen]
        return build_results(rows, joint=joint, experiences=names, datasets=every, **given)

    @abstractmethod
    def _summary(self, benchmark: CLScenario, rows: Rows, joint: bool) -> Row:
        """Return `build_results`' arguments for this kind of targets; see `results`."""


class ScoreTargets(Targets):
    """Scores in 0..1, higher = better; the model gives one number an image."""

    measure = "srcc"
    title = "SRCC"
    agrees = True

    def loss(self, loss: nn.Module) -> nn.Module:
        """Return the loss over scores (B,) and targets (B,)."""
        return loss if isinstance(loss, DistributionLoss) else as_score_loss(loss)

    def check_outputs(self, outputs: Tensor, count: int, what: str, benchmark: CLScenario) -> None:
        """Refuse anything but one score an image."""
        if outputs.shape != (count,):
            raise ModelError(
                f"model: gives shape {tuple(outputs.shape)} for {count} {what}, not one score an "
                "image. Give it a score head: model.head=dict(type='LinearScoreHead', "
                "in_channels=...)."
            )

    def score(self, outputs: np.ndarray, targets: np.ndarray) -> float | None:
        """Return the SRCC."""
        return srcc(outputs, targets)

    def curves(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float | None]:
        """Return the PLCC, without a fitted curve."""
        return {"plcc": plcc(outputs, targets) if np.isfinite(outputs).all() else None}

    def measures(self, found: Outputs, *, bootstrap: int, seed: int) -> Row:
        """Return correlations and errors; see `score_measures`."""
        return score_measures(found.outputs, found.targets, bootstrap=bootstrap, seed=seed)

    def predictions(self, found: Outputs) -> ScorePredictions:
        """Return predictions, targets, raw scores and file names."""
        benchmark, name, outputs, targets = found
        source = benchmark.sources[name, "test"]
        images = np.asarray([path.name for path in source.paths])
        return ScorePredictions(outputs, targets, source.raw_scores, images)

    def _summary(self, benchmark: CLScenario, rows: Rows, joint: bool) -> Row:
        """Return the stability index after every step, None where a prediction is missing."""
        if joint:
            return {"stability": None}
        steps = 1 + max(row["experience"] for row in rows)
        found = {(row["experience"], row["dataset"]): row.get(AGREEMENT) for row in rows}
        kept = [[found.get((t, name)) for name in benchmark.names[:t]] for t in range(steps)]
        return {"stability": [stability_index(row) for row in kept]}


class ClassTargets(Targets):
    """Classes 0..K-1; the model gives K logits a sample."""

    measure = "accuracy"
    title = "accuracy"

    def loss(self, loss: nn.Module) -> nn.Module:
        """Return the loss over logits (B, K) and targets (B,)."""
        return as_class_loss(loss)

    def check_outputs(self, outputs: Tensor, count: int, what: str, benchmark: CLScenario) -> None:
        """Refuse anything but a logit for each of the stream's classes."""
        classes = benchmark.n_classes
        if outputs.ndim != 2 or len(outputs) != count or outputs.shape[1] < classes:
            raise ModelError(
                f"model: gives shape {tuple(outputs.shape)} for {count} {what}, not a logit for "
                f"each of the {classes} classes. Set model.head=dict(type='LinearClsHead', "
                f"num_classes={classes}, in_channels=...)."
            )

    def score(self, outputs: np.ndarray, targets: np.ndarray) -> float | None:
        """Return the accuracy among all classes."""
        return accuracy(outputs, targets)

    def trained(self, outputs: np.ndarray, targets: np.ndarray) -> float | None:
        """Return the accuracy of the likeliest classes (N,)."""
        return float(np.mean(outputs == targets)) if len(targets) else None

    def measures(self, found: Outputs, *, bootstrap: int, seed: int) -> Row:
        """Return accuracies with Wilson's intervals; none where `bootstrap` is 0."""
        own = found.benchmark.classes_of
        among = None if own is None else own[found.benchmark.names.index(found.name)]
        report = class_metrics(found.outputs, found.targets, among, intervals=bootstrap > 0)
        return report.to_row(task_il=among is not None)

    def predictions(self, found: Outputs) -> ClassPredictions:
        """Return logits, targets, the samples' keys and the classes' names."""
        benchmark, name, outputs, targets = found
        keys = np.asarray(benchmark.sources[name, "test"].keys)
        return ClassPredictions(outputs, targets, keys, np.asarray(benchmark.class_names))

    def _summary(self, benchmark: CLScenario, rows: Rows, joint: bool) -> Row:
        """Return the summary of task-IL, and CLEAR's measures for CLEAR."""
        extra: dict[str, float | None] = {}
        reasons: dict[str, str] = {}
        if benchmark.classes_of is not None:
            grid = _grid(rows, benchmark.names, "accuracy_task_il")
            columns = len(grid[0]) if joint else min(len(grid), len(grid[0]))
            measured = {
                "average_accuracy_task_il": final_mean(grid, columns),
                "forgetting_task_il": forgetting(grid),
            }
            for name, (value, reason, _) in measured.items():
                extra[name] = value
                if value is None:
                    reasons[name] = JOINT if joint else reason or "not defined"
        if benchmark.has_clear_measures:
            grid = _grid(rows, benchmark.names, "accuracy")
            _add_clear(extra, reasons, grid, benchmark, joint)
        return {
            "extra_summary": extra,
            "extra_reasons": reasons,
            "ahead_only": AHEAD_ONLY if benchmark.ahead_only else None,
        }


def _grid(rows: Rows, names: Sequence[str], measure: str) -> Grid:
    """Return a measure after every step (rows) on every data set; None where there is none."""
    grid: Grid = [[None] * len(names) for _ in range(1 + max(row["experience"] for row in rows))]
    for row in rows:
        grid[row["experience"]][names.index(row["dataset"])] = row[measure]
    return grid


def _add_clear(
    extra: dict[str, float | None],
    reasons: dict[str, str],
    grid: Grid,
    benchmark: CLScenario,
    joint: bool,
) -> None:
    """Add CLEAR's five measures, each with its reason where it is not defined."""
    count = len(benchmark.names)
    missing: Grid = [[None] * count for _ in range(count - len(grid))]
    measured = clear_measures([*grid, *missing])
    extra.update(measured)
    for name in [name for name, value in measured.items() if value is None]:
        if joint:
            reasons[name] = JOINT
        elif benchmark.ahead_only and name not in ("next_domain", "forward_transfer"):
            reasons[name] = AHEAD_ONLY
        elif len(grid) < count - benchmark.ahead_only:
            reasons[name] = "the stream has not been learnt to its end"
        else:
            reasons[name] = "it needs two buckets" if count < 2 else "an accuracy is not defined"


KINDS: dict[str, type[Targets]] = {"scores": ScoreTargets, "classes": ClassTargets}


def targets_of(stream: object) -> Targets:
    """Return the targets of a stream, or of a class of streams.

    Args:
        stream: Has a ``target_kind``: ``"scores"``, where it has none, or ``"classes"``.
    """
    return KINDS[getattr(stream, "target_kind", "scores")]()
