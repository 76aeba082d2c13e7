"""Scores with a distribution: shares of quality levels, or a mean and a variance.

In training a head gives the distribution's parameters, which a loss reads
(`cliqa.losses.ratings`); in evaluation the score, its mean.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn

from cliqa.models.heads.features import feature_vectors, full_precision
from cliqa.registry import MODELS

Features = Tensor | tuple[Tensor, ...]


class DistributionHead(nn.Module):
    """A linear head of a distribution's parameters.

    Args:
        in_channels: Length D of the feature vectors.
        width: P, the parameters.
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.fc = nn.Linear(in_channels, width)
        nn.init.normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)

    @abstractmethod
    def score(self, parameters: Tensor) -> Tensor:
        """Return the means (B,) of distributions with the parameters (B, P)."""

    @abstractmethod
    def deviation(self, parameters: Tensor) -> Tensor:
        """Return the standard deviations (B,) of distributions with the parameters (B, P)."""

    def parameters_of(self, features: Features) -> Tensor:
        """Return the parameters (B, P) for features (B, D)."""
        with full_precision(self, feature_vectors(features, self.in_channels)) as vectors:
            found: Tensor = self.fc(vectors)
        return found

    def raw(self, features: Features) -> Tensor:
        """Return scores (B,) in training too, as heads are compared by them."""
        return self.score(self.parameters_of(features))

    def spread(self, features: Features) -> Tensor:
        """Return predicted standard deviations (B,), in units of the scores."""
        return self.deviation(self.parameters_of(features))

    def forward(self, features: Features) -> Tensor:
        """Return parameters (B, P) in training, scores (B,) in evaluation."""
        parameters = self.parameters_of(features)
        return parameters if self.training else self.score(parameters)


@MODELS.register_module()
class LevelScoreHead(DistributionHead):
    """Shares of K quality levels, evenly spaced from 0 to 1; the score is their mean.

    Talebi & Milanfar, "NIMA: Neural image assessment", TIP 2018, with ``loss=dict(type="EMDLoss")``
    and ten levels; with ``SoftLevelLoss`` the levels are classes.

    Args:
        in_channels: Length D of the feature vectors.
        levels: K, at least 2.

    Raises:
        ValueError: There are fewer levels.
    """

    places: Tensor

    def __init__(self, in_channels: int, levels: int = 10) -> None:
        if not isinstance(levels, int) or levels < 2:
            raise ValueError(f"levels must be an integer of at least 2, got {levels!r}")
        super().__init__(in_channels, levels)
        self.register_buffer("places", torch.linspace(0, 1, levels), persistent=False)

    def score(self, parameters: Tensor) -> Tensor:
        """Return the mean level (B,) of logits (B, K)."""
        return parameters.softmax(1) @ self.places

    def deviation(self, parameters: Tensor) -> Tensor:
        """Return the levels' standard deviation (B,) under logits (B, K)."""
        gap = self.places - self.score(parameters)[:, None]
        return (parameters.softmax(1) * gap.square()).sum(1).sqrt()


@MODELS.register_module()
class GaussianScoreHead(DistributionHead):
    """A normal distribution of scores: mean and logarithm of the variance.

    Initially N(0.5, 0.2^2) for every image. It needs ``loss=dict(type="GaussianScoreLoss")``.

    Args:
        in_channels: Length D of the feature vectors.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels, 2)
        with torch.no_grad():
            self.fc.bias.copy_(torch.tensor([0.5, math.log(0.2**2)]))

    def score(self, parameters: Tensor) -> Tensor:
        """Return the means (B,) of (B, 2)."""
        return parameters[:, 0]

    def deviation(self, parameters: Tensor) -> Tensor:
        """Return the standard deviations (B,) of (B, 2)."""
        return (0.5 * parameters[:, 1]).exp()


def scores_of(model: nn.Module, outputs: Tensor) -> Tensor:
    """Return a model's outputs in training as scores (B,), where its head gives a distribution.

    Args:
        model: With such a head, or any other.
        outputs: Its outputs (B,) or (B, P).
    """
    head = getattr(model, "head", None)
    if outputs.ndim == 2 and isinstance(head, DistributionHead):
        return head.score(outputs)
    return outputs
