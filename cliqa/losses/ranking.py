"""The pairwise margin ranking loss."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from cliqa.losses.scores import paired_scores, where_defined
from cliqa.registry import LOSSES


@LOSSES.register_module()
class PairwiseRankLoss(nn.Module):
    """The mean of ``max(0, margin - (p_i - p_j))`` over all pairs with ``t_i > t_j``.

    Tied targets form no pair. A batch without a pair falls back to L1.

    Args:
        margin: Gap that a better image must keep, in units of the scores (0..1).

    Raises:
        ValueError: `margin` is negative.

    >>> loss = PairwiseRankLoss()
    >>> round(loss(torch.tensor([0.5, 0.52]), torch.tensor([0.9, 0.1])).item(), 4)
    0.07
    """

    def __init__(self, margin: float = 0.05) -> None:
        super().__init__()
        if margin < 0:
            raise ValueError(f"margin must be at least 0, got {margin}")
        self.margin = margin

    def forward(self, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss of prediction (B,) against target (B,), a scalar >= 0."""
        prediction, target = paired_scores(prediction, target)
        gap = prediction[:, None] - prediction[None, :]  # (B, B)
        better = target[:, None] > target[None, :]  # (B, B)
        hinge = F.relu(self.margin - gap) * better
        count = better.sum()
        return where_defined(count > 0, hinge.sum() / count.clamp(min=1), prediction, target)
