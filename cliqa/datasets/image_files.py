"""Matching labels with image files: the image folder, missing files, unreadable files."""

from __future__ import annotations

import logging
import os
import posixpath
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cliqa.datasets.image_listing import find_path, to_nfc
from cliqa.datasets.labels.table import ScoreTable
from cliqa.utils.errors import DatasetError

logger = logging.getLogger(__name__)

_LISTED = 5
_PROBED = 20


def find_folder(
    root: Path, candidates: Sequence[str], images: Sequence[str], where: str, advice: str
) -> Path:
    """Return the folder of the images: of those that exist, the one that holds the first images.

    `candidates` are in the order of preference; ``""`` is the root itself. `where` and `advice` are
    the beginning and the end of the error message.

    Raises:
        DatasetError: None of the folders exists.
    """
    folders = [find_path(root / candidate) for candidate in candidates]
    there = [folder for folder in folders if folder.is_dir()]
    if not there:
        tried = " or ".join(str(folder) for folder in folders)
        raise DatasetError(f"{where}: no image folder {tried} (from {Path.cwd()}).{advice}")
    probed = images[:_PROBED]
    for folder in there:
        if any((folder / image).exists() for image in probed):
            return folder
    for folder in there:  # a listing takes longer, and finds names that the disk spells otherwise
        if any(match_images(folder, probed)):
            return folder
    return there[0]


def match_images(folder: Path, images: Sequence[str]) -> list[str | None]:
    """Return each image's path as the disk spells it, or None where there is no such file.

    One listing per folder is read, whatever the number of images. A name that is there only in
    another form of Unicode (an accent apart from its letter), or with other capitals
    (``i25_01_1.bmp`` for ``I25_01_1.BMP``), counts if no other image claims it.
    """
    parents: dict[str, str] = {}
    listings: dict[str, set[str]] = {}
    matched: list[str | None] = []
    lost: list[int] = []
    for index, image in enumerate(images):
        parent, _, name = image.rpartition("/")
        if parent not in parents:
            parents[parent] = _spelt(folder, parent)
            listings[parent] = _listing(folder / parents[parent])
        if name not in listings[parent]:
            matched.append(None)
            lost.append(index)
        else:
            spelt = parents[parent]
            matched.append(image if spelt == parent else posixpath.join(spelt, name))
    for alike in (to_nfc, _to_nfc_lower):
        if lost:
            lost = _match_alike(alike, parents, listings, images, matched, lost)
    return matched


def _spelt(folder: Path, parent: str) -> str:
    """Return a folder's path relative to another as the disk spells it."""
    if not parent or parent.isascii():
        return parent
    found = find_path(folder / parent)
    absolute = Path(parent).is_absolute()
    return found.as_posix() if absolute else found.relative_to(folder).as_posix()


def _listing(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return set()


def _to_nfc_lower(name: str) -> str:
    """Return a name in one form of Unicode and without capitals, for comparison."""
    return to_nfc(name).lower()


def _match_alike(
    alike: Callable[[str], str],
    parents: Mapping[str, str],
    listings: Mapping[str, set[str]],
    images: Sequence[str],
    matched: list[str | None],
    lost: Sequence[int],
) -> list[int]:
    """Fill in, for the images at `lost`, the only file whose name is alike; return the rest."""
    claimed = {*images, *(path for path in matched if path is not None)}
    files: dict[str, dict[str, list[str]]] = {}
    rest: list[int] = []
    for index in lost:
        parent, _, name = images[index].rpartition("/")
        if parent not in files:
            files[parent] = {}
            for other in sorted(listings[parent]):
                path = posixpath.join(parents[parent], other)
                if path not in claimed:
                    files[parent].setdefault(alike(other), []).append(path)
        candidates = files[parent].get(alike(name), [])
        if len(candidates) == 1:
            matched[index] = candidates.pop()
        else:
            rest.append(index)
    return rest


def join_paths(folder: Path, images: Sequence[str | None]) -> list[str]:
    """Return the images' paths with the folder before them; an absolute path stays as it is.

    Plain concatenation, as `os.path.join` takes a second for AVA's 255 530 images.
    """
    parent = str(folder)
    return [
        os.path.join(parent, image or "")
        if not image or image[0] == "/" or ":" in image
        else f"{parent}/{image}"
        for image in images
    ]


def describe_missing(table: ScoreTable, folder: Path, missing: Sequence[int]) -> str:
    """Return how many images are missing, and the first five of them with their rows."""
    listed = ", ".join(f"{table.images[i]} (row {table.rows[i]})" for i in missing[:_LISTED])
    more = f" and {len(missing) - _LISTED} more" if len(missing) > _LISTED else ""
    text = f"{folder}: {len(missing)} of {len(table)} images of {table.source} are missing: "
    text += listed + more + "."
    if len(missing) == len(table):
        there = sorted(os.listdir(folder))[:3] if folder.is_dir() else []
        text += f" The folder holds {', '.join(there) if there else 'nothing'}."
    return text


def without_unreadable(bad: Mapping[int, str], count: int, name: str) -> list[int]:
    """Return the places of the images that can be decoded, and log how many are left out.

    `bad` is the result of `unreadable`, and `name` the data set's.

    Raises:
        DatasetError: None can be decoded.
    """
    if bad:
        text = f"{name}: {len(bad)} of {count} images cannot be decoded. The first: {bad[min(bad)]}"
        if len(bad) == count:
            raise DatasetError(text)
        logger.warning("%s They are left out.", text)
    return [index for index in range(count) if index not in bad]


def unreadable(
    read: Callable[[int], object], count: int, name: str, workers: int | None = None
) -> dict[int, str]:
    """Decode every image once and return the reasons of those that fail, by index.

    `read` decodes the image at an index, or raises a DatasetError; decoding releases Python's lock.
    """

    def attempt(index: int) -> str | None:
        try:
            read(index)
        except DatasetError as error:
            return str(error)
        return None

    logger.info("%s: checking that %d images can be decoded.", name, count)
    with ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1)) as pool:
        reasons = pool.map(attempt, range(count))
        return {index: reason for index, reason in enumerate(reasons) if reason is not None}
