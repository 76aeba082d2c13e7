"""Class logits from the cosine of a feature vector and a trained direction of each class."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from cliqa.models.arguments import check_positive
from cliqa.models.heads.features import feature_vectors, full_precision
from cliqa.registry import MODELS


@MODELS.register_module()
class CosineClsHead(nn.Module):
    """Logits = s cos(f, w_k), independent of the norms of features and weights.

    In a linear head, recently trained classes have larger weights and are preferred; here not.
    Gidaris & Komodakis, "Dynamic few-shot visual learning without forgetting", 2018, eq. 1; Chen et
    al., "A closer look at few-shot classification", 2019 (Baseline++).

    Args:
        num_classes: K.
        in_channels: Length D of the feature vectors.
        scale: The factor s. Cosines lie in -1..1, too narrow for a softmax: with s = 1 and ten
            classes the highest possible probability is 0.45.
        learn_scale: Train s too, from `scale` on.

    Raises:
        ConfigError: A size or the scale is not above 0.
    """

    def __init__(
        self, num_classes: int, in_channels: int, scale: float = 16.0, learn_scale: bool = True
    ) -> None:
        super().__init__()
        check_positive(
            type(self).__name__, num_classes=num_classes, in_channels=in_channels, scale=scale
        )
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.weight = nn.Parameter(torch.empty(num_classes, in_channels))
        # rows of about unit length: the angular step is the learning rate over the squared length
        nn.init.normal_(self.weight, std=in_channels**-0.5)
        self.scale = nn.Parameter(torch.tensor(float(scale))) if learn_scale else float(scale)

    def forward(self, features: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Return logits (B, K) for features (B, D), or for the last of several."""
        with full_precision(self, feature_vectors(features, self.in_channels)) as vectors:
            cosine = F.normalize(vectors) @ F.normalize(self.weight).T  # (B, K)
            return self.scale * cosine
