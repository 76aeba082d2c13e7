"""One backbone over an image and its halves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from cliqa.models.arguments import check_integer
from cliqa.models.mmpretrain_bridge import build_part
from cliqa.models.outputs import run_backbone
from cliqa.registry import MODELS


@MODELS.register_module()
class ImageScales(nn.Module):
    """Images (B, 3, H, W) -> a backbone's outputs for them, and then for each half of the size.

    ARNIQA (Agnolucci et al., WACV 2024, section 3.3) sees an image at two scales.

    Args:
        backbone: Config of the backbone.
        scales: Number of scales; each has half the height and width of the one before.

    Raises:
        ConfigError: The config is wrong, or `scales` is no integer above 0.
    """

    def __init__(self, backbone: Mapping[str, Any], scales: int = 2) -> None:
        super().__init__()
        check_integer(type(self).__name__, 1, scales=scales)
        self.scales = scales
        self.backbone = build_part(backbone, "model.backbone.backbone")

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the maps and vectors of all scales, those of the whole images first."""
        outputs = list(run_backbone(self.backbone, images))
        for _ in range(self.scales - 1):
            images = F.avg_pool2d(images, 2)  # bilinear interpolation by one half
            outputs += run_backbone(self.backbone, images)
        return tuple(outputs)
