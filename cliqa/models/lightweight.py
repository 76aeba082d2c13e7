"""Small models for quick experiments: a torchvision backbone and a cosine score."""

from __future__ import annotations

from collections.abc import Sequence

from cliqa.config.suggest import closest
from cliqa.models.backbones.downloads import file_given_as
from cliqa.models.quality_model import QualityModel
from cliqa.registry import MODELS
from cliqa.utils.errors import ModelError

LAST_MAP = {
    "resnet18": ("layer4", 512),
    "mobilenet_v3_small": ("features.12", 576),
    "efficientnet_b0": ("features.8", 1280),
}
"""The last feature map of each backbone: its node in torchvision's model, and its channels."""


@MODELS.register_module()
class LightweightModel(QualityModel):
    """Backbone, average pooling, projection, and the cosine to a trained direction.

    Args:
        backbone: ``"resnet18"`` (11.3 M parameters), ``"mobilenet_v3_small"`` (1.1 M) or
            ``"efficientnet_b0"`` (4.3 M).
        embedding_dim: Length of the embedding.
        pretrained: True for torchvision's ImageNet weights (downloaded on first use), a file of
            weights, or False for random ones.
        affine: Train the score's scale and shift (two parameters); see `CosineScoreHead`.
        freeze: Names of parts that are not trained; see `QualityModel`.

    Raises:
        ModelError: The backbone is unknown, or its weights cannot be loaded.
    """

    def __init__(
        self,
        backbone: str = "resnet18",
        embedding_dim: int = 256,
        pretrained: bool | str | None = False,
        affine: bool = True,
        freeze: Sequence[str] = (),
    ) -> None:
        if backbone not in LAST_MAP:
            hint = closest(backbone, LAST_MAP)
            raise ModelError(
                f"unknown lightweight backbone '{backbone}'.{hint} Use {', '.join(LAST_MAP)}."
            )
        node, channels = LAST_MAP[backbone]
        weights = "DEFAULT" if pretrained is True else pretrained or None
        with file_given_as("pretrained"):
            super().__init__(
                backbone={
                    "type": "TorchvisionBackbone",
                    "arch": backbone,
                    "nodes": [node],
                    "weights": weights,
                },
                head={
                    "type": "CosineScoreHead",
                    "in_channels": channels,
                    "embed_dims": embedding_dim,
                    "affine": affine,
                },
                freeze=freeze,
            )


def create_lightweight_model(
    backbone: str = "resnet18",
    embedding_dim: int = 256,
    pretrained: bool | str | None = False,
    affine: bool = True,
) -> LightweightModel:
    """Return a `LightweightModel`; the arguments are its own."""
    return LightweightModel(backbone, embedding_dim, pretrained, affine)
