from __future__ import annotations

import pytest
import torch
from torchvision.transforms import v2

from cliqa.registry import TRANSFORMS
from cliqa.transforms.torchvision_transforms import ToTensor


@pytest.mark.parametrize(
    "name", ["Resize", "RandomCrop", "RandomHorizontalFlip", "Normalize", "CenterCrop"]
)
def test_torchvisions_names_are_known(name: str) -> None:
    assert TRANSFORMS.get(name) is getattr(v2, name)
    assert TRANSFORMS.get(f"torchvision.{name}") is getattr(v2, name)


def test_ours_win() -> None:
    assert TRANSFORMS.get("ToTensor") is ToTensor


@pytest.mark.parametrize("name", ["Transform", "Lambda", "MixUp", "InterpolationMode"])
def test_what_is_no_transform_of_one_image_is_left_out(name: str) -> None:
    assert TRANSFORMS.get(name) is None


def test_levels_become_fractions_and_fractions_stay() -> None:
    image = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(3, 1, 1)
    converted = ToTensor()(image)
    assert converted.dtype == torch.float32
    torch.testing.assert_close(converted.flatten(), torch.tensor([0.0, 0.2, 1.0]))
    assert torch.equal(ToTensor()(converted), converted)
