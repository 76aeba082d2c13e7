"""Write images, metadata and class names in CLEAR's layout."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from cliqa.datasets.clear.layout import CLASS_NAMES, INDEX
from cliqa.utils.errors import ConfigError, DatasetError
from cliqa.utils.io import to_json, write_json, write_text
from cliqa.utils.progress import Phase

Copy = Literal["copy", "link"]
"""How images get into the new folder: as copies, or as hard links, which take no space."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class PlacedImage:
    """An image to be written.

    Attributes:
        image_id: Its id, unique in its bucket.
        suffix: Of its file, e.g. ``".jpg"``.
        record: Its metadata; its path is filled in.
        write: Writes the image file to a path.
    """

    image_id: str
    suffix: str
    record: Mapping[str, Any]
    write: Callable[[Path], object]


Placed = Mapping[str, Mapping[str, Sequence[PlacedImage]]]
"""Images by bucket and class."""


def cut(items: Sequence[Item], count: int) -> list[list[Item]]:
    """Cut a sequence into consecutive pieces whose sizes differ by one at most, larger ones first.

    >>> cut([1, 2, 3, 4, 5], 2)
    [[1, 2, 3], [4, 5]]
    """
    size, extra = divmod(len(items), count)
    starts = [k * size + min(k, extra) for k in range(count + 1)]
    return [list(items[starts[k] : starts[k + 1]]) for k in range(count)]


def check_options(copy: object, buckets: object) -> None:
    """Check how images are copied and into how many buckets they are cut.

    Raises:
        ConfigError: `copy` is neither way, or `buckets` is not a whole number >= 1.
    """
    if copy not in ("copy", "link"):
        raise ConfigError(f"copy must be 'copy' or 'link', got {copy!r}.")
    if type(buckets) is not int or buckets < 1:
        raise ConfigError(f"buckets must be a whole number >= 1, got {buckets!r}.")


def copy_image(source: Path, copy: Copy, target: Path) -> None:
    """Copy an image file; a link becomes a copy where links are impossible.

    Raises:
        DatasetError: There is no such file.
    """
    try:
        if copy == "link":
            with contextlib.suppress(OSError):  # another device, or a file system without links
                os.link(source, target)
                return
        shutil.copyfile(source, target)
    except FileNotFoundError as error:
        raise DatasetError(f"{source}: no such image file, but the metadata list it.") from error


def check_ids(placed: Placed) -> None:
    """Check that no image id occurs twice in a bucket.

    Raises:
        DatasetError: One does.
    """
    for bucket, classes in placed.items():
        seen: dict[str, str] = {}
        for name, images in classes.items():
            for image in images:
                if image.image_id in seen:
                    raise DatasetError(
                        f"image id {image.image_id} would be twice in bucket {bucket} (classes "
                        f"'{seen[image.image_id]}' and '{name}'). Leave one of the two out."
                    )
                seen[image.image_id] = name


def write_part(
    folder: Path, class_names: Sequence[str], placed: Placed, bar: Phase | None = None
) -> None:
    """Write images, metadata and classes into a new folder: the old layout, or a part of the new.

    `bar` advances by one for each image.
    """
    index: dict[str, dict[str, str]] = {}
    for bucket, classes in placed.items():
        index[bucket] = {}
        for name in class_names:
            file = f"labeled_metadata/{bucket}/{name}.json"
            records = _write_images(folder, f"labeled_images/{bucket}/{name}", classes[name], bar)
            write_text(folder / file, to_json(records, allow_nan=True))
            index[bucket][name] = file
    write_json(folder / INDEX, index)
    write_text(folder / CLASS_NAMES, "\n".join(class_names))  # as published: no newline ends it


def _write_images(
    folder: Path, place: str, images: Sequence[PlacedImage], bar: Phase | None
) -> dict[str, dict[str, Any]]:
    """Write the images of one class and return their records by id."""
    (folder / place).mkdir(parents=True, exist_ok=True)
    records = {}
    for image in images:
        path = f"{place}/{image.image_id}{image.suffix}"
        image.write(folder / path)
        records[image.image_id] = {**image.record, "IMG_DIR": place, "IMG_PATH": path}
        if bar is not None:
            bar.update()
    return records
