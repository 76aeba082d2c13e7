"""Bilinear pooling of the maps of two networks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.registry import MODELS
from cliqa.utils.errors import ModelError

TINY = 1e-8
"""Added below the square root."""


@MODELS.register_module()
class BilinearPooling(nn.Module):
    """Two maps -> the mean of their outer products over positions, as a unit vector.

    Lin et al., "Bilinear CNN models for fine-grained visual recognition", ICCV 2015, section 3.1:
    x = vec(A B^T) / (h w), y = sign(x) sqrt(|x|), z = y / |y|. A second map of another size is
    interpolated to the first one's.

    Args:
        root: Take the signed square root. Zhang et al.'s shared network of continual learning
            (TPAMI 2023) leaves it out.
    """

    def __init__(self, root: bool = True) -> None:
        super().__init__()
        self.root = root

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor]:
        """Return vectors (B, C D) for maps (B, C, h, w) and (B, D, h', w').

        Raises:
            ModelError: There are not two maps.
        """
        if len(maps) != 2 or any(level.ndim != 4 for level in maps):
            shapes = ", ".join(str(tuple(level.shape)) for level in maps)
            raise ModelError(
                f"BilinearPooling takes two maps (B, C, h, w), got {shapes or 'none'}. Choose one "
                "level of each of the two branches=[...] of 'ParallelBackbones', or two levels of "
                "one backbone."
            )
        first, second = maps
        if first.shape[2:] != second.shape[2:]:
            size = first.shape[2:]
            second = F.interpolate(second, size=size, mode="bilinear", align_corners=True)
        a, b = first.flatten(2), second.flatten(2)  # (B, C, h w), (B, D, h w)
        x = (a @ b.transpose(1, 2) / a.shape[2]).flatten(1)  # (B, C D)
        if self.root:
            x = torch.where(x < 0, -1.0, 1.0) * (x.abs() + TINY).sqrt()
        return (F.normalize(x, dim=1),)
