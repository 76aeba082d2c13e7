"""How long a run will still take, by what its epochs and evaluations have taken so far."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from avalanche.benchmarks import CLScenario
from avalanche.training.templates import SupervisedTemplate

from cliqa.benchmarks.experience import evaluated_names
from cliqa.utils.progress import duration

FORWARD_SHARE = 1 / 3
"""Cost of a sample in an evaluation over that in training, before one is measured."""


@dataclass(frozen=True)
class StepWork:
    """What a training step of a stream is made of.

    Attributes:
        epochs: Its epochs.
        trained: Samples of an epoch.
        validated: Samples of a validation, which every ``validate_every``-th epoch has.
        tested: Samples of the evaluation after it.
    """

    epochs: int
    trained: int
    validated: int
    tested: int


def work_of(
    strategy: SupervisedTemplate,
    benchmark: CLScenario,
    steps: Sequence[Sequence[Any]],
    sizes: Mapping[tuple[str, str], int] | None = None,
) -> list[StepWork]:
    """Return what each training step of a stream is made of.

    Args:
        strategy: The strategy; its options are read.
        benchmark: The stream.
        steps: The experiences of each training step.
        sizes: The samples of a split, by the data set's name and the split; None for those of
            `benchmark`.
    """
    if sizes is None:
        sources = getattr(benchmark, "sources", {})
        sizes = {key: len(source) for key, source in sources.items()}
    every = strategy.options.validate_every
    return [
        StepWork(
            strategy.epochs_of(step),
            strategy.samples_of(steps, index),
            _validated(benchmark, step, sizes) if every else 0,
            _tested(benchmark, steps[: index + 1], sizes),
        )
        for index, step in enumerate(steps)
    ]


class Forecast:
    """The seconds that are left of a training over a stream.

    Samples that are still to be trained on and to be evaluated, times what a sample took last.

    Args:
        strategy: The strategy; its clock and options are read.
        benchmark: The stream.
        steps: The experiences of each training step.
        first: The index of the first step that is left, after a resume.
    """

    def __init__(
        self,
        strategy: SupervisedTemplate,
        benchmark: CLScenario,
        steps: Sequence[Sequence[Any]],
        first: int = 0,
    ) -> None:
        self._strategy = strategy
        work = work_of(strategy, benchmark, steps)
        self._epochs = [step.epochs for step in work]
        self._trained = [step.trained for step in work]
        self._validated = [step.validated for step in work]
        self._every = max(1, strategy.options.validate_every)
        self._tested = [step.tested for step in work]
        self._epochs[:first] = [0] * first
        self._tested[:first] = [0] * first
        self._cost: float | None = None  # seconds of a trained sample
        self._test_cost: float | None = None
        self._step = first
        self._marked = time.monotonic()  # when something ended last

    def trained(self, step: int, epoch: int, seconds: float) -> None:
        """Note that an epoch of a step ended; `seconds` with its validation."""
        self._step = step
        samples = self._trained[step] + FORWARD_SHARE * self._validated[step]
        self._cost = seconds / max(1.0, samples)
        self._epochs[step] = max(0, self._strategy.train_epochs - epoch)
        self._marked = time.monotonic()

    def evaluated(self, step: int, seconds: float) -> None:
        """Note that the evaluation after a step ended."""
        if self._tested[step]:
            self._test_cost = seconds / self._tested[step]
        self._epochs[step] = self._tested[step] = 0
        self._marked = time.monotonic()

    def left(self) -> float | None:
        """Return the seconds left; None before anything is measured."""
        now, cost = time.monotonic(), self._cost
        if cost is None:  # the first epoch is not over
            batches = self._strategy.clock.train_epoch_iterations
            if not self._strategy.is_training or batches < 2:
                return None
            cost = (now - self._marked) / (batches * self._strategy.train_mb_size)
        forward = self._test_cost if self._test_cost is not None else cost * FORWARD_SHARE
        total = 0.0
        for epochs, samples, validated, tested in zip(
            self._epochs, self._trained, self._validated, self._tested, strict=True
        ):
            total += epochs * (samples * cost + validated / self._every * cost * FORWARD_SHARE)
            total += tested * forward
        return max(0.0, total - (now - self._marked))

    def words(self) -> str:
        """Return the time left in words, "" before anything is measured."""
        left = self.left()
        if left is None:
            return ""
        most = "at most" if self._strategy.selection.patience is not None else "about"
        return f"{most} {duration(left)} left in all"


def _validated(
    benchmark: CLScenario, step: Sequence[Any], sizes: Mapping[tuple[str, str], int]
) -> int:
    """Return how many samples are validated after an epoch of a step."""
    names = [benchmark.names[experience.current_experience] for experience in step]
    return sum(sizes.get((name, "val"), 0) for name in names)


def _tested(
    benchmark: CLScenario, learnt: Sequence[Sequence[Any]], sizes: Mapping[tuple[str, str], int]
) -> int:
    """Return how many samples are tested after the last of these steps."""
    known = {experience.current_experience for step in learnt for experience in step}
    names = evaluated_names(benchmark)
    return sum(sizes.get((names[k], "test"), 0) for k in benchmark.tested(known))
