"""Predictions are collected whole."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

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


def batch(outputs: list[Any], targets: list[Any]) -> Any:
    return SimpleNamespace(mb_output=torch.tensor(outputs), mb_y=torch.tensor(targets))


def test_the_last_epoch_s_outputs_are_kept() -> None:
    collected = PredictionCollector()
    assert collected.trained() is None
    for epoch in range(2):
        collected.before_training_epoch(batch([], []))
        for k in range(2):
            collected.after_training_iteration(batch([epoch + k + 0.5, 0.0], [1.0, k + 0.0]))
    trained = collected.trained()
    assert trained is not None
    assert [part.tolist() for part in trained] == [[1.5, 0, 2.5, 0], [1, 0, 1, 1]]


def test_of_logits_the_likeliest_class_is_kept() -> None:
    collected = PredictionCollector()
    collected.after_training_iteration(batch([[0.1, 0.9], [2.0, -1.0]], [1, 1]))
    trained = collected.trained()
    assert trained is not None
    assert [part.tolist() for part in trained] == [[1, 0], [1, 1]]
