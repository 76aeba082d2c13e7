"""A strategy whose model is pruned: its optimizer, and states that are loaded into it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.models.pruned import pruning_of
from cliqa.training.cut_channels import cut_channels
from cliqa.utils.errors import ModelError

Make = Callable[..., Any]


def step(*kept: int) -> dict[str, Any]:
    """Return the step that keeps some of the convolution's 8 channels in `TinyModel`."""
    first = [f"body.0.{key}" for key in ("weight", "bias")]
    norm = [f"body.1.{key}" for key in ("weight", "bias", "running_mean", "running_var")]
    return {
        "kept": [list(kept)],
        "tensors": {**{name: [[0, 0]] for name in (*first, *norm)}, "head.weight": [[1, 0]]},
        "attributes": {"body.1": {"num_features": [8, len(kept)]}},
    }


def test_the_optimizer_keeps_its_groups_and_its_averages(
    make_strategy: Make, tiny_stream: QualityStream, learn: Any
) -> None:
    strategy = make_strategy()
    learn(strategy, tiny_stream, 0, 1)
    model, optimizer = strategy.model, strategy.optimizer
    old = dict(model.named_parameters())
    averages = {name: optimizer.state[p]["exp_avg"].clone() for name, p in old.items()}
    rates = [group["lr"] for group in optimizer.param_groups]
    cut_channels(strategy, [step(1, 4, 6)])
    new = dict(model.named_parameters())
    assert [id(p) for p in optimizer.param_groups[0]["params"]] == [id(p) for p in new.values()]
    assert [group["lr"] for group in optimizer.param_groups] == rates
    assert len(optimizer.state) == len(new)
    kept = [1, 4, 6]
    assert torch.equal(
        optimizer.state[new["body.0.weight"]]["exp_avg"], averages["body.0.weight"][kept]
    )
    assert torch.equal(
        optimizer.state[new["head.weight"]]["exp_avg"], averages["head.weight"][:, kept]
    )
    assert optimizer.state[new["head.bias"]]["step"] > 0
    assert new["head.bias"] is old["head.bias"]


def test_a_state_of_a_pruned_strategy_prunes_a_fresh_one(
    make_strategy: Make, tiny_stream: QualityStream, learn: Any, assert_same: Any
) -> None:
    pruned = make_strategy()
    assert "pruning" not in pruned.state_dict()
    learn(pruned, tiny_stream, 0, 1)
    cut_channels(pruned, [step(0, 3)])
    state = pruned.state_dict()
    fresh = make_strategy()
    fresh.load_state_dict(state)
    assert pruning_of(fresh.model) == [step(0, 3)]
    assert_same(dict(fresh.model.state_dict()), dict(pruned.model.state_dict()))
    listed = fresh.optimizer.param_groups[0]["params"]
    assert [id(p) for p in listed] == [id(p) for p in fresh.model.parameters()]


def test_a_pruned_strategy_does_not_take_the_state_of_a_whole_one(make_strategy: Make) -> None:
    pruned, whole = make_strategy(), make_strategy()
    cut_channels(pruned, [step(0, 3)])
    with pytest.raises(ModelError, match="pruned differently from"):
        pruned.load_state_dict(whole.state_dict())
