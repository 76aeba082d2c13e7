"""Training over a stream: every step is trained, evaluated and recorded."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from functools import partial
from typing import Any

import numpy as np

from cliqa.benchmarks.experience import evaluated_names
from cliqa.benchmarks.quality_stream import UNSEEN
from cliqa.engine.build import Parts
from cliqa.engine.growth.catch_up import catch_up
from cliqa.engine.growth.epochs import spanning
from cliqa.engine.loggers.forecast import Forecast
from cliqa.engine.loggers.run_logger import Audience
from cliqa.engine.plugins import check_room
from cliqa.engine.run import Run
from cliqa.engine.targets import Targets
from cliqa.training.loop.precision import AUTO
from cliqa.training.views.trace import gate_rows
from cliqa.utils.logging import get_logger
from cliqa.utils.processes.group import from_main
from cliqa.utils.progress import EVERY, duration, progress_lines

logger = get_logger(__name__)


def train_stream(parts: Parts, run: Run, stop_after: int | None = None) -> dict[str, Any]:
    """Train the strategy over the remaining steps of the stream, and return the results.

    With `stop_after`, no step behind so many first ones is trained.
    """
    strategy, benchmark = parts.strategy, parts.benchmark
    steps = strategy.steps(benchmark.train_stream)
    labels = ["+".join(experience.name for experience in step) for step in steps]

    def learnt(index: int) -> set[int]:
        return {e.current_experience for step in steps[: index + 1] for e in step}

    def tested(index: int) -> list[str]:
        names = evaluated_names(benchmark)
        return [names[place] for place in benchmark.tested(learnt(index))]

    def evaluate(index: int, names: Collection[str]) -> float:
        return evaluate_stream(parts, run, index, learnt(index), names)

    run.start(strategy, benchmark, labels, partial(catch_up, strategy, run, tested, evaluate))
    if parts.config.get("amp") == AUTO:
        note = f"amp='auto': computed in {strategy.precision.computation}"
        logger.info("%s", note)
        run.notes = [*run.notes, note]
    check_room(strategy, len(steps) - run.next_step)
    if run.moved:  # into a folder whose loggers have seen nothing of it
        Audience(strategy.evaluator.loggers).earlier(run.epochs, run.evaluations)
    end = len(steps) if stop_after is None else min(stop_after, len(steps))
    forecast = Forecast(strategy, benchmark, steps[:end], run.next_step)
    every = parts.config.get("progress_seconds", EVERY)
    with progress_lines("training", every, forecast.words):
        for index in range(run.next_step, end):
            strategy.on_epoch = _Epochs(parts, run, index, steps[index], forecast)
            strategy.train_step(index, steps[index], _validation(parts, steps[index]))
            seconds = evaluate_stream(parts, run, index, learnt(index))
            forecast.evaluated(index, seconds)
            rows = (row for row in run.evaluations if row["experience"] == index)
            Audience(strategy.evaluator.loggers).evaluation(rows, index)
            run.finish_step(strategy, index, seconds, last=index + 1 == end)
    if run.next_step < len(steps):
        done = (run.next_step, len(steps))
        logger.info("stopped after %d of %d experiences: continue with --resume", *done)
        return run.finish("stopped")
    return run.finish()


def _validation(parts: Parts, experiences: list[Any]) -> list[Any]:
    """Return the validation experiences that belong to a step's training experiences."""
    wanted = {experience.current_experience for experience in experiences}
    stream = parts.benchmark.streams.get("val", ())
    return [experience for experience in stream if experience.current_experience in wanted]


def evaluate_stream(
    parts: Parts,
    run: Run,
    step: int,
    learnt: Collection[int],
    only: Collection[str] | None = None,
) -> float:
    """Evaluate on the data sets that the protocol tests, and return the seconds that it took.

    The predictions are recorded for `step`; `learnt` are the experiences trained on so far. With
    `only`, other data sets than these are left out.
    """
    started = time.monotonic()
    benchmark, names = parts.benchmark, evaluated_names(parts.benchmark)
    tested = {names[place] for place in benchmark.tested(learnt)}
    wanted = tested if only is None else tested & set(only)
    if not wanted:  # the last bucket of a stream that is tested on what lies ahead
        return 0.0
    for name, prediction, target in _predictions(parts, wanted):
        gates = gate_rows(parts.strategy.plugins, parts.targets.score)
        run.record(step, name, prediction, target)
        if name in gates:
            run.evaluations[-1]["gate"] = gates[name]
    if only is not None:
        run.recording.store(step, add=True)
    return time.monotonic() - started


def _predictions(
    parts: Parts, wanted: Collection[str]
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Evaluate on some data sets, and yield what is predicted and the targets by their names."""
    benchmark = parts.benchmark
    for stream in (benchmark.test_stream, benchmark.streams.get(UNSEEN, ())):
        chosen = [experience for experience in stream if experience.name in wanted]
        if chosen:
            parts.strategy.eval(stream if len(chosen) == len(stream) else chosen)
            for name, (prediction, target) in parts.predictions.result().items():
                yield name, prediction, target


class _Epochs:
    """Validates after every epoch of step `index`, reports and records it."""

    def __init__(
        self, parts: Parts, run: Run, index: int, experiences: list[Any], forecast: Forecast
    ) -> None:
        self._parts = parts
        self._forecast = forecast
        self._run = run
        self._index = index
        self._experiences = experiences
        self._start_lap()

    def _start_lap(self) -> None:
        self._lap, self._cpu_lap = time.monotonic(), time.process_time()

    def __call__(self, loss: float) -> None:
        """Validate, write the epoch's row and the checkpoint, and report."""
        strategy = self._parts.strategy
        measured = from_main(self._validate(strategy.epochs_done))
        value = measured[self._parts.targets.validation_key]
        row = {
            "kind": "epoch",
            "experience": self._index,
            "name": "+".join(experience.name for experience in self._experiences),
            "epoch": strategy.epochs_done,
            "loss": loss,
            "lr": strategy.last_lr,
            **self._trained(),
            **measured,
            **self._arrived(),
        }
        if strategy.selection.active and self._is_due(strategy.epochs_done):
            strategy.selection.look(strategy, value)
        if strategy.selection.active:
            row["best_epoch"] = strategy.selection.epoch or None
        seconds, cpu = time.monotonic() - self._lap, time.process_time() - self._cpu_lap
        self._forecast.trained(self._index, strategy.epochs_done, seconds)
        _report(row, self._parts.targets, strategy.train_epochs, seconds, self._forecast.left())
        Audience(strategy.evaluator.loggers).epoch(row, len(self._run.epochs) + 1)
        ends = strategy.epochs_done == strategy.train_epochs or strategy.selection.stopped
        self._run.finish_epoch(strategy, row, seconds, ends and not spanning(strategy), cpu)
        self._start_lap()

    def _arrived(self) -> dict[str, Any]:
        """Return an online stream's images so far, and the measures if it is time for them."""
        strategy, parts = self._parts.strategy, self._parts
        chunks = strategy.chunks_of(self._experiences)
        if not chunks:
            return {}
        number, within = divmod(strategy.epochs_done, strategy.passes)
        images = sum(map(len, chunks[: number + (within > 0)]))
        every = self._experiences[0].arrival.evaluate_every
        if not every or within or number % every or number == len(chunks):
            return {"images": images}  # the experience's end is evaluated anyway
        names = evaluated_names(parts.benchmark)
        learnt = set(range(self._index + 1))
        wanted = {names[place] for place in parts.benchmark.tested(learnt)}
        scores = {
            name: parts.targets.validate(prediction, target)
            for name, prediction, target in _predictions(parts, wanted)
        }
        return {"images": images, "anytime": scores}

    def _is_due(self, epoch: int) -> bool:
        """Return whether an epoch is validated."""
        every = self._parts.strategy.options.validate_every
        return every > 0 and epoch % every == 0

    def _trained(self) -> dict[str, float | None]:
        """Return the main measure over the batches of the epoch, as the weights moved."""
        found, targets = self._parts.predictions.trained(), self._parts.targets
        return {f"train_{targets.measure}": targets.trained(*found) if found else None}

    def _validate(self, epoch: int) -> dict[str, float | None]:
        """Return the mean measures on the validation splits of this step's data sets."""
        targets = self._parts.targets
        nothing: dict[str, float | None] = {targets.validation_key: None}
        rows: list[dict[str, float | None]] = []
        for experience in self._experiences if self._is_due(epoch) else ():
            data = self._parts.benchmark.validation(experience.current_experience)
            if data is None:
                return nothing
            outputs = self._parts.strategy.predict(data)
            rows.append({targets.measure: targets.validate(*outputs), **targets.curves(*outputs)})
        if not rows:
            return nothing
        return {f"val_{name}": _mean([row[name] for row in rows]) for name in rows[0]}


def _mean(values: list[float | None]) -> float | None:
    """Return the mean, None where a value is not defined."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if len(defined) == len(values) else None


def _report(
    row: dict[str, Any], targets: Targets, epochs: int, seconds: float, left: float | None
) -> None:
    """Log an epoch in one line, with the seconds that are left of the run."""
    value = row[targets.validation_key]
    validated = "" if value is None else f"  val {targets.title} {value:.3f}"
    logger.info(
        "%s  epoch %d/%d  loss %.4f  lr %.2e%s  (%.1f s%s)",
        row["name"],
        row["epoch"],
        epochs,
        row["loss"],
        row["lr"],
        validated,
        seconds,
        f", {duration(left)} left" if left is not None and left >= 1 else "",
    )
