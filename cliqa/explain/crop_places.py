"""Where the crops of a preprocessing lie in an image, and the maps of crops pasted together."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from cliqa.utils.errors import ModelError

Transform = Callable[[torch.Tensor], torch.Tensor]


class Box(NamedTuple):
    """A crop's edges in pixels of the image; they may lie between pixels."""

    top: float
    left: float
    bottom: float
    right: float


def crop_boxes(transform: Transform, height: int, width: int) -> list[Box]:
    """Return where each crop of an image lies.

    Ramps of coordinates go through the transform like an image; the transforms of an all-black and
    an all-white image give its normalisation, which is then inverted.

    Args:
        transform: (3, H, W) -> (C, h, w), or (N, C, h, w) for N crops. It may resize, crop and
            normalise.
        height: H of the image, in pixels.
        width: W, in pixels.

    Raises:
        ModelError: The transform does more than that, so the places are unknown.
    """
    rows = ((torch.arange(height) + 0.5) / height)[None, :, None].expand(3, height, width)
    columns = ((torch.arange(width) + 0.5) / width)[None, None, :].expand(3, height, width)
    black, white = (_crops(transform(torch.full((3, height, width), v))) for v in (0.0, 1.0))
    gain = white - black  # (N, h, w)
    if float(gain.abs().min()) < 1e-6:
        raise ModelError(
            "scenario.eval_transform: does more to images than resizing, cropping and normalising "
            "them, so a map of the model cannot be laid over the image."
        )
    y, x = ((_crops(transform(ramp.contiguous())) - black) / gain for ramp in (rows, columns))
    return [
        Box(height * top, width * left, height * bottom, width * right)
        for (top, bottom), (left, right) in zip(
            map(_ends, y.mean(2)), map(_ends, x.mean(1)), strict=True
        )
    ]


def _crops(transformed: torch.Tensor) -> torch.Tensor:
    """Return the first channel of every crop, (N, h, w)."""
    return transformed[:, 0] if transformed.ndim == 4 else transformed[:1]


def _ends(values: torch.Tensor) -> tuple[float, float]:
    """Return where a line through evenly spaced values (n,) begins and ends.

    The outer values are left alone: interpolation bends the ramp at the image's edges.
    """
    count = len(values)
    low, high = count // 4, max(count // 4 + 1, 3 * count // 4)
    step = float(values[high] - values[low]) / (high - low)
    start = float(values[low]) - (low + 0.5) * step
    return start, start + count * step


def paste(maps: torch.Tensor, boxes: list[Box], height: int, width: int) -> np.ndarray:
    """Return maps of crops laid over their image; where crops overlap, their mean.

    Args:
        maps: (N, h, w), one a crop, of any size.
        boxes: The N crops' places.
        height: H of the image.
        width: W of the image.

    Returns:
        float32 (H, W); NaN where no crop lies.
    """
    total, seen = torch.zeros(height, width), torch.zeros(height, width)
    for values, box in zip(maps.float(), boxes, strict=True):
        top, left, bottom, right = (round(edge) for edge in box)
        size = (max(1, bottom - top), max(1, right - left))
        large = F.interpolate(values[None, None], size, mode="bilinear", align_corners=False)[0, 0]
        inside = large[max(0, -top) : height - top, max(0, -left) : width - left]
        y, x = max(0, top), max(0, left)
        total[y : y + inside.shape[0], x : x + inside.shape[1]] += inside
        seen[y : y + inside.shape[0], x : x + inside.shape[1]] += 1
    return torch.where(seen > 0, total / seen.clamp(min=1), torch.nan).numpy()
