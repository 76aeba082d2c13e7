"""Models whose outputs tell images apart, so that a wrong file is seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from cliqa.models.build import build_model

Config = dict[str, Any]
Build = Callable[..., nn.Module]


def images_of(*shape: int, seed: int = 7) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def build_lively() -> Build:
    """Return a function that builds a model with random, not zero, layers and real statistics."""

    def build(config: Config, channels: int = 3, size: int = 32) -> nn.Module:
        torch.manual_seed(0)
        model = build_model(config)
        norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = None  # the mean over all batches
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() > 1 and not parameter.any():
                    nn.init.normal_(parameter, std=0.1)
            for seed in range(3) if norms else ():
                model.train()(images_of(8, channels, size, size, seed=seed))
        return model.eval()

    return build


@pytest.fixture
def tiny_net() -> nn.Module:
    """Return a small network of scores in evaluation mode."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(8, 1), nn.Flatten(0)).eval()
