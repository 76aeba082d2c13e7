"""The scores of a data set's images, and the checks that every label file must pass."""

from __future__ import annotations

import logging
import math
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cliqa.datasets.labels.columns import joined_columns, picked_entries
from cliqa.utils.errors import ConfigError, DatasetError
from cliqa.utils.mistakes import Mistakes

logger = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")

_NO_NAME = re.compile("\0|[\ud800-\udc7f\udd00-\udfff]|[^/]{256}|.{4000}")
"""Names that file systems refuse: with NUL, half a character, or too long."""


_COLUMNS = ("raw", "std", "groups", "splits", "rows", "sources", "shares")
"""Columns with an entry for each image, beside the images' names."""


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """The labels of N images, from a label file.

    Attributes:
        images: Paths relative to the image folder, with ``/`` between folders.
        raw: float64 (N,), the scores in the file's own units.
        rows: Row numbers in the label file, from 1, for messages.
        source: The label file.
        std: float64 (N,), the raters' standard deviation in the units of `raw`, or None.
        groups: The reference image or the prompt of each image, or None.
        splits: ``"train"``, ``"val"`` or ``"test"`` for each image, or None where the file has no
            split.
        sources: Each row's label file where there are several, or None.
        shares: float64 (N, V), the share of an image's raters that gave each of the V ratings; rows
            sum to 1. None where the file does not tell.
        ratings: The V ratings in the units of `raw`, rising.
        score_name: The scores' name in a user's file; empty for official formats.
        attributes: What else is known of each image, such as its ``distortion``, by the attribute;
            ``""`` for an image of which it is not known.

    Raises:
        DatasetError: The columns differ in length.
    """

    images: tuple[str, ...]
    raw: np.ndarray
    rows: tuple[int, ...]
    source: Path
    std: np.ndarray | None = None
    groups: tuple[str, ...] | None = None
    splits: tuple[str, ...] | None = None
    sources: tuple[Path, ...] | None = None
    score_name: str = ""
    shares: np.ndarray | None = None
    ratings: tuple[float, ...] = ()
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _COLUMNS:
            column = getattr(self, name)
            if column is not None and len(column) != len(self.images):
                raise DatasetError(
                    f"{self.source}: {len(column)} entries of '{name}' for {len(self.images)} "
                    "images. Give one for each image."
                )

    def __len__(self) -> int:
        return len(self.images)

    def where(self, index: int) -> str:
        """Return the file and the row of the row at `index`, as a message begins."""
        source = self.sources[index] if self.sources is not None else self.source
        return f"{source}, row {self.rows[index]}"

    def take(self, indices: Iterable[int]) -> ScoreTable:
        """Return the rows at `indices`, in their order."""
        picked = list(indices)
        found = {
            name: picked_entries(getattr(self, name), picked) for name in ("images", *_COLUMNS)
        }
        known = {name: picked_entries(column, picked) for name, column in self.attributes.items()}
        return replace(self, **found, attributes=known)


def join_tables(tables: Sequence[ScoreTable]) -> ScoreTable:
    """Return the rows of several label files as one table; a column that one lacks is dropped."""
    std, groups, splits = (
        joined_columns([getattr(table, name) for table in tables])
        for name in ("std", "groups", "splits")
    )
    rated_alike = len({table.ratings for table in tables}) == 1
    return ScoreTable(
        images=tuple(image for table in tables for image in table.images),
        raw=np.concatenate([table.raw for table in tables]),
        std=std,
        groups=groups,
        splits=splits,
        rows=tuple(row for table in tables for row in table.rows),
        source=tables[0].source,
        sources=tuple(table.source for table in tables for _ in table.rows),
        score_name=tables[0].score_name,
        shares=joined_columns([table.shares for table in tables]) if rated_alike else None,
        ratings=tables[0].ratings if rated_alike else (),
        attributes={
            name: tuple(value for table in tables for value in table.attributes[name])
            for name in tables[0].attributes
            if all(name in table.attributes for table in tables)
        },
    )


def has_suffix(name: str) -> bool:
    """Return whether a name ends with a suffix, which has a letter: ``v1.2`` has none."""
    return re.search("[A-Za-z]", posixpath.splitext(name)[1]) is not None


def with_suffix(names: Sequence[str], suffix: str = ".jpg") -> tuple[str, ...]:
    """Return image names, with `suffix` after those that have none.

    >>> with_suffix(["a", "b.png"])
    ('a.jpg', 'b.png')
    """
    return tuple(name if has_suffix(name) else f"{name}{suffix}" for name in names)


def check_range(score_range: Sequence[float], where: str) -> tuple[float, float]:
    """Return a declared score range as two floats, low < high.

    Raises:
        ConfigError: It is not two finite numbers in rising order.
    """
    try:
        low, high = (float(bound) for bound in score_range)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{where}: score_range must be two numbers (low, high), got {score_range!r}."
        ) from error
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ConfigError(f"{where}: score_range must rise from low to high, got {score_range!r}.")
    return low, high


def check_table(table: ScoreTable, score_range: tuple[float, float] | None) -> ScoreTable:
    """Return a label file's table, checked, with clean names and without repeated identical rows.

    Args:
        table: The table as it was read.
        score_range: The declared (low, high); None where it is not known yet.

    Raises:
        DatasetError: With a line for each of these: no row; an empty image name; an image twice
            with different labels; a score that is not finite or outside the range; a bad std or
            split; a group in two splits.
    """
    if not len(table):
        raise DatasetError(f"{table.source}: no labelled image. Add the labels.")
    mistakes = Mistakes()
    with mistakes.noted():
        check_scores(table, score_range)
    for check in (_check_std, _check_splits):
        with mistakes.noted():
            check(table)
    with mistakes.noted():
        table = replace(table, images=_clean_names(table))
        table = _without_repeats(table)
        _check_groups(table)
    mistakes.raise_as(DatasetError)
    return table


def check_scores(table: ScoreTable, score_range: tuple[float, float] | None) -> None:
    """Check that the scores are finite and within the declared range, if it is known.

    Raises:
        DatasetError: One is not.
    """
    bad = np.flatnonzero(~np.isfinite(table.raw))
    if bad.size:
        raise DatasetError(
            f"{table.where(bad[0])}: score {table.raw[bad[0]]} is not finite"
            f"{_others(bad)}. Remove such rows, or fill in their scores."
        )
    if score_range is None:
        return
    low, high = score_range
    bad = np.flatnonzero((table.raw < low) | (table.raw > high))
    if bad.size:
        wider = min(low, math.floor(table.raw.min())), max(high, math.ceil(table.raw.max()))
        raise DatasetError(
            f"{table.where(bad[0])}: score {table.raw[bad[0]]:g} is outside the declared range "
            f"{low:g}..{high:g}{_others(bad)}. Set score_range=({exact(wider[0])}, "
            f"{exact(wider[1])}) in the data set's config if the file is right."
        )


def exact(number: float) -> str:
    """Return a number with all digits that matter, for an option to copy.

    >>> exact(5.0), exact(1234567.0), exact(0.1 + 0.2)
    ('5', '1234567', '0.3')
    """
    return f"{number:.12g}"


def _others(bad: np.ndarray) -> str:
    return f" (and {bad.size - 1} more rows)" if bad.size > 1 else ""


def _clean_names(table: ScoreTable) -> tuple[str, ...]:
    """Return the image names with plain slashes and without detours."""
    if not all(table.images):
        index = table.images.index("")
        raise DatasetError(f"{table.where(index)}: the image has no name. Fill it in.")
    for index, name in enumerate(table.images):
        if _NO_NAME.search(name):
            raise DatasetError(
                f"{table.where(index)}: '{ascii(name)[1:61]}...' cannot be a file name. Correct it."
            )
    if not any("\\" in name or "./" in name or "//" in name for name in table.images):
        return table.images
    return tuple(posixpath.normpath(name.replace("\\", "/")) for name in table.images)


def _check_std(table: ScoreTable) -> None:
    if table.std is None:
        return
    bad = np.flatnonzero(~(np.isfinite(table.std) & (table.std >= 0.0)))
    if bad.size:
        raise DatasetError(
            f"{table.where(bad[0])}: standard deviation {table.std[bad[0]]:g} is not a finite "
            f"number of at least 0{_others(bad)}. Correct it, or drop the column."
        )


def _check_splits(table: ScoreTable) -> None:
    if table.splits is None or set(table.splits) <= set(SPLITS):
        return
    index = next(i for i, split in enumerate(table.splits) if split not in SPLITS)
    raise DatasetError(
        f"{table.where(index)}: unknown split '{table.splits[index]}'. Write {', '.join(SPLITS)}."
    )


def _without_repeats(table: ScoreTable) -> ScoreTable:
    """Drop rows that repeat an earlier row; raise if they contradict it."""
    if len(set(table.images)) == len(table):
        return table
    first: dict[str, int] = {}
    for index, image in enumerate(table.images):
        _check_same(table, first.setdefault(image, index), index)
    logger.warning("%s: %d repeated rows left out.", table.source, len(table) - len(first))
    return table.take(first.values())


def _check_same(table: ScoreTable, first: int, second: int) -> None:
    """Raise a DatasetError if two rows of one image differ."""
    image = table.images[first]
    if table.splits is not None and table.splits[first] != table.splits[second]:
        raise DatasetError(
            f"{table.where(second)}: image '{image}' is in the split '{table.splits[second]}' and "
            f"also in '{table.splits[first]}' ({table.where(first)}). The splits overlap: remove "
            "it from one of them."
        )
    same_std = table.std is None or table.std[first] == table.std[second]
    same_group = table.groups is None or table.groups[first] == table.groups[second]
    if table.raw[first] != table.raw[second] or not same_std or not same_group:
        raise DatasetError(
            f"{table.where(second)}: image '{image}' was labelled before ({table.where(first)}) "
            "with other values. Keep one of the two rows."
        )


def _check_groups(table: ScoreTable) -> None:
    """Raise a DatasetError if a group's images are in more than one split.

    Images of one reference or prompt resemble each other: parted, they inflate the test's result.
    """
    if table.groups is None or table.splits is None:
        return
    first: dict[str, int] = {}
    for index, group in enumerate(table.groups):
        start = first.setdefault(group, index)
        if table.splits[start] != table.splits[index]:
            raise DatasetError(
                f"{table.where(index)}: '{group}' has images in the split '{table.splits[index]}' "
                f"and in '{table.splits[start]}' ({table.where(start)}). Keep the images of one "
                "reference or prompt in one split."
            )
