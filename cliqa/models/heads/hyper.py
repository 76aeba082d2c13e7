"""A score from a target network whose weights a hyper network predicts for each image."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from cliqa.config.annotations import TwoNumbers
from cliqa.models.arguments import check_below_one, check_least, check_positive
from cliqa.models.heads.features import full_precision
from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError, ModelError


@MODELS.register_module()
class HyperHead(nn.Module):
    """Score = target net of a vector, with weights that a hyper network predicts from maps.

    Args:
        in_channels: Channels of the maps.
        sizes: Length of the vector, and of each hidden layer of the target net; see `HyperNet`.
        grid: Edge of the maps.
        dropout: Probability of dropping a value of the maps in training, 0..1.
        target_dropout: The same for the target net's hidden values.
        target_dropped: How many of its layers have that dropout.
        score_range: The target net's outputs for the worst and the best quality. (0, 1): they are
            the scores. (0, 100): HyperIQA's own scale; scores are a hundredth of it.

    Raises:
        ConfigError: A value is out of range.
    """

    def __init__(
        self,
        in_channels: int = 112,
        sizes: Sequence[int] = (224, 112, 56, 28, 14),
        grid: int = 7,
        dropout: float = 0.0,
        target_dropout: float = 0.0,
        target_dropped: int = 0,
        score_range: TwoNumbers = (0.0, 1.0),
    ) -> None:
        super().__init__()
        if len(score_range) != 2 or not score_range[0] < score_range[1]:
            raise ConfigError(
                f"HyperHead: score_range must be (lowest, highest), got {tuple(score_range)}."
            )
        check_below_one("HyperHead", dropout=dropout)
        self.low, self.high = map(float, score_range)
        self.dropout = nn.Dropout(dropout)
        self.hypernet = HyperNet(in_channels, sizes, grid, start=(self.low + self.high) / 2)
        self.target_net = TargetNet(target_dropout, target_dropped)

    def forward(self, inputs: tuple[Tensor, Tensor]) -> Tensor:
        """Return scores (B,) for vectors (B, n) and maps (B, C, g, g), in full precision.

        Raises:
            ModelError: The shapes do not fit the head.
        """
        vectors, maps = inputs
        if vectors.shape[1:] != (self.hypernet.sizes[0],):
            raise ModelError(
                f"HyperHead takes vectors (B, {self.hypernet.sizes[0]}), got shape "
                f"{tuple(vectors.shape)}. Set the first of model.head.sizes to the neck's vector."
            )
        with full_precision(self, maps) as own_maps:
            weights, biases = self.hypernet(self.dropout(own_maps))
            raw = self.target_net(vectors.to(own_maps.dtype), weights, biases)
            return (raw - self.low) / (self.high - self.low)


SPREAD = 0.01
"""Standard deviation of the last layer's weights at the start: all scores begin near the middle."""


class HyperNet(nn.Module):
    """Maps (B, C, g, g) -> the weights and biases of a fully connected network for each image.

    Su et al., "Blindly assess image quality in the wild guided by a self-adaptive hyper network",
    CVPR 2020. A matrix is the output of a 3x3 convolution, row by row; biases and the last layer
    come from the maps' means. Layers are initialised as by He et al. (2015), but the last one with
    small weights and the bias `start`: with He's weights the scores of a new model over a ResNet-18
    were 7 to 11, and 20 steps of Adam on 8 images left an L1 loss of 0.38 instead of 0.06.

    Args:
        in_channels: C.
        sizes: Length of the target network's input vector, and of each hidden layer.
        grid: g, the edge of the maps. The number of values of each matrix must be a multiple of
            g * g.
        start: The initial score.

    Raises:
        ConfigError: A size is not above 0, there is no hidden layer, or a matrix does not fill the
            grid.
    """

    def __init__(
        self,
        in_channels: int = 112,
        sizes: Sequence[int] = (224, 112, 56, 28, 14),
        grid: int = 7,
        start: float = 0.5,
    ) -> None:
        super().__init__()
        check_positive(type(self).__name__, in_channels=in_channels, grid=grid)
        _check_sizes(sizes, grid)
        self.in_channels = in_channels
        self.sizes = tuple(sizes)
        self.grid = grid
        counts = [inputs * outputs // grid**2 for inputs, outputs in pairwise(sizes)]
        convs = [nn.Conv2d(in_channels, count, 3, padding=1) for count in counts]
        fcs = [nn.Linear(in_channels, size) for size in sizes[1:]]
        for weight in (*(conv.weight for conv in convs), *(fc.weight for fc in fcs)):
            nn.init.kaiming_normal_(weight)
        last = [_small(in_channels, sizes[-1], 0.0), _small(in_channels, 1, start)]
        self.weights = nn.ModuleList([*convs, last[0]])
        self.biases = nn.ModuleList([*fcs, last[1]])

    def forward(self, maps: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return each layer's weights (B, outputs, inputs) and biases (B, outputs).

        Args:
            maps: (B, C, g, g).

        Raises:
            ModelError: The maps have another shape.
        """
        if maps.shape[1:] != (self.in_channels, self.grid, self.grid):
            raise ModelError(
                f"HyperNet takes maps (B, {self.in_channels}, {self.grid}, {self.grid}), got shape "
                f"{tuple(maps.shape)}. Give the neck and the head the same channels and grid."
            )
        means = maps.mean(dim=(2, 3))  # (B, C)
        outputs = (*self.sizes[1:], 1)
        weights = [
            layer(means if layer is self.weights[-1] else maps).reshape(-1, rows, columns)
            for layer, rows, columns in zip(self.weights, outputs, self.sizes, strict=True)
        ]
        return weights, [layer(means) for layer in self.biases]


def _small(in_channels: int, out_channels: int, bias: float) -> nn.Linear:
    """Return a linear layer whose initial output is close to its bias."""
    layer = nn.Linear(in_channels, out_channels)
    nn.init.normal_(layer.weight, std=SPREAD)
    nn.init.constant_(layer.bias, bias)
    return layer


def _check_sizes(sizes: Sequence[int], grid: int) -> None:
    """Refuse sizes without a hidden layer, or matrices that do not fill the grid."""
    if len(sizes) < 2:
        raise ConfigError(
            f"HyperNet: sizes={tuple(sizes)} has no hidden layer. Give the length of the vector "
            "and of each hidden layer: (224, 112, 56, 28, 14)."
        )
    check_positive("HyperNet", sizes=min(sizes))
    for inputs, outputs in pairwise(sizes):
        if inputs * outputs % grid**2:
            raise ConfigError(
                f"HyperNet: the {outputs} x {inputs} weights between two layers do not fill a grid "
                f"of {grid} x {grid} evenly. Make {inputs} * {outputs} a multiple of {grid**2}, "
                f"e.g. both multiples of {grid}."
            )


class TargetNet(nn.Module):
    """The scores of each image's target network for its vector; without own parameters.

    Su et al., "Blindly assess image quality in the wild guided by a self-adaptive hyper network",
    CVPR 2020: fully connected layers with sigmoids between them and none at the end. Each layer
    is one batched matrix product, equal to a convolution with B groups.

    Args:
        dropout: Probability with which a hidden value is dropped in training, 0..1.
        dropped: How many layers, from the first, are followed by dropout.

    Raises:
        ConfigError: `dropout` lies outside 0..1, or `dropped` is negative.

    >>> one, zero = torch.ones(2, 1, 3), torch.zeros(2, 1)
    >>> TargetNet()(torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 4.0]]), [one], [zero])
    tensor([6., 4.])
    """

    def __init__(self, dropout: float = 0.0, dropped: int = 0) -> None:
        super().__init__()
        check_below_one("TargetNet", dropout=dropout)
        check_least("TargetNet", 0, dropped=dropped)
        self.dropout = nn.Dropout(dropout)
        self.dropped = dropped

    def forward(
        self, vectors: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]
    ) -> Tensor:
        """Return scores (B,).

        Args:
            vectors: (B, n_0).
            weights: The weights of each layer, (B, n_{k+1}, n_k); the last has one row.
            biases: The biases of each layer, (B, n_{k+1}).
        """
        value = vectors.unsqueeze(-1)  # (B, n_0, 1)
        last = len(weights) - 1
        for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            value = torch.baddbmm(bias.unsqueeze(-1), weight, value)
            if index < last:
                value = value.sigmoid()
            if index < self.dropped:
                value = self.dropout(value)
        return value.flatten(1).squeeze(1)  # of (B, 1, 1) also where B is 1
