"""A folder of photographs: found by name, and refused with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.datasets.photo_folder import LEAST_PHOTOS, find_photos
from cliqa.demo_data.campaigns import CAMPAIGNS
from cliqa.utils.errors import DatasetError


def test_images_of_the_folder_itself_are_found_by_name(photo_folder: Path) -> None:
    assert [path.name for path in find_photos(photo_folder, 4)] == [
        "a.jpg",
        "b.PNG",
        "c.bmp",
        "d.webp",
    ]


def test_folders_without_enough_photographs_are_named(photo_folder: Path) -> None:
    with pytest.raises(DatasetError, match=r"no folder .*missing \(from .*generate\.photos"):
        find_photos(photo_folder / "missing", 1)
    (photo_folder / "empty").mkdir()
    with pytest.raises(DatasetError, match="photos: no image in .*those in subfolders do not"):
        find_photos(photo_folder / "empty", 1)
    with pytest.raises(DatasetError, match="has 4 photographs, at least 9 are needed"):
        find_photos(photo_folder)


def test_every_split_of_every_data_set_has_a_photograph_of_its_own() -> None:
    assert len(("train", "val", "test")) * len(CAMPAIGNS) == LEAST_PHOTOS
