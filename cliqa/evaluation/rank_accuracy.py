"""Rank accuracy: how often scores rank a milder degradation above a worse one.

Legend: N ladders, L levels (level 0 is the mildest).
"""

from __future__ import annotations

import torch
from torch import Tensor

from cliqa.utils.errors import EvaluationError


def rank_accuracy(scores: Tensor) -> float:
    """Return the share of correctly ranked pairs of levels; a tie counts half.

    Args:
        scores: (N, L) or (L,), of the same image at rising levels; higher = better. Pairs are
            formed within a ladder only.

    Returns:
        0..1; chance is 0.5.

    Raises:
        EvaluationError: There is no pair, or a score is not finite.

    >>> rank_accuracy(torch.tensor([0.9, 0.5, 0.5, 0.7]))
    0.5833333333333334
    """
    if scores.ndim not in (1, 2) or scores.shape[-1] < 2 or not scores.numel():
        raise EvaluationError(
            f"rank accuracy needs scores (N, L) of at least two levels, got shape "
            f"{tuple(scores.shape)}."
        )
    if not scores.isfinite().all():
        raise EvaluationError("rank accuracy needs finite scores, but one is NaN or infinite.")
    levels = scores.shape[-1]
    milder, worse = torch.triu_indices(levels, levels, 1, device=scores.device)
    order = (scores[..., milder] - scores[..., worse]).sign().double()
    return float((order + 1).mean() / 2)
