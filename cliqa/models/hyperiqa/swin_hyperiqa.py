"""HyperIQA over a Swin transformer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import nn
from torchvision.ops import StochasticDepth

from cliqa.config.annotations import TwoNumbers
from cliqa.config.suggest import closest
from cliqa.models.backbones.torchvision_backbone import file_given_as
from cliqa.models.hyperiqa.hyper_model import HyperModel
from cliqa.models.hyperiqa.hyperiqa import four_maps, hyper_neck
from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError


class Size(NamedTuple):
    """What goes with a size of the transformer: torchvision's name and the published dropouts."""

    arch: str
    drop_path: float
    dropout: float


SIZES = {
    "tiny": Size("swin_t", 0.2, 0.3),
    "small": Size("swin_s", 0.25, 0.35),
    "base": Size("swin_b", 0.3, 0.4),
}

STAGES = ["features.1", "features.3", "features.5", "features.7"]
"""torchvision's names for the ends of the four stages."""

TARGET_DROPPED = 3
"""Hidden layers of the target net with dropout behind them."""


@MODELS.register_module()
class SwinHyperIQA(HyperModel):
    """HyperIQA over the four stages of a Swin transformer, weighed for each image.

    Parameters: 29,521,479 (tiny), 50,839,383 (small) and 89,111,941 (base). Known as SMART-IQA.

    Args:
        size: ``"tiny"``, ``"small"`` or ``"base"``.
        multi_scale: The hyper network sees all four stages, not the last alone.
        attention: Weigh the stages (`ScaleAttention`); needs `multi_scale`.
        pretrained: True for torchvision's ImageNet weights (downloaded on first use), a file of
            weights of the backbone or of the whole model, or False.
        drop_path: Share of the deepest block's branches that training skips, less in shallower
            ones. None for the size's own: 0.2, 0.25, 0.3.
        dropout: Probability of dropping a value before the hyper network and in the target net's
            first three layers, in training. None for the size's own: 0.3, 0.35, 0.4.
        attention_dropout: The same in the perceptron of the attention.
        backbone: Config of another backbone with maps of several depths; `size` then stands for its
            dropout alone, and `drop_path` must be None.
        hidden: As `HyperIQA`.
        hyper_channels: As `HyperIQA`.
        target_sizes: As `HyperIQA`.
        local_channels: As `HyperIQA`.
        local_dims: As `HyperIQA`.
        grid: As `HyperIQA`.
        score_range: As `HyperIQA`.
        freeze: Names of parts that stay as they are; see `QualityModel`.

    Raises:
        ConfigError: The size is unknown, or a value is not possible.
        ModelError: The weights cannot be had or do not fit.
    """

    def __init__(
        self,
        size: str = "tiny",
        multi_scale: bool = True,
        attention: bool = True,
        pretrained: bool | str | None = False,
        drop_path: float | None = None,
        dropout: float | None = None,
        attention_dropout: float = 0.5,
        backbone: Mapping[str, Any] | None = None,
        hidden: Sequence[int] = (512, 256),
        hyper_channels: int = 112,
        target_sizes: Sequence[int] = (224, 112, 56, 28, 14),
        local_channels: Sequence[int] = (16, 32, 64),
        local_dims: int = 16,
        grid: int = 7,
        score_range: TwoNumbers = (0.0, 1.0),
        freeze: Sequence[str] = (),
    ) -> None:
        own = _size(size)
        if backbone is not None and drop_path is not None:
            raise ConfigError(
                "SwinHyperIQA: drop_path is of the Swin transformer's own. Set it in the backbone "
                "that you give, and leave drop_path out."
            )
        dropout = own.dropout if dropout is None else dropout
        fusion = {
            "type": "ScaleFusion",
            "hidden": hidden,
            "out_channels": hyper_channels,
            "grid": grid,
            "multi_scale": multi_scale,
            "attention": attention,
            "attention_dropout": attention_dropout,
        }
        with file_given_as("pretrained" if backbone is None else "weights"):
            super().__init__(
                backbone=four_maps(own.arch, STAGES, pretrained) if backbone is None else backbone,
                neck=hyper_neck(fusion, local_channels, local_dims, target_sizes),
                head={
                    "type": "HyperHead",
                    "in_channels": hyper_channels,
                    "sizes": target_sizes,
                    "grid": grid,
                    "dropout": dropout,
                    "target_dropout": dropout,
                    "target_dropped": TARGET_DROPPED,
                    "score_range": score_range,
                },
                pretrained=pretrained if isinstance(pretrained, str) else None,
                freeze=freeze,
            )
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
    if not 0 <= rate < 1:
        raise ConfigError(f"drop_path must be at least 0 and below 1, got {rate!r}.")
    branches = [module for module in model.modules() if isinstance(module, StochasticDepth)]
    for index, branch in enumerate(branches):
        branch.p = rate * index / max(1, len(branches) - 1)


def _size(name: str) -> Size:
    """Return what goes with a size.

    Raises:
        ConfigError: There is no such size.
    """
    if name not in SIZES:
        raise ConfigError(
            f"SwinHyperIQA: unknown size '{name}'.{closest(name, SIZES)} Use {', '.join(SIZES)}."
        )
    return SIZES[name]
