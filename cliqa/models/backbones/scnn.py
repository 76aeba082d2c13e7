"""The network of synthetic distortions of DB-CNN."""

from __future__ import annotations

import torch
from torch import nn

from cliqa.models.weights.weights import load_weights
from cliqa.registry import MODELS

LAYERS = ((48, 1), (48, 2), (64, 1), (64, 2), (64, 1), (64, 2), (128, 1), (128, 1), (128, 2))
"""Channels and stride of each 3x3 convolution."""


@MODELS.register_module()
class SCNN(nn.Module):
    """Nine convolutions with batch normalisation and ReLU: maps of 1/16 of the image, 128 channels.

    The S-CNN of Zhang et al., "Blind image quality assessment using a deep bilinear convolutional
    neural network", TCSVT 2020, figure 2: 531,120 parameters. Its authors trained it to tell 39
    kinds and levels of synthetic distortions apart; the layers of that classifier are not here.

    Args:
        weights: A local file of weights: the published one, or another one with its names.

    Attributes:
        cut_layers: The classifier's layers, which a file of weights may have.

    Raises:
        CheckpointError: The file cannot be read safely.
        ModelError: It does not fit.
    """

    cut_layers = ("projection", "classifier")

    def __init__(self, weights: str | None = None) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for channels, stride in LAYERS:
            conv = nn.Conv2d(before, channels, 3, stride, padding=1)
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            layers += [conv, nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
            before = channels
        self.features = nn.Sequential(*layers)
        if weights is not None:
            load_weights(self, weights)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        """Return one map (B, 128, h, w) for images (B, 3, H, W); h is H / 16, rounded up."""
        return (self.features(images),)
