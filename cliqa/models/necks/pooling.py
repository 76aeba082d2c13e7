"""Average pooling to a given size."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def pool_to(maps: Tensor, height: int, width: int) -> Tensor:
    """Return maps (B, C, h, w) as (B, C, height, width): adaptive average pooling.

    If the areas are equal it uses plain average pooling, whose gradients are deterministic on a GPU
    too; those of torch's adaptive pooling are not.

    >>> pool_to(torch.arange(4.0).view(1, 1, 2, 2), 1, 2)
    tensor([[[[1., 2.]]]])
    """
    old_height, old_width = maps.shape[-2:]
    if isinstance(old_height, torch.SymInt):  # traced for images of any size
        rows, columns = areas(old_height, height, maps), areas(old_width, width, maps)
        return rows @ maps @ columns.T
    if (old_height, old_width) == (height, width):
        return maps
    if old_height % height == 0 and old_width % width == 0:
        return F.avg_pool2d(maps, (old_height // height, old_width // width))
    return F.adaptive_avg_pool2d(maps, (height, width))


def areas(length: int, count: int, like: Tensor) -> Tensor:
    """Return the matrix (count, length) whose rows take the means of adaptive pooling's areas.

    Area k of n reaches from floor(k length / n) to ceil((k + 1) length / n).

    Args:
        length: Positions; a number, or a symbolic size.
        count: Areas n.
        like: A tensor of the dtype and device wanted.

    >>> areas(3, 2, torch.zeros(()))
    tensor([[0.5000, 0.5000, 0.0000],
            [0.0000, 0.5000, 0.5000]])
    """
    place = torch.arange(length, device=like.device)  # (length,)
    area = torch.arange(count, device=like.device)[:, None]  # (count, 1)
    inside = (place >= area * length // count) & (place < -(-(area + 1) * length // count))
    members = inside.to(like.dtype)  # (count, length)
    return members / members.sum(1, keepdim=True)
