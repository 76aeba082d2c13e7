"""Write a CLEAR tree: a new folder that is there wholly or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from tqdm import tqdm

from cliqa.datasets.clear.layout import CLASS_NAMES, INDEX
from cliqa.datasets.storage import folder_at_once, give_name
from cliqa.utils.errors import ConfigError, DatasetError
from cliqa.utils.io import named_error, to_json, write_json, write_text

Copy = Literal["copy", "link"]
"""How an image comes into the new folder: as a copy, or as a hard link that takes no space."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class PlacedImage:
    """An image on its way into a tree.

    Attributes:
        image_id: Its id, unique in its bucket.
        suffix: The end of its file's name, e.g. ``".jpg"``.
        record: Its metadata; where it lies is filled in.
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


def check_copy(copy: str) -> None:
    """Check how images are to be copied.

    Raises:
        ConfigError: It is neither way.
    """
    if copy not in ("copy", "link"):
        raise ConfigError(f"copy must be 'copy' or 'link', got {copy!r}.")


def check_buckets(buckets: object) -> None:
    """Check a number of buckets.

    Raises:
        ConfigError: It is no whole number, or below 1.
    """
    if type(buckets) is not int or buckets < 1:
        raise ConfigError(f"buckets must be a whole number >= 1, got {buckets!r}.")


def copy_image(source: Path, copy: Copy, target: Path) -> None:
    """Bring an image file to its place; a link becomes a copy where links are not to be had.

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


@contextlib.contextmanager
def fresh_folder(out: Path) -> Iterator[Path]:
    """Open a temporary folder that becomes `out` once the block has ended well.

    Args:
        out: The folder to make; it may be there and empty.

    Yields:
        The temporary folder, beside `out`. If the block raises, it is removed.

    Raises:
        DatasetError: `out` is in use, or cannot be written to.
    """
    _check_free(out)
    with folder_at_once(out) as temporary:
        with named_error(out, temporary):
            yield temporary
        try:
            give_name(temporary, out)
        except OSError:
            _check_free(out)  # another process may have written it meanwhile
            raise


def _check_free(out: Path) -> None:
    """Refuse a folder that holds something."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatasetError(f"{out} is there already. Choose a new folder, or delete this one.")


def progress(total: int, title: str) -> tqdm[Any]:
    """Return a bar over images, which shows itself where somebody watches and it takes long."""
    return tqdm(
        total=total, desc=f"writing {title}", unit="image", delay=3.0, disable=None, leave=False
    )


def check_ids(placed: Placed) -> None:
    """Check that no image id is twice in a bucket.

    Raises:
        DatasetError: One is.
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
    folder: Path, class_names: Sequence[str], placed: Placed, bar: tqdm[Any] | None = None
) -> None:
    """Write images, their metadata and the classes: the old layout, or a half of the new one.

    Args:
        folder: A new folder.
        class_names: The K classes.
        placed: The images by bucket and class.
        bar: Moves by one an image.
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
    folder: Path, place: str, images: Sequence[PlacedImage], bar: tqdm[Any] | None
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
