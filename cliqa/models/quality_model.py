"""A quality model: backbone, neck and head, each any component of ours or of mmpretrain."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from cliqa.models.freezing import freeze_parts, keep_frozen
from cliqa.models.mmpretrain_bridge import build_part
from cliqa.models.weights import load_weights
from cliqa.registry import MODELS
from cliqa.utils.errors import ModelError

logger = logging.getLogger(__name__)

POOLING = ("GlobalAveragePooling", "GeneralizedMeanPooling")
"""mmpretrain's necks that pool maps, and cannot pool a vector."""


@MODELS.register_module()
class QualityModel(nn.Module):
    """Images (B, 3, H, W) -> scores (B,).

    Args:
        backbone: Config of a backbone. Its maps are average-pooled, vectors (ViT, ConvNeXt) taken
            as they are, and several outputs joined end to end.
        head: Config of a head: ``LinearScoreHead``, ``CosineScoreHead``, or mmpretrain's
            ``LinearClsHead(num_classes=1)``.
        neck: Config of a neck between the two. One that pools is passed by where the backbone has
            pooled already.
        pretrained: A local file of weights, for the backbone or the whole model.
        freeze: Names of parts that stay as they are: ``["backbone.layer1"]``; see `freeze_parts`.
            Their batch normalisation stays in evaluation mode during training.

    Raises:
        ConfigError: A part's config is wrong.
        ModelError: The weights do not fit, or `freeze` names nothing.
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
        self.neck = None if neck is None else build_part(self.complete_neck(neck), "model.neck")
        self.head = build_part(head, "model.head")
        if pretrained is not None:
            load_weights(self, pretrained)
        self.frozen = freeze_parts(self, freeze)
        if freeze:
            logger.info("%s", self.frozen)

    def complete_neck(self, neck: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a neck's config with what the backbone tells about it: nothing."""
        return neck

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the vectors that the head scores.

        Args:
            images: (B, 3, H, W).

        Returns:
            (B, D).

        Raises:
            ModelError: An output is neither a map nor a vector.
        """
        outputs = _as_tuple(self.backbone(images))
        pooled = all(output.ndim == 2 for output in outputs)
        if self.neck is not None and not (pooled and type(self.neck).__name__ in POOLING):
            outputs = _as_tuple(self.neck(outputs))
        return torch.cat([_as_vector(output) for output in outputs], dim=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return scores (B,) for images (B, 3, H, W).

        Raises:
            ModelError: The head gives more than one score an image.
        """
        scores = self.head((self.features(images),))
        if scores.ndim == 2 and scores.shape[1] == 1:
            scores = scores[:, 0]
        if scores.ndim != 1:
            raise ModelError(
                f"the head {type(self.head).__name__} returned shape {tuple(scores.shape)} instead "
                "of one score an image. Set its num_classes=1, or use 'LinearScoreHead'."
            )
        return scores

    def train(self, mode: bool = True) -> QualityModel:
        """Set training mode; frozen parts stay in evaluation mode."""
        super().train(mode)
        keep_frozen(self, self.frozen)
        return self


def _as_tuple(outputs: torch.Tensor | Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Return one or several outputs as a tuple."""
    return (outputs,) if isinstance(outputs, torch.Tensor) else tuple(outputs)


def _as_vector(output: torch.Tensor) -> torch.Tensor:
    """Return a map (B, C, h, w) as its spatial mean (B, C), a vector as it is."""
    if output.ndim == 4:
        return output.mean(dim=(2, 3))
    if output.ndim == 2:
        return output
    raise ModelError(
        f"the backbone returned shape {tuple(output.shape)}; expected maps (B, C, h, w) or vectors "
        "(B, D). For a transformer choose out_type='cls_token' or 'featmap', or another node."
    )
