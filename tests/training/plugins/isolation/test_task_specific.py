"""Parts of each experience's own over a shared rest that never changes again."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from cliqa.training.loop.options import TrainingOptions
from cliqa.training.loop.schedule import Schedule
from cliqa.training.plugins.isolation.task_specific import TaskSpecificParts
from cliqa.utils.errors import ConfigError, ModelError

Make = Callable[..., Any]
Learn = Callable[..., None]
Outputs = Callable[[Any, Any], dict[str, torch.Tensor]]
Said = Callable[[Any, Any], list[dict[str, torch.Tensor]]]


class Net(nn.Module):
    """Two convolutions with batch norm, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
        self.second = nn.Sequential(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8))
        self.head = nn.Linear(8, 1)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(images).relu()).relu().mean((2, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(images))[:, 0]


@pytest.fixture
def make(make_strategy: Make) -> Make:
    """Return a function that builds a strategy over a `Net`."""

    def build(**arguments: Any) -> Any:
        strategy = make_strategy([TaskSpecificParts(**arguments)])
        torch.manual_seed(0)
        strategy.model = Net()
        strategy.optimizer = torch.optim.AdamW(
            strategy.model.parameters(), lr=1e-2, weight_decay=0.1
        )
        strategy.configure(TrainingOptions(seed=1), Schedule(None))
        return strategy

    return build


def changed(strategy: Any, before: dict[str, torch.Tensor]) -> set[str]:
    after = strategy.model.state_dict()
    return {name for name, value in before.items() if not torch.equal(after[name], value)}


NORMS = {
    f"{part}.1.{name}"
    for part in ("first", "second")
    for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
}
HEAD = {"head.weight", "head.bias"}


@pytest.mark.parametrize(
    ("parts", "own"),
    [(["norm", "head"], NORMS | HEAD), (["head"], HEAD), (["second.1"], set())],
)
@pytest.mark.parametrize("shared", ["first", "frozen"])
def test_only_the_parts_change(
    parts: list[str], own: set[str], shared: str, make: Make, tiny_stream: Any, learn: Learn
) -> None:
    own = own or {name for name in NORMS if name.startswith("second")}
    strategy = make(parts=parts, shared=shared)
    start = copy.deepcopy(strategy.model.state_dict())
    learn(strategy, tiny_stream, 0, 1)
    first = changed(strategy, start)
    assert (first <= own) is (shared == "frozen")
    before = copy.deepcopy(strategy.model.state_dict())
    learn(strategy, tiny_stream, 1, 3)
    assert changed(strategy, before) <= own
    assert changed(strategy, before)


@pytest.mark.parametrize(
    ("parts", "shared", "expected"),
    [
        (["head"], "first", [True, False, False]),
        (["head"], "frozen", [False, False, False]),
        (["norm", "head"], "first", [True, True, True]),
    ],
)
def test_shared_norms_train_with_the_statistics_that_they_are_tested_with(
    parts: list[str], shared: str, expected: list[bool], make: Make, tiny_stream: Any, learn: Learn
) -> None:
    strategy = make(parts=parts, shared=shared)
    strategy.train_epochs = 1
    found: list[bool] = []
    strategy.on_epoch = lambda _: found.append(strategy.model.first[1].training)
    learn(strategy, tiny_stream)
    assert found == expected


@pytest.mark.parametrize("parts", [["norm", "head"], ["head"]])
def test_the_oracle_forgets_nothing(
    parts: list[str], make: Make, tiny_stream: Any, outputs_after_each: Said
) -> None:
    strategy = make(parts=parts, inference="oracle")
    first, second, third = outputs_after_each(strategy, tiny_stream)
    assert torch.equal(third["a"], first["a"])
    assert torch.equal(third["b"], second["b"])


def test_a_sharp_gate_over_different_colours_is_the_oracle(
    make: Make, tiny_stream: Any, learn: Learn, outputs: Outputs
) -> None:
    gate, oracle = make(inference="gate", temperature=1e6), make(inference="oracle")
    for strategy in (gate, oracle):
        learn(strategy, tiny_stream)
    plugin = gate.plugins[0]
    for k in range(3):  # make the experiences as far apart as can be
        plugin.gate.centroids[k] = torch.eye(8)[[k]]
    plugin.gate.embed = lambda images: torch.eye(8)[[gate.experience.current_experience]].expand(
        len(images), -1
    )
    found, expected = outputs(gate, tiny_stream), outputs(oracle, tiny_stream)
    for name in "abc":
        assert torch.allclose(found[name], expected[name], atol=1e-6)


def test_the_gate_mixes_the_views_by_its_weights(
    make: Make, tiny_stream: Any, learn: Learn, outputs: Outputs
) -> None:
    strategy = make(inference="gate")
    learn(strategy, tiny_stream)
    plugin = strategy.plugins[0]
    images = torch.stack([tiny_stream.test_stream[1].dataset[i][0] for i in range(4)])
    model = copy.deepcopy(strategy.model).eval()
    parts = []
    with torch.no_grad():
        for view in range(3):
            plugin.show(model, view)
            parts.append(model(images))
        weights = plugin.gate.weights(images)
    expected = (torch.stack(parts, dim=1) * weights).sum(1)
    assert torch.allclose(outputs(strategy, tiny_stream)["b"][:4], expected, atol=1e-5)


@pytest.mark.parametrize("inference", ["last", "oracle", "gate"])
def test_a_resumed_run_ends_with_the_same_bits(
    inference: str, make: Make, short_stream: Any, assert_resumable: Callable[..., None]
) -> None:
    every = 1 if inference == "gate" else 4
    assert_resumable(lambda: make(inference=inference), short_stream, every)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"parts": []}, r"parts must be a list of names"),
        ({"parts": "head"}, r"parts must be a list of names, e\.g\. \['norm', 'head'\]"),
        ({"shared": "all"}, r"shared must be one of 'frozen', 'first', got 'all'"),
    ],
)
def test_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TaskSpecificParts(**arguments)


def test_a_part_that_is_none_is_named(make: Make, tiny_stream: Any, learn: Learn) -> None:
    with pytest.raises(ModelError, match=r"TaskSpecificParts: parts: 'haed' names no part"):
        learn(make(parts=["haed"]), tiny_stream, 0, 1)
