"""Chosen figures of runs and evaluations, drawn from their files into a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from cliqa.evaluation.classification import confusion_matrix
from cliqa.evaluation.records.eval_results import FILE_NAME, DataSetScores, load_evaluation
from cliqa.evaluation.records.results import Results, load_results, main_measure
from cliqa.utils.errors import ArtifactError, ConfigError
from cliqa.visualization.comparison import draw_comparison, draw_evaluations
from cliqa.visualization.confusion import draw_counts
from cliqa.visualization.curves import draw_forgetting
from cliqa.visualization.history import draw_histories, draw_history, load_metrics
from cliqa.visualization.matrix import draw_matrix
from cliqa.visualization.run import FileFormat
from cliqa.visualization.scatter import draw_scatter
from cliqa.visualization.style import save_figure
from cliqa.visualization.tradeoff import draw_tradeoff, named_runs, points_of


@dataclass(frozen=True)
class Target:
    """Where and how figures are written.

    Args:
        folder: The folder; None for the ``figures`` folder of the run that is drawn, or the current
            folder where several are.
        file_format: The files' format and suffix.
        dpi: Pixels per inch.
    """

    folder: Path | None = None
    file_format: FileFormat = "png"
    dpi: int = 200

    def save(self, figures: Mapping[str, Figure], of: Sequence[Path] = ()) -> list[Path]:
        """Write figures by their names without a suffix, and return the files."""
        folder = self.folder or (figure_folder(of[0]) if len(of) == 1 else Path())
        return [
            save_figure(figure, folder / f"{name}.{self.file_format}", self.dpi)
            for name, figure in figures.items()
        ]


def figure_folder(path: Path) -> Path:
    """Return the ``figures`` folder of a work_dir, or of the work_dir that a file lies in.

    >>> figure_folder(Path("runs/a/checkpoints/last.pth")).as_posix()
    'runs/a/figures'
    """
    if path.suffix in (".json", ".jsonl", ".pth"):
        path = path.parent.parent if path.parent.name == "checkpoints" else path.parent
    return path / "figures"


def draw_training(paths: Sequence[Path], labels: Sequence[str], target: Target) -> list[Path]:
    """Draw the training of one run, or of several over each other: ``training``.

    Args:
        paths: Work_dirs, or their ``metrics.jsonl``.
        labels: Names to show, one a run; none for the folders' own.
        target: Where to write.

    Raises:
        ArtifactError: A run is missing or has no epoch, or a file is damaged.
        ConfigError: The labels do not fit.
    """
    names = run_names(paths, labels)
    if missing := [path for path in paths if not path.exists()]:
        raise ArtifactError(f"{missing[0]}: no such work_dir. Give a run's: work_dirs/NAME.")
    rows = {name: load_metrics(path) for name, path in zip(names, paths, strict=True)}
    figure = draw_histories(rows) if len(rows) > 1 else draw_history(rows[names[0]])
    return target.save({"training": figure}, paths)


def draw_compared_training(
    paths: Sequence[Path], labels: Sequence[str], target: Target
) -> list[Path]:
    """Draw the training of two runs or more over each other; see `draw_training`.

    Raises:
        ArtifactError: There is one input only; or as `draw_training`.
    """
    if len(paths) < 2:
        raise ArtifactError("a comparison needs two inputs or more: give several work_dirs.")
    return draw_training(paths, labels, target)


def draw_evaluated(paths: Sequence[Path], labels: Sequence[str], target: Target) -> list[Path]:
    """Draw the predictions of one evaluation (``evaluation``); of several, their measures.

    The paths are ``eval_results.json`` files, or work_dirs that hold one.

    Raises:
        ArtifactError: A file is missing, damaged, or lacks what is to be drawn.
        ConfigError: The labels do not fit.
    """
    names = run_names(paths, labels)
    found = {name: load_evaluation(path) for name, path in zip(names, paths, strict=True)}
    if len(found) > 1:
        return target.save({"evaluation_comparison": draw_evaluations(found)}, paths)
    label = labels[0] if labels else ""
    return target.save({"evaluation": draw_evaluation(found[names[0]], label)}, paths)


def draw_compared(paths: Sequence[Path], labels: Sequence[str], target: Target) -> list[Path]:
    """Draw several runs side by side, or several evaluations where files of those are given.

    Raises:
        ArtifactError: There is one input only, both kinds are mixed, or a file is damaged.
        ConfigError: The labels do not fit.
    """
    if len(paths) < 2:
        raise ArtifactError("a comparison needs two inputs or more: give several work_dirs.")
    of_evaluation = {path.suffix == ".json" and path.name != "results.json" for path in paths}
    if len(of_evaluation) > 1:
        raise ArtifactError(f"give work_dirs alone, or files like {FILE_NAME} alone.")
    if of_evaluation == {True}:
        return draw_evaluated(paths, labels, target)
    return target.save({"comparison": draw_comparison(load_runs(paths, labels))}, paths)


def draw_tradeoffs(paths: Sequence[Path], labels: Sequence[str], target: Target) -> list[Path]:
    """Draw plasticity against stability (``tradeoff``), a line a method over its settings.

    A run whose label, or folder, ends in a number (``EWC=0.1``, ``photos_ewc_0.1``) is one setting
    of a method; runs of one name, such as seeds, are averaged.

    Raises:
        ArtifactError: A file is missing or damaged, or no run has both numbers.
        ConfigError: The labels do not fit.
    """
    runs = named_runs(paths, labels)
    figure = draw_tradeoff(points_of(runs), main_measure(runs[0][1]))
    return target.save({"tradeoff": figure}, paths)


def draw_matrices(paths: Sequence[Path], labels: Sequence[str], target: Target) -> list[Path]:
    """Draw a run's score matrices (``matrix_srcc`` ...) and its forgetting.

    Raises:
        ArtifactError: There is more than one input, or ``results.json`` is missing or damaged.
    """
    if len(paths) > 1 or labels:
        raise ArtifactError("a matrix is one run's: give one work_dir, without --labels.")
    results = load_results(paths[0])
    shown = dict.fromkeys([main_measure(results), "plcc", "accuracy_task_il"])
    figures = {f"matrix_{m}": draw_matrix(results, m) for m in shown if m in results["matrix"]}
    if not results.get("joint") and len(next(iter(results["matrix"].values()))) > 1:
        figures["forgetting"] = draw_forgetting(results)
    return target.save(figures, paths)


def draw_evaluation(evaluation: Mapping[str, DataSetScores], label: str = "") -> Figure:
    """Draw one model's predictions: a scatter plot of scores, or a confusion matrix of classes.

    Raises:
        ArtifactError: Single predictions are missing, or scores and classes are mixed.
    """
    kinds = {data.of_classes for data in evaluation.values()}
    if len(kinds) > 1:
        raise ArtifactError("one evaluation has scores and classes: nothing shows both.")
    if kinds == {True}:
        return _confusion(evaluation, label)
    intervals = {name: data.intervals for name, data in evaluation.items()}
    scores = {name: data.scores() for name, data in evaluation.items()}
    return draw_scatter(scores, f"of {label}" if label else "", intervals)


def _confusion(evaluation: Mapping[str, DataSetScores], label: str) -> Figure:
    """Draw the classes of all experiences in one matrix."""
    pairs = [pair for data in evaluation.values() for pair in zip(*data.classes(), strict=True)]
    known = [(true, guess) for true, guess in pairs if guess is not None]
    if not known:
        raise ArtifactError("the evaluation predicts no class: the training has diverged.")
    classes = sorted({name for pair in known for name in pair})
    numbers = {name: index for index, name in enumerate(classes)}
    guesses = np.array([numbers[guess] for _, guess in known])
    true = np.array([numbers[true] for true, _ in known])
    return draw_counts(
        confusion_matrix(guesses, true, len(classes)), classes, label or "evaluation"
    )


def load_runs(work_dirs: Sequence[Path], labels: Sequence[str] = ()) -> dict[str, Results]:
    """Return the results of several runs by names that differ; see `run_names`."""
    names = run_names(work_dirs, labels)
    return {name: load_results(path) for name, path in zip(names, work_dirs, strict=True)}


def run_names(paths: Sequence[Path], labels: Sequence[str] = ()) -> list[str]:
    """Return a name for every run, all different.

    Args:
        paths: Work_dirs, or files in them. A run is called after it; where two are called the
            same, after as much of the path as distinguishes them.
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
