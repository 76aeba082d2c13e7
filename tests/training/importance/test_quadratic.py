"""What EWC, SI and MAS have in common: the penalty, its limits, and runs that are stopped."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.engine.build import build
from cliqa.training.importance.quadratic import (
    QuadraticPenalty,
    WeightPenalty,
    check_count,
    compared,
    grown,
    squared_distance,
    trainable,
)
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.plugins.regularization.ewc import EWC
from cliqa.training.plugins.regularization.l2 import L2
from cliqa.training.plugins.regularization.mas import MAS
from cliqa.training.plugins.regularization.si import SI
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.utils.errors import ConfigError
from cliqa.utils.seed import generator

Make = Callable[..., Any]
Plugins = Callable[[], list[Any]]

METHODS: dict[str, Plugins] = {
    "ewc": lambda: [EWC(10.0)],
    "ewc-online": lambda: [EWC(10.0, "online", gamma=0.9, fisher="sampled", normalize="max")],
    "ewc-single": lambda: [EWC(10.0, "single", fisher="empirical", n_samples=9)],
    "si": lambda: [SI(10.0)],
    "mas": lambda: [MAS(1.0)],
    "all-with-replay": lambda: [EWC(5.0), Replay(12), SI(5.0), MAS(0.5), L2(0.01)],
}
METHOD_NAMES = [EWC, SI, MAS]


class Given(QuadraticPenalty):
    """A penalty with importances and an anchor that the test gives."""

    def __init__(
        self, strength: float, importance: dict[str, Tensor], anchor: dict[str, Tensor]
    ) -> None:
        super().__init__(strength)
        self.load_state_dict({"importance": importance, "anchor": anchor})


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def given(model: nn.Module, strength: float = 2.5) -> Given:
    """Return a penalty of random importances around random weights."""
    random = generator(0, "test")
    importance = {n: torch.rand(p.shape, generator=random) for n, p in model.named_parameters()}
    anchor = {n: torch.randn(p.shape, generator=random) for n, p in model.named_parameters()}
    return Given(strength, importance, anchor)


# -------------------------------------------------------------------- the formula


@pytest.mark.parametrize("scale", [0.5, 1.0])
def test_value_and_gradient_equal_the_formula(scale: float) -> None:
    model = network()
    plugin = given(model)
    plugin.scale = scale
    penalty = plugin.penalty(model)
    state = plugin.state_dict()
    expected, gradients = 0.0, {}
    for name, weight in model.named_parameters():
        gap = weight.detach() - state["anchor"][name]
        expected += float((state["importance"][name] * gap.square()).sum())
        gradients[name] = 2 * scale * 2.5 * state["importance"][name] * gap
    assert penalty.item() == pytest.approx(scale * 2.5 * expected, rel=1e-6)
    penalty.backward()
    own = plugin.gradient(model)
    for name, weight in model.named_parameters():
        assert torch.allclose(weight.grad, gradients[name], rtol=1e-6)  # type: ignore[arg-type]
        assert torch.equal(own[name], weight.grad)  # type: ignore[arg-type]


def test_value_and_gradient_equal_autograds_own() -> None:
    model = network()
    plugin = given(model)
    state = plugin.state_dict()
    plain = sum(
        (state["importance"][n] * (p - state["anchor"][n]) ** 2).sum()
        for n, p in model.named_parameters()
    )
    weights = list(model.parameters())
    expected = torch.autograd.grad(1.25 * plain, weights)
    found = torch.autograd.grad(plugin.penalty(model), weights)
    for own, other in zip(found, expected, strict=True):
        assert torch.allclose(own, other, rtol=1e-6)


def test_importances_of_one_are_the_l2_anchor() -> None:
    model = network()
    anchor, l2 = trainable(model), L2(0.7)
    l2.after_training_exp(SimpleNamespace(model=model))
    ewc = EWC(0.7)
    ones = {name: torch.ones_like(value) for name, value in anchor.items()}
    ewc.load_state_dict({"importance": ones, "anchor": anchor, "rest": {}, "learnt": 1})
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight))
    assert torch.equal(ewc.penalty(model), l2.penalty(model))
    own, other = ewc.gradient(model), l2.gradient(model)
    assert own.keys() == other.keys()
    assert all(torch.equal(own[name], other[name]) for name in own)


def test_new_weights_are_free_and_of_grown_ones_the_old_part_is_compared() -> None:
    small, large = nn.Linear(2, 1), nn.Linear(2, 3)
    ones = {name: torch.ones_like(value) for name, value in small.named_parameters()}
    plugin = Given(2.0, ones, trainable(small))
    with torch.no_grad():
        large.weight[:1] = small.weight + 1
        large.bias[:1] = small.bias
    large.register_parameter("extra", nn.Parameter(torch.ones(4)))
    assert plugin.penalty(large).item() == pytest.approx(2.0)
    gradient = plugin.gradient(large)
    assert gradient.keys() == {"weight", "bias"}
    assert torch.allclose(gradient["weight"], torch.tensor([[2.0, 2.0], [0, 0], [0, 0]]))


def test_frozen_weights_are_left_out() -> None:
    model = network()
    plugin = given(model)
    model[0].requires_grad_(False)
    names = [name for name, *_ in compared(model, plugin.state_dict()["anchor"])]
    assert names == ["2.weight", "2.bias"]
    assert plugin.gradient(model).keys() == set(names)
    model.requires_grad_(False)
    assert plugin.penalty(model).item() == 0.0
    assert plugin.gradient(model) == {}


def test_nothing_is_added_before_an_anchor_or_without_strength() -> None:
    model = network()
    for plugin in (EWC(), SI(), MAS(), Given(0.0, {}, trainable(model))):
        holder = SimpleNamespace(model=model, loss=torch.zeros(()))
        loss = holder.loss
        plugin.before_backward(holder)
        assert holder.loss is loss


def test_distance_is_exact_on_scalars_and_strided_weights() -> None:
    model = nn.Module()
    model.scalar = nn.Parameter(torch.tensor(3.0))
    model.strided = nn.Parameter(torch.arange(6.0).view(2, 3).t())
    anchor = {"scalar": torch.tensor(1.0), "strided": torch.zeros(3, 2)}
    assert squared_distance(model, anchor).item() == 4.0 + 55.0


def test_grown_keeps_the_old_and_fills_the_new() -> None:
    old, like = torch.ones(1, 2), torch.full((2, 3), 7.0)
    assert grown(old, like).tolist() == [[1.0, 1.0, 7.0], [7.0, 7.0, 7.0]]
    assert grown(old, torch.zeros(1, 2)) is old
    assert torch.equal(grown(None, like), like)


# -------------------------------------------------------------------- limits


@pytest.mark.parametrize(
    "plugin",
    [EWC(0.0), EWC(0.0, "online"), EWC(0.0, "single"), SI(0.0), MAS(0.0)],
    ids=["ewc", "ewc-online", "ewc-single", "si", "mas"],
)
def test_strength_zero_is_naive_to_the_bit(
    plugin: WeightPenalty,
    make_strategy: Make,
    tiny_stream: Any,
    assert_same: Callable[..., None],
) -> None:
    naive, held = make_strategy(), make_strategy([plugin])
    for strategy in (naive, held):
        for index in range(3):
            strategy.train_step(index, [tiny_stream.train_stream[index]])
    assert_same(held.model.state_dict(), naive.model.state_dict())
    assert_same(held.optimizer.state_dict()["state"], naive.optimizer.state_dict()["state"])


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_a_great_strength_keeps_what_matters(
    method: type[QuadraticPenalty], make_strategy: Make, tiny_stream: Any
) -> None:
    moved: dict[float, float] = {}
    for strength in (0.0, 1e6):
        strategy = make_strategy([method(strength)])
        strategy.train_step(0, [tiny_stream.train_stream[0]])
        state = copy.deepcopy(strategy.plugins[0].state_dict())
        # plain gradient steps whose size the strength does not decide over
        rate = 1e-2 if not strength else 0.5 / (2 * strength * _largest(state["importance"]))
        strategy.optimizer = torch.optim.SGD(strategy.model.parameters(), lr=rate)
        strategy.train_step(1, [tiny_stream.train_stream[1]])
        distance = squared_distance(strategy.model, state["anchor"], state["importance"])
        moved[strength] = distance.item()
    assert moved[1e6] < 1e-6 * moved[0.0]


def _largest(importance: dict[str, Tensor]) -> float:
    return max(float(part.max()) for part in importance.values())


@pytest.mark.parametrize("scale", [0.5, 1.0])
def test_a_strength_that_would_diverge_is_warned_of(
    scale: float, caplog: pytest.LogCaptureFixture
) -> None:
    model = network()
    plugin = given(model, strength=100.0)
    plugin.scale = scale
    largest = _largest(plugin.importance)
    step = 2 * scale * 100.0 * 0.5 * largest
    optimizer: torch.optim.Optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    strategy = SimpleNamespace(model=model, optimizer=optimizer, options=TrainingOptions())
    plugin.before_training_exp(strategy)
    message = caplog.records[0].getMessage()
    assert f"Given: strength * learning rate * largest importance = {step:.3g}; " in message
    assert f"Set its strength below {100 / step:.3g}" in message
    caplog.clear()
    optimizer.param_groups[0]["lr"] = 1e-9
    plugin.before_training_exp(strategy)
    strategy.options = TrainingOptions(clip_grad_norm=1.0)
    optimizer.param_groups[0]["initial_lr"] = 0.5
    plugin.before_training_exp(strategy)
    strategy.options = TrainingOptions()
    strategy.optimizer = torch.optim.AdamW(model.parameters(), lr=0.5)  # its steps do not grow
    plugin.before_training_exp(strategy)
    assert not caplog.records
    strategy.optimizer = optimizer  # a schedule's first rate is what counts
    plugin.before_training_exp(strategy)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("method", [*METHOD_NAMES, L2])
@pytest.mark.parametrize("strength", [-1.0, float("nan")])
def test_a_strength_below_zero_is_refused(method: type[WeightPenalty], strength: float) -> None:
    message = rf"{method.__name__}: strength must be >= 0, got {strength}"
    with pytest.raises(ConfigError, match=message):
        method(strength)


# -------------------------------------------------------------------- runs


@pytest.mark.parametrize("case", METHODS)
def test_scores_resume_at_any_epoch_is_bit_identical(
    case: str, make_strategy: Make, short_stream: Any, assert_resumable: Callable[..., None]
) -> None:
    def make() -> Any:
        return make_strategy(METHODS[case](), schedule={"type": "StepLR", "step_size": 1})

    assert_resumable(make, short_stream, 1 if case == "all-with-replay" else 4)


@pytest.mark.parametrize("case", ["ewc-online", "all-with-replay"])
def test_classes_resume_at_any_epoch_is_bit_identical(
    case: str, clear_config: dict[str, Any], assert_resumable: Callable[..., None]
) -> None:
    clear_config["cl_strategy"].update(type="Naive", clip_grad_norm=1.0)
    clear_config["cl_strategy"].pop("mem_size")

    def make() -> Any:
        strategy = build(clear_config, torch.device("cpu")).strategy
        strategy.plugins[:0] = METHODS[case]()
        return strategy

    assert_resumable(make, build(clear_config, torch.device("cpu")).benchmark, 2)


@pytest.mark.parametrize("case", METHODS)
def test_mixed_precision_runs_and_importances_are_full(
    case: str, make_strategy: Make, tiny_stream: Any, learn: Callable[..., None]
) -> None:
    strategy = make_strategy(METHODS[case](), amp=True)
    learn(strategy, tiny_stream)
    for plugin in strategy.plugins:
        if isinstance(plugin, QuadraticPenalty):
            parts = plugin.importance.values()
            assert all(part.dtype == torch.float32 for part in parts)
            assert all(torch.isfinite(part).all() and (part >= 0).all() for part in parts)
            assert sum(float(part.sum()) for part in parts) > 0
    assert all(torch.isfinite(p).all() for p in strategy.model.parameters())


@pytest.mark.parametrize("case", METHODS)
def test_it_is_not_plain_fine_tuning_and_leaves_the_loop_as_it_was(
    case: str, make_strategy: Make, tiny_stream: Any
) -> None:
    naive, held = make_strategy(), make_strategy(METHODS[case]())
    for strategy in (naive, held):
        strategy.train_step(0, [tiny_stream.train_stream[0]])
    for name, value in naive.model.state_dict().items():  # no penalty yet, and no other statistics
        assert torch.equal(held.model.state_dict()[name], value), name
    modes = [module.training for module in naive.model.modules()]
    assert [module.training for module in held.model.modules()] == modes
    for strategy in (naive, held):
        strategy.train_step(1, [tiny_stream.train_stream[1]])
    assert not torch.equal(held.model.head.weight, naive.model.head.weight)


@pytest.mark.parametrize("kind", ["clear_config", "features_config", "split_config"])
@pytest.mark.parametrize("method", ["EWC", "SI", "MAS"])
def test_configs_name_them_for_classes(
    method: str, kind: str, request: pytest.FixtureRequest
) -> None:
    config = request.getfixturevalue(kind)
    config["cl_strategy"].update(type=method, strength=1.0, train_epochs=1)
    config["cl_strategy"].pop("mem_size")
    parts = build(config, torch.device("cpu"))
    plugin = parts.strategy.plugins[0]
    assert type(plugin).__module__.startswith("cliqa.training.plugins.regularization.")
    for index in range(2):
        parts.strategy.train_step(index, [parts.benchmark.train_stream[index]])
    assert plugin.importance.keys() == {name for name, _ in parts.model.named_parameters()}
    assert all(torch.isfinite(p).all() for p in parts.model.parameters())


@pytest.mark.parametrize("method", ["EWC", "SI", "MAS"])
def test_configs_name_them_for_scores(method: str, tiny_config: dict[str, Any]) -> None:
    tiny_config["cl_strategy"].update(type=method, strength=1.0)
    tiny_config["cl_strategy"].pop("mem_size")
    parts = build(tiny_config, torch.device("cpu"))
    assert parts.strategy.plugins[0].strength == 1.0


def test_an_invalid_number_of_samples_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"X: n_samples must be an integer >= 0 .*got -1"):
        check_count("X", -1)
    check_count("X", 0)
