"""HyperIQA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cliqa.config.annotations import TwoNumbers
from cliqa.models.backbones.torchvision_backbone import file_given_as
from cliqa.models.hyperiqa.hyper_model import IMAGENET, HyperModel
from cliqa.registry import MODELS

RESNET50 = ("resnet50", ["layer1", "layer2", "layer3", "layer4"])
"""torchvision's name of the backbone, and the layers whose maps are taken."""


@MODELS.register_module()
class HyperIQA(HyperModel):
    """ResNet-50 whose deepest maps make the net that rates each image: 27,375,369 parameters.

    Su et al., "Blindly assess image quality in the wild guided by a self-adaptive hyper network",
    CVPR 2020.

    Args:
        backbone: Config of another backbone with maps of several depths.
        pretrained: True for torchvision's ImageNet weights of the ResNet-50 (downloaded on first
            use), a file of weights of the backbone or of the whole model, or False.
        hidden: Channels of the 1x1 convolutions before the hyper network.
        hyper_channels: Channels of the hyper network's maps.
        target_sizes: Length of the rated vector, and of the target net's hidden layers.
        local_channels: Channels of the shallow maps in `LocalDistortion`, shallow to deep.
        local_dims: Numbers that each of these gives.
        grid: Edge of the hyper network's maps.
        score_range: The target net's outputs for the worst and the best quality; (0, 100) for
            weights of the published code. See `HyperHead`.
        freeze: Names of parts that stay as they are; see `QualityModel`.

    Raises:
        ConfigError: A size is not possible.
        ModelError: The weights cannot be had or do not fit.
    """

    def __init__(
        self,
        backbone: Mapping[str, Any] | None = None,
        pretrained: bool | str | None = False,
        hidden: Sequence[int] = (1024, 512),
        hyper_channels: int = 112,
        target_sizes: Sequence[int] = (224, 112, 56, 28, 14),
        local_channels: Sequence[int] = (16, 32, 64),
        local_dims: int = 16,
        grid: int = 7,
        score_range: TwoNumbers = (0.0, 1.0),
        freeze: Sequence[str] = (),
    ) -> None:
        fusion = {
            "type": "ScaleFusion",
            "hidden": hidden,
            "out_channels": hyper_channels,
            "grid": grid,
        }
        with file_given_as("pretrained" if backbone is None else "weights"):
            super().__init__(
                backbone=four_maps(*RESNET50, pretrained) if backbone is None else backbone,
                neck=hyper_neck(fusion, local_channels, local_dims, target_sizes),
                head={
                    "type": "HyperHead",
                    "in_channels": hyper_channels,
                    "sizes": target_sizes,
                    "grid": grid,
                    "score_range": score_range,
                },
                pretrained=pretrained if isinstance(pretrained, str) else None,
                freeze=freeze,
            )


def four_maps(arch: str, nodes: Sequence[str], pretrained: bool | str | None) -> dict[str, Any]:
    """Return the config of torchvision's network, with its ImageNet weights where it is True."""
    weights = IMAGENET if pretrained is True else None
    return {"type": "TorchvisionBackbone", "arch": arch, "nodes": nodes, "weights": weights}


def hyper_neck(
    fusion: Mapping[str, Any],
    local_channels: Sequence[int],
    local_dims: int,
    target_sizes: Sequence[int],
) -> dict[str, Any]:
    """Return the config of a `HyperNeck`; the arguments are those of `HyperIQA`."""
    return {
        "type": "HyperNeck",
        "fusion": fusion,
        "reduced": local_channels,
        "dims": local_dims,
        "vector_channels": target_sizes[0],
    }
