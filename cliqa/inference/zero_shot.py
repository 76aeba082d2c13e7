"""Scores from a pretraining alone, without any label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from cliqa.config.trust import built_from, without_weights
from cliqa.engine.work_dir.saved_config import load_own_weights
from cliqa.models.build import build_model
from cliqa.pretraining.pairs import IMAGENET_MEAN, IMAGENET_STD
from cliqa.pretraining.projection import QualityProjection, feature_length


class ZeroShotModel:
    """A pretrained encoder with its two anchors: scores without labels (an `ImageModel`).

    Args:
        checkpoint: A pretraining's checkpoint.
        state: Its content.
        device: Where to compute.

    Attributes:
        module: The encoder with its projection.
        network: What predicts.
    """

    names: ClassVar[list[str]] = []
    classes: ClassVar[list[str]] = []
    channels = 3
    scenario: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, checkpoint: Path, state: dict[str, Any], device: torch.device) -> None:
        self.path, self.device = checkpoint, device
        self.module = _model_of(state, checkpoint).to(device)
        self.network = _Scores(self.module)
        data = state["config"]["pretrain"].get("data") or {}
        mean, std = data.get("mean", IMAGENET_MEAN), data.get("std", IMAGENET_STD)
        self.eval_transform: Sequence[Mapping[str, Any]] = [
            {"type": "ToTensor"},
            {"type": "Normalize", "mean": list(mean), "std": list(std)},
        ]

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Return scores (B,), 0..1, of preprocessed images (B, C, H, W)."""
        found: Tensor = self.network(images.to(self.device))
        return found.float().cpu()


class _Scores(nn.Module):
    """A projection's scores as a network."""

    def __init__(self, projection: QualityProjection) -> None:
        super().__init__()
        self.projection = projection

    def forward(self, images: Tensor) -> Tensor:
        """Return scores (B,) of images (B, C, H, W)."""
        return self.projection.score(images)


def _model_of(state: dict[str, Any], path: Path) -> QualityProjection:
    """Return the encoder with its projection and anchors, as a checkpoint holds them.

    Args:
        state: A pretraining's checkpoint.
        path: The checkpoint.
    """
    config, weights = state["config"], state["pretraining"]["model"]
    with built_from(path):
        encoder = build_model(without_weights(config["model"]))
    size = (config["pretrain"].get("data") or {}).get("crop_size", 224)
    projection = QualityProjection(
        encoder,
        weights["anchors"],
        feature_length(encoder, size),
        **(config["pretrain"].get("projection") or {}),
    )
    load_own_weights(projection, weights, path)
    projection.eval()
    return projection
