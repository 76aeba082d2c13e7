"""Images that two data sets have in common."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from cliqa.datasets.base import QualityDataset
from cliqa.utils.errors import DatasetError

Place = tuple[int, int]
"""(position of the data set, index of the image in it)."""


class SharedImage(NamedTuple):
    """One image that two data sets hold.

    Attributes:
        key: The identity key (``ava/12345``), or ``sha256:...`` of the files' equal content.
        first: The earlier data set's position in the sequence that was searched.
        first_index: The image's index in it.
        second: The later data set's position.
        second_index: The image's index in it.
    """

    key: str
    first: int
    first_index: int
    second: int
    second_index: int


def find_shared(datasets: Sequence[QualityDataset], by_content: bool = True) -> list[SharedImage]:
    """Return the images that two of the data sets share, by identity and, if asked, by content.

    Of the files only the sizes are looked at, except those whose size occurs in two data sets:
    these are read. There is one row per shared image and pair of data sets; a pair found by its key
    is not listed again for its content.

    Raises:
        DatasetError: An image file cannot be read.
    """
    by_key: dict[str, list[Place]] = defaultdict(list)
    for position, dataset in enumerate(datasets):
        for index, key in enumerate(dataset.keys):
            by_key[key].append((position, index))
    shared = list(_pairs(by_key))
    if by_content:
        known = {row[1:] for row in shared}
        shared += [row for row in _pairs(_by_hash(datasets)) if row[1:] not in known]
    return shared


def _pairs(places: Mapping[str, Sequence[Place]]) -> Iterator[SharedImage]:
    """Yield every pair of places of one key that are in different data sets."""
    for key, holders in places.items():
        for (first, i), (second, j) in combinations(holders, 2):
            if first != second:
                yield SharedImage(key, first, i, second, j)


def _by_hash(datasets: Sequence[QualityDataset]) -> dict[str, list[Place]]:
    """Return the places of each file content, of those whose size occurs in two data sets."""
    by_size: dict[int, list[Place]] = defaultdict(list)
    for position, dataset in enumerate(datasets):
        for index, file in enumerate(dataset.files):
            by_size[_size(file)].append((position, index))
    by_hash: dict[str, list[Place]] = defaultdict(list)
    for holders in by_size.values():
        if len({position for position, _ in holders}) > 1:
            for position, index in holders:
                by_hash[_sha256(datasets[position].files[index])].append((position, index))
    return by_hash


def _size(file: str) -> int:
    try:
        return os.stat(file).st_size
    except OSError as error:
        raise DatasetError(f"{file}: cannot be read ({error}).") from error


def _sha256(file: str) -> str:
    digest = hashlib.sha256()
    try:
        with open(file, "rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise DatasetError(f"{file}: cannot be read ({error}).") from error
    return f"sha256:{digest.hexdigest()}"
