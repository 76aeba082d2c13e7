"""Pruning between experiences: when, what goes with it, and runs that are stopped anywhere."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from avalanche.training.plugins import ReplayPlugin

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.models.fake_quantization import is_rounded, remove_rounding, rounding_layers
from cliqa.models.pruned import pruning_of, slice_of
from cliqa.training.plugins.averaging.ema import EMA
from cliqa.training.plugins.compression.pruning import ChannelPruning
from cliqa.training.plugins.compression.qat import QAT
from cliqa.training.plugins.isolation.lora import LoRA
from cliqa.training.plugins.isolation.packnet import PackNet
from cliqa.training.plugins.regularization.ewc import EWC
from cliqa.training.plugins.regularization.l2 import L2
from cliqa.training.plugins.regularization.mas import MAS
from cliqa.training.plugins.regularization.si import SI
from cliqa.training.plugins.rehearsal.der import DER
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.training.plugins.teachers.lwf import LwF
from cliqa.utils.errors import ConfigError

pytest.importorskip("torch_pruning")

Make = Callable[..., Any]


def pruning(**options: Any) -> ChannelPruning:
    return ChannelPruning(**{"ratio": 0.25, "round_to": 1, "after": None, **options})


def widths(strategy: Any) -> int:
    return len(strategy.model.body[0].weight)


def test_channels_leave_before_the_last_epochs(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    seen = []
    strategy = make_strategy([pruning(after=[1], recover_epochs=2)], epochs=4)
    strategy.on_epoch = lambda _: seen.append((strategy.step_index, widths(strategy)))
    for index in range(3):
        strategy.train_step(index, [tiny_stream.train_stream[index]])
    assert [width for step, width in seen if step == 0] == [8] * 4
    assert [width for step, width in seen if step == 1] == [8, 6, 6, 6]
    assert [width for step, width in seen if step == 2] == [6] * 4


def with_rounding(make_strategy: Make) -> Any:
    """Return a strategy with pruning, rounding and replay."""
    rounding = QAT()
    strategy = make_strategy([pruning(after=[1]), rounding, Replay(mem_size=6)], epochs=3)
    rounding.prepare(strategy.model)
    return strategy


def test_it_goes_with_rounding(make_strategy: Make, tiny_stream: QualityStream, learn: Any) -> None:
    strategy = with_rounding(make_strategy)
    learn(strategy, tiny_stream)
    layer = strategy.model.body[0]
    assert len(layer.weight) == 6
    assert is_rounded(layer)
    assert rounding_layers(strategy.model).keys() == {"body.0"}
    images = torch.rand(4, 3, 16, 16)
    model = strategy.model.eval()
    rounded = model(images)
    plain = copy.deepcopy(model)
    remove_rounding(plain)
    assert not torch.equal(plain(images), rounded)
    assert torch.allclose(plain(images), rounded, atol=0.1)


def test_a_stopped_run_with_rounding_ends_as_one_that_was_not(
    make_strategy: Make, short_stream: QualityStream, assert_resumable: Any
) -> None:
    assert_resumable(lambda: with_rounding(make_strategy), short_stream, every=2)


def test_every_experience_takes_its_share(
    make_strategy: Make, tiny_stream: QualityStream, learn: Any
) -> None:
    strategy = make_strategy([pruning(recover_epochs=0)], epochs=1)
    found = []
    for index in range(3):
        learn(strategy, tiny_stream, index, index + 1)
        found.append(widths(strategy))
    assert found == [6, 4, 3]  # 8, 6 and 4 less a quarter; 4.5 is rounded to the even 4
    assert len(pruning_of(strategy.model)) == 3


def test_the_optimizer_keeps_the_remaining_state(
    make_strategy: Make, tiny_stream: QualityStream, learn: Any
) -> None:
    strategy = make_strategy([pruning(after=[0], recover_epochs=0)], epochs=2)
    optimizer = strategy.optimizer
    before: dict[str, torch.Tensor] = {}
    plugin = strategy.plugins[0]
    own = plugin._prune

    def watched(strategy: Any) -> None:
        for name, parameter in strategy.model.named_parameters():
            before[name] = optimizer.state[parameter]["exp_avg"].clone()
        own(strategy)

    plugin._prune = watched
    learn(strategy, tiny_stream, 0, 1)
    (step,) = pruning_of(strategy.model)
    listed = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert listed == [id(p) for p in strategy.model.parameters()]
    for name, parameter in strategy.model.named_parameters():
        state = optimizer.state[parameter]["exp_avg"]
        assert torch.equal(state, slice_of(before[name], name, step))
    weight = strategy.model.body[0].weight
    then = weight.detach().clone()
    learn(strategy, tiny_stream, 1, 2)
    assert strategy.model.body[0].weight is weight
    assert not torch.equal(weight, then)


PLUGINS: dict[str, Callable[[], list[Any]]] = {
    "alone": list,
    "Replay": lambda: [Replay(mem_size=12)],
    "DER": lambda: [DER(mem_size=12)],
    "LwF": lambda: [LwF()],
    "EWC": lambda: [EWC(strength=10)],
    "L2": lambda: [L2(anchor="all")],
    "SI": lambda: [SI()],
    "MAS": lambda: [MAS()],
}


@pytest.mark.parametrize("name", PLUGINS)
def test_a_stopped_run_ends_as_one_that_was_not(
    name: str, make_strategy: Make, short_stream: QualityStream, assert_resumable: Any
) -> None:
    def make() -> Any:
        return make_strategy([*PLUGINS[name](), pruning(after=[1])], epochs=2)

    assert_resumable(make, short_stream, every={"alone": 1, "LwF": 2}.get(name, 4))


def stacked(make_strategy: Make) -> Any:
    """Return a strategy that prunes, then learns adapters with rounding and replay."""
    adapters, rounding = LoRA(rank=8, first="full"), QAT(start_experience=1)
    plugins = [adapters, pruning(after=[0]), rounding, Replay(mem_size=6)]
    strategy = make_strategy(plugins, epochs=2)
    for plugin in (adapters, rounding):
        plugin.prepare(strategy.model)
    strategy.make_optimizer(reset_optimizer_state=True)  # over the adapters, too
    return strategy


def test_adapters_follow_on_a_pruned_network(
    make_strategy: Make, tiny_stream: QualityStream, learn: Any
) -> None:
    strategy = stacked(make_strategy)
    learn(strategy, tiny_stream, 0, 1)
    layer = strategy.model.body[0]
    assert layer.base_weight.shape[0] == layer.lora_B.shape[0] == 6
    assert layer.rank == 6  # of 8: no weight of six rows has more
    assert not layer.is_trained
    frozen = layer.base_weight.detach().clone()
    learn(strategy, tiny_stream, 1, 3)
    assert torch.equal(layer.base_weight, frozen)
    assert layer.is_trained
    listed = [id(p) for group in strategy.optimizer.param_groups for p in group["params"]]
    assert sorted(listed) == sorted(id(p) for p in strategy.model.parameters())


def test_a_stopped_stack_ends_as_one_that_was_not(
    make_strategy: Make, short_stream: QualityStream, assert_resumable: Any
) -> None:
    assert_resumable(lambda: stacked(make_strategy), short_stream, every=1)


@pytest.mark.parametrize("plugin", [EWC(), SI(), MAS(), L2()])
def test_anchors_lose_the_same_channels(
    plugin: Any, make_strategy: Make, tiny_stream: QualityStream, learn: Any
) -> None:
    strategy = make_strategy([plugin, pruning(after=[1], recover_epochs=0)], epochs=1)
    learn(strategy, tiny_stream, 0, 1)
    states = [dict(anchors_of(plugin))]
    chosen = strategy.plugins[1]
    chosen._is_due = lambda _: True
    strategy.mbatch = [torch.rand(2, 3, 12, 12), torch.rand(2)]
    chosen._prune(strategy)
    states.append(dict(anchors_of(plugin)))
    (step,) = pruning_of(strategy.model)
    own = dict(strategy.model.named_parameters())
    for name, anchor in states[1].items():
        assert torch.equal(anchor, slice_of(states[0][name], name, step))
        torch.testing.assert_close(anchor, own[name].detach())


def anchors_of(plugin: Any) -> Any:
    return plugin._anchors[-1] if isinstance(plugin, L2) else plugin._anchor


def test_a_teacher_keeps_its_channels(
    make_strategy: Make, tiny_stream: QualityStream, learn: Any
) -> None:
    lwf = LwF()
    strategy = make_strategy([lwf, pruning(after=[1])], epochs=2)
    learn(strategy, tiny_stream, 0, 1)
    taught: list[int] = []

    def note(_: float) -> None:
        teacher: Any = lwf.teacher(strategy.model)
        taught.append(len(teacher.body[0].weight))

    strategy.on_epoch = note
    learn(strategy, tiny_stream, 1, 2)
    assert taught == [8, 8]
    assert widths(strategy) == 6


@pytest.mark.parametrize(
    ("plugins", "text"),
    [
        ([LoRA(rank=2)], r"after=None with LoRA first='adapters': .*after=\[0\] with LoRA first="),
        ([LoRA(rank=2, first="full")], "after=None with LoRA first='full': below trained adapters"),
        ([PackNet()], "cannot be combined with PackNet: its weights belong.*load_from"),
        ([ReplayPlugin(mem_size=4)], "cannot be combined with ReplayPlugin: its state may"),
    ],
)
def test_incompatible_plugins_are_refused_with_advice(
    plugins: Sequence[Any], text: str, make_strategy: Make
) -> None:
    with pytest.raises(ConfigError, match=text):
        make_strategy([*plugins, pruning()])


def test_an_average_of_the_weights_is_refused(make_strategy: Make) -> None:
    with pytest.raises(ConfigError, match="EMA"):
        make_strategy([EMA(), pruning()])


def test_a_choice_of_epochs_is_refused(make_strategy: Make) -> None:
    with pytest.raises(ConfigError, match=r"keep_best: ChannelPruning changes the weights"):
        make_strategy([pruning()], keep_best=True)


def test_values_are_checked(make_strategy: Make, tiny_stream: QualityStream, learn: Any) -> None:
    with pytest.raises(ConfigError, match="ratio must lie between 0 and 1"):
        pruning(ratio=30)
    with pytest.raises(ConfigError, match=r"after must list experiences.*got \[-1\]"):
        pruning(after=[-1])
    with pytest.raises(ConfigError, match="recover_epochs must be an integer >= 0, got -1"):
        pruning(recover_epochs=-1)
    strategy = make_strategy([pruning(recover_epochs=2)], epochs=2)
    with pytest.raises(ConfigError, match="recover_epochs=2 leaves none of the 2 epochs"):
        learn(strategy, tiny_stream, 0, 1)
