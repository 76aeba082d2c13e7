"""Images that two data sets have in common."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from cliqa.datasets.base import QualityDataset
from cliqa.datasets.content_index import open_index
from cliqa.utils.errors import DatasetError

Place = tuple[int, int]
"""(position of the data set, index of the image in it)."""


class SharedImage(NamedTuple):
    """One image that at least two data sets hold.

    Attributes:
        key: The identity key (``ava/12345``), or ``sha256:...`` of the files' equal content.
        places: Where it is, in the order of the sequence that was searched.
    """

    key: str
    places: tuple[Place, ...]

    def by_dataset(self) -> dict[int, list[int]]:
        """Return the indices of the image in each data set that holds it."""
        indices: dict[int, list[int]] = defaultdict(list)
        for position, index in self.places:
            indices[position].append(index)
        return dict(indices)


def find_shared(datasets: Sequence[QualityDataset], by_content: bool = True) -> list[SharedImage]:
    """Return the images that data sets share, by identity and, if asked, by content.

    Of the files only the sizes are looked at, except those whose size occurs in two data sets:
    these are read, once: `ContentIndex` remembers them. There is one row per image, however many
    copies of it there are; an image whose copies were all found by their key is not listed again
    for its content.

    Raises:
        DatasetError: An image file cannot be read.
    """
    by_key: dict[str, list[Place]] = defaultdict(list)
    for position, dataset in enumerate(datasets):
        for index, key in enumerate(dataset.keys):
            by_key[key].append((position, index))
    shared = _held_twice(by_key)
    if by_content:
        row_of = {place: row for row, image in enumerate(shared) for place in image.places}
        for image in _held_twice(_by_hash(datasets)):
            rows = {row_of.get(place) for place in image.places}
            if len(rows) > 1 or None in rows:
                shared.append(image)
    return shared


def _held_twice(places: Mapping[str, Sequence[Place]]) -> list[SharedImage]:
    """Return the images that are in at least two data sets."""
    return [
        SharedImage(key, tuple(holders))
        for key, holders in places.items()
        if len({position for position, _ in holders}) > 1
    ]


def _by_hash(datasets: Sequence[QualityDataset]) -> dict[str, list[Place]]:
    """Return the places of each file content, of those whose size occurs in two data sets."""
    by_size: dict[int, list[Place]] = defaultdict(list)
    for position, dataset in enumerate(datasets):
        for index, file in enumerate(dataset.files):
            by_size[_size(file)].append((position, index))
    by_hash: dict[str, list[Place]] = defaultdict(list)
    equal = [holders for holders in by_size.values() if len({place[0] for place in holders}) > 1]
    with open_index() as contents:
        for position, number in chain.from_iterable(equal):
            digest = contents.sha256(datasets[position].files[number])
            by_hash[f"sha256:{digest.hex()}"].append((position, number))
    return by_hash


def _size(file: str) -> int:
    try:
        return os.stat(file).st_size
    except OSError as error:
        raise DatasetError(f"{file}: cannot be read ({error}).") from error
