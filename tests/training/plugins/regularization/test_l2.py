"""The L2 anchor: its formula, its anchors and its limits."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.training.plugins.regularization.l2 import L2
from cliqa.utils.errors import ConfigError


class _Holder:
    """As much of a strategy as the hooks need."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.loss = torch.zeros(())


Holder: Any = _Holder  # not all of the protocol


def test_penalty_and_gradient_equal_the_formula() -> None:
    model = nn.Linear(3, 2)
    plugin = L2(strength=0.5)
    plugin.after_training_exp(Holder(model))
    anchor = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        model.weight.add_(0.1)
        model.bias.sub_(0.2)
    penalty = plugin.penalty(model)
    assert float(penalty) == pytest.approx(0.5 / 2 * (6 * 0.1**2 + 2 * 0.2**2), rel=1e-5)
    penalty.backward()
    for name, parameter in model.named_parameters():
        expected = 0.5 * (parameter.detach() - anchor[name])
        assert torch.allclose(parameter.grad, expected, rtol=1e-6)  # type: ignore[arg-type]


def test_all_anchors_add_up() -> None:
    model = nn.Linear(1, 1, bias=False)
    plugin = L2(strength=2.0, anchor="all")
    for value in (0.0, 1.0):
        nn.init.constant_(model.weight, value)
        plugin.after_training_exp(Holder(model))
    nn.init.constant_(model.weight, 3.0)
    assert float(plugin.penalty(model)) == 3.0**2 + 2.0**2


def test_nothing_is_added_before_the_first_anchor() -> None:
    holder = Holder(nn.Linear(1, 1))
    plugin = L2()
    plugin.before_training_exp(holder)
    plugin.before_backward(holder)
    assert holder.loss == 0


def test_init_anchor_is_the_first_weights_for_good() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    plugin, holder = L2(2.0, "init"), Holder(model)
    plugin.before_training_exp(holder)
    for value in (2.0, 5.0):
        nn.init.constant_(model.weight, value)
        plugin.after_training_exp(holder)
        plugin.before_training_exp(holder)
    assert float(plugin.penalty(model)) == 16.0


def test_new_and_grown_weights() -> None:
    small, large = nn.Linear(2, 1), nn.Linear(2, 3)
    plugin = L2(2.0)
    plugin.after_training_exp(Holder(small))
    with torch.no_grad():
        large.weight[:1] = small.weight + 1
        large.bias[:1] = small.bias
    large.register_parameter("extra", nn.Parameter(torch.ones(4)))
    assert float(plugin.penalty(large)) == pytest.approx(2.0)


def test_frozen_weights_are_left_out() -> None:
    model = nn.Linear(1, 1)
    plugin = L2(2.0)
    plugin.after_training_exp(Holder(model))
    with torch.no_grad():
        model.weight.add_(1)
        model.bias.add_(1)
    model.bias.requires_grad_(False)
    assert float(plugin.penalty(model)) == pytest.approx(1.0)


def test_strength_zero_is_naive_to_the_bit(
    make_strategy: Callable[..., Any],
    tiny_stream: QualityStream,
    assert_same: Callable[[Any, Any], None],
) -> None:
    naive, anchored = make_strategy(), make_strategy([L2(0.0)])
    for strategy in (naive, anchored):
        for index in range(2):
            strategy.train_step(index, [tiny_stream.train_stream[index]])
    assert_same(anchored.model.state_dict(), naive.model.state_dict())


def test_a_great_strength_keeps_the_weights(
    make_strategy: Callable[..., Any], tiny_stream: QualityStream
) -> None:
    gaps = {}
    for strength in (0.0, 1e3):
        strategy = make_strategy([L2(strength)])
        strategy.train_step(0, [tiny_stream.train_stream[0]])
        before = strategy.model.head.weight.detach().clone()
        strategy.train_step(1, [tiny_stream.train_stream[1]])
        gaps[strength] = float((strategy.model.head.weight - before).norm())
    assert gaps[1e3] < 0.5 * gaps[0.0]


def test_differs_from_weight_decay() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 2.0)
    plugin = L2(1.0)
    plugin.after_training_exp(Holder(model))
    plugin.penalty(model).backward()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.5)
    optimizer.step()  # at the anchor only the decay moves the weight
    assert float(model.weight) == pytest.approx(2.0 - 0.1 * 0.5 * 2.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strength": -1}, "strength must be >= 0, got -1"),
        ({"strength": float("nan")}, "strength must be >= 0, got nan"),
        ({"anchor": "first"}, "anchor must be one of 'last', 'init', 'all', got 'first'"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        L2(**arguments)
