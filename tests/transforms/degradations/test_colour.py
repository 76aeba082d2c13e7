from __future__ import annotations

import pytest
import torch
from PIL import ImageEnhance
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image

from cliqa.transforms.degradations.colour import (
    Brighten,
    ColourCast,
    Contrast,
    Darken,
    Overdrive,
    Saturation,
    luma,
)
from cliqa.transforms.degradations.synthetic import SyntheticDegradation
from cliqa.utils.errors import DatasetError


@pytest.mark.parametrize(
    ("family", "enhance", "factor"),
    [
        ("brighten", ImageEnhance.Brightness, 1.3),
        ("darken", ImageEnhance.Brightness, 0.5),
        ("contrast", ImageEnhance.Contrast, 0.5),
        ("saturation", ImageEnhance.Color, 0.5),
    ],
)
def test_they_agree_with_pillows_enhancements(
    family: str, enhance: type[ImageEnhance.Color], factor: float, painted: Tensor
) -> None:
    degrade = SyntheticDegradation(family)
    level = degrade.strengths.index(factor)
    ours = degrade.degrade(painted, level).int()
    theirs = pil_to_tensor(enhance(to_pil_image(painted)).enhance(factor)).int()
    assert (ours - theirs).abs().max() <= 1  # Pillow truncates


def test_contrast_and_saturation_keep_the_brightness(painted: Tensor) -> None:
    image = painted[None].double() / 255
    flat = Contrast()(image, 0.2, torch.Generator())
    pale = Saturation()(image, 0.0, torch.Generator())
    assert luma(flat).mean().item() == pytest.approx(luma(image).mean().item())
    assert torch.allclose(luma(pale), luma(image), atol=1e-6)
    assert (pale[:, 0] - pale[:, 2]).abs().max().item() < 1e-12


def test_brightness_works_on_any_channels() -> None:
    image = torch.full((1, 1, 4, 4), 0.5)
    assert Brighten()(image, 1.5, torch.Generator()).unique().tolist() == [0.75]
    assert Darken()(image, 0.5, torch.Generator()).unique().tolist() == [0.25]
    assert luma(image).unique().tolist() == [0.5]


def test_grey_images_have_no_colour_to_lose() -> None:
    with pytest.raises(DatasetError, match="'saturation': the image has 1 channels.*RGB"):
        SyntheticDegradation("saturation")(torch.zeros(1, 8, 8))


def test_overdrive_undoes_a_loss_of_contrast(painted: Tensor) -> None:
    image = painted[None].double() / 255
    flat = Contrast()(image, 0.5, torch.Generator())
    assert torch.allclose(Overdrive()(flat, 2.0, torch.Generator()), image)


def test_a_cast_has_its_strength_and_keeps_the_mean_of_the_channels() -> None:
    grey = torch.full((4, 3, 6, 6), 0.5)
    cast = ColourCast()(grey, 0.1, torch.Generator().manual_seed(0)) - grey
    assert torch.allclose(cast.mean(dim=1), torch.zeros(4, 6, 6), atol=1e-6)
    assert torch.allclose(cast.square().mean(dim=(1, 2, 3)).sqrt(), torch.full((4,), 0.1))
    assert not torch.allclose(cast[0], cast[1])  # each image has a direction of its own
    with pytest.raises(DatasetError, match="'colour_cast': the image has 1 channels.*RGB"):
        SyntheticDegradation("colour_cast", table="wide")(torch.zeros(1, 8, 8))
