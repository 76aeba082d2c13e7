"""Maximally interfered retrieval: who joins a batch, and what the look ahead leaves."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.training.plugins.rehearsal import mir
from cliqa.training.plugins.rehearsal.mir import MIR, interference
from cliqa.utils.errors import ConfigError

Make = Callable[..., Any]


def test_interference_is_the_rise_of_the_loss_after_a_step(
    make_strategy: Make, tiny_stream: QualityStream, assert_same: Make
) -> None:
    strategy = make_strategy(epochs=1)
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    strategy.model.body[5].p = 0.0
    strategy.model.train()
    images = torch.rand(10, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    targets = torch.linspace(0, 1, 10)
    strategy.mbatch, batch = [images[:4], targets[:4]], [images[4:], targets[4:]]
    other = copy.deepcopy(strategy.model)
    state = copy.deepcopy(strategy.state_dict())
    found = interference(strategy, batch)
    assert_same(strategy.state_dict(), state)
    assert strategy.model.training

    still = copy.deepcopy(other).eval()
    before = (still(batch[0]) - batch[1]).square()
    loss = F.l1_loss(other(images[:4]), targets[:4])
    gradients = torch.autograd.grad(loss, list(other.parameters()))
    stepped = still
    with torch.no_grad():
        for weight, gradient in zip(stepped.parameters(), gradients, strict=True):
            weight -= 1e-2 * gradient
        after = (stepped(batch[0]) - batch[1]).square()
    assert torch.allclose(found, (after - before).detach(), atol=1e-6)


def test_the_most_interfered_join_the_batch(
    make_strategy: Make, tiny_stream: QualityStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[Tensor, Tensor]] = []

    def watched(_: Any, batch: Any) -> Tensor:
        rises = torch.rand(len(batch[1]))
        drawn.append((batch[1], rises))
        return rises

    monkeypatch.setattr(mir, "interference", watched)
    strategy = make_strategy([MIR(16, candidates=9, batch_size_mem=3)], epochs=1)
    batches: list[Tensor] = []
    step = strategy.optimizer_step

    def note() -> None:
        batches.append(strategy.mb_y.clone())
        step()

    strategy.optimizer_step = note
    for index in range(2):
        strategy.train_step(index, [tiny_stream.train_stream[index]])
    assert [len(batch) for batch in batches] == [8] * 4 + [11] * 4
    for (targets, rises), batch in zip(drawn, batches[4:], strict=True):
        assert len(targets) == 9
        assert torch.equal(batch[8:], targets[rises.topk(3).indices])


def test_without_a_memory_it_is_naive_to_the_bit(
    make_strategy: Make, tiny_stream: QualityStream, assert_same: Make
) -> None:
    plain, own = make_strategy(), make_strategy([MIR(8)])
    for strategy in (plain, own):
        strategy.train_step(0, [tiny_stream.train_stream[0]])
    assert_same(own.model.state_dict(), plain.model.state_dict())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"candidates": 0}, "MIR: candidates must be an integer >= 1, got 0"),
        ({"candidates": 8, "batch_size_mem": 9}, r"batch_size_mem=9 samples cannot be chosen"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MIR(**arguments)
