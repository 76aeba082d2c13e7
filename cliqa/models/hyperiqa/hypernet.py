"""A network that makes the weights of another one from an image's maps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from cliqa.models.arguments import check_positive
from cliqa.utils.errors import ConfigError, ModelError

SPREAD = 0.01
"""Standard deviation of the last layer's weights at the start: all scores begin near the middle."""


class HyperNet(nn.Module):
    """Maps (B, C, g, g) -> the weights and biases of a fully connected network for each image.

    Su et al., "Blindly assess image quality in the wild guided by a self-adaptive hyper network",
    CVPR 2020. A matrix is the output of a 3x3 convolution, written out row by row; biases and the
    last layer come from the maps' means. Layers begin as He et al. (2015) set them, but the last
    one small and with the bias `start`: with He's weights there too, the scores of a fresh model
    over a ResNet-18 lay at 7 to 11, and 20 steps of Adam on 8 images left an L1 loss of 0.38
    instead of 0.06.

    Args:
        in_channels: C.
        sizes: Length of the vector that the other network takes, and of each hidden layer.
        grid: g, the edge of the maps. The number of values of each matrix must be a multiple of
            g * g.
        start: Where the scores begin.

    Raises:
        ConfigError: A size is not above 0, there is no hidden layer, or a matrix cannot be written
            onto the grid.
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
    """Return a linear layer that gives about its bias at first."""
    layer = nn.Linear(in_channels, out_channels)
    nn.init.normal_(layer.weight, std=SPREAD)
    nn.init.constant_(layer.bias, bias)
    return layer


def _check_sizes(sizes: Sequence[int], grid: int) -> None:
    """Refuse sizes that make no network, or matrices that do not fill the grid."""
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
