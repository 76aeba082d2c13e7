"""A run's results as pandas tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cliqa.evaluation.records.results import load_results, main_measure, row_labels
from cliqa.evaluation.summary import MEANINGS
from cliqa.utils.errors import ArtifactError
from cliqa.visualization.history import load_metrics


@dataclass(frozen=True)
class RunResults:
    """What a run has measured.

    Attributes:
        work_dir: The run's folder.
        content: The content of its ``results.json``.
    """

    work_dir: Path
    content: dict[str, Any]

    @property
    def status(self) -> str:
        """``"finished"``, or ``"running"`` or ``"stopped"`` while experiences are to come."""
        return str(self.content["status"])

    @property
    def warnings(self) -> list[str]:
        """What the numbers should be read with."""
        return list(self.content["warnings"])

    def matrix(self, measure: str | None = None) -> pd.DataFrame:
        """Return the score matrix: a row per trained experience, a column per data set.

        Args:
            measure: ``"srcc"``, ``"plcc"``, ``"accuracy"`` ...; None for the run's main measure.

        Raises:
            ArtifactError: The run has no such measure.
        """
        known = self.content["matrix"]
        measure = measure or main_measure(self.content)
        if measure not in known:
            raise ArtifactError(
                f"{self.work_dir}: no measure '{measure}' in its results. It has "
                f"{', '.join(known)}."
            )
        rows = pd.Index(row_labels(self.content), name=measure)
        return pd.DataFrame(
            known[measure], index=rows, columns=self.content["datasets"], dtype=float
        )

    @property
    def metrics(self) -> pd.DataFrame:
        """Every measure of every cell of the matrix, with its 95 % interval.

        Columns: ``after``, ``dataset``, ``measure``, ``value``, ``low``, ``high``.
        """
        rows = []
        for measure, matrix in self.content["matrix"].items():
            bands = self.content["interval"].get(measure)
            for t, label in enumerate(row_labels(self.content)):
                for k, name in enumerate(self.content["datasets"]):
                    low, high = (bands[t][k] if bands else None) or (None, None)
                    rows.append((label, name, measure, matrix[t][k], low, high))
        columns = ["after", "dataset", "measure", "value", "low", "high"]
        table = pd.DataFrame(rows, columns=columns)
        return table.astype(dict.fromkeys(columns[3:], float))

    @property
    def summary(self) -> pd.DataFrame:
        """The numbers that sum the matrix up, by name.

        Columns: ``value`` (NaN where it is not defined), ``meaning``, ``reason`` (why it is NaN).
        """
        reasons = dict(text.split(": ", 1) for text in self.warnings if ": " in text)
        rows = {
            name: (value, MEANINGS.get(name, ""), reasons.get(name, "") if value is None else "")
            for name, value in self.content["summary"].items()
        }
        table = pd.DataFrame.from_dict(rows, orient="index", columns=["value", "meaning", "reason"])
        return table.astype({"value": float})

    @property
    def history(self) -> pd.DataFrame:
        """A row per epoch: experience, its name, epoch, loss, learning rate, validation scores."""
        rows = [row for row in load_metrics(self.work_dir) if row.get("kind") == "epoch"]
        return pd.DataFrame(rows).drop(columns="kind", errors="ignore")


def results(work_dir: str | Path) -> RunResults:
    """Return the results of a run, finished or not.

    Args:
        work_dir: The run's folder.

    Raises:
        ArtifactError: The folder holds no results, or they are damaged.
    """
    folder = Path(work_dir)
    return RunResults(folder, load_results(folder))
