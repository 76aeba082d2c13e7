"""An evaluation with metrics."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from avalanche.training.plugins import EvaluationPlugin

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.evaluation.metrics.prediction_collector import PredictionCollector
from cliqa.evaluation.metrics.quality import quality_metrics


@pytest.fixture
def watch() -> Callable[[Any, Sequence[Any]], None]:
    """Return a function that gives a strategy other metrics."""

    def set_metrics(strategy: Any, metrics: Sequence[Any]) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="No loggers specified")
            evaluator = EvaluationPlugin(*metrics, loggers=[])
        strategy.plugins[strategy.plugins.index(strategy.evaluator)] = evaluator
        strategy.evaluator = evaluator

    return set_metrics


@pytest.fixture
def evaluated(
    make_strategy: Callable[..., Any],
    tiny_stream: QualityStream,
    watch: Callable[[Any, Sequence[Any]], None],
) -> tuple[Any, dict[str, Any]]:
    """Return a trained strategy and the metric values of its evaluation."""
    strategy = make_strategy()
    strategy.eval_mb_size = 3  # several batches a data set
    watch(strategy, [PredictionCollector(), *quality_metrics(["srcc", "plcc", "krcc", "rmse"])])
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    return strategy, strategy.eval(tiny_stream.test_stream)
