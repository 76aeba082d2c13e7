"""A CLEAR data set from a folder of images with one folder for each class."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from PIL import ExifTags

from cliqa.config.suggest import listed
from cliqa.datasets.clear.prepare import write_training_folder
from cliqa.datasets.clear.writing import (
    Copy,
    PlacedImage,
    check_options,
    copy_image,
    cut,
    write_part,
)
from cliqa.datasets.image_listing import find_path, list_folders, list_images, log_others
from cliqa.datasets.storage import new_folder, progress
from cliqa.transforms.image_file import open_image
from cliqa.utils.errors import ConfigError, DatasetError
from cliqa.utils.paths import home_path

logger = logging.getLogger(__name__)

Order = Literal["date", "name"]

Files = dict[str, dict[str, list[Path]]]
"""Image files by bucket and class."""


def from_folder(
    folder: str | Path,
    out: str | Path,
    *,
    buckets: int = 10,
    order: Order = "date",
    copy: Copy = "copy",
) -> None:
    """Write a prepared data set in the old layout from a folder of labelled images.

    The folder is either ``FOLDER/<bucket>/<class>/images``, with whole numbers as buckets, or
    ``FOLDER/<class>/images``. In the latter case each class is cut into consecutive buckets whose
    sizes differ by one at most.

    Args:
        folder: The labelled folder; it is only read.
        out: A new folder.
        buckets: Number of buckets to cut, if the folder has none.
        order: Order of the images: by the ``"date"`` on which one was taken (EXIF
            DateTimeOriginal, else DateTime), or by file ``"name"``, in natural order (2 before 10).
        copy: ``"copy"`` or ``"link"`` the images (a copy where links are impossible).

    Raises:
        ConfigError: An argument is out of range.
        DatasetError: The folder has another form, an image has no date, a class has fewer images
            than there are buckets, or `out` is not empty.
    """
    check_options(copy, buckets)
    if order not in ("date", "name"):
        raise ConfigError(f"order must be 'date' or 'name', got {order!r}.")
    source, out = find_path(home_path(folder)), home_path(out)
    files = _find_buckets(source)
    if files is None:
        classes = _find_classes(source)
        files = _cut_classes(source, classes, buckets, order)
    class_names = sorted({name for own in files.values() for name in own})
    ids = _assign_ids([path for own in files.values() for paths in own.values() for path in paths])
    placed = {
        bucket: {name: _place(source, own.get(name, []), ids, copy) for name in class_names}
        for bucket, own in files.items()
    }
    with new_folder(out) as temporary:
        with progress(len(ids), str(out)) as bar:
            write_part(temporary, class_names, placed, bar)
        write_training_folder(temporary)
    logger.info("Wrote %d images of %d classes to %s.", len(ids), len(class_names), out)


def _find_buckets(source: Path) -> Files | None:
    """Return the files of ``FOLDER/<bucket>/<class>``, or None where the folder has no buckets."""
    if not source.is_dir():
        raise DatasetError(f"{source}: no such folder (from {Path.cwd()}).")
    names = list_folders(source)
    if not names:
        raise DatasetError(
            f"{source}: no folder in it. Expected FOLDER/<class>/ or FOLDER/<bucket>/<class>/."
        )
    buckets = [name for name in names if name.isdecimal() and list_folders(source / name)]
    if not buckets:
        return None
    other = [name for name in names if name not in buckets]
    if other:
        raise DatasetError(
            f"{source}: {buckets[0]} is a bucket, but {listed(other, 5)} is none. Buckets are "
            "whole numbers and hold a folder for each class."
        )
    if len(set(map(int, buckets))) < len(buckets):
        raise DatasetError(f"{source}: a bucket occurs twice, e.g. as 1 and 01. Rename one.")
    return {name: _find_classes(source / name) for name in sorted(buckets, key=int)}


def _find_classes(source: Path) -> dict[str, list[Path]]:
    """Return the image files of ``FOLDER/<class>``, by class; each must have some."""
    classes = {}
    others: list[str] = []
    for folder in map(source.joinpath, list_folders(source)):
        images = list(map(Path, list_images(folder, others, recursive=False)))
        if not images:
            raise DatasetError(f"{folder}: no image in it. Fill the folder, or remove it.")
        if not _is_plain(folder.name):
            raise DatasetError(
                f"{str(folder)!r}: a class of this name cannot be written to a text file: it is "
                "not UTF-8, or holds a line break. Rename the folder."
            )
        classes[folder.name] = sorted(images, key=natural_key)
    log_others(source, others)
    return classes


def natural_key(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Return a key that sorts file names in natural order.

    >>> [path.name for path in sorted([Path("a10.png"), Path("a9.png")], key=natural_key)]
    ['a9.png', 'a10.png']
    """
    pieces = re.findall(r"\d+|\D+", path.name)
    keys = [(0, int(p), "") if p.isdecimal() else (1, 0, p.lower()) for p in pieces]
    return keys, path.name


def _cut_classes(
    source: Path, classes: Mapping[str, list[Path]], buckets: int, order: Order
) -> Files:
    """Return the files of each class in consecutive buckets, none of them empty."""
    files: Files = {str(k + 1): {} for k in range(buckets)}
    for name, paths in classes.items():
        if len(paths) < buckets:
            raise DatasetError(
                f"{source / name}: {len(paths)} images cannot fill {buckets} buckets. Set "
                f"buckets={len(paths)} (--buckets {len(paths)}) or less."
            )
        if order == "date":
            dates = {path: read_date(path) for path in paths}
            undated = [path.name for path, date in dates.items() if date is None]
            if undated:
                raise DatasetError(
                    f"{source / name}: {len(undated)} of {len(paths)} images have no date in their "
                    f"EXIF data: {listed(undated, 5)}. Set order='name' (--order name) to sort by "
                    "the files' names."
                )
            paths = sorted(paths, key=lambda path: dates[path] or "")
        for own, piece in zip(files.values(), cut(paths, buckets), strict=True):
            own[name] = piece
    return files


def read_date(path: Path) -> str | None:
    """Return when an image was taken, ``2004-05-01 12:00:00``, or None if it has no date.

    Raises:
        DatasetError: The file is not an image.
    """
    with open_image(path) as image:
        exif = image.getexif()
        taken = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal)
        text = str(taken or exif.get(ExifTags.Base.DateTime) or "")
    match = re.match(r"(\d{4})[:-](\d\d)[:-](\d\d)(?: (\d\d:\d\d:\d\d))?", text)
    if match is None or match[1] == "0000":  # cameras whose clock was never set
        return None
    return f"{match[1]}-{match[2]}-{match[3]} {match[4] or '00:00:00'}"


def _assign_ids(paths: Sequence[Path]) -> dict[Path, str]:
    """Return each image's id: its name; numbers where names repeat, or one fits no text file."""
    names = Counter(path.stem for path in paths)
    if max(names.values()) == 1 and all(map(_is_plain, names)):
        return {path: path.stem for path in paths}
    return {path: f"{number:06d}" for number, path in enumerate(paths, start=1)}


def _is_plain(name: str) -> bool:
    """Return whether a name can be written in a line of a UTF-8 file."""
    return not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name)


def _place(
    source: Path, paths: Sequence[Path], ids: Mapping[Path, str], copy: Copy
) -> list[PlacedImage]:
    """Return the images of one bucket and class with their metadata."""
    return [
        PlacedImage(
            ids[path],
            path.suffix,
            {
                "ID": ids[path],
                "EXT": path.suffix.removeprefix("."),
                "DATE_TAKEN": read_date(path),
                "SOURCE": path.relative_to(source).as_posix(),
            },
            partial(copy_image, path, copy),
        )
        for path in paths
    ]
