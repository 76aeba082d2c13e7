"""``eval_results.json``: the measures of one model on data sets, for figures and tables.

The form: ``{"datasets": {name: {"metrics": {"srcc": ..., "interval": {...}}, "predictions":
[{"image": ..., "prediction": ..., "target": ...}, ...]}}}``. Files of other programs are read too:
a prediction may be called ``predicted``, a target ``score``, and the list may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cliqa.evaluation.comparison import Evaluation, same_protocol
from cliqa.evaluation.records.gates import gate_notes
from cliqa.evaluation.records.predictions import ScorePredictions
from cliqa.evaluation.records.results import read_artifact
from cliqa.evaluation.records.table_styles import NOT_DEFINED, Style, Table, noted, render
from cliqa.evaluation.records.tables import LABELS, exact, number, verdict
from cliqa.utils.errors import ArtifactError

FILE_NAME = "eval_results.json"
PREDICTION = ("prediction", "predicted", "pred")
TARGET = ("target", "score", "label")
"""What the entries of a file may be called."""

OF_SCORES = ("srcc", "plcc", "plcc_fit", "krcc", "rmse")
OF_CLASSES = ("accuracy", "accuracy_task_il")
HEADS = {**LABELS, "plcc_fit": "PLCC fit", "accuracy_task_il": "task-IL"}

CHANCE = 20
"""Of so many comparisons at 95 %, one is expected to look like a difference by chance alone."""


@dataclass(frozen=True)
class DataSetScores:
    """The measures and predictions of one model on one data set.

    Attributes:
        metrics: The measures by name; ``interval`` holds [low, high] by measure.
        rows: The entries about single images, as the file has them.
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

    def scores(self) -> ScorePredictions:
        """Return the predictions of scores; one that is ``null`` is NaN.

        Raises:
            ArtifactError: There is none, or a value is no number.
        """
        if not self.rows:
            raise ArtifactError(
                f"{self.where}: there are no predictions of single images. Evaluate again with "
                "cliqa test, which writes them."
            )
        columns = [self._numbers(names) for names in (PREDICTION, TARGET)]
        images = np.array([str(row.get("image", index)) for index, row in enumerate(self.rows)])
        if not np.isfinite(columns[1]).all():
            raise ArtifactError(f"{self.where}: a target is missing (one of {', '.join(TARGET)}).")
        known = all("raw_target" in row for row in self.rows)
        raw = self._numbers(("raw_target",)) if known else columns[1]
        return ScorePredictions(columns[0], columns[1], raw, images)

    def classes(self) -> tuple[list[str], list[str | None]]:
        """Return the true and the predicted class of every image."""
        entries = [(_entry(row, TARGET), _entry(row, PREDICTION)) for row in self.rows]
        return [str(true) for true, _ in entries], [
            None if name is None else str(name) for _, name in entries
        ]

    def _numbers(self, names: Sequence[str]) -> np.ndarray:
        """Return one column as float64 (N,)."""
        try:
            return np.array([_entry(row, names) for row in self.rows], dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ArtifactError(f"{self.where}: '{names[0]}' should be a number ({error}).") from (
                error
            )


def load_evaluation(path: str | Path) -> dict[str, DataSetScores]:
    """Read what a model scores, by data set, from an ``eval_results.json`` or its work_dir.

    Raises:
        ArtifactError: The file is missing, is no JSON, or has another form.
    """
    advice = "cliqa test CONFIG writes it into the run's work_dir."
    path, content = read_artifact(path, FILE_NAME, advice)
    datasets = content.get("datasets") if isinstance(content, dict) else None
    if not isinstance(datasets, dict) or not datasets:
        raise ArtifactError(f"{path}: 'datasets' is missing. Is it the file of an evaluation?")
    return {name: _evaluated(entry, f"{path}, {name}") for name, entry in datasets.items()}


def _evaluated(entry: object, where: str) -> DataSetScores:
    """Return one data set's entry after checking its form."""
    metrics = entry.get("metrics", {}) if isinstance(entry, dict) else None
    rows = entry.get("predictions") or [] if isinstance(entry, dict) else None
    if not isinstance(metrics, dict) or not isinstance(rows, list):
        raise ArtifactError(f"{where}: expected metrics and predictions.")
    if not all(isinstance(row, dict) for row in rows):
        raise ArtifactError(f"{where}: predictions should be a list of objects.")
    return DataSetScores(metrics, rows, where)


def _entry(row: dict[str, Any], names: Sequence[str]) -> object:
    """Return the first of the entries that a row has, or None."""
    return next((row[name] for name in names if name in row), None)


def measures_table(evaluations: Mapping[str, Evaluation]) -> Table:
    """Return a line a data set and model, with the 95 % interval of the main measure."""
    measures = _measures(evaluations)
    rows = []
    for dataset in dict.fromkeys(name for e in evaluations.values() for name in e["datasets"]):
        for model, evaluation in evaluations.items():
            data = evaluation["datasets"].get(dataset)
            if data is not None:
                metrics = data["metrics"]
                band = (metrics.get("interval") or {}).get(measures[0])
                values = [number(metrics.get(measure)) for measure in measures]
                rows.append(
                    (dataset, model, str(metrics["n"]), values[0], _range(band), *values[1:])
                )
    heads = [HEADS.get(measure, measure) for measure in measures]
    header = ("data set", "model", "n", heads[0], "95 %", *heads[1:])
    for model, evaluation in evaluations.items():
        undefined = [NOT_DEFINED] * (len(header) - 2)
        rows += [(name, model, *undefined) for name in evaluation.get("absent", ())]
    return Table("Evaluation", header, tuple(rows))


def comparison_lines(comparisons: Sequence[Mapping[str, Any]]) -> Table:
    """Return a line for each of `compare_evaluations`: is A better than B?"""
    rows = []
    for row in comparisons:
        if row["difference"] is None:
            rows.append((row["dataset"], row["a"], row["b"], *[NOT_DEFINED] * 3, row["note"]))
            continue
        difference = f"{row['difference']:+.3f}"
        p_value = NOT_DEFINED if row["p_value"] is None else f"{row['p_value']:.3g}"
        shown = (difference, _range(row["interval"], sign="+"), p_value)
        rows.append((row["dataset"], row["a"], row["b"], *shown, comparison_verdict(row)))
    named = next((row["measure"] for row in comparisons if row["measure"]), "srcc")
    header = ("data set", "A", "B", "A - B", "95 %", "p", "")
    title = f"Paired bootstrap over images: difference of {HEADS.get(named, named)}"
    return Table(title, header, tuple(rows))


def comparison_verdict(row: Mapping[str, Any]) -> str:
    """Return what a comparison shows.

    >>> comparison_verdict({"interval": [0.01, 0.03], "note": None, "n": 100})
    'A is better'
    """
    if row["interval"] is None:
        shown = f"too few images ({row['n']})"
    else:
        shown = verdict(row["interval"], "A is better", "B is better")
    return f"{shown}; {row['note']}" if row["note"] else shown


def evaluation_report(
    evaluations: Mapping[str, Evaluation],
    comparisons: Sequence[Mapping[str, Any]],
    style: Style = "text",
) -> str:
    """Return the report about several models: measures, comparisons and notes.

    Args:
        evaluations: Contents of ``eval_results.json`` by the models' names.
        comparisons: What `compare_evaluations` returned.
        style: See `render`; ``"csv"`` is for machines: one line a number, with all digits, without
            the notes.
    """
    if style == "csv":
        return render(_long_table(evaluations, comparisons), style)
    tables = [measures_table(evaluations)]
    if comparisons:
        tables.append(comparison_lines(comparisons))
    parts = [render(table, style) for table in tables]
    parts.append(noted(_notes(evaluations, comparisons), style, gap="\n"))
    return "\n".join(parts)


def _notes(
    evaluations: Mapping[str, Evaluation], comparisons: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Return the notes below the tables, a line each: the protocol and all warnings."""
    protocols = list(dict.fromkeys(e["protocol"]["shown"] for e in evaluations.values()))
    splits = list(dict.fromkeys(e["protocol"]["split"] for e in evaluations.values()))
    lines = [f"protocol: {'; '.join(protocols)}; split {', '.join(splits)}"]
    if not same_protocol(list(evaluations.values())):
        lines.append(
            "the models saw the images in different ways (their preprocessing differs), which "
            "moves scores as well: compare with care"
        )
    many = sum(row["interval"] is not None for row in comparisons)
    if many >= CHANCE // 4:
        lines.append(
            f"{many} comparisons at 95 %: {many / CHANCE:.1f} of them are expected to show a "
            "difference by chance alone"
        )
    for model, evaluation in evaluations.items():
        for dataset, data in evaluation["datasets"].items():
            lines += [f"{model}, {dataset}: {text}" for text in data["metrics"]["warnings"]]
        lines += [f"{model}, {line}" for line in gate_notes(evaluation.get("gate", {}))]
        for dataset, reason in evaluation.get("absent", {}).items():
            lines.append(f"{model}, {dataset}: not there any more: {reason}")
    return lines


def _long_table(
    evaluations: Mapping[str, Evaluation], comparisons: Sequence[Mapping[str, Any]]
) -> Table:
    """Return every number in a line of its own; a difference has the model ``A - B``."""
    rows = []
    for model, evaluation in evaluations.items():
        for dataset, data in evaluation["datasets"].items():
            metrics = data["metrics"]
            for measure in (*OF_SCORES, "rmse_fit", *OF_CLASSES):
                if measure in metrics:
                    band = (metrics.get("interval") or {}).get(measure) or (None, None)
                    values = exact(metrics[measure], *band)
                    rows.append((dataset, model, measure, *values, "", str(metrics["n"])))
    for row in comparisons:
        if row["difference"] is not None:
            band = row["interval"] or (None, None)
            values = exact(row["difference"], *band, row["p_value"])
            pair = f"{row['a']} - {row['b']}"
            rows.append((row["dataset"], pair, row["measure"], *values, str(row["n"])))
    header = ("dataset", "model", "measure", "value", "low", "high", "p_value", "n")
    return Table("", header, tuple(rows))


def _measures(evaluations: Mapping[str, Evaluation]) -> list[str]:
    """Return the measures to show, the main one first."""
    known = {
        name: value
        for evaluation in evaluations.values()
        for data in evaluation["datasets"].values()
        for name, value in data["metrics"].items()
    }
    return [name for name in (*OF_SCORES, *OF_CLASSES) if name in known]


def _range(band: Sequence[float] | None, sign: str = "") -> str:
    """Return an interval as a table shows it."""
    return f"{band[0]:{sign}.3f}..{band[1]:{sign}.3f}" if band else NOT_DEFINED
