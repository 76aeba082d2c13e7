"""Statistics of feature maps over their positions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.models.arguments import check_choice
from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError, ModelError

STATISTICS = ("mean", "std", "log_std", "high_pass", "quantiles")

QUANTILES = (0.1, 0.5, 0.9)
"""The quantiles of ``"quantiles"``, over the positions of a map."""

EPSILON = 1e-6
"""Added to variances: a constant map has a finite log standard deviation (-6.9)."""


@MODELS.register_module()
class MapStatistics(nn.Module):
    """Maps of several levels -> one vector (B, D) of their statistics.

    Distortions change how strongly a channel varies over an image, early levels most. For every map
    (B, C, h, w) each statistic gives C numbers (quantiles 3 C), over the h w positions:
    ``"mean"``; ``"std"``, the population's standard deviation; ``"log_std"``, its logarithm;
    ``"high_pass"``, the log standard deviation of the map minus its 3x3 means; ``"quantiles"``,
    those at 0.1, 0.5 and 0.9, linearly interpolated. Vectors (B, C) are appended as they are.

    Args:
        statistics: Some of these names.

    Raises:
        ConfigError: There is none, or one is unknown.
    """

    def __init__(self, statistics: Sequence[str] = ("mean", "std")) -> None:
        super().__init__()
        check_statistics(type(self).__name__, statistics)
        self.statistics = tuple(statistics)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor]:
        """Return one vector (B, D) for maps (B, C, h, w) and vectors (B, C) of any levels."""
        return (map_statistics(maps, self.statistics),)


def check_statistics(name: str, statistics: Sequence[str]) -> None:
    """Refuse unknown statistics, or none.

    Args:
        name: Who has the argument.
        statistics: The value of the argument.

    Raises:
        ConfigError: See above.
    """
    if not statistics or isinstance(statistics, str):
        raise ConfigError(
            f"{name}: statistics must be a list of {', '.join(STATISTICS)}, got {statistics!r}."
        )
    for statistic in statistics:
        check_choice(name, STATISTICS, statistics=statistic)


def map_statistics(maps: Sequence[Tensor], statistics: Sequence[str]) -> Tensor:
    """Return the statistics (B, D) of maps, level by level; see `MapStatistics`.

    Args:
        maps: Maps (B, C, h, w) and vectors (B, C).
        statistics: Names of statistics, in the order of the result.

    Raises:
        ModelError: An item is neither a map nor a vector.

    >>> map_statistics([torch.tensor([[[[1.0, 3.0]]]])], ["mean", "std"])
    tensor([[2., 1.]])
    """
    parts: list[Tensor] = []
    for level in maps:
        if level.ndim == 2:
            parts.append(level)
        elif level.ndim == 4:
            parts += [_statistic(level, name) for name in statistics]
        else:
            raise ModelError(
                f"statistics are taken of maps (B, C, h, w) or vectors (B, C), got shape "
                f"{tuple(level.shape)}. Choose other levels (out_indices or nodes) of the backbone."
            )
    return torch.cat(parts, dim=1)


def _statistic(level: Tensor, name: str) -> Tensor:
    """Return one statistic (B, C) of a map, or (B, 3 C) for quantiles."""
    flat = level.flatten(2)  # (B, C, h w)
    if name == "mean":
        return flat.mean(2)
    if name == "std":
        variance = flat.var(2, unbiased=False)
        # a constant map has gradient 0 in place of the square root's infinite one
        return torch.where(variance > 0, variance.clamp(min=EPSILON**2).sqrt(), 0.0)
    if name == "quantiles":
        return torch.cat([_quantile(flat, share) for share in QUANTILES], dim=1)
    if name == "high_pass":
        smooth = F.avg_pool2d(level, 3, stride=1, padding=1, count_include_pad=False)
        flat = (level - smooth).flatten(2)
    return 0.5 * (flat.var(2, unbiased=False) + EPSILON).log()


def _quantile(flat: Tensor, share: float) -> Tensor:
    """Return a quantile (B, C) over the last axis; made of operators that files have."""
    ordered = flat.sort(dim=2).values
    place = share * (flat.shape[2] - 1)
    low = int(place)
    high = min(low + 1, flat.shape[2] - 1)
    return torch.lerp(ordered[..., low], ordered[..., high], place - low)
