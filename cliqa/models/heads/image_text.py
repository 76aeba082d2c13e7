"""Projections of images and texts into a common space, and their similarity."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.models.arguments import check_positive
from cliqa.models.heads.features import feature_vectors, full_precision
from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError

MOST_SCALE = 100.0
"""Maximum factor of a cosine (Radford et al., 2021, section 2.5)."""


@MODELS.register_module()
class ImageTextHead(nn.Module):
    """Project the features of images and of texts to unit vectors; logits = s cos(image, text).

    Args:
        in_channels: Length of an image's features.
        text_channels: Length of a text's features.
        width: D, their common length; None for no projections.
        temperature: Initial 1 / s; s is trained through its logarithm, and at most 100.

    Attributes:
        of_images: The names of the layers whose inputs are an image's features.

    Raises:
        ConfigError: A value is not above 0, or there are no projections and the lengths differ.
    """

    of_images: tuple[str, ...] = ("image",)

    def __init__(
        self,
        in_channels: int,
        text_channels: int,
        width: int | None = 64,
        temperature: float = 0.07,
    ) -> None:
        super().__init__()
        check_positive(
            "ImageTextHead",
            in_channels=in_channels,
            text_channels=text_channels,
            width=1 if width is None else width,
            temperature=temperature,
        )
        if width is None and in_channels != text_channels:
            raise ConfigError(
                "ImageTextHead: width=None needs features of equal length, but an image has "
                f"{in_channels} and a text {text_channels}. Set width=64, for example."
            )
        self.in_channels, self.text_channels = in_channels, text_channels
        self.width = in_channels if width is None else width
        self.image = nn.Identity() if width is None else nn.Linear(in_channels, width, bias=False)
        self.text = nn.Identity() if width is None else nn.Linear(text_channels, width, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))

    @property
    def scale(self) -> Tensor:
        """The factor s."""
        return self.log_scale.clamp(max=math.log(MOST_SCALE)).exp()

    def embed_image(self, features: Tensor | tuple[Tensor, ...]) -> Tensor:
        """Return unit vectors (B, D) of images' features (B, in_channels)."""
        with full_precision(self, feature_vectors(features, self.in_channels)) as vectors:
            return F.normalize(self.image(vectors), dim=1)

    def embed_text(self, features: Tensor) -> Tensor:
        """Return unit vectors (N, D) of texts' features (N, text_channels)."""
        with full_precision(self, features) as vectors:
            return F.normalize(self.text(vectors), dim=1)

    def forward(self, images: Tensor, texts: Tensor) -> Tensor:
        """Return logits (B, K) of unit vectors of images (B, D) and of texts (K, D)."""
        with full_precision(self, images) as vectors:
            return self.scale * vectors @ texts.T

    def image_vectors(self, images: Tensor, *_: Tensor) -> Tensor:
        """Return unit vectors (B, D) of the images that `forward` was given."""
        return images
