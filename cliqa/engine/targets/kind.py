"""The interface of targets: what training and evaluation need to know about a stream's labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from avalanche.benchmarks import CLScenario
from torch import Tensor, nn

from cliqa.evaluation.records.build_results import build_results
from cliqa.evaluation.records.results import Results


class Targets(ABC):
    """How outputs are checked, evaluated, stored and summarised, for one kind of targets.

    Attributes:
        measure: The main measure: ``"srcc"``, ``"accuracy"``.
        title: The same for people.
    """

    measure: ClassVar[str]
    title: ClassVar[str]

    @property
    def validation_key(self) -> str:
        """The key of an epoch's row that holds the measure on the validation split."""
        return f"val_{self.measure}"

    @abstractmethod
    def loss(self, loss: nn.Module) -> nn.Module:
        """Return a loss that checks its arguments and computes in float32."""

    @abstractmethod
    def check_outputs(self, outputs: Tensor, count: int, what: str, benchmark: CLScenario) -> None:
        """Refuse outputs whose shape does not fit these targets.

        Args:
            outputs: What the model gave.
            count: For how many samples.
            what: Which ones, for the message.
            benchmark: The stream they are from.

        Raises:
            ModelError: With advice.
        """

    def validate(self, outputs: np.ndarray, targets: np.ndarray) -> float | None:
        """Return the main measure on a validation split, None where it is not defined."""
        return self.score(outputs, targets) if np.isfinite(outputs).all() else None

    @abstractmethod
    def score(self, outputs: np.ndarray, targets: np.ndarray) -> float | None:
        """Return the main measure of finite outputs."""

    @abstractmethod
    def measures(
        self,
        benchmark: CLScenario,
        name: str,
        outputs: np.ndarray,
        targets: np.ndarray,
        *,
        bootstrap: int,
        seed: int,
    ) -> dict[str, Any]:
        """Return the measures of one data set as plain types, with intervals and warnings."""

    @abstractmethod
    def store(
        self,
        benchmark: CLScenario,
        work_dir: Path,
        step: int,
        name: str,
        outputs: np.ndarray,
        targets: np.ndarray,
    ) -> None:
        """Write a model's outputs for a data set after a step, finite or not."""

    def results(
        self,
        benchmark: CLScenario,
        rows: Sequence[dict[str, Any]],
        *,
        work_dir: Path,
        joint: bool,
        **facts: Any,  # noqa: ANN401
    ) -> Results:
        """Return the content of results.json.

        Args:
            benchmark: The stream.
            rows: One a step and data set.
            work_dir: The run's folder.
            joint: The model saw all data at once.
            facts: Status, seed, config, seconds, memory, warnings.
        """
        names = benchmark.names
        own = self.summary_arguments(benchmark, rows, work_dir=work_dir, joint=joint)
        return build_results(rows, experiences=names, datasets=names, joint=joint, **own, **facts)

    @abstractmethod
    def summary_arguments(
        self,
        benchmark: CLScenario,
        rows: Sequence[dict[str, Any]],
        *,
        work_dir: Path,
        joint: bool,
    ) -> dict[str, Any]:
        """Return `build_results`' arguments for this kind of targets; see `results`."""
