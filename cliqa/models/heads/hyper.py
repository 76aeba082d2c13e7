"""A score from a network that is made for the image."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from cliqa.config.annotations import TwoNumbers
from cliqa.models.heads.features import full_precision
from cliqa.models.hyperiqa.hypernet import HyperNet
from cliqa.models.hyperiqa.target_net import TargetNet
from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError, ModelError


@MODELS.register_module()
class HyperHead(nn.Module):
    """Score = target net of a vector, with weights that a hyper network makes from maps.

    Args:
        in_channels: Channels of the maps.
        sizes: Length of the vector, and of each hidden layer of the target net; see `HyperNet`.
        grid: Edge of the maps.
        dropout: Probability of dropping a value of the maps in training, 0..1.
        target_dropout: The same for the target net's hidden values.
        target_dropped: How many of its layers have that dropout.
        score_range: What the target net's outputs are for the worst and the best quality. (0, 1):
            they are the scores. (0, 100): HyperIQA's own scale, a hundredth of which is the score.

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
        if not 0 <= dropout < 1:
            raise ConfigError(
                f"HyperHead: dropout must be at least 0 and below 1, got {dropout!r}."
            )
        self.low, self.high = map(float, score_range)
        self.dropout = nn.Dropout(dropout)
        self.hypernet = HyperNet(in_channels, sizes, grid, start=(self.low + self.high) / 2)
        self.target_net = TargetNet(target_dropout, target_dropped)

    def forward(self, inputs: tuple[Tensor, Tensor]) -> Tensor:
        """Return scores (B,) for vectors (B, n) and maps (B, C, g, g), in full precision.

        Raises:
            ModelError: The shapes are not those that the head was made for.
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
