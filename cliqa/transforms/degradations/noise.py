"""Noise of four kinds."""

from __future__ import annotations

import torch
from torch import Tensor

from cliqa.transforms.degradations.base import DEGRADATIONS, Degradation, normal_like
from cliqa.transforms.degradations.blur import filter_images, gaussian_kernel

_KADID_SPECKLE = (0.0316, 0.0707, 0.1, 0.1414, 0.2236)
"""Roots of the variances .001, .005, .01, .02 and .05."""


@DEGRADATIONS.register_module(name="noise")
class GaussianNoise(Degradation):
    """White noise; the strength is its standard deviation in the units of the pixels (0..1)."""

    ladders = {
        "standard": (5 / 255, 10 / 255, 15 / 255, 20 / 255, 25 / 255),
        "swin_hyperiqa": (5 / 255, 10 / 255, 15 / 255, 20 / 255, 25 / 255),
        "kadid": (0.0316, 0.0447, 0.0548, 0.0707, 0.1),  # roots of .001 .002 .003 .005 .01
        "wide": (0.02, 0.05, 0.09, 0.15, 0.25),
    }

    def __call__(self, images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
        """Return noisy images (N, C, H, W)."""
        return images + strength * normal_like(images, generator)


@DEGRADATIONS.register_module(name="speckle")
class Speckle(Degradation):
    """Noise in proportion to the brightness; the strength is its relative standard deviation."""

    ladders = {
        "standard": (0.04, 0.08, 0.13, 0.19, 0.27),
        "kadid": _KADID_SPECKLE,
        "wide": (0.05, 0.11, 0.2, 0.32, 0.5),
    }

    def __call__(self, images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
        """Return noisy images (N, C, H, W)."""
        return images * (1 + strength * normal_like(images, generator))


@DEGRADATIONS.register_module(name="impulse")
class Impulse(Degradation):
    """Salt and pepper; the strength is the share of pixels that turn white or black."""

    ladders = {
        "standard": (0.002, 0.005, 0.012, 0.025, 0.05),
        "kadid": (0.001, 0.005, 0.01, 0.02, 0.03),
        "wide": (0.005, 0.015, 0.035, 0.07, 0.15),
    }

    def __call__(self, images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
        """Return images (N, C, H, W); a pixel turns as a whole, and stays so at more strength."""
        batch, _, height, width = images.shape
        chance, salt = torch.rand((2, batch, 1, height, width), generator=generator).to(images)
        return torch.where(chance < strength, (salt < 0.5).to(images), images)


@DEGRADATIONS.register_module(name="grain")
class Grain(Degradation):
    """Noise of the brightness in grains of about two pixels, as of film and of high sensitivity.

    The strength is its standard deviation in the units of the pixels (0..1).
    """

    ladders = {"wide": (0.02, 0.05, 0.09, 0.14, 0.2)}

    def __call__(self, images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
        """Return noisy images (N, C, H, W), all channels of a pixel alike."""
        kernel = gaussian_kernel(0.8)
        noise = normal_like(images[:, :1], generator)
        noise = filter_images(filter_images(noise, kernel[None, :]), kernel[:, None])
        return images + strength * noise / kernel.square().sum().item()
