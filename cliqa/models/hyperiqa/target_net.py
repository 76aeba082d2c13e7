"""A small network whose weights are made for each image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cliqa.utils.errors import ConfigError


def target_scores(
    vectors: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    dropout: nn.Module | None = None,
    dropped: int = 0,
) -> Tensor:
    """Return what each image's own network gives for its own vector.

    Su et al., "Blindly assess image quality in the wild guided by a self-adaptive hyper network",
    CVPR 2020: fully connected layers with sigmoids between them and none at the end. One batched
    matrix product a layer does what a convolution with B groups would.

    Args:
        vectors: (B, n_0).
        weights: A layer's weights each, (B, n_{k+1}, n_k); the last has one row.
        biases: A layer's biases each, (B, n_{k+1}).
        dropout: Applied to the outputs of the first layers.
        dropped: How many layers these are.

    Returns:
        (B,).

    >>> one, zero = torch.ones(2, 1, 3), torch.zeros(2, 1)
    >>> target_scores(torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 4.0]]), [one], [zero])
    tensor([6., 4.])
    """
    value = vectors.unsqueeze(-1)  # (B, n_0, 1)
    last = len(weights) - 1
    for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        value = torch.baddbmm(bias.unsqueeze(-1), weight, value)
        if index < last:
            value = value.sigmoid()
        if dropout is not None and index < dropped:
            value = dropout(value)
    return value.flatten(1).squeeze(1)  # of (B, 1, 1) also where B is 1


class TargetNet(nn.Module):
    """`target_scores` with dropout in training; it has no parameters of its own.

    Args:
        dropout: Probability with which a hidden value is dropped in training, 0..1.
        dropped: How many layers, from the first, have dropout behind them.

    Raises:
        ConfigError: `dropout` lies outside 0..1, or `dropped` is negative.
    """

    def __init__(self, dropout: float = 0.0, dropped: int = 0) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ConfigError(
                f"TargetNet: dropout must be at least 0 and below 1, got {dropout!r}."
            )
        if dropped < 0:
            raise ConfigError(f"TargetNet: dropped must be at least 0 layers, got {dropped!r}.")
        self.dropout = nn.Dropout(dropout)
        self.dropped = dropped

    def forward(
        self, vectors: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]
    ) -> Tensor:
        """Return scores (B,); the arguments are those of `target_scores`."""
        return target_scores(vectors, weights, biases, self.dropout, self.dropped)
