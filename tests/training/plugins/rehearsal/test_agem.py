"""A-GEM: the projection, and that no step goes against the memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.training.plugins.rehearsal import agem
from cliqa.training.plugins.rehearsal.agem import AGEM, project
from cliqa.utils.errors import ConfigError

Make = Callable[..., Any]


def weights_with(*gradients: list[float] | None) -> list[nn.Parameter]:
    """Return weights with such gradients."""
    weights = [nn.Parameter(torch.zeros(len(g or [0.0]))) for g in gradients]
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = None if gradient is None else torch.tensor(gradient)
    return weights


def test_what_goes_against_the_memory_is_removed() -> None:
    weights = weights_with([1.0, -2.0], [0.5])
    reference = [torch.tensor([0.0, 1.0]), torch.tensor([1.0])]  # g . r = -1.5, r . r = 2
    project(weights, reference)
    assert weights[0].grad is not None
    assert weights[1].grad is not None
    assert weights[0].grad.tolist() == [1.0, -1.25]
    assert weights[1].grad.tolist() == [1.25]
    along = weights[0].grad @ reference[0] + weights[1].grad @ reference[1]
    assert float(along) == pytest.approx(0.0, abs=1e-6)


def test_what_agrees_with_the_memory_is_left() -> None:
    weights = weights_with([1.0, 2.0], [0.5])
    project(weights, [torch.tensor([0.0, 1.0]), torch.tensor([1.0])])
    assert [w.grad.tolist() for w in weights if w.grad is not None] == [[1.0, 2.0], [0.5]]


def test_a_missing_gradient_is_none() -> None:
    weights = weights_with([-1.0], None, [3.0])
    project(weights, [torch.tensor([1.0]), torch.tensor([1.0]), None])
    assert [w.grad.tolist() for w in weights if w.grad is not None] == [[-0.5], [0.5], [3.0]]
    project(weights_with(None), [torch.tensor([1.0])])
    project(weights_with([1.0]), [None])


def test_no_gradient_goes_against_the_memory(
    make_strategy: Make, tiny_stream: QualityStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    angles: dict[str, list[float]] = {"before": [], "after": []}

    def cosine(weights: Any, reference: Any) -> float:
        own = torch.cat([w.grad.flatten() for w in weights])
        other = torch.cat([r.flatten() for r in reference])
        return float(own @ other / (own.norm() * other.norm()))

    def watched(weights: Any, reference: Any) -> None:
        angles["before"].append(cosine(weights, reference))
        project(weights, reference)
        angles["after"].append(cosine(weights, reference))

    monkeypatch.setattr(agem, "project", watched)
    strategy = make_strategy([AGEM(8)], epochs=1)
    for index in range(3):
        strategy.train_step(index, [tiny_stream.train_stream[index]])
    assert len(angles["after"]) == 4 * 2
    assert min(angles["before"]) < -0.1
    assert min(angles["after"]) > -1e-3


def test_it_steps_once_over_accumulated_batches(
    make_strategy: Make, tiny_stream: QualityStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(agem, "project", lambda *_: calls.append(1))
    strategy = make_strategy([AGEM(8)], epochs=1, accumulate=2)
    for index in range(2):
        strategy.train_step(index, [tiny_stream.train_stream[index]])
    assert len(calls) == 2


def test_without_a_memory_it_is_naive_to_the_bit(
    make_strategy: Make, tiny_stream: QualityStream, assert_same: Make
) -> None:
    plain, own = make_strategy(), make_strategy([AGEM(8)])
    for strategy in (plain, own):
        strategy.train_step(0, [tiny_stream.train_stream[0]])
    assert_same(own.model.state_dict(), plain.model.state_dict())


def test_balancing_classes_of_scores_is_refused(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    with pytest.raises(ConfigError, match=r"AGEM: policy='class_balanced' needs classes"):
        make_strategy([AGEM(8, policy="class_balanced")]).train_step(
            0, [tiny_stream.train_stream[0]]
        )
