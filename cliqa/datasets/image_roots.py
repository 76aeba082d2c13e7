"""Images of one label file that lie in several folders."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cliqa.datasets.image_files import match_images
from cliqa.datasets.image_listing import find_path
from cliqa.datasets.labels.table import ScoreTable
from cliqa.utils.errors import DatasetError


def placed_in(table: ScoreTable, root: Path, folders: Sequence[str], name: str) -> ScoreTable:
    """Return a table whose images begin with the folder, of several below `root`, that has them.

    An image that none of the folders has keeps its name.

    Args:
        table: The labels.
        root: Base of the folders.
        folders: Relative to `root` or absolute.
        name: The data set's name, for messages.

    Raises:
        DatasetError: A folder does not exist, or an image is in two of them.
    """
    images, first = list(table.images), dict[int, str]()
    for folder in folders:
        path = find_path(root / folder)
        if not path.is_dir():
            raise DatasetError(
                f"{name}: no image folder {path} (from {Path.cwd()}). Correct images={[*folders]}."
            )
        for index, found in enumerate(match_images(path, table.images)):
            if found is None:
                continue
            if index in first:
                raise DatasetError(
                    f"{table.where(index)}: image '{table.images[index]}' is in the folders "
                    f"{first[index]} and {folder}. Write the folder before its name, and set "
                    "images to the folder above both."
                )
            first[index] = folder
            images[index] = posixpath.join(Path(folder).as_posix(), found)
    return replace(table, images=tuple(images))
