"""Resizing beyond torchvision's ``Resize``: by an image's size, with padding, as HyperIQA does."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torchvision.transforms.v2 import functional as F

from cliqa.registry import TRANSFORMS
from cliqa.transforms.elongated import check_enlarged

Padding = Literal["edge", "constant"]


def enlarge(image: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Return an image scaled up, aspect kept, so that it is at least `height` x `width`.

    It is the image itself where it is large enough; else one edge fits exactly.

    Raises:
        DatasetError: It would have more pixels than an image may have.
    """
    old_height, old_width = image.shape[-2:]
    scale = max(height / old_height, width / old_width)
    if scale <= 1:
        return image
    new_size = [max(height, round(old_height * scale)), max(width, round(old_width * scale))]
    check_enlarged(*new_size)
    return F.resize(image, new_size, antialias=True)


@TRANSFORMS.register_module()
class AdaptiveResize(nn.Module):
    """Shrink a large image so that its shorter edge is `size`; a smaller one stays as it is.

    Enlarging would blur an image that a rater saw sharp. The protocol is that of Zhang et al.,
    "Continual learning for blind image quality assessment", TPAMI 2023 (with ``size=768``).

    Args:
        size: Largest length of the shorter edge, in pixels.

    Raises:
        ValueError: `size` is below 1.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = _positive(size)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Shrink an image (..., C, H, W) if need be."""
        if min(image.shape[-2:]) <= self.size:
            return image
        return F.resize(image, [self.size], antialias=True)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"size={self.size}"


@TRANSFORMS.register_module()
class ResizePad(nn.Module):
    """Show the whole image, aspect kept, in a square: for aesthetics, where a crop would mislead.

    Args:
        size: Edge of the square, in pixels; the image's longer edge becomes as long.
        padding: ``"edge"`` repeats the border pixels, ``"constant"`` paints with `fill`.
        fill: Grey level of ``"constant"``, 0 (black) to 1 (white).

    Raises:
        ValueError: `size` is below 1, `padding` is unknown, or `fill` lies outside 0..1.
    """

    def __init__(self, size: int, padding: Padding = "edge", fill: float = 0.5) -> None:
        super().__init__()
        if padding not in ("edge", "constant"):
            raise ValueError(f"padding must be 'edge' or 'constant', got {padding!r}")
        if not 0 <= fill <= 1:
            raise ValueError(f"fill must lie in 0..1, got {fill}")
        self.size = _positive(size)
        self.padding: Padding = padding
        self.fill = fill

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return an image (..., C, H, W) as (..., C, size, size)."""
        height, width = image.shape[-2:]
        scale = self.size / max(height, width)
        height, width = max(1, round(height * scale)), max(1, round(width * scale))
        image = F.resize(image, [height, width], antialias=True)
        top, left = (self.size - height) // 2, (self.size - width) // 2
        borders = [left, top, self.size - width - left, self.size - height - top]
        fill = self.fill if image.is_floating_point() else round(255 * self.fill)
        return F.pad(image, borders, fill=fill, padding_mode=self.padding)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"size={self.size}, padding={self.padding!r}, fill={self.fill}"


@TRANSFORMS.register_module()
class HyperIQAResize(nn.Module):
    """Squeeze every image into 512 rows and 384 columns: a landscape becomes a portrait.

    HyperIQA's code and its successors call ``Resize((512, 384))`` and mean a width of 512, but
    torchvision takes the height first. The published weights were trained so and need it.
    For your own model use ``Resize(size=384)``, which keeps the aspect.
    """

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return an image (..., C, H, W) as (..., C, 512, 384)."""
        return F.resize(image, [512, 384], antialias=True)


def _positive(size: int) -> int:
    """Return a size, or raise a ValueError if it is no whole number of at least one pixel."""
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ValueError(f"size must be a whole number of pixels, got {size!r}")
    return size
