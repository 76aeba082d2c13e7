"""The projection from an encoder's features to a label-free score.

Legend: B images, C H W, F features, D dimensions of an embedding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.models.arguments import check_least, check_positive
from cliqa.utils.errors import ConfigError, ModelError


class QualityProjection(nn.Module):
    """Embed images, and score them by their similarity to a good and a bad anchor.

    Args:
        encoder: The network to pretrain: a model with ``features(images)`` (B, F), such as a
            `QualityModel`, or a backbone, whose last map is averaged.
        anchors: (2, D), the good one first; they are kept as a buffer and never trained.
        in_features: F.
        hidden: Width of the layer between features and embedding; 0 projects linearly.
        temperature: Temperature of the softmax over the two similarities. QualiCLIP divides CLIP's
            similar cosines by 0.01; with antipodal anchors that saturates and scores tie.

    Raises:
        ConfigError: A size is not positive, or the anchors are not (2, D).
    """

    def __init__(
        self,
        encoder: nn.Module,
        anchors: Tensor,
        in_features: int,
        hidden: int = 256,
        temperature: float = 0.5,
    ) -> None:
        super().__init__()
        if anchors.ndim != 2 or len(anchors) != 2:
            raise ConfigError(f"anchors must be (2, D), got shape {tuple(anchors.shape)}.")
        check_positive("QualityProjection", in_features=in_features, temperature=temperature)
        check_least("QualityProjection", 0, hidden=hidden)
        self.encoder = encoder
        self.in_features = in_features
        self.temperature = temperature
        self.anchors: Tensor
        self.register_buffer("anchors", F.normalize(anchors.float(), dim=1))
        dim = anchors.shape[1]
        self.projection: nn.Module = nn.Linear(in_features, hidden or dim)
        if hidden:
            self.projection = nn.Sequential(self.projection, nn.ReLU(), nn.Linear(hidden, dim))

    def embed(self, images: Tensor) -> Tensor:
        """Return embeddings (B, D) of length 1 for images (B, C, H, W).

        Raises:
            ModelError: The encoder's features are not (B, in_features).
        """
        features = encode(self.encoder, images)
        if features.ndim != 2 or features.shape[1] != self.in_features:
            raise ModelError(
                f"the encoder {type(self.encoder).__name__} returned features of shape "
                f"{tuple(features.shape)}, expected (B, {self.in_features}). Set "
                f"in_features={features.shape[-1]}, or give a model with features(images) (B, F)."
            )
        return F.normalize(self.projection(features).float(), dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the cosines (B, 2) of images (B, C, H, W) with the good and the bad anchor."""
        embedding = self.embed(images)
        with torch.autocast(embedding.device.type, enabled=False):  # half precision has ties
            return embedding @ self.anchors.T

    def score(self, images: Tensor) -> Tensor:
        """Return scores (B,), 0..1, higher = better, for images (B, C, H, W)."""
        return (self(images) / self.temperature).softmax(dim=1)[:, 0]


def encode(encoder: nn.Module, images: Tensor) -> Tensor:
    """Return an encoder's features (B, F) for images (B, C, H, W)."""
    features = getattr(encoder, "features", None)
    if callable(features) and not isinstance(features, nn.Module):
        found: Tensor = features(images)
        return found
    output = encoder(images)
    output = output if isinstance(output, Tensor) else output[-1]
    return output.mean(dim=(2, 3)) if output.ndim == 4 else output


@torch.no_grad()
def feature_length(encoder: nn.Module, size: int) -> int:
    """Return the length of an encoder's features, from a forward pass that does not change it."""
    training = encoder.training
    device = next((weight.device for weight in encoder.parameters()), None)
    encoder.eval()
    found = encode(encoder, torch.zeros(1, 3, size, size, device=device)).shape[1]
    encoder.train(training)
    return int(found)
