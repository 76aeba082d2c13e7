"""Several processes learn what one does: weights, memories, masks and importances.

The model computes in float64, so that a difference is a mistake and no rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.training.plugins import EvaluationPlugin
from torch import Tensor, nn

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.evaluation.metrics.prediction_collector import PredictionCollector
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.loop.schedule import Schedule
from cliqa.training.plugins.averaging.ema import EMA
from cliqa.training.plugins.isolation.lora import LoRA
from cliqa.training.plugins.isolation.packnet import PackNet
from cliqa.training.plugins.isolation.task_specific import TaskSpecificParts
from cliqa.training.plugins.regularization.ewc import EWC
from cliqa.training.plugins.regularization.l2 import L2
from cliqa.training.plugins.regularization.mas import MAS
from cliqa.training.plugins.regularization.si import SI
from cliqa.training.plugins.rehearsal.agem import AGEM
from cliqa.training.plugins.rehearsal.der import DER
from cliqa.training.plugins.rehearsal.gdumb import GDumb
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.training.plugins.teachers.lwf import LwF
from cliqa.training.supervised.cumulative import Cumulative
from cliqa.training.supervised.joint import JointTraining
from cliqa.training.supervised.naive import Naive
from tests.processes import in_processes

METHODS: dict[str, Callable[[], tuple[type[Any], list[Any]]]] = {
    "naive": lambda: (Naive, []),
    "joint": lambda: (JointTraining, []),
    "cumulative": lambda: (Cumulative, []),
    "replay": lambda: (Naive, [Replay(mem_size=12)]),
    "replay_herding": lambda: (Naive, [Replay(mem_size=12, selection="loss")]),
    "der": lambda: (Naive, [DER(mem_size=12, alpha=0.5, beta=0.5)]),
    "gdumb": lambda: (Naive, [GDumb(mem_size=12)]),
    "agem": lambda: (Naive, [AGEM(mem_size=12)]),
    "ewc": lambda: (Naive, [EWC(strength=10.0)]),
    "si": lambda: (Naive, [SI(strength=1.0)]),
    "mas": lambda: (Naive, [MAS(strength=1.0)]),
    "lwf": lambda: (Naive, [LwF(alpha=1.0)]),
    "l2": lambda: (Naive, [L2(strength=1.0)]),
    "packnet": lambda: (Naive, [PackNet()]),
    "lora": lambda: (Naive, [LoRA(rank=2, first="full")]),
    "inflora": lambda: (Naive, [LoRA(rank=2, mode="inflora")]),
    "parts": lambda: (Naive, [TaskSpecificParts(parts=["norm", "head"])]),
    "ema": lambda: (Naive, [EMA(decay=0.9)]),
    "replay_ewc": lambda: (Naive, [Replay(mem_size=12), EWC(strength=10.0)]),
}


class Network(nn.Module):
    """A small network in float64 for images of float32, with batch normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(8, 1)
        self.double()

    def forward(self, images: Tensor) -> Tensor:
        """Return scores (B,) of images (B, 3, H, W)."""
        return self.head(self.body(images.double()))[:, 0]


class Correlation(nn.Module):
    """One minus Pearson's correlation: a loss that no part of a batch can give."""

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss, a scalar."""
        a, b = outputs - outputs.mean(), targets - targets.mean()
        return 1 - (a * b).sum() / (a.norm() * b.norm() + 1e-6) + (outputs - targets).square().mean()


def strategy_of(method: str, **options: Any) -> Any:  # noqa: ANN401
    """Return a new strategy of a method."""
    torch.manual_seed(0)
    kind, plugins = METHODS[method]()
    model = Network()
    for plugin in plugins:
        plugin.prepare(model)
    made = kind(
        model=model,
        optimizer=torch.optim.SGD(
            [p for p in model.parameters() if p.requires_grad], lr=0.05, momentum=0.5
        ),
        criterion=Correlation(),
        train_mb_size=7,  # which neither two nor four divide, and leaves a last batch of five
        eval_mb_size=9,
        train_epochs=3 if method == "packnet" else 2,
        plugins=plugins,
        evaluator=EvaluationPlugin(PredictionCollector(), loggers=[]),
    )
    made.configure(TrainingOptions(**{"seed": 1, **options}), Schedule(None))
    return made


def learnt(method: str, stream: QualityStream, **options: Any) -> dict[str, Any]:
    """Return what a method ends with: its state, and what it predicts for the last test set."""
    strategy = strategy_of(method, **options)
    for index, step in enumerate(strategy.steps(stream.train_stream)):
        strategy.train_step(index, step)
    said = strategy.predict(stream.test_stream[0].dataset.eval())
    return {**strategy.state_dict(), "said": said, "loss": float(strategy.loss)}


def gaps(first: Any, second: Any, place: str = "") -> Iterator[tuple[str, float]]:  # noqa: ANN401
    """Yield by place how far the numbers of nested states are apart; what must be equal is."""
    if isinstance(first, dict):
        assert first.keys() == second.keys(), place
        for key in first:
            yield from gaps(first[key], second[key], f"{place}.{key}")
    elif isinstance(first, (list, tuple)):
        assert len(first) == len(second), place
        for index, parts in enumerate(zip(first, second, strict=True)):
            yield from gaps(*parts, f"{place}.{index}")
    elif isinstance(first, (Tensor, np.ndarray)):
        one, two = torch.as_tensor(first), torch.as_tensor(second)
        assert one.shape == two.shape, place
        if one.is_floating_point():
            yield place, float((one.double() - two.double()).abs().max()) if one.numel() else 0.0
        else:
            assert torch.equal(one, two), place
    elif isinstance(first, float):
        yield place, abs(first - second)
    else:
        assert first == second, place


@pytest.fixture(scope="module")
def run(module_stream: QualityStream) -> Callable[[int], list[dict[str, Any]]]:
    """Return a function that gives what every process of several ends with, by method."""

    @cache
    def ends(count: int) -> list[dict[str, Any]]:
        def work() -> dict[str, Any]:
            return {method: learnt(method, module_stream) for method in METHODS}

        return in_processes(count, work) if count > 1 else [work()]

    return ends


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("method", METHODS)
def test_they_learn_what_one_learns(method: str, count: int, run: Callable[..., Any]) -> None:
    alone, several = run(1)[0][method], run(count)
    for process in several:
        worst = max(gaps(alone, process[method]), key=lambda pair: pair[1])
        assert worst[1] < 1e-6, worst  # stored outputs are float32
    for process in several[1:]:
        assert max(gap for _, gap in gaps(several[0][method], process[method])) == 0.0
