"""Targets that are quality scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from avalanche.benchmarks import CLScenario
from torch import Tensor, nn

from cliqa.engine.targets.kind import Targets
from cliqa.evaluation.functional import srcc
from cliqa.evaluation.matrix import stability
from cliqa.evaluation.quality import quality_metrics
from cliqa.evaluation.records.predictions import (
    ScorePredictions,
    prediction_grid,
    save_predictions,
)
from cliqa.losses.scores import as_score_loss
from cliqa.utils.errors import ArtifactError, EvaluationError, ModelError

MEASURES = ("srcc", "plcc", "plcc_fit", "krcc", "rmse", "rmse_fit")


class ScoreTargets(Targets):
    """Scores in 0..1, higher = better; the model gives one number an image."""

    measure = "srcc"
    title = "SRCC"

    def loss(self, loss: nn.Module) -> nn.Module:
        """Return the loss over scores (B,) and targets (B,)."""
        return as_score_loss(loss)

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
        """Return correlations and errors; see `score_measures`."""
        return score_measures(outputs, targets, bootstrap=bootstrap, seed=seed)

    def store(
        self,
        benchmark: CLScenario,
        work_dir: Path,
        step: int,
        name: str,
        outputs: np.ndarray,
        targets: np.ndarray,
    ) -> None:
        """Write predictions, targets, raw scores and file names."""
        source = benchmark.sources[name, "test"]
        images = np.asarray([path.name for path in source.paths])
        save_predictions(
            work_dir, step, name, ScorePredictions(outputs, targets, source.raw_scores, images)
        )

    def summary_arguments(
        self,
        benchmark: CLScenario,
        rows: Sequence[dict[str, Any]],
        *,
        work_dir: Path,
        joint: bool,
    ) -> dict[str, Any]:
        """Return the stability index."""
        return {"stability": None if joint else _stability(rows, work_dir, benchmark.names)}


def score_measures(
    prediction: np.ndarray, target: np.ndarray, *, bootstrap: int, seed: int
) -> dict[str, Any]:
    """Return the measures of one data set as plain types.

    If a diverged model predicts values that are not finite, every measure is None and the warnings
    give the reason.

    Args:
        prediction: Scores (N,).
        target: Scores in 0..1 (N,).
        bootstrap: Resamples of the intervals; 0 for none.
        seed: Their seed.
    """
    try:
        return quality_metrics(prediction, target, bootstrap=bootstrap, seed=seed).to_row()
    except EvaluationError as error:
        if np.isfinite(prediction).all():
            raise
        nothing = dict.fromkeys(MEASURES)
        return {**nothing, "interval": {}, "n": len(target), "warnings": [str(error)]}


def _stability(
    rows: Sequence[dict[str, Any]], work_dir: Path, names: Sequence[str]
) -> list[float | None] | None:
    """Return the stability index after every step, None where predictions are not finite."""
    steps = 1 + max(row["experience"] for row in rows)
    try:
        return stability(prediction_grid(work_dir, names, steps))
    except (ArtifactError, EvaluationError):
        return None
