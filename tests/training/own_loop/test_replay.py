from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from cliqa.training.own_loop.framework import ContinualLearningFramework
from cliqa.training.own_loop.replay import SampleStore
from cliqa.utils.errors import ConfigError


def task(number: int, count: int = 20) -> DataLoader[Any]:
    """Return a task whose samples tell their task and their place."""
    x = torch.stack([torch.full((count,), float(number)), torch.arange(count).float()], dim=1)
    return DataLoader(TensorDataset(x, 10.0 * number + torch.arange(count) / count), batch_size=6)


class Seen(nn.Module):
    """A model that records its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(2, 1)
        self.inputs: list[Tensor] = []

    def forward(self, inputs: Tensor) -> Tensor:
        self.inputs.append(inputs)
        scores: Tensor = self.line(inputs)[:, 0]
        return scores


def after(tasks: int, **arguments: Any) -> Any:
    framework = ContinualLearningFramework(Seen(), "replay", **arguments)
    for number in range(tasks):
        framework.before_task(number)
        framework.after_task(number, task(number))
    framework.before_task(tasks)
    return framework


def stored(framework: ContinualLearningFramework) -> Tensor:
    found: Tensor = framework.state_dict()["strategy"]["input"]
    return found


def test_each_task_has_an_equal_share_of_the_memory_and_its_samples_are_kept_whole() -> None:
    framework = after(3, mem_size=12)
    samples, targets = stored(framework), framework.state_dict()["strategy"]["target"]
    assert samples[:, 0].long().bincount().tolist() == [4, 4, 4]
    assert torch.allclose(targets, 10 * samples[:, 0] + samples[:, 1] / 20)
    assert len({tuple(row) for row in samples.tolist()}) == 12
    assert (samples[:, 1] > 9).any()  # of every batch, not of the first ones alone
    assert (samples[:, 1] <= 9).any()


def test_the_draw_is_uniform_over_a_tasks_batches() -> None:
    counts = torch.zeros(20)
    for seed in range(200):
        framework = after(1, mem_size=5, seed=seed)
        counts += stored(framework)[:, 1].long().bincount(minlength=20)
    assert counts.sum() == 1000
    assert (counts - 50).abs().max() < 5 * (50 * 0.75) ** 0.5


def test_a_batch_is_joined_by_stored_samples() -> None:
    framework = after(2, mem_size=10)
    new = torch.full((4, 2), 9.0)
    loss = framework.compute_loss((new, torch.zeros(4)))
    inputs = framework.model.inputs[-1]
    assert torch.equal(inputs[:4], new)
    assert inputs.shape == (8, 2)
    known = {tuple(row) for row in stored(framework).tolist()}
    assert {tuple(row) for row in inputs[4:].tolist()} <= known
    old = torch.cat([torch.zeros(4), 10 * inputs[4:, 0] + inputs[4:, 1] / 20])
    assert torch.allclose(loss, nn.functional.mse_loss(framework.model(inputs), old))


def test_the_size_of_a_memory_batch_and_a_first_task_without_memory() -> None:
    framework = after(1, mem_size=10, batch_size_mem=3)
    framework.compute_loss((torch.rand(4, 2), torch.rand(4)))
    assert len(framework.model.inputs[-1]) == 7
    fresh = after(0)
    fresh.compute_loss((torch.rand(4, 2), torch.rand(4)))
    assert len(fresh.model.inputs[-1]) == 4


def test_it_forgets_less_than_fine_tuning() -> None:
    lost = {}
    for name in ("naive", "replay"):
        torch.manual_seed(0)
        framework = ContinualLearningFramework(nn.Sequential(nn.Linear(1, 1), nn.Flatten(0)), name)
        optimizer = torch.optim.SGD(framework.model.parameters(), lr=0.1)
        x = torch.rand(16, 1)
        for number, target in enumerate((0.0, 1.0)):
            framework.before_task(number)
            loader: Any = [(x, torch.full((16,), target))] * 20
            for batch in loader:
                optimizer.zero_grad()
                framework.compute_loss(batch).backward()
                optimizer.step()
            framework.after_task(number, loader)
        lost[name] = framework.model(x).square().mean().item()
    assert lost["replay"] < 0.6 * lost["naive"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.after_task(1), "stores samples of the finished task: call after_task"),
        (
            lambda f: f.compute_loss((torch.rand(2, 3), torch.rand(2))),
            r"samples of shape \(3,\) and \(2,\) make no batch. Resize or crop",
        ),
    ],
)
def test_what_cannot_be_replayed_is_refused(change: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        change(after(1))


def test_classes_are_balanced_only_where_there_are_some() -> None:
    store = SampleStore(mem_size=4, policy="class_balanced")
    with pytest.raises(ConfigError, match="policy='class_balanced' needs classes"):
        store.offer(torch.rand(2, 2), torch.rand(2), 0, 0)
    store.offer(torch.rand(9, 2), torch.tensor([0] * 7 + [1, 2]), 0, 0)
    assert sorted(store._target.tolist()) == [0, 0, 1, 2]
