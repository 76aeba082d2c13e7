"""Weights of an image's scales."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from cliqa.models.arguments import check_positive
from cliqa.registry import MODELS


@MODELS.register_module()
class ScaleAttention(nn.Module):
    """One weight a scale and image, from the mean of the deepest maps; they begin nearly equal.

    Args:
        in_channels: Channels of the maps, shallow to deep.
        hidden: Width of the perceptron.
        dropout: Probability of dropping a hidden value in training, 0..1.

    Raises:
        ConfigError: A size is not above 0.
    """

    def __init__(self, in_channels: Sequence[int], hidden: int = 256, dropout: float = 0.5) -> None:
        super().__init__()
        check_positive(type(self).__name__, in_channels=min(in_channels), hidden=hidden)
        first, last = nn.Linear(in_channels[-1], hidden), nn.Linear(hidden, len(in_channels))
        for layer in (first, last):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)
        self.net = nn.Sequential(first, nn.ReLU(), nn.Dropout(dropout), last)

    def weights(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the weights (B, L) of L maps (B, C, h, w); an image's sum to 1."""
        return self.net(maps[-1].mean(dim=(2, 3))).softmax(dim=1)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return the maps, each times its weight."""
        weights = self.weights(maps)[:, :, None, None, None]  # (B, L, 1, 1, 1)
        return [level * weights[:, index] for index, level in enumerate(maps)]
