"""The time that a run still takes."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.engine.loggers import forecast
from cliqa.engine.loggers.forecast import Forecast


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the time, which a test sets."""
    now = [0.0]
    monkeypatch.setattr(forecast, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


@pytest.fixture
def strategy(make_strategy: Callable[..., Any]) -> Any:
    """Return a strategy of two epochs that does not validate."""
    return make_strategy(epochs=2, validate_every=0)


def test_epochs_and_evaluations_that_are_left_are_counted(
    strategy: Any, tiny_stream: QualityStream, clock: list[float]
) -> None:
    steps = strategy.steps(tiny_stream.train_stream)
    sizes = [strategy.samples_of(steps, k) for k in range(3)]
    tested = sum(len(tiny_stream.sources[name, "test"]) for name in "abc")
    ahead = Forecast(strategy, tiny_stream, steps)
    assert ahead.left() is None
    assert ahead.words() == ""
    clock[0] = 0.1 * sizes[0]
    ahead.trained(0, 1, 0.1 * sizes[0])  # 0.1 s a sample, a third of it in an evaluation
    left = 0.1 * (sizes[0] + 2 * sizes[1] + 2 * sizes[2] + 3 * tested / 3)
    assert ahead.left() == pytest.approx(left)
    clock[0] += 1
    assert ahead.left() == pytest.approx(left - 1)
    assert ahead.words() == f"about {forecast.duration(left - 1)} left in all"
    ahead.trained(0, 2, 0.1 * sizes[0])
    ahead.evaluated(0, 0.2 * tested)
    assert ahead.left() == pytest.approx(0.1 * 2 * (sizes[1] + sizes[2]) + 2 * 0.2 * tested)
    clock[0] += 1e6
    assert ahead.left() == 0


def test_a_resumed_run_has_less_to_do(
    strategy: Any, tiny_stream: QualityStream, clock: list[float]
) -> None:
    steps = strategy.steps(tiny_stream.train_stream)
    ahead = Forecast(strategy, tiny_stream, steps, first=2)
    ahead.trained(2, 2, 10.0)
    ahead.evaluated(2, 5.0)
    assert ahead.left() == 0


def test_the_first_batches_are_enough(
    strategy: Any, tiny_stream: QualityStream, clock: list[float]
) -> None:
    steps = strategy.steps(tiny_stream.train_stream)
    ahead = Forecast(strategy, tiny_stream, steps)
    strategy.is_training = True
    strategy.clock.train_epoch_iterations = 2
    clock[0] = 1.6  # of 16 samples: 0.1 s each
    samples = 2 * sum(strategy.samples_of(steps, k) for k in range(3))
    tested = 3 * sum(len(tiny_stream.sources[name, "test"]) for name in "abc")
    assert ahead.left() == pytest.approx(0.1 * (samples + tested / 3) - 1.6)


def test_early_stopping_may_take_less(
    make_strategy: Callable[..., Any], tiny_stream: QualityStream
) -> None:
    strategy = make_strategy(epochs=2, patience=1)
    ahead = Forecast(strategy, tiny_stream, strategy.steps(tiny_stream.train_stream))
    ahead.trained(0, 1, 600.0)
    assert ahead.words().startswith("at most ")
