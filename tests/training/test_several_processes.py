"""Several processes learn what one does: weights, memories, masks and importances.

The model computes in float64, so that a difference is a mistake and no rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.training.plugins import EvaluationPlugin
from torch import Tensor, nn

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.engine.build import build
from cliqa.evaluation.metrics.prediction_collector import PredictionCollector
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.loop.schedule import Schedule
from cliqa.training.plugins.averaging.ema import EMA
from cliqa.training.plugins.compression.pruning import ChannelPruning
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
from cliqa.training.plugins.teachers.distillation import Distillation
from cliqa.training.plugins.teachers.lwf import LwF
from cliqa.training.supervised.cumulative import Cumulative
from cliqa.training.supervised.joint import JointTraining
from cliqa.training.supervised.naive import Naive
from tests.conftest import class_config_over
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
    "ewc": lambda: (Naive, [EWC(strength=0.05)]),
    "si": lambda: (Naive, [SI(strength=1.0)]),
    "mas": lambda: (Naive, [MAS(strength=1.0)]),
    "lwf": lambda: (Naive, [LwF(alpha=1.0)]),
    "l2": lambda: (Naive, [L2(strength=1.0)]),
    "packnet": lambda: (Naive, [PackNet()]),
    "lora": lambda: (Naive, [LoRA(rank=2, alpha=1.0, first="full")]),
    "inflora": lambda: (Naive, [LoRA(rank=2, alpha=1.0, mode="inflora")]),
    "parts": lambda: (Naive, [TaskSpecificParts(parts=["norm", "head"])]),
    "pruning": lambda: (Naive, [ChannelPruning(ratio=0.25, round_to=1, recover_epochs=1)]),
    "distillation": lambda: (Naive, [Distillation(Network(), strength=1.0)]),
    "ema": lambda: (Naive, [EMA(decay=0.9)]),
    "replay_ewc": lambda: (Naive, [Replay(mem_size=12), EWC(strength=0.05)]),
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
        correlation = (a * b).sum() / (a.norm() * b.norm() + 1e-6)
        return 1 - correlation + (outputs - targets).square().mean()


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
    for index, step in enumerate(strategy.steps(stream.train_stream)[:2]):
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
def run(module_stream: QualityStream) -> Callable[[str, int], list[dict[str, Any]]]:
    """Return a function that gives what every process of several ends with under a method."""

    @cache
    def ends(method: str, count: int) -> list[dict[str, Any]]:
        def work() -> dict[str, Any]:
            return learnt(method, module_stream)

        return in_processes(count, work) if count > 1 else [work()]

    return ends


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("method", METHODS)
def test_they_learn_what_one_learns(method: str, count: int, run: Callable[..., Any]) -> None:
    (alone,), several = run(method, 1), run(method, count)
    for process in several:
        worst = max(gaps(alone, process), key=lambda pair: pair[1])
        assert worst[1] < 1e-6, worst  # stored outputs are float32
    for process in several[1:]:
        assert max(gap for _, gap in gaps(several[0], process)) == 0.0


# -------------------------------------------------------------------- streams of classes


CLASSES: dict[str, dict[str, Any]] = {
    "er_ace": {"type": "ER_ACE", "mem_size": 9},
    "icarl": {"type": "ICaRL", "mem_size": 20},
    "herding": {"type": "Replay", "mem_size": 9, "selection": "herding"},
    "feature_replay": {"type": "FeatureReplay", "mem_size": 9, "layer": "neck"},
    "alignment": {"type": "Naive", "plugins": [{"type": "ClassifierAlignment"}]},
    "lwf": {"type": "LwF"},
    "merging": {"type": "Naive", "plugins": [{"type": "ModelMerging", "norm": "recompute"}]},
    "gate": {"type": "TaskSpecificParts", "inference": "gate"},
    "kmeans": {"type": "TaskSpecificParts", "inference": "gate", "gate": "kmeans"},
    "multi_head": {"type": "MultiHead", "inference": "gate"},
    "l2p": {"type": "L2P"},
    "dual_prompt": {"type": "DualPrompt"},
    "coda_prompt": {"type": "CODAPrompt"},
    "text_replay": {"type": "TextReplay", "mem_size": 12},
    "ridge": {"type": "StreamingRidge", "train_epochs": 1, "standardize": "first"},
    "nearest_class_mean": {"type": "NearestClassMean", "train_epochs": 1},
    "accumulated": {"type": "Naive", "accumulate": 2},
    "shorter": {"type": "Naive", "train_mb_size": 23},  # the last batch is one sample
}
HEADS = {"ridge": "RidgeHead", "nearest_class_mean": "PrototypeHead"}
ARCH = {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 32}
VIT = {"type": "VisionTransformer", "arch": ARCH, "img_size": 28, "patch_size": 7, "in_channels": 1}
MODELS: dict[str, dict[str, Any]] = {
    "l2p": {"type": "PromptedTransformer", "pool_size": 4, "length": 2, "top_k": 2},
    "dual_prompt": {
        "type": "DualPromptTransformer",
        "experiences": 5,
        "general_blocks": [0],
        "expert_blocks": [1],
        "expert_length": 2,
    },
    "coda_prompt": {
        "type": "CODAPromptTransformer",
        "experiences": 5,
        "pool_size": 10,
        "blocks": [0, 1],
        "length": 4,
    },
}


def text_model(backbone: dict[str, Any]) -> dict[str, Any]:
    """Return a model of images and texts."""
    return {
        "type": "ImageTextModel",
        "backbone": backbone,
        "text_encoder": {"type": "TextTransformer", "dim": 8, "layers": 1, "heads": 2},
        "texts": "fashion_mnist",
        "in_channels": 8,
        "width": 8,
    }


def in_float64(module: Any) -> None:  # noqa: ANN401
    """Let a network compute in float64, whatever its inputs are."""
    kind = type(module.double())
    forward = {"forward": lambda self, images: kind.forward(self, images.double())}
    module.__class__ = type(kind.__name__, (kind,), forward)


def learnt_from(config: dict[str, Any]) -> dict[str, Any]:
    """Return the state after a config's training, and what an evaluation says."""
    parts = build(copy.deepcopy(config), torch.device("cpu"))
    strategy: Any = parts.strategy
    parts.model.double()
    in_float64(parts.model.backbone)
    for index, step in enumerate(strategy.steps(parts.benchmark.train_stream)[:3]):
        strategy.train_step(index, step)
    strategy.eval(parts.benchmark.test_stream[:3])
    return {**strategy.state_dict(), "said": parts.predictions.result()}


@pytest.fixture(scope="module")
def learnt_classes(fashion_root: Path) -> Callable[[str, int], list[dict[str, Any]]]:
    """Return a function that gives what every process of several ends with under a method."""
    scenario = {"type": "SplitFashionMNIST", "dataset_root": str(fashion_root), "val_fraction": 0.2}
    base = class_config_over(scenario, classes=10, channels=1)
    del base["cl_strategy"]["mem_size"]

    def config_of(method: str) -> dict[str, Any]:
        config = copy.deepcopy(base)
        config["cl_strategy"] |= CLASSES[method]
        model = config["model"]
        model["head"]["type"] = HEADS.get(method, "LinearClsHead")
        if method in MODELS:
            head = {**model["head"], "in_channels": 16}
            backbone = {**MODELS[method], "backbone": VIT}
            config["model"] = {"type": "ImageClassifier", "backbone": backbone, "head": head}
        if method == "text_replay":
            config["model"] = text_model(model["backbone"])
        return config

    @cache
    def ends(method: str, count: int) -> list[dict[str, Any]]:
        def work() -> dict[str, Any]:
            return learnt_from(config_of(method))

        return in_processes(count, work) if count > 1 else [work()]

    return ends


@pytest.mark.parametrize("method", CLASSES)
def test_they_learn_classes_as_one_does(method: str, learnt_classes: Callable[..., Any]) -> None:
    (alone,), several = learnt_classes(method, 1), learnt_classes(method, 2)
    for process in several:
        worst = max(gaps(alone, process), key=lambda pair: pair[1])
        assert worst[1] < 1e-6, worst
        sums = [gap for place, gap in gaps(alone, process) if ".ridge.sums" in place]
        assert max(sums, default=0.0) < 1e-10
    assert max(gap for _, gap in gaps(*several)) == 0.0
