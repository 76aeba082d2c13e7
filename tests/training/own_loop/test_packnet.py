from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.models.freezing import set_training
from cliqa.training.loop.loaders.image_loader import make_loader
from cliqa.training.own_loop.framework import ContinualLearningFramework
from cliqa.training.plugins.isolation.packnet import PackNet
from cliqa.utils.errors import CliqaError, ConfigError
from cliqa.utils.seed import seed_everything

SEED = 1


def task(number: int, count: int = 24) -> DataLoader[Any]:
    random = torch.Generator().manual_seed(number)
    x = torch.rand(count, 6, generator=random)
    return DataLoader(TensorDataset(x, x[:, number]), batch_size=8)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 1), Flat())


class Flat(nn.Module):
    """Scores (B,) of a column."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs[:, 0]


def train(framework: ContinualLearningFramework, number: int, epochs: int = 3) -> None:
    """Train a task; weight decay and momentum must not move fixed weights."""
    optimizer = torch.optim.SGD(
        framework.model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.1
    )
    framework.before_task(number)
    framework.model.train()
    for _ in range(epochs):
        for batch in task(number):
            optimizer.zero_grad()
            framework.compute_loss(batch).backward()
            optimizer.step()
    framework.after_task(number, task(number))
    framework.model.eval()


def outputs(model: nn.Module) -> Tensor:
    with torch.no_grad():
        found: Tensor = model.eval()(torch.linspace(0, 1, 30).reshape(5, 6))
    return found


def test_the_view_of_an_earlier_task_keeps_its_bits() -> None:
    framework = ContinualLearningFramework(network(), "packnet", strategy_params={"prune": 0.5})
    then = []
    for number in range(3):
        train(framework, number)
        then.append(outputs(framework.model))
    for number in range(3):
        with framework.view(number):
            assert torch.equal(outputs(framework.model), then[number])
    assert torch.equal(outputs(framework.model), then[2])
    assert not torch.equal(then[0], then[1])


def test_the_shares_are_those_that_were_asked_for() -> None:
    framework = ContinualLearningFramework(network(), "packnet", prune=[0.5, 0.25])
    for number in range(2):
        train(framework, number, epochs=1)
    owner = framework.state_dict()["strategy"]["owner"]["0.weight"]
    assert owner.flatten().bincount().tolist() == [12, 48, 36]  # of 96; 12 are free
    with pytest.raises(ConfigError, match="prune has 2 shares, and this is task number 3"):
        framework.before_task(2)


def test_a_fifth_of_the_free_weights_stays_free_by_default() -> None:
    framework = ContinualLearningFramework(network(), "packnet")
    train(framework, 0, epochs=1)
    owner = framework.state_dict()["strategy"]["owner"]["0.weight"]
    assert owner.flatten().bincount().tolist() == [19, 77]


def test_kept_weights_are_retrained_after_the_pruning() -> None:
    """Pruned weights stay zero, the others move."""
    found = {}
    for epochs in (0, 2):
        framework = ContinualLearningFramework(network(), "packnet", prune=0.5, post_epochs=epochs)
        train(framework, 0)
        first: Any = framework.model
        found[epochs] = first[0].weight.detach().clone()
    assert torch.equal(found[0] == 0, found[2] == 0)
    assert int((found[0] == 0).sum()) == 48
    kept = found[0] != 0
    assert (found[0][kept] != found[2][kept]).all()


def test_a_loop_of_ones_own_ends_where_the_packages_does(
    make_strategy: Callable[..., Any],
    tiny_stream: QualityStream,
    assert_same: Callable[[Any, Any], None],
) -> None:
    plugin = PackNet(prune=[0.5] * 3, post_epochs=1)
    package, own = make_strategy([plugin]), make_strategy()
    for index in range(2):
        package.train_step(index, [tiny_stream.train_stream[index]])
    framework = ContinualLearningFramework(
        own.model, "packnet", nn.L1Loss(), seed=SEED, prune=[0.5] * 3
    )
    for index, experience in enumerate(tiny_stream.train_stream[:2]):
        seed_everything(SEED, "step", index, "start")
        framework.before_task(index)
        seed_everything(SEED, "step", index, "epoch", 0)
        set_training(own.model, True)
        for batch in make_loader(experience.dataset.train(), 8, train=True):
            own.optimizer.zero_grad()
            framework.compute_loss(batch).backward()
            own.optimizer.step()
        seed_everything(SEED, "step", index, "epoch", 1)
        framework.after_task(index, make_loader(experience.dataset.train(), 8, train=True))
    assert_same(own.model.state_dict(), package.model.state_dict())
    state = framework.state_dict()["strategy"]
    assert_same(state["owner"], plugin.state_dict()["owner"])
    assert_same(state["views"], plugin.state_dict()["views"])


def test_it_resumes_in_a_task() -> None:
    results = []
    for stops in (False, True):
        framework = ContinualLearningFramework(network(), "packnet", prune=0.5)
        train(framework, 0)
        framework.before_task(1)
        if stops:
            state = copy.deepcopy(framework.state_dict())
            framework = ContinualLearningFramework(framework.model, "packnet", prune=0.5)
            framework.load_state_dict(state)
        optimizer = torch.optim.SGD(framework.model.parameters(), lr=0.05)
        framework.model.train()
        for batch in task(1):
            optimizer.zero_grad()
            framework.compute_loss(batch).backward()
            optimizer.step()
        framework.after_task(1, task(1))
        results.append(outputs(framework.model))
    assert torch.equal(*results)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda f: f.after_task(0, task(0)), "before a step of an optimizer over the model's"),
        (lambda f: f.view(0).__enter__(), "view: task 0 has not ended; finished tasks: none"),
    ],
)
def test_calls_that_cannot_work(act: Callable[[Any], None], message: str) -> None:
    framework = ContinualLearningFramework(network(), "packnet")
    framework.before_task(0)
    with pytest.raises(ConfigError, match=message):
        act(framework)


def test_data_are_needed_to_retrain() -> None:
    framework = ContinualLearningFramework(network(), "packnet")
    framework.before_task(0)
    optimizer = torch.optim.SGD(framework.model.parameters(), lr=0.05)
    framework.compute_loss(next(iter(task(0)))).backward()
    optimizer.step()
    with pytest.raises(ConfigError, match=r"dataloader\) with the task's training data, or set"):
        framework.after_task(0)


def test_a_network_without_free_weights_takes_no_more_tasks() -> None:
    framework = ContinualLearningFramework(network(), "packnet", prune=0.01)
    train(framework, 0, epochs=1)
    train(framework, 1, epochs=1)
    with pytest.raises(CliqaError, match="none is free for the next one"):
        framework.before_task(2)


def test_other_strategies_have_one_set_of_weights() -> None:
    framework = ContinualLearningFramework(network(), "l2")
    with pytest.raises(ConfigError, match="view: L2 has one set of weights for all tasks"):
        framework.view(0).__enter__()
