"""Tests of cliqa.api.avalanche_plugins: a plain Avalanche script with our plugins."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from avalanche.benchmarks import nc_benchmark
from avalanche.evaluation.metrics import accuracy_metrics
from avalanche.training.plugins import EvaluationPlugin, ReplayPlugin
from avalanche.training.supervised import Naive
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import cliqa
from cliqa.training.plugins.l2 import L2
from cliqa.utils.errors import ConfigError, ModelError

CHANCE = 0.1
FORGETS = 0.45
REMEMBERS = 0.75
"""Accuracies over all ten classes: plain fine-tuning stays below the first (it reaches 0.2), and
methods that keep what they have learnt come above the second (they reach 0.9 and more)."""


class Digits(TensorDataset):
    """Small noisy images of ten classes, as a plain torch data set."""

    def __init__(self, count: int, seed: int) -> None:
        means = torch.randn(10, 1, 8, 8, generator=torch.Generator().manual_seed(99))
        noise = torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
        classes = torch.arange(count) % 10
        super().__init__(means[classes] + 1.5 * noise, classes)
        self.targets = classes.tolist()


class Net(nn.Module):
    """A small network with everything that makes a method hard."""

    def __init__(self) -> None:
        super().__init__()
        convolution = [nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten()]
        self.body = nn.Sequential(*convolution, nn.Linear(288, 16), nn.ReLU())
        self.head = nn.Linear(16, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, 10) of images (B, 1, 8, 8)."""
        return self.head(self.body(images))


@pytest.fixture
def accuracy() -> Callable[..., float]:
    """Return a function that trains five experiences and gives the accuracy over all classes."""

    def run(*plugins: Any, epochs: int = 3) -> float:
        torch.manual_seed(0)
        model = Net()
        for plugin in plugins:
            if hasattr(plugin, "prepare"):
                plugin.prepare(model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            strategy = Naive(
                model=model,
                optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
                criterion=nn.CrossEntropyLoss(),
                train_mb_size=16,
                train_epochs=epochs,
                eval_mb_size=100,
                plugins=list(plugins),
                evaluator=EvaluationPlugin(accuracy_metrics(stream=True), loggers=[]),
            )
        stream = nc_benchmark(
            Digits(400, 0), Digits(200, 1), n_experiences=5, task_labels=False, shuffle=False
        )
        for experience in stream.train_stream:
            strategy.train(experience)
        return float(list(strategy.eval(stream.test_stream).values())[-1])

    return run


def test_fine_tuning_forgets_and_memories_do_not(accuracy: Callable[..., float]) -> None:
    assert accuracy() < FORGETS
    assert accuracy(cliqa.plugin("Replay", mem_size=100)) > REMEMBERS
    assert accuracy(cliqa.plugin("DER", mem_size=100)) > REMEMBERS


def test_views_of_the_network_forget_nothing(accuracy: Callable[..., float]) -> None:
    assert accuracy(cliqa.plugin("PackNet", inference="oracle")) > REMEMBERS
    options: dict[str, Any] = {"mode": "per_task", "first": "full", "inference": "oracle"}
    assert accuracy(cliqa.plugin("LoRA", **options)) > REMEMBERS


@pytest.mark.parametrize("name", ["EWC", "SI", "MAS", "LwF", "L2", "EMA", "QAT"])
def test_a_method_trains(name: str, accuracy: Callable[..., float]) -> None:
    options: dict[str, Any] = {"strength": 0.1} if name in ("EWC", "SI", "MAS", "L2") else {}
    assert accuracy(cliqa.plugin(name, **options), epochs=1) >= CHANCE


def test_the_same_seed_gives_the_same_memory(accuracy: Callable[..., float]) -> None:
    memories = []
    for seed in (0, 0, 1):
        replay = cliqa.plugin("Replay", mem_size=20, run_seed=seed)
        accuracy(replay, epochs=1)
        memories.append(replay.state_dict()["index"])
    assert torch.equal(memories[0], memories[1])
    assert not torch.equal(memories[0], memories[2])


def test_a_plugin_object_will_do(accuracy: Callable[..., float]) -> None:
    method = L2(strength=1.0)
    wrapped = cliqa.plugin(method)
    accuracy(wrapped, epochs=1)
    assert method.active
    fresh = cliqa.plugin("L2")
    fresh.load_state_dict(wrapped.state_dict())
    assert fresh.method.active


def test_mistakes_are_named(accuracy: Callable[..., float]) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'EWC'"):
        cliqa.plugin("EWX")
    with pytest.raises(ConfigError, match="unexpected argument 'stength'"):
        cliqa.plugin("EWC", stength=1.0)
    with pytest.raises(ConfigError, match=r"Give them to L2\(...\)"):
        cliqa.plugin(L2(), strength=2.0)
    with pytest.raises(ConfigError, match="Avalanche's own plugin"):
        cliqa.plugin("ReplayPlugin")


def test_a_plugin_that_does_not_fit_says_why(
    accuracy: Callable[..., float], monkeypatch: pytest.MonkeyPatch
) -> None:
    lora = cliqa.plugin("LoRA")
    monkeypatch.setattr(lora, "prepare", lambda _: None)
    with pytest.raises(ModelError, match="before making the optimizer"):
        accuracy(lora)
    with pytest.raises(ConfigError, match="one data set of images with scores"):
        accuracy(cliqa.plugin("LabelFreePretraining"))
    with pytest.raises(ConfigError, match="no texts"):
        accuracy(cliqa.plugin("TextReplay"))
    with pytest.raises(ConfigError, match="Use this package's 'Replay'"):
        accuracy(ReplayPlugin(mem_size=20, batch_size_mem=4), cliqa.plugin("DER"))
