"""A short training under loggers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from avalanche.training.plugins import EvaluationPlugin

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.evaluation.metrics.quality import quality_metrics


@pytest.fixture
def trained(
    make_strategy: Callable[..., Any], tiny_stream: QualityStream
) -> Callable[[list[Any]], dict[str, Any]]:
    """Return a function that trains and evaluates with loggers and returns the last metrics."""

    def run(loggers: list[Any]) -> dict[str, Any]:
        strategy = make_strategy(epochs=1)
        evaluator = EvaluationPlugin(*quality_metrics(), loggers=loggers)
        strategy.plugins[strategy.plugins.index(strategy.evaluator)] = evaluator
        strategy.evaluator = evaluator
        strategy.train_step(0, [tiny_stream.train_stream[0]])
        values: dict[str, Any] = strategy.eval(tiny_stream.test_stream)
        for logger in loggers:
            if hasattr(logger, "close"):
                logger.close()
        return values

    return run
