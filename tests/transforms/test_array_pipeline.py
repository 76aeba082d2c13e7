"""Preprocessing by numpy: bit for bit that of the pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from cliqa.transforms.array_pipeline import OtherSize, array_pipeline, resize_levels
from cliqa.transforms.pipeline import build_pipeline

NORMALIZE = {"type": "Normalize", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
TO_FLOAT: list[dict[str, Any]] = [{"type": "ToTensor"}, NORMALIZE]
SIZES = [(90, 120), (61, 47), (48, 48), (47, 512), (7, 9), (1, 40), (40, 1), (1, 1), (200, 33)]

KNOWN: dict[str, list[dict[str, Any]]] = {
    "nothing": [],
    "short edge": [{"type": "Resize", "size": 50}, *TO_FLOAT],
    "both edges": [{"type": "Resize", "size": [40, 70], "antialias": True}, *TO_FLOAT],
    "adaptive": [{"type": "AdaptiveResize", "size": 47}, *TO_FLOAT],
    "center": [{"type": "Resize", "size": [50]}, {"type": "CenterCrop", "size": 47}, *TO_FLOAT],
    "center at last": [
        {"type": "Resize", "size": 50},
        *TO_FLOAT,
        {"type": "CenterCrop", "size": 9},
    ],
    "grid": [{"type": "GridCrop", "size": 48, "rows": 3, "columns": 4}, *TO_FLOAT],
    "one": [{"type": "GridCrop", "size": 33, "rows": 1, "columns": 2}, {"type": "ToTensor"}],
    "hyperiqa": [{"type": "HyperIQAResize"}, *TO_FLOAT],
}


def picture(height: int, width: int) -> np.ndarray:
    """Return noise over a slope, uint8 (3, H, W)."""
    draw = np.random.default_rng(height * width)
    slope = np.linspace(0, 200, width, dtype=np.uint8)
    return slope + draw.integers(0, 56, (3, height, width), dtype=np.uint8)


@pytest.mark.parametrize("name", KNOWN)
def test_every_bit_is_that_of_the_pipeline(name: str) -> None:
    steps = KNOWN[name]
    pipeline, arrays = build_pipeline(steps, "x", quality=False), array_pipeline(steps)
    assert arrays is not None
    for size in SIZES:
        image = picture(*size)
        expected = pipeline(torch.from_numpy(image)).numpy()
        found = arrays(image)
        assert found.dtype == np.float32
        assert np.array_equal(found, expected), size


def test_many_sizes_are_resampled_alike() -> None:
    draw = np.random.default_rng(0)
    for _ in range(60):
        old, new = draw.integers(1, 130, 2), draw.integers(1, 130, 2)
        image = picture(*map(int, old))
        step = [{"type": "Resize", "size": [int(new[0]), int(new[1])]}]
        expected = build_pipeline(step, "x", quality=False)(torch.from_numpy(image)) * 255
        found = resize_levels(image, int(new[0]), int(new[1]))
        assert np.array_equal(found, expected.round().byte().numpy()), (old, new)


@pytest.mark.parametrize(
    "step",
    [
        {"type": "Resize", "size": 20, "interpolation": "bicubic"},
        {"type": "Resize", "size": 20, "max_size": 40},
        {"type": "Resize", "size": None},
        {"type": "Grayscale"},
        {"type": "GaussianBlur", "kernel_size": 3},
        {"type": "CenterCrop", "size": 9, "other": 1},
    ],
)
def test_other_steps_are_left_to_the_pipeline(step: dict[str, Any]) -> None:
    assert array_pipeline([step, *TO_FLOAT]) is None


def test_floats_are_not_resampled_here() -> None:
    assert array_pipeline([*TO_FLOAT, {"type": "Resize", "size": 20}]) is None
    assert array_pipeline([*TO_FLOAT, {"type": "GridCrop", "size": 20}]) is None


@pytest.mark.parametrize(
    "step", [{"type": "CenterCrop", "size": 50}, {"type": "GridCrop", "size": 50, "small": "error"}]
)
def test_an_image_smaller_than_a_crop_is_left_to_the_pipeline(step: dict[str, Any]) -> None:
    arrays = array_pipeline([step])
    assert arrays is not None
    with pytest.raises(OtherSize):
        arrays(picture(49, 60))


@pytest.mark.parametrize(
    "step",
    [
        {},
        {"type": "CenterCrop"},
        {"type": "CenterCrop", "size": []},
        {"type": "CenterCrop", "size": None},
        {"type": "AdaptiveResize"},
    ],
)
def test_wrong_arguments_are_left_to_the_pipeline_that_tells_them(step: dict[str, Any]) -> None:
    assert array_pipeline([step]) is None
