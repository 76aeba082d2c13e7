"""The base of the HyperIQA family: models whose last layers are predicted for each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from cliqa.models.backbones.probe import probed
from cliqa.models.outputs import checked_outputs, run_backbone
from cliqa.models.quality_model import QualityModel
from cliqa.registry import MODELS
from cliqa.utils.errors import ModelError


@MODELS.register_module()
class HyperModel(QualityModel):
    """Images (B, 3, H, W) -> scores (B,): maps are turned into a vector and the net that rates it.

    Su et al., "Blindly assess image quality in the wild guided by a self-adaptive hyper network",
    CVPR 2020. Images may have any size: maps are pooled to the hyper network's grid.

    Args:
        backbone: Config of a backbone that gives maps of several depths, shallow to deep:
            ``TorchvisionBackbone`` with several ``nodes``, one of mmpretrain's with several
            ``out_indices``.
        neck: Config of `HyperNeck`; its ``in_channels`` may be left out.
        head: Config of `HyperHead`.
        pretrained: A local file of weights, for the backbone or the whole model; also one in the
            layout of the published code (`cliqa.models.weights.published_layouts`).
        freeze: Names of parts that are not trained; see `QualityModel`.

    Raises:
        ConfigError: A part's config is wrong.
        ModelError: The backbone returns no maps, the weights do not fit, or `freeze` matches
            nothing.
    """

    def __init__(
        self,
        backbone: Mapping[str, Any],
        neck: Mapping[str, Any],
        head: Mapping[str, Any],
        pretrained: str | None = None,
        freeze: Sequence[str] = (),
    ) -> None:
        super().__init__(backbone, head, neck, pretrained, freeze)

    def complete_neck(self, neck: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the neck's config with the channels of the backbone's maps filled in."""
        return neck if neck.get("in_channels") else {**neck, "in_channels": channels(self.backbone)}

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the vectors (B, D) that are rated, for images (B, 3, H, W)."""
        found: torch.Tensor = self._neck(images)[0]
        return found

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return scores (B,) for images (B, 3, H, W)."""
        scores: torch.Tensor = self.head(self._neck(images))
        return scores

    def _neck(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return vectors (B, D) and maps (B, C, g, g)."""
        neck: Any = self.neck
        return neck(_maps(run_backbone(self.backbone, images)))


def channels(backbone: nn.Module) -> tuple[int, ...]:
    """Return the channels of a backbone's maps, from a forward pass that does not change it.

    Args:
        backbone: Images (B, 3, H, W) -> maps (B, C, h, w).

    Raises:
        ModelError: It cannot process a black image, or returns no maps.
    """
    outputs = probed(
        lambda image: checked_outputs(backbone(image), backbone, image),
        backbone,
        key="model.neck.in_channels=(...)",
    )
    return tuple(level.shape[1] for level in _maps(outputs))


def _maps(maps: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Return a backbone's outputs, which must be maps."""
    for level in maps:
        if level.ndim != 4:
            raise ModelError(
                f"the backbone returned shape {tuple(level.shape)}, but a HyperModel needs maps "
                "(B, C, h, w). Name layers in nodes=[...], or for a transformer of mmpretrain set "
                "out_type='featmap'."
            )
    return maps
