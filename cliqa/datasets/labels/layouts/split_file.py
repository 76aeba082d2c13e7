"""Splits in a file of their own: pyiqa's ``*_seed123.pkl``, converted to JSON."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cliqa.datasets.labels.label_file import parse_json, read_text
from cliqa.datasets.labels.table import ScoreTable
from cliqa.registry import closest
from cliqa.utils.errors import DatasetError

logger = logging.getLogger(__name__)

PICKLES = (".pkl", ".pickle")


def read_split_file(path: Path, table: ScoreTable, key: str | int | None = None) -> ScoreTable:
    """Return a label file's table with the splits of a JSON file, called as this calls them.

    The file is ``{"train": [0, 2], "val": [1], "test": [3]}``, or has several of them under keys:
    ``{"1": {"train": ...}, ...}``. An entry is the place of an image in the label file, from 0, or
    its name. Images in none of the splits are left out, which is logged.

    Args:
        path: The file.
        table: The labels.
        key: Which of several splits is meant; None for the first.

    Raises:
        DatasetError: The file is a pickle, is wrong, or names an image that is not there, or one in
            two splits.
    """
    if path.suffix.lower() in PICKLES:
        raise DatasetError(no_pickle(path))
    splits = _chosen(path, parse_json(read_text(path), path), key)
    places = {image: place for place, image in enumerate(table.images)}
    split_of: dict[int, str] = {}
    for split, entries in splits.items():
        for entry in entries:
            place = _place(entry, places)
            if not 0 <= place < len(table):
                raise DatasetError(
                    f"{path}: '{split}' has {entry!r}, and {table.source} has {len(table)} images, "
                    f"from 0 to {len(table) - 1}. Use the split file of this label file."
                )
            if split_of.setdefault(place, split) != split:
                raise DatasetError(
                    f"{path}: the image {entry!r} is in '{split_of[place]}' and in '{split}'. "
                    "Remove it from one of them."
                )
    if len(split_of) < len(table):
        lost = len(table) - len(split_of)
        logger.warning("%s: %d of %d images are in no split.", path, lost, len(table))
    kept = sorted(split_of)
    return replace(table.take(kept), splits=tuple(split_of[place] for place in kept))


def _place(entry: object, places: Mapping[str, int]) -> int:
    """Return the place of an entry of a split, which is a place or a name; -1 for none."""
    if isinstance(entry, str):
        return places.get(entry, -1)
    return entry if isinstance(entry, int) and not isinstance(entry, bool) else -1


def _chosen(path: Path, content: Any, key: str | int | None) -> dict[str, list[Any]]:  # noqa: ANN401
    """Return one split of a file: names of its parts, and what is in them."""
    if isinstance(content, Mapping) and all(isinstance(v, Mapping) for v in content.values()):
        wanted = next(iter(content), "") if key is None else str(key)
        if wanted not in content:
            raise DatasetError(
                f"{path}: no split '{wanted}'.{closest(wanted, content)} It has "
                f"{', '.join(content) or 'none'}. Set split_key to one of them."
            )
        content = content[wanted]
    lists = isinstance(content, Mapping) and all(isinstance(v, list) for v in content.values())
    if not lists or not any(content.values()):
        raise DatasetError(
            f"{path}: not the splits of a data set. Write "
            '{"train": [0, 2], "val": [1], "test": [3]}: places of images in the label file.'
        )
    return {str(name): entries for name, entries in content.items() if entries}


def no_pickle(path: Path) -> str:
    """Return why a pickle is not read, and the line that converts one."""
    new = path.with_suffix(".json")
    code = (
        "import json, pickle, sys; "
        "json.dump(pickle.load(open(sys.argv[1], 'rb')), open(sys.argv[2], 'w'), default=int)"
    )
    return (
        f"{path}: a pickle runs whatever code is in it, and is never read here. If you trust where "
        f"it comes from, convert it yourself: python -c \"{code}\" '{path}' '{new}'. Then name "
        f"{new.name} instead."
    )
