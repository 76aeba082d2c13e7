"""The average of the weights: its formula, and where the model is the average."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.training.plugins.averaging.ema import EMA
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.plugins.isolation.packnet import PackNet
from cliqa.training.plugins.isolation.task_specific import TaskSpecificParts
from cliqa.training.plugins.regularization.l2 import L2
from cliqa.training.views.views import tensors_of
from cliqa.utils.errors import ConfigError

Make = Callable[..., Any]


class Trace(ContinualPlugin):
    """Keeps the weights after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[dict[str, Tensor]] = []

    def before_training_exp(self, strategy: Any, **_: Any) -> None:
        self.start = copy.deepcopy(strategy.model.state_dict())

    def after_update(self, strategy: Any, **_: Any) -> None:
        self.steps.append(copy.deepcopy(strategy.model.state_dict()))

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


def averaged(trace: Trace, decay: float, warmup: bool) -> dict[str, Tensor]:
    """Return the average of a trace, written as the definition has it."""
    found = {name: value.double() for name, value in trace.start.items()}
    for step, weights in enumerate(trace.steps):
        d = min(decay, (1 + step) / (10 + step)) if warmup else decay
        found = {name: d * old + (1 - d) * weights[name] for name, old in found.items()}
    return found


@pytest.mark.parametrize("warmup", [True, False])
def test_the_model_ends_as_the_average_of_its_steps(
    warmup: bool, make_strategy: Make, tiny_stream: QualityStream
) -> None:
    trace = Trace()
    strategy = make_strategy([EMA(0.8, warmup), trace], epochs=3)
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    expected = averaged(trace, 0.8, warmup)
    assert len(trace.steps) == 12
    for name, value in strategy.model.state_dict().items():
        if value.is_floating_point():  # running statistics too
            assert torch.allclose(value.double(), expected[name], atol=1e-6), name
        else:
            assert torch.equal(value, trace.steps[-1][name])


def test_training_itself_is_unchanged(make_strategy: Make, tiny_stream: QualityStream) -> None:
    traces = [Trace(), Trace()]
    for plugins in ([traces[0]], [EMA(0.9), traces[1]]):
        strategy = make_strategy(plugins, epochs=2)
        strategy.train_step(0, [tiny_stream.train_stream[0]])
    for plain, beside in zip(traces[0].steps, traces[1].steps, strict=True):
        assert all(torch.equal(plain[name], beside[name]) for name in plain)


def test_validation_sees_the_average_and_the_next_experience_starts_from_it(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    trace, seen = Trace(), []
    strategy = make_strategy([EMA(0.8), trace, L2(0.1)], epochs=2)
    strategy.on_epoch = lambda _: seen.append(copy.deepcopy(strategy.model.state_dict()))
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    assert not torch.equal(seen[0]["head.weight"], trace.steps[3]["head.weight"])
    end = copy.deepcopy(strategy.model.state_dict())
    assert all(torch.equal(end[name], seen[-1][name]) for name in end)
    anchor = strategy.plugins[2].state_dict()["anchors"][-1]
    assert torch.equal(anchor["head.weight"], end["head.weight"])
    trace.steps.clear()
    strategy.train_step(1, [tiny_stream.train_stream[1]])
    assert all(torch.equal(trace.start[name], end[name]) for name in end)
    expected = averaged(trace, 0.8, warmup=True)  # a new one, with a new warm-up
    found = strategy.model.state_dict()["head.weight"]
    assert torch.allclose(found.double(), expected["head.weight"], atol=1e-6)


@pytest.mark.parametrize("ema_first", [True, False])
def test_what_never_moves_keeps_its_bits(
    ema_first: bool, make_strategy: Make, tiny_stream: QualityStream
) -> None:
    plugins = [EMA(0.7), TaskSpecificParts(["head"], shared="frozen")]
    strategy = make_strategy(plugins if ema_first else plugins[::-1], epochs=2)
    before = copy.deepcopy(strategy.model.state_dict())
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    for name, value in tensors_of(strategy.model).items():
        assert torch.equal(value, before[name]) == name.startswith("body"), name


def test_an_accumulated_step_counts_once(make_strategy: Make, tiny_stream: QualityStream) -> None:
    ema = EMA(0.9)
    strategy = make_strategy([ema], epochs=1, accumulate=3)
    strategy.train_step(0, [tiny_stream.train_stream[0]])  # 4 batches
    assert ema.state_dict()["steps"] == 2


def test_the_end_of_an_experience_keeps_no_second_model(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    ema = EMA(0.9)
    strategy = make_strategy([ema], epochs=1)
    strategy.on_epoch = lambda _: sizes.append(len(ema.state_dict()["trained"]))
    sizes: list[int] = []
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    assert sizes == [len(strategy.model.state_dict())]
    assert ema.state_dict()["trained"] == {}


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_a_decay_out_of_range_is_refused(decay: float) -> None:
    with pytest.raises(ConfigError, match=r"EMA: decay must lie in 0\.\.1, below 1, got"):
        EMA(decay)


def test_a_method_that_prunes_is_refused(make_strategy: Make) -> None:
    with pytest.raises(ConfigError, match=r"EMA: PackNet changes weights in the middle.*'PackNet'"):
        make_strategy([PackNet(0.5), EMA()])


def test_integer_buffers_are_copied() -> None:
    model = nn.BatchNorm1d(2)
    ema = EMA(0.5, warmup=False)
    holder: Any = type("Holder", (), {"model": model, "updated": True, "plugins": []})
    ema.before_training_iteration(holder)
    model(torch.randn(4, 2))
    ema.after_training_iteration(holder)
    ema.after_training_epoch(holder)
    assert int(model.num_batches_tracked or 0) == 1


def test_the_average_is_the_plain_formula_to_the_bit() -> None:
    noise = torch.Generator().manual_seed(0)
    ema = EMA(decay=0.9)
    ema._average = {"w": torch.randn(5, 7, generator=noise), "n": torch.tensor(0)}
    expected = ema._average["w"].clone()
    for step in range(30):
        weight = torch.randn(5, 7, generator=noise)
        ema.average({"w": weight, "n": torch.tensor(step)})
        expected.lerp_(weight, 1 - min(0.9, (1 + step) / (10 + step)))
    assert torch.equal(ema._average["w"], expected)
    assert ema._average["n"] == 29
