"""Predictions are collected whole, and the emitted values are scipy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from avalanche.training.plugins import EvaluationPlugin
from scipy import stats

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.evaluation.metrics.predictions import Predictions
from cliqa.evaluation.metrics.quality import quality_metrics
from cliqa.utils.errors import ConfigError


@pytest.fixture
def evaluated(
    make_strategy: Callable[..., Any], tiny_stream: QualityStream
) -> tuple[Any, dict[str, Any]]:
    """Return a trained strategy and the metric values of its evaluation."""
    strategy = make_strategy()
    metrics = quality_metrics(["srcc", "plcc", "krcc", "rmse"])
    strategy.eval_mb_size = 3  # several batches a data set
    evaluator = EvaluationPlugin(Predictions(), *metrics, loggers=[])
    strategy.plugins[strategy.plugins.index(strategy.evaluator)] = evaluator
    strategy.evaluator = evaluator
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    return strategy, strategy.eval(tiny_stream.test_stream)


def test_every_sample_is_collected_once_in_order(
    evaluated: tuple[Any, dict[str, Any]], tiny_stream: QualityStream
) -> None:
    result = evaluated[0].evaluator.metrics[0].result()
    assert list(result) == ["a", "b", "c"]
    for name, (prediction, target) in result.items():
        assert prediction.shape == target.shape == (4,)
        assert np.array_equal(target, tiny_stream.sources[name, "test"].scores)


def test_values_equal_scipy_on_the_whole_data_set(evaluated: tuple[Any, dict[str, Any]]) -> None:
    strategy, values = evaluated
    references = {
        "SRCC": lambda p, t: stats.spearmanr(p, t).statistic,
        "PLCC": lambda p, t: stats.pearsonr(p, t).statistic,
        "KRCC": lambda p, t: stats.kendalltau(p, t).statistic,
        "RMSE": lambda p, t: np.sqrt(np.mean((p - t) ** 2)),
    }
    for name, reference in references.items():
        each = []
        for dataset, (prediction, target) in strategy.evaluator.metrics[0].result().items():
            value = values[f"{name}_Exp/eval_phase/test_stream/{dataset}"]
            expected = reference(prediction.astype(float), target.astype(float))
            assert value == pytest.approx(expected, abs=1e-6)
            each.append(value)
        assert values[f"{name}_Mean/eval_phase/test_stream"] == pytest.approx(np.mean(each))


def test_an_undefined_value_is_not_emitted(
    make_strategy: Callable[..., Any], tiny_stream: QualityStream
) -> None:
    strategy = make_strategy()
    strategy.model.head.weight.data.zero_()  # every prediction is the bias
    evaluator = EvaluationPlugin(*quality_metrics(), loggers=[])
    strategy.plugins[strategy.plugins.index(strategy.evaluator)] = evaluator
    strategy.evaluator = evaluator
    assert strategy.eval(tiny_stream.test_stream) == {}


def test_an_unknown_measure_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"unknown measure 'scc'. Known: srcc, plcc, krcc, rmse"):
        quality_metrics(["scc"])
