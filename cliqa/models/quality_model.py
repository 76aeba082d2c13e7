"""A quality model: backbone, neck and head, each of this package or of mmpretrain."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from cliqa.models.backbones.probe import probed
from cliqa.models.freezing import freeze_parts, keep_frozen
from cliqa.models.heads.distribution import DistributionHead
from cliqa.models.mmpretrain_bridge import build_part
from cliqa.models.outputs import (
    CHANNELS,
    as_vector,
    check_branches,
    flat_outputs,
    needs_channels,
    run_backbone,
    token_axis,
)
from cliqa.models.weights.weights import load_weights
from cliqa.registry import MODELS
from cliqa.utils.errors import ModelError

logger = logging.getLogger(__name__)

POOLING = ("GlobalAveragePooling", "GeneralizedMeanPooling")
"""mmpretrain's necks that pool maps and cannot process vectors. With three axes they pool the last
two; only with ``dim=1`` is that intended."""


@MODELS.register_module()
class QualityModel(nn.Module):
    """Images (B, 3, H, W) -> scores (B,).

    Args:
        backbone: Config of a backbone. Its maps are average-pooled, vectors (ViT, ConvNeXt) are
            used directly, and several outputs are concatenated: those of several layers, a
            Conformer's map and class token, a distilled transformer's two tokens.
        head: Config of a head: ``LinearScoreHead``, ``CosineScoreHead``, or mmpretrain's
            ``LinearClsHead(num_classes=1)``. Its ``in_channels`` may be left out: they are found by
            a forward pass of a black image.
        neck: Config of a neck between the two. A pooling neck is skipped if the backbone has
            pooled already.
        pretrained: A local file of weights: of the backbone alone, with which the other parts start
            anew, or of the whole model.
        freeze: Names of parts that are not trained: ``["backbone.layer1"]``; see `freeze_parts`.
            Their batch normalisation stays in evaluation mode during training.

    Raises:
        ConfigError: A part's config is wrong.
        ModelError: The weights do not fit, `freeze` matches nothing, or the backbone has more
            outputs in training than in evaluation.
    """

    def __init__(
        self,
        backbone: Mapping[str, Any],
        head: Mapping[str, Any],
        neck: Mapping[str, Any] | None = None,
        pretrained: str | None = None,
        freeze: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.backbone = build_part(backbone, "model.backbone")
        check_branches(self.backbone)
        self.neck = None if neck is None else build_part(self.complete_neck(neck), "model.neck")
        self.head = build_part(self.complete_head(head), "model.head")
        self.load_and_freeze(pretrained, freeze)

    def load_and_freeze(self, pretrained: str | None, freeze: Sequence[str]) -> None:
        """Load weights and freeze parts, after all parts are built."""
        if pretrained is not None:
            load_weights(self, pretrained, backbone_alone=True)
        self.frozen = freeze_parts(self, freeze)
        if freeze:
            logger.info("%s", self.frozen)

    def complete_neck(self, neck: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a neck's config, completed from the backbone; here unchanged."""
        return neck

    def complete_head(self, head: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a head's config with the length of the features filled in."""
        if not needs_channels(head):
            return head
        key = f"model.head.{CHANNELS}=..."
        found = probed(self.features, self.backbone, self.neck, key=key)
        return {**head, CHANNELS: found.shape[1]}

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the vectors that the head scores.

        Args:
            images: (B, 3, H, W).

        Returns:
            (B, D).

        Raises:
            ModelError: The backbone cannot process the images, or an output is neither a map nor
                a vector.
        """
        outputs, source = run_backbone(self.backbone, images), self.backbone
        if self.neck is not None and not _is_pooled(outputs, self.neck, source, images):
            outputs, source = flat_outputs(self.neck(outputs), type(self.neck).__name__), self.neck
        return torch.cat([as_vector(output, source, images) for output in outputs], dim=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return scores (B,) for images (B, 3, H, W).

        Raises:
            ModelError: The head returns more than one score per image.
        """
        scores = self.head((self.features(images),))
        if self.training and isinstance(self.head, DistributionHead):
            return scores  # (B, P), which its loss reads
        if scores.ndim == 2 and scores.shape[1] == 1:
            scores = scores[:, 0]
        if scores.ndim != 1:
            raise ModelError(
                f"the head {type(self.head).__name__} returned shape {tuple(scores.shape)} instead "
                "of one score per image. Set its num_classes=1, or use 'LinearScoreHead'."
            )
        return scores

    def spread(self, images: torch.Tensor) -> torch.Tensor:
        """Return the predicted standard deviation of the scores (B,), in their units.

        Args:
            images: (B, 3, H, W).

        Raises:
            ModelError: The head predicts scores alone.
        """
        if not isinstance(self.head, DistributionHead):
            raise ModelError(
                f"the head {type(self.head).__name__} predicts a score and no spread. Train with "
                "'LevelScoreHead' or 'GaussianScoreHead'."
            )
        return self.head.spread((self.features(images),))

    def train(self, mode: bool = True) -> QualityModel:
        """Set training mode; frozen parts stay in evaluation mode."""
        super().train(mode)
        keep_frozen(self, self.frozen)
        return self


def _is_pooled(
    outputs: Sequence[torch.Tensor], neck: nn.Module, source: nn.Module, images: torch.Tensor
) -> bool:
    """Return whether to skip a pooling neck because all outputs are vectors already.

    Raises:
        ModelError: It pools maps, and an output is neither a map nor a vector; or it averages over
            tokens (B, C, N), and an output is (B, N, C).
    """
    if type(neck).__name__ not in POOLING:
        return False
    over_tokens = isinstance(getattr(neck, "gap", None), nn.AdaptiveAvgPool1d)
    for output in outputs:
        if not over_tokens or (output.ndim == 3 and token_axis(output, images) == 1):
            as_vector(output, source, images)
    return all(output.ndim == 2 for output in outputs)
