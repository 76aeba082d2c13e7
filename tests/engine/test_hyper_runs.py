"""Runs of the HyperIQA family under methods that look into a model's layers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cliqa.inference.evaluate import evaluate
from cliqa.models.build import build_model
from cliqa.training.importance.per_sample import PerSampleGradients

Config = dict[str, Any]

SIZES: Config = {
    "backbone": {
        "type": "ResNet",
        "depth": 18,
        "base_channels": 4,
        "stem_channels": 4,
        "out_indices": (0, 1, 2, 3),
    },
    "hyper_channels": 8,
    "target_sizes": (28, 14, 7),
    "local_channels": (2, 3, 4),
    "local_dims": 4,
}
MODELS: dict[str, Config] = {
    "HyperIQA": {"type": "HyperIQA", "hidden": (16,), **SIZES},
    "MSHyperIQA": {
        "type": "MSHyperIQA",
        "pyramid_channels": 8,
        "attention_reduction": 2,
        **SIZES,
    },
    "SwinHyperIQA": {"type": "SwinHyperIQA", "hidden": (16,), **SIZES},
}
STRATEGIES: dict[str, Config] = {
    "EWC": {"type": "EWC", "strength": 10.0},
    "PackNet": {"type": "PackNet", "inference": "gate", "train_epochs": 2},
    "LoRA": {"type": "LoRA", "rank": 2, "mode": "per_task", "first": "full", "inference": "gate"},
    "InfLoRA": {"type": "LoRA", "rank": 2, "mode": "inflora", "samples": 8},
}


def with_model(config: Config, model: str, strategy: str) -> Config:
    """Return a config with another model and strategy, two experiences."""
    config["model"] = MODELS[model]
    config["scenario"]["datasets"] = config["scenario"]["datasets"][:2]
    config["cl_strategy"].pop("mem_size")
    config["cl_strategy"] |= {"train_epochs": 1, **STRATEGIES[strategy]}
    return config


@pytest.mark.parametrize(
    ("model", "strategy"),
    [
        pytest.param("HyperIQA", "EWC", marks=pytest.mark.exhaustive),
        ("HyperIQA", "PackNet"),
        ("HyperIQA", "LoRA"),
        ("MSHyperIQA", "InfLoRA"),
        pytest.param("SwinHyperIQA", "PackNet", marks=pytest.mark.exhaustive),
    ],
)
def test_a_run_goes_through_and_its_checkpoint_says_the_same_again(
    model: str, strategy: str, tiny_config: Config, run_config: Callable[..., Path]
) -> None:
    config = with_model(tiny_config, model, strategy)
    folder = run_config(config)
    results = json.loads((folder / "results.json").read_text())
    matrix = np.array(results["matrix"]["srcc"], dtype=float)
    assert matrix.shape == (2, 2)
    assert np.isfinite(matrix).all()
    again = evaluate(config, config_file="config/x.py", checkpoint=folder, device="cpu")
    for k, name in enumerate(results["datasets"]):
        assert again["datasets"][name]["metrics"]["srcc"] == matrix[-1, k]


@pytest.mark.parametrize("model", MODELS)
def test_gradients_of_single_samples_come_from_one_pass(model: str) -> None:
    torch.manual_seed(0)
    own = build_model(MODELS[model])
    images, targets = torch.rand(3, 3, 32, 32), torch.rand(3)
    ways = {method: PerSampleGradients(own, method=method) for method in ("layers", "vmap", "loop")}
    for gradients in ways.values():
        gradients.add(lambda output, target: (output - target).square(), images, targets)
    for name, expected in ways["loop"].sums.items():
        for method in ("layers", "vmap"):
            torch.testing.assert_close(
                ways[method].sums[name],
                expected,
                rtol=1e-3,
                atol=1e-5 * float(expected.max()),
                msg=f"{name} by {method}",
            )
