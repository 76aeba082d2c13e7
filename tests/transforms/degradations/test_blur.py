from __future__ import annotations

import math

import pytest
import torch
from scipy import ndimage
from torch import Tensor

from cliqa.transforms.degradations.base import Degradation
from cliqa.transforms.degradations.blur import (
    DefocusBlur,
    GaussianBlur,
    MotionBlur,
    disk_kernel,
    gaussian_kernel,
    line_kernel,
)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.5])
def test_gaussian_blur_is_scipys(sigma: float, painted: Tensor) -> None:
    image = painted.double() / 255
    blurred = GaussianBlur()(image[None], sigma, torch.Generator())[0]
    expected = ndimage.gaussian_filter(
        image.numpy(), (0, sigma, sigma), mode="nearest", radius=math.ceil(4 * sigma)
    )
    assert blurred.numpy() == pytest.approx(expected, abs=1e-12)


def test_a_disk_has_its_radius() -> None:
    kernel = disk_kernel(3.0)
    grid = torch.arange(7, dtype=torch.float64) - 3
    distance = (grid[:, None].square() + grid[None, :].square()).sqrt()
    inside = kernel[distance <= 2.3]
    assert inside.numpy() == pytest.approx(1 / (math.pi * 9), rel=0.01)
    assert (kernel[distance > 3.71] == 0).all()
    assert (kernel * distance.square()).sum().item() == pytest.approx(9 / 2, rel=0.05)


@pytest.mark.parametrize("angle", [0.0, 0.5, math.pi / 2, 2.0])
def test_a_line_has_its_length_and_direction(angle: float) -> None:
    kernel = line_kernel(9.0, angle)
    grid = torch.arange(len(kernel), dtype=torch.float64) - len(kernel) // 2
    along = grid[None, :] * math.cos(angle) + grid[:, None] * math.sin(angle)
    across = grid[:, None] * math.cos(angle) - grid[None, :] * math.sin(angle)
    assert (kernel * along.square()).sum().item() == pytest.approx(81 / 12, rel=0.1)
    assert (kernel * across.square()).sum().item() < 0.25


@pytest.mark.parametrize(
    "kernel", [gaussian_kernel(0.1), gaussian_kernel(5), disk_kernel(1.5), line_kernel(2, 1)]
)
def test_kernels_sum_to_one_and_are_odd(kernel: Tensor) -> None:
    assert kernel.sum().item() == pytest.approx(1)
    assert all(length % 2 == 1 for length in kernel.shape)


@pytest.mark.parametrize("blur", [GaussianBlur(), DefocusBlur(), MotionBlur()])
def test_a_flat_image_stays_so_up_to_its_edges(blur: Degradation) -> None:
    flat = torch.full((1, 3, 6, 5), 0.7)  # smaller than the kernels
    strongest = blur.ladders["kadid"][-1]
    blurred = blur(flat, strongest, torch.Generator().manual_seed(0))
    assert blurred.numpy() == pytest.approx(flat.numpy(), abs=1e-5)
