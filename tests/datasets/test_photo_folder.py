"""A folder of photographs: found by name, and refused with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from cliqa.datasets.photo_folder import LEAST_PHOTOS, find_photos
from cliqa.demo_data.campaigns import CAMPAIGNS
from cliqa.utils.errors import DatasetError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with photographs a to d, some other files, and a photograph below it."""
    (tmp_path / "below").mkdir()
    for name in ("b.PNG", "a.jpg", "d.webp", "c.bmp", "._a.jpg", "below/e.jpg"):
        with (tmp_path / name).open("wb") as file:
            Image.new("RGB", (60, 40), (200, 100, 50)).save(file, "PNG")
    (tmp_path / "notes.txt").write_text("notes")
    return tmp_path


def test_images_of_the_folder_itself_are_found_by_name(folder: Path) -> None:
    assert [path.name for path in find_photos(folder, 4)] == ["a.jpg", "b.PNG", "c.bmp", "d.webp"]


def test_folders_without_enough_photographs_are_named(folder: Path) -> None:
    with pytest.raises(DatasetError, match=r"no folder .*missing \(from .*generate\.photos"):
        find_photos(folder / "missing", 1)
    (folder / "empty").mkdir()
    with pytest.raises(DatasetError, match="photos: no image in .*those in subfolders do not"):
        find_photos(folder / "empty", 1)
    with pytest.raises(DatasetError, match="has 4 photographs, at least 9 are needed"):
        find_photos(folder)


def test_every_split_of_every_data_set_has_a_photograph_of_its_own() -> None:
    assert len(("train", "val", "test")) * len(CAMPAIGNS) == LEAST_PHOTOS
