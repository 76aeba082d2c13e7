"""Synaptic intelligence: the path integral, whose gradient it is of, and what comes of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.training.loop.options import TrainingOptions
from cliqa.training.plugins.regularization.ewc import EWC
from cliqa.training.plugins.regularization.l2 import L2
from cliqa.training.plugins.regularization.mas import MAS
from cliqa.training.plugins.regularization.si import SI, task_gradient
from cliqa.utils.errors import ConfigError

Make = Callable[..., Any]


def holder(model: nn.Module, plugin: SI, lr: float, **arguments: Any) -> Any:
    """Return as much of a strategy as the hooks need."""
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, **arguments)
    options = TrainingOptions()
    return SimpleNamespace(model=model, optimizer=optimizer, plugins=[plugin], options=options)


def step(strategy: Any, loss: Callable[[], Tensor]) -> float:
    """Take a step as the training loop does, and return the loss before it."""
    (plugin,) = strategy.plugins
    strategy.optimizer.zero_grad()
    strategy.loss = loss()
    before = strategy.loss.item()
    plugin.before_backward(strategy)
    strategy.loss.backward()
    plugin.after_backward(strategy)
    strategy.optimizer.step()
    plugin.after_update(strategy)
    return before


def parabola(model: nn.Module) -> Callable[[], Tensor]:
    """Return the loss ``sum_k h_k (theta_k - 1)^2 / 2``."""
    curvature = torch.tensor([[0.5, 1.0, 4.0]])
    return lambda: (curvature * (model.get_parameter("weight") - 1).square()).sum() / 2


@pytest.mark.parametrize("lr", [1e-2, 1e-3])
def test_the_shares_add_up_to_what_the_loss_fell_by(lr: float) -> None:
    model = nn.Linear(3, 1, bias=False).double()
    nn.init.zeros_(model.weight)
    plugin = SI(1.0)
    strategy, loss = holder(model, plugin, lr), parabola(model)
    plugin.before_training_exp(strategy)
    first = loss().item()
    for _ in range(int(2 / lr)):
        step(strategy, loss)
    fallen = first - loss().item()
    total = plugin.state_dict()["omega"]["weight"].sum().item()
    assert total == pytest.approx(fallen, rel=2 * lr)
    assert total != pytest.approx(fallen, rel=lr / 100)  # the error is of the order of lr


def test_one_step_by_hand() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 2.0)
    plugin = SI(strength=3.0, xi=0.5)
    strategy = holder(model, plugin, lr=0.1)
    plugin.before_training_exp(strategy)
    step(strategy, lambda: model.weight.square().sum())  # g = 4, the weight goes to 1.6
    omega = plugin.state_dict()["omega"]["weight"].item()
    assert omega == pytest.approx(4 * 0.4)
    plugin.after_training_exp(strategy)
    expected = 4 * 0.4 / (0.4**2 + 0.5)
    assert plugin.importance["weight"].item() == pytest.approx(expected)
    nn.init.constant_(model.weight, 1.0)
    assert plugin.penalty(model).item() == pytest.approx(3.0 * expected * 0.6**2)


def test_a_weight_that_raised_the_loss_has_no_importance() -> None:
    model = nn.Linear(1, 1, bias=False)
    plugin = SI()
    strategy = holder(model, plugin, lr=0.1, maximize=True)
    plugin.before_training_exp(strategy)
    step(strategy, lambda: model.weight.square().sum())
    assert plugin.state_dict()["omega"]["weight"].item() < 0
    plugin.after_training_exp(strategy)
    assert plugin.importance["weight"].item() == 0.0


def test_importances_of_experiences_add_up_and_each_has_its_own_path() -> None:
    model = nn.Linear(1, 1, bias=False)
    plugin = SI(xi=0.2)
    strategy = holder(model, plugin, lr=0.1)
    expected = 0.0
    for start in (2.0, -3.0):
        nn.init.constant_(model.weight, start)
        plugin.before_training_exp(strategy)
        assert plugin.state_dict()["omega"] == {}
        plugin.strength = 0.0  # the path of the loss alone
        step(strategy, lambda: model.weight.square().sum())
        moved = 0.2 * abs(start)
        expected += 2 * abs(start) * moved / (moved**2 + 0.2)
        plugin.after_training_exp(strategy)
    assert plugin.importance["weight"].item() == pytest.approx(expected)
    assert plugin.state_dict()["anchor"]["weight"].item() == pytest.approx(-2.4)


def test_weights_that_have_grown_keep_the_old_parts_importance() -> None:
    small, large = nn.Linear(1, 1, bias=False), nn.Linear(2, 1, bias=False)
    plugin = SI()
    for model in (small, large):
        nn.init.constant_(model.weight, 1.0)
        strategy = holder(model, plugin, lr=0.1)
        plugin.before_training_exp(strategy)
        plugin.strength = 0.0
        step(strategy, lambda model=model: model.weight.square().sum())  # type: ignore[misc]
        plugin.after_training_exp(strategy)
    one = 2 * 0.2 / (0.2**2 + 0.1)
    assert plugin.importance["weight"][0].tolist() == pytest.approx([2 * one, one])


@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_gradient_is_the_losss_alone(order: int, make_strategy: Make, tiny_stream: Any) -> None:
    """Whatever penalties stand beside it, in whatever order."""
    plugins: list[Any] = [SI(20.0), EWC(5.0), L2(0.3), MAS(2.0)]
    plugins = plugins[order:] + plugins[:order]
    strategy = make_strategy(plugins, epochs=1)
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    with torch.no_grad():
        for weight in strategy.model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    strategy.model.eval()
    images = torch.rand(6, 3, 12, 12)
    scores = torch.rand(6)

    def loss() -> Tensor:
        return nn.functional.mse_loss(strategy.model(images), scores)

    weights = dict(strategy.model.named_parameters())
    expected = dict(zip(weights, torch.autograd.grad(loss(), list(weights.values())), strict=True))
    strategy.optimizer.zero_grad()
    strategy.loss = loss()
    for plugin in strategy.plugins:
        if hasattr(plugin, "before_backward") and plugin in plugins:
            plugin.before_backward(strategy)
    strategy.loss.backward()
    found = task_gradient(strategy)
    for name in weights:
        assert torch.allclose(found[name], expected[name], rtol=1e-4, atol=1e-6), name
    assert not torch.allclose(weights["head.weight"].grad, expected["head.weight"], rtol=1e-2)


def test_clipping_momentum_and_decay_act_on_the_step_alone(
    make_strategy: Make, tiny_stream: Any
) -> None:
    plugin = SI(0.0)
    strategy = make_strategy([plugin], epochs=1, clip_grad_norm=0.01)
    model = strategy.model
    strategy.optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    expected = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    held: list[dict[str, Tensor]] = []
    backward, update = strategy.backward, strategy.optimizer_step

    def note_backward() -> None:
        backward()
        held[:] = [
            {n: p.grad.clone() for n, p in model.named_parameters()},
            {n: p.detach().clone() for n, p in model.named_parameters()},
        ]

    def note_update() -> None:
        update()
        for name, weight in model.named_parameters():
            expected[name] -= held[0][name] * (weight.detach() - held[1][name])

    strategy.backward, strategy.optimizer_step = note_backward, note_update
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    for name, omega in plugin.state_dict()["omega"].items():
        assert torch.allclose(omega, expected[name], rtol=1e-6), name
        assert float(omega.abs().sum()) > 0 or name == "body.0.bias", name


def test_a_skipped_step_counts_nothing() -> None:
    model = nn.Linear(2, 1, bias=False)
    plugin = SI()
    strategy = holder(model, plugin, lr=0.1)
    plugin.before_training_exp(strategy)
    model.weight.grad = torch.tensor([[float("inf"), float("nan")]])
    plugin.after_backward(strategy)
    plugin.after_update(strategy)  # gradient scaling has left the weights alone
    assert plugin.state_dict()["omega"]["weight"].tolist() == [[0.0, 0.0]]


def test_frozen_and_unused_parameters_are_left_out(make_strategy: Make, tiny_stream: Any) -> None:
    plugin = SI(1.0)
    strategy = make_strategy([plugin], epochs=1)
    strategy.model.body.requires_grad_(False)
    strategy.model.register_parameter("apart", nn.Parameter(torch.ones(2)))
    for index in range(2):
        strategy.train_step(index, [tiny_stream.train_stream[index]])
    assert plugin.importance.keys() == {"head.weight", "head.bias"}


def test_state_holds_the_path_and_comes_back(tmp_path: Any) -> None:
    model = nn.Linear(3, 1, bias=False)
    nn.init.zeros_(model.weight)
    plugin, other = SI(2.0), SI(2.0)
    strategy = holder(model, plugin, lr=0.1)
    plugin.before_training_exp(strategy)
    for _ in range(3):
        step(strategy, parabola(model))
    torch.save(plugin.state_dict(), tmp_path / "state.pth")
    other.load_state_dict(torch.load(tmp_path / "state.pth", weights_only=True))
    twin = copy.deepcopy(model)
    resumed = holder(twin, other, lr=0.1)
    for run, net in ((strategy, model), (resumed, twin)):
        step(run, parabola(net))
        run.plugins[0].after_training_exp(run)
    assert torch.equal(other.importance["weight"], plugin.importance["weight"])
    assert plugin.importance["weight"].sum() > 0


@pytest.mark.parametrize("xi", [0.0, -1.0])
def test_bad_arguments_are_refused(xi: float) -> None:
    with pytest.raises(ConfigError, match=rf"SI: xi must be above 0, got {xi}"):
        SI(xi=xi)
