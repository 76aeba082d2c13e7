"""AVA, the aesthetic visual analysis data set (Murray et al., CVPR 2012)."""

from __future__ import annotations

import logging
import posixpath
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cliqa.datasets.labels.json_labels import read_json
from cliqa.datasets.labels.label_file import read_lines
from cliqa.datasets.labels.table import ScoreTable, with_suffix
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.datasets.splits import carve_validation
from cliqa.registry import DATASETS
from cliqa.utils.errors import DatasetError

logger = logging.getLogger(__name__)

_COLUMNS = 15
TAGS = {"tag": 12, "challenge": 14}
"""Columns of ``AVA.txt`` that describe an image: its first semantic tag, and its challenge."""
OFFICIAL_TEST = 20_000
"""Images of the official test list."""

_LONGEST_ID = 18  # digits of a 64-bit number
_RATINGS = np.arange(1.0, 11.0)


def read_ava(path: Path) -> ScoreTable:
    """Read the mean rating, sum(i * n_i) / sum(n_i), and the ratings' standard deviation.

    A line is ``index image_id n1 .. n10 tag1 tag2 challenge``; n1 to n10 count the ratings 1 to 10.

    Raises:
        DatasetError: A line has other columns, or no rating.
    """
    lines, rows = read_lines(path)
    try:
        with warnings.catch_warnings():
            # NumPy 1 and 2.0 warn that they cut 1.5 to 1; later versions refuse it
            warnings.simplefilter("error", DeprecationWarning)
            values = np.loadtxt(lines, dtype=np.int64, comments=None, ndmin=2)
        uniform = values.shape[1] == _COLUMNS
    except (ValueError, OverflowError, DeprecationWarning):
        uniform = False
    if not uniform:
        _raise_first_bad_line(path, lines, rows)
    counts = values[:, 2:12]
    totals = counts.sum(axis=1)
    bad = np.flatnonzero((totals <= 0) | (counts < 0).any(axis=1))
    if bad.size:
        raise DatasetError(
            f"{path}, row {rows[bad[0]]}: the counts of the ratings 1 to 10 (columns 3 to 12) are "
            f"{' '.join(map(str, counts[bad[0]]))}. They must be at least 0, and not all 0."
        )
    share = counts / totals[:, None]
    mean = share @ _RATINGS
    variance = np.maximum(share @ _RATINGS**2 - mean**2, 0.0)
    return ScoreTable(
        images=tuple(f"{identifier}.jpg" for identifier in values[:, 1].tolist()),
        raw=mean,
        std=np.sqrt(variance),
        shares=share,
        ratings=tuple(_RATINGS.tolist()),
        rows=tuple(rows),
        source=path,
        attributes={
            name: tuple(str(value) if value else "" for value in values[:, place].tolist())
            for name, place in TAGS.items()
        },
    )


def _raise_first_bad_line(path: Path, lines: Sequence[str], rows: Sequence[int]) -> None:
    for line, row in zip(lines, rows, strict=True):
        cells = line.split()
        if len(cells) != _COLUMNS:
            raise DatasetError(
                f"{path}, row {row}: {len(cells)} columns, expected {_COLUMNS} separated by "
                "blanks: index, image id, ten counts of ratings, two tags, challenge."
            )
        for cell in cells:
            if not (cell.isascii() and cell.removeprefix("-").isdigit()):
                raise DatasetError(f"{path}, row {row}: '{cell}' is not a whole number.")
    raise DatasetError(f"{path}: a number is too large. Use the official file.")


def read_ava_list(path: Path) -> set[int]:
    """Read one of AVA's image lists (``.jpgl``): one image id per line.

    Raises:
        DatasetError: A line is not an image id.
    """
    lines, rows = read_lines(path)
    for line, row in zip(lines, rows, strict=True):
        if not (line.isascii() and line.isdigit() and len(line) <= _LONGEST_ID):
            raise DatasetError(
                f"{path}, row {row}: '{line}' is not an image id. A list has one id per line."
            )
    return set(map(int, lines))


def read_ava_scores(path: Path) -> ScoreTable:
    """Read ready-made scores: ``{"files": [{"image": "ava_001.jpg", "score": 8.1}, ...]}``.

    Raises:
        DatasetError: The file is wrong.
    """
    sheet = read_json(path, ("image", "score"))
    return ScoreTable(
        images=with_suffix(sheet.text("image")),
        raw=sheet.numbers("score"),
        rows=sheet.rows,
        source=path,
    )


def ava_identity(images: Sequence[str], name: str) -> str:
    """Return ``"ava"`` if every image is named by a number, as AVA's are; otherwise `name`."""
    stems = (posixpath.splitext(posixpath.basename(image))[0] for image in images)
    return "ava" if all(stem.isdigit() for stem in stems) else name


@DATASETS.register_module()
class AVA(LabelledFolder):
    """AVA: 255 530 photographs with about 210 ratings each, 1..10, higher is better.

    The official layout::

        root/
            AVA.txt                                    ratings
            aesthetics_image_lists/generic_test.jpgl   the test images' ids
            ava_images/<id>.jpg                        or images/<id>.jpg

    Test is the official list, and a seeded share of all other images is val. ``labels`` may also
    name a json file ``{"files": [{"image": "ava_001.jpg", "score": 8.1}, ...]}``, which gets a
    seeded split by `fractions`. A few of AVA's images are commonly missing or damaged: see
    `missing` and `on_bad_image`. ``scenario.split_by`` may be ``"tag"`` (the first one) or
    ``"challenge"``, as numbers.

    Args:
        root: The data set's folder.
        images: As `LabelledFolder`.
        img_root: Another word for `images`.
        test_list: The list of test ids, relative to `root` or absolute.
        val_fraction: The share of the images outside the test list that becomes val, drawn by
            `seed`.
        common: As `LabelledFolder`.

    Raises:
        DatasetError: As `LabelledFolder`, or no image is in the test list.
    """

    default_name = "ava"
    label_files = ("AVA.txt",)
    image_folders = ("ava_images", "images", "image")
    official_range = (1.0, 10.0)
    official_count = 255530

    def __init__(
        self,
        root: str | Path,
        images: str | None = None,
        img_root: str | None = None,
        test_list: str = "aesthetics_image_lists/generic_test.jpgl",
        val_fraction: float = 0.05,
        **common: Any,  # noqa: ANN401
    ) -> None:
        self.test_list = test_list
        self.val_fraction = val_fraction
        super().__init__(root, images=img_root if images is None else images, **common)

    @classmethod
    def official_sizes(cls, **options: Any) -> tuple[int, int, int]:  # noqa: ANN401
        """Return the images outside the official test list, cut by `val_fraction`, and in it."""
        rest = cls.official_count - OFFICIAL_TEST
        val = round(rest * options.get("val_fraction", 0.05))
        return rest - val, val, OFFICIAL_TEST

    def read_table(self, path: Path) -> ScoreTable:
        """Read the official ratings with their split, or ready-made scores."""
        if path.suffix == ".json":
            table = read_ava_scores(path)
            self.identity = ava_identity(table.images, self.name)
            return table
        table = read_ava(path)
        listed = self.label_file(self.test_list, "test_list")
        test = {f"{identifier}.jpg" for identifier in read_ava_list(listed)}
        found = len(test.intersection(table.images))
        if not found:
            raise DatasetError(
                f"{listed}: none of its {len(test)} ids is in {path}. The test split would be "
                "empty: use the lists of the same release."
            )
        if found < len(test):
            logger.info(
                "%s: %d of %d ids are not in %s.", listed, len(test) - found, len(test), path
            )
        splits = ["test" if image in test else "train" for image in table.images]
        return replace(table, splits=tuple(splits))

    def complete_split(self, table: ScoreTable) -> ScoreTable:
        """Return the table with a seeded share of train as val, unless all splits are seeded."""
        if table.splits is None:
            return table
        where = f"{self.name}: {table.source}"
        carved = carve_validation(
            table.splits, table.images, self.val_fraction, self.seed, where, "val_fraction=0"
        )
        return replace(table, splits=carved)
