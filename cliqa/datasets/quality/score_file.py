"""A user's own images and scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cliqa.config.annotations import TwoNumbers
from cliqa.datasets.labels.score_columns import read_scores
from cliqa.datasets.labels.table import SPLITS, ScoreTable, join_tables
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.datasets.splits import with_known_splits, with_validation
from cliqa.registry import DATASETS
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import name_after


@DATASETS.register_module()
class ScoreFile(LabelledFolder):
    """Any images with scores in a csv, xlsx or json file; range and direction must be declared.

    For example, with ``labels="metas/koniq_train.json"``::

        root/
            metas/koniq_train.json     [{"image": "koniq/1024x768/a.jpg", "score": 75.32}, ...]
            metas/koniq_test.json
            koniq/1024x768/a.jpg

    The split is, in this order: one file per split (`test_labels`, `val_labels`); the column
    `split_column`; or seeded by `fractions` (all of it is a test set with ``fractions=(0, 0, 1)``).
    Where only val is missing, a seeded share ``val / (train + val)`` of train becomes val. Images
    of one group stay in one split.

    Args:
        root: Base of the other paths.
        labels: The label file, or that of train if `test_labels` or `val_labels` is given.
        score_range: The (low, high) that a score can have.
        higher_is_better: The direction of the scores (False for a DMOS).
        name: A short name for logs and file names; by default the label file's.
        val_labels: The label file of val.
        test_labels: The label file of test.
        identity: The name space of the images: give a known data set's (``"ava"``, ``"koniq"``,
            ``"spaq"`` ...) if these are its images under its file names.
        image_column: The column of the image paths.
        score_column: The column of the scores.
        std_column: The raters' standard deviation; None for none. A column under the default name
            may be missing, one that was renamed must be there. So with the next two.
        group_column: The group of an image, which stays in one split: a reference image, a prompt.
        split_column: ``train``, ``val`` or ``test``.
        delimiter: The character between two columns of a csv file.
        suffix: Suffix for image names without one, such as ``".jpg"``.
        columns: The names of the columns of a csv file without a header row, in their order:
            ``["image", "score", "std"]``; ``""`` for a column that is not needed.
        split_names: The file's names of the splits, if they are not train, val and test or the
            codes 0, 1 and 2: ``dict(train="a", test="b")``.
        common: As `LabelledFolder`.

    Raises:
        ConfigError: The split is given both by files and by a column.
    """

    label_files = ()
    image_folders = ("",)

    def __init__(
        self,
        root: str | Path,
        labels: str,
        score_range: TwoNumbers,
        higher_is_better: bool,
        name: str | None = None,
        val_labels: str | None = None,
        test_labels: str | None = None,
        identity: str | None = None,
        image_column: str = "image",
        score_column: str = "score",
        std_column: str | None = "std",
        group_column: str | None = "group",
        split_column: str | None = "split",
        delimiter: str = ",",
        suffix: str = "",
        columns: Sequence[str] | None = None,
        split_names: Mapping[str, str | int] | None = None,
        **common: Any,  # noqa: ANN401
    ) -> None:
        self.lower_is_better = not higher_is_better
        self.extra_labels = {"val": val_labels, "test": test_labels}
        self.reading: dict[str, Any] = {
            "image_column": image_column,
            "score_column": score_column,
            "std_column": std_column,
            "group_column": group_column,
            "split_column": split_column,
            "delimiter": delimiter,
            "suffix": suffix,
            "columns": columns,
        }
        self.split_names = split_names
        name = name_after(labels) if name is None else name
        self.identity = identity or name
        super().__init__(root, name=name, labels=labels, score_range=score_range, **common)

    @property
    def split_advice(self) -> str:
        """How a user gives the data set a split that it lacks."""
        if any(file is not None for file in self.extra_labels.values()):
            return "give labels, val_labels and test_labels, one file per split"
        if not self.has_split_column:
            return super().split_advice
        return (
            f"mark rows with it in the column '{self.reading['split_column']}', or set "
            "split_column=None and fractions=(0.8, 0.1, 0.1)"
        )

    def read_table(self, path: Path) -> ScoreTable:
        """Read the label file, or one per split."""
        table = read_scores(path, **self.reading)
        extra = {split: file for split, file in self.extra_labels.items() if file is not None}
        if extra:
            tables = {"train": table}
            for split, file in extra.items():
                path = self.label_file(file, f"{split}_labels")
                tables[split] = read_scores(path, **self.reading)
            return self._join(tables)
        self.has_split_column = table.splits is not None
        return with_known_splits(table, self.split_names, "split_names")

    def complete_split(self, table: ScoreTable) -> ScoreTable:
        """Return the table with a seeded share of train as val if there is a split without val."""
        return with_validation(table, self.fractions, self.seed, self.name)

    def _join(self, tables: dict[str, ScoreTable]) -> ScoreTable:
        """Return one table of the files of train, val and test."""
        for table in tables.values():
            if table.splits is not None:
                raise ConfigError(
                    f"{self.name}: {table.source} has a column of splits, and val_labels or "
                    "test_labels is given too. Set split_column=None, or give one file."
                )
        present = [split for split in SPLITS if split in tables]
        return join_tables(
            [replace(tables[split], splits=(split,) * len(tables[split])) for split in present]
        )
