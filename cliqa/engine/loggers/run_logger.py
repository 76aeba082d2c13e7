"""Loggers that show a whole run: its config, curves, score matrix and figures.

`RunLogger` is the base, also of loggers of one's own; `Audience` calls those of a run.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from avalanche.logging import BaseLogger

from cliqa.evaluation.records.results import Results, row_labels

Facts = dict[str, Any]
"""What a logger lets ``run.json`` keep: the ``id`` of a run in its service, a ``link`` to it."""

MATRICES = ("srcc", "plcc", "accuracy", "accuracy_task_il")
"""The matrices that are shown."""

LEFT_OUT = ("kind", "experience", "name", "epoch", "best_epoch", "anytime")
"""Parts of an epoch's row that are no curve of their own."""


class RunLogger(BaseLogger):
    """A logger that shows a whole run; a subclass defines what it can.

    A run calls `log_run` once, `log_values` after every epoch and evaluation, `log_table` and
    `log_image` at its end, and `close`. Avalanche's metrics come as values over ``iteration``.

    Attributes:
        failures: Errors that must not stop a run: the first one is reported, the others ignored.
    """

    failures: ClassVar[tuple[type[Exception], ...]] = (Exception,)

    def log_run(self, config: Mapping[str, Any], work_dir: Path, earlier: Facts) -> Facts | None:
        """Show a run's config, and resume what an earlier process of the same run began.

        Args:
            config: The resolved config, as plain types.
            work_dir: The run's folder; its name is the run's.
            earlier: What this method returned to a run that is resumed now; empty for a new run.

        Returns:
            What ``run.json`` keeps.
        """
        return None

    def log_values(self, values: Mapping[str, float], axis: str, place: int) -> None:
        """Add a point to curves.

        Args:
            values: Finite numbers by the curves' names: ``train/loss``, ``train/lr``,
                ``val/srcc/eva``, ``test/srcc/eva`` ...
            axis: What they are drawn over: ``"iteration"``, ``"epoch"`` (of the whole run, from 1)
                or ``"experience"`` (from 1).
            place: The place on that axis.
        """

    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Show a table, e.g. the score matrix; None stands for what is not defined."""

    def log_image(self, name: str, file: Path) -> None:
        """Show a figure."""

    def log_single_metric(self, name: str, value: object, x_plot: int) -> None:
        """Pass a number of Avalanche's metrics on."""
        if isinstance(value, (int, float)):
            self.log_values({name: value}, "iteration", x_plot)

    def close(self) -> None:
        """Write what is left, and end."""


def earlier_facts(work_dir: str | Path) -> dict[str, Facts]:
    """Return what ``run.json`` of a run that is resumed keeps of its loggers, by their names."""
    try:
        found = json.loads((Path(work_dir) / "run.json").read_text(encoding="utf-8"))
        return {str(k): dict(v) for k, v in dict(found.get("loggers") or {}).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


class Audience:
    """The loggers of a run that show it as a whole.

    Args:
        loggers: All its loggers.
    """

    def __init__(self, loggers: Iterable[object]) -> None:
        self.loggers = [logger for logger in loggers if isinstance(logger, RunLogger)]

    def begin(self, config: Mapping[str, Any], work_dir: Path) -> dict[str, Facts]:
        """Show the config; return what ``run.json`` keeps, by the loggers' names."""
        kept = earlier_facts(work_dir)
        facts = {}
        for logger in self.loggers:
            name = type(logger).__name__
            earlier = kept.get(name, {})
            found = {**earlier, **(logger.log_run(config, work_dir, earlier) or {})}
            if found:
                facts[name] = found
        return facts

    def epoch(self, row: Mapping[str, Any], number: int) -> None:
        """Show an epoch's row of ``metrics.jsonl``; `number` counts from 1 over the whole run."""
        values = {_curve(key, row["name"]): row[key] for key in row if key not in LEFT_OUT}
        self._values(values, "epoch", number)

    def evaluation(self, rows: Iterable[Mapping[str, Any]], step: int) -> None:
        """Show the rows of the evaluations after step `step`, counted from 0."""
        values = {
            f"test/{measure}/{row['dataset']}": row.get(measure)
            for row in rows
            for measure in MATRICES
        }
        self._values(values, "experience", step + 1)

    def earlier(
        self, epochs: Sequence[Mapping[str, Any]], evaluations: Sequence[Mapping[str, Any]]
    ) -> None:
        """Show the rows of a run that has gone on in another folder."""
        for number, row in enumerate(epochs, 1):
            self.epoch(row, number)
        for step in sorted({row["experience"] for row in evaluations}):
            self.evaluation((row for row in evaluations if row["experience"] == step), step)

    def finish(self, results: Results | None, figures: Iterable[Path]) -> None:
        """Show the score matrices, their summary, and the figures."""
        matrices = results["matrix"] if results else {}
        for logger in self.loggers:
            for measure in (name for name in MATRICES if results and name in matrices):
                labels = row_labels(results)  # type: ignore[arg-type]
                rows = [[label, *row] for label, row in zip(labels, matrices[measure], strict=True)]
                logger.log_table(f"matrix/{measure}", ["", *results["datasets"]], rows)  # type: ignore[index]
            if results and results.get("summary"):
                rows = [[name, value] for name, value in results["summary"].items()]
                logger.log_table("summary", ["measure", "value"], rows)
            for file in figures:
                logger.log_image(f"figures/{file.stem}", file)

    def _values(self, values: Mapping[str, Any], axis: str, place: int) -> None:
        """Pass on the values that are finite numbers."""
        finite = {
            name: float(value)
            for name, value in values.items()
            if isinstance(value, (int, float)) and math.isfinite(value)
        }
        for logger in self.loggers if finite else ():
            logger.log_values(finite, axis, place)


def _curve(key: str, name: str) -> str:
    """Return the name of a curve of an epoch's number.

    >>> _curve("loss", "eva"), _curve("val_srcc", "eva")
    ('train/loss', 'val/srcc/eva')
    """
    kind, _, measure = key.partition("_")
    return f"{kind}/{measure}/{name}" if kind in ("train", "val") and measure else f"train/{key}"
