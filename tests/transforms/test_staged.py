"""The fixed start of a pipeline is computed once, and the whole is the pipeline's own result."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from cliqa.transforms.fixed_start import FixedStart
from cliqa.transforms.pipeline import build_pipeline

RESIZE = {"type": "Resize", "size": 8}
CROP = {"type": "RandomCrop", "size": 4}
TENSOR = {"type": "ToTensor"}


class Stored:
    """An image that counts how often it is read."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.count = 0
        self.pixels = torch.randint(0, 256, (3, 12, 16), dtype=torch.uint8)

    def read(self) -> Tensor:
        self.count += 1
        return self.pixels


@pytest.mark.parametrize(
    "steps",
    [[RESIZE, CROP, TENSOR], [CROP, TENSOR], [RESIZE, TENSOR], [TENSOR, RESIZE], [RESIZE], []],
)
def test_it_is_the_pipelines_own_result(steps: list[dict[str, Any]]) -> None:
    pipeline, image = build_pipeline(steps, "x"), Stored("a")
    start = FixedStart(pipeline, 2)
    for seed in range(3):
        torch.manual_seed(seed)
        expected = pipeline(image.pixels)
        torch.manual_seed(seed)
        assert torch.equal(start(image), expected)
    assert image.count == 1


def test_a_function_of_ones_own_gets_the_decoded_image() -> None:
    image = Stored("a")
    start = FixedStart(lambda pixels: pixels.float() + torch.rand(()), 1)
    assert not torch.equal(start(image), start(image))
    assert image.count == 1


def test_patches_differ() -> None:
    start = FixedStart(build_pipeline([RESIZE, CROP, TENSOR], "x"), 1)
    image = Stored("a")
    assert any(not torch.equal(start(image), start(image)) for _ in range(5))


def test_those_used_last_are_kept() -> None:
    start = FixedStart(build_pipeline([RESIZE, CROP, TENSOR], "x"), 2)
    a, b, c = Stored("a"), Stored("b"), Stored("c")
    for image in (a, b, a, c, a, b):  # c takes the place of b
        start(image)
    assert (a.count, b.count, c.count) == (1, 2, 1)
    assert len(start._kept) == 2
    assert all(kept.dtype == torch.uint8 for kept in start._kept.values())
