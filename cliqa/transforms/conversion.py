"""From 8-bit levels to floating point."""

from __future__ import annotations

import torch
from torch import nn
from torchvision.transforms.v2 import functional as F

from cliqa.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ToTensor(nn.Module):
    """Turn 8-bit levels 0..255 into float32 0..1; a float image keeps its values."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Convert an image (..., C, H, W) to float32."""
        return F.to_dtype(image, torch.float32, scale=True)
