"""A run's results as pandas tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cliqa.api.run_images import RunImages
from cliqa.evaluation.classification import predicted_classes
from cliqa.evaluation.records.predictions import (
    ScorePredictions,
    load_class_predictions,
    load_predictions,
)
from cliqa.evaluation.records.results import FILE_NAME, load_results, main_measure, row_labels
from cliqa.evaluation.summary import MEANINGS
from cliqa.utils.checkpoint import FOLDER
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
    def changed(self) -> float:
        """When the run last wrote about itself, in seconds since 1970: its results, or an epoch."""
        files = [self.work_dir / name for name in (FILE_NAME, "metrics.jsonl")]
        return max((file.stat().st_mtime for file in files if file.is_file()), default=0.0)

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

    @property
    def costs(self) -> pd.DataFrame:
        """What each experience has cost; NaN where a run of an earlier version did not tell.

        A row per experience; columns: ``train_seconds``, ``eval_seconds``, ``peak_bytes`` (the most
        memory in use so far) and ``kept_bytes`` (weights and what the method keeps).
        """
        seconds, memory = self.content["seconds"], self.content["memory"]
        columns = {
            "train_seconds": seconds.get("train"),
            "eval_seconds": seconds.get("eval"),
            "peak_bytes": memory.get("peak"),
            "kept_bytes": memory.get("kept"),
        }
        rows = row_labels(self.content)
        whole = {
            name: [*(values or ())][: len(rows)] + [np.nan] * (len(rows) - len(values or ()))
            for name, values in columns.items()
        }
        return pd.DataFrame(whole, index=pd.Index(rows), dtype=float)

    @property
    def checkpoints(self) -> dict[str, str]:
        """The names of the checkpoints that are kept, for `load`, by what they have learnt.

        ``{"after eva": "exp_0", ...}``; ``keep`` of ``checkpoint_config`` decides which there are.
        """
        folder = self.work_dir / FOLDER
        names = {label: f"exp_{t}" for t, label in enumerate(row_labels(self.content))}
        return {label: name for label, name in names.items() if (folder / f"{name}.pth").is_file()}

    def predictions(self, dataset: str, after: str | None = None) -> pd.DataFrame:
        """Return what a model of the run predicts for the test images of a data set.

        Args:
            dataset: The data set.
            after: The model, as the rows of `matrix` are called: ``"after eva"``; by default the
                last one.

        Returns:
            A row per image. Of scores: ``image`` (the file's name), ``prediction``, ``target``
            (0..1, higher = better), ``raw_prediction``, ``raw_target`` (on the own scale) and
            ``error`` (prediction - target). Of classes: ``image``, ``prediction``, ``probability``
            and ``target``; a model that has diverged predicts None.

        Raises:
            ArtifactError: The run has no such data set or model, or its file is missing or damaged.
        """
        labels = row_labels(self.content)
        after = labels[-1] if after is None else after
        if dataset not in self.content["datasets"]:
            known = ", ".join(self.content["datasets"])
            raise ArtifactError(
                f"{self.work_dir}: no data set '{dataset}' in its results. It has {known}."
            )
        if after not in labels:
            raise ArtifactError(
                f"{self.work_dir}: no model '{after}' in its results. It has {', '.join(labels)}."
            )
        place = labels.index(after)
        if main_measure(self.content) == "accuracy":
            return _class_table(self.work_dir, place, dataset)
        return _score_table(load_predictions(self.work_dir, place, dataset))

    def images(self, trust: bool = False) -> RunImages:
        """Return a reader of the test images that `predictions` lists.

        Args:
            trust: Let the run's checkpoint name any component.

        Raises:
            CheckpointError: The run has no checkpoint.
        """
        return RunImages(self.work_dir, trust)


def _score_table(found: ScorePredictions) -> pd.DataFrame:
    """Return predictions of scores as a table."""
    own = found.on_own_scale()
    return pd.DataFrame(
        {
            "image": found.image,
            "prediction": found.prediction,
            "target": found.target,
            "raw_prediction": own.prediction,
            "raw_target": found.raw,
            "error": found.prediction - found.target,
        }
    )


def _class_table(work_dir: Path, place: int, dataset: str) -> pd.DataFrame:
    """Return predictions of classes as a table."""
    found = load_class_predictions(work_dir, place, dataset)
    names = [*found.classes.tolist()]
    known = np.isfinite(found.logits).all()
    best = predicted_classes(found.logits) if known else np.zeros(len(found.target), dtype=int)
    powers = np.exp(found.logits - found.logits.max(axis=1, keepdims=True)) if known else None
    shares = None if powers is None else powers[np.arange(len(best)), best] / powers.sum(axis=1)
    return pd.DataFrame(
        {
            "image": found.image,
            "prediction": [names[k] if known and k < len(names) else None for k in best],
            "probability": np.nan if shares is None else shares,
            "target": [names[k] for k in found.target],
        }
    )


def results(work_dir: str | Path) -> RunResults:
    """Return the results of a run, finished or not.

    Args:
        work_dir: The run's folder.

    Raises:
        ArtifactError: The folder holds no results, or they are damaged.
    """
    folder = Path(work_dir)
    return RunResults(folder, load_results(folder))
