"""Wrong detail: sharpened too much, or lost by shrinking and enlarging."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cliqa.transforms.degradations.base import DEGRADATIONS, Degradation
from cliqa.transforms.degradations.blur import filter_images, gaussian_kernel


@DEGRADATIONS.register_module(name="sharpen")
class Sharpen(Degradation):
    """Too much sharpening (an unsharp mask of one pixel): bright and dark rims along edges.

    The strength is the factor of the detail that is added.
    """

    ladders = {"wide": (0.5, 1.0, 2.0, 4.0, 8.0)}

    def __call__(self, images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
        """Return sharpened images (N, C, H, W)."""
        kernel = gaussian_kernel(1.0)
        soft = filter_images(filter_images(images, kernel[None, :]), kernel[:, None])
        return images + strength * (images - soft)


@DEGRADATIONS.register_module(name="resample")
class Resample(Degradation):
    """Too few pixels, enlarged smoothly (bicubic); the strength is the factor of each side."""

    ladders = {"wide": (1.4, 2.0, 2.8, 4.0, 6.0)}

    def __call__(self, images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
        """Return images (N, C, H, W) that have been shrunk and enlarged again."""
        size = images.shape[-2:]
        small = [max(1, round(side / strength)) for side in size]
        shrunk = F.interpolate(images, small, mode="bicubic", antialias=True)
        return F.interpolate(shrunk, size, mode="bicubic", align_corners=False)
