"""The image files that paths, folders and patterns lead to."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

from cliqa.datasets.image_listing import find_path, is_hidden, is_image, list_images, log_others
from cliqa.utils.errors import DatasetError


def find_images(paths: Sequence[str | Path], recursive: bool = False) -> list[Path]:
    """Return the images that files and folders name, sorted within each folder.

    Args:
        paths: Files, taken whatever their suffix, folders, and patterns such as ``set/**/*.jpg``
            (``**`` for any folders), of which the images are taken. How many other files these
            hold is logged; hidden files, and those of operating systems, are skipped.
        recursive: Look into folders' folders too.

    Raises:
        DatasetError: A path does not exist, or a folder or pattern leads to no image.
    """
    found: list[Path] = []
    for path in map(find_path, paths):
        others: list[str] = []
        if path.is_dir():
            inside = sorted(map(Path, list_images(path, others, recursive)))
            log_others(path, others)
            if not inside:
                hint = "" if recursive else " Use --recursive to look into its folders."
                raise DatasetError(f"{path}: no image in this folder.{hint}")
            found.extend(inside)
        elif path.is_file():
            found.append(path)
        elif glob.has_magic(str(path)):
            matched = sorted(_matching(path, others))
            log_others(path, others)
            if not matched:
                raise DatasetError(f"{path}: no image matches this pattern.")
            found.extend(matched)
        else:
            raise DatasetError(f"{path}: no such file or folder.")
    return list(dict.fromkeys(found))


def _matching(pattern: Path, others: list[str]) -> Iterator[Path]:
    """Yield the images that a pattern leads to; the names of other files go to `others`."""
    for path in map(Path, glob.iglob(str(pattern), recursive=True)):
        if not path.is_file() or is_hidden(path.name):
            continue
        if is_image(path.name):
            yield path
        else:
            others.append(path.name)
