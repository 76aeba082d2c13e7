"""The columns of a user's own label file: images, scores, and what else it tells of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cliqa.datasets.labels.csv_labels import read_csv
from cliqa.datasets.labels.json_labels import read_json
from cliqa.datasets.labels.parquet import read_parquet
from cliqa.datasets.labels.sheet import MissingColumnsError, Sheet
from cliqa.datasets.labels.spreadsheet import read_xlsx
from cliqa.datasets.labels.table import ScoreTable, with_suffix
from cliqa.utils.errors import ConfigError, DatasetError
from cliqa.utils.mistakes import Mistakes

NAMED = (".json", ".xlsx", ".parquet")
"""Suffixes of files that name their columns; all others are read as text."""


def read_scores(
    path: Path,
    image_column: str = "image",
    score_column: str = "score",
    std_column: str | None = "std",
    group_column: str | None = "group",
    split_column: str | None = "split",
    delimiter: str = ",",
    suffix: str = "",
    columns: Sequence[str] | None = None,
) -> ScoreTable:
    """Read a csv, xlsx, json or parquet file, one image a row; the options are `ScoreFile`'s.

    Other suffixes than ``.json``, ``.xlsx`` and ``.parquet`` are read as csv. A json file is a list
    ``[{"image": "a.jpg", "score": 75.32}, ...]``, or has it under ``"files"``; a score may be a
    string. The splits are called as the file calls them.

    Raises:
        ConfigError: `columns` are not such names.
        DatasetError: The file is wrong, or columns or cells are: all of them in one error.
    """
    options = {
        "image_column": image_column,
        "score_column": score_column,
        "std_column": std_column,
        "group_column": group_column,
        "split_column": split_column,
    }
    renamed = [name for key, name in options.items() if name and f"{name}_column" != key]
    required = (image_column, score_column, *renamed)
    try:
        sheet = read_sheet(path, tuple(dict.fromkeys(required)), delimiter, columns)
    except MissingColumnsError as error:
        raise DatasetError(name_options(error, options)) from error
    return _as_table(sheet, options, suffix)


def name_options(error: MissingColumnsError, options: Mapping[str, str | None]) -> str:
    """Return what is missing, each column with the option that names another one.

    Args:
        error: What is missing.
        options: Columns by the options ``image_column``, ``score_column`` and so on.
    """
    keys = {name: key for key, name in options.items() if name}
    return "\n".join(
        f"{text} Set {keys[name]}='...' in the data set's config to the column's name."
        for name, text in error.texts.items()
    )


def _as_table(sheet: Sheet, options: Mapping[str, str | None], suffix: str) -> ScoreTable:
    """Return the columns that the options name, all wrong cells in one error."""
    mistakes = Mistakes()
    texts: dict[str, list[str]] = {}
    numbers: dict[str, np.ndarray] = {}
    for key, name in options.items():
        if name is None or name not in sheet.columns:
            continue
        try:
            if key in ("score_column", "std_column"):
                numbers[key] = sheet.numbers(name)
            else:
                texts[key] = sheet.text(name)
        except DatasetError as error:
            needed = key in ("image_column", "score_column")
            also = "" if needed else f" Or set {key}=None to do without this column."
            mistakes.add([f"{error}{also}"])
    mistakes.raise_as(DatasetError)
    images, groups, splits = (
        tuple(texts[key]) if key in texts else None
        for key in ("image_column", "group_column", "split_column")
    )
    return ScoreTable(
        images=with_suffix(images or (), suffix) if suffix else images or (),
        raw=numbers["score_column"],
        std=numbers.get("std_column"),
        groups=groups,
        splits=splits,
        rows=sheet.rows,
        source=sheet.source,
        score_name=str(options["score_column"]),
        attributes={name: tuple(cells) for name, cells in sheet.columns.items()},
    )


def read_sheet(
    path: Path,
    required: tuple[str, ...] = (),
    delimiter: str = ",",
    columns: Sequence[str] | None = None,
) -> Sheet:
    """Read a label file by its suffix; see `read_scores`.

    Raises:
        ConfigError: `columns` are given for a file that names its own, or are no names.
        DatasetError: The file is wrong, or a `required` column is missing.
    """
    kind = path.suffix.lower()
    if columns is not None and kind in NAMED:
        raise ConfigError(
            f"{path}: columns=... is for csv files without a header row. Name the columns in the "
            "file."
        )
    if kind == ".json":
        return read_json(path, required)
    if kind == ".xlsx":
        return read_xlsx(path, required)
    if kind == ".parquet":
        return read_parquet(path, required)
    return read_csv(path, required, delimiter, "delimiter", columns, "columns")
