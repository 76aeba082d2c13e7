"""Wrong brightness, contrast and colour."""

from __future__ import annotations

import torch
from torch import Tensor

from cliqa.transforms.degradations.base import DEGRADATIONS, Degradation
from cliqa.utils.errors import DatasetError

_LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the brightness (ITU-R BT.601)."""


def luma(images: Tensor) -> Tensor:
    """Return the brightness (N, 1, H, W) of images (N, C, H, W); one channel is its own."""
    if images.shape[1] != 3:
        return images.mean(dim=1, keepdim=True)
    weights = torch.tensor(_LUMA, dtype=images.dtype, device=images.device)
    return (images * weights[:, None, None]).sum(dim=1, keepdim=True)


@DEGRADATIONS.register_module(name="brighten")
class Brighten(Degradation):
    """Too much light; the strength is the factor of all pixels, and highlights burn out."""

    ladders = {
        "standard": (1.1, 1.2, 1.3, 1.4, 1.5),
        "swin_hyperiqa": (1.1, 1.2, 1.3, 1.4, 1.5),
        "wide": (1.15, 1.35, 1.6, 2.0, 2.6),
    }

    def __call__(self, images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
        """Return brighter images (N, C, H, W)."""
        return images * strength


@DEGRADATIONS.register_module(name="darken")
class Darken(Degradation):
    """Too little light; the strength is the factor of all pixels."""

    ladders = {
        "standard": (0.7, 0.6, 0.5, 0.4, 0.3),
        "swin_hyperiqa": (0.7, 0.6, 0.5, 0.4, 0.3),
        "wide": (0.8, 0.65, 0.5, 0.35, 0.2),
    }

    def __call__(self, images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
        """Return darker images (N, C, H, W)."""
        return images * strength


@DEGRADATIONS.register_module(name="brightness")
class Brightness(Degradation):
    """Darker at three levels, then brighter at two: not a ladder, as level 4 is a milder error.

    The table is that of a Swin HyperIQA's pretraining. For rankings, `Darken` and `Brighten` are
    two ladders that rise.
    """

    ladders = {"standard": (0.7, 0.5, 0.3, 1.3, 1.5), "swin_hyperiqa": (0.7, 0.5, 0.3, 1.3, 1.5)}
    rises = False

    def __call__(self, images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
        """Return darker or brighter images (N, C, H, W)."""
        return images * strength


@DEGRADATIONS.register_module(name="contrast")
class Contrast(Degradation):
    """A flat picture; the strength is the share of the contrast around the mean that is left."""

    ladders = {
        "standard": (0.8, 0.65, 0.5, 0.35, 0.2),
        "wide": (0.85, 0.68, 0.5, 0.3, 0.12),
    }

    def __call__(self, images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
        """Return flatter images (N, C, H, W)."""
        middle = luma(images).mean(dim=(2, 3), keepdim=True)
        return middle + strength * (images - middle)


@DEGRADATIONS.register_module(name="saturation")
class Saturation(Degradation):
    """Pale colours; the strength is the share of the colour that is left. Greys stay as they are.

    Below 0 colours turn into their opposites.
    """

    ladders = {
        "standard": (0.75, 0.5, 0.3, 0.15, 0.0),
        "kadid": (0.4, 0.2, 0.1, 0.0, -0.4),
        "wide": (0.75, 0.5, 0.3, 0.15, 0.0),
    }

    def __call__(self, images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
        """Return paler images (N, 3, H, W).

        Raises:
            DatasetError: The images have no colour channels.
        """
        if images.shape[1] != 3:
            raise DatasetError(
                f"degradation 'saturation': the image has {images.shape[1]} channels, and only "
                "RGB has colours to lose. Convert it to RGB, or leave this family out."
            )
        grey = luma(images)
        return grey + strength * (images - grey)


@DEGRADATIONS.register_module(name="overdrive")
class Overdrive(Degradation):
    """Too much contrast, which burns lights and shadows out; the strength is its factor."""

    ladders = {"wide": (1.25, 1.6, 2.2, 3.3, 6.0)}

    def __call__(self, images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
        """Return images (N, C, H, W) of more contrast."""
        middle = luma(images).mean(dim=(2, 3), keepdim=True)
        return middle + strength * (images - middle)


@DEGRADATIONS.register_module(name="colour_cast")
class ColourCast(Degradation):
    """A wrong white balance: channels are shifted apart, by a drawn direction for each image.

    The strength is the shift's root mean square over the channels, in the units of the pixels.
    """

    ladders = {"wide": (0.04, 0.08, 0.13, 0.19, 0.27)}

    def __call__(self, images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
        """Return images (N, 3, H, W) with a cast.

        Raises:
            DatasetError: The images have no colour channels.
        """
        if images.shape[1] != 3:
            raise DatasetError(
                f"degradation 'colour_cast': the image has {images.shape[1]} channels, and only "
                "RGB has colours to shift. Convert it to RGB, or leave this family out."
            )
        shift = torch.randn((len(images), 3), generator=generator)
        shift = shift - shift.mean(dim=1, keepdim=True)  # the brightness stays about the same
        shift = shift / shift.square().mean(dim=1, keepdim=True).sqrt().clamp(min=1e-6)
        return images + strength * shift.to(images)[:, :, None, None]
