"""All figures of a run, drawn from the files in its work_dir."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from matplotlib.figure import Figure

from cliqa.evaluation.records.predictions import (
    ClassPredictions,
    ScorePredictions,
    load_class_predictions,
    load_predictions,
    prediction_path,
)
from cliqa.evaluation.records.results import Results, load_results, main_measure, row_labels
from cliqa.utils.errors import ArtifactError, ConfigError
from cliqa.visualization.comparison import draw_comparison
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
    """Draw all figures that a run's files allow.

    ``score_matrix`` always; ``scores`` (curves) from two experiences on; ``history`` where
    ``metrics.jsonl`` has epochs; ``scatter`` (of scores) or ``confusion`` (of classes) where the
    last model's predictions are stored.

    Args:
        work_dir: The run's folder.
        out: Where to write; by default the run's ``figures`` folder.
        file_format: ``"png"``, ``"pdf"`` or ``"svg"``.
        dpi: Pixels per inch.

    Returns:
        The files written, in the order above.

    Raises:
        ArtifactError: ``results.json`` is missing, or a file is damaged.
    """
    work_dir = Path(work_dir)
    results = load_results(work_dir)
    labels = row_labels(results)
    figures: dict[str, Figure] = {"score_matrix": draw_matrix(results)}
    if len(labels) > 1:
        figures["scores"] = draw_scores(results)
    history = [row for row in load_metrics(work_dir) if row.get("kind") == "epoch"]
    if history:
        figures["history"] = draw_history(history)
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


def draw_runs(
    work_dirs: Sequence[Path],
    out: Path,
    *,
    labels: Sequence[str] = (),
    file_format: FileFormat = "png",
    dpi: int = 200,
) -> list[Path]:
    """Draw the comparison of several runs.

    Args:
        work_dirs: The runs' folders, in the order to show.
        out: Where to write ``comparison``.
        labels: Names to show, one a run; see `run_names`.
        file_format: ``"png"``, ``"pdf"`` or ``"svg"``.
        dpi: Pixels per inch.

    Returns:
        The file written.

    Raises:
        ArtifactError: A ``results.json`` is missing or damaged.
        EvaluationError: The runs have different measures.
    """
    figure = draw_comparison(load_runs(work_dirs, labels))
    return [save_figure(figure, Path(out) / f"comparison.{file_format}", dpi)]


def load_runs(work_dirs: Sequence[Path], labels: Sequence[str] = ()) -> dict[str, Results]:
    """Return the results of several runs by names that differ; see `run_names`.

    Raises:
        ArtifactError: A ``results.json`` is missing or damaged, or a folder is given twice.
        ConfigError: The labels are others than one a run.
    """
    names = run_names(work_dirs, labels)
    return {name: load_results(path) for name, path in zip(names, work_dirs, strict=True)}


def run_names(paths: Sequence[Path], labels: Sequence[str] = ()) -> list[str]:
    """Return a name for every run, all different.

    Args:
        paths: Work_dirs, or files in them. A run is called after it; where two are called the
            same, after as much of the path as tells them apart.
        labels: The names to take instead.

    Raises:
        ArtifactError: A path is given twice.
        ConfigError: There are more or fewer labels than paths, or two are the same.
    """
    folders = [Path(path).resolve() for path in paths]
    if len(set(folders)) < len(folders):
        raise ArtifactError("the same work_dir is given twice.")
    if labels:
        if len(labels) != len(paths) or len(set(labels)) < len(labels):
            raise ConfigError(
                f"--labels: {len(labels)} for {len(paths)} runs. Give each a name of its own."
            )
        return list(labels)
    runs = [path.parent if path.suffix in (".json", ".jsonl") else path for path in folders]
    if len(set(runs)) == len(runs):
        folders = runs
    depth = 1
    while len({folder.parts[-depth:] for folder in folders}) < len(folders):
        depth += 1
    return ["/".join(folder.parts[-depth:]) for folder in folders]


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
        if "srcc" in results["matrix"] and prediction_path(work_dir, last, name).is_file()
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
        if value is not None and prediction_path(work_dir, last, name).is_file()
    ]
