"""How far a model agrees with earlier ones of its run: the stability index is a mean of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cliqa.evaluation.functional import srcc
from cliqa.evaluation.records.build_results import AGREEMENT
from cliqa.evaluation.records.predictions import load_predictions
from cliqa.utils.errors import ArtifactError, EvaluationError


class Agreement:
    """What a run's models predicted right after learning, each for its own data set.

    They are read once, of a run that was resumed, and kept: 8 bytes an image.

    Args:
        work_dir: The run's folder.
        names: The data sets of the experiences, in their order.
    """

    def __init__(self, work_dir: Path, names: Sequence[str]) -> None:
        self._work_dir, self._names = work_dir, list(names)
        self._first: dict[str, np.ndarray] = {}

    def of(self, name: str, step: int, prediction: np.ndarray) -> dict[str, float | None]:
        """Return the part of a row that tells the agreement of the model after a step.

        Args:
            name: The data set.
            step: The step.
            prediction: What the model predicts for it, (N,).

        Returns:
            The SRCC with what the model predicted that had just learnt the data set; None where it
            is not defined, or that prediction is gone. Nothing for what is not learnt before.
        """
        if name in self._names[step : step + 1]:
            self._first[name] = prediction
        if name not in self._names[:step]:
            return {}
        try:
            if name not in self._first:
                found = load_predictions(self._work_dir, self._names.index(name), name)
                self._first[name] = found.prediction
            return {AGREEMENT: srcc(prediction, self._first[name])}
        except (ArtifactError, EvaluationError):
            return {AGREEMENT: None}
