"""The HyperIQA family can learn: each model fits a small data set in KonIQ-10k's layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from scipy import stats

from cliqa.config.load import load_config
from cliqa.engine.build import build

CONFIG = Path(__file__).resolve().parents[2] / "config" / "demo_naive.py"
PARTS: dict[str, Any] = {
    "backbone": {
        "type": "ResNet",
        "depth": 18,
        "base_channels": 8,
        "stem_channels": 8,
        "out_indices": (0, 1, 2, 3),
        "norm_cfg": {"type": "GN", "num_groups": 4},
    },
    "hyper_channels": 28,
    "target_sizes": (56, 28, 14),
}
MODELS: dict[str, dict[str, Any]] = {
    "HyperIQA": {"type": "HyperIQA", "hidden": (64,), **PARTS},
    "MSHyperIQA": {"type": "MSHyperIQA", "pyramid_channels": 32, **PARTS},
    "SwinHyperIQA": {"type": "SwinHyperIQA", "hidden": (64,), **PARTS},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["HyperIQA", *(pytest.param(n, marks=pytest.mark.exhaustive) for n in list(MODELS)[1:])],
)
def test_it_fits_its_training_images(name: str, tmp_path: Path) -> None:
    config = load_config(CONFIG)
    normal = config["scenario"]["eval_transform"][1:]
    config["scenario"] |= {
        "dataset_root": str(tmp_path / "data"),
        "generate": {"type": "DemoData", "train": 40, "val": 4, "test": 8, "size": 48},
        "datasets": [{"type": "KonIQ10k", "root": "koniq"}],
        "train_transform": normal,
        "eval_transform": normal,
    }
    config["model"] = MODELS[name]
    config["cl_strategy"] |= {"train_mb_size": 10, "train_epochs": 40}
    config["cl_strategy"]["optimizer"] = {
        "type": "AdamW",
        "lr": 1e-3,
        "paramwise": [{"match": "backbone", "lr_mult": 0.5}],
    }
    config["cl_strategy"]["scheduler"] = {"type": "CosineLR"}
    parts = build(config, torch.device("cpu"))
    before = srcc(parts)
    parts.strategy.train_step(0, [parts.benchmark.train_stream[0]])
    assert srcc(parts) > 0.95 > before


def srcc(parts: Any) -> float:
    """Return the SRCC on the training images as an evaluation sees them."""
    data = parts.benchmark.train_stream[0].dataset
    return float(stats.spearmanr(*parts.strategy.predict(data.eval())).statistic)
