"""Losses over the batch's deviations from its mean: the correlation, and norm-in-norm."""

from __future__ import annotations

import torch
from torch import nn

from cliqa.losses.scores import paired_scores, unit_deviation, where_defined
from cliqa.registry import LOSSES


@LOSSES.register_module()
class PLCCLoss(nn.Module):
    """(1 - r) / 2 for Pearson's correlation r: 0 is a perfect fit, 1 a reversed one.

    The correlation ignores shift and scale, so this loss alone does not calibrate the scores.
    A batch in which either side is constant falls back to L1.

    >>> PLCCLoss()(torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.9, 0.7, 0.5])).item()
    1.0
    """

    def forward(self, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss of prediction (B,) against target (B,), a scalar in 0..1."""
        prediction, target = paired_scores(prediction, target)
        unit_prediction, varies = unit_deviation(prediction)
        unit_target, target_varies = unit_deviation(target)
        correlation = (unit_prediction * unit_target).sum()
        return where_defined(varies & target_varies, (1 - correlation) / 2, prediction, target)


@LOSSES.register_module()
class NormInNormLoss(nn.Module):
    """The distance between the normalised deviations of prediction and target.

    With d the deviations from the mean, divided by their q-norm:
    ``sum |d_prediction - d_target|^p / (2^p * B^max(0, 1 - p/q))`` (Li et al., "Norm-in-Norm loss
    with faster convergence and better performance for image quality assessment", ACM MM 2020).
    A batch in which either side is constant falls back to L1.

    Args:
        p: Order of the outer norm, at least 1.
        q: Order of the normalising norm, at least 1.

    Raises:
        ValueError: An order is below 1.
    """

    def __init__(self, p: float = 1.0, q: float = 2.0) -> None:
        super().__init__()
        if p < 1 or q < 1:
            raise ValueError(f"p and q must be at least 1, got p={p} and q={q}")
        self.p = p
        self.q = q

    def forward(self, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss of prediction (B,) against target (B,), a scalar in 0..1."""
        prediction, target = paired_scores(prediction, target)
        unit_prediction, varies = unit_deviation(prediction, self.q)
        unit_target, target_varies = unit_deviation(target, self.q)
        distance = (unit_prediction - unit_target).abs().pow(self.p).sum()
        bound = 2**self.p * len(prediction) ** max(0.0, 1 - self.p / self.q)
        return where_defined(varies & target_varies, distance / bound, prediction, target)
