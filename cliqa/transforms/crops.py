"""Crops that never invent pixels: a small image is enlarged, not padded with zeros."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from cliqa.registry import TRANSFORMS
from cliqa.transforms.resize import enlarge
from cliqa.utils.errors import DatasetError

SmallImage = Literal["upscale", "error"]
"""The treatment of an image smaller than the crop."""


class _Crop(nn.Module):
    """Base of the crops: the edge in pixels and the policy for small images."""

    def __init__(self, size: int = 224, small: SmallImage = "upscale") -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"size must be at least 1 pixel, got {size}")
        if small not in ("upscale", "error"):
            raise ValueError(f"small must be 'upscale' or 'error', got {small!r}")
        self.size = size
        self.small = small

    def make_large_enough(self, image: torch.Tensor) -> torch.Tensor:
        """Return an image (..., C, H, W) with H, W >= size.

        Raises:
            DatasetError: The image is smaller and the policy is ``"error"``.
        """
        height, width = image.shape[-2:]
        if self.small == "error" and min(height, width) < self.size:
            raise DatasetError(
                f"the image is {width} x {height} pixels, the crop {self.size} x {self.size}. "
                "Choose a smaller size, or small='upscale' to enlarge such images."
            )
        return enlarge(image, self.size, self.size)


@TRANSFORMS.register_module()
class QualityRandomCrop(_Crop):
    """Cut a random square out of the image at its own scale.

    Args:
        size: Edge of the square, in pixels.
        small: ``"upscale"`` enlarges a smaller image (aspect kept) until the square fits;
            ``"error"`` refuses it.

    Raises:
        ValueError: An argument is out of range.
    """

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return an image (..., C, H, W) as (..., C, size, size)."""
        image = self.make_large_enough(image)
        height, width = image.shape[-2:]
        top = int(torch.randint(0, height - self.size + 1, ()))
        left = int(torch.randint(0, width - self.size + 1, ()))
        return image[..., top : top + self.size, left : left + self.size]

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"size={self.size}, small={self.small!r}"


@TRANSFORMS.register_module()
class GridCrop(_Crop):
    """Cut a fixed grid of squares that reaches from edge to edge; a score is the crops' mean.

    The squares' corners are evenly spaced from the first pixel to the last, so the right and the
    bottom edge are seen too. Every pixel is covered where ``rows * size >= H`` and
    ``columns * size >= W``.

    Args:
        size: Edge of a square, in pixels.
        rows: Squares from top to bottom; a single one is centred.
        columns: Squares from left to right; a single one is centred.
        small: ``"upscale"`` enlarges a smaller image (aspect kept) until the square fits;
            ``"error"`` refuses it.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self, size: int = 224, rows: int = 5, columns: int = 5, small: SmallImage = "upscale"
    ) -> None:
        super().__init__(size, small)
        if rows < 1 or columns < 1:
            raise ValueError(f"rows and columns must be at least 1, got {rows} and {columns}")
        self.rows = rows
        self.columns = columns

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return an image (C, H, W) as (rows * columns, C, size, size), row by row."""
        image = self.make_large_enough(image)
        height, width = image.shape[-2:]
        lefts = _starts(width - self.size, self.columns)
        return torch.stack(
            [
                image[..., top : top + self.size, left : left + self.size]
                for top in _starts(height - self.size, self.rows)
                for left in lefts
            ]
        )

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"size={self.size}, rows={self.rows}, columns={self.columns}, small={self.small!r}"


def _starts(last: int, count: int) -> list[int]:
    """Return `count` whole numbers evenly spaced over 0..`last`; a single one is the middle."""
    if count == 1:
        return [last // 2]
    return [round(last * k / (count - 1)) for k in range(count)]


def random_crops(image: torch.Tensor, count: int, size: int, draw: torch.Generator) -> torch.Tensor:
    """Cut `count` squares (N, C, size, size) at random places out of an image (C, H, W).

    A smaller image is enlarged first.
    """
    image = enlarge(image, size, size)
    height, width = image.shape[-2:]
    tops = torch.randint(0, height - size + 1, (count,), generator=draw).tolist()
    lefts = torch.randint(0, width - size + 1, (count,), generator=draw).tolist()
    corners = zip(tops, lefts, strict=True)
    return torch.stack([image[..., y : y + size, x : x + size] for y, x in corners])
