"""The emitted values are scipy's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.evaluation.metrics.quality import QualityMetric, quality_metrics
from cliqa.utils.errors import ConfigError

Watch = Callable[[Any, Sequence[Any]], None]


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
    make_strategy: Callable[..., Any], tiny_stream: QualityStream, watch: Watch
) -> None:
    strategy = make_strategy()
    strategy.model.head.weight.data.zero_()  # every prediction is the bias
    watch(strategy, quality_metrics())
    assert strategy.eval(tiny_stream.test_stream) == {}
    strategy.model.head.bias.data.fill_(float("nan"))
    watch(strategy, quality_metrics(["rmse"]))
    assert strategy.eval(tiny_stream.test_stream) == {}


def test_the_mean_is_over_the_data_sets_that_have_a_value(
    make_strategy: Callable[..., Any], tiny_stream: QualityStream, watch: Watch
) -> None:
    strategy = make_strategy()
    watch(strategy, quality_metrics(["srcc"]))
    predict = strategy.model.forward
    name = "SRCC_Exp/eval_phase/test_stream"

    def constant_on_b(images: torch.Tensor) -> torch.Tensor:
        scores = predict(images)
        return torch.zeros_like(scores) if strategy.experience.name == "b" else scores

    strategy.model.forward = constant_on_b
    values = strategy.eval(tiny_stream.test_stream)
    assert f"{name}/b" not in values
    expected = (values[f"{name}/a"] + values[f"{name}/c"]) / 2
    assert values["SRCC_Mean/eval_phase/test_stream"] == pytest.approx(expected)


def test_names_say_which_stream_it_was(
    make_strategy: Callable[..., Any], tiny_stream: QualityStream, watch: Watch
) -> None:
    strategy = make_strategy()
    watch(strategy, quality_metrics(["plcc"]))
    values = strategy.eval([tiny_stream.streams["val"][2]])
    assert set(values) == {"PLCC_Exp/eval_phase/val_stream/c", "PLCC_Mean/eval_phase/val_stream"}


def test_the_default_measures() -> None:
    (metric,) = quality_metrics()
    assert isinstance(metric, QualityMetric)
    assert metric.measures == ("srcc", "plcc")


def test_an_unknown_measure_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"unknown measure 'scc'. Known: srcc, plcc, krcc, rmse"):
        quality_metrics(["scc"])
