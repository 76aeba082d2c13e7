"""HyperIQA over a feature pyramid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cliqa.config.annotations import TwoNumbers
from cliqa.models.backbones.torchvision_backbone import file_given_as
from cliqa.models.hyperiqa.hyper_model import HyperModel
from cliqa.models.hyperiqa.hyperiqa import RESNET50, four_maps, hyper_neck
from cliqa.registry import MODELS


@MODELS.register_module()
class MSHyperIQA(HyperModel):
    """HyperIQA whose hyper network sees a pyramid of three depths with CBAM: 27,633,967 parameters.

    Args:
        backbone: Config of another backbone with maps of several depths.
        pretrained: As `HyperIQA`.
        levels: How many of the deepest maps make the pyramid.
        pyramid_channels: Channels of each of its levels.
        attention: Weigh the channels and places of each level (`CBAM`).
        attention_reduction: See `CBAM`.
        dropout: Probability of dropping a value of the target net's first hidden layer in training.
        hyper_channels: As `HyperIQA`.
        target_sizes: As `HyperIQA`.
        local_channels: As `HyperIQA`.
        local_dims: As `HyperIQA`.
        grid: As `HyperIQA`.
        score_range: As `HyperIQA`.
        freeze: Names of parts that stay as they are; see `QualityModel`.

    Raises:
        ConfigError: A size is not possible.
        ModelError: The weights cannot be had or do not fit.
    """

    def __init__(
        self,
        backbone: Mapping[str, Any] | None = None,
        pretrained: bool | str | None = False,
        levels: int = 3,
        pyramid_channels: int = 256,
        attention: bool = True,
        attention_reduction: int = 16,
        dropout: float = 0.5,
        hyper_channels: int = 112,
        target_sizes: Sequence[int] = (224, 112, 56, 28, 14),
        local_channels: Sequence[int] = (16, 32, 64),
        local_dims: int = 16,
        grid: int = 7,
        score_range: TwoNumbers = (0.0, 1.0),
        freeze: Sequence[str] = (),
    ) -> None:
        fusion = {
            "type": "PyramidFusion",
            "levels": levels,
            "pyramid_channels": pyramid_channels,
            "out_channels": hyper_channels,
            "grid": grid,
            "attention": attention,
            "attention_reduction": attention_reduction,
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
                    "target_dropout": dropout,
                    "target_dropped": 1,
                    "score_range": score_range,
                },
                pretrained=pretrained if isinstance(pretrained, str) else None,
                freeze=freeze,
            )
