from __future__ import annotations

import pytest
from torchvision.transforms import v2

from cliqa.registry import TRANSFORMS
from cliqa.transforms.conversion import ToTensor


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
