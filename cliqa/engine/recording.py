"""What a model gives for a data set after a step of a stream: measured as a row, and stored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from avalanche.benchmarks import CLScenario

from cliqa.benchmarks.experience import unseen_names
from cliqa.engine.targets import Outputs, Row, Targets
from cliqa.engine.work_dir.agreement import Agreement
from cliqa.evaluation.anytime import anytime_summary
from cliqa.evaluation.records.predictions import Predictions, save_predictions
from cliqa.evaluation.records.results import Results
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)


def stream_facts(benchmark: CLScenario) -> dict[str, Any]:
    """Return what a checkpoint tells of a stream: the classes' names and the images' channels."""
    classes = list(getattr(benchmark, "class_names", ()))
    return {"classes": classes, "channels": getattr(benchmark, "channels", 3)}


class Recording:
    """The evaluations of a run's models.

    Args:
        work_dir: The run's folder.
        benchmark: The stream.
        targets: What its labels are.
        labels: The names of its steps.
        bootstrap: Resamples for the confidence intervals; 0 for none.
        seed: Of the resamples.
    """

    def __init__(
        self,
        work_dir: Path,
        benchmark: CLScenario,
        targets: Targets,
        labels: Sequence[str],
        bootstrap: int,
        seed: int,
    ) -> None:
        self._work_dir, self._benchmark, self._targets = work_dir, benchmark, targets
        self._labels, self._bootstrap, self._seed = labels, bootstrap, seed
        joint = len(labels) < len(benchmark.names)
        self._agreement = Agreement(work_dir, [] if joint else benchmark.names)
        self._outputs: dict[str, Predictions] = {}

    def row(self, step: int, name: str, prediction: np.ndarray, target: np.ndarray) -> Row:
        """Return the row of the model after `step` on one data set; `store` writes its outputs."""
        found = Outputs(self._benchmark, name, prediction, target)
        self._outputs[name] = self._targets.predictions(found)
        measured = self._targets.measures(found, bootstrap=self._bootstrap, seed=self._seed)
        row = {"kind": "eval", "experience": step, "after": self._labels[step], "dataset": name}
        row |= {"unseen": True} if name in unseen_names(self._benchmark) else {}
        row |= measured
        if self._targets.agrees:
            row |= self._agreement.of(name, step, prediction)
        for warning in measured["warnings"]:  # for the log file: the table at the end lists them
            logger.debug("after %s on %s: %s", self._labels[step], name, warning)
        return row

    def store(self, step: int, *, add: bool = False) -> None:
        """Write the outputs since the last call; `add` them to those of other data sets."""
        if self._outputs:
            save_predictions(self._work_dir, step, self._outputs, add=add)
        self._outputs = {}

    def results(
        self,
        epochs: Sequence[Row],
        evaluations: Sequence[Row],
        **facts: Any,  # noqa: ANN401
    ) -> Results:
        """Return the content of results.json; `facts` are those of `Targets.results`."""
        rows = [*epochs, *evaluations]
        anytime = anytime_summary(rows, self._benchmark.names, self._targets.measure)
        return self._targets.results(
            *(self._benchmark, evaluations),
            joint=len(self._labels) < len(self._benchmark.names),
            seed=self._seed,
            anytime=anytime,
            **facts,
        )
