"""Losses over all pairs of a batch: ranking with a margin, and the fidelity of probabilities."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from cliqa.losses.ratings import Wanted, check_std, missing_ratings
from cliqa.losses.scores import LEAST_SPREAD, paired_scores, where_defined
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
        raters: Take each target's spread from its raters: g = Phi((t_i - t_j) / sqrt(s_i^2 +
            s_j^2)), s their standard deviation. An evaluation takes `target_sigma`.
        default_std: The spread, in 0..1, where the labels have none; None refuses such a data set.

    Raises:
        ValueError: A spread is not positive.
    """

    def __init__(
        self,
        sigma: float = 0.1,
        target_sigma: float | None = None,
        raters: bool = False,
        default_std: float | None = None,
    ) -> None:
        super().__init__()
        check_std(default_std)
        if sigma <= 0 or (target_sigma is not None and target_sigma <= 0):
            raise ValueError(
                f"sigma and target_sigma must be positive, got {sigma} and {target_sigma}"
            )
        self.sigma = sigma
        self.target_sigma = target_sigma
        self.ratings = Wanted(0, default_std) if raters else None

    def forward(
        self,
        prediction: torch.Tensor,
        target: torch.Tensor,
        ratings: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the loss of prediction (B,) against target (B,).

        Args:
            prediction: Scores.
            target: Their targets.
            ratings: (B, 1 + K), the raters' standard deviation first; with `raters`.

        Returns:
            A scalar, 0 (up to the square root of `EPSILON`) to 1.

        Raises:
            ConfigError: A training batch has no ratings.
        """
        if self.ratings is not None and ratings is None and prediction.requires_grad:
            raise missing_ratings(self)
        prediction, target = paired_scores(prediction, target)
        if len(prediction) == 1:
            return F.l1_loss(prediction, target)
        count = len(target)
        first, second = torch.triu_indices(count, count, 1, device=target.device)  # (K,)
        lead = (prediction[first] - prediction[second]) / (math.sqrt(2) * self.sigma)
        gap = target[first] - target[second]
        if self.ratings is not None and ratings is not None:
            variance = ratings[:, 0].to(gap.dtype).square()
            spread = (variance[first] + variance[second]).sqrt()
            # without any spread the order is certain; 0 / 0 of equal targets is 1/2
            truth = torch.special.ndtr(gap / spread.clamp_min(LEAST_SPREAD))
        elif self.target_sigma is None:
            truth = (gap.sign() + 1) / 2
        else:
            truth = torch.special.ndtr(gap / (math.sqrt(2) * self.target_sigma))
        agree = (torch.special.ndtr(lead) * truth + EPSILON).sqrt()
        disagree = (torch.special.ndtr(-lead) * (1 - truth) + EPSILON).sqrt()
        return (1 - agree - disagree).mean()
