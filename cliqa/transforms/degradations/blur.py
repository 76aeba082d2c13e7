"""Blurs: convolutions whose kernels sum to 1; the border's pixels are repeated beyond it."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from cliqa.transforms.degradations.base import DEGRADATIONS, Degradation

_SAMPLES = 8
"""Points per pixel side by which the rim of a disk is weighed."""


def filter_images(images: Tensor, kernel: Tensor) -> Tensor:
    """Return images (N, C, H, W), each channel convolved with a kernel (k, l); k and l odd."""
    batch, channels, height, width = images.shape
    rows, columns = (length // 2 for length in kernel.shape)
    planes = images.reshape(batch * channels, 1, height, width)
    planes = F.pad(planes, (columns, columns, rows, rows), mode="replicate")
    return F.conv2d(planes, kernel.to(images)[None, None]).reshape(images.shape)


def gaussian_kernel(sigma: float) -> Tensor:
    """Return a Gaussian (k,) of `sigma` pixels, out to four of them; it sums to 1."""
    radius = max(1, math.ceil(4 * sigma))
    grid = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (grid / sigma).square())
    return kernel / kernel.sum()


def disk_kernel(radius: float) -> Tensor:
    """Return a disk (k, k) of `radius` pixels, its rim weighed by the covered area; sum 1."""
    size = 2 * math.ceil(radius) + 1
    count = size * _SAMPLES
    grid = (torch.arange(count, dtype=torch.float64) + 0.5) / _SAMPLES - size / 2
    inside = (grid[:, None].square() + grid[None, :].square() <= radius**2).double()
    kernel = F.avg_pool2d(inside[None, None], _SAMPLES)[0, 0]
    return kernel / kernel.sum()


def line_kernel(length: float, angle: float) -> Tensor:
    """Return a line (k, k) through the centre, `length` pixels long, at `angle` radians; sum 1."""
    radius = math.ceil(length / 2)
    steps = torch.linspace(-length / 2, length / 2, 32 * radius + 1, dtype=torch.float64)
    size = 2 * radius + 1
    grid = torch.arange(size, dtype=torch.float64) - radius
    rows = (1 - (grid[:, None] - steps * math.sin(angle)).abs()).clamp(min=0)  # (k, steps)
    columns = (1 - (grid[:, None] - steps * math.cos(angle)).abs()).clamp(min=0)
    kernel = rows @ columns.T  # every point is shared among the four pixels around it
    return kernel / kernel.sum()


@DEGRADATIONS.register_module(name="blur")
class GaussianBlur(Degradation):
    """Gaussian blur; the strength is the standard deviation in pixels."""

    ladders = {
        "standard": (0.5, 1.0, 1.5, 2.0, 2.5),
        "swin_hyperiqa": (0.5, 1.0, 1.5, 2.0, 2.5),
        "kadid": (0.35, 0.5, 1.0, 2.0, 5.0),  # KADID-10k begins at 0.1: no level changes
        "wide": (0.4, 0.8, 1.4, 2.2, 3.5),
    }

    def __call__(self, images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
        """Return blurred images (N, C, H, W)."""
        kernel = gaussian_kernel(strength)
        return filter_images(filter_images(images, kernel[None, :]), kernel[:, None])


@DEGRADATIONS.register_module(name="defocus")
class DefocusBlur(Degradation):
    """The blur of a lens out of focus; the strength is the radius of a point's disk in pixels."""

    ladders = {
        "standard": (1.0, 2.0, 3.0, 4.5, 6.0),
        "kadid": (1.0, 2.0, 4.0, 6.0, 8.0),
        "wide": (0.8, 1.5, 2.5, 4.0, 6.0),
    }

    def __call__(self, images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
        """Return blurred images (N, C, H, W)."""
        return filter_images(images, disk_kernel(strength))


@DEGRADATIONS.register_module(name="motion_blur")
class MotionBlur(Degradation):
    """The blur of a moving camera; the strength is the way in pixels, its direction is drawn."""

    ladders = {
        "standard": (2.0, 4.0, 7.0, 11.0, 16.0),
        "kadid": (3.0, 5.0, 9.0, 13.0, 21.0),
        "wide": (2.0, 4.0, 7.0, 11.0, 16.0),
    }

    def __call__(self, images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
        """Return images (N, C, H, W), all blurred in one direction."""
        angle = math.pi * float(torch.rand((), generator=generator))
        return filter_images(images, line_kernel(strength, angle))
