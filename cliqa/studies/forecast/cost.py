"""From what a step takes to what a run and a study take."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cliqa.engine.loggers.forecast import StepWork
from cliqa.engine.trial.timing import Timings


@dataclass(frozen=True)
class Measured:
    """A config's measured times, and what its run is made of.

    Attributes:
        timings: What was measured.
        work: The training steps of its stream.
        workers: Processes that read images in the run; 0 for the training's own.
        validate_every: Every so many epochs are validated.
        kept: Where decoded images are kept: ``"ram"``, ``"disk"`` or None.
        kept_bytes: How many bytes they take there.
        checkpoints: How many a run keeps.
        start: Seconds before the first step: imports, labels, the model.
        real: The data were there; else they were stood in for.
    """

    timings: Timings
    work: Sequence[StepWork]
    workers: int
    validate_every: int
    kept: str | None
    kept_bytes: int
    checkpoints: int
    start: float
    real: bool = True

    @property
    def memory(self) -> int:
        """The bytes of a run's memory, its kept images among them."""
        return self.timings.memory + (self.kept_bytes if self.kept == "ram" else 0)

    @property
    def disk(self) -> int:
        """The bytes of a run's checkpoints."""
        return self.checkpoints * self.timings.state


@dataclass(frozen=True)
class RunCost:
    """What a run takes, in seconds by what it is spent on.

    Attributes:
        steps: Optimizer steps of the whole stream.
        training: The steps themselves.
        loading: Waiting for batches, beside the steps.
        method: The starts and ends of experiences.
        evaluation: Validation and test.
        start: Before the first step.
    """

    steps: int
    training: float
    loading: float
    method: float
    evaluation: float
    start: float

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.device_seconds + self.loading + self.start

    @property
    def device_seconds(self) -> float:
        """What the device computes."""
        return self.training + self.method + self.evaluation

    @property
    def limit(self) -> str:
        """What takes the largest part."""
        shares = {
            "step": self.training,
            "loading": self.loading,
            "method": self.method,
            "evaluation": self.evaluation,
            "start": self.start,
        }
        return max(shares, key=lambda name: shares[name])


def run_cost(measured: Measured, speedup: float = 1.0) -> RunCost:
    """Return what a run of a config takes.

    A step of the stream takes ``epochs x ceil(trained / batch)`` batches. A batch takes ``step /
    speedup``, and with w worker processes at least ``load / w``, as these read meanwhile; without
    workers ``load`` comes on top. The first epoch reads as measured then, later ones as measured
    later. To these come ``fixed + each x trained``, and the samples to validate and to test.

    Args:
        measured: What a few steps took.
        speedup: How many times as fast the other machine computes; reading images stays.
    """
    times, workers = measured.timings, measured.workers
    step = times.step / speedup
    first = _waiting(times.first_load, step, workers)
    later = _waiting(times.load if measured.kept else times.first_load, step, workers)
    sample = (times.predict - times.read) / speedup
    sample += _waiting(times.read, sample, workers)
    count, loading, method, evaluation = 0, 0.0, 0.0, 0.0
    for part in measured.work:
        batches = math.ceil(part.trained / times.batch)
        count += part.epochs * batches
        loading += batches * (first + (part.epochs - 1) * later)
        method += (times.fixed + times.each * part.trained) / speedup
        validations = part.epochs // max(1, measured.validate_every)
        evaluation += (validations * part.validated + part.tested) * sample
    return RunCost(count, count * step, loading, method, evaluation, measured.start)


def _waiting(load: float, compute: float, workers: int) -> float:
    """Return the seconds that the device waits for what takes `load` to read in one process."""
    return max(0.0, load / workers - compute) if workers else load


def study_seconds(runs: Iterable[RunCost], places: int, devices: int) -> float:
    """Return how long runs take that start in their order, each as soon as a place is free.

    Args:
        runs: Every run, in order.
        places: Runs at a time.
        devices: GPUs that the places share: the runs of one take turns on it. 0 for CPUs, whose
            runs have cores of their own.
    """
    ends = [0.0] * places
    computed = 0.0
    for run in runs:
        heapq.heapreplace(ends, ends[0] + run.seconds)
        computed += run.device_seconds
    return max(max(ends), computed / devices if devices else 0.0)
