"""EVA, the explainable visual aesthetics data set (Kang et al., ATQAM/MAST 2020)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from cliqa.datasets.labels.csv_labels import read_csv
from cliqa.datasets.labels.label_file import read_lines
from cliqa.datasets.labels.table import ScoreTable, check_scores, with_suffix
from cliqa.datasets.quality.ava import ava_identity
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.registry import DATASETS

_MOST_RATINGS = 101
"""Different votes above which they are taken for those of a slider, which has no levels."""


def read_eva_votes(
    path: Path, delimiter: str = "=", score_range: tuple[float, float] = (0.0, 10.0)
) -> ScoreTable:
    """Read the official votes, one per row, as the mean and the standard deviation of each image.

    The deviation is that of the population; a row number is that of the image's first vote, and
    `score_range` is the (low, high) of one vote.

    Raises:
        DatasetError: The file is wrong, or a vote is not a number or outside the range.
    """
    sheet = read_csv(path, ("image_id", "user_id", "score"), delimiter, option="delimiter")
    ids, votes = sheet.text("image_id"), sheet.numbers("score")
    each_vote = ScoreTable(tuple(ids), votes, sheet.rows, path)
    check_scores(each_vote, score_range)  # a mean would hide a single wrong vote
    _, first, image_of = np.unique(np.array(ids), return_index=True, return_inverse=True)
    counts = np.bincount(image_of)
    mean = np.bincount(image_of, votes) / counts
    variance = np.bincount(image_of, (votes - mean[image_of]) ** 2) / counts
    ratings, rating_of = np.unique(votes, return_inverse=True)
    of_levels = len(ratings) <= _MOST_RATINGS  # votes on a slider have no levels
    if of_levels:
        shares = np.zeros((len(counts), len(ratings)))
        np.add.at(shares, (image_of, rating_of), 1 / counts[image_of])
    table = ScoreTable(
        images=tuple(f"{ids[i]}.jpg" for i in first),
        raw=mean,
        std=np.sqrt(variance),
        shares=shares if of_levels else None,
        ratings=tuple(ratings.tolist()) if of_levels else (),
        rows=tuple(sheet.rows[i] for i in first),
        source=path,
    )
    return table.take(np.argsort(first))


def read_eva_scores(path: Path, delimiter: str = ",") -> ScoreTable:
    """Read ready-made scores: a file with the columns image_id and score, one row per image.

    An image_id without a suffix gets ``.jpg``.

    Raises:
        DatasetError: The file is wrong.
    """
    sheet = read_csv(path, ("image_id", "score"), delimiter, option="delimiter")
    return ScoreTable(
        images=with_suffix(sheet.text("image_id")),
        raw=sheet.numbers("score"),
        rows=sheet.rows,
        source=path,
    )


@DATASETS.register_module()
class EVA(LabelledFolder):
    """EVA: 4070 photographs of AVA with about 34 aesthetic votes each, 0..10, higher is better.

    The official layout (join the parts of the archive with ``cat`` and unzip it)::

        root/
            data/votes_filtered.csv        one vote per row, '=' between the columns
            images/EVA_together/<id>.jpg   or images/<id>.jpg

    ``labels`` may also name a csv file with the columns ``image_id,score``. There is no official
    split: it is seeded, by image. All images are AVA's (smaller copies), and their keys say so.

    Args:
        root: The data set's folder.
        delimiter: The character between the label file's columns, if not the usual one.
        common: As `LabelledFolder`.
    """

    default_name = "eva"
    label_files = ("data/votes_filtered.csv", "votes_filtered.csv")
    image_folders = ("images/EVA_together", "EVA_together", "images")
    official_range = (0.0, 10.0)
    official_count = 4070

    def __init__(
        self,
        root: str | Path,
        delimiter: str | None = None,
        **common: Any,  # noqa: ANN401
    ) -> None:
        self.delimiter = delimiter
        super().__init__(root, **common)

    def read_table(self, path: Path) -> ScoreTable:
        """Read votes or ready-made scores; a column user_id tells the votes."""
        lines, _ = read_lines(path)
        if "user_id" in re.split(r"[\W]+", lines[0]):
            self.identity = "ava"
            return read_eva_votes(path, self.delimiter or "=", self.score_range)
        table = read_eva_scores(path, self.delimiter or ",")
        self.identity = ava_identity(table.images, self.name)
        return table
