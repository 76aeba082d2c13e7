"""Too few pixels, too few levels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cliqa.transforms.degradations.base import DEGRADATIONS, Degradation


@DEGRADATIONS.register_module(name="pixelate")
class Pixelate(Degradation):
    """Blocks of one colour, the mean of their pixels; the strength is a block's side in pixels."""

    ladders = {"standard": (2, 3, 4, 6, 8), "wide": (2, 3, 4, 6, 8)}
    whole = True

    def __call__(self, images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
        """Return images (N, C, H, W) of blocks; those at the right and the bottom may be cut."""
        side = int(strength)
        height, width = images.shape[-2:]
        blocks = F.avg_pool2d(
            images, side, ceil_mode=True
        )  # a cut block is the mean of what it has
        enlarged = blocks.repeat_interleave(side, dim=2).repeat_interleave(side, dim=3)
        return enlarged[..., :height, :width]


@DEGRADATIONS.register_module(name="quantise")
class Quantise(Degradation):
    """Few levels per channel (banding); the strength is their number."""

    ladders = {
        "standard": (32, 16, 8, 5, 3),
        "kadid": (20, 16, 13, 10, 7),
        "wide": (32, 16, 8, 5, 3),
    }
    whole = True

    def __call__(self, images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
        """Return images (N, C, H, W) with evenly spaced levels, black and white among them."""
        steps = int(strength) - 1
        return (images * steps).round() / steps
