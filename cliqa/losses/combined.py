"""A weighted sum of losses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from cliqa.losses.ratings import wanted_by
from cliqa.losses.scores import as_score_loss, paired_scores
from cliqa.registry import LOSSES, build_component
from cliqa.utils.errors import ConfigError


@LOSSES.register_module()
class CombinedLoss(nn.Module):
    """Sum several losses on the same scores.

    ``CombinedLoss(losses=[dict(type='L1Loss'), dict(type='PairwiseRankLoss', weight=0.0)])`` trains
    on L1 alone. Set the weight of the ranking term above 0 only if a validation split shows a gain:
    beside L1, ranking terms have lowered SRCC on KonIQ-10k more often than raised it.

    Args:
        losses: Configs of losses, each with an optional ``weight`` (default 1). One of weight 0 is
            not computed.

    Raises:
        ConfigError: The list is empty, a loss is unknown, or the weights are negative or all 0.
    """

    def __init__(self, losses: Sequence[Mapping[str, Any]]) -> None:
        super().__init__()
        if not losses or not isinstance(losses, Sequence):
            raise ConfigError("CombinedLoss.losses: expected a list of dict(type=..., weight=1.0).")
        self.weights = [_weight(config, index) for index, config in enumerate(losses)]
        if not any(self.weights):
            raise ConfigError(
                "CombinedLoss.losses: every weight is 0, so nothing would be trained."
            )
        sections = [{k: v for k, v in config.items() if k != "weight"} for config in losses]
        self.losses = nn.ModuleList(
            as_score_loss(build_component(LOSSES, section, f"CombinedLoss.losses[{index}]"))
            for index, section in enumerate(sections)
        )
        used = zip(self.losses, self.weights, strict=True)
        reading = [wanted_by(loss) for loss, weight in used if weight]
        self.ratings = next((wanted for wanted in reading if wanted is not None), None)

    def forward(
        self,
        prediction: torch.Tensor,
        target: torch.Tensor,
        ratings: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the weighted sum of prediction (B,) against target (B,).

        `ratings` (B, 1) is the raters' standard deviation, for a loss that reads it.
        """
        prediction, target = paired_scores(prediction, target)
        terms = [
            weight * loss(prediction, target, ratings)
            for weight, loss in zip(self.weights, self.losses, strict=True)
            if weight
        ]
        return torch.stack(terms).sum()


def _weight(config: Mapping[str, Any], index: int) -> float:
    """Return one loss's weight.

    Raises:
        ConfigError: It is not a number of at least 0, or the entry is not a dict.
    """
    if not isinstance(config, Mapping):
        raise ConfigError(f"CombinedLoss.losses[{index}]: expected dict(type=...), got {config!r}.")
    weight = config.get("weight", 1.0)
    if not isinstance(weight, int | float) or not math.isfinite(weight) or weight < 0:
        raise ConfigError(
            f"CombinedLoss.losses[{index}].weight: expected a number of at least 0, got {weight!r}."
        )
    return float(weight)
