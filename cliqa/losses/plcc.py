"""The correlation as a loss."""

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
