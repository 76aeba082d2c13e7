"""Where crops lie, against crops whose places are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from cliqa.explain.crop_places import Box, crop_boxes, paste
from cliqa.transforms.pipeline import build_pipeline
from cliqa.utils.errors import ModelError

NORMALIZE: dict[str, Any] = {"type": "Normalize", "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}


def boxes(height: int, width: int, *steps: dict[str, Any]) -> list[Box]:
    """Return where the crops of a pipeline lie."""
    pipeline = build_pipeline([*steps, {"type": "ToTensor"}, NORMALIZE], "eval")
    return crop_boxes(pipeline, height, width)


def test_without_a_crop_it_is_the_whole_image() -> None:
    for steps in ([], [{"type": "Resize", "size": 24}]):
        (box,) = boxes(48, 64, *steps)
        assert box == pytest.approx((0, 0, 48, 64), abs=0.3)


def test_crops_after_a_resize_are_told_in_the_images_own_pixels() -> None:
    (box,) = boxes(96, 64, {"type": "Resize", "size": 32}, {"type": "CenterCrop", "size": 16})
    assert box == pytest.approx((32, 16, 64, 48), abs=0.2)


def test_a_grid_of_crops_reaches_from_edge_to_edge() -> None:
    found = boxes(40, 64, {"type": "GridCrop", "size": 32, "rows": 2, "columns": 2})
    expected = [(0, 0, 32, 32), (0, 32, 32, 64), (8, 0, 40, 32), (8, 32, 40, 64)]
    for box, edges in zip(found, expected, strict=True):
        assert box == pytest.approx(edges, abs=0.01)


def test_a_transform_that_is_not_linear_is_refused() -> None:
    with pytest.raises(ModelError, match=r"scenario\.eval_transform: does more .* than resizing"):
        crop_boxes(lambda image: image * 0, 8, 8)


def test_maps_are_laid_where_their_crops_were() -> None:
    image = paste(torch.tensor([[[2.0]]]), [Box(1, 2, 3, 5)], 4, 6)
    expected = np.full((4, 6), np.nan)
    expected[1:3, 2:5] = 2
    np.testing.assert_array_equal(image, expected)


def test_overlaps_are_means_and_what_lies_outside_is_cut() -> None:
    maps = torch.tensor([[[1.0]], [[3.0]]])
    image = paste(maps, [Box(-1, 0, 2, 2), Box(0, 1, 9, 3)], 2, 3)
    np.testing.assert_array_equal(image, [[1, 2, 3], [1, 2, 3]])


def test_a_map_of_coordinates_comes_back_to_its_place() -> None:
    """What crops see of a ramp, pasted, is the ramp."""
    height, width = 40, 64
    pipeline = build_pipeline([{"type": "GridCrop", "size": 32, "rows": 2, "columns": 3}], "eval")
    ramp = (torch.arange(width) / width).expand(3, height, width).contiguous()
    crops = pipeline(ramp)[:, 0]
    pasted = paste(crops, crop_boxes(pipeline, height, width), height, width)
    np.testing.assert_allclose(pasted, ramp[0].numpy(), atol=1e-6)
