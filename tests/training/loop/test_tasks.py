"""Models with a head for every task: what methods measure, and what a teacher tells."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from avalanche.benchmarks import nc_benchmark
from avalanche.models import SimpleMLP, as_multitask
from avalanche.training.plugins import EvaluationPlugin, LwFPlugin
from avalanche.training.supervised import Naive
from torch import nn
from torch.utils.data import TensorDataset

from cliqa.training.loop.avalanche_loop import RunSettings
from cliqa.training.loop.tasks import one_head, outputs_by_task
from cliqa.training.plugins.isolation.lora import LoRA
from cliqa.training.plugins.regularization.ewc import EWC
from cliqa.training.plugins.regularization.mas import MAS
from cliqa.training.plugins.rehearsal.der import DER
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.training.plugins.teachers.lwf import LwF
from cliqa.utils.errors import ConfigError


class Points(TensorDataset):
    """Noisy points of four classes."""

    def __init__(self, count: int) -> None:
        classes = torch.arange(count) % 4
        noise = torch.randn(count, 6, generator=torch.Generator().manual_seed(count))
        super().__init__(torch.eye(4, 6)[classes] * 3 + noise, classes)
        self.targets = classes.tolist()


@pytest.fixture
def benchmark() -> Any:
    """Return two experiences of two classes, each a task."""
    return nc_benchmark(Points(64), Points(32), n_experiences=2, task_labels=True, shuffle=False)


def trained(benchmark: Any, *plugins: Any) -> Any:
    """Return a strategy over a model with a head for each task, trained on two experiences."""
    torch.manual_seed(0)
    model = as_multitask(SimpleMLP(4, 6, hidden_size=8, drop_rate=0.0), "classifier")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        strategy = Naive(
            model=model,
            optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
            criterion=nn.CrossEntropyLoss(),
            train_mb_size=8,
            train_epochs=6,
            eval_mb_size=32,
            plugins=list(plugins),
            evaluator=EvaluationPlugin(loggers=[]),
        )
    for experience in benchmark.train_stream:
        strategy.train(experience)
    return strategy


def test_distillation_of_all_heads_is_avalanches(benchmark: Any) -> None:
    ours = trained(benchmark, LwF(alpha=3.0, temperature=1.5))
    theirs = trained(benchmark, LwFPlugin(alpha=3.0, temperature=1.5), RunSettings())
    plain = trained(benchmark, RunSettings())
    for name, weight in theirs.model.state_dict().items():
        assert torch.allclose(ours.model.state_dict()[name], weight, atol=1e-6)
    first = [s.model.state_dict()["model.features.0.weight"] for s in (ours, plain)]
    assert not torch.allclose(first[0], first[1], atol=1e-3)


def test_a_teacher_of_heads_is_restored(benchmark: Any) -> None:
    method = LwF()
    model = trained(benchmark, method).model
    fresh = LwF()
    fresh.load_state_dict(method.state_dict())
    assert fresh.state_dict()["tasks"] == {0: [0, 1], 1: [2, 3]}
    inputs = Points(8).tensors[0]
    teacher = fresh.teacher(model)
    assert teacher is not None
    found = outputs_by_task(model, teacher, [inputs])
    assert found is not None
    for output, truth in found.values():
        assert torch.equal(output, truth)


@pytest.mark.parametrize(
    "plugin",
    [
        lambda: EWC(1.0),
        lambda: MAS(0.1),
        lambda: LoRA(rank=2, mode="inflora", threshold=0.2, heads=["*classifier*"]),
        lambda: Replay(16),
        lambda: DER(16),
    ],
)
def test_methods_learn_with_a_head_for_each_task(plugin: Any, benchmark: Any) -> None:
    strategy = trained(benchmark, plugin())
    for task, experience in enumerate(benchmark.test_stream):
        samples = [experience.dataset[k] for k in range(len(experience.dataset))]
        inputs = torch.stack([sample[0] for sample in samples])
        classes = torch.tensor([sample[1] for sample in samples])
        strategy.model.eval()
        strategy.experience = experience
        with torch.no_grad(), one_head(strategy):
            right = (strategy.model(inputs).argmax(1) == classes).float().mean()
        assert float(right) > 0.6, task


def test_importances_are_those_of_the_tasks_own_head(benchmark: Any) -> None:
    method = EWC(1.0)
    trained(benchmark, method)
    used = {n: float(v.abs().sum()) > 0 for n, v in method.importance.items() if "classifiers" in n}
    assert used
    assert all(used.values())


def test_several_tasks_in_one_experience_are_refused() -> None:
    model = as_multitask(SimpleMLP(4, 6), "classifier")
    holder: Any = SimpleNamespace(model=model, experience=SimpleNamespace(task_labels=[0, 1]))
    with (
        pytest.raises(ConfigError, match=r"tasks \[0, 1\].*one task at a time"),
        one_head(holder),
    ):
        pass


def test_a_single_head_is_left_alone() -> None:
    model = SimpleMLP(4, 6)
    holder: Any = SimpleNamespace(model=model)
    with one_head(holder):
        assert "forward" not in vars(model)
    assert outputs_by_task(model, model, [torch.rand(2, 6)]) is None
