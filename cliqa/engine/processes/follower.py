"""A run in the processes beside the main one: it learns the same, and writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

import numpy as np
from avalanche.benchmarks import CLScenario
from avalanche.training.templates import SupervisedTemplate

from cliqa.benchmarks.experience import evaluated_names
from cliqa.engine.run import Run
from cliqa.engine.targets import Row
from cliqa.engine.work_dir.source import can_go_on
from cliqa.evaluation.records.results import Results


class _NoRecording:
    """Stores no predictions."""

    def store(self, step: int, *, add: bool = False) -> None:
        """Do nothing."""


class Follower(Run):
    """What `train_stream` asks of a run, without files; the arguments are those of `Run`.

    It resumes from the same checkpoint as the main process, which every machine must see.
    """

    def __enter__(self) -> Run:
        return self

    def begin(self, device: str, warnings: list[str], **facts: object) -> None:
        """Write nothing."""

    def start(
        self,
        strategy: SupervisedTemplate,
        benchmark: CLScenario,
        labels: list[str],
        catch_up: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> None:
        """Resume from the checkpoint, as the main process does."""
        self.names, self.evaluated = list(benchmark.names), evaluated_names(benchmark)
        self._labels = labels
        self.recording = _NoRecording()  # type: ignore[assignment]
        source, self._source = self._source, None
        if source is None or not can_go_on(source, strategy, len(labels)):
            return
        self._restore(source)
        catch_up(source.state["strategy"])
        strategy.load_state_dict(source.state["strategy"])

    def finish_epoch(
        self,
        strategy: SupervisedTemplate,
        row: dict[str, Any],
        seconds: float,
        keep: bool = False,
        cpu_seconds: float = 0.0,
    ) -> None:
        """Count an epoch."""
        self.epochs.append(row)

    def record(self, step: int, name: str, prediction: np.ndarray, target: np.ndarray) -> None:
        """Note that a data set was evaluated."""
        row: Row = {"kind": "eval", "experience": step, "dataset": name}
        self.evaluations.append(row)

    def finish_step(
        self, strategy: SupervisedTemplate, step: int, seconds: float, *, last: bool = False
    ) -> None:
        """Count a step."""
        self.next_step = step + 1

    def finish(self, status: str = "finished") -> Results:
        """Return the status alone: the main process has the results."""
        return {"status": status}

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Do nothing."""
