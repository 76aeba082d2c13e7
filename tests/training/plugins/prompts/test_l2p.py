"""L2P: the pull of the keys, exact resume, and the model that it needs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from avalanche.training.plugins import EvaluationPlugin
from torch import nn

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.evaluation.metrics.prediction_collector import PredictionCollector
from cliqa.models.build import build_model
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.loop.schedule import Schedule
from cliqa.training.plugins.prompts.l2p import L2P
from cliqa.training.supervised.naive import Naive
from cliqa.utils.errors import ConfigError

ARCH = {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 32}
MODEL: dict[str, Any] = {
    "type": "QualityModel",
    "backbone": {
        "type": "PromptedTransformer",
        "backbone": {"type": "VisionTransformer", "arch": ARCH, "img_size": 16, "patch_size": 4},
        "pool_size": 4,
        "length": 2,
        "top_k": 2,
    },
    "head": {"type": "LinearScoreHead", "in_channels": 16},
}


def strategy(plugins: list[Any]) -> Any:
    torch.manual_seed(0)
    model = build_model(MODEL)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No loggers specified")
        evaluator = EvaluationPlugin(PredictionCollector(), loggers=[])
    found = Naive(
        model=model,
        optimizer=torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2),
        criterion=nn.L1Loss(),
        train_mb_size=8,
        eval_mb_size=16,
        train_epochs=1,
        plugins=plugins,
        evaluator=evaluator,
    )
    found.configure(TrainingOptions(seed=1), Schedule(None), None)
    return found


class Holder:
    """As much of a strategy as the hooks need."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.loss = torch.zeros(())


def test_the_loss_is_the_formulas_and_the_keys_alone_are_pulled() -> None:
    torch.manual_seed(0)
    model: Any = build_model(MODEL)
    plugin, holder = L2P(strength=0.3), Holder(model)
    plugin.before_forward(holder)  # type: ignore[arg-type]
    model(torch.rand(3, 3, 16, 16))
    (match,) = model.backbone.matches
    plugin.before_backward(holder)  # type: ignore[arg-type]
    assert holder.loss.item() == pytest.approx(-0.3 * match.item(), rel=1e-6)
    assert model.backbone.matches is None
    holder.loss.backward()
    pulled = {name for name, p in model.named_parameters() if p.grad is not None}
    assert pulled == {"backbone.keys"}


def test_a_stopped_run_ends_as_one_that_was_not(
    tiny_stream: QualityStream, assert_resumable: Callable[..., None]
) -> None:
    assert_resumable(lambda: strategy([L2P()]), tiny_stream)


def test_without_strength_it_is_fine_tuning_and_the_keys_stay(
    tiny_stream: QualityStream, learn: Callable[..., None], assert_same: Callable[..., None]
) -> None:
    plain, none, pulled = strategy([]), strategy([L2P(0.0)]), strategy([L2P(5.0)])
    keys = plain.model.backbone.keys.detach().clone()
    for one in (plain, none, pulled):
        learn(one, tiny_stream, last=2)
    assert_same(plain.model.state_dict(), none.model.state_dict())
    assert torch.equal(none.model.backbone.keys, keys)
    assert not torch.equal(pulled.model.backbone.keys, keys)


def test_a_model_without_prompts_is_refused(
    make_strategy: Callable[..., Any], tiny_stream: QualityStream, learn: Callable[..., None]
) -> None:
    with pytest.raises(ConfigError, match="L2P: the model has no prompts. Set model.backbone=dict"):
        learn(make_strategy([L2P()]), tiny_stream, last=1)
    with pytest.raises(ConfigError, match="L2P: strength must be >= 0"):
        L2P(-1.0)
