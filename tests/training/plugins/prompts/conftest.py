"""Training with prompts beside a small transformer."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from avalanche.training.plugins import EvaluationPlugin
from torch import nn

from cliqa.evaluation.metrics.prediction_collector import PredictionCollector
from cliqa.models.build import build_model
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.loop.schedule import Schedule
from cliqa.training.supervised.naive import Naive

ARCH = {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 32}
VIT: dict[str, Any] = {"type": "VisionTransformer", "arch": ARCH, "img_size": 16, "patch_size": 4}

BACKBONES: dict[str, dict[str, Any]] = {
    "L2P": {"type": "PromptedTransformer", "pool_size": 4, "length": 2, "top_k": 2},
    "DualPrompt": {
        "type": "DualPromptTransformer",
        "experiences": 3,
        "general_blocks": [0],
        "expert_blocks": [1],
        "expert_length": 2,
    },
    "CODAPrompt": {
        "type": "CODAPromptTransformer",
        "experiences": 3,
        "pool_size": 6,
        "blocks": [0, 1],
        "length": 4,
    },
}


@pytest.fixture
def prompted_model() -> Callable[..., Any]:
    """Return a function that builds an always equal model with a method's prompts."""

    def make(method: str, **more: Any) -> Any:
        torch.manual_seed(0)
        head = {"type": "LinearScoreHead", "in_channels": 16}
        backbone = {**BACKBONES[method], "backbone": VIT, **more}
        return build_model({"type": "QualityModel", "backbone": backbone, "head": head})

    return make


@pytest.fixture
def prompted_strategy(prompted_model: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that builds a strategy over a model with a method's prompts."""

    def make(method: str, plugins: list[Any], epochs: int = 1, **more: Any) -> Any:
        model = prompted_model(method, **more)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="No loggers specified")
            evaluator = EvaluationPlugin(PredictionCollector(), loggers=[])
        weights = [p for p in model.parameters() if p.requires_grad]
        found = Naive(
            model=model,
            optimizer=torch.optim.AdamW(weights, lr=1e-2, weight_decay=0.1),
            criterion=nn.L1Loss(),
            train_mb_size=8,
            eval_mb_size=16,
            train_epochs=epochs,
            plugins=plugins,
            evaluator=evaluator,
        )
        found.configure(TrainingOptions(seed=1), Schedule(None), None)
        return found

    return make
