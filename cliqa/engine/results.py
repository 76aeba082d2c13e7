"""The results of a run as they stand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cliqa.evaluation.build_results import build_results
from cliqa.evaluation.matrix import stability
from cliqa.evaluation.predictions import Predictions, prediction_grid, prediction_path
from cliqa.evaluation.predictions import save_predictions as save_finite
from cliqa.evaluation.quality import quality_metrics
from cliqa.evaluation.results import Results
from cliqa.utils.errors import ArtifactError, EvaluationError
from cliqa.utils.io import write_npz

MEASURES = ("srcc", "plcc", "plcc_fit", "krcc", "rmse", "rmse_fit")


def measure(
    prediction: np.ndarray, target: np.ndarray, *, bootstrap: int, seed: int
) -> dict[str, Any]:
    """Return the measures of one data set as plain types.

    A model that has diverged predicts no numbers; then every measure is None and the reason stands
    in the warnings.

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


def save_predictions(work_dir: Path, step: int, name: str, predictions: Predictions) -> None:
    """Store what the model says after a step about a data set, numbers or not."""
    if np.isfinite(predictions.prediction).all():
        save_finite(work_dir, step, name, predictions)
        return
    write_npz(
        prediction_path(work_dir, step, name),
        prediction=predictions.prediction,
        target=predictions.target,
        raw=predictions.raw,
        image=np.asarray(predictions.image, dtype=np.str_),
    )


def results_of(
    rows: Sequence[dict[str, Any]],
    *,
    work_dir: Path,
    names: Sequence[str],
    joint: bool,
    **facts: Any,  # noqa: ANN401
) -> Results:
    """Return the content of results.json.

    Args:
        rows: One a step and data set.
        work_dir: Where the stored predictions lie, which the stability index needs.
        names: The data sets in the order of the stream.
        joint: The model saw all data at once.
        facts: Status, seed, config, seconds, warnings.
    """
    return build_results(
        rows,
        experiences=names,
        datasets=names,
        joint=joint,
        stability=None if joint else _stability(rows, work_dir, names),
        **facts,
    )


def _stability(
    rows: Sequence[dict[str, Any]], work_dir: Path, names: Sequence[str]
) -> list[float | None] | None:
    """Return the stability index after every step, None where predictions are no numbers."""
    steps = 1 + max(row["experience"] for row in rows)
    try:
        return stability(prediction_grid(work_dir, names, steps))
    except (ArtifactError, EvaluationError):
        return None
