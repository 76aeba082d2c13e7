"""Predictions are collected whole."""

from __future__ import annotations

from typing import Any

import numpy as np

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.evaluation.metrics.prediction_collector import PredictionCollector


def test_every_sample_is_collected_once_in_order(
    evaluated: tuple[Any, dict[str, Any]], tiny_stream: QualityStream
) -> None:
    result = evaluated[0].evaluator.metrics[0].result()
    assert list(result) == ["a", "b", "c"]
    for name, (prediction, target) in result.items():
        assert prediction.shape == target.shape == (4,)
        assert np.array_equal(target, tiny_stream.sources[name, "test"].scores)


def test_the_next_evaluation_starts_afresh(
    evaluated: tuple[Any, dict[str, Any]], tiny_stream: QualityStream
) -> None:
    strategy = evaluated[0]
    collected = strategy.evaluator.metrics[0]
    first = collected.result()["b"]
    strategy.eval([tiny_stream.test_stream[1]])
    assert list(collected.result()) == ["b"]
    assert np.array_equal(collected.result()["b"], first)


def test_it_emits_nothing() -> None:
    assert PredictionCollector().result() == {}
    assert str(PredictionCollector()) == "Predictions"
