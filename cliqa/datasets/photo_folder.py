"""A folder of a user's photographs, looked for before anything slow is imported."""

from __future__ import annotations

from pathlib import Path

from cliqa.datasets.image_listing import find_path, list_images, log_others
from cliqa.transforms.image_file import IMAGE_SUFFIXES
from cliqa.utils.errors import DatasetError
from cliqa.utils.paths import home_path

LEAST_PHOTOS = 9
"""Train, val and test of three data sets share no photograph."""


def find_photos(folder: str | Path, wanted: int = LEAST_PHOTOS) -> list[Path]:
    """Return the image files of a folder (not of its subfolders), sorted by name.

    Raises:
        DatasetError: There is no such folder, or it has fewer images than `wanted`.
    """
    path = find_path(home_path(folder))
    if not path.is_dir():
        raise DatasetError(
            f"photos: no folder {path} (from {Path.cwd()}). Set scenario.generate.photos to one "
            f"with at least {wanted} photographs, or leave photos out to have scenes painted."
        )
    others: list[str] = []
    found = sorted(map(Path, list_images(path, others, recursive=False)))
    log_others(path, others)
    if not found:
        raise DatasetError(
            f"photos: no image in {path}. Files that end with {', '.join(IMAGE_SUFFIXES)} "
            "count, those in subfolders do not."
        )
    if len(found) < wanted:
        raise DatasetError(
            f"photos: {path} has {len(found)} photographs, at least {wanted} are needed: train, "
            "val and test of three data sets share none. Add photographs, or leave photos out to "
            "have scenes painted."
        )
    return found
