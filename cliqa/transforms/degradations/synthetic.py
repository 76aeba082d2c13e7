"""An image at every level of one degradation.

Legend: N images, C H W, L levels.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as F

from cliqa.registry import TRANSFORMS
from cliqa.transforms.degradations.ladders import find_family, rungs
from cliqa.utils.errors import ConfigError, DatasetError

AnyImage = TypeVar("AnyImage", Tensor, Image.Image)

_SEEDS = 2**62


@TRANSFORMS.register_module()
class SyntheticDegradation(nn.Module):
    """Degrade an image by one distortion at several levels, each with a larger error.

    ``SyntheticDegradation('blur', num_levels=5)(image)`` is a list of five images, the mildest
    first. All levels share their randomness: the same grain, only stronger.

    Args:
        family: The distortion: blur, defocus, motion_blur, jpeg, jpeg2000, webp, noise, speckle,
            impulse, brighten, darken, contrast, saturation, pixelate or quantise; with
            ``table="wide"`` also colour_cast, grain, overdrive, resample or sharpen; or brightness,
            whose five levels do not rise (three darker ones, then two brighter ones).
        num_levels: L; see `rungs`.
        table: The strengths: ``"standard"``, ``"wide"``, ``"kadid"`` or ``"swin_hyperiqa"``.
        pristine: Put the image itself before the levels: L + 1 images.
        level: Return this one alone (0 is the mildest), instead of a list.
        seed: Of the randomness, the same at every call. None: it follows the generator of the
            call, or torch's global one.

    Raises:
        ConfigError: The family or its table is unknown, or a number is out of range.
    """

    def __init__(
        self,
        family: str,
        num_levels: int = 5,
        table: str = "standard",
        pristine: bool = False,
        level: int | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self.family = family
        self.strengths = rungs(family, num_levels, table)
        self.num_levels = num_levels
        self.table = table
        self.pristine = pristine
        self.level = None if level is None else self._checked(level)
        self.seed = seed
        self._apply_to = find_family(family)

    def forward(
        self, image: AnyImage, generator: torch.Generator | None = None
    ) -> AnyImage | list[AnyImage]:
        """Return an image at every level, or at the one level that was asked for.

        Args:
            image: (C, H, W) or (N, C, H, W), uint8 or float in 0..1, or a Pillow image, which is
                taken as RGB unless it is grey. Images of one batch have noise of their own.
            generator: Of the randomness, where there is no seed.

        Returns:
            L images of the same kind, shape and dtype; the image itself is left as it is.

        Raises:
            DatasetError: The image is of another kind, or has been normalised.
        """
        seed = self.seed
        if seed is None:
            seed = int(torch.randint(_SEEDS, (), generator=generator))
        if self.level is not None:
            return self.degrade(image, self.level, seed)
        levels: list[AnyImage] = [_copy(image)] if self.pristine else []
        levels += [self.degrade(image, level, seed) for level in range(self.num_levels)]
        return levels

    def degrade(self, image: AnyImage, level: int, seed: int = 0) -> AnyImage:
        """Return an image, as of `forward`, at one level from 0 (the mildest) to L - 1.

        Raises:
            ConfigError: There is no such level.
            DatasetError: As `forward`.
        """
        strength = self.strengths[self._checked(level)]
        if isinstance(image, Image.Image):
            pixels = F.pil_to_tensor(_copy(image))
            return F.to_pil_image(self._degrade_tensor(pixels, strength, seed))
        return self._degrade_tensor(image, strength, seed)

    def _degrade_tensor(self, image: Tensor, strength: float, seed: int) -> Tensor:
        """Return an image (..., C, H, W) at one strength."""
        pixels = _as_pixels(image)
        batch = pixels if image.ndim == 4 else pixels[None]
        damaged = self._apply_to(batch, strength, torch.Generator().manual_seed(seed))
        damaged = damaged.clamp(0, 1).reshape(image.shape)
        if image.is_floating_point():
            return damaged.to(image.dtype)
        return (damaged * 255).round().to(torch.uint8)

    def _checked(self, level: int) -> int:
        """Return a level, or raise a ConfigError if there is no such one."""
        if not 0 <= level < self.num_levels:
            raise ConfigError(
                f"degradation '{self.family}': level must be in 0..{self.num_levels - 1}, got "
                f"{level}."
            )
        return level

    def extra_repr(self) -> str:
        """Return the arguments that change the image."""
        return f"{self.family!r}, num_levels={self.num_levels}, table={self.table!r}"


def _copy(image: AnyImage) -> AnyImage:
    """Return a copy of the image."""
    if isinstance(image, Image.Image):
        return image.copy() if image.mode == "L" else image.convert("RGB")
    return _as_image(image).clone()


def _as_image(image: Tensor) -> Tensor:
    """Return a tensor that has an image's shape, or raise a DatasetError."""
    if not isinstance(image, Tensor):
        raise DatasetError(
            f"a degradation takes a tensor or a Pillow image, got {type(image).__name__}. "
            "PIL.Image.fromarray makes one of an array (H, W, 3)."
        )
    if image.ndim not in (3, 4) or not image.numel():
        raise DatasetError(
            f"a degradation takes images (C, H, W) or (N, C, H, W), got shape {tuple(image.shape)}."
        )
    return image


def _as_pixels(image: Tensor) -> Tensor:
    """Return an image's pixels in 0..1, in float32 or float64, or raise a DatasetError."""
    image = _as_image(image)
    if image.dtype == torch.uint8:
        return image.float() / 255
    if not image.is_floating_point():
        raise DatasetError(
            f"a degradation takes uint8 levels or floats in 0..1, got {image.dtype}. Convert the "
            "image with dict(type='ToTensor')."
        )
    low, high = (float(value) for value in image.aminmax())
    if not (low >= 0 and high <= 1):  # NaN is refused too
        raise DatasetError(
            f"a degradation takes pixels in 0..1, but the image has {low:.3g}..{high:.3g}. Degrade "
            "it before 'Normalize', and divide levels 0..255 by 255."
        )
    return image if image.dtype == torch.float64 else image.float()
