from __future__ import annotations

from typing import Any

import pytest
import torch

from cliqa.transforms.crops import GridCrop, QualityRandomCrop
from cliqa.utils.errors import DatasetError


def coordinates(height: int, width: int) -> torch.Tensor:
    """Return an "image" whose two channels are each pixel's row and column."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([rows, columns]).float()


@pytest.mark.parametrize(("height", "width"), [(384, 512), (768, 1024), (224, 224), (225, 1120)])
def test_the_grid_covers_every_pixel(height: int, width: int) -> None:
    crops = GridCrop(size=224, rows=5, columns=5)(coordinates(height, width))
    assert crops.shape == (25, 2, 224, 224)
    seen = torch.zeros(height, width, dtype=torch.bool)
    seen[crops[:, 0].flatten().long(), crops[:, 1].flatten().long()] = True
    assert seen.all()


def test_the_grid_is_evenly_spaced_from_edge_to_edge_row_by_row() -> None:
    crops = GridCrop(size=10, rows=2, columns=3)(coordinates(30, 50))
    corners = crops[:, :, 0, 0].tolist()
    assert corners == [[0, 0], [0, 20], [0, 40], [20, 0], [20, 20], [20, 40]]


def test_a_single_crop_is_centred() -> None:
    crops = GridCrop(size=10, rows=1, columns=1)(coordinates(30, 50))
    assert crops[0, :, 0, 0].tolist() == [10, 20]


@pytest.mark.parametrize("crop", [GridCrop(size=24, rows=2, columns=2), QualityRandomCrop(24)])
def test_a_small_image_is_enlarged_without_zeros(crop: torch.nn.Module) -> None:
    white = torch.full((3, 12, 40), 255, dtype=torch.uint8)
    crops = crop(white)
    assert crops.shape[-2:] == (24, 24)
    assert (crops == 255).all()


@pytest.mark.parametrize(
    "crop", [GridCrop(size=24, small="error"), QualityRandomCrop(24, small="error")]
)
def test_a_small_image_is_refused_if_asked(crop: torch.nn.Module) -> None:
    with pytest.raises(DatasetError, match=r"40 x 12 pixels, the crop 24 x 24.*small='upscale'"):
        crop(torch.zeros(3, 12, 40, dtype=torch.uint8))


def test_the_random_crop_reaches_every_corner_at_the_images_own_scale() -> None:
    torch.manual_seed(0)
    crop = QualityRandomCrop(size=4)
    source = coordinates(6, 5)
    corners = set()
    for _ in range(100):
        piece = crop(source)
        top, left = (int(value) for value in piece[:, 0, 0])
        assert torch.equal(piece, source[:, top : top + 4, left : left + 4])
        corners.add((top, left))
    assert corners == {(top, left) for top in range(3) for left in range(2)}


def test_the_random_crop_follows_torchs_seed() -> None:
    source = coordinates(60, 50)
    pieces = []
    for _ in range(2):
        torch.manual_seed(3)
        pieces.append(QualityRandomCrop(size=4)(source))
    assert torch.equal(*pieces)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "size must be at least 1 pixel, got 0"),
        ({"small": "pad"}, "small must be 'upscale' or 'error', got 'pad'"),
        ({"rows": 0}, "rows and columns must be at least 1, got 0 and 5"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GridCrop(**arguments)


def test_the_arguments_are_shown() -> None:
    assert repr(QualityRandomCrop(8)) == "QualityRandomCrop(size=8, small='upscale')"
    assert repr(GridCrop(8)) == "GridCrop(size=8, rows=5, columns=5, small='upscale')"
