"""Methods side by side in one list: each keeps its word, and a stopped run goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from cliqa.models.lora.adapters import lora_parameters
from cliqa.training.importance.quadratic import WeightPenalty
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.loop.schedule import Schedule
from cliqa.training.plugins.isolation.lora import LoRA
from cliqa.training.plugins.regularization.ewc import EWC
from cliqa.training.plugins.regularization.l2 import L2
from cliqa.training.plugins.regularization.mas import MAS
from cliqa.training.plugins.regularization.si import SI
from cliqa.training.plugins.rehearsal.replay import Replay

Make = Callable[..., Any]
Learn = Callable[..., None]


@pytest.fixture
def make(make_strategy: Make) -> Make:
    """Return a function that builds a strategy as a config does: prepared by its plugins."""

    def build(plugins: Sequence[Any], epochs: int = 2, **options: Any) -> Any:
        strategy = make_strategy(plugins, epochs=epochs)
        for plugin in plugins:
            plugin.prepare(strategy.model)
        trained = [p for p in strategy.model.parameters() if p.requires_grad]
        strategy.optimizer = torch.optim.AdamW(trained, lr=1e-2)
        strategy.configure(TrainingOptions(seed=1, **options), Schedule(None))
        return strategy

    return build


LISTS: dict[str, Callable[[], list[Any]]] = {
    "lora-replay": lambda: [LoRA(rank=2, first="full", norm="train"), Replay(8)],
    "replay-inflora": lambda: [Replay(8), LoRA(rank=2, mode="inflora")],
    "si-lora": lambda: [SI(), LoRA(rank=2, mode="sum", first="full")],
    "lora-penalties": lambda: [LoRA(rank=2, mode="olora"), EWC(2.0), L2(0.1, "all"), MAS()],
}


@pytest.mark.parametrize("case", LISTS)
def test_a_stopped_run_in_mixed_precision_ends_with_the_same_bits(
    case: str, make: Make, short_stream: Any, assert_resumable: Callable[..., None]
) -> None:
    assert_resumable(lambda: make(LISTS[case](), amp=True), short_stream, 4)


PENALTIES: dict[str, Callable[[], WeightPenalty]] = {
    "ewc": lambda: EWC(2.0, n_samples=8),
    "l2": lambda: L2(2.0, "all"),
    "l2-init": lambda: L2(2.0, "init"),
    "mas": lambda: MAS(2.0, n_samples=8),
    "si": lambda: SI(2.0),
}


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("mode", ["sum", "per_task"])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_no_penalty_holds_a_fresh_adapter_to_an_earlier_one(
    penalty: str, mode: str, order: int, make: Make, tiny_stream: Any, learn: Learn
) -> None:
    plugin = PENALTIES[penalty]()
    strategy = make([plugin, LoRA(rank=2, mode=mode)][::order], epochs=1)
    learn(strategy, tiny_stream, 0, 1)
    slopes: list[set[str]] = []
    backward = strategy.backward

    def note() -> None:
        slopes.append(set(plugin.gradient(strategy.model)))
        backward()

    strategy.backward = note
    learn(strategy, tiny_stream, 1, 2)
    assert slopes[-1] == {"head.weight", "head.bias"}  # which train on


@pytest.mark.parametrize("penalty", [name for name in PENALTIES if name != "l2-init"])
def test_an_adapter_that_learns_on_is_held(
    penalty: str, make: Make, tiny_stream: Any, learn: Learn
) -> None:
    plugin = PENALTIES[penalty]()
    strategy = make([plugin, LoRA(rank=2)], epochs=1)
    learn(strategy, tiny_stream, 0, 1)
    assert plugin.gradient(strategy.model).keys() >= set(lora_parameters(strategy.model))


@pytest.mark.parametrize("mode", ["shared", "sum"])
@pytest.mark.parametrize("order", [1, -1])
def test_importances_of_adapters_that_begin_to_train_later(
    order: int, mode: str, make: Make, tiny_stream: Any, learn: Learn
) -> None:
    """Whether LoRA lets them train before or after SI looks for what trains."""
    plugin = SI()
    strategy = make([plugin, LoRA(rank=2, mode=mode, first="full")][::order], epochs=1)
    learn(strategy, tiny_stream, 0, 2)
    found = plugin.importance
    for name, weight in lora_parameters(strategy.model).items():
        assert found[name].shape == weight.shape
        assert float(found[name].sum()) > 0 or name.endswith("lora_A")  # no slope while B is 0
    moved = plugin.state_dict()["start"]
    assert set(lora_parameters(strategy.model)) <= moved.keys()


def test_ewc_beside_replay_measures_the_new_data_alone(
    make: Make, tiny_stream: Any, learn: Learn
) -> None:
    """What the memory repeats was measured when it was new."""
    seen: list[int] = []
    strategy = make([EWC(2.0), Replay(8)], epochs=1)
    loader = strategy.loader

    def watch(data: Any, **options: Any) -> Any:
        if not options["train"]:
            seen.append(len(data))
        return loader(data, **options)

    strategy.loader = watch
    learn(strategy, tiny_stream, 0, 2)
    assert seen == [32, 32]
