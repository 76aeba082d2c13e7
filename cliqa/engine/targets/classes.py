"""Targets that are classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from avalanche.benchmarks import CLScenario
from torch import Tensor, nn

from cliqa.engine.targets.kind import Targets
from cliqa.evaluation.classification import accuracy, class_metrics
from cliqa.evaluation.matrix import clear_measures, final_mean, forgetting
from cliqa.evaluation.records.predictions import ClassPredictions, save_class_predictions
from cliqa.evaluation.summary import JOINT
from cliqa.losses.classes import as_class_loss
from cliqa.utils.errors import ModelError

Grid = list[list[float | None]]

AHEAD_ONLY = "streaming tests later buckets alone; evaluation_protocol='iid' measures it"


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

    def measures(
        self,
        benchmark: CLScenario,
        name: str,
        outputs: np.ndarray,
        targets: np.ndarray,
        *,
        bootstrap: int,
        seed: int,
    ) -> dict[str, Any]:
        """Return accuracies with Wilson's intervals; none where `bootstrap` is 0."""
        own = benchmark.classes_of
        among = None if own is None else own[benchmark.names.index(name)]
        report = class_metrics(outputs, targets, among, intervals=bootstrap > 0)
        return report.to_row(task_il=among is not None)

    def store(
        self,
        benchmark: CLScenario,
        work_dir: Path,
        step: int,
        name: str,
        outputs: np.ndarray,
        targets: np.ndarray,
    ) -> None:
        """Write logits, targets, the samples' keys and the classes' names."""
        keys = np.asarray(benchmark.sources[name, "test"].keys)
        classes = np.asarray(benchmark.class_names)
        save_class_predictions(
            work_dir, step, name, ClassPredictions(outputs, targets, keys, classes)
        )

    def summary_arguments(
        self,
        benchmark: CLScenario,
        rows: Sequence[dict[str, Any]],
        *,
        work_dir: Path,
        joint: bool,
    ) -> dict[str, Any]:
        """Return the summary of task-IL, and CLEAR's measures for CLEAR."""
        names = benchmark.names
        extra: dict[str, float | None] = {}
        reasons: dict[str, str] = {}
        if benchmark.classes_of is not None:
            _add_task_il(extra, reasons, _grid(rows, names, "accuracy_task_il"), joint)
        if benchmark.has_clear_measures:
            _add_clear(extra, reasons, _grid(rows, names, "accuracy"), benchmark, joint)
        return {
            "extra_summary": extra,
            "extra_reasons": reasons,
            "ahead_only": AHEAD_ONLY if benchmark.ahead_only else None,
        }


def _grid(rows: Sequence[dict[str, Any]], names: Sequence[str], measure: str) -> Grid:
    """Return a measure after every step (rows) on every data set; None where there is none."""
    grid: Grid = [[None] * len(names) for _ in range(1 + max(row["experience"] for row in rows))]
    for row in rows:
        grid[row["experience"]][names.index(row["dataset"])] = row[measure]
    return grid


def _add_task_il(
    extra: dict[str, float | None], reasons: dict[str, str], grid: Grid, joint: bool
) -> None:
    """Add the summary numbers of task-IL accuracy."""
    columns = len(grid[0]) if joint else min(len(grid), len(grid[0]))
    measured = {
        "average_accuracy_task_il": final_mean(grid, columns),
        "forgetting_task_il": forgetting(grid),
    }
    for name, found in measured.items():
        extra[name] = found.value
        if found.value is None:
            reasons[name] = JOINT if joint else found.reason or "not defined"


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
