"""A linear read-out with a closed-form solution over features and random features of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from cliqa.models.arguments import check_integer, check_positive
from cliqa.models.heads.features import feature_vectors, full_precision
from cliqa.models.heads.prototype import BELOW_ALL
from cliqa.models.outputs import last_output
from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError, ModelError

TINY = 1e-6
"""Below the standard deviation of an image's features."""


@MODELS.register_module()
class RidgeHead(nn.Module):
    """A ridge regression that `StreamingRidge` solves; it has no trained parameters.

    The features x (D) of an image are followed by M random ones, z = [x, relu(P n(x))]
    (McDonnell et al., "RanPAC", 2023, section 3; Zhuang et al., "ACIL", 2022). P is Gaussian, drawn
    once by the run's seed and kept in the checkpoint and in exported files: D M numbers. n makes
    the channels comparable before the ReLU. By default, it is the layer normalisation of this one
    image, so that z does not depend on any other image, and the solution not on the order of the
    data. `StreamingRidge` can set it to the first experience's means and standard deviations.

    The output is ((z - mean) / std) W + b. Before the first solution it is 0.

    Args:
        in_channels: D.
        num_classes: K classes, the model then gives logits (B, K); None for scores (B,). Classes
            that have not been seen are never chosen.
        random_features: M; 0 for none.
        temperature: Logits are the regression's outputs, about 0 to 1, times this: the softmax
            of the raw ones would be nearly uniform. It does not change which class is chosen.

    Attributes:
        mean, inverse_std: (D + M,), of z; the inverse is 0 for what has always been constant.
        weight: (D + M, K), W.
        bias: (K,), b.
        seen: (K,) whether a class has samples.

    Raises:
        ConfigError: A size or the temperature is not above 0.
    """

    seen: torch.Tensor
    mean: torch.Tensor
    inverse_std: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor
    projection: torch.Tensor
    shift: torch.Tensor
    factor: torch.Tensor
    fixed: torch.Tensor

    def __init__(
        self,
        in_channels: int,
        num_classes: int | None = None,
        random_features: int = 1000,
        temperature: float = 10.0,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        check_integer(name, 1, in_channels=in_channels)
        check_integer(name, 0, random_features=random_features)
        check_positive(name, temperature=temperature)
        if num_classes is not None:
            check_integer(name, 1, num_classes=num_classes)
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.temperature = temperature
        outputs, length = num_classes or 1, in_channels + random_features
        self.register_buffer("projection", torch.randn(in_channels, random_features))
        self.projection *= in_channels**-0.5
        self.register_buffer("shift", torch.zeros(in_channels))
        self.register_buffer("factor", torch.ones(in_channels))
        self.register_buffer("fixed", torch.zeros((), dtype=torch.bool))
        self.register_buffer("mean", torch.zeros(length))
        self.register_buffer("inverse_std", torch.zeros(length))
        self.register_buffer("weight", torch.zeros(length, outputs))
        self.register_buffer("bias", torch.zeros(outputs))
        self.register_buffer("seen", torch.zeros(outputs, dtype=torch.bool))

    @property
    def length(self) -> int:
        """D + M."""
        return len(self.mean)

    def lift(self, features: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Return z (B, D + M) for features (B, D), in the precision of the projection."""
        with full_precision(self, feature_vectors(features, self.in_channels)) as given:
            vectors = given.to(self.projection.dtype)
            if not self.projection.shape[1]:
                return vectors
            own = F.layer_norm(vectors, (self.in_channels,), eps=TINY**2)
            fixed = (vectors - self.shift) * self.factor
            inputs = torch.where(self.fixed, fixed, own)
            return torch.cat([vectors, F.relu(inputs @ self.projection)], dim=1)

    def forward(self, features: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Return scores (B,), or logits (B, K), for features (B, D)."""
        return self.read(self.lift(features))

    def read(self, lifted: torch.Tensor) -> torch.Tensor:
        """Return scores (B,), or logits (B, K), for z (B, D + M)."""
        with full_precision(self, lifted):
            outputs = ((lifted - self.mean) * self.inverse_std) @ self.weight + self.bias
        if self.num_classes is None:
            return outputs[:, 0]
        logits = self.temperature * outputs
        lowest = torch.where(self.seen, logits.detach(), torch.inf).amin(dim=1, keepdim=True)
        lowest = torch.where(self.seen.any(), lowest, 0.0)
        return torch.where(self.seen, logits, lowest - BELOW_ALL)

    def rows(self, targets: torch.Tensor) -> torch.Tensor:
        """Return what the outputs are fitted to, (B, K): scores (B, 1), or one-hot classes.

        Args:
            targets: (B,) scores, or classes 0..K-1.

        Raises:
            ConfigError: The head is for scores and these are classes, or the other way round.
            ModelError: A class does not exist.
        """
        classes = self.num_classes
        if (classes is None) != targets.is_floating_point():
            have, need = ("scores", "without") if classes else ("classes", "with")
            raise ConfigError(
                f"model.head 'RidgeHead': the samples have {have}. Build it {need} num_classes."
            )
        if classes is None:
            return targets[:, None]
        wrong = targets[(targets < 0) | (targets >= classes)]
        if len(wrong):
            raise ModelError(
                f"RidgeHead: class {int(wrong[0])} does not exist; the head has classes "
                f"0..{classes - 1}. Set num_classes in model.head to the stream's."
            )
        return F.one_hot(targets, classes)

    @torch.no_grad()
    def normalise_by(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        """Standardise what is projected by these means and standard deviations (D,), for good."""
        self.shift.copy_(mean)
        self.factor.copy_(torch.where(std > TINY, 1 / std.clamp(min=TINY), 0.0))
        self.fixed.fill_(True)

    @torch.no_grad()
    def assign(
        self,
        mean: torch.Tensor,
        inverse_std: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        seen: torch.Tensor,
    ) -> None:
        """Set a solution; the shapes are those of the attributes."""
        self.mean.copy_(mean)
        self.inverse_std.copy_(inverse_std)
        self.weight.copy_(weight)
        self.bias.copy_(bias)
        self.seen.copy_(seen)


def features_of(model: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Return the features (B, D) that a model's head gets for inputs (B, ...)."""
    whole: Any = model
    if hasattr(model, "extract_feat"):
        return last_output(whole.extract_feat(inputs), type(model).__name__)
    found: torch.Tensor = whole.features(inputs)
    return found
