"""``eval_results.json``: what one model scores on some data sets, read back for figures.

The form: ``{"datasets": {name: {"metrics": {"srcc": ..., "interval": {...}}, "predictions":
[{"image": ..., "prediction": ..., "target": ...}, ...]}}}``. Files of other programs are read too:
a prediction may be called ``predicted``, a target ``score``, and the list may be missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cliqa.evaluation.records.predictions import Predictions
from cliqa.evaluation.records.results import read_artifact
from cliqa.utils.errors import ArtifactError

FILE_NAME = "eval_results.json"
PREDICTION = ("prediction", "predicted", "pred")
TARGET = ("target", "score", "label")
"""What the entries of a file may be called."""


@dataclass(frozen=True)
class Evaluated:
    """What a model scores on one data set.

    Attributes:
        metrics: The measures by name; ``interval`` holds [low, high] by measure.
        rows: The entries about single images, as they stand in the file.
        where: The file and the data set, for error messages.
    """

    metrics: dict[str, Any]
    rows: Sequence[dict[str, Any]]
    where: str

    @property
    def of_classes(self) -> bool:
        """Whether the targets are names of classes."""
        return bool(self.rows) and isinstance(_entry(self.rows[0], TARGET), str)

    @property
    def intervals(self) -> dict[str, Sequence[float] | None]:
        """The 95 % intervals by measure."""
        return dict(self.metrics.get("interval") or {})

    def scores(self) -> Predictions:
        """Return the predictions of scores; one that is ``null`` is NaN.

        Raises:
            ArtifactError: There is none, or a value is no number.
        """
        if not self.rows:
            raise ArtifactError(
                f"{self.where}: there are no predictions of single images. Evaluate again with "
                "python test_config.py, which writes them."
            )
        columns = [self._numbers(names) for names in (PREDICTION, TARGET)]
        images = np.array([str(row.get("image", index)) for index, row in enumerate(self.rows)])
        if not np.isfinite(columns[1]).all():
            raise ArtifactError(f"{self.where}: a target is missing (one of {', '.join(TARGET)}).")
        return Predictions(columns[0], columns[1], columns[1], images)

    def classes(self) -> tuple[list[str], list[str | None]]:
        """Return the true and the predicted class of every image."""
        entries = [(_entry(row, TARGET), _entry(row, PREDICTION)) for row in self.rows]
        return [str(true) for true, _ in entries], [said for _, said in entries]

    def _numbers(self, names: Sequence[str]) -> np.ndarray:
        """Return one column as float64 (N,)."""
        try:
            return np.array([_entry(row, names) for row in self.rows], dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ArtifactError(f"{self.where}: '{names[0]}' should be a number ({error}).") from (
                error
            )


def load_evaluation(path: str | Path) -> dict[str, Evaluated]:
    """Read an ``eval_results.json``.

    Args:
        path: The file, or the work_dir that holds it.

    Returns:
        What the model scores, by data set.

    Raises:
        ArtifactError: The file is missing, is no JSON, or has another form.
    """
    advice = "python test_config.py CONFIG writes it into the run's work_dir."
    path, content = read_artifact(path, FILE_NAME, advice)
    datasets = content.get("datasets") if isinstance(content, dict) else None
    if not isinstance(datasets, dict) or not datasets:
        raise ArtifactError(f"{path}: 'datasets' is missing. Is it the file of an evaluation?")
    return {name: _evaluated(entry, f"{path}, {name}") for name, entry in datasets.items()}


def _evaluated(entry: Any, where: str) -> Evaluated:  # noqa: ANN401
    """Return one data set's entry after checking its form."""
    metrics = entry.get("metrics", {}) if isinstance(entry, dict) else None
    rows = entry.get("predictions") or [] if isinstance(entry, dict) else None
    if not isinstance(metrics, dict) or not isinstance(rows, list):
        raise ArtifactError(f"{where}: expected metrics and predictions.")
    if not all(isinstance(row, dict) for row in rows):
        raise ArtifactError(f"{where}: predictions should be a list of objects.")
    return Evaluated(metrics, rows, where)


def _entry(row: dict[str, Any], names: Sequence[str]) -> Any:  # noqa: ANN401
    """Return the first of the entries that a row has, or None."""
    return next((row[name] for name in names if name in row), None)
