"""What a config's own strategy takes for a step, an evaluation and an experience: measured.

The strategy trains on a few batches of the first experiences, with all of its plugins: what a
method does at the start and at the end of an experience (EWC's importances, LwF's teacher, the
choice of a memory's images) and beside a batch (rehearsed samples) is in the times.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import math
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from avalanche.training.plugins import SupervisedPlugin

from cliqa.benchmarks.experience import evaluated_names
from cliqa.engine.build import Parts
from cliqa.engine.rehearsal import absent_of, check_splits
from cliqa.training.plugins.compression.pruning import ChannelPruning
from cliqa.utils.memory import peak_memory, reset_peak_memory, tensor_bytes
from cliqa.utils.seed import numerics

BUDGET = 1.5
"""Seconds that an epoch of the longest part, and an evaluation, may take if a sample is fast."""

MOST = 6
"""Batches of the longest part at most."""

FEW = 2
"""Samples that are evaluated at least."""


@dataclass(frozen=True)
class Timings:
    """What was measured; times are in seconds.

    Attributes:
        batch: New samples of a training batch.
        step: A training step, its batch loaded.
        first_load: Reading a training batch in the first epoch, in one process.
        load: The same in later epochs, where images may be kept decoded.
        fixed: The start and the end of an experience, beside `each`.
        each: What the start and the end take longer for every training sample.
        predict: Evaluating a sample, reading it in the same process among it.
        read: That reading alone.
        memory: The most bytes in use at a time: torch's on CUDA, else the process's.
        state: The bytes of a checkpoint.
    """

    batch: int
    step: float
    first_load: float
    load: float
    fixed: float
    each: float
    predict: float
    read: float
    memory: int
    state: int


def time_parts(parts: Parts) -> Timings:
    """Train on a few batches of the first experiences, and evaluate a few; the parts are used up.

    Images are read in this process, whatever ``num_workers`` is.

    Args:
        parts: From `build`, not yet trained.

    Raises:
        CliqaError: A split is missing, an image cannot be read, or the method refuses the data.
    """
    check_splits(parts.benchmark)
    strategy = parts.strategy
    strategy.options = replace(strategy.options, num_workers=0)
    watch = _Watch(parts.device)
    plugins = strategy.plugins
    for plugin in plugins:
        if isinstance(plugin, ChannelPruning):
            plugin.recover_epochs = 0  # a piece has one epoch alone
    strategy.plugins = [_Begin(watch), *plugins, _End(watch)]
    size = int(strategy.train_mb_size)
    reset_peak_memory(parts.device)
    with numerics(parts.config), _quiet():
        try:
            pieces = _train(parts, watch, size)
        finally:
            strategy.plugins = plugins
        predict, read = _time_evaluation(parts)
    fixed, each = _of_experience(pieces)
    last = pieces[-1]
    return Timings(
        batch=size,
        step=statistics.median(last.steps),
        first_load=statistics.fmean(last.loads[0]),
        load=statistics.fmean(last.loads[-1]),
        fixed=fixed,
        each=each,
        predict=predict,
        read=read,
        memory=peak_memory(parts.device),
        state=tensor_bytes(strategy.state_dict()),
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what methods say of the few samples."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


@dataclass
class _Piece:
    """The times of one piece of training.

    Attributes:
        samples: How many it trained on.
        steps: Each training step.
        loads: By epoch, reading each batch.
        around: All else: the start and the end of the experience.
    """

    samples: int
    steps: list[float] = field(default_factory=list)
    loads: list[list[float]] = field(default_factory=list)
    around: float = 0.0


class _Watch:
    """Takes the times of the piece that is trained."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.piece = _Piece(0)
        self._mark = 0.0

    def lap(self) -> float:
        """Return the seconds since the last call, with all that the device has to do until now."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        before, self._mark = self._mark, time.perf_counter()
        return self._mark - before


class _Begin(SupervisedPlugin):
    """Notes when a batch is there, before all plugins."""

    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._watch = watch

    def before_training_epoch(self, *_: object, **__: object) -> None:
        """End what came before the epoch."""
        self._watch.piece.around += self._watch.lap()
        self._watch.piece.loads.append([])

    def before_training_iteration(self, *_: object, **__: object) -> None:
        """End the reading of a batch."""
        self._watch.piece.loads[-1].append(self._watch.lap())


class _End(SupervisedPlugin):
    """Notes when a batch is learnt, after all plugins."""

    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._watch = watch

    def after_training_iteration(self, *_: object, **__: object) -> None:
        """End a training step."""
        self._watch.piece.steps.append(self._watch.lap())


def _train(parts: Parts, watch: _Watch, size: int) -> list[_Piece]:
    """Train on pieces of experiences: one to warm up, a short one, and one three times as long.

    Where a step is slow there is no short one: three steps of the full batch are the least.
    """
    strategy = parts.strategy
    epochs = strategy.train_epochs
    stream = copied_stream(parts)
    steps = strategy.steps(stream)
    first = _train_piece(parts, watch, steps, 0, size, 1)
    each = statistics.fmean(first.steps) + statistics.fmean(first.loads[0])
    slow = each > BUDGET / 3
    short = 1 if slow else max(1, min(MOST, int(BUDGET / each)) // 3)
    pieces = [first]
    last = min(2, len(steps) - 1)
    for index in range(1, 1 if slow else last):
        pieces.append(_train_piece(parts, watch, steps, index, size * short, 1))
    long = 2 if slow else 3 * short
    pieces.append(_train_piece(parts, watch, steps, last, size * long, 1 if slow else 2))
    strategy.train_epochs = epochs
    return pieces


class _Copies(list[Any]):
    """A stream's experiences, with its name."""

    name: str


def copied_stream(parts: Parts) -> list[Any]:
    """Return the training stream as experiences whose samples can be cut."""
    stream = _Copies()
    stream.name = parts.benchmark.train_stream.name
    for experience in parts.benchmark.train_stream:
        piece = copy.copy(experience)
        piece.arrival = None  # all at once
        piece.origin_stream = stream
        stream.append(piece)
    return stream


def _train_piece(
    parts: Parts, watch: _Watch, steps: list[list[Any]], index: int, count: int, epochs: int
) -> _Piece:
    """Cut a step of the stream to about so many samples, and train it."""
    strategy, absent = parts.strategy, absent_of(parts.benchmark)
    whole = list(parts.benchmark.train_stream)
    for piece in steps[index]:
        if getattr(piece, "name", "") not in absent:
            source = whole[piece.current_experience].dataset
            piece._dataset = _some(source, math.ceil(count / len(steps[index])))
    strategy.train_epochs = epochs
    watch.piece = _Piece(strategy.samples_of(steps, index))
    watch.lap()
    strategy.train_step(index, steps[index])
    watch.piece.around += watch.lap()
    if not watch.piece.steps:  # a method without batches: all of it is the experience's
        watch.piece.steps, watch.piece.loads = [0.0], [[0.0]]
    return watch.piece


def _some(dataset: Any, count: int) -> Any:  # noqa: ANN401  Avalanche's
    """Return so many samples of a data set, evenly spaced, or all of a small one."""
    if len(dataset) <= count:
        return dataset
    return dataset.subset([k * len(dataset) // count for k in range(count)])


def _of_experience(pieces: Sequence[_Piece]) -> tuple[float, float]:
    """Return the seconds around an experience: fixed ones, and those of each sample.

    Two pieces tell them apart. Of a single piece all are taken as fixed.
    """
    last = pieces[-1]
    if len(pieces) < 2 or pieces[-2].samples == last.samples:
        return last.around, 0.0
    before = pieces[-2]
    each = max(0.0, (last.around - before.around) / (last.samples - before.samples))
    return max(0.0, last.around - each * last.samples), each


def _time_evaluation(parts: Parts) -> tuple[float, float]:
    """Return the seconds of a sample's evaluation, and those of reading it, after a first time."""
    strategy, benchmark = parts.strategy, parts.benchmark
    absent = absent_of(benchmark)
    name = next(name for name in evaluated_names(benchmark) if name not in absent)
    data = benchmark.dataset(name, "test")
    few = _some(data, FEW)
    strategy.predict(few)
    started = time.perf_counter()
    strategy.predict(few)
    each = (time.perf_counter() - started) / len(few)
    fits = int(BUDGET / max(each, 1e-6))
    some = _some(data, max(FEW, min(int(strategy.eval_mb_size), fits)))
    for index in range(len(some)):  # the first reading may decode, and keep
        some[index]
    started = time.perf_counter()
    for index in range(len(some)):
        some[index]
    read = time.perf_counter() - started
    started = time.perf_counter()
    strategy.predict(some)
    predict = time.perf_counter() - started
    return predict / len(some), min(read, predict) / len(some)
