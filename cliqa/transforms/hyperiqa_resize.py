"""The resizing that HyperIQA's published weights were trained with."""

from __future__ import annotations

import torch
from torch import nn
from torchvision.transforms.v2 import functional as F

from cliqa.registry import TRANSFORMS

HEIGHT, WIDTH = 512, 384


@TRANSFORMS.register_module()
class HyperIQAResize(nn.Module):
    """Squeeze every image into 512 rows and 384 columns: a landscape becomes a portrait.

    HyperIQA's code, and what descends from it, calls ``Resize((512, 384))`` and means a width of
    512; torchvision takes the height first. Weights published for it saw KonIQ-10k so and need it.
    For a model of one's own ``Resize(size=384)`` keeps the aspect.
    """

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return an image (..., C, H, W) as (..., C, 512, 384)."""
        return F.resize(image, [HEIGHT, WIDTH], antialias=True)
