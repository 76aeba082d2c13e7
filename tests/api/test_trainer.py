from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, Subset, TensorDataset

import cliqa
from cliqa.models.lora.adapters import lora_layers
from cliqa.training.plugins.regularization.ewc import EWC
from cliqa.utils.errors import CliqaError, ConfigError


def classes(task: int, count: int, seed: int = 0) -> TensorDataset:
    """Return noisy points of the two classes of a task."""
    random = torch.Generator().manual_seed(10 * task + seed)
    y = torch.randint(2 * task, 2 * task + 2, (count,), generator=random)
    return TensorDataset(torch.eye(6)[y] + 0.05 * torch.randn(count, 6, generator=random), y)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 6))


TASKS = [classes(k, 64) for k in range(3)]
TESTS = [classes(k, 30, 5) for k in range(3)]
QUICK: dict[str, Any] = {"batch_size": 16, "lr": 0.02, "device": "cpu"}
LONG: dict[str, Any] = {"epochs": 15, **QUICK}


def test_replay_forgets_less_than_fine_tuning() -> None:
    plain = cliqa.ContinualTrainer(network(), **LONG).train_all_tasks(TASKS, TESTS)
    trainer = cliqa.ContinualTrainer(network(), **LONG)
    trainer.use_replay = True
    trainer.buffer_size = 60
    kept = trainer.train_all_tasks(TASKS, TESTS)
    assert list(kept.columns) == list(kept.index) == ["task 0", "task 1", "task 2"]
    assert (np.diag(plain) > 0.9).all()
    assert plain.to_numpy()[2, 0] < 0.3
    assert kept.to_numpy()[2, 0] > 0.9
    assert kept.attrs["measure"] == "accuracy"
    assert kept.attrs["mean"] == pytest.approx(kept.iloc[-1].mean())
    assert kept.attrs["forgetting"] < 0.1 < plain.attrs["forgetting"]


def test_the_same_seed_gives_the_same_model() -> None:
    first, second = network(), network()
    for model in (first, second):
        cliqa.ContinualTrainer(model, use_replay=True, seed=3, **QUICK).train_all_tasks(TASKS)
    assert all(
        torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)
    )


class Headed(nn.Module):
    """A body, which gets adapters, and a head, which is trained as a whole."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.head = nn.Linear(64, 6)

    def forward(self, inputs: Tensor) -> Tensor:
        found: Tensor = self.head(self.body(inputs))
        return found


def test_lora_trains_a_part_of_the_weights() -> None:
    model = Headed()
    full = sum(weight.numel() for weight in model.parameters())
    trainer = cliqa.ContinualTrainer(model, lora_rank=2, use_replay=True, **LONG)
    matrix = trainer.train_all_tasks(TASKS, TESTS)
    assert lora_layers(trainer.model)
    assert matrix.attrs["trainable_parameters"] < 0.25 * full
    assert matrix.to_numpy()[0, 0] > 0.9


def test_a_model_without_a_part_called_head_gets_adapters_everywhere() -> None:
    model = network()
    matrix = cliqa.ContinualTrainer(model, lora_rank=3, **QUICK).train_all_tasks(TASKS, TESTS)
    assert set(lora_layers(model)) == {"0", "2"}
    adapters = 3 * (6 + 24) + 3 * (24 + 6)
    assert matrix.attrs["trainable_parameters"] == adapters


class Scores(Dataset[tuple[Tensor, float]]):
    """Pairs of an input and a plain number, without an attribute of all targets."""

    def __init__(self, task: int) -> None:
        self.x = torch.rand(40, 6, generator=torch.Generator().manual_seed(task))
        self.task = task

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[Tensor, float]:
        return self.x[index], float(self.x[index, self.task])


def test_scores_are_measured_by_srcc() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1), nn.Flatten(0))
    tasks = [Subset(Scores(k), range(30)) for k in range(2)]
    tests = [Subset(Scores(k), range(30, 40)) for k in range(2)]
    trainer = cliqa.ContinualTrainer(
        model, plugins=[{"type": "L2", "strength": 0.1}, EWC(1.0)], epochs=12, **QUICK
    )
    matrix = trainer.train_all_tasks(tasks, tests, names=["left", "right"])
    assert matrix.attrs["measure"] == "srcc"
    assert list(matrix.columns) == ["left", "right"]
    assert matrix.to_numpy()[0, 0] > 0.7


def test_without_test_data_nothing_is_measured() -> None:
    matrix = cliqa.ContinualTrainer(network(), epochs=1, **QUICK).train_all_tasks(TASKS)
    assert matrix.empty
    assert matrix.attrs["mean"] is None
    assert matrix.attrs["seconds"] > 0


def test_options_make_plugins() -> None:
    trainer = cliqa.ContinualTrainer(
        network(), lora_rank=4, use_replay=True, enable_quantization=True, use_contrastive=True
    )
    names = [type(each).__name__ for each in trainer.methods()]
    assert names == ["TextReplay", "LoRA", "QAT"]


@pytest.mark.parametrize(
    ("tasks", "tests", "names", "message"),
    [
        ([], None, None, "one of each is needed per task, got 0 tasks, 0 names"),
        (TASKS, TESTS[:1], None, "got 3 tasks, 3 names, 1 tests"),
        (TASKS, None, ["a", "a", "b"], "got 3 tasks, 2 names"),
        ([TensorDataset(torch.rand(4, 6))], None, None, "task 0: expected a data set of"),
        ([TensorDataset(torch.rand(4, 6), torch.rand(4, 2))], None, None, "expected a data set"),
    ],
)
def test_data_that_make_no_tasks(tasks: Any, tests: Any, names: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        cliqa.ContinualTrainer(network()).train_all_tasks(tasks, tests, names)


def test_mistakes_are_told_at_once_and_a_trainer_trains_once() -> None:
    with pytest.raises(ConfigError, match="ratio must lie between 0 and 1"):
        cliqa.ContinualTrainer(network(), enable_pruning=True, pruning_ratio=2)
    with pytest.raises(ConfigError, match="unknown plugin 'EWX'"):
        cliqa.ContinualTrainer(network(), plugins=[{"type": "EWX"}])
    trainer = cliqa.ContinualTrainer(network(), epochs=1, **QUICK)
    trainer.train_all_tasks(TASKS[:1])
    with pytest.raises(ConfigError, match="it has trained its model. Make a new one"):
        trainer.train_all_tasks(TASKS[:1])
    with pytest.raises(CliqaError, match="has no texts"):
        cliqa.ContinualTrainer(network(), use_contrastive=True).train_all_tasks(TASKS)
