"""Sizes of images, of a preprocessing and on a command line."""

from __future__ import annotations

import pytest

from cliqa.compress.image_size import crops_and_size, own_size, parse_size
from cliqa.utils.errors import ConfigError


def test_a_preprocessing_may_bring_images_to_one_size_and_make_crops() -> None:
    tensor = {"type": "ToTensor"}
    assert crops_and_size(None) == crops_and_size([tensor]) == (1, None)
    assert crops_and_size([tensor, {"type": "CenterCrop", "size": 32}]) == (1, (32, 32))
    grid = {"type": "GridCrop", "size": 16, "rows": 2, "columns": 3}
    assert crops_and_size([tensor, grid]) == (6, (16, 16))


def test_a_run_has_its_own_size() -> None:
    tensor, crop = {"type": "ToTensor"}, {"type": "RandomCrop", "size": 32}
    center = {"type": "CenterCrop", "size": (40, 48)}
    assert own_size({"eval_transform": [tensor, center], "train_transform": [crop]}) == (40, 48)
    assert own_size({"eval_transform": [tensor], "train_transform": [crop, tensor]}) == (32, 32)
    published = {"eval_transform": [tensor], "train_transform": [tensor]}
    assert own_size({"type": "SplitFashionMNIST", **published}) == (28, 28)
    assert own_size({"type": "SplitCIFAR10", **published}) == (32, 32)
    assert own_size({"type": "QualityStream", **published}) is own_size({}) is None


@pytest.mark.parametrize("text", ["", "0", "axb", "1x2x3", "-4", "224x"])
def test_sizes_are_checked(text: str) -> None:
    with pytest.raises(ConfigError, match=f"--sizes {text}: write 224, or height x width"):
        parse_size(text)
