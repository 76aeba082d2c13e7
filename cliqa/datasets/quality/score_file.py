"""A user's own images and scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cliqa.config.annotations import TwoNumbers
from cliqa.datasets.image_roots import placed_in
from cliqa.datasets.labels.layouts.layout import LayoutName, declared_scale, known_set
from cliqa.datasets.labels.layouts.parts import LabelFiles, listed_files
from cliqa.datasets.labels.sheet import Decimal
from cliqa.datasets.labels.table import ScoreTable, check_range
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.datasets.splits import with_validation
from cliqa.registry import DATASETS
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
        labels: The label file, or that of train if `test_labels` or `val_labels` is given. Several
            are merged.
        score_range: The (low, high) that a score can have; known for the data sets of a `layout`.
        higher_is_better: The direction of the scores (False for a DMOS); likewise.
        name: A short name for logs and file names; by default the label file's.
        val_labels: The label file of val, or several.
        test_labels: The label file of test, or several.
        identity: The name space of the images: give a known data set's (``"ava"``, ``"koniq"``,
            ``"spaq"`` ...) if these are its images under its file names.
        image_column: The column of the image paths: its name, or its place from 0. So with all
            columns.
        score_column: The column of the scores; None for the mean of the votes.
        std_column: The raters' standard deviation; None for none. A column under the default name
            may be missing, one that was renamed must be there. So with the next two.
        group_column: The group of an image, which stays in one split: a reference image, a prompt.
        split_column: ``train``, ``val`` or ``test``.
        delimiter: The character between two columns of a csv file, ``" "`` for any blanks; None
            for the one that its first rows show.
        suffix: Suffix for image names without one, such as ``".jpg"``.
        columns: The names of the columns of a csv file without a header row, in their order:
            ``["image", "score", "std"]``; ``""`` for a column that is not needed.
        split_names: The file's names of the splits, if they are not train, val and test or the
            codes 0, 1 and 2: ``dict(train="a", test=["b", "c"])``.
        layout: The word for a published file: ``"pyiqa"`` (meta_info_*.csv), ``"biqa_cl"`` (and
            UNIQUE), ``"liqe"``, ``"maniqa"`` (and HyperIQA), ``"q_align"``, ``"koniq"`` or
            ``"kadid"`` (the official csv). The other options come before it. Files of val and test
            that are published beside that of train are read too.
        vote_columns: Columns that count an image's votes, with the rating that each counts in the
            units of the scores: ``dict(c1=1, c2=2)``.
        decimal: ``","`` or ``"."``; None for commas where the scores can mean nothing else.
        header: Whether a csv file's first row names the columns; None for what it looks like.
        split_file: A JSON file of splits, ``{"train": [0, 2], "val": [1], "test": [3]}``: places of
            images in the label file, from 0, or their names. pyiqa's ``.pkl`` files are converted
            by the line in the error message that they get.
        split_key: Which split of a file of several, ``{"1": {"train": ...}}``; None for the first.
        images: The image folder, relative to `root`; of several, each image is in one.
        common: As `LabelledFolder`.

    Raises:
        ConfigError: The split is given both by files and by a column, or the range or the direction
            of the scores is not known.
    """

    label_files = ()
    image_folders = ("",)

    def __init__(
        self,
        root: str | Path,
        labels: str | Sequence[str],
        score_range: TwoNumbers | None = None,
        higher_is_better: bool | None = None,
        name: str | None = None,
        val_labels: str | Sequence[str] | None = None,
        test_labels: str | Sequence[str] | None = None,
        identity: str | None = None,
        image_column: str | int = "image",
        score_column: str | int | None = "score",
        std_column: str | int | None = "std",
        group_column: str | int | None = "group",
        split_column: str | int | None = "split",
        delimiter: str | None = None,
        suffix: str = "",
        columns: Sequence[str] | None = None,
        split_names: Mapping[str, Any] | None = None,
        layout: LayoutName | None = None,
        vote_columns: Mapping[str | int, float] | None = None,
        decimal: Decimal | None = None,
        header: bool | None = None,
        split_file: str | None = None,
        split_key: str | int | None = None,
        images: str | Sequence[str] | None = None,
        **common: Any,  # noqa: ANN401
    ) -> None:
        self.sources = LabelFiles.of(locals())  # of its options, which this takes under their names
        first = listed_files(labels)[0] if labels else ""
        name = name_after(first) if name is None else name
        self.lower_is_better = not self.declared_direction(
            higher_is_better, labels=labels, layout=layout
        )
        score_range = self.declared_range(score_range, labels=labels, layout=layout)
        known = known_set(layout, first)
        self.identity = identity or (known.identity if known is not None else name)
        self.folders = None if images is None or isinstance(images, str) else tuple(images)
        super().__init__(
            root,
            name=name,
            labels=first,
            images=images if isinstance(images, str) or images is None else "",
            score_range=score_range,
            **common,
        )

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        """Check that the scale of the scores is given, or known, before anything is read.

        Raises:
            ConfigError: It is not.
        """
        declared_scale(options)

    @classmethod
    def declared_range(
        cls, score_range: TwoNumbers | None = None, **options: object
    ) -> tuple[float, float]:
        """Return the range of the raw scores, as given or as a layout's data set has it.

        Raises:
            ConfigError: `score_range` is no range, or is not known.
        """
        ends, _ = declared_scale({**options, "score_range": score_range, "higher_is_better": True})
        return check_range(ends, str(options.get("labels")))

    @classmethod
    def declared_direction(cls, higher_is_better: bool | None = None, **options: object) -> bool:
        """Return whether a higher score is better, as given or as a layout's data set has it.

        Raises:
            ConfigError: It is not known.
        """
        given = {**options, "score_range": (0, 1), "higher_is_better": higher_is_better}
        return declared_scale(given)[1]

    @property
    def split_advice(self) -> str:
        """How a user gives the data set a split that it lacks."""
        if self.table_of_parts:
            return "give labels, val_labels and test_labels, one file per split"
        if not self.has_split_column:
            return super().split_advice
        column = self.sources.reading["split_column"]
        return (
            f"mark rows with it in the column '{column}', or set "
            "split_column=None and fractions=(0.8, 0.1, 0.1)"
        )

    def read_table(self, path: Path) -> ScoreTable:
        """Read the label files; `path` is the first one's."""
        del path
        table = self.sources.read(self.label_file, self.name)
        self.has_split_column = table.splits is not None
        self.table_of_parts = self.has_split_column and table.sources is not None
        return self.sources.with_splits(table)

    def complete_split(self, table: ScoreTable) -> ScoreTable:
        """Return the table with a seeded share of train as val if there is a split without val."""
        return with_validation(table, self.fractions, self.seed, self.name)

    def arrange(self, table: ScoreTable, folder: Path) -> ScoreTable:
        """Put its folder before each image where there are several."""
        del folder
        if self.folders is None:
            return table
        return placed_in(table, self.root, self.folders, self.name)
