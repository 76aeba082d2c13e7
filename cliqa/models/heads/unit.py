"""A score along one direction of unit features, without a bias."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from cliqa.models.heads.features import feature_vectors, full_precision
from cliqa.registry import MODELS


@MODELS.register_module()
class UnitScoreHead(nn.Module):
    """Training: score = w f / |f|. Evaluation: (1 + cos(w, f)) / 2, in 0..1.

    The head of Zhang et al., "Continual learning for blind image quality assessment", TPAMI 2023,
    for losses that compare images, such as ``dict(type="FidelityLoss", sigma=1)``: the length of w
    is then learnt, and decides how sure the order of two images is. In evaluation the length is
    left out, so that the heads of several data sets share a scale; the order of images is the same.
    The map to 0..1 is ours.

    Args:
        in_channels: Length D of the feature vectors.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.weight = nn.Parameter(torch.empty(1, in_channels))
        nn.init.kaiming_normal_(self.weight)

    def raw(self, features: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Return w f / |f| (B,), as the loss sees it, for features (B, D)."""
        with full_precision(self, feature_vectors(features, self.in_channels)) as vectors:
            return F.linear(F.normalize(vectors), self.weight)[:, 0]

    def forward(self, features: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Return scores (B,) for features (B, D)."""
        score = self.raw(features)
        if self.training:
            return score
        return (1 + score / self.weight.norm().clamp_min(1e-12)) / 2
