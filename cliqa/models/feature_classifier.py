"""A classifier of precomputed feature vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from cliqa.models.arguments import check_positive
from cliqa.models.mmpretrain_bridge import build_part
from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError, ModelError


@MODELS.register_module()
class FeatureClassifier(nn.Module):
    """Feature vectors (B, D) -> logits (B, K): an optional perceptron, then a head.

    Its parts are called ``backbone`` (the perceptron) and ``head``, as in an image classifier.

    Args:
        in_channels: Length D of the feature vectors.
        num_classes: K.
        hidden: Width of each hidden layer, followed by ReLU. Empty: the head gets the features.
        head: Complete config of the head: ``dict(type='CosineClsHead', num_classes=10,
            in_channels=512)``. None is mmpretrain's ``LinearClsHead``.

    Raises:
        ConfigError: A size is not above 0, or the head's config has other sizes.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        hidden: Sequence[int] = (),
        head: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check_positive(type(self).__name__, in_channels=in_channels, num_classes=num_classes)
        self.in_channels = in_channels
        widths = [in_channels, *hidden]
        self.backbone = nn.Sequential(
            *(_layer(*pair) for pair in zip(widths, widths[1:], strict=False))
        )
        sizes = {"num_classes": num_classes, "in_channels": widths[-1]}
        head = {"type": "LinearClsHead", **sizes} if head is None else head
        for name, size in sizes.items():
            if head.get(name, size) != size:
                raise ConfigError(
                    f"model.head '{head.get('type')}': {name}={head[name]}, but the "
                    f"FeatureClassifier has {name}={size}. Set the same value in both."
                )
        self.head = build_part(head, "model.head")

    def extract_feat(self, features: torch.Tensor) -> tuple[torch.Tensor]:
        """Return the head's inputs, in a tuple as in mmpretrain's ``ImageClassifier``.

        Args:
            features: (B, D).

        Returns:
            One tensor: (B, last hidden width), or the features themselves.

        Raises:
            ModelError: The inputs are not feature vectors of that length.
        """
        if features.ndim == 2 and features.shape[1] == self.in_channels:
            return (self.backbone(features),)
        advice = (
            f"Set in_channels={features.shape[1]} in model, or scenario.feature_type to the "
            "features that the model was built for."
            if features.ndim == 2
            else "For images use a model with a backbone; for precomputed features set "
            "scenario.feature_type to their name."
        )
        raise ModelError(
            f"FeatureClassifier takes feature vectors (B, {self.in_channels}), got inputs of shape "
            f"{tuple(features.shape)}. {advice}"
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits (B, K) for feature vectors (B, D)."""
        logits: torch.Tensor = self.head(self.extract_feat(features))
        return logits


def _layer(in_channels: int, out_channels: int) -> nn.Sequential:
    """Return one hidden layer, with He et al.'s initialisation for ReLU."""
    check_positive("FeatureClassifier", hidden=out_channels)
    linear = nn.Linear(in_channels, out_channels)
    nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
    nn.init.zeros_(linear.bias)
    return nn.Sequential(linear, nn.ReLU())
