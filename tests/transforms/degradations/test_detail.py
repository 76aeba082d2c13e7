from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cliqa.transforms.degradations.blur import GaussianBlur
from cliqa.transforms.degradations.detail import Resample, Sharpen


def test_sharpening_adds_what_a_blur_takes_away(painted: Tensor) -> None:
    image = painted[None].double() / 255
    blurred = GaussianBlur()(image, 1.0, torch.Generator())
    sharp = Sharpen()(image, 2.0, torch.Generator())
    assert torch.allclose(sharp - image, 2 * (image - blurred))


def test_a_resampled_image_has_the_detail_of_fewer_pixels(painted: Tensor) -> None:
    image = painted[None].double() / 255
    back = Resample()(image, 4.0, torch.Generator())
    assert back.shape == image.shape
    small = F.interpolate(image, (24, 24), mode="bicubic", antialias=True)
    assert torch.allclose(back, F.interpolate(small, (96, 96), mode="bicubic"))
    thin = torch.rand(1, 3, 3, 40, generator=torch.Generator().manual_seed(0))
    assert Resample()(thin, 6.0, torch.Generator()).shape == thin.shape  # a row of pixels is left
