"""All figures of a run, drawn from the files in its work_dir."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from matplotlib.figure import Figure

from cliqa.evaluation.records.predictions import (
    ClassPredictions,
    ScorePredictions,
    has_predictions,
    load_class_predictions,
    load_predictions,
)
from cliqa.evaluation.records.results import Results, load_results, main_measure, row_labels
from cliqa.visualization.anytime import draw_anytime
from cliqa.visualization.confusion import draw_confusion
from cliqa.visualization.curves import draw_scores
from cliqa.visualization.history import draw_history, load_metrics
from cliqa.visualization.matrix import draw_matrix
from cliqa.visualization.scatter import Intervals, draw_scatter
from cliqa.visualization.style import save_figure

FileFormat = Literal["png", "pdf", "svg"]


def draw_run(
    work_dir: Path, out: Path | None = None, *, file_format: FileFormat = "png", dpi: int = 200
) -> list[Path]:
    """Draw all figures that a run's files allow, and return the files in this order.

    ``score_matrix`` always; ``scores`` (curves) from two experiences on; ``history`` where
    ``metrics.jsonl`` has epochs; ``anytime`` where an online stream was evaluated within its
    experiences; ``scatter`` (of scores) or ``confusion`` (of classes) where the
    last model's predictions are stored. They go to `out`, by default the run's ``figures`` folder.

    Raises:
        ArtifactError: ``results.json`` is missing, or a file is damaged.
    """
    work_dir = Path(work_dir)
    results = load_results(work_dir)
    labels = row_labels(results)
    figures: dict[str, Figure] = {"score_matrix": draw_matrix(results)}
    if len(labels) > 1:
        figures["scores"] = draw_scores(results)
    rows = load_metrics(work_dir)
    history = [row for row in rows if row.get("kind") == "epoch"]
    if history:
        figures["history"] = draw_history(history)
    if any("anytime" in row for row in history):
        figures["anytime"] = draw_anytime(rows, results)
    predictions = _last_predictions(work_dir, results)
    if predictions:
        figures["scatter"] = draw_scatter(predictions, labels[-1], _intervals(results))
    of_classes = _last_class_predictions(work_dir, results)
    if of_classes:
        figures["confusion"] = draw_confusion(of_classes, labels[-1])
    out = work_dir / "figures" if out is None else Path(out)
    return [
        save_figure(figure, out / f"{name}.{file_format}", dpi) for name, figure in figures.items()
    ]


def _intervals(results: Results) -> dict[str, Intervals]:
    """Return the last model's 95 % intervals by data set and measure."""
    return {
        name: {measure: bands[-1][k] for measure, bands in results["interval"].items()}
        for k, name in enumerate(results["datasets"])
    }


def _last_predictions(work_dir: Path, results: Results) -> dict[str, ScorePredictions]:
    """Return the last model's stored predictions of scores, by data set."""
    last = len(row_labels(results)) - 1
    return {
        name: load_predictions(work_dir, last, name)
        for name in results["datasets"]
        if "srcc" in results["matrix"] and has_predictions(work_dir, last, name)
    }


def _last_class_predictions(work_dir: Path, results: Results) -> list[ClassPredictions]:
    """Return the last model's stored logits, none where they are no numbers."""
    if main_measure(results) != "accuracy":
        return []
    last = len(row_labels(results)) - 1
    row = results["matrix"]["accuracy"][last]
    return [
        load_class_predictions(work_dir, last, name)
        for name, value in zip(results["datasets"], row, strict=True)
        if value is not None and has_predictions(work_dir, last, name)
    ]
