"""HyperIQA and its descendants MS-HyperIQA and Swin-HyperIQA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

from torch import nn
from torchvision.ops import StochasticDepth

from cliqa.config.annotations import TwoNumbers
from cliqa.models.arguments import check_below_one, check_choice
from cliqa.models.backbones.downloads import file_given_as
from cliqa.models.hyperiqa.hyper_model import HyperModel
from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError


class PublishedHyperModel(HyperModel):
    """The arguments that HyperIQA and its descendants share.

    A subclass sets the configs `fusion` and `head_options` before it calls this constructor.

    Args:
        backbone: Config of another backbone with maps of several depths.
        pretrained: True for torchvision's ImageNet weights of the model's own backbone (downloaded
            on first use), a file of weights of the backbone or of the whole model, or False.
        hyper_channels: Channels of the hyper network's maps.
        target_sizes: Length of the rated vector, and of the target net's hidden layers.
        local_channels: Channels of the shallow maps in `LocalDistortion`, shallow to deep.
        local_dims: Numbers that each of these gives.
        grid: Edge of the hyper network's maps.
        score_range: The target net's outputs for the worst and the best quality; (0, 100) for
            weights of the published code. See `HyperHead`.
        freeze: Names of parts that are not trained; see `QualityModel`.

    Attributes:
        arch: torchvision's name of the default backbone.
        nodes: The layers whose maps are taken.
        fusion: Config of the module that makes the hyper network's maps.
        head_options: Arguments of the `HyperHead` beside the shared ones.

    Raises:
        ConfigError: A size is not possible.
        ModelError: The weights cannot be downloaded or do not fit.
    """

    arch = "resnet50"
    nodes: Sequence[str] = ("layer1", "layer2", "layer3", "layer4")
    fusion: dict[str, Any]
    head_options: Mapping[str, Any] = {}

    def __init__(
        self,
        backbone: Mapping[str, Any] | None = None,
        pretrained: bool | str | None = False,
        hyper_channels: int = 112,
        target_sizes: Sequence[int] = (224, 112, 56, 28, 14),
        local_channels: Sequence[int] = (16, 32, 64),
        local_dims: int = 16,
        grid: int = 7,
        score_range: TwoNumbers = (0.0, 1.0),
        freeze: Sequence[str] = (),
    ) -> None:
        own = {
            "type": "TorchvisionBackbone",
            "arch": self.arch,
            "nodes": list(self.nodes),
            "weights": "DEFAULT" if pretrained is True else None,
        }
        with file_given_as("pretrained") if backbone is None else nullcontext():
            super().__init__(
                backbone=own if backbone is None else backbone,
                neck={
                    "type": "HyperNeck",
                    "fusion": {**self.fusion, "out_channels": hyper_channels, "grid": grid},
                    "reduced": local_channels,
                    "dims": local_dims,
                    "vector_channels": target_sizes[0],
                },
                head={
                    "type": "HyperHead",
                    "in_channels": hyper_channels,
                    "sizes": target_sizes,
                    "grid": grid,
                    "score_range": score_range,
                    **self.head_options,
                },
                pretrained=pretrained if isinstance(pretrained, str) else None,
                freeze=freeze,
            )


@MODELS.register_module()
class HyperIQA(PublishedHyperModel):
    """A ResNet-50 whose deepest maps predict the target net of each image: 27,375,369 parameters.

    Su et al., "Blindly assess image quality in the wild guided by a self-adaptive hyper network",
    CVPR 2020.

    Args:
        hidden: Channels of the 1x1 convolutions before the hyper network.
        shared: Arguments of `PublishedHyperModel`.
    """

    def __init__(self, *, hidden: Sequence[int] = (1024, 512), **shared: Any) -> None:  # noqa: ANN401
        self.fusion = {"type": "ScaleFusion", "hidden": hidden}
        super().__init__(**shared)


@MODELS.register_module()
class MSHyperIQA(PublishedHyperModel):
    """HyperIQA whose hyper network sees a pyramid of three depths with CBAM: 27,633,967 parameters.

    Args:
        levels: Number of the deepest maps in the pyramid.
        pyramid_channels: Channels of each of its levels.
        attention: Weight the channels and positions of each level (`CBAM`).
        attention_reduction: See `CBAM`.
        dropout: Probability of dropping a value of the target net's first hidden layer in training.
        shared: Arguments of `PublishedHyperModel`.
    """

    def __init__(
        self,
        *,
        levels: int = 3,
        pyramid_channels: int = 256,
        attention: bool = True,
        attention_reduction: int = 16,
        dropout: float = 0.5,
        **shared: Any,  # noqa: ANN401
    ) -> None:
        self.fusion = {
            "type": "PyramidFusion",
            "levels": levels,
            "pyramid_channels": pyramid_channels,
            "attention": attention,
            "attention_reduction": attention_reduction,
        }
        self.head_options = {"target_dropout": dropout, "target_dropped": 1}
        super().__init__(**shared)


class Size(NamedTuple):
    """torchvision's name of a transformer, and the dropouts published for it."""

    arch: str
    drop_path: float
    dropout: float


SIZES = {
    "tiny": Size("swin_t", 0.2, 0.3),
    "small": Size("swin_s", 0.25, 0.35),
    "base": Size("swin_b", 0.3, 0.4),
}

TARGET_DROPPED = 3
"""Hidden layers of the target net that dropout follows."""


@MODELS.register_module()
class SwinHyperIQA(PublishedHyperModel):
    """HyperIQA over the four stages of a Swin transformer, weighted for each image.

    Parameters: 29,521,479 (tiny), 50,839,383 (small) and 89,111,941 (base). Known as SMART-IQA.

    Args:
        size: ``"tiny"``, ``"small"`` or ``"base"``. With another `backbone` it sets the dropout
            alone.
        multi_scale: The hyper network sees all four stages, not the last alone.
        attention: Weight the stages (`ScaleAttention`); needs `multi_scale`.
        drop_path: Share of the deepest block's branches that training skips, less in shallower
            ones. None for the size's own: 0.2, 0.25, 0.3. Only for the model's own backbone.
        dropout: Probability of dropping a value before the hyper network and in the target net's
            first three layers, in training. None for the size's own: 0.3, 0.35, 0.4.
        attention_dropout: The same in the perceptron of the attention.
        hidden: As `HyperIQA`.
        shared: Arguments of `PublishedHyperModel`.

    Raises:
        ConfigError: The size is unknown, or `drop_path` is given with another backbone.
    """

    nodes = ("features.1", "features.3", "features.5", "features.7")  # the ends of the four stages

    def __init__(
        self,
        size: str = "tiny",
        *,
        multi_scale: bool = True,
        attention: bool = True,
        drop_path: float | None = None,
        dropout: float | None = None,
        attention_dropout: float = 0.5,
        hidden: Sequence[int] = (512, 256),
        backbone: Mapping[str, Any] | None = None,
        **shared: Any,  # noqa: ANN401
    ) -> None:
        check_choice("SwinHyperIQA", SIZES, size=size)
        if backbone is not None and drop_path is not None:
            raise ConfigError(
                "SwinHyperIQA: drop_path belongs to the Swin transformer. Set it in the backbone "
                "that you give, and leave drop_path out."
            )
        own = SIZES[size]
        dropout = own.dropout if dropout is None else dropout
        self.arch = own.arch
        self.fusion = {
            "type": "ScaleFusion",
            "hidden": hidden,
            "multi_scale": multi_scale,
            "attention": attention,
            "attention_dropout": attention_dropout,
        }
        self.head_options = {
            "dropout": dropout,
            "target_dropout": dropout,
            "target_dropped": TARGET_DROPPED,
        }
        super().__init__(backbone=backbone, **shared)
        if backbone is None:
            set_drop_path(self.backbone, own.drop_path if drop_path is None else drop_path)


def set_drop_path(model: nn.Module, rate: float) -> None:
    """Set how often training skips a torchvision transformer's branches: 0 in the first, then more.

    Huang et al., "Deep networks with stochastic depth", ECCV 2016, section 3.

    Args:
        model: A model with ``StochasticDepth`` modules.
        rate: Of the last one, 0..1.

    Raises:
        ConfigError: `rate` lies outside 0..1.
    """
    check_below_one("SwinHyperIQA", drop_path=rate)
    branches = [module for module in model.modules() if isinstance(module, StochasticDepth)]
    for index, branch in enumerate(branches):
        branch.p = rate * index / max(1, len(branches) - 1)
