"""The stages of a pipeline: together they are the pipeline's own result, to the bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from cliqa.transforms.pipeline import build_pipeline
from cliqa.transforms.pixel_store.shared_memory import SharedPixels
from cliqa.transforms.staged import (
    Finish,
    StagedPipeline,
    Unfinished,
    fixed_signature,
    stages,
    unfinished,
)

RESIZE = {"type": "Resize", "size": 8}
CROP = {"type": "RandomCrop", "size": 4}
TENSOR = {"type": "ToTensor"}
NORMAL = {"type": "Normalize", "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25]}


def store(images: int = 10) -> SharedPixels:
    return SharedPixels(images * 3 * 12 * 16, images)


class Stored:
    """An image that counts how often it is read."""

    def __init__(self, file: str | None) -> None:
        self.file = file
        self.count = 0
        self.pixels = torch.randint(0, 256, (3, 12, 16), dtype=torch.uint8)

    def read(self, shorter_edge: int | None = None) -> Tensor:
        self.count += 1
        self.edge = shorter_edge
        return self.pixels


PIPELINES: list[list[dict[str, Any]]] = [
    [RESIZE, CROP, TENSOR, NORMAL],
    [CROP, TENSOR],
    [RESIZE, {"type": "ToDtype", "dtype": "float32", "scale": True}, NORMAL],
    [TENSOR, RESIZE],
    [RESIZE, {"type": "ToDtype", "dtype": "float32"}],
    [TENSOR, {"type": "RandomErasing"}],
    [TENSOR, {"type": "Normalize", "mean": [0.5], "std": [0.2]}],
    [{"type": "Grayscale"}, TENSOR, NORMAL],
    [RESIZE],
    [],
]


@pytest.mark.parametrize("steps", PIPELINES)
def test_it_is_the_pipelines_own_result(steps: list[dict[str, Any]]) -> None:
    pipeline, image = build_pipeline(steps, "x"), Stored("a")
    staged = StagedPipeline(pipeline, store())
    for seed in range(3):
        torch.manual_seed(seed)
        expected = pipeline(image.pixels)
        torch.manual_seed(seed)
        assert torch.equal(staged(image), expected)
        torch.manual_seed(seed)
        assert torch.equal(staged(image.pixels), expected)
        torch.manual_seed(seed)
        with unfinished():
            part = staged(image)
        assert isinstance(part, Unfinished)
        batch = torch.stack([part.pixels, part.pixels])
        assert torch.equal(part.finish(batch), torch.stack([expected, expected]))
    assert image.count == 1


def test_of_an_image_in_memory_nothing_is_kept() -> None:
    image = Stored(None)
    staged = StagedPipeline(build_pipeline([RESIZE, TENSOR], "x"), store())
    assert torch.equal(staged(image), staged(image))
    assert image.count == 2


def test_without_a_store_an_image_is_read_each_time() -> None:
    image = Stored("a")
    staged = StagedPipeline(build_pipeline([RESIZE, TENSOR], "x"))
    assert torch.equal(staged(image), staged(image))
    assert image.count == 2


def test_a_function_of_ones_own_gets_the_decoded_image() -> None:
    image = Stored("a")
    staged = StagedPipeline(lambda pixels: pixels.float() + torch.rand(()), store())
    assert not torch.equal(staged(image), staged(image))
    with unfinished():
        assert isinstance(staged(image), Tensor)
    assert image.count == 1


def test_patches_differ() -> None:
    staged = StagedPipeline(build_pipeline([RESIZE, CROP, TENSOR], "x"), store())
    image = Stored("a")
    assert any(not torch.equal(staged(image), staged(image)) for _ in range(5))


def test_the_stages_are_found() -> None:
    fixed, drawn, finish = stages(build_pipeline([RESIZE, CROP, TENSOR, NORMAL], "x"))
    assert finish is not None
    names = [[step.name for step in part] for part in (fixed, drawn, finish.steps)]
    assert names == [["Resize"], ["RandomCrop"], ["ToTensor", "Normalize"]]


def test_equal_last_steps_are_equal() -> None:
    pipeline = build_pipeline([CROP, TENSOR, NORMAL], "x")
    assert stages(pipeline)[2] == stages(pipeline)[2] != Finish()


@pytest.mark.parametrize(
    ("step", "edge"),
    [
        (RESIZE, 8),
        ({"type": "Resize", "size": [8]}, 8),
        ({"type": "AdaptiveResize", "size": 8}, 8),
        ({"type": "Resize", "size": [8, 9]}, None),
        ({"type": "Resize", "size": 8, "max_size": 20}, None),
        ({"type": "CenterCrop", "size": 8}, None),
    ],
)
def test_a_scaled_decode_knows_the_shorter_edge(step: dict[str, Any], edge: int | None) -> None:
    pipeline = build_pipeline([step, TENSOR], "x")
    image = Stored("a")
    StagedPipeline(pipeline, scaled_decode=True)(image)
    assert image.edge == edge
    StagedPipeline(pipeline)(image)
    assert image.edge is None


def test_what_decides_about_the_kept_pixels_is_the_fixed_steps() -> None:
    first, other = (
        fixed_signature(build_pipeline([RESIZE, *rest], "x")) for rest in ([CROP], [TENSOR])
    )
    assert first == other
    assert first[0]["size"] == 8
    assert fixed_signature(build_pipeline([{**RESIZE, "size": 9}], "x")) != first


def test_crops_and_no_images_are_finished_too() -> None:
    finish = stages(build_pipeline([TENSOR, NORMAL], "x"))[2]
    assert finish is not None
    crops = torch.randint(0, 256, (2, 5, 3, 4, 4), dtype=torch.uint8)
    expected = torch.stack([torch.stack([finish(crop) for crop in crops_of]) for crops_of in crops])
    assert torch.equal(finish(crops), expected)
    assert finish(crops[:0]).shape == (0, 5, 3, 4, 4)
