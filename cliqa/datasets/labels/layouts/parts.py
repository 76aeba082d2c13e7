"""The label files of one data set: one, several that are merged, or one for every split."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from cliqa.datasets.labels.layouts.layout import layout_of
from cliqa.datasets.labels.layouts.split_file import read_split_file
from cliqa.datasets.labels.score_columns import USUAL, read_scores
from cliqa.datasets.labels.table import SPLITS, ScoreTable, join_tables
from cliqa.datasets.splits import with_known_splits
from cliqa.utils.errors import ConfigError, DatasetError
from cliqa.utils.mistakes import Mistakes

logger = logging.getLogger(__name__)

Files = str | Sequence[str]
"""A label file, or several."""

Find = Callable[[str, str], Path]
"""Returns the path of a label file by its name and the option that gives it, or raises."""


@dataclass(frozen=True)
class LabelFiles:
    """The label files of one data set, and how they are read; the options are `ScoreFile`'s."""

    labels: Files
    val_labels: Files | None = None
    test_labels: Files | None = None
    split_names: Mapping[str, Any] | None = None
    split_file: str | None = None
    split_key: str | int | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> LabelFiles:
        """Return those of a `ScoreFile`'s options, of which others are left aside."""
        own = {one.name for one in fields(cls)} - {"reading"}
        return cls(
            **{key: options[key] for key in own & set(options)},
            reading={key: options[key] for key in USUAL if key in options},
        )

    def parts(self, find: Find) -> dict[str, list[str]]:
        """Return the files of each split; of ``"train"`` alone where one file has them all.

        A layout that has a file for every split finds those of val and test beside that of train.
        """
        parts = {"train": listed_files(self.labels)}
        given = {"val": self.val_labels, "test": self.test_labels}
        parts |= {split: listed_files(files) for split, files in given.items() if files}
        layout = self.reading.get("layout")
        if layout is not None and len(parts) == 1 and len(parts["train"]) == 1:
            for split, file in layout_of(layout).other_parts(parts["train"][0]).items():
                with contextlib.suppress(DatasetError):
                    if find(file, f"{split}_labels").is_file():
                        parts[split] = [file]
                        logger.info("%s: %s has the split '%s'.", self.labels, file, split)
        return parts

    def read(self, find: Find, name: str) -> ScoreTable:
        """Return the rows of all files as one table; its splits as the files call them.

        Args:
            find: Finds a label file.
            name: The data set's name, for messages.

        Raises:
            ConfigError: The splits are given twice.
            DatasetError: With all that is wrong in the files.
        """
        parts, mistakes = self.parts(find), Mistakes()
        tables: dict[str, list[ScoreTable]] = {split: [] for split in parts}
        for split, files in parts.items():
            option = "labels" if split == "train" else f"{split}_labels"
            for file in files:
                try:
                    tables[split].append(read_scores(find(file, option), **self.reading))
                except DatasetError as error:
                    mistakes.add([str(error)])
        mistakes.raise_as(DatasetError)
        merged = {split: _merged(own) for split, own in tables.items()}
        if self.split_file is not None:
            return self._with_split_file(find, merged, name)
        return merged["train"] if len(merged) == 1 else _joined(merged, name)

    def with_splits(self, table: ScoreTable) -> ScoreTable:
        """Return a table with its splits called train, val and test.

        Raises:
            ConfigError: `split_names` are wrong.
            DatasetError: A split is unknown.
        """
        return with_known_splits(table, self.split_names, "split_names")

    def _with_split_file(
        self, find: Find, merged: Mapping[str, ScoreTable], name: str
    ) -> ScoreTable:
        """Return the table of the one label file with the splits of another one."""
        table = merged["train"]
        if len(merged) > 1 or table.sources is not None:
            raise ConfigError(f"{name}: split_file is for one label file, and there are several.")
        path = find(str(self.split_file), "split_file")
        return read_split_file(path, replace(table, splits=None), self.split_key)


def listed_files(files: Files) -> list[str]:
    """Return the names of one label file or of several."""
    return [files] if isinstance(files, str) else list(files)


def _merged(tables: Sequence[ScoreTable]) -> ScoreTable:
    """Return the rows of several files; the one table where there is one."""
    if len(tables) == 1:
        return tables[0]
    if not tables:
        raise ConfigError("labels=[] names no label file. Name one.")
    with_column = [table.splits is not None for table in tables]
    if any(with_column) and not all(with_column):
        first, other = with_column.index(True), with_column.index(False)
        raise DatasetError(
            f"{tables[other].source}: no column of splits, and {tables[first].source} has one. Add "
            "it, or set split_column=None."
        )
    return join_tables(tables)


def _joined(tables: Mapping[str, ScoreTable], name: str) -> ScoreTable:
    """Return one table of the files of train, val and test."""
    for table in tables.values():
        if table.splits is not None:
            raise ConfigError(
                f"{name}: {table.source} has a column of splits, and val_labels or "
                "test_labels is given too. Set split_column=None, or give one file."
            )
    present = [split for split in SPLITS if split in tables]
    return join_tables(
        [replace(tables[split], splits=(split,) * len(tables[split])) for split in present]
    )
