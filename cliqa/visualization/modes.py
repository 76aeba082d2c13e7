"""Chosen figures of runs and evaluations, drawn from their files into a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from cliqa.evaluation.records.eval_results import FILE_NAME, load_evaluation
from cliqa.evaluation.records.results import load_results, main_measure
from cliqa.utils.errors import ArtifactError
from cliqa.visualization.evaluation import draw_evaluation, draw_evaluations
from cliqa.visualization.forgetting import draw_forgetting
from cliqa.visualization.history import draw_histories, draw_history, load_metrics
from cliqa.visualization.matrix import draw_matrix
from cliqa.visualization.run import FileFormat, draw_runs, run_names
from cliqa.visualization.style import save_figure


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
        """Write figures by their names, and return the files.

        Args:
            figures: The figures by file name, without a suffix.
            of: The inputs that they show.
        """
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
        ArtifactError: A run has no epoch, or a file is damaged.
        ConfigError: The labels do not fit.
    """
    names = run_names(paths, labels)
    rows = {name: load_metrics(path) for name, path in zip(names, paths, strict=True)}
    figure = draw_histories(rows) if len(rows) > 1 else draw_history(rows[names[0]])
    return target.save({"training": figure}, paths)


def draw_evaluated(paths: Sequence[Path], labels: Sequence[str], target: Target) -> list[Path]:
    """Draw the predictions of one evaluation (``evaluation``); of several, their measures.

    Args:
        paths: ``eval_results.json`` files, or work_dirs that hold one.
        labels: Names to show, one a file; none for the paths' own.
        target: Where to write ``evaluation``, or ``evaluation_comparison``.

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
    return draw_runs(
        paths,
        target.folder or Path(),
        labels=labels,
        file_format=target.file_format,
        dpi=target.dpi,
    )


def draw_matrices(paths: Sequence[Path], labels: Sequence[str], target: Target) -> list[Path]:
    """Draw a run's score matrices (``matrix_srcc`` ...) and what it has forgotten.

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
