"""Losses over all pairs of a batch: ranking with a margin, and the fidelity of probabilities."""

from __future__ import annotations

import math

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


EPSILON = 1e-8
"""Keeps the square roots differentiable; the loss of a perfect batch is -1e-4 instead of 0."""


@LOSSES.register_module()
class FidelityLoss(nn.Module):
    """The mean over all pairs of ``1 - sqrt(P g) - sqrt((1 - P) (1 - g))``.

    P = Phi((p_i - p_j) / (sqrt(2) sigma)) is the predicted probability that image i is better,
    g the true one (Thurstone's model; Zhang et al., "Continual learning for blind image quality
    assessment", TPAMI 2023, with sigma = 1 for scores without bounds). A batch of one falls back
    to L1.

    Args:
        sigma: Spread of a predicted score, in units of the scores (0..1).
        target_sigma: Spread of a target. None: the order is certain, and equal targets have the
            probability 1/2.

    Raises:
        ValueError: A spread is not positive.
    """

    def __init__(self, sigma: float = 0.1, target_sigma: float | None = None) -> None:
        super().__init__()
        if sigma <= 0 or (target_sigma is not None and target_sigma <= 0):
            raise ValueError(
                f"sigma and target_sigma must be positive, got {sigma} and {target_sigma}"
            )
        self.sigma = sigma
        self.target_sigma = target_sigma

    def forward(self, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss of prediction (B,) against target (B,).

        Returns:
            A scalar, 0 (up to the square root of `EPSILON`) to 1.
        """
        prediction, target = paired_scores(prediction, target)
        if len(prediction) == 1:
            return F.l1_loss(prediction, target)
        count = len(target)
        first, second = torch.triu_indices(count, count, 1, device=target.device)  # (K,)
        lead = (prediction[first] - prediction[second]) / (math.sqrt(2) * self.sigma)
        gap = target[first] - target[second]
        if self.target_sigma is None:
            truth = (gap.sign() + 1) / 2
        else:
            truth = torch.special.ndtr(gap / (math.sqrt(2) * self.target_sigma))
        agree = (torch.special.ndtr(lead) * truth + EPSILON).sqrt()
        disagree = (torch.special.ndtr(-lead) * (1 - truth) + EPSILON).sqrt()
        return (1 - agree - disagree).mean()
